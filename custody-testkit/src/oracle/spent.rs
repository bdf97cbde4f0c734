use std::collections::VecDeque;

use custody_core::amount::Units;
use custody_core::id::OrderId;
use custody_core::time::Timestamp;

/// What left one wallet in the last day: each reservation for itself, oldest first.
#[derive(Debug, Default)]
pub(super) struct Spent {
    reserved: VecDeque<(Timestamp, OrderId, Units)>,
    sum: Units,
}

impl Spent {
    /// Counts a reservation, and returns what was reserved in the day that ends with it.
    pub(super) fn reserve(&mut self, at: Timestamp, order: &OrderId, units: Units) -> Units {
        let day = at.as_millis().saturating_sub(DAY_MS);
        while let Some((_, _, old)) = self.reserved.pop_front_if(|(at, ..)| at.as_millis() <= day) {
            self.sum = self.sum.checked_sub(old).expect("it was added");
        }
        self.reserved.push_back((at, order.clone(), units));
        self.sum = self.sum.checked_add(units).expect("sums of a test stay small");
        self.sum
    }

    /// Takes a reservation back.
    pub(super) fn give_back(&mut self, order: &OrderId) {
        let of_order = |(_, other, _): &&mut (Timestamp, OrderId, Units)| other == order;
        if let Some((_, _, units)) = self.reserved.iter_mut().rev().find(of_order) {
            self.sum = self.sum.checked_sub(*units).expect("it was added");
            *units = Units::ZERO;
        }
    }
}

/// How long a reservation counts in the window of a day at least.
const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_counts_for_a_day_or_until_it_is_given_back() {
        let mut spent = Spent::default();
        let order = |n: u8| OrderId::parse(&format!("00000000-0000-7000-8000-0000000000{n:02}"));
        let mut reserve = |at: u64, n: u8| {
            spent.reserve(Timestamp::from_millis(at), &order(n).unwrap(), Units::from(10_u64))
        };
        assert_eq!(reserve(5, 1), Units::from(10_u64));
        assert_eq!(reserve(DAY_MS + 4, 2), Units::from(20_u64));
        assert_eq!(reserve(DAY_MS + 5, 3), Units::from(20_u64));
        spent.give_back(&order(2).unwrap());
        spent.give_back(&order(2).unwrap());
        let at = Timestamp::from_millis(DAY_MS + 6);
        assert_eq!(spent.reserve(at, &order(4).unwrap(), Units::from(1_u64)), Units::from(11_u64));
    }
}
