#![expect(clippy::arithmetic_side_effects, reason = "tests count")]

use custody_testkit::runtime::TestEntropy;

use super::*;

const COUNT_MAX: u8 = 16;

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec())
}

fn secret_of(seed: u64, length: usize) -> Secret {
    Secret::try_fill(length, |bytes| TestEntropy::seeded(seed).fill(bytes)).unwrap()
}

fn split_seeded(threshold: u8, count: u8, secret: &Secret) -> Vec<Secret> {
    let seed = u64::from(threshold) * 100 + u64::from(count);
    split(threshold, count, secret, &TestEntropy::seeded(seed)).unwrap()
}

/// The points of a mask: bit 0 is the first value.
fn chosen(values: &[Secret], mask: u32) -> Points<'_> {
    (0_u8..).zip(values).filter(|(at, _)| mask >> at & 1 == 1).collect()
}

#[test]
fn every_subset_of_as_many_values_as_needed_gives_the_secret() {
    let secret = secret_of(1, 16);
    let mut subsets = 0;
    for count in 1..=COUNT_MAX {
        for threshold in 1..=count {
            let values = split_seeded(threshold, count, &secret);
            assert_eq!(values.len(), usize::from(count));
            let masks =
                (0..1_u32 << count).filter(|mask| mask.count_ones() == u32::from(threshold));
            for mask in masks {
                let recovered = recover(&chosen(&values, mask));
                let is_right = recovered.is_ok_and(|there| there.expose() == secret.expose());
                assert!(is_right, "{threshold} of {count}, {mask:b}");
                subsets += 1;
            }
        }
    }
    // All subsets but the empty ones.
    assert_eq!(subsets, (1..=COUNT_MAX).map(|count| (1_u32 << count) - 1).sum::<u32>());
}

#[test]
fn every_further_value_agrees_and_a_changed_one_does_not() {
    let secret = secret_of(2, 16);
    for threshold in 1..=COUNT_MAX {
        let values = split_seeded(threshold, COUNT_MAX, &secret);
        let points = chosen(&values, (1 << threshold) - 1);
        for (at, value) in (0_u8..).zip(&values).skip(threshold.into()) {
            assert!(agrees(&points, at, value), "{threshold}, {at}");
            let mut changed = value.expose().to_vec();
            changed[usize::from(at) % 16] ^= 0x40;
            assert!(!agrees(&points, at, &Secret::new(changed)), "{threshold}, {at}");
            assert!(!agrees(&points, at ^ 1, value) || threshold == 1, "{threshold}, {at}");
        }
    }
}

#[test]
fn a_value_with_any_byte_changed_is_found_out() {
    let secret = secret_of(3, 16);
    for (threshold, count) in [(2, 2), (2, 3), (3, 5), (16, 16)] {
        let values = split_seeded(threshold, count, &secret);
        for (wrong, byte) in
            (0..usize::from(threshold)).flat_map(|at| (0..16).map(move |b| (at, b)))
        {
            let mut changed = values[wrong].expose().to_vec();
            changed[byte] ^= 1;
            let changed = Secret::new(changed);
            let mut points = chosen(&values, (1 << threshold) - 1);
            points.insert(u8::try_from(wrong).unwrap(), &changed);
            assert_eq!(
                recover(&points).err(),
                Some(DigestMismatch),
                "{threshold}: {wrong}, {byte}"
            );
        }
    }
}

#[test]
fn too_few_values_are_found_out() {
    let secret = secret_of(4, 32);
    for threshold in 3..=COUNT_MAX {
        let values = split_seeded(threshold, COUNT_MAX, &secret);
        let points = chosen(&values, (1 << (threshold - 1)) - 1);
        assert_eq!(recover(&points).err(), Some(DigestMismatch), "{threshold}");
    }
}

#[test]
fn whoever_is_needed_alone_holds_the_secret_itself() {
    let secret = secret_of(5, 16);
    for value in split_seeded(1, 3, &secret) {
        assert!(value.expose() == secret.expose());
    }
}

#[test]
fn no_value_is_made_without_all_randomness() {
    let secret = secret_of(6, 16);
    // The values that are drawn, and the digest.
    for threshold in 2..=COUNT_MAX {
        let drawn = u64::from(threshold) - 1;
        for calls in 0..drawn {
            let entropy = TestEntropy::failing_after(calls);
            assert!(
                split(threshold, COUNT_MAX, &secret, &entropy).is_err(),
                "{threshold}: {calls}"
            );
        }
        let entropy = TestEntropy::failing_after(drawn);
        assert!(split(threshold, COUNT_MAX, &secret, &entropy).is_ok(), "{threshold}");
    }
}

/// Every secret byte, and every choice of the random byte: each value that one member can hold
/// stands there for exactly one choice, whatever the secret is.
#[test]
fn one_of_two_needed_values_is_as_likely_for_every_secret() {
    let random = secret(&(0..=255).collect::<Vec<_>>());
    for byte in 0..=255 {
        let shared = secret(&[byte; 256]);
        let points = Points::from([(DIGEST_AT, &random), (SECRET_AT, &shared)]);
        for at in 0..COUNT_MAX {
            let mut seen = [0_u8; 256];
            for value in interpolate(&points, at).expose() {
                seen[usize::from(*value)] += 1;
            }
            assert!(seen == [1; 256], "a value at {at} is likelier than another");
        }
    }
}

/// Every choice of both random bytes: each pair of values that two members can hold stands there
/// for exactly one choice. All pairs of members for some secrets, and all secrets for some pairs.
#[test]
fn two_of_three_needed_values_are_as_likely_for_every_secret() {
    let all = || (0..=255_u8).flat_map(|first| (0..=255_u8).map(move |second| [first, second]));
    let first = secret(&all().map(|[first, _]| first).collect::<Vec<_>>());
    let second = secret(&all().map(|[_, second]| second).collect::<Vec<_>>());
    let pairs = (0..COUNT_MAX).flat_map(|one| (0..one).map(move |other| (one, other)));
    let of_some_secrets = pairs.flat_map(|pair| [0, 1, 0x80, 0xff].map(|byte| (byte, pair)));
    let of_some_pairs = (0..=255).flat_map(|byte| [(1, 0), (15, 7)].map(|pair| (byte, pair)));
    for (byte, (one, other)) in of_some_secrets.chain(of_some_pairs) {
        let shared = secret(&vec![byte; 65_536]);
        let points = Points::from([(0, &first), (DIGEST_AT, &second), (SECRET_AT, &shared)]);
        let (one, other) = (interpolate(&points, one), interpolate(&points, other));
        let mut seen = vec![0_u8; 65_536];
        for pair in one.expose().iter().zip(other.expose()) {
            seen[usize::from(u16::from_be_bytes([*pair.0, *pair.1]))] += 1;
        }
        assert!(seen.iter().all(|count| *count == 1), "a pair of values is likelier than another");
    }
}

/// How far the bytes are from all being equally likely: chi-square with 255 degrees of freedom.
fn chi_square(counts: &[u64; 256]) -> u64 {
    let expected = counts.iter().sum::<u64>() / 256;
    counts.iter().map(|count| count.abs_diff(expected).pow(2)).sum::<u64>() / expected
}

#[test]
fn every_byte_of_a_share_is_as_likely_as_any_other_zero_included() {
    const SPLITS: u64 = 400;
    for (threshold, count) in [(2, 2), (2, 3), (3, 5), (5, 8), (16, 16)] {
        for byte in [0, 1, 0xff] {
            let shared = secret(&[byte; 64]);
            let entropy = TestEntropy::seeded(u64::from(byte) << 8 | u64::from(threshold));
            let mut by_member = vec![[0_u64; 256]; count.into()];
            for _ in 0..SPLITS {
                let values = split(threshold, count, &shared, &entropy).unwrap();
                for (counts, value) in by_member.iter_mut().zip(&values) {
                    value.expose().iter().for_each(|byte| counts[usize::from(*byte)] += 1);
                }
            }
            for (member, counts) in by_member.iter().enumerate() {
                // Outside of these once in a million times, each (255 degrees of freedom).
                let chi_square = chi_square(counts);
                let place = format!("{threshold} of {count}, secret {byte:02x}, member {member}");
                assert!((160..=376).contains(&chi_square), "{place}: {chi_square}");
                assert!((50..=150).contains(&counts[0]), "{place}: {} zeros", counts[0]);
            }
        }
    }
}

#[test]
fn the_measure_of_likeliness_sees_a_missing_byte() {
    let mut counts = [100; 256];
    assert_eq!(chi_square(&counts), 0);
    counts[0] = 0;
    counts.iter_mut().skip(1).step_by(2).for_each(|count| *count += 25);
    assert!(chi_square(&counts) > 376);
}
