//! Short texts: what parses is written as it was read, and reads alike in a document.

use std::fmt::{Debug, Display};
use std::str::FromStr as _;

use alloy_primitives::keccak256;
use bitcoin::{Address, Network};
use custody_chain::{BitcoinAddress, EvmAddress, SolanaAddress};
use custody_core::amount::Units;
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::digest::Digest;
use custody_core::effect::{DecodeFact, MessageKind, Selector};
use custody_core::id::{
    BackendId, BackendIdentity, BookId, CredentialId, CustodianId, DecoderId, EngineId,
    ExtensionName, KekId, KeyId, OrderId, OrganisationId, PayloadFormat, PolicyId, PrincipalId,
    RequestId, RoleId, RuleId, TierId, WalletId,
};
use custody_core::seam::{DerivationPath, RecordKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Seed;
use crate::input::{choose, chosen, one_changed};

/// What writes a text again after it was parsed; none if it is refused.
type Rewrite = fn(&str) -> Option<String>;

macro_rules! ids {
    ($($name:ident),*) => {
        [$((stringify!($name), (|text| document(text, $name::parse(text).ok())) as Rewrite),)*]
    };
}

/// Texts that stand in documents as they are.
const IDS: [(&str, Rewrite); 22] = ids![
    BackendId,
    BackendIdentity,
    BookId,
    ChainId,
    CredentialId,
    DecoderId,
    DerivationPath,
    Digest,
    EngineId,
    ExtensionName,
    KekId,
    KeyId,
    OrderId,
    OrganisationId,
    PayloadFormat,
    PrincipalId,
    RequestId,
    RoleId,
    RuleId,
    TierId,
    Units,
    WalletId
];

const OTHERS: [(&str, Rewrite); 8] = [
    ("AccountId", |text| lower_case(text, AccountId::parse(text).ok())),
    ("AssetId", |text| lower_case(text, AssetId::parse(text).ok())),
    ("CustodianId", |text| digest_id(text, |digest| CustodianId::new(digest).to_string())),
    ("DecodeFact", |text| DecodeFact::parse(text).ok().map(|fact| fact.as_str().to_owned())),
    ("MessageKind", |text| MessageKind::parse(text).ok().map(|kind| kind.as_str().to_owned())),
    ("PolicyId", |text| digest_id(text, |digest| PolicyId::new(digest).to_string())),
    ("RecordKey", |text| RecordKey::parse(text).ok().map(|key| key.to_string())),
    ("Selector", |text| Selector::parse(text).ok().map(|selector| selector.as_str().to_owned())),
];

/// What people type and copy.
const ADDRESSES: [(&str, Rewrite); 3] =
    [("BitcoinAddress", bitcoin), ("EvmAddress", evm), ("SolanaAddress", solana)];

pub(crate) fn parts() -> Vec<&'static str> {
    table().map(|(name, _)| name).collect()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let table: Vec<_> = table().collect();
    let ((name, rewrite), text) = choose(&table, bytes)?;
    let text = std::str::from_utf8(text).ok()?;
    let written = rewrite(text)?;
    assert!(written.len() <= 512, "{name}: {} bytes", written.len());
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{name}: another alphabet");
    assert_eq!(rewrite(&written).as_ref(), Some(&written), "{name}: what was written is read");
    match *name {
        "AccountId" | "AssetId" | "BitcoinAddress" => {
            assert!(written.eq_ignore_ascii_case(text), "{name}")
        }
        _ => assert_eq!(written, text, "{name}: a text is written as it was read"),
    }
    Some(name)
}

fn table() -> impl Iterator<Item = (&'static str, Rewrite)> {
    IDS.into_iter().chain(OTHERS).chain(ADDRESSES)
}

/// The text of what was parsed, which reads alike as a document.
fn document<T>(text: &str, parsed: Option<T>) -> Option<String>
where
    T: Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_string(text).unwrap();
    let read: Option<T> = serde_json::from_str(&json).ok();
    assert_eq!(read, parsed, "a text is read alike by itself and in a document");
    let written = parsed?.to_string();
    assert_eq!(serde_json::to_string(&read).unwrap(), format!("{written:?}"));
    Some(written)
}

/// As [`document`], of what may be kept in lower case.
fn lower_case<T>(text: &str, parsed: Option<T>) -> Option<String>
where
    T: Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    document(text, parsed)
}

fn digest_id(text: &str, write: fn(Digest) -> String) -> Option<String> {
    Digest::parse(text).ok().map(write)
}

/// An address that the `bitcoin` crate reads as the same script; no other network takes it, and
/// no text in which one character is another.
fn bitcoin(text: &str) -> Option<String> {
    let chain = ChainId::parse(BITCOIN).unwrap();
    let address = BitcoinAddress::parse(&chain, text).ok()?;
    let script = |text: &str| {
        let read = Address::from_str(text).unwrap().require_network(Network::Bitcoin);
        read.unwrap().script_pubkey()
    };
    assert_eq!(script(text), script(address.as_str()));
    assert_eq!(BitcoinAddress::of_account(address.account()).as_ref(), Ok(&address));
    let test = ChainId::parse("bip122:000000000933ea01ad0ee984209779ba").unwrap();
    assert!(BitcoinAddress::parse(&test, text).is_err(), "an address of another network");
    for (at, changed) in one_changed(text) {
        assert!(BitcoinAddress::parse(&chain, &changed).is_err(), "character {at} changed");
    }
    Some(address.to_string())
}

/// An address of which each letter is in the case that EIP-55 has it in, said a second time.
fn evm(text: &str) -> Option<String> {
    let chain = ChainId::parse("eip155:1").unwrap();
    let address = EvmAddress::parse(&chain, text).ok()?;
    let lower = text.strip_prefix("0x").unwrap().to_ascii_lowercase();
    let hash = hex::encode(keccak256(&lower));
    let is_right = |(digit, hash): (char, char)| {
        !digit.is_ascii_alphabetic() || digit.is_ascii_uppercase() == (hash >= '8')
    };
    assert_eq!(lower.len(), 40);
    assert!(text.chars().skip(2).zip(hash.chars()).all(is_right), "a letter in another case");
    assert_eq!(address.account().address(), format!("0x{lower}"));
    assert_eq!(EvmAddress::of_account(address.account()).as_ref(), Ok(&address));
    for at in 2..text.len() {
        let mut changed = text.as_bytes().to_vec();
        if changed[at].is_ascii_alphabetic() {
            changed[at] ^= 0x20;
            let changed = String::from_utf8(changed).unwrap();
            assert!(EvmAddress::parse(&chain, &changed).is_err(), "letter {at} in another case");
        }
    }
    Some(address.to_string())
}

/// The base58 text of 32 bytes, as a second reader has it.
fn solana(text: &str) -> Option<String> {
    let chain = ChainId::parse("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp").unwrap();
    let address = SolanaAddress::parse(&chain, text).ok()?;
    let bytes = bs58::decode(text).into_vec().unwrap();
    assert_eq!(bytes.len(), 32);
    assert_eq!(bs58::encode(bytes).into_string(), text);
    assert_eq!(SolanaAddress::of_account(address.account()).as_ref(), Ok(&address));
    Some(address.to_string())
}

const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";

pub(crate) fn seeds() -> Vec<Seed> {
    let good = |name: &str| match name {
        "AccountId" => "eip155:1:0xAb16a96D359eC26a11e2C2b3d8f8B8942d5Bfcdb",
        "AssetId" => "eip155:1/erc20:0xA0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "BitcoinAddress" => "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "ChainId" => "eip155:1",
        "CustodianId" | "Digest" | "PolicyId" => {
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        }
        "DecodeFact" => "replayable",
        "DerivationPath" => "m/44'/60'/0'/0/2147483647",
        "EvmAddress" => "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "MessageKind" => "opaque/keccak256",
        "RecordKey" => "document/order/ff",
        "Selector" => "0xa9059cbb",
        "SolanaAddress" => "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "Units" => "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        "BackendIdentity" | "EngineId" | "ExtensionName" | "KekId" | "RequestId" => {
            "Kek:01/a+b@c.d"
        }
        "RoleId" | "TierId" => "treasurer_1",
        _ => "018bcfe5-6800-7000-8000-0000000001",
    };
    let mut seeds = Vec::new();
    for (part, name) in parts().into_iter().enumerate() {
        let text = good(name);
        seeds.push((name.to_owned(), chosen(part, text.as_bytes())));
        let long = text.repeat(600 / text.len());
        seeds.push((format!("{name}-long"), chosen(part, long.as_bytes())));
        seeds.push((format!("{name}-spaced"), chosen(part, format!(" {text}").as_bytes())));
        seeds.push((format!("{name}-empty"), chosen(part, b"")));
        for (_, kind, text) in OTHER_ADDRESSES.iter().filter(|(of, ..)| *of == name) {
            seeds.push((format!("{name}-{kind}"), chosen(part, text.as_bytes())));
        }
    }
    seeds
}

/// Addresses of other kinds, and texts that are none.
const OTHER_ADDRESSES: [(&str, &str, &str); 11] = [
    ("BitcoinAddress", "key-hash", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
    ("BitcoinAddress", "script-hash", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
    ("BitcoinAddress", "taproot", BECH32M),
    ("BitcoinAddress", "upper-case", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
    ("BitcoinAddress", "mixed-case", "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("BitcoinAddress", "other-network", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"),
    ("BitcoinAddress", "one-changed", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),
    ("EvmAddress", "lower-case", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
    ("EvmAddress", "digits", "0x0000000000000000000000000000000000000001"),
    ("SolanaAddress", "zeros", "11111111111111111111111111111111"),
    ("SolanaAddress", "short", "1111111111111111111111111111111"),
];

/// BIP-350, "Test vectors for v0-v16 native segregated witness addresses".
const BECH32M: &str = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0";
