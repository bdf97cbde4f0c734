//! Documents of ceremonies, good ones and damaged ones. Opens secrets, of tests only.

use custody_core::document::V1;
use custody_core::id::{KeyId, WalletId};
use custody_core::time::Timestamp;
use custody_recovery::archive::ArchiveId;
use custody_recovery::ceremony::{
    Confirm, Confirmations, Permit, Purpose, Recover, Replace, Rotate, Split,
};
use custody_recovery::drill::{DrillDocument, Evidence, UnprovedDocument};
use custody_recovery::{Challenge, ShareKey, SharePosition, X25519PublicKey};
use custody_testkit::runtime::TestEntropy;
use serde::Serialize;

use super::house::{MADE, NOBODY, custodian, distribution, order, share_of};
use super::{FIRST, HOLDER, PACKET, PARTS, STRANGER, key, shown};
use crate::Seed;
use crate::input::{chosen, cut, flip};
use crate::kms_texts::WORD;

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |part: &str, name: &str, bytes: &[u8]| {
        let number = PARTS.iter().position(|known| *known == part).unwrap();
        seeds.push((format!("{}-{name}", part.replace(' ', "-")), chosen(number, bytes)));
    };
    for (part, text) in documents() {
        add(part, "whole", text.as_bytes());
        add(part, "halved", &text.as_bytes()[..text.len() / 2]);
        for (name, from, to) in [
            ("spaced", "{\"v\":1", "{ \"v\" :\n1"),
            ("twice", "{\"v\":1", "{\"v\":1,\"v\":1"),
            ("unknown", "{\"v\":1", "{\"v\":1,\"s3cret-input\":0"),
            ("later-version", "{\"v\":1", "{\"v\":2"),
        ] {
            add(part, name, text.replacen(from, to, 1).as_bytes());
        }
    }
    for (part, name, text) in changed_documents() {
        add(part, name, text.as_bytes());
    }
    add("changed packet", "same", &[]);
    add("changed packet", "cut", &cut(100));
    let text = text(&*PACKET);
    for field in ["custodian", "set", "group", "member", "to", "encapsulated", "sealed"] {
        let at = text.find(&format!("\"{field}\"")).unwrap() + field.len() + 4;
        add("changed packet", field, &flip(u16::try_from(at).unwrap(), 1));
    }
    for (name, text) in [
        ("named", "site-1.a_b"),
        ("empty", ""),
        ("longest", &"a".repeat(64)),
        ("long", &"a".repeat(65)),
        ("word", &format!("{WORD}/")),
    ] {
        add("place", name, text.as_bytes());
    }
    seeds
}

/// One good document of each part that reads one.
fn documents() -> Vec<(&'static str, String)> {
    let (set, until) = (MADE.record.set, Timestamp::from_millis(1_767_225_600_000));
    let (from, confirmations) = (MADE.record.reference(), Confirmations::Every);
    let purpose = Purpose::Custodian {};
    let recover = Recover { v: V1, set, purpose: purpose.clone(), until };
    let rotate =
        Rotate { v: V1, from: from.clone(), distribution: distribution("dan"), confirmations };
    let replace = Replace {
        v: V1,
        from,
        leaving: MADE.record.distribution.groups()[0].holders[2].principal.clone(),
        distribution: distribution("dan"),
        confirmations: MADE.record.confirmations,
    };
    let permit = Permit { v: V1, custodian: custodian(), order: order(), set, purpose, until };
    vec![
        ("confirm", text(&confirmation())),
        ("drill", text(&DrillDocument { v: V1, archive: Some(shown().archive) })),
        ("evidence", text(&shown())),
        ("given packet", text(&*PACKET)),
        ("permit", text(&permit)),
        ("record", text(&MADE.record)),
        ("recover", text(&recover)),
        ("replace", text(&replace)),
        ("rotate", text(&rotate)),
        ("split", text(&Split { v: V1, distribution: distribution("cyd"), confirmations })),
    ]
}

/// The good documents with something else in them: part, name, document.
fn changed_documents() -> Vec<(&'static str, &'static str, String)> {
    let good = documents();
    let good = |part: &str| good.iter().find(|(name, _)| *name == part).unwrap().1.clone();
    let (record, recover) = (&MADE.record, good("recover"));
    let recover_for = |purpose: &Purpose| recover.replace("{\"custodian\":{}}", &text(purpose));
    let wallet = WalletId::parse("hot").unwrap();
    let words = Purpose::Words { wallet: wallet.clone(), seed: KeyId::parse("seed").unwrap() };
    let public_key = text(&record.public_key);
    let other_key = text(&X25519PublicKey::new([9; 32]));
    let [holder, stranger] = [HOLDER, STRANGER].map(|seed| text(&key(seed).public_key()));
    let commitment =
        |member: u8| text(record.commitments.get(SharePosition { group: 0, member }).unwrap());
    let nobody = format!("\"{NOBODY}\"");
    let unproved = UnprovedDocument {
        key: KeyId::parse("key-1").unwrap(),
        reason: "the backend is not open".to_owned(),
    };
    let unproved = Evidence { unproved: vec![unproved], ..shown() };
    let empty_groups = "[],".repeat(300);
    let with_purpose = "\"purpose\":{\"custodian\":{}},\"to\":";
    let changed = |part: &'static str, name: &'static str, from: &str, to: &str| {
        (part, name, good(part).replace(from, to))
    };
    vec![
        changed("confirm", "other-nonce", "\"nonce\":\"", "\"nonce\":\"0"),
        changed("confirm", "other-expiry", "000,\"possession", "001,\"possession"),
        changed("confirm", "other-share", "\"member\":0", "\"member\":1"),
        ("drill", "newest", "{\"v\":1}".to_owned()),
        ("drill", "other", text(&DrillDocument { v: V1, archive: Some(ArchiveId::new([2; 32])) })),
        ("drill", "word", format!("{{\"v\":1,\"archive\":\"{WORD}\"}}")),
        ("evidence", "unproved", text(&unproved)),
        changed("evidence", "after-the-last-time", ":2000", ":9007199254740992"),
        changed("given packet", "to-a-stranger", &holder, &stranger),
        changed("given packet", "for-a-purpose", "\"to\":", with_purpose),
        ("given packet", "other-end", with_other_end(&good("given packet"))),
        changed("record", "empty-groups", "[[", &format!("[{empty_groups}[")),
        changed("record", "commitment-twice", &commitment(0), &commitment(1)),
        changed("record", "too-few-commitments", &format!("{},", commitment(0)), ""),
        changed("record", "followed", "\"identifier\"", &follows()),
        ("recover", "wallet", recover_for(&Purpose::Wallet { wallet })),
        ("recover", "words", recover_for(&words)),
        ("recover", "reshare", recover_for(&Purpose::Reshare { order: order() })),
        changed("recover", "unknown-below", "{\"custodian\":{}}", "{\"custodian\":{\"a\":1}}"),
        changed("replace", "stranger", "\"leaving\":\"cyd\"", "\"leaving\":\"eve\""),
        changed("replace", "more-than-one", "\"bob\"", "\"eve\""),
        changed("replace", "other-key", &public_key, &other_key),
        changed("rotate", "other-key", &public_key, &other_key),
        changed("rotate", "other-set", &text(&record.set), &text(&custodian())),
        changed("rotate", "out-of-reach", "\"dan\"", &nobody),
        changed("split", "a-person-twice", "\"bob\"", "\"ann\""),
        changed("split", "out-of-reach", "\"cyd\"", &nobody),
        changed("split", "some-confirm", "\"every\"", "{\"at_least\":2}"),
        changed("split", "too-many-groups", "d\":1", "d\":2"),
        changed("split", "copies", "d\":2", "d\":1"),
    ]
}

/// The text of a packet, of which the last digit is another.
fn with_other_end(text: &str) -> String {
    let (most, end) = text.split_at(text.len() - 3);
    let digit = if end.starts_with('0') { '1' } else { '0' };
    format!("{most}{digit}{}", &end[1..])
}

/// A field that says which set is followed, before the next one.
fn follows() -> String {
    format!("\"from\":{},\"identifier\"", text(&MADE.record.set))
}

/// The answer of the first holder to a challenge.
fn confirmation() -> Confirm {
    let (set, expires) = (MADE.record.set, Timestamp::from_millis(1_767_225_600_000));
    let entropy = TestEntropy::seeded(5);
    let challenge = Challenge::ask(custodian(), set, FIRST, expires, &entropy).unwrap();
    Confirm::answer(&challenge, &ShareKey::of(&share_of(&MADE.words[0])).unwrap())
}

fn text(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap()
}
