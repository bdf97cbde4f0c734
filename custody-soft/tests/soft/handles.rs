use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    DerivationPath, ErrorKind, KeyBackend, KeyDerivation, KeyEncryption, KeyHandle, KeyRecord,
    SeedRecord,
};
use custody_soft::SoftBackend;
use custody_testkit::runtime::{TestClock, TestEntropy};
use proptest::prelude::*;

use crate::support::{
    Bench, CountingKek, key_request, record, run, seed_record, seed_request, with_handle,
};

fn seed(bench: &Bench) -> SeedRecord {
    seed_record(&seed_request(), run(bench.backend.generate_seed(&seed_request())).unwrap())
}

fn derive_failure(bench: &Bench, seed: &SeedRecord) -> Option<ErrorKind> {
    bench.derive(seed, "m/0'", Algorithm::Ed25519).err().map(|error| error.kind())
}

/// The position of the binding within a handle of the test backend.
fn binding_start(handle: &KeyHandle) -> usize {
    3 + usize::from(handle.as_bytes()[2])
}

#[test]
fn a_handle_for_another_custodian_wallet_key_or_algorithm_is_corrupt_and_opens_nothing() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::EcdsaSecp256k1);
    let other = bench.generate(Algorithm::Bip340).public_key;
    let cases: [(&str, KeyRecord); 4] = [
        ("custodian", KeyRecord { custodian: CustodianId::new(Digest::of(b"x")), ..good.clone() }),
        ("wallet", KeyRecord { wallet: WalletId::parse("hot").unwrap(), ..good.clone() }),
        ("key", KeyRecord { key: KeyId::parse("key-2").unwrap(), ..good.clone() }),
        ("algorithm", KeyRecord { public_key: other, ..good.clone() }),
    ];
    for (field, changed) in cases {
        assert_eq!(bench.open_failure(&changed), Some(ErrorKind::Corrupt), "{field}");
    }
    assert_eq!(bench.kek.unwraps(), 0);
    assert_eq!(bench.open_failure(&good), None);
}

#[test]
fn the_binding_in_clear_is_not_what_is_trusted() {
    // Whoever rewrites the binding in clear for another wallet still fails at the sealed one.
    let bench = Bench::new();
    let good = bench.generate(Algorithm::Ed25519);
    let mut request = key_request("key-1", Algorithm::Ed25519);
    request.wallet = WalletId::parse("hot").unwrap();
    let theirs = record(&request, run(bench.backend.generate(&request)).unwrap());
    let at = binding_start(&good.handle);
    let mut forged = good.handle.as_bytes().to_vec();
    forged[at..at + 32].copy_from_slice(&theirs.handle.as_bytes()[at..at + 32]);
    let forged = KeyRecord { public_key: good.public_key, ..with_handle(&theirs, forged) };
    assert_eq!(bench.open_failure(&forged), Some(ErrorKind::Corrupt));
    assert_eq!(bench.kek.unwraps(), 1);
}

#[test]
fn a_key_that_is_not_the_recorded_one_is_corrupt() {
    let bench = Bench::new();
    for algorithm in Algorithm::ALL {
        let good = bench.generate(algorithm);
        let other = bench.generate(algorithm).public_key;
        let swapped = KeyRecord { public_key: other, ..good };
        assert_eq!(bench.open_failure(&swapped), Some(ErrorKind::Corrupt), "{algorithm}");
    }
}

#[test]
fn an_open_key_is_not_lent_to_a_record_that_differs() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::Ed25519);
    assert_eq!(bench.open_failure(&good), None);
    let other = bench.generate(Algorithm::Ed25519).public_key;
    let cases = [
        KeyRecord { public_key: other, ..good.clone() },
        KeyRecord { wallet: WalletId::parse("hot").unwrap(), ..good.clone() },
        with_handle(&good, good.handle.as_bytes()[1..].to_vec()),
    ];
    for changed in cases {
        assert_eq!(bench.open_failure(&changed), Some(ErrorKind::Corrupt));
    }
}

#[test]
fn a_handle_with_any_byte_changed_is_corrupt() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::EcdsaP256);
    for position in 0..good.handle.as_bytes().len() {
        for flip in [0x01, 0x80] {
            let mut bytes = good.handle.as_bytes().to_vec();
            bytes[position] ^= flip;
            let failure = bench.open_failure(&with_handle(&good, bytes));
            assert_eq!(failure, Some(ErrorKind::Corrupt), "byte {position} ^ {flip}");
        }
    }
}

#[test]
fn a_handle_that_is_cut_or_followed_by_bytes_is_corrupt() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::Ed25519);
    let bytes = good.handle.as_bytes();
    for length in 0..bytes.len() {
        let failure = bench.open_failure(&with_handle(&good, bytes[..length].to_vec()));
        assert_eq!(failure, Some(ErrorKind::Corrupt), "cut to {length} bytes");
    }
    for more in [1, KeyHandle::MAX] {
        let longer = [bytes, vec![0; more].as_slice()].concat();
        let failure = bench.open_failure(&with_handle(&good, longer));
        assert_eq!(failure, Some(ErrorKind::Corrupt), "{more} more bytes");
    }
    assert_eq!(bench.kek.unwraps(), 0);
}

#[test]
fn a_handle_of_an_unknown_version_is_corrupt() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::Ed25519);
    assert_eq!(good.handle.as_bytes()[0], 1);
    for version in [0, 2, 255] {
        let mut bytes = good.handle.as_bytes().to_vec();
        bytes[0] = version;
        assert_eq!(bench.open_failure(&with_handle(&good, bytes)), Some(ErrorKind::Corrupt));
    }
    assert_eq!(bench.kek.unwraps(), 0);
}

#[test]
fn a_handle_sealed_under_another_key_encrypting_key_is_corrupt_and_asks_no_key() {
    let bench = Bench::new();
    let good = bench.generate(Algorithm::Ed25519);
    let kek = Arc::new(CountingKek::named("test:other", 7));
    let other = SoftBackend::new(
        BackendId::parse("soft").unwrap(),
        Arc::clone(&kek) as Arc<dyn KeyEncryption>,
        Arc::new(TestEntropy::seeded(2)),
        Arc::new(TestClock::new()),
    )
    .unwrap();
    let error = run(other.signer(&good)).unwrap_err();
    assert_eq!((error.kind(), kek.unwraps()), (ErrorKind::Corrupt, 0));
}

#[test]
fn the_parts_of_two_handles_do_not_mix() {
    let bench = Bench::new();
    let (one, two) = (bench.generate(Algorithm::Ed25519), bench.generate(Algorithm::Ed25519));
    // Both bind the same names, so that only the fresh data keys tell them apart.
    let at = binding_start(&one.handle) + 32;
    let mixed = [&one.handle.as_bytes()[..at + 63], &two.handle.as_bytes()[at + 63..]].concat();
    for record in [&one, &two] {
        let failure = bench.open_failure(&with_handle(record, mixed.clone()));
        assert_eq!(failure, Some(ErrorKind::Corrupt));
    }
}

#[test]
fn a_seed_for_another_custodian_wallet_or_id_is_corrupt() {
    let bench = Bench::new();
    let good = seed(&bench);
    let cases = [
        ("custodian", SeedRecord { custodian: CustodianId::new(Digest::of(b"x")), ..good.clone() }),
        ("wallet", SeedRecord { wallet: WalletId::parse("hot").unwrap(), ..good.clone() }),
        ("key", SeedRecord { key: KeyId::parse("seed-2").unwrap(), ..good.clone() }),
    ];
    for (field, changed) in cases {
        assert_eq!(derive_failure(&bench, &changed), Some(ErrorKind::Corrupt), "{field}");
        let mut request = key_request("derived-1", Algorithm::Ed25519);
        request.custodian = changed.custodian;
        request.wallet = changed.wallet.clone();
        let path = DerivationPath::parse("m/0'").unwrap();
        let error = run(bench.backend.derive(&changed, &path, &request)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{field}, request too");
    }
    assert_eq!(derive_failure(&bench, &good), None);
}

#[test]
fn a_key_is_not_derived_for_another_wallet_or_custodian_than_its_seed() {
    let bench = Bench::new();
    let (seed, path) = (seed(&bench), DerivationPath::parse("m/0'").unwrap());
    let mut wallet = key_request("derived-1", Algorithm::Ed25519);
    wallet.wallet = WalletId::parse("hot").unwrap();
    let mut custodian = key_request("derived-1", Algorithm::Ed25519);
    custodian.custodian = CustodianId::new(Digest::of(b"x"));
    for request in [wallet, custodian] {
        let error = run(bench.backend.derive(&seed, &path, &request)).unwrap_err();
        assert_eq!((error.kind(), bench.kek.unwraps()), (ErrorKind::Corrupt, 0));
    }
}

#[test]
fn a_sealed_seed_with_any_byte_changed_or_cut_is_corrupt() {
    let bench = Bench::new();
    let good = seed(&bench);
    let bytes = good.handle.as_bytes();
    for position in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[position] ^= 0x10;
        for bytes in [changed, bytes[..position].to_vec()] {
            let record = SeedRecord { handle: KeyHandle::new(bytes), ..good.clone() };
            assert_eq!(derive_failure(&bench, &record), Some(ErrorKind::Corrupt), "at {position}");
        }
    }
}

#[test]
fn a_seed_is_no_key_and_a_key_is_no_seed() {
    let bench = Bench::new();
    let (seed, key) = (seed(&bench), bench.generate(Algorithm::Ed25519));
    let as_key =
        KeyRecord { key: seed.key.clone(), ..with_handle(&key, seed.handle.as_bytes().to_vec()) };
    let as_seed = SeedRecord { key: key.key.clone(), handle: key.handle.clone(), ..seed };
    assert_eq!(bench.open_failure(&as_key), Some(ErrorKind::Corrupt));
    assert_eq!(derive_failure(&bench, &as_seed), Some(ErrorKind::Corrupt));
}

#[test]
fn a_derived_key_opens_only_under_its_own_id() {
    let bench = Bench::new();
    let seed = seed(&bench);
    let good = bench.derive(&seed, "m/0'", Algorithm::Ed25519).unwrap();
    assert_eq!(bench.open_failure(&good), None);
    let other = KeyRecord { key: seed.key, ..good };
    assert_eq!(bench.open_failure(&other), Some(ErrorKind::Corrupt));
}

#[test]
fn no_handle_holds_its_secret_in_clear() {
    let bench = Bench::new();
    let secret = [0xab; 32];
    for algorithm in Algorithm::ALL {
        let handle = bench.import(algorithm, &secret).unwrap().handle;
        assert!(handle.as_bytes().windows(4).all(|window| window != [0xab; 4]), "{algorithm}");
    }
    let handle = bench.import_seed(&secret).unwrap().handle;
    assert!(handle.as_bytes().windows(4).all(|window| window != [0xab; 4]));
}

proptest! {
    #[test]
    fn foreign_bytes_are_never_a_handle(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bench = Bench::new();
        let key = bench.generate(Algorithm::Ed25519);
        prop_assert_eq!(bench.open_failure(&with_handle(&key, bytes)), Some(ErrorKind::Corrupt));
    }

    #[test]
    fn a_handle_with_a_piece_replaced_is_corrupt(
        at in any::<proptest::sample::Index>(),
        piece in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let bench = Bench::new();
        let key = bench.generate(Algorithm::Ed25519);
        let mut bytes = key.handle.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + piece.len()).min(bytes.len());
        bytes.splice(start..end, piece);
        prop_assume!(bytes != key.handle.as_bytes());
        prop_assert_eq!(bench.open_failure(&with_handle(&key, bytes)), Some(ErrorKind::Corrupt));
    }
}
