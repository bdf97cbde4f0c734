//! The transcript of a log that somebody has tampered with.

use std::collections::BTreeMap;

use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::CustodianId;
use custody_recovery::ceremony::{Refusal, Transcript, TranscriptError};

use crate::house::{House, share, split};

type Documents = BTreeMap<Digest, Vec<u8>>;

/// A log with a set and one confirmation, as it is exported.
fn exported() -> (CustodianId, Vec<Vec<u8>>, Documents) {
    let house = House::new();
    let custodian = house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        let confirm = house.confirmation(&custodian, &record, share(1));
        house.ordered(&custodian, "bob", &confirm).await;
        custodian.id()
    });
    let snapshot = house.store.snapshot();
    let documents = snapshot.records().into_iter().map(|record| record.value);
    let documents = documents.map(|bytes| (Digest::of(&bytes), bytes)).collect();
    (custodian, snapshot.events().to_vec(), documents)
}

fn read(
    custodian: CustodianId,
    events: &[Vec<u8>],
    documents: &Documents,
) -> Result<Transcript, TranscriptError> {
    let mut transcript = Transcript::new(custodian);
    events.iter().try_for_each(|event| transcript.event(event, documents))?;
    Ok(transcript)
}

/// Flips a digit of the signature in the first event that `is` finds.
fn forge(events: &mut [Vec<u8>], is: impl Fn(&EventBody) -> bool) {
    let event = events.iter_mut().find(|event| is(&EventDocument::read(event).unwrap().event));
    let event = event.unwrap();
    let text = String::from_utf8(event.clone()).unwrap();
    let start = text.rfind("\"signature\"").unwrap();
    let is_run = |at: &usize| text.as_bytes()[*at..*at + 128].iter().all(u8::is_ascii_hexdigit);
    let at = (start..text.len() - 128).find(is_run).unwrap();
    event[at] = if event[at] == b'0' { b'1' } else { b'0' };
}

#[test]
fn an_exported_log_is_read_without_its_custodian() {
    let (custodian, events, documents) = exported();
    let transcript = read(custodian, &events, &documents).unwrap();
    assert_eq!(transcript.entries().len(), 2);
    assert_eq!(transcript.sets().all()[0].confirmed().len(), 1);
}

#[test]
fn a_forged_submission_or_approval_is_found() {
    let (custodian, events, documents) = exported();
    let mut forged = events.clone();
    forge(&mut forged, |event| matches!(event, EventBody::OrderSubmitted(_)));
    let error = read(custodian, &forged, &documents).unwrap_err();
    assert!(matches!(error, TranscriptError::Signature { .. }), "{error:?}");
    let mut forged = events;
    forge(&mut forged, |event| matches!(event, EventBody::ApprovalAdded(_)));
    let error = read(custodian, &forged, &documents).unwrap_err();
    assert!(matches!(error, TranscriptError::Approval { .. }), "{error:?}");
}

#[test]
fn a_log_of_another_custodian_is_not_read() {
    let (_, events, documents) = exported();
    let other = CustodianId::new(Digest::of(b"other"));
    let error = read(other, &events, &documents).unwrap_err();
    assert!(matches!(error, TranscriptError::Replay(_)), "{error:?}");
}

#[test]
fn each_document_is_needed_and_is_what_its_digest_says() {
    let (custodian, events, documents) = exported();
    let transcript = read(custodian, &events, &documents).unwrap();
    let steps: Vec<_> = transcript.entries().iter().map(|entry| entry.step.clone()).collect();
    for step in steps {
        let digest = Digest::of(&step.answer);
        let mut fewer = documents.clone();
        fewer.remove(&digest);
        let error = read(custodian, &events, &fewer).unwrap_err();
        assert!(matches!(error, TranscriptError::Missing { .. }), "{error:?}");
        let mut other = documents.clone();
        other.insert(digest, b"{}".to_vec());
        let error = read(custodian, &events, &other).unwrap_err();
        assert!(matches!(error, TranscriptError::Digest { .. }), "{error:?}");
    }
}

#[test]
fn an_answer_that_is_not_the_orders_does_not_count() {
    let (custodian, events, documents) = exported();
    let transcript = read(custodian, &events, &documents).unwrap();
    let steps: Vec<_> = transcript.entries().iter().map(|entry| entry.step.clone()).collect();
    let fold = |change: &dyn Fn(&mut Vec<u8>, usize)| {
        let mut steps = steps.clone();
        for (number, step) in steps.iter_mut().enumerate() {
            change(&mut step.answer, number);
        }
        custody_recovery::ceremony::Sets::fold(custodian, &steps)
    };
    let text = |answer: &[u8]| String::from_utf8(answer.to_vec()).unwrap();
    let changed = fold(&|answer, number| {
        if number == 1 {
            *answer = text(answer).replace("\"member\":1", "\"member\":2").into_bytes();
        }
    });
    assert_eq!(changed.refused()[0].refusal, Refusal::Answer);
    for (name, from, to, what) in [
        ("custodian", custodian.to_string(), "c0".repeat(32), "custodian or order"),
        (
            "order",
            format!("\"order\":\"{}\"", steps[0].order),
            "\"order\":\"x\"".to_owned(),
            "custodian or order",
        ),
        ("site", "\"rome\"".to_owned(), "\"lima\"".to_owned(), "distribution"),
        ("confirmations", "\"every\"".to_owned(), "{\"at_least\":1}".to_owned(), "confirmations"),
        ("set", transcript.sets().all()[0].record().set.to_string(), "5e".repeat(32), "set"),
    ] {
        let changed = fold(&|answer, number| {
            if number == 0 {
                let other = text(answer).replacen(&from, &to, 1);
                assert_ne!(other, text(answer), "{name}");
                *answer = other.into_bytes();
            }
        });
        assert_eq!(changed.refused()[0].refusal, Refusal::Record { what }, "{name}");
        assert_eq!(changed.all(), [], "{name}");
    }
}
