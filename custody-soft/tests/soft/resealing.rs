//! Keys and seeds that move to another key-encrypting key.

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, KeyId, WalletId};
use custody_core::seam::{
    Clock as _, DerivationPath, ErrorKind, Exportability, Health, KeyBackend, KeyDerivation,
    KeyEncryption, KeyHandle, KeyRecord, KeyRequest, KeyResealing, SeedRecord,
};
use custody_soft::SoftBackend;
use custody_testkit::runtime::{TestClock, TestEntropy};

use crate::support::{
    Bench, CountingKek, input, key_request, record, run, seed_record, seed_request,
};

fn kek(name: &str, key: u8) -> Arc<CountingKek> {
    Arc::new(CountingKek::named(name, key))
}

/// A backend that seals under `kek` and opens what was sealed under `previous` too.
fn backend(kek: &Arc<CountingKek>, previous: &[&Arc<CountingKek>]) -> SoftBackend {
    let id = BackendId::parse("soft").unwrap();
    let (entropy, clock) = (Arc::new(TestEntropy::seeded(9)), Arc::new(TestClock::new()));
    let kek: Arc<dyn KeyEncryption> = Arc::<CountingKek>::clone(kek);
    let previous = previous.iter().map(|kek| Arc::<CountingKek>::clone(kek) as Arc<_>).collect();
    SoftBackend::new(id, kek, entropy, clock).unwrap().with_previous(previous)
}

fn made(backend: &SoftBackend, exportability: Exportability) -> KeyRecord {
    let request = key_request("key-1", Algorithm::Ed25519);
    let request = KeyRequest { exportability, ..request };
    record(&request, run(backend.generate(&request)).unwrap())
}

fn with(record: &KeyRecord, handle: KeyHandle) -> KeyRecord {
    KeyRecord { handle, ..record.clone() }
}

fn kind_of_opening(backend: &SoftBackend, record: &KeyRecord) -> Option<ErrorKind> {
    run(backend.signer(record)).err().map(|error| error.kind())
}

#[track_caller]
fn assert_signs(backend: &SoftBackend, record: &KeyRecord) {
    let signature = run(run(backend.signer(record)).unwrap().sign(input(Algorithm::Ed25519)));
    signature.unwrap().verify(&record.public_key, input(Algorithm::Ed25519)).unwrap();
}

#[test]
fn a_backend_opens_what_earlier_keys_sealed_and_seals_under_its_own_only() {
    let (first, second, third) = (kek("kek:1", 1), kek("kek:2", 2), kek("kek:3", 3));
    let oldest = made(&backend(&first, &[]), Exportability::Never);
    let older = made(&backend(&second, &[]), Exportability::Never);
    let both = backend(&third, &[&second, &first]);
    let (wraps_before, made_now) =
        ((first.wraps(), second.wraps()), made(&both, Exportability::Never));
    for record in [&oldest, &older, &made_now] {
        assert_signs(&both, record);
        let new = with(record, run(both.reseal_key(record)).unwrap());
        assert_signs(&backend(&third, &[]), &new);
        assert_eq!(kind_of_opening(&backend(&first, &[&second]), &new), Some(ErrorKind::Corrupt));
    }
    assert_eq!((first.wraps(), second.wraps()), wraps_before, "something new under an old key");
    assert_eq!(run(both.health()), Health::Ready);
    assert_eq!((first.wraps(), second.wraps()), wraps_before, "health wraps under an old key");
}

#[test]
fn what_was_sealed_under_a_key_that_is_not_there_is_refused_and_nobody_is_asked() {
    let (first, second) = (kek("kek:1", 1), kek("kek:2", 2));
    let old = backend(&first, &[]);
    let key = made(&old, Exportability::Never);
    let seed = seed_record(&seed_request(), run(old.generate_seed(&seed_request())).unwrap());
    let alone = backend(&second, &[]);
    let path = DerivationPath::parse("m/0'").unwrap();
    let kinds = [
        run(alone.signer(&key)).map(drop),
        run(alone.reseal_key(&key)).map(drop),
        run(alone.reseal_seed(&seed)).map(drop),
        run(alone.extended_public_key(&seed, &path)).map(drop),
    ];
    for answer in kinds {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!((second.wraps(), second.unwraps()), (0, 0));
}

#[test]
fn a_key_that_calls_itself_by_the_name_of_another_opens_nothing() {
    let (first, second) = (kek("kek:1", 1), kek("kek:2", 2));
    let record = made(&backend(&first, &[]), Exportability::Never);
    let impostor = kek("kek:1", 9);
    let rotated = backend(&second, &[&impostor]);
    assert_eq!(kind_of_opening(&rotated, &record), Some(ErrorKind::Corrupt));
    assert_eq!(run(rotated.reseal_key(&record)).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(second.wraps(), 0, "nothing was sealed anew");
}

#[test]
fn the_identity_and_the_kek_are_those_of_now() {
    let (first, second) = (kek("kek:1", 1), kek("kek:2", 2));
    let (rotated, alone) = (backend(&second, &[&first]), backend(&second, &[]));
    assert_eq!(rotated.identity(), alone.identity());
    assert_ne!(rotated.identity(), backend(&first, &[]).identity());
    assert_eq!(KeyBackend::kek(&rotated).unwrap().id(), second.id());
}

#[test]
fn keys_are_in_process_only_if_every_key_that_opens_them_is() {
    let outside = |name, key| Arc::new(CountingKek::named(name, key).outside());
    let (inside, other) = (kek("kek:1", 1), kek("kek:2", 2));
    assert!(backend(&inside, &[&other]).in_process());
    assert!(!backend(&inside, &[&other, &outside("kek:3", 3)]).in_process());
    assert!(!backend(&outside("kek:3", 3), &[&other]).in_process());
}

#[test]
fn a_new_data_key_and_nonce_are_drawn_each_time_and_exportability_stays() {
    let first = kek("kek:1", 1);
    let own = backend(&first, &[]);
    for exportability in [Exportability::Never, Exportability::Wrapped] {
        let record = made(&own, exportability);
        let once = run(own.reseal_key(&record)).unwrap();
        let twice = run(own.reseal_key(&record)).unwrap();
        assert!(record.handle != once && once != twice && record.handle != twice);
        for handle in [&once, &twice] {
            assert_eq!(handle.as_bytes()[1], record.handle.as_bytes()[1], "{exportability:?}");
            assert_signs(&own, &with(&record, handle.clone()));
        }
        assert_signs(&own, &record);
    }
}

#[test]
fn only_the_owner_of_a_handle_has_it_sealed_anew() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::Ed25519);
    let other = bench.generate(Algorithm::Ed25519).public_key;
    let (wraps, foreign) = (bench.kek.wraps(), WalletId::parse("hot").unwrap());
    for changed in [
        KeyRecord { wallet: foreign.clone(), ..good.clone() },
        KeyRecord { key: KeyId::parse("key-2").unwrap(), ..good.clone() },
        KeyRecord { public_key: other, ..good.clone() },
    ] {
        let error = run(bench.backend.reseal_key(&changed)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let seed =
        seed_record(&seed_request(), run(bench.backend.generate_seed(&seed_request())).unwrap());
    let wraps = wraps + 1;
    let as_key = KeyRecord { handle: seed.handle.clone(), key: seed.key.clone(), ..good.clone() };
    assert_eq!(run(bench.backend.reseal_key(&as_key)).unwrap_err().kind(), ErrorKind::Corrupt);
    for changed in [
        SeedRecord { wallet: foreign, ..seed.clone() },
        SeedRecord { handle: good.handle, key: good.key, ..seed },
    ] {
        let error = run(bench.backend.reseal_seed(&changed)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    assert_eq!(bench.kek.wraps(), wraps, "nothing was sealed for another");
}

#[test]
fn sealing_anew_keeps_no_key_open() {
    let bench = Bench::new();
    let record = bench.generate(Algorithm::Ed25519);
    let handle = run(bench.backend.reseal_key(&record)).unwrap();
    assert_eq!(bench.kek.unwraps(), 1);
    for (opened, record) in [(2, record.clone()), (3, with(&record, handle))] {
        let signer = run(bench.backend.signer(&record)).unwrap();
        run(signer.sign(input(Algorithm::Ed25519))).unwrap();
        assert_eq!(bench.kek.unwraps(), opened, "each is opened when it is used");
    }
    assert_eq!(bench.clock.monotonic(), custody_core::seam::Monotonic::ZERO);
}

#[test]
fn a_key_encrypting_key_that_fails_leaves_the_old_handle_as_it_was() {
    for failure in [
        ErrorKind::Unavailable,
        ErrorKind::Indeterminate,
        ErrorKind::Throttled { retry_after: None },
        ErrorKind::Refused,
    ] {
        let (first, second) = (kek("kek:1", 1), kek("kek:2", 2));
        let record = made(&backend(&first, &[]), Exportability::Never);
        let rotated = backend(&second, &[&first]);
        for failing in [&first, &second] {
            failing.fail_with(Some(failure));
            let error = run(rotated.reseal_key(&record)).unwrap_err();
            assert_ne!(error.kind(), ErrorKind::Indeterminate, "{failure:?}");
            failing.fail_with(None);
            assert_signs(&rotated, &record);
        }
        assert!(run(rotated.reseal_key(&record)).is_ok());
    }
}

#[test]
fn without_entropy_nothing_is_sealed_anew() {
    // A key takes three draws, and sealing it anew two: its data key, a nonce.
    for draws in 3..5 {
        let bench = Bench::drawing(TestEntropy::failing_after(draws));
        let record = bench.generate(Algorithm::Ed25519);
        let error = run(bench.backend.reseal_key(&record)).unwrap_err();
        assert_eq!((error.kind(), bench.kek.wraps()), (ErrorKind::Unavailable, 1), "{draws}");
    }
}
