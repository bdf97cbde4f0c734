//! Messages and authorisations.

use custody_chain::{EvmDecoder, EvmError};
use custody_core::effect::Effect;
use custody_core::seam::{Decoder, Intent, TaskInput};
use custody_testkit::vectors;
use k256::ecdsa::SigningKey;

use crate::calls::words;
use crate::rlp::{eip1559, list, number, string};
use crate::support::{MAINNET, context, context_of, payload_of, public, reason, sign, unhex};

fn decode(format: &str, chain: &str, bytes: &[u8]) -> Result<Intent, EvmError> {
    EvmDecoder::new()
        .decode(&payload_of(format, bytes), &context(chain))
        .map_err(|error| reason(&error))
}

fn message(bytes: &[u8]) -> Intent {
    decode("evm/message", MAINNET, bytes).unwrap()
}

fn authorization(bytes: &[u8]) -> Result<Intent, EvmError> {
    decode("evm/authorization", MAINNET, bytes)
}

/// Chain id, address, nonce, under the magic byte.
fn consent(chain: u128, nonce: u128) -> Vec<u8> {
    [vec![5], list(&[number(chain), string(&[0xc0; 20]), number(nonce)])].concat()
}

#[test]
fn plain_text_is_told_and_anything_else_is_opaque() {
    for text in ["hello", "", "two\nlines", "Grüße", "\"quoted\""] {
        let intent = message(text.as_bytes());
        let [Effect::SignMessage { kind, arguments }] = intent.effects.as_slice() else { panic!() };
        assert_eq!(kind.as_str(), "eip191");
        let said = arguments.get("message").unwrap();
        assert!(said == text || said.starts_with("sha256:") && text.contains('\n'), "{text:?}");
    }
    let hash = [0x9d; 32];
    for bytes in [
        &hash[..],
        b"\xff\xfe",
        b"a\0b",
        b"\x1b[2J",
        "\u{202e}\u{85}".as_bytes(),
        "turned \u{202e}round".as_bytes(),
        "no\u{200b}thing".as_bytes(),
    ] {
        let intent = message(bytes);
        let told: Vec<_> = intent.effects.iter().map(words).collect();
        assert_eq!(told, ["sign opaque eip191"], "{bytes:?}");
    }
}

#[test]
fn what_is_as_long_as_a_digest_is_opaque_though_it_is_text() {
    let words_of = |bytes: &[u8]| message(bytes).effects.iter().map(words).collect::<Vec<_>>();
    for text in ["a".repeat(32), "ä".repeat(16), "sign in to the shop, please: 123".to_owned()] {
        assert_eq!(text.len(), 32);
        assert_eq!(words_of(text.as_bytes()), ["sign opaque eip191"], "{text}");
    }
    for length in [31, 33, 64] {
        assert_eq!(words_of(&vec![b'a'; length]), ["sign eip191"], "{length}");
    }
}

#[test]
fn a_line_says_that_a_message_goes_on_beyond_it() {
    let line = |length: usize| message(&vec![b'a'; length]).summary[0].clone();
    assert!(line(1_000).ends_with("aaa\""), "{}", line(1_000));
    let long = line(1_001);
    assert!(long.contains("aaa\" and more, 1001 bytes in all, sha256:"), "{long}");
    assert!(long.len() < 1_200);
}

#[test]
fn invalid_utf_8_is_opaque_in_a_message_and_refused_in_typed_data() {
    for bytes in [&b"\xff\xfe"[..], b"Gr\xfc\xdfe", b"cut short \xe2\x82", b"\xed\xa0\x80"] {
        let told: Vec<_> = message(bytes).effects.iter().map(words).collect();
        assert_eq!(told, ["sign opaque eip191"], "{bytes:?}");
        let document = [&br#"{"types":{"EIP712Domain":[]},"domain":{},"primaryType":""#[..], bytes];
        let document = [&document.concat()[..], br#"","message":{}}"#].concat();
        let refused = decode("evm/typed-data", MAINNET, &document);
        assert!(refused.is_err(), "{bytes:?}: {refused:?}");
    }
}

#[test]
fn generated_messages_are_signed_as_generated() {
    let file = vectors::json("generated/ethereum.json.gz");
    let (mut count, decoder) = (0, EvmDecoder::new());
    for case in file["personal_sign"].as_array().unwrap() {
        let key = SigningKey::from_slice(&unhex(case["private_key"].as_str().unwrap())).unwrap();
        let context = context_of(MAINNET, public(&key));
        let payload = payload_of("evm/message", &unhex(case["message_hex"].as_str().unwrap()));
        let intent = decoder.decode(&payload, &context).unwrap();
        let TaskInput::Prehash(digest) = &intent.tasks[0].input else { panic!() };
        assert_eq!(hex::encode(digest), case["digest"].as_str().unwrap());
        let signed = decoder.assemble(&payload, &context, &[sign(&key, &intent.tasks[0])]).unwrap();
        assert_eq!(hex::encode(signed), case["signature"].as_str().unwrap());
        count += 1;
    }
    assert_eq!(count, 20);
    let limit = 256 * 1_024;
    let long = decode("evm/message", MAINNET, &vec![b'a'; limit + 1]);
    assert_eq!(long, Err(EvmError::TooLong { length: limit + 1, limit }));
    assert!(decode("evm/message", MAINNET, &vec![b'a'; limit]).is_ok());
}

#[test]
fn an_authorisation_administers_the_account() {
    let intent = authorization(&consent(1, 7)).unwrap();
    let told: Vec<_> = intent.effects.iter().map(words).collect();
    assert_eq!(told, ["administer c0 eip7702 chainId=1 nonce=7"]);
    assert!(intent.facts.is_empty());
    let everywhere = authorization(&consent(0, 7)).unwrap();
    assert_eq!(
        everywhere.facts.iter().map(|fact| fact.as_str()).collect::<Vec<_>>(),
        ["replayable"]
    );
}

#[test]
fn what_is_no_authorisation_is_refused() {
    let whole = consent(1, 7);
    let long = [vec![5], list(&[number(1), string(&[0xc0; 20]), number(7), number(0)])].concat();
    let short = [vec![5], list(&[number(1), string(&[0xc0; 19]), number(7)])].concat();
    for (name, bytes, error) in [
        ("nothing", vec![], EvmError::Empty),
        ("another magic", [vec![4], whole[1..].to_vec()].concat(), EvmError::Type { found: 4 }),
        ("another chain", consent(5, 7), EvmError::Chain { expected: 1, found: 5 }),
        ("the last nonce", consent(1, u128::from(u64::MAX)), EvmError::Nonce),
        ("a field more", long, EvmError::Trailing { what: "the authorization", count: 1 }),
        ("a short address", short, EvmError::Length { field: "authorization address", length: 19 }),
        (
            "a byte more",
            [whole.clone(), vec![0]].concat(),
            EvmError::Trailing { what: "the authorization", count: 1 },
        ),
        ("too long", vec![5; 65], EvmError::TooLong { length: 65, limit: 64 }),
    ] {
        assert_eq!(authorization(&bytes).unwrap_err(), error, "{name}");
    }
}

#[test]
fn generated_authorisations_are_signed_as_generated() {
    let file = vectors::json("generated/ethereum.json.gz");
    let (mut count, decoder) = (0, EvmDecoder::new());
    for case in file["authorizations"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let key = SigningKey::from_slice(&unhex(text("private_key"))).unwrap();
        let chain: u128 = text("chain_id").parse().unwrap();
        let context = context_of(&format!("eip155:{}", chain.max(1)), public(&key));
        let fields = [
            number(chain),
            string(&unhex(text("address"))),
            number(text("nonce").parse().unwrap()),
        ];
        let payload = payload_of("evm/authorization", &[vec![5], list(&fields)].concat());
        let intent = decoder.decode(&payload, &context).unwrap();
        let TaskInput::Prehash(digest) = &intent.tasks[0].input else { panic!() };
        assert_eq!(hex::encode(digest), text("authorization_hash"));
        let signed = decoder.assemble(&payload, &context, &[sign(&key, &intent.tasks[0])]).unwrap();
        let number_of = |name: &str| {
            let bytes = unhex(&format!("{:0>64}", text(name).trim_start_matches("0x")));
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            string(&bytes[zeros..])
        };
        let parity = number(case["y_parity"].as_u64().unwrap().into());
        let whole = [&fields[..], &[parity, number_of("r"), number_of("s")]].concat();
        assert_eq!(signed, list(&whole));
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn a_transaction_tells_of_each_authorisation_that_it_carries() {
    let one = list(&[number(1), string(&[0xc0; 20]), number(7), number(1), number(5), number(6)]);
    let with = |authorizations: &[Vec<u8>]| {
        let items = [eip1559(), vec![list(authorizations)]].concat();
        decode("evm/transaction", MAINNET, &[vec![4], list(&items)].concat())
    };
    let told: Vec<_> =
        with(&[one.clone(), one.clone()]).unwrap().effects.iter().map(words).collect();
    let consent = "administer c0 eip7702 chainId=1 nonce=7";
    assert_eq!(told, ["9d pays 35 5 /slip44:60", consent, consent, "pay_fee"]);
    assert_eq!(with(&[]).unwrap_err(), EvmError::Length { field: "authorizations", length: 0 });
}

#[test]
fn blobs_are_paid_for_and_must_be_there() {
    let hash = |version: u8| string(&[vec![version], vec![7; 31]].concat());
    let with = |fee: u128, hashes: &[Vec<u8>], to: Vec<u8>| {
        let mut items = eip1559();
        items[5] = to;
        let items = [items, vec![number(fee), list(hashes)]].concat();
        decode("evm/transaction", MAINNET, &[vec![3], list(&items)].concat())
    };
    let to = || string(&[0x35; 20]);
    let fee = |intent: &Intent| {
        let Effect::PayFee { amount, .. } = intent.effects.last().unwrap() else { panic!() };
        amount.units().to_string()
    };
    let two = with(10, &[hash(1), hash(1)], to()).unwrap();
    assert_eq!(fee(&two), (21_000_u64 * 20_000_000_000 + 2 * 131_072 * 10).to_string());
    for (name, found, error) in [
        ("none", with(10, &[], to()), EvmError::Blobs { count: 0 }),
        ("another version", with(10, &[hash(1), hash(2)], to()), EvmError::Blobs { count: 2 }),
        (
            "no receiver",
            with(10, &[hash(1)], string(&[])),
            EvmError::Length { field: "to", length: 0 },
        ),
    ] {
        assert_eq!(found.unwrap_err(), error, "{name}");
    }
}
