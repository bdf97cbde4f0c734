use custody_core::id::KeyId;
use custody_core::seam::{Payload, TaskSignature};

use super::DecoderFixture;
use crate::key::TestKey;

/// With all signatures a sample is put together, always the same; with any one missing, or none,
/// it is not.
pub fn assembly_needs_every_signature(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let signatures = sample.signatures(&fixture.decode(sample));
        let assemble = |signatures: &[TaskSignature]| {
            fixture.decoder.assemble(&sample.payload, &sample.context, signatures)
        };
        let name = sample.name;
        let whole = assemble(&signatures).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!whole.is_empty(), "{name}: nothing was put together");
        assert_eq!(assemble(&signatures).unwrap(), whole, "{name}: another time");
        assert!(assemble(&[]).is_err(), "{name}: without signatures");
        for missing in 0..signatures.len() {
            let mut fewer = signatures.clone();
            fewer.remove(missing);
            assert!(assemble(&fewer).is_err(), "{name}: without signature {missing}");
        }
    }
}

/// A signature of another key id, or of another algorithm, does not stand for a task's.
pub fn assembly_refuses_foreign_signatures(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let intent = fixture.decode(sample);
        let signatures = sample.signatures(&intent);
        for (index, task) in intent.tasks.iter().enumerate() {
            let mut renamed = signatures.clone();
            renamed[index].key = KeyId::parse("custody-testkit.foreign").unwrap();
            let mut foreign = signatures.clone();
            foreign[index].signature = foreign_signature(task.algorithm);
            for (case, changed) in [("another key id", renamed), ("another algorithm", foreign)] {
                let answer = fixture.decoder.assemble(&sample.payload, &sample.context, &changed);
                assert!(answer.is_err(), "{}: a signature of {case}", sample.name);
            }
        }
    }
}

/// What does not decode is not put together, whatever the signatures.
pub fn a_malformed_payload_is_not_assembled(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let signatures = sample.signatures(&fixture.decode(sample));
        let whole = sample.payload.bytes.len();
        for length in (0..whole).step_by(whole.div_ceil(64)) {
            let bytes = sample.payload.bytes[..length].to_vec();
            let payload = Payload { bytes, ..sample.payload.clone() };
            if fixture.decoder.decode(&payload, &sample.context).is_err() {
                let answer = fixture.decoder.assemble(&payload, &sample.context, &signatures);
                assert!(answer.is_err(), "{}: {length} bytes put together", sample.name);
            }
        }
        for payload in &fixture.oversize {
            let answer = fixture.decoder.assemble(payload, &sample.context, &signatures);
            assert!(answer.is_err(), "{}: a payload above its limit", sample.name);
        }
    }
}

/// A signature of an algorithm that is not this one.
fn foreign_signature(
    algorithm: custody_core::crypto::Algorithm,
) -> custody_core::crypto::Signature {
    use custody_core::crypto::{Algorithm, SignInput};
    if algorithm == Algorithm::Ed25519 {
        let key = TestKey::seeded(Algorithm::Bip340, 1);
        return key.sign(SignInput::Message(b"foreign")).unwrap();
    }
    TestKey::seeded(Algorithm::Ed25519, 1).sign(SignInput::Message(b"foreign")).unwrap()
}
