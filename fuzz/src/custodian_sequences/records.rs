//! Records outside of the log: whatever stands in them, a request stays one order, and an order is
//! answered as it was or not at all.

use std::collections::BTreeMap;

use custody_core::seam::RecordKey;
use custody_testkit::oracle::{Given, Heard};

use super::Callers;
use crate::world::{World, people};

/// Changes records of a world that has come to rest, and lives once more; whether any is another.
///
/// # Panics
/// If a custodian answers otherwise than before, or does not open though only records are other
/// ones that it does not open with.
pub(super) fn are_changed(world: &mut World, changes: &[u8]) -> bool {
    let before = outside_the_log(world);
    let after = changed(before.clone(), changes);
    if after == before {
        return false;
    }
    after.iter().for_each(|(key, value)| world.replace_record(key, value.clone()));
    let pointers = |records: &Records| -> Vec<_> {
        let records = records.iter().filter(|(key, _)| is_pointer(key));
        records.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let may_refuse = pointers(&after) != pointers(&before);
    let life = world.begin();
    let (executor, builder, id) = (life.executor.clone(), world.builder(&life), world.id);
    executor.run(async {
        match Box::pin(builder.open(id)).await {
            Ok(custodian) => {
                let mut callers = Callers { custodian, people: people(), world: &mut *world };
                callers.hear_of_all_again().await;
                callers.ask_for_all_again().await;
                Box::pin(callers.custodian.close()).await.unwrap();
            }
            Err(error) => assert!(may_refuse, "it does not open: {error}"),
        }
    });
    world.end(life);
    // They were answered before what was asked for now.
    world.last.clear();
    world.judge();
    true
}

impl Callers<'_> {
    /// Every order is answered as it was, or there is an error.
    async fn hear_of_all_again(&mut self) {
        for known in self.world.last.clone() {
            let Given::Answer { order, digest, heard, .. } = known else { continue };
            let custodian = self.custodian.clone();
            let Ok(now) = self.hear(Box::pin(custodian.order(&order))).await else { continue };
            assert_eq!((&now.order, now.digest), (&order, digest), "another order's answer");
            let again = Heard::of(&now.outcome);
            assert_eq!(without_receipt(again), without_receipt(*heard), "another answer");
            self.world.given.push(Given::answer(&now));
        }
    }

    /// Every request is answered about its own order, or there is an error.
    async fn ask_for_all_again(&mut self) {
        for (request, first) in self.world.asked.clone() {
            let (custodian, asked) = (self.custodian.clone(), request.clone());
            let answer = self.hear(Box::pin(custodian.submit(asked))).await;
            let Ok(answer) = answer else { continue };
            let orders = [&answer, &first].map(|answer| (&answer.order, answer.digest));
            assert_eq!(orders[0], orders[1], "a request became another order");
            self.world.given.push(Given::answer_to(request.requester, request.id, &answer));
        }
    }
}

/// A receipt may be under another checkpoint of the same log.
fn without_receipt(mut heard: Heard) -> Heard {
    if let Heard::Released { receipt, .. } = &mut heard {
        receipt.clear();
    }
    heard
}

type Records = BTreeMap<RecordKey, Vec<u8>>;

/// Which order a request became, where the events of an order are, and where the state was kept.
/// What else there is are documents, which the log names by their hash.
fn outside_the_log(world: &World) -> Records {
    let is_outside = |key: &RecordKey| {
        let text = key.as_str();
        text.starts_with("request/") || text.starts_with("order/") || is_pointer(key)
    };
    let records = world.records().into_iter().filter(|record| is_outside(&record.key));
    records.map(|record| (record.key, record.value)).collect()
}

fn is_pointer(key: &RecordKey) -> bool {
    ["snapshot", "snapshot-before"].contains(&key.as_str())
}

/// Changes of four bytes each: a record, what to do, where, and bits. A byte is flipped, the end is
/// cut off, or two records have each other's value.
fn changed(mut records: Records, changes: &[u8]) -> Records {
    let keys: Vec<_> = records.keys().cloned().collect();
    for change in changes.chunks_exact(4).filter(|_| !keys.is_empty()) {
        let at = usize::from(change[2]);
        let key = &keys[place(change[0], keys.len())];
        let mut value = records[key].clone();
        match change[1] % 3 {
            0 => {
                let length = value.len().max(1);
                value.iter_mut().skip(at % length).take(1).for_each(|byte| *byte ^= change[3]);
            }
            1 => value.truncate(at),
            _ => {
                let other = &keys[place(change[2], keys.len())];
                let theirs = records.insert(other.clone(), value).unwrap();
                value = if other == key { records[key].clone() } else { theirs };
            }
        }
        records.insert(key.clone(), value);
    }
    records
}

/// Numbers count from the first record, large ones from the last.
fn place(number: u8, records: usize) -> usize {
    let (low, high) = (usize::from(number), usize::from(u8::MAX - number));
    if number < 0x80 { low % records } else { records - 1 - high % records }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custodian_sequences::{body, seeds};

    fn records() -> Records {
        let record = |name: &str| (RecordKey::parse(name).unwrap(), name.as_bytes().to_vec());
        ["order/a", "request/b/c", "snapshot"].map(record).into()
    }

    #[test]
    fn changes_do_what_they_say() {
        let value = |changes: &[u8], name: &str| {
            let changed = changed(records(), changes);
            String::from_utf8(changed[&RecordKey::parse(name).unwrap()].clone()).unwrap()
        };
        assert_eq!(value(&[0, 0, 6, 3], "order/a"), "order/b");
        assert_eq!(value(&[255, 1, 4, 0], "snapshot"), "snap");
        let swap = [0, 2, 1, 0];
        assert_eq!(value(&swap, "order/a"), "request/b/c");
        assert_eq!(value(&swap, "request/b/c"), "order/a");
        assert_eq!(changed(records(), &[1, 2, 1, 0]), records());
        assert_eq!(changed(records(), &[1, 0, 0]), records());
    }

    #[test]
    fn lives_with_changed_records_are_among_the_seeds() {
        let taken = seeds().into_iter().filter(|(name, _)| name.starts_with("records-"));
        let taken: Vec<_> = taken.map(|(name, bytes)| (name, body(&bytes))).collect();
        assert!(taken.len() > 4);
        for (name, part) in taken {
            assert_eq!(part, Some("changed records"), "{name}");
        }
    }
}
