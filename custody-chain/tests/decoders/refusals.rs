//! What is refused, and why.

use custody_chain::{EvmDecoder, EvmError, SignerError};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::id::PayloadFormat;
use custody_core::seam::Decoder;

use crate::rlp::{Item, eip155, eip1559, legacy, list, number, string, typed, with};
use crate::support::{
    FORMAT, MAINNET, context, context_of, decode, decode_in, payload, payload_of, public_of, reason,
};

const LIMIT: usize = 256 * 1024;

fn length(field: &'static str, length: usize) -> EvmError {
    EvmError::Length { field, length }
}

fn zero(field: &'static str) -> EvmError {
    EvmError::LeadingZero { field }
}

fn malformed(field: &'static str, position: usize) -> EvmError {
    EvmError::Malformed { field, position }
}

fn check(cases: Vec<(&str, Vec<u8>, EvmError)>) {
    for (name, bytes, expected) in cases {
        assert_eq!(decode(&bytes).unwrap_err(), expected, "{name}");
    }
}

#[test]
fn the_forms_that_the_tables_vary_are_accepted() {
    for (name, bytes) in
        [("legacy", list(&legacy())), ("155", list(&eip155())), ("1559", typed(&eip1559()))]
    {
        assert!(decode(&bytes).is_ok(), "{name}");
    }
}

#[test]
fn envelopes_that_are_not_read_are_refused() {
    let trailing = |count| EvmError::Trailing { what: "the transaction", count };
    check(vec![
        ("nothing", vec![], EvmError::Empty),
        ("type 0", [vec![0], list(&legacy())].concat(), EvmError::Type { found: 0 }),
        ("EIP-2930", [vec![1], list(&eip155())].concat(), EvmError::Fields { found: 9 }),
        ("EIP-4844", [vec![3], list(&eip1559())].concat(), EvmError::Fields { found: 9 }),
        ("EIP-7702", [vec![4], list(&eip1559())].concat(), EvmError::Fields { found: 9 }),
        ("type 5", [vec![5], list(&eip1559())].concat(), EvmError::Type { found: 5 }),
        ("the last type", vec![0x7f], EvmError::Type { found: 0x7f }),
        ("a string", string(&list(&legacy())), malformed("the transaction", 0)),
        ("an empty string", vec![0x80], malformed("the transaction", 0)),
        ("a type alone", vec![2], malformed("the transaction", 1)),
        ("a typed string", [vec![2], string(&[9; 60])].concat(), malformed("the transaction", 1)),
        ("a byte more", [list(&legacy()), vec![0]].concat(), trailing(1)),
        ("two transactions", [list(&eip155()), list(&eip155())].concat(), trailing(37)),
        ("a typed byte more", [typed(&eip1559()), vec![0]].concat(), trailing(1)),
        ("a long list header", long_header(&eip155()), malformed("the transaction", 0)),
    ]);
}

/// The list with a header of the long form, though it is short.
fn long_header(items: &[Item]) -> Vec<u8> {
    let body = items.concat();
    [vec![0xf8, u8::try_from(body.len()).unwrap()], body].concat()
}

#[test]
fn another_number_of_fields_is_refused() {
    for count in (0..=14).filter(|count| *count != 6 && *count != 9) {
        let items = vec![number(0); count];
        assert_eq!(decode(&list(&items)).unwrap_err(), EvmError::Fields { found: count });
    }
    for count in (0..=14).filter(|count| *count != 9 && *count != 12) {
        let items = vec![number(0); count];
        assert_eq!(decode(&typed(&items)).unwrap_err(), EvmError::Fields { found: count });
    }
}

#[test]
fn signed_transactions_are_refused() {
    let word = || string(&[0x11; 32]);
    let legacy = |v| [legacy(), vec![number(v), word(), word()]].concat();
    check(vec![
        ("legacy", list(&legacy(27)), EvmError::Signed),
        ("155", list(&legacy(37)), EvmError::Signed),
        ("r alone", list(&with(eip155(), 7, word())), EvmError::Signed),
        ("s alone", list(&with(eip155(), 8, word())), EvmError::Signed),
        ("r is a zero byte", list(&with(eip155(), 7, vec![0])), EvmError::Signed),
        ("s is a zero byte", list(&with(eip155(), 8, vec![0])), EvmError::Signed),
        ("1559", typed(&[eip1559(), vec![number(1), word(), word()]].concat()), EvmError::Signed),
    ]);
}

#[test]
fn chain_ids_other_than_the_wallets_are_refused() {
    let other = |found| EvmError::Chain { expected: 1, found };
    let most: u64 = 9_223_372_036_854_775_771;
    let mut cases = Vec::new();
    for (name, id, expected) in [
        ("zero", number(0), EvmError::ChainId),
        ("another", number(2), other(2)),
        ("the largest", number(u128::from(most)), other(most)),
        ("one past it", number(u128::from(most) + 1), EvmError::ChainId),
        ("64 bits", number(u128::from(u64::MAX)), EvmError::ChainId),
        ("65 bits", number(u128::from(u64::MAX) + 1), length("chain id", 9)),
        ("33 bytes", string(&[1; 33]), length("chain id", 33)),
        ("leading zero", string(&[0, 1]), zero("chain id")),
        ("zero byte", vec![0], zero("chain id")),
    ] {
        cases.push((name, list(&with(eip155(), 6, id.clone())), expected.clone()));
        cases.push((name, typed(&with(eip1559(), 0, id)), expected));
    }
    check(cases);
}

#[test]
fn numbers_out_of_bounds_or_with_leading_zeros_are_refused() {
    let numbers = [
        ("nonce", 0, 1, 8),
        ("gas price", 1, 99, 32),
        ("priority fee per gas", 99, 2, 32),
        ("fee per gas", 99, 3, 32),
        ("gas limit", 2, 4, 8),
        ("value", 4, 6, 32),
    ];
    for (field, in_legacy, in_typed, bytes) in numbers {
        for (name, item, expected) in [
            ("zero byte", vec![0], zero(field)),
            ("leading zero", string(&[0, 9]), zero(field)),
            ("long and zero", string(&[0; 40]), zero(field)),
            ("too long", string(&vec![1; bytes + 1]), length(field, bytes + 1)),
            ("far too long", string(&[1; 60]), length(field, 60)),
        ] {
            let mut payloads = Vec::new();
            if in_legacy < 9 {
                payloads.push(list(&with(legacy(), in_legacy, item.clone())));
                payloads.push(list(&with(eip155(), in_legacy, item.clone())));
            }
            if in_typed < 9 {
                payloads.push(typed(&with(eip1559(), in_typed, item)));
            }
            for payload in payloads {
                assert_eq!(decode(&payload).unwrap_err(), expected, "{field}: {name}");
            }
        }
    }
}

#[test]
fn the_largest_numbers_are_read_and_the_next_ones_refused() {
    let most = string(&[0xff; 32]);
    let nonce = |nonce: u64| typed(&with(eip1559(), 1, number(u128::from(nonce))));
    assert!(decode(&nonce(u64::MAX - 1)).is_ok());
    assert_eq!(decode(&nonce(u64::MAX)).unwrap_err(), EvmError::Nonce);

    let free = with(with(eip1559(), 2, number(0)), 3, number(0));
    assert!(decode(&typed(&with(free.clone(), 6, most.clone()))).is_ok());
    assert!(decode(&typed(&with(free, 4, number(u128::from(u64::MAX))))).is_ok());
    assert!(decode(&list(&with(with(legacy(), 1, number(0)), 4, most.clone()))).is_ok());

    let dear = with(with(legacy(), 1, most), 2, number(1));
    assert!(decode(&list(&with(dear.clone(), 4, number(0)))).is_ok());
    assert_eq!(decode(&list(&dear)).unwrap_err(), EvmError::TotalOverflow);
    let two = with(dear, 2, number(2));
    assert_eq!(decode(&list(&two)).unwrap_err(), EvmError::FeeOverflow);
}

#[test]
fn a_priority_fee_above_the_fee_is_refused() {
    let fees = |priority, fee| typed(&with(with(eip1559(), 2, number(priority)), 3, number(fee)));
    assert!(decode(&fees(9, 9)).is_ok());
    assert_eq!(decode(&fees(10, 9)).unwrap_err(), EvmError::PriorityFee);
    assert_eq!(decode(&fees(1, 0)).unwrap_err(), EvmError::PriorityFee);
}

#[test]
fn receivers_that_are_not_addresses_are_refused() {
    for bytes in [1, 19, 21, 32, 56] {
        let item = string(&vec![0x35; bytes]);
        let expected = length("to", bytes);
        assert_eq!(decode(&list(&with(legacy(), 3, item.clone()))).unwrap_err(), expected);
        assert_eq!(decode(&list(&with(eip155(), 3, item.clone()))).unwrap_err(), expected);
        assert_eq!(decode(&typed(&with(eip1559(), 5, item))).unwrap_err(), expected);
    }
}

#[test]
fn lists_in_the_place_of_strings_are_refused_and_the_other_way_round() {
    let names = ["nonce", "gas price", "gas limit", "to", "value", "data", "v", "r", "s"];
    for (index, field) in names.into_iter().enumerate() {
        let error = decode(&list(&with(eip155(), index, list(&[])))).unwrap_err();
        assert!(matches!(error, EvmError::Malformed { field: found, .. } if found == field));
    }
    let names = ["chain id", "nonce", "priority fee per gas", "fee per gas", "gas limit", "to"];
    for (index, field) in names.into_iter().chain(["value", "data"]).enumerate() {
        let error = decode(&typed(&with(eip1559(), index, list(&[])))).unwrap_err();
        assert!(matches!(error, EvmError::Malformed { field: found, .. } if found == field));
    }
    let error = decode(&typed(&with(eip1559(), 8, number(0)))).unwrap_err();
    assert!(matches!(error, EvmError::Malformed { field: "access list", .. }));
}

#[test]
fn strings_in_a_longer_form_than_needed_are_refused() {
    for (name, item) in [
        ("a byte below 128 with a header", vec![0x81, 0x7f]),
        ("zero with a header", vec![0x81, 0x00]),
        ("a short string with a long header", vec![0xb8, 0x02, 1, 2]),
        ("a length that begins with zero", [vec![0xb9, 0x00, 0x40], vec![1; 64]].concat()),
    ] {
        for (bytes, what) in [
            (list(&with(legacy(), 5, item.clone())), "legacy"),
            (list(&with(eip155(), 5, item.clone())), "155"),
            (typed(&with(eip1559(), 7, item.clone())), "1559"),
        ] {
            let error = decode(&bytes).unwrap_err();
            assert!(matches!(error, EvmError::Malformed { .. }), "{what}, {name}: {error}");
        }
    }
}

#[test]
fn access_lists_are_read_as_strictly_as_the_rest() {
    let access = |items: &[Item]| typed(&with(eip1559(), 8, list(items)));
    let address = || string(&[0x35; 20]);
    let entry = |keys: &[Item]| list(&[address(), list(keys)]);
    let key = || string(&[0; 32]);
    for items in [vec![], vec![entry(&[])], vec![entry(&[key(), key()]), entry(&[key()])]] {
        assert!(decode(&access(&items)).is_ok());
    }
    let trailing = |count| EvmError::Trailing { what: "access list item", count };
    let short = list(&[string(&[1; 19]), list(&[])]);
    let long = list(&[string(&[1; 21]), list(&[])]);
    let none = list(&[string(&[]), list(&[])]);
    check(vec![
        ("a short address", access(&[short]), length("access list address", 19)),
        ("a long address", access(&[long]), length("access list address", 21)),
        ("no address", access(&[none]), length("access list address", 0)),
        ("a short key", access(&[entry(&[string(&[1; 31])])]), length("storage key", 31)),
        ("a long key", access(&[entry(&[string(&[1; 33])])]), length("storage key", 33)),
        ("an empty key", access(&[entry(&[number(0)])]), length("storage key", 0)),
        ("a third field", access(&[list(&[address(), list(&[]), number(0)])]), trailing(1)),
    ]);
    for (items, field) in [
        (vec![address()], "access list item"),
        (vec![list(&[])], "access list address"),
        (vec![list(&[address()])], "storage keys"),
        (vec![list(&[address(), key()])], "storage keys"),
        (vec![entry(&[list(&[])])], "storage key"),
        (vec![list(&[list(&[]), list(&[])])], "access list address"),
    ] {
        let error = decode(&access(&items)).unwrap_err();
        assert!(matches!(error, EvmError::Malformed { field: found, .. } if found == field));
    }
}

#[test]
fn a_payload_above_the_limit_is_refused_before_it_is_parsed() {
    let overhead = list(&with(legacy(), 5, string(&vec![1; LIMIT - 100]))).len() - (LIMIT - 100);
    let data = |size| list(&with(legacy(), 5, string(&vec![1; size])));
    assert_eq!(data(LIMIT - overhead).len(), LIMIT);
    assert!(decode(&data(LIMIT - overhead)).is_ok());
    let expected = EvmError::TooLong { length: LIMIT + 1, limit: LIMIT };
    assert_eq!(decode(&data(LIMIT - overhead + 1)).unwrap_err(), expected);
    assert_eq!(decode(&vec![0; LIMIT + 1]).unwrap_err(), expected);
}

#[test]
fn a_list_of_very_many_items_is_refused() {
    let many = vec![number(0); LIMIT - 10];
    let expected = EvmError::Fields { found: LIMIT - 10 };
    assert_eq!(decode(&list(&many)).unwrap_err(), expected);
}

#[test]
fn contexts_that_do_not_fit_are_refused() {
    let bytes = list(&legacy());
    let refused = |context: &_| decode_in(&bytes, context).unwrap_err();
    for chain in [
        "bip122:000000000019d6689c085ae165831e93",
        "eip155:0",
        "eip155:01",
        "eip155:0x1",
        "eip155:mainnet",
        "eip155:-1",
        "eip155:9223372036854775772",
        "eip155:18446744073709551616",
        "eip1559:1",
    ] {
        assert_eq!(refused(&context(chain)), EvmError::ContextChain, "{chain}");
    }
    let mut unknown = context(MAINNET);
    unknown.v = 2;
    assert_eq!(refused(&unknown), SignerError::ContextVersion { found: 2 }.into());
    let mut nobody = context(MAINNET);
    nobody.accounts.clear();
    assert_eq!(refused(&nobody), SignerError::NoAccount.into());
    for found in [Algorithm::Bip340, Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let expected = Algorithm::EcdsaSecp256k1;
        let wrong = SignerError::Algorithm { expected, found };
        assert_eq!(refused(&context_of(MAINNET, public_of(found))), wrong.into());
    }
}

#[test]
fn only_the_first_account_counts() {
    let mut wrong = context_of(MAINNET, public_of(Algorithm::Ed25519));
    wrong.accounts.extend(context(MAINNET).accounts);
    assert!(decode_in(&list(&legacy()), &wrong).is_err());
    wrong.accounts.reverse();
    assert!(decode_in(&list(&legacy()), &wrong).is_ok());
}

#[test]
fn another_format_or_chain_is_neither_read_nor_decoded() {
    let decoder = EvmDecoder::new();
    for format in ["evm/transaction/2", "evm", "opaque", "evm/typed-data/2"] {
        let payload = payload_of(format, &list(&legacy()));
        assert!(!decoder.reads(&payload.format, &ChainId::parse(MAINNET).unwrap()), "{format}");
        let error = decoder.decode(&payload, &context(MAINNET)).unwrap_err();
        assert_eq!(reason(&error), EvmError::Format);
        let error = decoder.assemble(&payload, &context(MAINNET), &[]).unwrap_err();
        assert_eq!(reason(&error), EvmError::Format);
    }
    let format = PayloadFormat::parse(FORMAT).unwrap();
    for (chain, read) in
        [("eip155:1", true), ("eip155:8453", true), ("solana:1", false), ("eip155:01", false)]
    {
        assert_eq!(decoder.reads(&format, &ChainId::parse(chain).unwrap()), read, "{chain}");
    }
}

#[test]
fn errors_never_carry_the_payloads_bytes() {
    let marked = string(&[0xab; 33]);
    for (items, index) in [(eip155(), 0), (eip155(), 3), (eip155(), 4), (eip155(), 6)] {
        let bytes = list(&with(items, index, marked.clone()));
        let error = EvmDecoder::new().decode(&payload(&bytes), &context(MAINNET)).unwrap_err();
        let text = format!("{error} {error:?} {:?}", payload(&bytes));
        assert!(!text.contains("abab") && !text.contains("171, 171"), "{text}");
    }
}
