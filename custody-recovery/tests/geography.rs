//! Which coalitions recover, counted once more the slow way.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking"
)]

use std::collections::BTreeSet;

use custody_core::id::{BackendId, KekId, PrincipalId};
use custody_recovery::{
    Ability, Archives, Distribution, GeographyError, Group, Holder, Party, Power, SiteId,
    SitePowers, SiteReport,
};
use proptest::prelude::*;

fn site(name: &str) -> SiteId {
    SiteId::parse(name).unwrap()
}

/// A person of an organisation of the same number, at a site.
fn holder(person: usize, organisation: usize, place: usize) -> Holder {
    Holder {
        principal: PrincipalId::parse(&format!("p{person}")).unwrap(),
        organisation: format!("o{organisation}").parse().unwrap(),
        site: site(&format!("s{place:02}")),
        recipient: None,
    }
}

/// `threshold` of so many people, each of an own organisation at an own site.
fn group(threshold: u8, people: std::ops::Range<usize>) -> Group {
    Group { threshold, holders: people.map(|n| holder(n, n, n)).collect() }
}

fn two_of_three() -> Distribution {
    Distribution::new(1, vec![group(2, 0..3)]).unwrap()
}

fn names(coalitions: &[BTreeSet<SiteId>]) -> Vec<String> {
    let join =
        |sites: &BTreeSet<SiteId>| sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join("+");
    coalitions.iter().map(join).collect()
}

#[test]
fn counts_and_thresholds_that_the_standard_does_not_have_are_refused() {
    let cases = [
        ("no group", 1, vec![], GeographyError::Groups { count: 0 }),
        (
            "17 groups",
            1,
            (0..17).map(|n| group(1, n..n + 1)).collect(),
            GeographyError::Groups { count: 17 },
        ),
        (
            "group threshold 0",
            0,
            vec![group(2, 0..3)],
            GeographyError::GroupThreshold { threshold: 0, count: 1 },
        ),
        (
            "group threshold 2 of 1",
            2,
            vec![group(2, 0..3)],
            GeographyError::GroupThreshold { threshold: 2, count: 1 },
        ),
        (
            "no holder",
            1,
            vec![group(2, 0..3), group(1, 3..3)],
            GeographyError::Holders { group: 1, count: 0 },
        ),
        ("17 holders", 1, vec![group(2, 0..17)], GeographyError::Holders { group: 0, count: 17 }),
        (
            "threshold 0",
            1,
            vec![group(0, 0..3)],
            GeographyError::Threshold { group: 0, threshold: 0, count: 3 },
        ),
        (
            "threshold 4 of 3",
            1,
            vec![group(4, 0..3)],
            GeographyError::Threshold { group: 0, threshold: 4, count: 3 },
        ),
        ("one of two", 1, vec![group(1, 0..2)], GeographyError::Copies { group: 0, count: 2 }),
        ("17 sites", 2, vec![group(9, 0..9), group(8, 9..17)], GeographyError::Sites { count: 17 }),
    ];
    for (name, threshold, groups, error) in cases {
        assert_eq!(Distribution::new(threshold, groups), Err(error), "{name}");
    }
    assert!(Distribution::new(2, vec![group(8, 0..8), group(8, 8..16)]).is_ok());
}

#[test]
fn whoever_could_recover_alone_is_named() {
    let p = |n: usize| Party::Person(PrincipalId::parse(&format!("p{n}")).unwrap());
    let o = |n: usize| Party::Organisation(format!("o{n}").parse().unwrap());
    let s = |n: usize| Party::Site(site(&format!("s{n:02}")));
    let of = |holders: Vec<Holder>| Distribution::new(1, vec![Group { threshold: 2, holders }]);
    let cases = [
        (vec![holder(0, 0, 0), holder(1, 0, 1), holder(2, 2, 2)], o(0)),
        (vec![holder(0, 0, 0), holder(1, 1, 0), holder(2, 2, 2)], s(0)),
        (vec![holder(0, 0, 0), holder(0, 0, 1), holder(2, 2, 2)], o(0)),
    ];
    for (holders, party) in cases {
        assert_eq!(of(holders), Err(GeographyError::Alone { party }));
    }
    // One share that is enough is somebody's.
    let single = Distribution::new(1, vec![group(1, 0..1)]);
    assert_eq!(single, Err(GeographyError::Alone { party: o(0) }));
    assert_ne!(o(0), p(0));
    // A group in one hand is none's, as long as another group is needed.
    let own = Group { threshold: 2, holders: vec![holder(0, 0, 0), holder(1, 0, 0)] };
    assert!(Distribution::new(2, vec![own.clone(), group(2, 2..5)]).is_ok());
    assert!(Distribution::new(1, vec![own, group(2, 2..5)]).is_err());
}

#[test]
fn a_person_of_two_organisations_is_refused() {
    let holders = vec![holder(0, 0, 0), holder(0, 1, 1), holder(2, 2, 2)];
    let refused = Distribution::new(1, vec![Group { threshold: 3, holders }]);
    let principal = "p0".parse().unwrap();
    assert_eq!(refused, Err(GeographyError::TwoOrganisations { principal }));
}

#[test]
fn a_site_has_a_closed_alphabet() {
    for text in ["", "Oslo", "new york", "a/b", "é", &"a".repeat(65)] {
        assert!(SiteId::parse(text).is_err(), "{text}");
    }
    assert!(SiteId::parse(&"a".repeat(64)).is_ok());
}

#[test]
fn what_sites_can_is_told_in_words() {
    let report = SiteReport::of(&two_of_three(), &SitePowers::new(Archives::Everywhere)).unwrap();
    let words = [
        "any two of s00, s01, s02 combine the shares; no site alone can combine the shares",
        "any two of s00, s01, s02 open an archive; no site alone can open an archive",
        "any two of s00, s01, s02 restore; no site alone can restore",
        "any two of s00, s01, s02 sign; no site alone can sign",
    ];
    assert_eq!(report.words(), words);

    // Nobody has an archive.
    let report = SiteReport::of(&two_of_three(), &SitePowers::new(Archives::Named)).unwrap();
    assert_eq!(report.smallest(Ability::Restore), []);
    let words = report.words();
    assert_eq!(words[2], "these sites cannot restore even together; no site alone can restore");

    // One site has an archive and what opens it.
    let powers = SitePowers::new(Archives::Named)
        .with(site("s01"), Power::ArchiveCopy)
        .with(site("s01"), Power::Officer("olga".parse().unwrap()));
    let report = SiteReport::of(&two_of_three(), &powers).unwrap();
    assert_eq!(report.words()[2], "s01 restores; the site s01 alone can restore");
    assert_eq!(names(report.smallest(Ability::Open)), ["s01", "s00+s02"]);
    let words = &report.words()[1];
    assert_eq!(
        words,
        "s01 opens an archive, s00 with s02 open an archive; the site s01 alone can open an archive"
    );
}

#[test]
fn each_power_that_opens_an_archive_is_seen() {
    let kek = Power::Kek(KekId::parse("hsm:1").unwrap());
    let officer = Power::Officer("olga".parse().unwrap());
    let signing = Power::Signing(BackendId::parse("hsm").unwrap());
    let powers = SitePowers::new(Archives::Named);
    let report = |powers: &SitePowers| SiteReport::of(&two_of_three(), powers).unwrap();
    let alone = |powers: &SitePowers| {
        let able = |ability| names_of(report(powers).alone(ability));
        (able(Ability::Open), able(Ability::Restore), able(Ability::Sign))
    };
    let (a, x) = (site("s00"), site("x"));
    let none = Vec::<String>::new();
    for power in [kek, officer] {
        let opens = powers.clone().with(x.clone(), power.clone());
        assert_eq!(alone(&opens), (vec!["x".to_owned()], none.clone(), none.clone()), "{power:?}");
        let copy = opens.clone().with(x.clone(), Power::ArchiveCopy);
        let x = vec!["x".to_owned()];
        assert_eq!(alone(&copy), (x.clone(), x.clone(), x), "{power:?}");
        // A copy elsewhere makes the two sites together restore.
        let apart = opens.with(a.clone(), Power::ArchiveCopy);
        let report = report(&apart);
        assert!(report.alone(Ability::Restore).next().is_none(), "{power:?}");
        assert_eq!(names(report.smallest(Ability::Restore)), ["s00+s01", "s00+s02", "s00+x"]);
        assert!(report.sites()[&a].needed_for.contains(&Ability::Restore));
        assert!(!report.sites()[&a].needed_for.contains(&Ability::Open));
    }
    let signs = powers.clone().with(a.clone(), signing);
    assert_eq!(alone(&signs), (none.clone(), none.clone(), vec!["s00".to_owned()]));
    let copy = powers.with(a, Power::ArchiveCopy);
    assert_eq!(alone(&copy), (none.clone(), none.clone(), none));
}

fn names_of<'a>(sites: impl Iterator<Item = &'a SiteId>) -> Vec<String> {
    sites.map(ToString::to_string).collect()
}

#[test]
fn sites_of_powers_count_among_the_sixteen() {
    let distribution = Distribution::new(2, vec![group(8, 0..8), group(8, 8..16)]).unwrap();
    let powers = SitePowers::new(Archives::Everywhere);
    let report = SiteReport::of(&distribution, &powers).unwrap();
    assert_eq!(report.smallest(Ability::Combine).len(), 1);
    let more = powers.with(site("x"), Power::ArchiveCopy);
    assert_eq!(SiteReport::of(&distribution, &more), Err(GeographyError::Sites { count: 17 }));
}

#[test]
fn long_lists_of_coalitions_are_cut_in_words_and_whole_as_data() {
    // Both groups are needed, so that not each pair will do.
    let distribution = Distribution::new(2, vec![group(2, 0..4), group(2, 4..8)]).unwrap();
    let report = SiteReport::of(&distribution, &SitePowers::new(Archives::Everywhere)).unwrap();
    assert_eq!(report.smallest(Ability::Combine).len(), 36);
    assert!(report.words()[0].contains(", and 28 more coalitions; "), "{}", report.words()[0]);
}

/// Whether these holders recover: the groups one by one, the holders one by one.
fn recovers(threshold: u8, groups: &[Group], has: &dyn Fn(&Holder) -> bool) -> bool {
    let mut reached = 0;
    for group in groups {
        let mut shares = 0;
        for holder in &group.holders {
            if has(holder) {
                shares += 1;
            }
        }
        if shares >= group.threshold {
            reached += 1;
        }
    }
    reached >= threshold
}

fn arb_groups() -> impl Strategy<Value = (u8, Vec<Group>)> {
    let person = (0_usize..10, 0_usize..6);
    let group = (1_u8..=4, proptest::collection::vec(person, 1..=4));
    let groups = proptest::collection::vec(group, 1..=4);
    (1_u8..=4, groups).prop_map(|(threshold, groups)| {
        let groups = groups.into_iter().map(|(threshold, people)| {
            let holders: Vec<_> = people
                .into_iter()
                .map(|(person, place)| holder(person, person / 2, place))
                .collect();
            let most = u8::try_from(holders.len()).unwrap();
            let least = if most > 1 { 2 } else { 1 };
            Group { threshold: threshold.clamp(least, most), holders }
        });
        let groups: Vec<_> = groups.collect();
        (threshold.min(u8::try_from(groups.len()).unwrap()), groups)
    })
}

fn arb_power() -> impl Strategy<Value = (SiteId, Power)> {
    let power = prop_oneof![
        Just(Power::ArchiveCopy),
        Just(Power::Kek(KekId::parse("kek").unwrap())),
        Just(Power::Officer("olga".parse().unwrap())),
        Just(Power::Signing(BackendId::parse("hsm").unwrap())),
    ];
    (0_usize..7, power).prop_map(|(place, power)| (site(&format!("s{place:02}")), power))
}

fn powers_of(list: &[(SiteId, Power)], archives: Archives) -> SitePowers {
    let none = SitePowers::new(archives);
    list.iter().fold(none, |powers, (site, power)| powers.with(site.clone(), power.clone()))
}

/// What a coalition can, judged anew.
fn able(
    (threshold, groups): (u8, &[Group]),
    powers: &[(SiteId, Power)],
    archives: Archives,
    sites: &BTreeSet<SiteId>,
) -> [bool; 4] {
    let here = || powers.iter().filter(|(site, _)| sites.contains(site)).map(|(_, power)| power);
    let combine = recovers(threshold, groups, &|holder| sites.contains(&holder.site));
    let open = combine || here().any(|power| matches!(power, Power::Kek(_) | Power::Officer(_)));
    let copy = match archives {
        Archives::Everywhere => !sites.is_empty(),
        Archives::Named => here().any(|power| *power == Power::ArchiveCopy),
    };
    let restore = open && copy;
    [combine, open, restore, restore || here().any(|power| matches!(power, Power::Signing(_)))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_distribution_is_refused_exactly_if_somebody_could_recover_alone(
        (threshold, groups) in arb_groups()
    ) {
        let all = || groups.iter().flat_map(|group| &group.holders);
        let alone = all().any(|one| {
            recovers(threshold, &groups, &|other| other.principal == one.principal)
                || recovers(threshold, &groups, &|other| other.organisation == one.organisation)
                || recovers(threshold, &groups, &|other| other.site == one.site)
        });
        match Distribution::new(threshold, groups) {
            Ok(_) => prop_assert!(!alone),
            Err(GeographyError::Alone { .. }) => prop_assert!(alone),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_coalition_can_what_it_can_by_hand(
        (threshold, groups) in arb_groups(),
        powers in proptest::collection::vec(arb_power(), 0..4),
        named in any::<bool>(),
    ) {
        let archives = if named { Archives::Named } else { Archives::Everywhere };
        let Ok(distribution) = Distribution::new(threshold, groups.clone()) else {
            return Err(TestCaseError::reject("somebody could recover alone"));
        };
        let report = SiteReport::of(&distribution, &powers_of(&powers, archives)).unwrap();
        let sites: Vec<_> = report.sites().keys().cloned().collect();
        for mask in 0_u32..1 << sites.len() {
            let members = (0..sites.len()).filter(|n| mask & (1 << n) != 0);
            let members: BTreeSet<_> = members.map(|n| sites[n].clone()).collect();
            let by_hand = able((threshold, &groups), &powers, archives, &members);
            for (ability, able_by_hand) in Ability::ALL.into_iter().zip(by_hand) {
                prop_assert_eq!(report.can(&members, ability), able_by_hand, "{:?}", ability);
                // The smallest coalitions are those of which no part can.
                let is_smallest = report.smallest(ability).contains(&members);
                let part_can = members.iter().any(|left| {
                    let mut part = members.clone();
                    part.remove(left);
                    report.can(&part, ability)
                });
                prop_assert_eq!(is_smallest, able_by_hand && !part_can);
            }
        }
    }

    #[test]
    fn another_site_or_power_never_takes_an_ability_away(
        (threshold, groups) in arb_groups(),
        powers in proptest::collection::vec(arb_power(), 0..4),
        more in arb_power(),
    ) {
        let Ok(distribution) = Distribution::new(threshold, groups) else {
            return Err(TestCaseError::reject("somebody could recover alone"));
        };
        let fewer = powers_of(&powers, Archives::Named);
        let more = fewer.clone().with(more.0, more.1);
        let fewer = SiteReport::of(&distribution, &fewer).unwrap();
        let more = SiteReport::of(&distribution, &more).unwrap();
        for ability in Ability::ALL {
            for coalition in fewer.smallest(ability) {
                prop_assert!(more.can(coalition, ability));
                for site in more.sites().keys() {
                    let mut larger = coalition.clone();
                    larger.insert(site.clone());
                    prop_assert!(fewer.can(&larger, ability) && more.can(&larger, ability));
                }
            }
        }
    }
}
