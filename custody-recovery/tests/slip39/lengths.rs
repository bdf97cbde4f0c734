//! What splits and what does not, end to end.

use custody_core::seam::EntropyError;
use custody_core::secret::Secret;
use custody_recovery::slip39::{
    MASTER_SECRET_MAX, MASTER_SECRET_MIN, PassphraseError, SplitError, split,
};
use custody_testkit::runtime::TestEntropy;

use crate::support::{Random, combined, scheme, secret, split_words};

#[test]
fn a_secret_of_every_allowed_length_comes_back() {
    for length in (MASTER_SECRET_MIN..=MASTER_SECRET_MAX).step_by(2) {
        let master: Vec<u8> = (0..).take(length).collect();
        let scheme = scheme(1, &[(2, 3)]).iteration_exponent(0).unwrap();
        let entropy = TestEntropy::seeded(u64::try_from(length).unwrap());
        let words = split_words(&master, "a passphrase", &scheme, &entropy);
        let combined = combined(&words[0][1..], "a passphrase");
        assert!(combined == Ok(hex::encode(&master)), "{length} bytes");
    }
}

#[test]
fn a_secret_of_another_length_is_not_split() {
    let scheme = scheme(1, &[(2, 3)]);
    for length in [0, 1, 14, 15, 17, 33, 63, 65, 66, 1_000] {
        let master = Secret::new(vec![1; length]);
        let result = split(&master, &secret(""), &scheme, &TestEntropy::seeded(1));
        assert_eq!(result.unwrap_err(), SplitError::Length { length });
    }
}

#[test]
fn a_passphrase_that_is_not_printable_ascii_is_refused() {
    let (master, scheme) = (Secret::new(vec![1; 16]), scheme(1, &[(2, 3)]));
    let result = split(&master, &secret("caf\u{e9}"), &scheme, &TestEntropy::seeded(1));
    let SplitError::Passphrase(PassphraseError { position, .. }) = result.unwrap_err() else {
        panic!("it fails for another reason");
    };
    assert_eq!(position, 4);
}

#[test]
fn nothing_is_split_without_all_randomness() {
    let (master, scheme) = (Secret::new(vec![1; 16]), scheme(2, &[(2, 3), (3, 5)]));
    let scheme = scheme.iteration_exponent(0).unwrap();
    // The identifier, the digest of the groups, that of the first, and two values of the second.
    for calls in 0..5 {
        let result = split(&master, &secret(""), &scheme, &TestEntropy::failing_after(calls));
        assert_eq!(result.unwrap_err(), SplitError::Entropy(EntropyError::new()), "{calls}");
    }
    assert!(split(&master, &secret(""), &scheme, &TestEntropy::failing_after(5)).is_ok());
}

#[test]
fn each_split_gives_other_shares() {
    let scheme = scheme(1, &[(2, 3)]).iteration_exponent(0).unwrap();
    let entropy = TestEntropy::seeded(3);
    let one = split_words(&[7; 16], "", &scheme, &entropy);
    let other = split_words(&[7; 16], "", &scheme, &entropy);
    for (one, other) in one[0].iter().zip(&other[0]) {
        assert!(one != other, "two splits have a share in common");
    }
}

#[test]
fn random_schemes_give_the_secret_back_for_random_subsets() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for seed in 0..100 {
        let entropy = TestEntropy::seeded(seed);
        let count = random.between(1, 4);
        let groups: Vec<_> = (0..count).map(|_| random.group()).collect();
        let threshold = random.between(1, count);
        let scheme = scheme(threshold, &groups).iteration_exponent(0).unwrap();
        let scheme = scheme.extendable(random.below(2) == 1);
        let words = split_words(&[9; 16], "p", &scheme, &entropy);
        let indices: Vec<_> = (0..usize::from(count)).collect();
        let chosen = random.choose(&indices, threshold.into()).into_iter();
        let brought: Vec<_> =
            chosen.flat_map(|group| random.choose(&words[group], groups[group].0.into())).collect();
        assert!(combined(&brought, "p") == Ok(hex::encode([9; 16])), "{groups:?}, seed {seed}");
    }
}
