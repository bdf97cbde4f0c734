//! Which time goes with which stretch of time, one to one.
//!
//! Times and stretches make a convex bipartite graph, in which taking the stretch that ends first is
//! best (F. Glover, "Maximum matching in a convex bipartite graph", 1967). Stretches that must have a
//! time come before those that may have one: first it is found which of the former can have one
//! together; then each time goes to the stretch that ends first, unless it is one of the latter and the
//! time is needed by the former.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A stretch of time, both ends included, that takes at most one of the times in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) from: u64,
    pub(super) until: u64,
    /// Whether it should have a time, rather than may.
    pub(super) is_required: bool,
}

/// The slot that each time takes. As many times as can be take one; among the ways to do so, one in
/// which as many required slots as can be have a time. The times must be sorted.
pub(super) fn assign(times: &[u64], slots: &[Slot]) -> Vec<Option<usize>> {
    let required = numbered(slots).filter(|(_, slot)| slot.is_required);
    let taken = Sweep::new(times, required.collect(), Needs::default()).run();
    let mut kept = vec![false; slots.len()];
    for index in taken.into_iter().flatten() {
        if let Some(is_kept) = kept.get_mut(index) {
            *is_kept = true;
        }
    }
    let is_kept = |index: usize| kept.get(index).copied().unwrap_or_default();
    let needs = numbered(slots).filter(|(index, _)| is_kept(*index)).map(|(_, slot)| slot.until);
    let needs = Needs::new(times, needs.collect());
    let all = numbered(slots).filter(|(index, slot)| is_kept(*index) || !slot.is_required);
    Sweep::new(times, all.collect(), needs).run()
}

fn numbered(slots: &[Slot]) -> impl Iterator<Item = (usize, Slot)> + '_ {
    slots.iter().copied().enumerate()
}

/// Open slots of one kind; the one that ends first is taken first.
type Open = BinaryHeap<Reverse<(u64, usize)>>;

/// One pass over the times.
struct Sweep<'a> {
    times: &'a [u64],
    /// By their beginning, the latest first.
    waiting: Vec<(usize, Slot)>,
    required: Open,
    optional: Open,
    needs: Needs,
}

impl<'a> Sweep<'a> {
    fn new(times: &'a [u64], mut waiting: Vec<(usize, Slot)>, needs: Needs) -> Self {
        waiting.sort_unstable_by_key(|(index, slot)| Reverse((slot.from, *index)));
        let (required, optional) = (Open::new(), Open::new());
        Self { times, waiting, required, optional, needs }
    }

    fn run(mut self) -> Vec<Option<usize>> {
        self.times.iter().map(|time| self.step(*time)).collect()
    }

    fn step(&mut self, time: u64) -> Option<usize> {
        while let Some((index, slot)) = self.waiting.pop_if(|(_, slot)| slot.from <= time) {
            let open = if slot.is_required { &mut self.required } else { &mut self.optional };
            open.push(Reverse((slot.until, index)));
        }
        let required = first(&mut self.required, time);
        let optional = first(&mut self.optional, time);
        self.needs.pass(time);
        let takes_required = match (required, optional) {
            (Some((until, _)), Some((other, _))) => until <= other || self.needs.is_short(),
            (required, _) => required.is_some(),
        };
        let open = if takes_required { &mut self.required } else { &mut self.optional };
        let Reverse((until, index)) = open.pop()?;
        if takes_required {
            self.needs.serve(until);
        }
        Some(index)
    }
}

/// The slot that ends first among those that have not ended.
fn first(open: &mut Open, time: u64) -> Option<(u64, usize)> {
    while let Some(Reverse((until, index))) = open.peek().copied() {
        if until >= time {
            return Some((until, index));
        }
        open.pop();
    }
    None
}

/// Whether the times to come are enough for the required slots that wait for one: for each end of
/// such a slot, the times up to it less the slots that end by then.
#[derive(Default)]
struct Needs {
    /// Sorted, each once.
    ends: Vec<u64>,
    left: Prefixes,
}

impl Needs {
    fn new(times: &[u64], required: Vec<u64>) -> Self {
        let mut ends = required.clone();
        ends.sort_unstable();
        ends.dedup();
        let mut needs = Self { left: Prefixes::new(ends.len()), ends };
        for time in times {
            needs.left.add(needs.place(*time), 1);
        }
        for until in required {
            needs.left.add(needs.place(until), -1);
        }
        needs
    }

    /// A time is now.
    fn pass(&mut self, time: u64) {
        self.left.add(self.place(time), -1);
    }

    /// A required slot that ends then has its time.
    fn serve(&mut self, until: u64) {
        self.left.add(self.place(until), 1);
    }

    fn is_short(&self) -> bool {
        self.left.least() < 0
    }

    /// The first end that is not before a time.
    fn place(&self, time: u64) -> usize {
        self.ends.partition_point(|end| *end < time)
    }
}

/// Numbers of which the least sum of the first few is known: a tree whose nodes hold the sum of what
/// is below them and the least sum of its first few.
#[derive(Default)]
struct Prefixes {
    /// The root is at 1; the children of a node are at twice its place and right behind.
    nodes: Vec<(i64, i64)>,
}

impl Prefixes {
    fn new(len: usize) -> Self {
        Self { nodes: vec![(0, 0); len.next_power_of_two().saturating_mul(2)] }
    }

    /// Adds to the number at a place; beyond the last one nothing is kept.
    fn add(&mut self, place: usize, change: i64) {
        let mut place = (self.nodes.len() / 2).saturating_add(place);
        let Some((sum, least)) = self.nodes.get_mut(place) else { return };
        *sum = sum.saturating_add(change);
        *least = *sum;
        while place > 1 {
            place /= 2;
            let left = place.saturating_mul(2);
            let ((first, least), (second, then)) = (self.node(left), self.node(left | 1));
            if let Some(node) = self.nodes.get_mut(place) {
                *node = (first.saturating_add(second), least.min(first.saturating_add(then)));
            }
        }
    }

    fn least(&self) -> i64 {
        self.node(1).1
    }

    fn node(&self, place: usize) -> (i64, i64) {
        self.nodes.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn must(from: u64, until: u64) -> Slot {
        Slot { from, until, is_required: true }
    }

    const fn may(from: u64, until: u64) -> Slot {
        Slot { from, until, is_required: false }
    }

    /// How many times and how many required slots go with something.
    fn counts(times: &[u64], slots: &[Slot]) -> (usize, usize) {
        let taken = assign(times, slots);
        let mut seen = vec![false; slots.len()];
        for (time, index) in times.iter().zip(&taken) {
            let Some(index) = *index else { continue };
            let slot = slots[index];
            assert!((slot.from..=slot.until).contains(time), "{time} is not in slot {index}");
            assert!(!std::mem::replace(&mut seen[index], true), "slot {index} is taken twice");
        }
        let required = taken.iter().flatten().filter(|index| slots[**index].is_required);
        (taken.iter().flatten().count(), required.count())
    }

    /// The same by trying everything: the most times, and the most required slots with that many.
    fn best(times: &[u64], slots: &[Slot]) -> (usize, usize) {
        let Some((time, rest)) = times.split_first() else { return (0, 0) };
        let mut found = best(rest, slots);
        for (index, slot) in slots.iter().enumerate() {
            if (slot.from..=slot.until).contains(time) {
                let mut others = slots.to_vec();
                others.remove(index);
                let (all, required) = best(rest, &others);
                let required = required.saturating_add(usize::from(slot.is_required));
                found = found.max((all.saturating_add(1), required));
            }
        }
        found
    }

    #[test]
    fn a_time_goes_to_where_it_is_needed() {
        for (name, times, slots, expected) in [
            ("nothing", &[][..], &[][..], (0, 0)),
            ("a time alone", &[5], &[], (0, 0)),
            ("a slot alone", &[], &[must(1, 9)], (0, 0)),
            ("both ends belong to it", &[1, 9], &[must(1, 9), must(1, 9)], (2, 2)),
            ("just outside", &[0, 10], &[must(1, 9), must(1, 9)], (0, 0)),
            ("twice at one time", &[5, 5, 5], &[must(1, 9), must(5, 5)], (2, 2)),
            ("the short one first", &[2, 8], &[must(1, 9), must(1, 3)], (2, 2)),
            ("a required one last", &[2], &[may(1, 3), must(1, 9)], (1, 1)),
            ("along a chain", &[2, 5], &[may(1, 3), must(1, 6), must(5, 10)], (2, 2)),
            ("both have room", &[2, 7], &[may(1, 3), must(1, 9)], (2, 1)),
            ("a later one needs it", &[1, 2, 9], &[must(1, 2), may(1, 10), may(2, 2)], (3, 1)),
        ] {
            assert_eq!(counts(times, slots), expected, "{name}");
            assert_eq!(best(times, slots), expected, "{name}, by trying");
        }
    }

    fn arb_slot() -> impl Strategy<Value = Slot> {
        (0_u64..12, 0_u64..6, any::<bool>()).prop_map(|(from, length, is_required)| Slot {
            from,
            until: from.saturating_add(length),
            is_required,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn nothing_better_is_found_by_trying(
            mut times in proptest::collection::vec(0_u64..14, 0..7),
            slots in proptest::collection::vec(arb_slot(), 0..7),
        ) {
            times.sort_unstable();
            prop_assert_eq!(counts(&times, &slots), best(&times, &slots));
        }
    }

    #[test]
    fn a_hundred_thousand_of_each_take_little_time() {
        let times: Vec<u64> = (0..100_000).map(|index| index * 7 % 50_000).collect();
        let slot = |(index, time): (usize, &u64)| Slot {
            from: time.saturating_sub(300),
            until: time + 300,
            is_required: index % 3 != 0,
        };
        let slots: Vec<Slot> = times.iter().enumerate().map(slot).collect();
        let mut sorted = times;
        sorted.sort_unstable();
        assert_eq!(counts(&sorted, &slots).0, 100_000);
    }
}
