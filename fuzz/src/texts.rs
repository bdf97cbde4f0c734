//! Short texts: what parses is written as it was read, and reads alike in a document.

use std::fmt::{Debug, Display};

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
use crate::input::{choose, chosen};

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
        "AccountId" | "AssetId" => assert!(written.eq_ignore_ascii_case(text), "{name}"),
        _ => assert_eq!(written, text, "{name}: a text is written as it was read"),
    }
    Some(name)
}

fn table() -> impl Iterator<Item = (&'static str, Rewrite)> {
    IDS.into_iter().chain(OTHERS)
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

pub(crate) fn seeds() -> Vec<Seed> {
    let good = |name: &str| match name {
        "AccountId" => "eip155:1:0xAb16a96D359eC26a11e2C2b3d8f8B8942d5Bfcdb",
        "AssetId" => "eip155:1/erc20:0xA0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "ChainId" => "eip155:1",
        "CustodianId" | "Digest" | "PolicyId" => {
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        }
        "DecodeFact" => "replayable",
        "DerivationPath" => "m/44'/60'/0'/0/2147483647",
        "MessageKind" => "opaque/keccak256",
        "RecordKey" => "document/order/ff",
        "Selector" => "0xa9059cbb",
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
    }
    seeds
}
