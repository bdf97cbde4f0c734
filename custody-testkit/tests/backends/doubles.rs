//! What doubles do besides telling lies: they fail, deny, take their time, and count.

use std::time::Duration;

use custody_core::crypto::SignInput;
use custody_core::seam::{BackendError, ErrorKind, SeedRecord, SeedRequest};
use custody_core::secret::Secret;
use custody_testkit::backend::{
    BackendCall, DenyingBackend, DenyingKeyEncryption, FailingKeyEncryption, SlowBackend,
    SlowKeyEncryption,
};
use custody_testkit::fault::Fault;
use custody_testkit::runtime::TestClock;

use super::*;

#[test]
fn a_failed_signature_reaches_the_key_only_if_it_did_happen() {
    pollster::block_on(async {
        let memory = honest();
        let failing = FailingBackend::new(Arc::new(memory.clone()));
        let record = generated(&failing, Algorithm::Ed25519).await;
        let signer = failing.signer(&record).await.unwrap();
        for (fault, kind, calls) in [
            (Fault::fail(ErrorKind::Unavailable), ErrorKind::Unavailable, 0),
            (Fault::fail_after(ErrorKind::Indeterminate), ErrorKind::Indeterminate, 1),
        ] {
            failing.plan().next(BackendCall::Sign, fault);
            let answer = signer.sign(SignInput::Message(b"m")).await;
            assert_eq!(answer.unwrap_err().kind(), kind);
            assert_eq!(memory.sign_calls(), calls);
        }
        signer.sign(SignInput::Message(b"m")).await.unwrap();
        let expected = [BackendCall::Generate, BackendCall::Signer].into_iter();
        let expected: Vec<_> = expected.chain([BackendCall::Sign; 3]).collect();
        assert_eq!(failing.plan().calls(), expected);
    });
}

#[test]
fn a_failing_key_encryption_fails_as_planned() {
    pollster::block_on(async {
        let failing = FailingKeyEncryption::new(Arc::new(MemoryKeyEncryption::seeded(1)));
        failing.plan().next(
            BackendCall::UnwrapDataKey,
            Fault::fail(ErrorKind::Throttled { retry_after: None }),
        );
        let data_key = Secret::new(vec![7; 32]);
        let wrapped = failing.wrap(&data_key, &[]).await.unwrap();
        assert!(failing.unwrap(&wrapped, &[]).await.is_err());
        assert!(failing.unwrap(&wrapped, &[]).await.is_ok());
        let (wrap, unwrap) = (BackendCall::WrapDataKey, BackendCall::UnwrapDataKey);
        assert_eq!(failing.plan().calls(), [wrap, unwrap, unwrap]);
    });
}

fn assert_refused<T>(answer: Result<T, BackendError>) {
    assert_eq!(answer.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Refused));
}

#[test]
fn a_denying_backend_refuses_every_call_of_itself_its_signers_and_its_abilities() {
    pollster::block_on(async {
        let (memory, data_key) = (honest(), Secret::new(vec![7; 32]));
        let denying = DenyingBackend::new(Arc::new(memory.clone()));
        let record = generated(&memory, Algorithm::Ed25519).await;
        denying.denial().allow();
        let signer = denying.signer(&record).await.unwrap();
        denying.denial().deny_all();
        let kek = denying.kek().unwrap();
        let seed = SeedRequest {
            custodian: record.custodian,
            wallet: record.wallet.clone(),
            key: record.key.clone(),
        };
        assert_refused(denying.generate(&request(Algorithm::Ed25519)).await);
        assert_refused(denying.signer(&record).await);
        assert_refused(signer.sign(SignInput::Message(b"m")).await);
        assert_refused(denying.derivation().unwrap().generate_seed(&seed).await);
        let import = denying.import().unwrap().import_seed(&seed, Secret::new(vec![7; 32]));
        assert_refused(import.await);
        assert_refused(denying.wrapping().unwrap().wrap(&record, kek.id()).await);
        assert_refused(denying.wrapping().unwrap().unwrap(&record, b"w", kek.id()).await);
        assert_refused(denying.attestation().unwrap().attest(&record, b"n").await);
        assert_refused(kek.wrap(&data_key, &[]).await);
        assert_refused(kek.unwrap(b"w", &[]).await);
        let resealing = denying.resealing().unwrap();
        assert_refused(resealing.reseal_key(&record).await);
        let sealed = SeedRecord {
            custodian: record.custodian,
            wallet: record.wallet.clone(),
            key: record.key.clone(),
            handle: record.handle.clone(),
        };
        assert_refused(resealing.reseal_seed(&sealed).await);
        let switch = denying.switch().unwrap();
        assert_refused(switch.disable(&record).await);
        assert_refused(switch.enable(&record).await);
        assert_refused(switch.destroy(&record).await);
        assert_refused(switch.cancel_destroy(&record).await);
        assert_eq!((denying.denial().denied().len(), memory.sign_calls()), (16, 0));
    });
}

#[test]
fn a_denying_key_encryption_refuses_until_it_is_told_to_allow() {
    pollster::block_on(async {
        let denying = DenyingKeyEncryption::new(Arc::new(MemoryKeyEncryption::seeded(1)));
        let data_key = Secret::new(vec![7; 32]);
        assert_refused(denying.wrap(&data_key, &[]).await);
        denying.denial().deny_only(&[BackendCall::UnwrapDataKey]);
        let wrapped = denying.wrap(&data_key, &[]).await.unwrap();
        assert_refused(denying.unwrap(&wrapped, &[]).await);
        denying.denial().allow();
        assert!(denying.unwrap(&wrapped, &[]).await.is_ok());
        let denied = [BackendCall::WrapDataKey, BackendCall::UnwrapDataKey];
        assert_eq!(denying.denial().denied(), denied);
    });
}

#[test]
fn a_slow_key_encryption_takes_its_time() {
    let clock = TestClock::new();
    let executor = custody_testkit::runtime::TestExecutor::new(clock.clone());
    let (kek, delay) = (Arc::new(MemoryKeyEncryption::seeded(1)), Duration::from_secs(3));
    let slow = SlowKeyEncryption::new(kek, Arc::new(clock.clone()), delay);
    executor.run(async {
        let wrapped = slow.wrap(&Secret::new(vec![7; 32]), &[]).await.unwrap();
        assert!(slow.unwrap(&wrapped, &[]).await.is_ok());
    });
    assert_eq!(custody_core::seam::Clock::monotonic(&clock), delay * 2);
}

#[test]
fn a_slow_backend_takes_its_time_and_a_hanging_one_forever() {
    let clock = TestClock::new();
    let executor = custody_testkit::runtime::TestExecutor::new(clock.clone());
    let delay = Duration::from_secs(3);
    let slow = SlowBackend::new(Arc::new(honest()), Arc::new(clock.clone()), delay);
    executor.run(async {
        let record = generated(&slow, Algorithm::Ed25519).await;
        let signer = slow.signer(&record).await.unwrap();
        signer.sign(SignInput::Message(b"m")).await.unwrap();
    });
    assert_eq!(custody_core::seam::Clock::monotonic(&clock), delay * 3);

    let hanging = SlowBackend::hanging(Arc::new(honest()));
    pollster::block_on(async {
        let record = generated(&hanging, Algorithm::Ed25519).await;
        let signer = hanging.signer(&record).await.unwrap();
        let mut sign = signer.sign(SignInput::Message(b"m"));
        assert!(futures::poll!(&mut sign).is_pending());
    });
}

#[test]
#[should_panic(expected = "after the backend was closed")]
fn a_signature_after_close_is_loud() {
    pollster::block_on(async {
        let backend = honest();
        let record = generated(&backend, Algorithm::Ed25519).await;
        let signer = backend.signer(&record).await.unwrap();
        backend.close();
        drop(signer.sign(SignInput::Message(b"m")).await);
    });
}

#[test]
#[should_panic(expected = "signs one input twice")]
fn a_double_signature_is_loud() {
    pollster::block_on(async {
        let backend = honest();
        backend.refuse_repeats();
        let record = generated(&backend, Algorithm::Ed25519).await;
        let signer = backend.signer(&record).await.unwrap();
        signer.sign(SignInput::Message(b"m")).await.unwrap();
        drop(signer.sign(SignInput::Message(b"m")).await);
    });
}
