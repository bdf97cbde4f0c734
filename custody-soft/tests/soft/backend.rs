use std::sync::Arc;

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::id::{BackendId, BackendIdentity, KeyId};
use custody_core::seam::{ErrorKind, Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport};
use custody_core::secret::Secret;
use custody_soft::SoftBackend;
use custody_testkit::runtime::{TestClock, TestEntropy};

use crate::support::{
    Bench, CountingKek, GivenEntropy, StuckEntropy, input, key_request, record, run, seed_request,
};

fn backend_under(kek: CountingKek) -> SoftBackend {
    let id = BackendId::parse("soft").unwrap();
    let clock = Arc::new(TestClock::new());
    SoftBackend::new(id, Arc::new(kek), Arc::new(TestEntropy::seeded(1)), clock).unwrap()
}

fn identity_under(kek: CountingKek) -> BackendIdentity {
    backend_under(kek).identity().clone()
}

/// The order of a curve, big-endian; none for Ed25519.
fn order(algorithm: Algorithm) -> Option<Vec<u8>> {
    let order = match algorithm {
        Algorithm::Bip340 | Algorithm::EcdsaSecp256k1 => {
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        }
        Algorithm::EcdsaP256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Algorithm::Ed25519 | _ => return None,
    };
    Some(hex::decode(order).unwrap())
}

#[test]
fn every_algorithm_is_generated_and_its_signature_verifies() {
    let bench = Bench::new();
    assert_eq!(bench.backend.algorithms(), Algorithm::ALL);
    for algorithm in Algorithm::ALL {
        let record = bench.generate(algorithm);
        let signer = run(bench.backend.signer(&record)).unwrap();
        assert_eq!((signer.algorithm(), signer.public_key()), (algorithm, &record.public_key));
        let signature = run(signer.sign(input(algorithm))).unwrap();
        signature.checked(&record.public_key, input(algorithm)).unwrap();
    }
}

#[test]
fn two_keys_are_never_the_same_whether_their_ids_differ_or_not() {
    let bench = Bench::new();
    for algorithm in Algorithm::ALL {
        let keys: Vec<_> = ["key-1", "key-2", "key-1"]
            .iter()
            .map(|key| run(bench.backend.generate(&key_request(key, algorithm))).unwrap())
            .collect();
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            assert_ne!(keys[one].public_key, keys[other].public_key);
            assert_ne!(keys[one].handle, keys[other].handle);
        }
    }
}

#[test]
fn the_identity_follows_the_key_encrypting_key_and_nothing_else() {
    let identity = identity_under(CountingKek::named("kek:a", 1));
    assert_eq!(identity, identity_under(CountingKek::named("kek:a", 2).outside()));
    assert_ne!(identity, identity_under(CountingKek::named("kek:b", 1)));
    assert!(identity.as_str().starts_with("soft:"));
}

#[test]
fn keys_are_in_process_only_if_their_key_encrypting_key_is() {
    assert!(backend_under(CountingKek::new()).in_process());
    assert!(!backend_under(CountingKek::new().outside()).in_process());
}

#[test]
fn abilities_that_software_keys_have_not_are_absent() {
    let bench = Bench::new();
    assert!(bench.backend.wrapping().is_none());
    assert!(bench.backend.switch().is_none());
    assert!(bench.backend.attestation().is_none());
    assert!(bench.backend.derivation().is_some());
    assert!(bench.backend.import().is_some());
    assert!(bench.backend.resealing().is_some());
    assert_eq!(KeyBackend::kek(&bench.backend).unwrap().id(), bench.kek.id());
}

#[test]
fn the_other_kind_of_input_is_unsupported_and_opens_nothing() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let record = bench.generate(algorithm);
        let signer = run(bench.backend.signer(&record)).unwrap();
        bench.backend.wipe();
        let other = if algorithm.signs_prehash() {
            SignInput::Message(&[0; 32])
        } else {
            SignInput::Prehash(&[0; 32])
        };
        let error = run(signer.sign(other)).unwrap_err();
        assert_eq!((error.kind(), bench.kek.unwraps()), (ErrorKind::Unsupported, 1), "{algorithm}");
    }
}

#[test]
fn without_entropy_nothing_is_made_and_nothing_is_wrapped() {
    // A key takes three draws: the key, its data key, a nonce.
    for draws in 0..3 {
        let bench = Bench::drawing(TestEntropy::failing_after(draws));
        for algorithm in Algorithm::ALL {
            let error = run(bench.backend.generate(&key_request("key-1", algorithm))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{draws} draws, {algorithm}");
        }
        let error = run(bench.backend.generate_seed(&seed_request())).unwrap_err();
        assert_eq!((error.kind(), bench.kek.wraps()), (ErrorKind::Unavailable, 0), "{draws} draws");
    }
}

#[test]
fn bip_340_is_not_signed_without_fresh_randomness() {
    let bench = Bench::drawing(TestEntropy::failing_after(3));
    let record = bench.generate(Algorithm::Bip340);
    let signer = run(bench.backend.signer(&record)).unwrap();
    let error = run(signer.sign(input(Algorithm::Bip340))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_drawn_number_that_is_no_scalar_is_drawn_again() {
    for algorithm in Algorithm::ALL {
        let Some(order) = order(algorithm) else { continue };
        let good = [0x11; 32];
        let draws: [&[u8]; 4] = [&[0; 32], &order, &[0xff; 32], &good];
        let drawn = Bench::drawing(GivenEntropy::new(&draws)).generate(algorithm);
        let imported = Bench::new().import(algorithm, &good).unwrap();
        assert_eq!(drawn.public_key, imported.public_key, "{algorithm}");
    }
}

#[test]
fn a_source_that_never_gives_a_scalar_is_given_up() {
    for byte in [0, 0xff] {
        let bench = Bench::drawing(StuckEntropy(byte));
        for algorithm in Algorithm::ALL.into_iter().filter(|one| order(*one).is_some()) {
            let error = run(bench.backend.generate(&key_request("key-1", algorithm))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{algorithm}, {byte}");
        }
    }
}

#[test]
fn bytes_that_are_not_a_private_key_are_refused() {
    let bench = Bench::new();
    for algorithm in Algorithm::ALL {
        for length in [0, 1, 31, 33, 64] {
            let error = bench.import(algorithm, &vec![1; length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{algorithm}, {length} bytes");
        }
        let Some(order) = order(algorithm) else { continue };
        let mut past = order.clone();
        past[31] += 1;
        for bytes in [&[0; 32][..], &order, &past, &[0xff; 32]] {
            let error = bench.import(algorithm, bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{algorithm}");
        }
    }
    assert_eq!(bench.kek.wraps(), 0);
}

#[test]
fn the_smallest_and_the_largest_scalar_are_imported() {
    let bench = Bench::new();
    for algorithm in Algorithm::ALL {
        let mut one = [0; 32];
        one[31] = 1;
        bench.import(algorithm, &one).unwrap();
        let Some(mut last) = order(algorithm) else { continue };
        last[31] -= 1;
        bench.import(algorithm, &last).unwrap();
    }
}

#[test]
fn an_imported_key_signs_like_the_one_that_was_given() {
    let bench = Bench::new();
    for algorithm in Algorithm::ALL {
        let record = bench.import(algorithm, &[0x42; 32]).unwrap();
        let signer = run(bench.backend.signer(&record)).unwrap();
        let signature = run(signer.sign(input(algorithm))).unwrap();
        signature.checked(&record.public_key, input(algorithm)).unwrap();
    }
}

#[test]
fn the_length_of_a_seed_is_16_to_64_bytes() {
    let bench = Bench::new();
    for (length, accepted) in [(0, false), (15, false), (16, true), (64, true), (65, false)] {
        let outcome = bench.import_seed(&vec![7; length]);
        assert_eq!(outcome.is_ok(), accepted, "{length} bytes");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Refused, "{length} bytes");
        }
    }
}

#[test]
fn an_unknown_outcome_of_the_key_encrypting_key_means_that_nothing_was_made() {
    for (told, kind) in [
        (ErrorKind::Indeterminate, ErrorKind::Unavailable),
        (ErrorKind::Unavailable, ErrorKind::Unavailable),
        (ErrorKind::Refused, ErrorKind::Refused),
        (ErrorKind::Throttled { retry_after: None }, ErrorKind::Throttled { retry_after: None }),
    ] {
        let bench = Bench::new();
        let record = bench.generate(Algorithm::Ed25519);
        let signer = run(bench.backend.signer(&record)).unwrap();
        bench.backend.wipe();
        bench.kek.fail_with(Some(told));
        let request = key_request("key-1", Algorithm::Ed25519);
        assert_eq!(run(bench.backend.generate(&request)).unwrap_err().kind(), kind);
        assert_eq!(run(signer.sign(input(Algorithm::Ed25519))).unwrap_err().kind(), kind);
        assert_eq!(bench.open_failure(&record), Some(kind));
    }
}

#[test]
fn health_is_that_of_the_key_encrypting_key_and_of_the_entropy() {
    let bench = Bench::new();
    assert_eq!(run(bench.backend.health()), Health::Ready);
    bench.kek.fail_with(Some(ErrorKind::Unavailable));
    assert_eq!(run(bench.backend.health()), Health::Unavailable);
    let starved = Bench::drawing(TestEntropy::failing());
    assert_eq!(run(starved.backend.health()), Health::Unavailable);
}

#[test]
fn nothing_secret_is_printed() {
    let secret = [0xab; 32];
    let bench = Bench::new();
    let record = bench.import(Algorithm::Ed25519, &secret).unwrap();
    let signer = run(bench.backend.signer(&record)).unwrap();
    let refused = bench.import(Algorithm::EcdsaP256, &[0xff; 32]).unwrap_err();
    let source = std::error::Error::source(&refused).map(ToString::to_string);
    let printed =
        format!("{:?} {signer:?} {record:?} {refused:?} {refused} {source:?}", bench.backend);
    for bytes in [&secret[..], &[0xff; 32], record.handle.as_bytes()] {
        assert!(!printed.to_lowercase().contains(&hex::encode(bytes)));
        assert!(!printed.contains(&format!("{bytes:?}")));
    }
    assert!(printed.contains("SoftBackend") && printed.contains("SoftSigner"));
}

#[test]
fn an_imported_key_opens_only_under_its_own_id() {
    let bench = Bench::new();
    let mut request = key_request("key-1", Algorithm::Ed25519);
    let imported = run(bench.backend.import_key(&request, Secret::new(vec![9; 32]))).unwrap();
    request.key = KeyId::parse("key-2").unwrap();
    assert_eq!(bench.open_failure(&record(&request, imported)), Some(ErrorKind::Corrupt));
}
