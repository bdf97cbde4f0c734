//! The suite of decoders holds for the testkit's decoder, and finds each lie.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{DecodeContext, Decoder};
use custody_testkit::decoder::{
    DecoderLie, DenyingDecoder, LyingDecoder, PanickingDecoder, TestDecoder, TestTransfer,
};
use custody_testkit::key::TestKey;
use custody_testkit::suite::decoder::{self as checks, DecoderFixture, DecoderSample};
use custody_testkit::suite::run_failing;

/// Changes only together with the name of the decoder.
const PIN: &str = "test/1 f6e368c5d34652c9b2e5ecbd5181340b948c4a1782043a074dd497935a67dab6";

fn fixture(decoder: Arc<dyn Decoder>) -> DecoderFixture {
    let key = |name: &str| KeyId::parse(name).unwrap();
    let keys = vec![
        (key("first"), TestKey::seeded(Algorithm::EcdsaSecp256k1, 1)),
        (key("second"), TestKey::seeded(Algorithm::Ed25519, 2)),
    ];
    let context = DecodeContext {
        v: 1,
        wallet: WalletId::parse("hot").unwrap(),
        chain: TestTransfer::chain(),
        accounts: Vec::new(),
        descriptors: Vec::new(),
    };
    let one = TestTransfer::of(10, "friend", &key("first"), 1);
    let mut two = TestTransfer::of(20, "friend", &key("second"), 2);
    two.effects.extend(one.effects.clone());
    two.signers.push(key("first"));
    let mut long = one.clone();
    long.effects = one.effects.iter().cycle().take(1_000).cloned().collect();
    let sample = |name, transfer: &TestTransfer| {
        DecoderSample::new(name, transfer.payload(), context.clone(), keys.clone())
    };
    let samples = vec![sample("one signer", &one), sample("two signers", &two)];
    DecoderFixture::new(decoder, samples, vec![long.payload()]).with_pin(PIN)
}

mod test_decoder {
    custody_testkit::decoder_suite!(super::fixture(std::sync::Arc::new(super::TestDecoder::new())));
}

/// Shows that a check fails on a decoder with this lie, and says so in these words.
macro_rules! found {
    ($($name:ident: $lie:ident fails $($check:ident with $words:literal)*;)*) => {$(
        #[test]
        fn $name() {
            $(
                let said = run_failing(stringify!($check), async {
                    checks::$check(fixture(Arc::new(LyingDecoder::new(DecoderLie::$lie))));
                });
                assert!(said.contains($words), "{said}");
            )*
        }
    )*};
}

found! {
    a_decoder_that_assembles_without_signatures_is_found: AssemblesWithout fails
        assembly_needs_every_signature with "one signer: without signatures"
        assembly_refuses_foreign_signatures with "a signature of another key id";
    a_decoder_with_foreign_tasks_is_found: ForeignTasks fails
        each_sample_decodes_to_effects_and_tasks with "a task of a foreign key";
    a_decoder_that_ignores_the_rest_is_found: IgnoresTheRest fails
        a_longer_payload_is_another_or_refused with "the same is signed with 0x00 behind it";
    an_impure_decoder_is_found: Impure fails
        the_same_payload_gives_the_same_intent with "failed: one signer"
        intents_are_pinned_under_the_decoders_name with "a new name and a new pin";
    a_decoder_that_reads_everything_is_found: ReadsEverything fails
        an_unread_format_or_chain_is_refused with "an unread format is decoded";
    a_decoder_that_shows_the_payload_is_found: ShowsThePayload fails
        a_refusal_does_not_show_the_payload with "the error shows its input";
    a_decoder_without_a_limit_is_found: Unlimited fails
        a_payload_above_the_limit_is_refused with "bytes of test/transfer";
    a_decoder_without_effects_is_found: WithoutEffects fails
        each_sample_decodes_to_effects_and_tasks with "one signer: effects";
}

#[test]
fn a_panicking_decoder_is_found() {
    let said = run_failing("any_bytes_are_decoded_or_refused", async {
        checks::any_bytes_are_decoded_or_refused(fixture(Arc::new(PanickingDecoder::new())));
    });
    assert!(said.contains("the decoder panics"), "{said}");
    let said = run_failing("a_changed_byte_never_panics", async {
        checks::a_changed_byte_never_panics(fixture(Arc::new(PanickingDecoder::new())));
    });
    assert!(said.contains("the decoder panics"), "{said}");
}

#[test]
fn a_denying_decoder_refuses_every_payload_and_shows_none() {
    let denying = || Arc::new(DenyingDecoder::new(Arc::new(TestDecoder::new())));
    checks::any_bytes_are_decoded_or_refused(fixture(denying()));
    checks::a_refusal_does_not_show_the_payload(fixture(denying()));
    let said = run_failing("each_sample_decodes_to_effects_and_tasks", async {
        checks::each_sample_decodes_to_effects_and_tasks(fixture(denying()));
    });
    assert!(said.contains("every payload is denied"), "{said}");
    let payload = TestTransfer::of(10, "friend", &KeyId::parse("first").unwrap(), 1).payload();
    let context = DecodeContext {
        v: 1,
        wallet: WalletId::parse("hot").unwrap(),
        chain: TestTransfer::chain(),
        accounts: Vec::new(),
        descriptors: Vec::new(),
    };
    assert!(denying().reads(&payload.format, &context.chain));
    assert!(denying().decode(&payload, &context).is_err());
    assert!(denying().assemble(&payload, &context, &[]).is_err());
}
