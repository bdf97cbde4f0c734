use std::sync::Arc;
use std::time::Duration;

use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, KeyBackend, KeyRecord, Signer};
use custody_soft::CacheLimits;

use crate::support::{Bench, input, key_request, limits, record, run};

const MINUTE: Duration = Duration::from_secs(60);
const NANOSECOND: Duration = Duration::from_nanos(1);
const ED25519: Algorithm = Algorithm::Ed25519;

fn opened(bench: &Bench, key: &str) -> (KeyRecord, Arc<dyn Signer>) {
    let request = key_request(key, ED25519);
    let record = record(&request, run(bench.backend.generate(&request)).unwrap());
    let signer = run(bench.backend.signer(&record)).unwrap();
    (record, signer)
}

fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let signature = run(signer.sign(input(ED25519))).map_err(|error| error.kind())?;
    signature.verify(signer.public_key(), input(ED25519)).unwrap();
    Ok(())
}

#[test]
fn an_open_key_signs_without_a_call_of_the_key_encrypting_key() {
    let bench = Bench::new();
    let (record, signer) = opened(&bench, "key-1");
    assert_eq!(bench.kek.unwraps(), 1);
    for _ in 0..10 {
        sign(&signer).unwrap();
        sign(&run(bench.backend.signer(&record)).unwrap()).unwrap();
    }
    assert_eq!(bench.kek.unwraps(), 1);
}

#[test]
fn a_key_is_open_until_its_age_is_reached_and_then_opened_again() {
    let bench = Bench::limited(limits(8, MINUTE, 1_000));
    let (record, signer) = opened(&bench, "key-1");
    bench.clock.drift(MINUTE - NANOSECOND);
    sign(&signer).unwrap();
    assert_eq!(bench.kek.unwraps(), 1);
    bench.clock.drift(NANOSECOND);
    sign(&signer).unwrap();
    assert_eq!(bench.kek.unwraps(), 2);
    bench.clock.drift(MINUTE);
    sign(&run(bench.backend.signer(&record)).unwrap()).unwrap();
    assert_eq!(bench.kek.unwraps(), 3);
}

#[test]
fn use_does_not_make_a_key_younger() {
    let bench = Bench::limited(limits(8, MINUTE, 1_000));
    let (_, signer) = opened(&bench, "key-1");
    for _ in 0..4 {
        bench.clock.drift(MINUTE / 4);
        sign(&signer).unwrap();
    }
    assert_eq!(bench.kek.unwraps(), 2);
}

#[test]
fn the_wall_clock_has_no_say_in_the_age_of_a_key() {
    let bench = Bench::limited(limits(8, MINUTE, 1_000));
    let (_, signer) = opened(&bench, "key-1");
    bench.clock.set_wall(custody_core::time::Timestamp::from_millis(0));
    bench.clock.drift(MINUTE);
    sign(&signer).unwrap();
    assert_eq!(bench.kek.unwraps(), 2);
}

#[test]
fn a_key_is_open_for_so_many_signatures_and_then_opened_again() {
    for uses in [1, 2, 3] {
        let bench = Bench::limited(limits(8, MINUTE, uses));
        let (_, signer) = opened(&bench, "key-1");
        for signature in 0..7 {
            assert_eq!(bench.kek.unwraps(), 1 + u64::saturating_sub(signature, 1) / uses, "{uses}");
            sign(&signer).unwrap();
        }
    }
}

#[test]
fn the_signatures_of_all_signers_of_a_key_count_together() {
    let bench = Bench::limited(limits(8, MINUTE, 2));
    let (record, one) = opened(&bench, "key-1");
    let two = run(bench.backend.signer(&record)).unwrap();
    for signer in [&one, &two, &one] {
        sign(signer).unwrap();
    }
    assert_eq!(bench.kek.unwraps(), 2);
}

#[test]
fn the_key_that_is_open_longest_makes_room() {
    let bench = Bench::limited(limits(2, MINUTE, 1_000));
    let (_, one) = opened(&bench, "key-1");
    let (_, two) = opened(&bench, "key-2");
    for signer in [&one, &two] {
        sign(signer).unwrap();
    }
    assert_eq!(bench.kek.unwraps(), 2);
    let (_, three) = opened(&bench, "key-3");
    for signer in [&two, &three] {
        sign(signer).unwrap();
    }
    assert_eq!(bench.kek.unwraps(), 3);
    sign(&one).unwrap();
    assert_eq!(bench.kek.unwraps(), 4);
}

#[test]
fn an_age_of_zero_keeps_nothing_open() {
    let bench = Bench::limited(limits(8, Duration::ZERO, 1_000));
    let (_, signer) = opened(&bench, "key-1");
    for signatures in 1..4 {
        sign(&signer).unwrap();
        assert_eq!(bench.kek.unwraps(), 1 + signatures);
    }
}

#[test]
fn a_signer_held_for_long_is_worth_nothing_once_the_key_encrypting_key_is_gone() {
    for close in [
        (|bench| bench.clock.drift(MINUTE)) as fn(&Bench),
        |bench| bench.backend.wipe(),
        |bench| drop((opened(bench, "key-2"), opened(bench, "key-3"))),
    ] {
        let bench = Bench::limited(limits(2, MINUTE, 1_000));
        let (_, signer) = opened(&bench, "key-1");
        close(&bench);
        bench.kek.fail_with(Some(ErrorKind::Refused));
        assert_eq!(sign(&signer), Err(ErrorKind::Refused));
        bench.kek.fail_with(None);
        assert_eq!(sign(&signer), Ok(()));
    }
}

#[test]
fn a_key_that_used_up_its_signatures_needs_the_key_encrypting_key() {
    let bench = Bench::limited(limits(2, MINUTE, 1));
    let (_, signer) = opened(&bench, "key-1");
    bench.kek.fail_with(Some(ErrorKind::Unavailable));
    assert_eq!(sign(&signer), Ok(()));
    assert_eq!(sign(&signer), Err(ErrorKind::Unavailable));
}

#[test]
fn wiping_what_is_too_old_spares_what_is_not() {
    let bench = Bench::limited(limits(8, MINUTE, 1_000));
    let (_, old) = opened(&bench, "key-1");
    bench.clock.drift(MINUTE / 2);
    let (_, young) = opened(&bench, "key-2");
    bench.clock.drift(MINUTE / 2);
    bench.backend.wipe_expired();
    sign(&young).unwrap();
    assert_eq!(bench.kek.unwraps(), 2);
    sign(&old).unwrap();
    assert_eq!(bench.kek.unwraps(), 3);
}

#[test]
fn a_failed_opening_leaves_nothing_open() {
    let bench = Bench::new();
    let record = bench.generate(ED25519);
    let other = KeyRecord { public_key: bench.generate(ED25519).public_key, ..record };
    for calls in 1..4 {
        assert_eq!(bench.open_failure(&other), Some(ErrorKind::Corrupt));
        assert_eq!(bench.kek.unwraps(), calls);
    }
}

#[test]
fn many_threads_share_a_small_cache_and_every_signature_verifies() {
    let bench = Bench::limited(limits(2, MINUTE, 3));
    let signers: Vec<_> = ["a", "b", "c"].iter().map(|key| opened(&bench, key).1).collect();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let signers = &signers;
            scope.spawn(move || {
                for round in 0..30 {
                    sign(&signers[(thread + round) % 3]).unwrap();
                }
            });
        }
    });
    // 180 signatures at three a key-opening need at least 60 openings.
    assert!(bench.kek.unwraps() >= 60);
}

#[test]
fn the_default_limits_are_bounded() {
    let limits = CacheLimits::default();
    assert_eq!(limits.keys().get(), 1_024);
    assert_eq!(limits.age(), 10 * MINUTE);
    assert_eq!(limits.uses().get(), 1_000_000);
}
