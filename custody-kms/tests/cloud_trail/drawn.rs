//! Sides that are drawn: nothing but what was planted differs.

use super::*;

/// Orders with one signature each: key, when allowed, how long it took, and when within its time and
/// tolerance KMS signed.
fn arb_orders() -> impl Strategy<Value = Vec<(bool, u64, u64, f64)>> {
    let order = (any::<bool>(), 60_000_u64..120_000, 0_u64..5_000, 0.0..=1.0);
    proptest::collection::vec(order, 0..40)
}

const TOLERANCE: u64 = 7_000;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a share of a time that is far below what a float is exact for"
)]
fn signed_at(allowed: u64, took: u64, share: f64) -> u64 {
    let (from, until) = (allowed - TOLERANCE, allowed + took + TOLERANCE);
    from + ((until - from) as f64 * share) as u64
}

/// Both sides of these orders, which say the same.
fn both_sides(orders: &[(bool, u64, u64, f64)]) -> (House, Records) {
    let (mut house, mut records) = (House::new(), Records::default());
    for (is_hot, allowed, took, share) in orders {
        let (key, arn) = if *is_hot { ("hot-1", HOT) } else { ("warm-1", WARM) };
        house.sign(NOON + allowed, NOON + allowed + took, &[key]);
        records.sign(arn, NOON + signed_at(*allowed, *took, *share));
    }
    (house, records)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sides_that_say_the_same_never_differ(orders in arb_orders()) {
        let (house, mut records) = both_sides(&orders);
        records.all.sort_by_key(|record| record["eventTime"].as_str().map(str::to_owned));
        let report = compare_within(&house, &records, TOLERANCE / 1_000);
        prop_assert!(report.is_clean(), "{report}");
        prop_assert_eq!(report.signatures.matched, u64::try_from(orders.len()).unwrap());
    }

    #[test]
    fn exactly_the_planted_extras_are_left_over(
        orders in arb_orders(),
        extras in proptest::collection::vec((any::<bool>(), 50_000_u64..130_000), 1..6),
    ) {
        let (house, mut records) = both_sides(&orders);
        for (is_hot, time) in &extras {
            records.sign(if *is_hot { HOT } else { WARM }, NOON + time);
        }
        let report = compare_within(&house, &records, TOLERANCE / 1_000);
        prop_assert!(report.missing.is_empty(), "{report}");
        prop_assert_eq!(report.signatures.matched, u64::try_from(orders.len()).unwrap());
        for (key, is_hot) in [("hot-1", true), ("warm-1", false)] {
            let found = report.unexplained.iter().filter(|one| {
                one.key.as_ref().is_some_and(|id| id.as_str() == key)
            });
            let planted = extras.iter().filter(|(of_hot, _)| *of_hot == is_hot);
            prop_assert_eq!(found.count(), planted.count());
        }
    }

    #[test]
    fn exactly_the_taken_signatures_are_missing(orders in arb_orders(), taken in 1_usize..6) {
        let (house, mut records) = both_sides(&orders);
        let taken = taken.min(orders.len());
        records.all.drain(..taken);
        let report = compare_within(&house, &records, TOLERANCE / 1_000);
        prop_assert!(report.unexplained.is_empty(), "{report}");
        prop_assert_eq!(report.missing.len(), taken);
    }

    #[test]
    fn foreign_bytes_are_refused_or_read_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..2_000,
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let _ = Trail::default().read(&bytes);
        let (_, records) = good_day();
        let mut file = records.file();
        let place = flip.0.index(file.len());
        file[place] ^= flip.1;
        let _ = Trail::default().read(&file);
        file.truncate(cut);
        let _ = Trail::default().read(&file);
    }
}
