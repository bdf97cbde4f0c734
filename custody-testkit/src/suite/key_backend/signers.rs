use futures::future::join_all;

use super::{KeyBackendFixture, any_input, request};
use crate::suite::signer::{self, SignerFixture};

/// Signers answer with the recorded public key and its algorithm.
pub async fn signers_tell_the_recorded_key(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::the_algorithm_is_the_public_keys(signer).await;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("recorded", *algorithm)).await;
        assert_eq!(*fixture.signer(&record).await.public_key(), record.public_key);
    }
}

/// Signatures verify for their own input and key and no other.
pub async fn signatures_are_over_their_input_only(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::a_signature_verifies_under_the_signers_key(signer.clone()).await;
        signer::a_signature_is_over_its_input_only(signer).await;
    }
}

/// Signers refuse a message where a digest is signed, and the other way round.
pub async fn signers_refuse_the_wrong_kind_of_input(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::the_wrong_kind_of_input_is_unsupported(signer).await;
    }
}

/// Signers sign the shortest and the longest message, and any digest.
pub async fn signers_sign_inputs_at_the_limits(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::inputs_at_the_limits_are_signed(signer).await;
    }
}

/// Signers refuse messages past their declared limits.
pub async fn signers_refuse_inputs_past_the_limits(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::inputs_past_the_limits_are_refused(signer).await;
    }
}

/// Signers sign one input twice; nothing is assumed about nonces.
pub async fn signers_sign_twice(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::signing_twice_gives_two_signatures_that_verify(signer).await;
    }
}

/// Sixteen signers, of one key and of many, sign at once, each under its own key.
pub async fn sixteen_signers_sign_at_once(fixture: KeyBackendFixture) {
    for signer in signers(&fixture).await {
        signer::sixteen_callers_get_their_own_signatures(signer).await;
    }
    let algorithms = fixture.backend.algorithms();
    let mut tasks = Vec::new();
    for n in 0..16 {
        let algorithm = algorithms[n % algorithms.len()];
        let record = fixture.generate(&request(&format!("at-once-{n}"), algorithm)).await;
        let signer = fixture.signer(&record).await;
        tasks.push(tokio::spawn(async move {
            let signature = signer.sign(any_input(algorithm)).await.unwrap();
            signature.verify(&record.public_key, any_input(algorithm)).unwrap();
        }));
    }
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
}

/// A signer of each algorithm.
async fn signers(fixture: &KeyBackendFixture) -> Vec<SignerFixture> {
    let mut signers = Vec::new();
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("signer", *algorithm)).await;
        signers.push(fixture.signer_fixture(fixture.signer(&record).await));
    }
    signers
}
