//! Coalitions in words.

use std::collections::BTreeSet;

use super::{Ability, SiteId};

/// Which coalitions can: `any two of a, b, c restore`, or the coalitions one by one.
pub(super) fn coalitions(ability: Ability, smallest: &[BTreeSet<SiteId>]) -> String {
    let verb = plural(ability);
    let Some(first) = smallest.first() else {
        return format!("these sites cannot {} even together", infinitive(ability));
    };
    let all: BTreeSet<&SiteId> = smallest.iter().flatten().collect();
    let size = first.len();
    let is_uniform = smallest.iter().all(|members| members.len() == size)
        && choose(all.len(), size) == Some(smallest.len());
    let names = |sites: &mut dyn Iterator<Item = &SiteId>, between: &str| {
        sites.map(SiteId::as_str).collect::<Vec<_>>().join(between)
    };
    if is_uniform && all.len() > size {
        let singular = if size == 1 { third(ability) } else { verb.to_owned() };
        let names = names(&mut all.iter().copied(), ", ");
        return format!("any {} of {names} {singular}", number(size));
    }
    let listed = smallest.iter().take(LISTED_MAX).map(|members| {
        let verb = if members.len() == 1 { third(ability) } else { verb.to_owned() };
        format!("{} {verb}", names(&mut members.iter(), " with "))
    });
    let listed = listed.collect::<Vec<_>>().join(", ");
    match smallest.len().saturating_sub(LISTED_MAX) {
        0 => listed,
        more => format!("{listed}, and {more} more coalitions"),
    }
}

/// Who can alone.
pub(super) fn alone(ability: Ability, sites: &[&SiteId]) -> String {
    let verb = infinitive(ability);
    match sites {
        [] => format!("no site alone can {verb}"),
        [site] => format!("the site {site} alone can {verb}"),
        sites => {
            let names: Vec<_> = sites.iter().map(|site| site.as_str()).collect();
            format!("each of the sites {} alone can {verb}", names.join(", "))
        }
    }
}

const fn infinitive(ability: Ability) -> &'static str {
    match ability {
        Ability::Combine => "combine the shares",
        Ability::Open => "open an archive",
        Ability::Restore => "restore",
        Ability::Sign => "sign",
    }
}

const fn plural(ability: Ability) -> &'static str {
    infinitive(ability)
}

fn third(ability: Ability) -> String {
    match ability {
        Ability::Combine => "combines the shares",
        Ability::Open => "opens an archive",
        Ability::Restore => "restores",
        Ability::Sign => "signs",
    }
    .to_owned()
}

fn number(count: usize) -> String {
    const WORDS: [&str; 10] =
        ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    WORDS.get(count).map_or_else(|| count.to_string(), |word| (*word).to_owned())
}

/// How many subsets of `size` a set of `count` has; none if that does not fit.
fn choose(count: usize, size: usize) -> Option<usize> {
    let mut result: usize = 1;
    for (taken, left) in (1..=size).zip((0..=count).rev()) {
        result = result.checked_mul(left)?.checked_div(taken)?;
    }
    Some(result)
}

const LISTED_MAX: usize = 8;
