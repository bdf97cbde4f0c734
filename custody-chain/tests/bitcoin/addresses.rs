//! Addresses, paths and descriptors for watching.

use std::collections::BTreeMap;

use bitcoin::bip32::Xpub;
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Address, Network, Script};
use custody_chain::{
    AddressKind, BitcoinAddress, BitcoinAddressError, BitcoinDescriptorError, Branch,
};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::{DerivationPath, ExtendedPublicKey};
use custody_testkit::vectors;
use serde_json::Value;

use crate::support::{MAINNET, bip340, ecdsa};

const TESTNET4: &str = "bip122:00000000da84f2bafbbc53dee25a72ae";
const REGTEST: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
const KINDS: [AddressKind; 4] = [
    AddressKind::KeyHash,
    AddressKind::NestedKeyHash,
    AddressKind::Taproot,
    AddressKind::WitnessKeyHash,
];

fn chain(text: &str) -> ChainId {
    ChainId::parse(text).unwrap()
}

fn parse(on: &str, text: &str) -> Result<BitcoinAddress, BitcoinAddressError> {
    BitcoinAddress::parse(&chain(on), text)
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// On how many of the three kinds of networks an address is read.
fn readers(text: &str) -> usize {
    [MAINNET, TESTNET4, REGTEST].into_iter().filter(|on| parse(on, text).is_ok()).count()
}

#[test]
fn segwit_addresses_of_the_standards_are_read_as_their_scripts() {
    let (mut valid, mut outdated, mut invalid) = (0, 0, 0);
    for file in ["bech32/bech32.json", "bech32/bech32m.json"] {
        let json = vectors::json(file);
        for case in list(&json["valid_segwit"]) {
            let (address, script) = (text(case, "string"), text(case, "script_pubkey"));
            let is_mainnet = address.to_lowercase().starts_with("bc1");
            let (on, network) = match is_mainnet {
                true => (MAINNET, Network::Bitcoin),
                false => (TESTNET4, Network::Testnet4),
            };
            let script = hex::decode(script).unwrap();
            let expected = Address::from_script(Script::from_bytes(&script), network);
            // BIP-173 had addresses of later versions in Bech32, which BIP-350 refuses.
            match parse(on, address) {
                Ok(found) => assert_eq!(found.as_str(), expected.unwrap().to_string()),
                Err(error) => {
                    assert_eq!((file, error), ("bech32/bech32.json", BitcoinAddressError::Text));
                    outdated += 1;
                    continue;
                }
            }
            assert_eq!(readers(address), 1, "{address}");
            valid += 1;
        }
        for case in list(&json["invalid_segwit"]) {
            let bytes = hex::decode(text(case, "string_latin1_hex")).unwrap();
            let address: String = bytes.into_iter().map(char::from).collect();
            assert_eq!(readers(&address), 0, "{address}");
            invalid += 1;
        }
    }
    assert_eq!((valid, outdated, invalid), (11, 3, 25));
}

#[test]
fn base58_addresses_of_bitcoinjs_are_read_on_their_network_only() {
    let mut counts = BTreeMap::new();
    for case in list(&vectors::json("bitcoin/bitcoinjs/base58_keys_valid.json")) {
        let (address, is_key) = (case[0].as_str().unwrap(), case[2]["isPrivkey"] == true);
        let is_testnet = case[2]["isTestnet"] == true;
        let expected = match (is_key, is_testnet) {
            (true, _) => [false, false, false],
            (false, true) => [false, true, true],
            (false, false) => [true, false, false],
        };
        let found = [MAINNET, TESTNET4, REGTEST].map(|on| parse(on, address).is_ok());
        assert_eq!(found, expected, "{address}");
        *counts.entry(expected).or_insert(0) += 1;
    }
    let expected =
        [([false, false, false], 24), ([false, true, true], 12), ([true, false, false], 14)];
    assert_eq!(counts, BTreeMap::from(expected));
    let invalid = vectors::json("bitcoin/bitcoinjs/base58_keys_invalid.json");
    for case in list(&invalid) {
        assert_eq!(readers(case[0].as_str().unwrap()), 0, "{case}");
    }
    assert_eq!(list(&invalid).len(), 50);
}

#[test]
fn invalid_addresses_of_bitcoinjs_are_refused() {
    let json = vectors::json("bitcoin/bitcoinjs/address.json");
    let mut count = 0;
    for name in ["bech32", "fromBase58Check"] {
        for case in list(&json["invalid"][name]) {
            assert_eq!(readers(text(case, "address")), 0, "{case}");
            count += 1;
        }
    }
    for case in list(&json["standard"]).iter().filter(|case| case["network"] == "litecoin") {
        let is_shared = text(case, "base58check").starts_with(['2', '3']);
        assert!(is_shared || readers(text(case, "base58check")) == 0, "{case}");
        count += 1;
    }
    assert_eq!(count, 11);
}

/// The recorded key of a public key: of taproot the output key.
fn key(bytes: &[u8], kind: AddressKind) -> PublicKey {
    if kind != AddressKind::Taproot {
        return PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, bytes).unwrap();
    }
    let internal = bitcoin::PublicKey::from_slice(bytes).unwrap().inner.x_only_public_key().0;
    let output = internal.tap_tweak(&Secp256k1::verification_only(), None).0;
    PublicKey::from_bytes(Algorithm::Bip340, &output.to_x_only_public_key().serialize()).unwrap()
}

#[test]
fn generated_addresses_follow_from_their_keys_and_stand_at_their_paths() {
    let mut counts = BTreeMap::new();
    for wallet in list(&vectors::json("generated/hd_addresses.json.gz")) {
        for case in list(&wallet["accounts"]) {
            let on = match text(case, "coin") {
                "BTC" => MAINNET,
                "TBTC" => TESTNET4,
                _ => continue,
            };
            let purpose = case["purpose"].as_u64().unwrap();
            let kind = match purpose {
                44 => AddressKind::KeyHash,
                49 => AddressKind::NestedKeyHash,
                84 => AddressKind::WitnessKeyHash,
                _ => AddressKind::Taproot,
            };
            let address = text(case, "address");
            assert_eq!(parse(on, address).unwrap().as_str(), address);
            let key = key(&hex::decode(text(case, "public_key")).unwrap(), kind);
            let found = BitcoinAddress::of_key(&chain(on), &key, kind).unwrap();
            assert_eq!(found.as_str(), address);
            let steps: Vec<u32> = text(case, "path")
                .split('/')
                .skip(3)
                .map(|step| step.trim_end_matches('\'').parse().unwrap())
                .collect();
            let branch = if steps[1] == 0 { Branch::Receive } else { Branch::Change };
            let path = kind.key_path(&chain(on), steps[0], branch, steps[2]).unwrap();
            assert_eq!(path.to_string(), text(case, "path"));
            *counts.entry(purpose).or_insert(0) += 1;
        }
    }
    assert_eq!(counts, BTreeMap::from([(44, 20), (49, 20), (84, 40), (86, 20)]));
}

#[test]
fn the_addresses_of_bip_341_are_those_of_its_output_keys() {
    let json = vectors::json("bip341/wallet-test-vectors.json");
    let cases = list(&json["scriptPubKey"]);
    for case in cases {
        let key = hex::decode(text(&case["intermediary"], "tweakedPubkey")).unwrap();
        let key = PublicKey::from_bytes(Algorithm::Bip340, &key).unwrap();
        let found = BitcoinAddress::of_key(&chain(MAINNET), &key, AddressKind::Taproot).unwrap();
        assert_eq!(found.as_str(), text(&case["expected"], "bip350Address"));
    }
    assert_eq!(cases.len(), 7);
}

#[test]
fn an_account_has_the_one_text_of_its_address() {
    let upper = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4";
    let address = parse(MAINNET, upper).unwrap();
    assert_eq!(address.as_str(), upper.to_lowercase());
    assert_eq!(BitcoinAddress::of_account(address.account()), Ok(address.clone()));
    let shouted = AccountId::new(&chain(MAINNET), upper).unwrap();
    assert_eq!(BitcoinAddress::of_account(&shouted), Err(BitcoinAddressError::Text));
    let elsewhere = AccountId::new(&chain(TESTNET4), address.as_str()).unwrap();
    assert_eq!(BitcoinAddress::of_account(&elsewhere), Err(BitcoinAddressError::Network));
    let ether = AccountId::parse("eip155:1:0xab").unwrap();
    assert_eq!(BitcoinAddress::of_account(&ether), Err(BitcoinAddressError::Chain));
}

#[test]
fn a_wrong_network_address_is_refused() {
    let mainnet = BitcoinAddress::of_key(
        &chain(MAINNET),
        ecdsa(1).key.public_key(),
        AddressKind::WitnessKeyHash,
    );
    let text = mainnet.unwrap().to_string();
    assert_eq!(parse(TESTNET4, &text), Err(BitcoinAddressError::Network));
    assert_eq!(parse(REGTEST, &text), Err(BitcoinAddressError::Network));
    assert_eq!(parse("eip155:1", &text), Err(BitcoinAddressError::Chain));
    for text in ["", "bc1", " bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", &"b".repeat(91)] {
        assert_eq!(parse(MAINNET, text), Err(BitcoinAddressError::Text), "{text:?}");
    }
}

#[test]
fn keys_have_addresses_of_their_algorithm_only() {
    for kind in KINDS {
        for key in [ecdsa(1), bip340(1)] {
            let is_taproot = kind == AddressKind::Taproot;
            let fits = (key.key.algorithm() == Algorithm::Bip340) == is_taproot;
            let found = BitcoinAddress::of_key(&chain(MAINNET), key.key.public_key(), kind);
            assert_eq!(found.is_ok(), fits, "{kind:?} of {}", key.key.algorithm());
        }
    }
}

/// The account keys of BIP-86's and BIP-84's test vectors, out of the words `abandon … about`.
const BIP86: &str = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";
const ROOT: [u8; 4] = [0x73, 0xc5, 0xda, 0x0a];

#[test]
fn an_account_is_exported_with_its_origin_and_checksum() {
    let on = chain(MAINNET);
    let found = AddressKind::Taproot.descriptor(&on, ROOT, 0, BIP86).unwrap();
    let (body, sum) = found.as_str().split_once('#').unwrap();
    assert_eq!(body, format!("tr([73c5da0a/86'/0'/0']{BIP86}/<0;1>/*)"));
    assert_eq!(sum.len(), 8);
    for kind in KINDS {
        assert!(kind.descriptor(&on, ROOT, 0, BIP86).is_ok(), "{kind:?}");
    }
}

/// The key of BIP-86 as a custodian tells it.
fn account_key(path: &str) -> ExtendedPublicKey {
    let xpub: Xpub = BIP86.parse().unwrap();
    let bytes = xpub.public_key.serialize();
    ExtendedPublicKey {
        public_key: PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, &bytes).unwrap(),
        chain_code: xpub.chain_code.to_bytes(),
        path: DerivationPath::parse(path).unwrap(),
        parent_fingerprint: xpub.parent_fingerprint.to_bytes(),
        root_fingerprint: ROOT,
    }
}

#[test]
fn the_key_that_a_custodian_tells_gives_the_descriptor_of_the_same_text() {
    let on = chain(MAINNET);
    let found = AddressKind::Taproot.account_descriptor(&on, &account_key("m/86'/0'/0'")).unwrap();
    assert_eq!(found, AddressKind::Taproot.descriptor(&on, ROOT, 0, BIP86).unwrap());
}

#[test]
fn keys_at_other_paths_than_the_kinds_have_no_descriptor() {
    use BitcoinDescriptorError as Error;
    let on = chain(MAINNET);
    for path in ["m", "m/0'", "m/84'/0'/0'", "m/86'/1'/0'", "m/86'/0'/0", "m/86'/0'/0'/0'"] {
        let refused = AddressKind::Taproot.account_descriptor(&on, &account_key(path));
        assert_eq!(refused, Err(Error::Origin), "{path}");
    }
    let other = chain("eip155:1");
    let refused = AddressKind::Taproot.account_descriptor(&other, &account_key("m/86'/0'/0'"));
    assert_eq!(refused, Err(Error::Chain));
    let mut key = account_key("m/86'/0'/0'");
    key.public_key = bip340(1).key.public_key().clone();
    let refused = AddressKind::Taproot.account_descriptor(&on, &key);
    assert_eq!(refused, Err(Error::NotExtended));
}

#[test]
fn other_keys_are_not_exported() {
    use BitcoinDescriptorError as Error;
    let on = chain(MAINNET);
    let private = "xprv9s21ZrQH143K3GJpoapnV8SFfukcVBSfeCficPSGfubmSFDxo1kuHnLisriDvSnRRuL2Qrg5ggqHKNVpxR86QEC8w35uxmGoggxtQTPvfUu";
    let master = "xpub661MyMwAqRbcFkPHucMnrGNzDwb6teAX1RbKQmqtEF8kK3Z7LZ59qafCjB9eCRLiTVG3uxBxgKvRgbubRhqSKXnGGb1aoaqLrpMBDrVxga8";
    for (name, chain, account, key, expected) in [
        ("another account", &on, 1, BIP86, Error::Origin),
        ("an account above 2^31", &on, 1 << 31, BIP86, Error::Origin),
        ("the seed's own key", &on, 0, master, Error::Origin),
        ("a private key", &on, 0, private, Error::NotExtended),
        ("no key", &on, 0, "xpub", Error::NotExtended),
        ("another network", &chain(TESTNET4), 0, BIP86, Error::Network),
        ("another chain", &chain("eip155:1"), 0, BIP86, Error::Chain),
    ] {
        let refused = AddressKind::Taproot.descriptor(chain, ROOT, account, key);
        assert_eq!(refused, Err(expected), "{name}");
    }
}

#[test]
fn paths_are_those_of_the_standards() {
    for (kind, on, expected) in [
        (AddressKind::KeyHash, MAINNET, "m/44'/0'/3'/0/5"),
        (AddressKind::NestedKeyHash, MAINNET, "m/49'/0'/3'/0/5"),
        (AddressKind::WitnessKeyHash, MAINNET, "m/84'/0'/3'/0/5"),
        (AddressKind::Taproot, MAINNET, "m/86'/0'/3'/0/5"),
        (AddressKind::Taproot, TESTNET4, "m/86'/1'/3'/0/5"),
        (AddressKind::WitnessKeyHash, REGTEST, "m/84'/1'/3'/0/5"),
    ] {
        let path = kind.key_path(&chain(on), 3, Branch::Receive, 5).unwrap();
        assert_eq!(path.to_string(), expected);
    }
    let kind = AddressKind::Taproot;
    assert!(kind.account_path(&chain("eip155:1"), 0).is_none());
    assert!(kind.account_path(&chain(MAINNET), 1 << 31).is_none());
    assert!(kind.key_path(&chain(MAINNET), 0, Branch::Change, 1 << 31).is_none());
}
