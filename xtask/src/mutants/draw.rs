//! Draws mutants by a seed.
//!
//! Each mutant gets a number that follows from the seed and from what the mutant is, not from where
//! it stands; those with the least numbers are drawn. So the same seed draws the same mutants when
//! other lines of the sources have changed, and a part of a draw can be had by itself.

use std::collections::BTreeMap;
use std::time::Duration;

/// Which mutants are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) seed: u32,
    /// How many of the draw are left out at its beginning.
    pub(crate) from: u32,
    pub(crate) count: u32,
}

/// Which of the drawn ones are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Portion {
    /// Those that were missed.
    Missed,
    /// Those that were not run yet, as many as can be begun in this time.
    New(Duration),
    /// All.
    Whole,
}

impl Default for Draw {
    fn default() -> Self {
        Self { seed: 1, from: 0, count: 200 }
    }
}

impl Draw {
    /// The drawn ones of these names, in the order of the draw.
    pub(crate) fn of(self, names: &[String]) -> Vec<String> {
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        let mut numbered: Vec<(u64, &String)> = names
            .iter()
            .map(|name| {
                let what = without_position(name);
                let times = seen.entry(what.clone()).or_default();
                *times = times.saturating_add(1);
                (number(self.seed, *times, &what), name)
            })
            .collect();
        numbered.sort_unstable();
        let drawn = numbered.into_iter().map(|(_, name)| name.clone());
        let (from, count) = (usize::try_from(self.from), usize::try_from(self.count));
        drawn.skip(from.unwrap_or(usize::MAX)).take(count.unwrap_or(usize::MAX)).collect()
    }
}

/// `src/a.rs:12:5: replace x with y` without the line and the column.
fn without_position(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(what)) => format!("{file}:{what}"),
        _ => name.to_owned(),
    }
}

/// FNV-1a over all that the number follows from, mixed by the finish of SplitMix64.
fn number(seed: u32, times: u64, what: &str) -> u64 {
    let bytes = seed.to_be_bytes().into_iter().chain(times.to_be_bytes()).chain(what.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lines: impl Iterator<Item = u32>) -> Vec<String> {
        lines.map(|line| format!("src/a.rs:{line}:5: replace {line} with 0")).collect()
    }

    #[test]
    fn one_seed_draws_the_same_and_another_seed_others() {
        let names = names(0..100);
        let draw = |seed| Draw { seed, from: 0, count: 20 }.of(&names);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1).len(), 20);
    }

    #[test]
    fn the_parts_of_a_draw_are_the_whole() {
        let names = names(0..100);
        let part = |from, count| Draw { seed: 3, from, count }.of(&names);
        assert_eq!([part(0, 30), part(30, 50), part(80, 99)].concat(), part(0, 100));
        assert!(part(100, 1).is_empty());
    }

    #[test]
    fn what_is_drawn_does_not_follow_from_lines_and_columns() {
        let draw = Draw { seed: 1, from: 0, count: 10 };
        let here = names(0..50);
        let there: Vec<_> = here.iter().map(|name| name.replacen(":5: ", ":9: ", 1)).collect();
        let whats = |names: Vec<String>| {
            names.iter().map(|name| without_position(name)).collect::<Vec<_>>()
        };
        assert_eq!(whats(draw.of(&here)), whats(draw.of(&there)));
    }

    #[test]
    fn the_same_change_at_two_places_is_two_mutants() {
        let twice =
            ["a.rs:1:1: replace < with ==", "a.rs:2:1: replace < with =="].map(str::to_owned);
        let mut drawn = Draw::default().of(&twice);
        drawn.sort();
        assert_eq!(drawn, twice);
    }
}
