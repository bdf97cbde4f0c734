//! The bytes of everything that is stored, hashed or signed. A changed snapshot is a format change.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "fixtures and helpers of tests, which fail by panicking"
)]

#[path = "documents/commands.rs"]
mod commands;
#[path = "documents/fixtures.rs"]
mod fixtures;
#[path = "documents/round_trip.rs"]
mod round_trip;
#[path = "documents/strict.rs"]
mod strict;

use custody_core::document::{EVENT_MAX, EventDocument, Hold, Stored};
use custody_core::principal::{Verb, rotation_signing_digest, submission_signing_digest};
use custody_core::seam::PolicyDocument;
use custody_core::{bytes::HexBytes, crypto::Algorithm, digest::Digest, document::EventBody};
use custody_testkit::key::TestKey;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A document's name, digest, size and bytes.
fn pinned(name: &str, bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).expect("documents are UTF-8");
    format!("{name}\n{} {}\n{text}\n\n", Digest::of(bytes), bytes.len())
}

fn written<T: Serialize + DeserializeOwned>(name: &str, document: T) -> String {
    pinned(name, Stored::write(document).unwrap().bytes())
}

#[test]
fn the_bytes_of_every_event_are_pinned() {
    let mut text = String::new();
    for (name, event) in fixtures::events() {
        text.push_str(&pinned(name, &event.to_bytes().unwrap()));
    }
    insta::assert_snapshot!("events", text);
}

#[test]
fn the_bytes_of_every_command_are_pinned() {
    let commands = commands::commands();
    let text: String =
        commands.into_iter().map(|command| written(command.action().as_str(), command)).collect();
    insta::assert_snapshot!("commands", text);
}

#[test]
fn there_is_a_fixture_of_every_command() {
    use custody_core::effect::Action;
    let commands = commands::commands();
    for action in Action::ALL.iter().filter(|action| action.is_governance()) {
        assert!(commands.iter().any(|command| command.action() == *action), "{action}");
    }
}

#[test]
fn the_bytes_of_every_document_are_pinned() {
    let text = [
        written("submission", fixtures::submission()),
        written("order of a payload", fixtures::payload_order()),
        written("order of a command", fixtures::command_order()),
        written("signature set", fixtures::signature_set()),
        written("decode context", fixtures::context()),
        pinned("policy", &fixtures::policy().to_bytes().unwrap()),
    ];
    insta::assert_snapshot!("documents", text.concat());
}

#[test]
fn the_names_of_holds_are_pinned() {
    let holds = [
        Hold::ApproverRemoved,
        Hold::BackendIndeterminate,
        Hold::BackendRefused,
        Hold::BackendUnavailable,
        Hold::BadSignature,
        Hold::Conflict,
        Hold::Corrupt,
        Hold::Expired,
        Hold::Frozen,
        Hold::Interrupted,
        Hold::KeyState,
        Hold::Resolved,
        Hold::TimedOut,
    ];
    insta::assert_snapshot!("holds", serde_json::to_string(&holds).unwrap());
}

#[test]
fn the_digests_that_credentials_sign_are_pinned() {
    let mut text = String::new();
    for verb in [Verb::Approve, Verb::Reject, Verb::Cancel] {
        let digest = fixtures::statement(verb).statement.signing_digest(&fixtures::custodian());
        text.push_str(&format!("{verb:?} {digest}\n"));
    }
    let submit = submission_signing_digest(&fixtures::custodian(), &fixtures::digest(0x77));
    let (old, new) =
        (TestKey::seeded(Algorithm::Ed25519, 9), TestKey::seeded(Algorithm::Ed25519, 10));
    let rotate =
        rotation_signing_digest(&fixtures::custodian(), old.public_key(), new.public_key());
    text.push_str(&format!("Submit {submit}\nRotate {rotate}\n"));
    insta::assert_snapshot!("signing digests", text);
}

#[test]
fn a_policy_is_identified_by_its_bytes() {
    let bytes = fixtures::policy().to_bytes().unwrap();
    assert_eq!(*PolicyDocument::id_of(&bytes).digest(), Digest::of(&bytes));
}

#[test]
fn a_document_keeps_its_bytes_and_is_not_written_anew() {
    let mut bytes = serde_json::to_vec_pretty(&fixtures::payload_order()).unwrap();
    bytes.push(b'\n');
    let stored: Stored<custody_core::document::OrderDocument> =
        Stored::read(bytes.clone()).unwrap();
    assert_eq!(stored.bytes(), bytes);
    assert_eq!(*stored.digest(), Digest::of(&bytes));
    assert_ne!(stored.digest(), Stored::write(fixtures::payload_order()).unwrap().digest());
}

/// The event of a page of keys with the longest ids there are.
fn page(keys: u16) -> EventDocument {
    use custody_core::command::{CommandResult, ResealedKey};
    use custody_core::document::{Conclusion, OrderConcluded};
    let key = |number| custody_core::id::KeyId::parse(&format!("{number:064}")).unwrap();
    let resealed = |number| ResealedKey { key: key(number), handle: fixtures::digest(0xcc) };
    let handles = (0..keys).map(resealed).collect();
    let result = CommandResult::Resealed { handles, next: Some(key(keys)) };
    let outcome = Conclusion::Executed { result };
    let (_, mut event) = fixtures::events().remove(0);
    event.event =
        EventBody::OrderConcluded(OrderConcluded { order: fixtures::order_id(), outcome });
    event
}

#[test]
fn the_event_of_a_full_page_of_keys_has_room_to_spare() {
    let most = custody_core::command::Command::RESEAL_MAX;
    let bytes = page(most).to_bytes().unwrap();
    assert!(bytes.len() < EVENT_MAX * 3 / 4, "{} bytes", bytes.len());
    assert!(page(most * 2).to_bytes().is_err());
}

#[test]
fn an_event_of_32_kib_is_written_and_one_byte_more_is_not() {
    let sized = |nonce: usize| {
        let (_, mut event) = fixtures::events().remove(0);
        let EventBody::Genesis(genesis) = &mut event.event else { panic!("no genesis") };
        genesis.nonce = HexBytes::new(vec![0xab; nonce]);
        // One character more, so that both sizes around the limit can be had.
        genesis.engine = custody_core::id::EngineId::parse("x").unwrap();
        event
    };
    let length = |event: &EventDocument| serde_json::to_vec(event).unwrap().len();
    let rest = EVENT_MAX - length(&sized(0));
    let mut event = sized(rest / 2);
    if rest % 2 == 1 {
        let EventBody::Genesis(genesis) = &mut event.event else { panic!("no genesis") };
        genesis.engine = custody_core::id::EngineId::parse("xx").unwrap();
    }
    assert_eq!(event.to_bytes().unwrap().len(), EVENT_MAX);
    let EventBody::Genesis(genesis) = &mut event.event else { panic!("no genesis") };
    genesis.engine = custody_core::id::EngineId::parse("xxx").unwrap();
    assert!(length(&event) > EVENT_MAX);
    assert!(event.to_bytes().is_err());
}
