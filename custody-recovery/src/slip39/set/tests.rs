use custody_testkit::runtime::TestEntropy;

use super::*;
use crate::slip39::share::Place;
use crate::slip39::{GroupScheme, Scheme, combine, split};

fn no_passphrase() -> Secret {
    Secret::new(Vec::new())
}

fn master() -> Secret {
    Secret::new((0..16).collect())
}

/// Groups of two of three, three of five and one of one, of which two are needed.
fn scheme() -> Scheme {
    let groups = [(2, 3), (3, 5), (1, 1)].map(|(t, n)| GroupScheme::new(t, n).unwrap());
    Scheme::new(2, groups.to_vec()).unwrap().iteration_exponent(0).unwrap()
}

fn split_seeded(seed: u64) -> Vec<Vec<Share>> {
    split(&master(), &no_passphrase(), &scheme(), &TestEntropy::seeded(seed)).unwrap()
}

fn again(share: &Share) -> Share {
    moved(share, place(share))
}

fn place(share: &Share) -> Place {
    Place {
        group_index: share.group_index(),
        member_index: share.member_index(),
        member_threshold: share.member_threshold(),
    }
}

/// The value of a share at another place.
fn moved(share: &Share, place: Place) -> Share {
    with(*share.parameters(), share, place)
}

/// The value of a share in another set.
fn with(parameters: Parameters, share: &Share, place: Place) -> Share {
    Share::new(parameters, place, Secret::new(share.value().expose().to_vec()))
}

/// Shares by group and member.
fn pick(shares: &[Vec<Share>], places: &[(usize, usize)]) -> Vec<Share> {
    places.iter().map(|(group, member)| again(&shares[*group][*member])).collect()
}

fn error(shares: &[Share]) -> CombineError {
    let Err(error) = combine(shares, &no_passphrase()) else { panic!("they give a secret") };
    error
}

#[track_caller]
fn assert_gives_the_secret(shares: &[Share]) {
    let combined = combine(shares, &no_passphrase()).unwrap();
    assert!(combined.expose() == master().expose());
}

const ENOUGH: [(usize, usize); 5] = [(0, 2), (1, 4), (1, 0), (0, 0), (1, 2)];

#[test]
fn enough_shares_give_the_secret_in_any_order() {
    let shares = split_seeded(1);
    assert_gives_the_secret(&pick(&shares, &ENOUGH));
    let mut backwards = ENOUGH;
    backwards.reverse();
    assert_gives_the_secret(&pick(&shares, &backwards));
    assert_gives_the_secret(&pick(&shares, &[(2, 0), (0, 1), (0, 2)]));
}

#[test]
fn no_shares_give_nothing() {
    assert_eq!(error(&[]), CombineError::NoShares);
    assert_eq!(Progress::of(&[]), Err(CombineError::NoShares));
}

#[test]
fn more_shares_than_needed_give_the_secret_if_all_agree() {
    let shares = split_seeded(2);
    let all: Vec<_> = shares.into_iter().flatten().collect();
    assert_gives_the_secret(&all);
}

#[test]
fn each_share_without_which_there_are_too_few_is_missed() {
    let shares = split_seeded(3);
    for left_out in 0..ENOUGH.len() {
        let mut places = ENOUGH.to_vec();
        let (group, _) = places.remove(left_out);
        let group_index = u8::try_from(group).unwrap();
        let error = error(&pick(&shares, &places));
        assert_eq!(error, CombineError::TooFewMembers { group_index, missing: 1 });
    }
    let places = [(0, 0), (0, 1), (1, 0)];
    let missing = CombineError::TooFewMembers { group_index: 1, missing: 2 };
    assert_eq!(error(&pick(&shares, &places)), missing);
}

#[test]
fn of_several_groups_that_lack_members_the_one_that_lacks_least_is_named() {
    let shares = split_seeded(4);
    let places = [(1, 0), (0, 1), (2, 0)];
    let missing = CombineError::TooFewMembers { group_index: 0, missing: 1 };
    assert_eq!(error(&pick(&shares, &places)), missing);
}

#[test]
fn groups_of_which_there_is_no_share_are_missed() {
    let shares = split_seeded(5);
    for places in [&[(0, 0)][..], &[(0, 0), (0, 1)], &[(2, 0)], &[(1, 0), (1, 1), (1, 2), (1, 3)]] {
        let error = error(&pick(&shares, places));
        assert_eq!(error, CombineError::TooFewGroups { missing: 1 });
    }
}

#[test]
fn a_group_that_is_not_needed_and_cannot_be_checked_is_refused() {
    let shares = split_seeded(6);
    let places = [(0, 0), (0, 1), (2, 0), (1, 0)];
    let unchecked = CombineError::TooManyGroups { group_index: 1, missing: 2 };
    assert_eq!(error(&pick(&shares, &places)), unchecked);
}

#[test]
fn a_share_that_is_there_twice_is_named_with_the_first() {
    let shares = split_seeded(7);
    let mut chosen = pick(&shares, &ENOUGH);
    chosen.push(again(&chosen[1]));
    assert_eq!(error(&chosen), CombineError::Repeated { share: 6, first: 2 });
    // It does not stand in for the one that is missing.
    chosen.remove(4);
    assert_eq!(error(&chosen), CombineError::Repeated { share: 5, first: 2 });
}

#[test]
fn another_share_in_the_same_place_is_named_with_the_first() {
    let shares = split_seeded(8);
    let mut chosen = pick(&shares, &ENOUGH);
    let there = place(&chosen[3]);
    chosen.push(moved(&chosen[0], there));
    assert_eq!(error(&chosen), CombineError::Contradiction { share: 6, first: 4 });
}

#[test]
fn a_share_of_another_set_is_named_with_what_is_different() {
    let shares = split_seeded(9);
    let parameters = *shares[0][0].parameters();
    let others = [
        (
            Difference::Identifier,
            Parameters { identifier: parameters.identifier ^ 1, ..parameters },
        ),
        (Difference::Extendable, Parameters { is_extendable: false, ..parameters }),
        (Difference::IterationExponent, Parameters { iteration_exponent: 1, ..parameters }),
        (Difference::GroupThreshold, Parameters { group_threshold: 3, ..parameters }),
        (Difference::GroupCount, Parameters { group_count: 4, ..parameters }),
    ];
    for (difference, parameters) in others {
        for number in 2..=ENOUGH.len() {
            let mut chosen = pick(&shares, &ENOUGH);
            let share = &chosen[number - 1];
            chosen[number - 1] = with(parameters, share, place(share));
            let expected = CombineError::AnotherSet { share: number, difference };
            assert_eq!(error(&chosen), expected);
            assert_eq!(Progress::of(&chosen), Err(expected));
        }
    }
}

#[test]
fn a_share_of_another_length_is_of_another_set() {
    let shares = split_seeded(10);
    let mut chosen = pick(&shares, &ENOUGH);
    let (parameters, place) = (*chosen[4].parameters(), place(&chosen[4]));
    chosen[4] = Share::new(parameters, place, Secret::new(vec![1; 18]));
    let difference = Difference::Length;
    assert_eq!(error(&chosen), CombineError::AnotherSet { share: 5, difference });
}

#[test]
fn a_share_of_another_split_of_the_same_secret_is_of_another_set() {
    let (shares, others) = (split_seeded(11), split_seeded(12));
    let mut chosen = pick(&shares, &ENOUGH);
    chosen[2] = again(&others[1][0]);
    let difference = Difference::Identifier;
    assert_eq!(error(&chosen), CombineError::AnotherSet { share: 3, difference });
}

#[test]
fn a_share_that_says_it_is_of_another_group_is_found_by_the_threshold_of_the_group() {
    let shares = split_seeded(13);
    let mut chosen = pick(&shares, &ENOUGH);
    let swapped = Place { group_index: 0, ..place(&chosen[4]) };
    chosen[4] = moved(&chosen[4], swapped);
    assert_eq!(error(&chosen), CombineError::AnotherGroup { share: 5, group_index: 0 });
}

#[test]
fn a_share_of_another_group_in_a_group_is_found_by_the_digest_of_the_group() {
    let shares = split_seeded(14);
    let mut chosen = pick(&shares, &ENOUGH);
    let (in_first, in_second) = (place(&chosen[0]), place(&chosen[1]));
    chosen.swap(0, 1);
    (chosen[0], chosen[1]) = (moved(&chosen[0], in_first), moved(&chosen[1], in_second));
    assert_eq!(error(&chosen), CombineError::MembersMismatch { group_index: 0 });
}

#[test]
fn groups_that_are_swapped_whole_are_found_by_the_digest_of_all() {
    let shares = split_seeded(15);
    let swap = |share: &Share| {
        let group_index = 1 - share.group_index();
        moved(share, Place { group_index, ..place(share) })
    };
    let chosen: Vec<_> = pick(&shares, &ENOUGH).iter().map(swap).collect();
    assert_eq!(error(&chosen), CombineError::GroupsMismatch);
}

#[test]
fn a_group_of_one_with_a_value_of_another_set_is_found_by_the_digest_of_all() {
    let (shares, others) = (split_seeded(16), split_seeded(17));
    let mut chosen = pick(&shares, &[(2, 0), (0, 1), (0, 2)]);
    chosen[0] = with(*chosen[0].parameters(), &others[2][0], place(&chosen[0]));
    assert_eq!(error(&chosen), CombineError::GroupsMismatch);
}

#[test]
fn a_changed_value_is_found_in_each_share() {
    let shares = split_seeded(18);
    for at in 0..ENOUGH.len() {
        let mut chosen = pick(&shares, &ENOUGH);
        let mut value = chosen[at].value().expose().to_vec();
        value[at] ^= 1;
        let (parameters, place) = (*chosen[at].parameters(), place(&chosen[at]));
        chosen[at] = Share::new(parameters, place, Secret::new(value));
        let group_index = chosen[at].group_index();
        assert_eq!(error(&chosen), CombineError::MembersMismatch { group_index });
    }
}

#[test]
fn a_wrong_share_beyond_those_that_are_needed_is_named() {
    let (shares, others) = (split_seeded(19), split_seeded(20));
    let mut chosen = pick(&shares, &ENOUGH);
    let third = &shares[0][2];
    // Members are taken in the order of their indices, and so the last one is beyond.
    chosen.remove(0);
    chosen.push(again(&shares[0][1]));
    chosen.push(with(*third.parameters(), &others[0][2], place(third)));
    assert_eq!(error(&chosen), CombineError::WrongMember { share: 6 });
}

#[test]
fn a_wrong_group_beyond_those_that_are_needed_is_named() {
    let (shares, others) = (split_seeded(21), split_seeded(22));
    let mut chosen = pick(&shares, &ENOUGH);
    let last = &shares[2][0];
    chosen.push(with(*last.parameters(), &others[2][0], place(last)));
    assert_eq!(error(&chosen), CombineError::WrongGroup { group_index: 2 });
}

#[test]
fn another_passphrase_gives_another_secret_and_no_error() {
    let shares = split_seeded(23);
    let other = Secret::new(b"TREZOR".to_vec());
    let combined = combine(&pick(&shares, &ENOUGH), &other).unwrap();
    assert!(combined.expose() != master().expose());
}

#[test]
fn a_passphrase_that_nobody_can_have_used_is_an_error() {
    let shares = split_seeded(24);
    let other = Secret::new(b"new\nline".to_vec());
    let error = combine(&pick(&shares, &ENOUGH), &other).err();
    let expected = PassphraseError { position: 4 };
    assert_eq!(error, Some(CombineError::Passphrase(expected)));
}

#[test]
fn progress_counts_what_is_there_and_what_is_missing() {
    let shares = split_seeded(25);
    let progress = |places: &[(usize, usize)]| Progress::of(&pick(&shares, places)).unwrap();
    let counts = |progress: &Progress| {
        let groups = progress.groups().iter();
        groups
            .map(|of| (of.index(), of.present(), of.threshold(), of.missing()))
            .collect::<Vec<_>>()
    };
    let one = progress(&[(1, 3)]);
    assert_eq!(counts(&one), [(1, 1, 3, 2)]);
    assert_eq!((one.missing_groups(), one.is_complete()), (1, false));
    assert_eq!((one.group_threshold(), one.group_count()), (2, 3));
    assert_eq!(one.identifier(), shares[0][0].identifier());
    let two = progress(&[(1, 3), (2, 0)]);
    assert_eq!(counts(&two), [(1, 1, 3, 2), (2, 1, 1, 0)]);
    assert_eq!((two.missing_groups(), two.is_complete()), (0, false));
    let enough = progress(&ENOUGH);
    assert_eq!(counts(&enough), [(0, 2, 2, 0), (1, 3, 3, 0)]);
    assert!(enough.is_complete());
    let all = progress(&[(0, 0), (0, 1), (0, 2), (2, 0)]);
    assert_eq!(counts(&all), [(0, 3, 2, 0), (2, 1, 1, 0)]);
    assert!(all.is_complete());
}

#[test]
fn messages_count_shares_and_groups_as_people_do_and_say_nothing_else() {
    for (error, text) in [
        (CombineError::NoShares, "there are no shares"),
        (
            CombineError::AnotherGroup { share: 5, group_index: 0 },
            "share 5 is not of the group 1 that the shares before it are of",
        ),
        (
            CombineError::AnotherSet { share: 2, difference: Difference::GroupThreshold },
            "share 2 is of another set than share 1: its number of needed groups is another",
        ),
        (CombineError::Repeated { share: 6, first: 2 }, "share 6 is share 2 again"),
        (CombineError::TooFewGroups { missing: 2 }, "shares of 2 more groups are needed"),
        (
            CombineError::TooFewMembers { group_index: 1, missing: 3 },
            "3 more shares of group 2 are needed",
        ),
        (
            CombineError::TooManyGroups { group_index: 1, missing: 3 },
            "group 2 is not needed, and cannot be checked without 3 more shares",
        ),
        (
            CombineError::MembersMismatch { group_index: 15 },
            "the shares of group 16 are not of one secret",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
