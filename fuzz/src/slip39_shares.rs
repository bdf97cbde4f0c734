//! Words of SLIP-39: what is read as a share is written as the same words, and shares that come
//! together give one secret in whatever order, or a reason. Opens secrets, of tests only.

use custody_core::secret::Secret;
use custody_recovery::slip39::{
    CombineError, GroupScheme, Progress, Scheme, Share, combine, split,
};
use custody_testkit::runtime::TestEntropy;

use crate::Seed;
use crate::input::{choose, chosen};

const PARTS: [&str; 2] = ["share", "shares"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, rest) = choose(&PARTS, bytes)?;
    let is_taken = match *part {
        "share" => read(rest).is_some(),
        _ => together(rest),
    };
    is_taken.then_some(*part)
}

/// A share of these words, which it must be written as.
fn read(text: &[u8]) -> Option<Share> {
    let share = Share::parse(&Secret::new(text.to_vec())).ok()?;
    let words: Vec<_> =
        text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let words = words.join(&b' ').to_ascii_lowercase();
    let written = share.to_words();
    assert!(written.expose() == words, "it is written as other words");
    let thresholds = [share.group_threshold(), share.group_count(), share.member_threshold()];
    assert!(thresholds.iter().all(|count| (1..=16).contains(count)));
    assert!(share.group_threshold() <= share.group_count());
    assert!(share.group_index() < 16 && share.member_index() < 16);
    assert!(share.identifier() < 1 << 15 && share.iteration_exponent() < 16);
    Some(share)
}

/// Shares, one a line; whether they are enough and agree.
fn together(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let Some(mut shares) = lines.take(SHARES_MAX).map(read).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let Ok(progress) = Progress::of(&shares) else {
        assert!(combine(&shares, &passphrase()).is_err(), "they give a secret all the same");
        return false;
    };
    if shares[0].iteration_exponent() > 0 {
        // It is doubled work, and nothing else.
        return false;
    }
    let combined = combine(&shares, &passphrase());
    let is_short = matches!(
        combined,
        Err(CombineError::TooFewGroups { .. } | CombineError::TooFewMembers { .. })
    );
    assert_eq!(is_short, !progress.is_complete(), "it is told otherwise what is missing");
    shares.reverse();
    let again = combine(&shares, &passphrase());
    assert_eq!(combined.is_ok(), again.is_ok(), "the order decides");
    let (Ok(one), Ok(other)) = (combined, again) else { return false };
    assert!(one.expose() == other.expose(), "the order decides what the secret is");
    true
}

fn passphrase() -> Secret {
    Secret::new(Vec::new())
}

const SHARES_MAX: usize = 40;

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let published = custody_testkit::vectors::json("slip39/vectors.json");
    for (number, case) in (1..).zip(published.as_array().unwrap()) {
        let words: Vec<_> =
            case[1].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        seeds.push((format!("vector-{number}-share"), chosen(0, words[0].as_bytes())));
        seeds.push((format!("vector-{number}"), chosen(1, words.join("\n").as_bytes())));
    }
    for (number, (groups, threshold, length)) in [
        (vec![(1, 1)], 1, 16),
        (vec![(2, 3)], 1, 32),
        (vec![(2, 2), (3, 4), (1, 1)], 2, 16),
        (vec![(16, 16)], 1, 20),
        (vec![(1, 1); 16], 16, 18),
        (vec![(2, 2)], 1, 64),
    ]
    .into_iter()
    .enumerate()
    {
        let lines = split_lines(number as u64, &groups, threshold, length);
        let all = lines.join(&b'\n');
        let few = lines[..lines.len() - 1].join(&b'\n');
        let twice = [&lines[..], &lines[..1]].concat().join(&b'\n');
        for (name, text) in [("all", all), ("few", few), ("twice", twice)] {
            seeds.push((format!("set-{number}-{name}"), chosen(1, &text)));
        }
        seeds.push((format!("set-{number}-capitals"), chosen(0, &lines[0].to_ascii_uppercase())));
    }
    seeds
}

/// The shares of a split, as lines.
fn split_lines(seed: u64, groups: &[(u8, u8)], threshold: u8, length: usize) -> Vec<Vec<u8>> {
    let groups = groups.iter().map(|(t, n)| GroupScheme::new(*t, *n).unwrap()).collect();
    let scheme = Scheme::new(threshold, groups).unwrap().iteration_exponent(0).unwrap();
    let secret = Secret::new(vec![0x5a; length]);
    let shares = split(&secret, &passphrase(), &scheme, &TestEntropy::seeded(seed)).unwrap();
    shares.iter().flatten().map(|share| share.to_words().expose().to_vec()).collect()
}
