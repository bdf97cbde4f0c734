//! Documents of the core: what is read is written to something that reads the same, and unknown
//! fields, duplicate keys and bytes behind the end are refused.

use std::collections::BTreeSet;
use std::fmt::Debug;

use custody_core::command::{Command, CommandResult};
use custody_core::digest::Digest;
use custody_core::document::{
    EVENT_MAX, EventDocument, OrderDocument, SignatureSet, Stored, SubmissionDocument, parse,
    size_of_bytes,
};
use custody_core::effect::Effect;
use custody_core::principal::{Principal, SignedStatement, SubmissionSignature};
use custody_core::seam::{Authentication, DecodeContext, PolicyDocument, Requirement};
use custody_core::time::Timestamp;
use custody_core::window::WindowKey;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::input::{choose, chosen};
use crate::record::Record;
use crate::{Seed, json};

type Reads = fn(&[u8]) -> bool;

const DOCUMENTS: [(&str, Reads); 14] = [
    ("event", |bytes| document::<EventDocument>(bytes) && event(bytes)),
    ("order", |bytes| document::<OrderDocument>(bytes) && order(bytes)),
    ("submission", document::<SubmissionDocument>),
    ("command", |bytes| document::<Command>(bytes) && command(bytes)),
    ("command result", document::<CommandResult>),
    ("signature set", document::<SignatureSet>),
    ("decode context", document::<DecodeContext>),
    ("policy document", |bytes| document::<PolicyDocument>(bytes) && policy(bytes)),
    ("statement", document::<SignedStatement>),
    ("submission signature", document::<SubmissionSignature>),
    ("principal", document::<Principal>),
    ("effect", document::<Effect>),
    ("authentication", document::<Authentication>),
    ("window", |bytes| document::<WindowKey>(bytes) || document::<Requirement>(bytes)),
];

pub(crate) fn parts() -> Vec<&'static str> {
    DOCUMENTS.iter().map(|(name, _)| *name).collect()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let ((name, reads), bytes) = choose(&DOCUMENTS, bytes)?;
    reads(bytes).then_some(name)
}

pub(crate) fn document<T>(bytes: &[u8]) -> bool
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let Ok(stored) = Stored::<T>::read(bytes.to_vec()) else { return false };
    assert_eq!(stored.bytes(), bytes, "what is stored stays verbatim");
    let reference = stored.reference();
    assert_eq!((reference.sha256, reference.size), (Digest::of(bytes), size_of_bytes(bytes)));
    assert!(json::has_unique_keys(bytes), "a key stands twice");
    let written = serde_json::to_vec(stored.value()).unwrap();
    let read: T = parse(&written).unwrap();
    assert_eq!(&read, stored.value(), "what is written reads the same");
    assert_eq!(serde_json::to_vec(&read).unwrap(), written, "it is always written alike");
    assert!(parse::<T>(&[bytes, b" 1"].concat()).is_err(), "nothing may follow");
    assert!(parse::<T>(&with_field(&written)).is_err(), "an unknown field is refused");
    true
}

/// The document with a field that no document has, if it is an object.
fn with_field(written: &[u8]) -> Vec<u8> {
    match written {
        [b'{', b'}'] => br#"{"unknown_to_all":1}"#.to_vec(),
        [b'{', rest @ ..] => [br#"{"unknown_to_all":1,"#, rest].concat(),
        _ => br#"{"unknown_to_all":1}"#.to_vec(),
    }
}

fn event(bytes: &[u8]) -> bool {
    let event = EventDocument::read(bytes).unwrap();
    assert!(event.at <= Timestamp::MAX, "no time is later than the last one");
    match event.to_bytes() {
        Ok(written) => assert!(written.len() <= EVENT_MAX),
        Err(_) => assert!(serde_json::to_vec(&event).unwrap().len() > EVENT_MAX),
    }
    true
}

fn order(bytes: &[u8]) -> bool {
    let order: OrderDocument = parse(bytes).unwrap();
    assert!(order.submitted <= Timestamp::MAX && order.expires <= Timestamp::MAX);
    if let Ok(charges) = custody_core::ledger::charges(&order) {
        let spent: BTreeSet<_> = order
            .effects
            .iter()
            .filter_map(Effect::amount)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|amount| amount.asset().clone())
            .collect();
        assert!(charges.iter().all(|(key, _)| spent.contains(&key.asset)));
    }
    true
}

fn command(bytes: &[u8]) -> bool {
    let command: Command = parse(bytes).unwrap();
    assert!(command.action().is_governance());
    assert_eq!(command.effect(command.wallet()).action(), command.action());
    true
}

fn policy(bytes: &[u8]) -> bool {
    let document: PolicyDocument = parse(bytes).unwrap();
    assert_eq!(*PolicyDocument::id_of(bytes).digest(), Digest::of(bytes));
    assert_eq!(parse::<PolicyDocument>(&document.to_bytes().unwrap()).unwrap(), document);
    true
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |part: &str, name: &str, bytes: &[u8]| {
        let number = parts().iter().position(|name| *name == part).unwrap();
        let part = part.replace(' ', "-");
        seeds.push((format!("{part}-{name}"), chosen(number, bytes)));
        if name == "0" {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let unknown = with_field(bytes);
            let spaced = text.replacen(':', " :\n", 3);
            let twice = text.replacen('{', &format!("{{{},", first_member(&text)), 1);
            let halved = &bytes[..bytes.len() / 2];
            for (name, bytes) in [
                ("unknown", &unknown[..]),
                ("spaced", spaced.as_bytes()),
                ("twice", twice.as_bytes()),
                ("halved", halved),
            ] {
                seeds.push((format!("{part}-{name}"), chosen(number, bytes)));
            }
        }
    };
    for (part, documents) in Record::shared().documents_by_kind() {
        for (number, document) in documents.iter().enumerate() {
            add(part, &number.to_string(), document);
        }
    }
    seeds
}

/// The first member of an object, as it is written.
fn first_member(text: &str) -> &str {
    let (mut depth, mut quoted) = (0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        let ends = (depth == 1 && byte == b',' && !quoted) || depth == 0;
        if at > 0 && ends {
            return &text[1..at];
        }
    }
    ""
}
