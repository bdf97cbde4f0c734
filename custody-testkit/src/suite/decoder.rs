//! The checks of [`Decoder`].

mod assembly;
mod decoding;

use std::fmt;
use std::sync::Arc;

use custody_core::id::KeyId;
use custody_core::seam::{ContextAccount, DecodeContext, Decoder, Intent, Payload, TaskSignature};

use crate::key::TestKey;

pub use assembly::*;
pub use decoding::*;

/// Makes every check of a decoder a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields a [`DecoderFixture`]. Put each use
/// in a module of its own.
#[macro_export]
macro_rules! decoder_suite {
    ($make:expr) => {
        $crate::decoder_suite! { @tests $make;
            a_changed_byte_never_panics
            a_cut_payload_is_another_or_refused
            a_longer_payload_is_another_or_refused
            a_malformed_payload_is_not_assembled
            a_payload_above_the_limit_is_refused
            a_refusal_does_not_show_the_payload
            an_account_is_on_its_chain
            an_unread_format_or_chain_is_refused
            any_bytes_are_decoded_or_refused
            assembly_needs_every_signature
            assembly_refuses_foreign_signatures
            each_sample_decodes_to_effects_and_tasks
            intents_are_pinned_under_the_decoders_name
            nobody_signs_without_an_account
            the_same_payload_gives_the_same_intent
        }
    };
    (@tests $make:expr; $($check:ident)*) => {$(
        #[test]
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::decoder::$check($make)
            });
        }
    )*};
}

/// A payload that the decoder reads, its context, and the keys of its accounts.
#[derive(Clone, Debug)]
pub struct DecoderSample {
    name: &'static str,
    payload: Payload,
    context: DecodeContext,
    keys: Vec<(KeyId, TestKey)>,
}

impl DecoderSample {
    /// A sample of this name. Its context has the accounts of `keys`, in their order, in the place
    /// of its own.
    #[must_use]
    pub fn new(
        name: &'static str,
        payload: Payload,
        mut context: DecodeContext,
        keys: Vec<(KeyId, TestKey)>,
    ) -> Self {
        let account = |(key, signer): &(KeyId, TestKey)| ContextAccount {
            key: key.clone(),
            public_key: signer.public_key().clone(),
            path: None,
        };
        context.accounts = keys.iter().map(account).collect();
        Self { name, payload, context, keys }
    }

    /// A verified signature over each task.
    fn signatures(&self, intent: &Intent) -> Vec<TaskSignature> {
        let sign = |task: &custody_core::seam::SigningTask| {
            let signer = self.keys.iter().find(|(key, _)| *key == task.key);
            let (key, signer) = signer.unwrap_or_else(|| panic!("{}: whose task?", self.name));
            let signature = signer.sign(task.input.as_input()).expect("an input of the key");
            let signature = signature.checked(signer.public_key(), task.input.as_input());
            TaskSignature { key: key.clone(), signature: signature.expect("an honest signature") }
        };
        intent.tasks.iter().map(sign).collect()
    }
}

/// What the decoder suite needs.
#[derive(Clone)]
pub struct DecoderFixture {
    decoder: Arc<dyn Decoder>,
    samples: Vec<DecoderSample>,
    oversize: Vec<Payload>,
    pin: Option<&'static str>,
}

impl DecoderFixture {
    /// A decoder, samples of every kind of payload it reads, and payloads one byte above its
    /// limits that would be read if they were shorter.
    #[must_use]
    pub fn new(
        decoder: Arc<dyn Decoder>,
        samples: Vec<DecoderSample>,
        oversize: Vec<Payload>,
    ) -> Self {
        assert!(!samples.is_empty(), "the fixture has no samples");
        assert!(!oversize.is_empty(), "the fixture has no payload above a limit");
        Self { decoder, samples, oversize, pin: None }
    }

    /// What [`intents_are_pinned_under_the_decoders_name`] must find: the decoder's name, a space
    /// and a digest. The check says what it found.
    #[must_use]
    pub const fn with_pin(mut self, pin: &'static str) -> Self {
        self.pin = Some(pin);
        self
    }

    fn decode(&self, sample: &DecoderSample) -> Intent {
        let answer = self.decoder.decode(&sample.payload, &sample.context);
        answer.unwrap_or_else(|error| panic!("{}: {error}", sample.name))
    }

    /// Fails if the changed bytes mean what the sample means.
    fn assert_another(&self, sample: &DecoderSample, bytes: Vec<u8>, case: &str) {
        let payload = Payload { bytes, ..sample.payload.clone() };
        if let Ok(intent) = self.decoder.decode(&payload, &sample.context) {
            let same = intent.tasks == self.decode(sample).tasks;
            assert!(!same, "{}: the same is signed {case}", sample.name);
        }
    }
}

impl fmt::Debug for DecoderFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecoderFixture").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}
