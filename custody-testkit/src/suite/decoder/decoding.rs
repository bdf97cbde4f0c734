use std::fmt::Write as _;

use custody_core::caip::ChainId;
use custody_core::digest::Digest;
use custody_core::id::PayloadFormat;
use custody_core::seam::{DecodeContext, Payload};
use proptest::collection::vec;
use proptest::prelude::any;

use super::DecoderFixture;
use crate::strategy::{arb_decode_context, arb_test_key};
use crate::suite::{assert_hidden, runner};

/// Each sample has 1 to 1,024 effects and tasks, on the context's chain; each task is for an
/// account of the context, with that account's algorithm and an input that it signs.
pub fn each_sample_decodes_to_effects_and_tasks(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let (name, context) = (sample.name, &sample.context);
        assert!(fixture.decoder.reads(&sample.payload.format, &context.chain), "{name}");
        let intent = fixture.decode(sample);
        assert_eq!(intent.chain, context.chain, "{name}");
        assert!((1..=1_024).contains(&intent.effects.len()), "{name}: effects");
        assert!((1..=1_024).contains(&intent.tasks.len()), "{name}: tasks");
        assert!(!intent.summary.is_empty(), "{name}: no summary");
        for task in &intent.tasks {
            let account = context.accounts.iter().find(|account| account.key == task.key);
            let account = account.unwrap_or_else(|| panic!("{name}: a task of a foreign key"));
            assert_eq!(account.public_key.algorithm(), task.algorithm, "{name}");
        }
        assert_eq!(sample.signatures(&intent).len(), intent.tasks.len(), "{name}");
    }
}

/// A payload and context decode to one intent, however often and by whom.
pub fn the_same_payload_gives_the_same_intent(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let first = fixture.decode(sample);
        for _ in 0..8 {
            assert_eq!(fixture.decode(&sample.clone()), first, "{}", sample.name);
        }
        let copies: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.decode(sample))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(copies.iter().all(|copy| *copy == first), "{}: in other threads", sample.name);
    }
}

/// Any bytes, in any context, are decoded or refused: nothing panics.
pub fn any_bytes_are_decoded_or_refused(fixture: DecoderFixture) {
    let bytes = vec(any::<u8>(), 0..400);
    let total = runner(512).run(&(bytes, arb_decode_context()), |(bytes, context)| {
        for sample in &fixture.samples {
            let payload = Payload { bytes: bytes.clone(), ..sample.payload.clone() };
            let _refused = fixture.decoder.decode(&payload, &sample.context);
            let _refused = fixture.decoder.decode(&payload, &context);
            let _refused = fixture.decoder.decode(&sample.payload, &context);
            let _refused = fixture.decoder.assemble(&payload, &sample.context, &[]);
        }
        Ok(())
    });
    total.unwrap_or_else(|error| panic!("{error}"));
}

/// A sample with any byte changed is decoded or refused: nothing panics, and an intent that comes
/// out still has effects and tasks.
pub fn a_changed_byte_never_panics(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        for position in 0..sample.payload.bytes.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut payload = sample.payload.clone();
                payload.bytes[position] ^= change;
                if let Ok(intent) = fixture.decoder.decode(&payload, &sample.context) {
                    let whole = !intent.effects.is_empty() && !intent.tasks.is_empty();
                    assert!(whole, "{}: byte {position} changed", sample.name);
                }
            }
        }
    }
}

/// A sample cut anywhere is refused, or something else is signed.
pub fn a_cut_payload_is_another_or_refused(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        for length in 0..sample.payload.bytes.len() {
            let cut = sample.payload.bytes[..length].to_vec();
            fixture.assert_another(sample, cut, &format!("after a cut to {length} bytes"));
        }
    }
}

/// A sample with bytes behind or before it is refused, or something else is signed.
pub fn a_longer_payload_is_another_or_refused(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let whole = sample.payload.bytes.as_slice();
        for byte in [0x00, 0x01, b'a', b'}', 0x80, 0xc0, 0xff] {
            let case = format!("with {byte:#04x} behind it");
            fixture.assert_another(sample, [whole, &[byte]].concat(), &case);
            let case = format!("with {byte:#04x} before it");
            fixture.assert_another(sample, [&[byte], whole].concat(), &case);
        }
        fixture.assert_another(sample, [whole, whole].concat(), "twice");
    }
}

/// A refusal names positions, lengths and fields, never bytes of the payload: a mark that stands
/// anywhere in a refused payload is not in the error.
pub fn a_refusal_does_not_show_the_payload(fixture: DecoderFixture) {
    const MARK: &[u8; 16] = b"Xq7-wZ3_kV9+jP2!";
    for sample in &fixture.samples {
        let whole = sample.payload.bytes.as_slice();
        let step = whole.len().div_ceil(128).max(1);
        for position in (0..=whole.len()).step_by(step) {
            let (before, behind) = whole.split_at(position);
            let over = whole.get(position + MARK.len()..).unwrap_or_default();
            for rest in [behind, over] {
                let bytes = [before, MARK, rest].concat();
                let payload = Payload { bytes, ..sample.payload.clone() };
                if let Err(error) = fixture.decoder.decode(&payload, &sample.context) {
                    let case = format!("{}: a mark at byte {position}", sample.name);
                    assert_hidden(&error, MARK, &case);
                }
            }
        }
    }
}

/// A payload above its limit is refused, in the context of every sample.
pub fn a_payload_above_the_limit_is_refused(fixture: DecoderFixture) {
    for payload in &fixture.oversize {
        let fits = |sample: &&super::DecoderSample| sample.payload.format == payload.format;
        let samples: Vec<_> = fixture.samples.iter().filter(fits).collect();
        assert!(!samples.is_empty(), "no sample of the format {}", payload.format);
        for sample in samples {
            let answer = fixture.decoder.decode(payload, &sample.context);
            assert!(answer.is_err(), "{} bytes of {}", payload.bytes.len(), payload.format);
        }
    }
}

/// A format or chain that the decoder does not read is refused.
pub fn an_unread_format_or_chain_is_refused(fixture: DecoderFixture) {
    let format = PayloadFormat::parse("custody-testkit/unread").unwrap();
    let chain = ChainId::parse("unread:0").unwrap();
    for sample in &fixture.samples {
        let payload = Payload { format: format.clone(), ..sample.payload.clone() };
        assert!(!fixture.decoder.reads(&format, &sample.context.chain), "it reads every format");
        let answer = fixture.decoder.decode(&payload, &sample.context);
        assert!(answer.is_err(), "{}: an unread format is decoded", sample.name);
        if !fixture.decoder.reads(&sample.payload.format, &chain) {
            let context = DecodeContext { chain: chain.clone(), ..sample.context.clone() };
            let answer = fixture.decoder.decode(&sample.payload, &context);
            assert!(answer.is_err(), "{}: an unread chain is decoded", sample.name);
        }
    }
}

/// Without an account nobody signs: refused.
pub fn nobody_signs_without_an_account(fixture: DecoderFixture) {
    for sample in &fixture.samples {
        let context = DecodeContext { accounts: Vec::new(), ..sample.context.clone() };
        let answer = fixture.decoder.decode(&sample.payload, &context);
        assert!(answer.is_err(), "{}: tasks without accounts", sample.name);
    }
}

/// An account of a key is on the chain it was asked for, the same each time, and on no chain that
/// the decoder does not know.
pub fn an_account_is_on_its_chain(fixture: DecoderFixture) {
    let unknown = ChainId::parse("unread:0").unwrap();
    let chains: Vec<_> = fixture.samples.iter().map(|sample| &sample.context.chain).collect();
    let holds = runner(64).run(&arb_test_key(), |key| {
        for chain in &chains {
            let account = fixture.decoder.account(chain, key.public_key());
            assert_eq!(fixture.decoder.account(chain, key.public_key()), account);
            let elsewhere = account.as_ref().is_some_and(|account| !account.is_on(chain));
            assert!(!elsewhere, "{account:?} is not on {chain}");
        }
        assert_eq!(fixture.decoder.account(&unknown, key.public_key()), None);
        Ok(())
    });
    holds.unwrap_or_else(|error| panic!("{error}"));
}

/// The intents of the samples are those that were pinned together with the decoder's name: whoever
/// changes an intent changes the name.
pub fn intents_are_pinned_under_the_decoders_name(fixture: DecoderFixture) {
    let mut intents = String::new();
    for sample in &fixture.samples {
        writeln!(intents, "{} {:?}", sample.name, fixture.decode(sample)).unwrap();
    }
    let found = format!("{} {}", fixture.decoder.id(), Digest::of(intents.as_bytes()));
    let pin = fixture.pin.unwrap_or("nothing");
    assert_eq!(found, pin, "if an intent changed, the decoder needs a new name and a new pin");
}
