use custody_testkit::failpoint::{Action, Failpoint};

use super::{CHANGES, can_strike};
use crate::Seed;

/// Lives of which each shows something; both with keys in the process and with keys elsewhere.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, steps) in quiet_lives().into_iter().chain(failing_lives()) {
        for (in_process, kind) in [(0_u8, "in-process"), (1, "outside")] {
            seeds.push((format!("{name}-{kind}"), [&[in_process][..], &steps].concat()));
        }
    }
    seeds.extend(changed_records());
    seeds
}

/// Lives after which records outside of the log are other ones.
fn changed_records() -> Vec<Seed> {
    let few = [&PAY[..], &[0, 2, 9, 1], &[0, 3, 50, 0]].concat();
    let many: Vec<u8> = (1..=8).flat_map(|id| [0, id, 20, 1]).collect();
    let mut seeds = Vec::new();
    let mut add = |name: String, changes: &[u8], steps: &[u8]| {
        let length = u8::try_from(changes.len()).unwrap();
        for in_process in [CHANGES, CHANGES + 1] {
            let bytes = [&[in_process, length], changes, steps].concat();
            seeds.push((format!("records-{name}-{}", in_process - CHANGES), bytes));
        }
    };
    // The last records are those of requests, or where the state was kept after many orders.
    for at in [1, 20, 50, 70, 100] {
        add(format!("request-flipped-{at}"), &[255, 0, at, 1], &few);
    }
    // The first are those of orders that have ended: that of the payment is the third.
    for at in [1, 20, 64, 70, 83, 84, 93, 94, 95] {
        add(format!("order-flipped-{at}"), &[2, 0, at, 1], &few);
    }
    add("request-cut".to_owned(), &[255, 1, 30, 0], &few);
    add("requests-swapped".to_owned(), &[255, 2, 254, 0], &few);
    add("order-cut".to_owned(), &[2, 1, 60, 0], &few);
    add("orders-swapped".to_owned(), &[2, 2, 1, 0], &few);
    add("order-and-request-swapped".to_owned(), &[2, 2, 255, 0], &few);
    for (name, change) in [
        ("flipped", [255, 0, 0, 1]),
        ("no-number", [255, 0, 0, 0x40]),
        ("cut", [255, 1, 1, 0]),
        ("empty", [255, 1, 0, 0]),
        ("swapped", [255, 2, 254, 0]),
    ] {
        add(format!("snapshot-{name}"), &change, &many);
    }
    seeds
}

/// Lives in which nothing fails.
fn quiet_lives() -> Vec<Seed> {
    let large = [0, 2, 50, 0];
    let approvals = [3, 0, 0, 3, 0, 1];
    let close = [11, 0];
    let freeze = [6, 0, 1, 0, 1];
    let thaw = [6, 0, 1, 2, 2];
    let (freeze_house, thaw_house) = ([6, 0, 0, 0, 1], [6, 0, 0, 2, 2]);
    let mut lives = Vec::new();
    let mut add = |name: &str, steps: &[&[u8]]| lives.push((name.to_owned(), steps.concat()));
    add("nothing", &[]);
    add("payment", &[&PAY]);
    add("payment-again", &[&PAY, &PAY, &[0, 1, 21, 1]]);
    add("payments-at-once", &[&[2, 1, 20, 1, 3, 30, 1], &[2, 5, 9, 1, 5, 9, 1]]);
    add("daily-limit", &[&[0, 1, 250, 1], &[0, 3, 250, 1], &[0, 4, 250, 1], &[9, 4, 0], &PAY]);
    add("approvals", &[&large, &approvals, &[8, 0, 3]]);
    add("approved-by-the-requester", &[&large, &[3, 0, 2], &[3, 0, 3]]);
    add("rejected", &[&large, &[5, 0, 0, 0]]);
    add("cancelled", &[&large, &[5, 1, 0, 2], &approvals]);
    add("expired", &[&large, &[9, 4, 0], &approvals, &[8, 0, 0]]);
    add("frozen", &[&freeze, &large, &approvals, &thaw, &[8, 0, 0], &PAY]);
    add("frozen-house", &[&freeze_house, &PAY, &CRASH, &PAY]);
    add("frozen-house-thawed", &[&freeze_house, &large, &thaw_house, &freeze_house, &PAY]);
    add(
        "keys",
        &[
            &[6, 3, 1, 9, 1, 3],
            &[6, 3, 1, 10, 4],
            &[6, 3, 1, 4, 5],
            &[6, 3, 1, 5, 6],
            &[6, 3, 1, 6, 7],
            &[6, 3, 1, 7, 1, 8],
            &[6, 3, 1, 8, 9],
            &[6, 3, 1, 7, 0, 10],
            &[9, 2, 0],
        ],
    );
    add(
        "resealed",
        &[
            &[6, 3, 1, 9, 1, 3],
            &PAY,
            &[6, 0, 1, 15, 1, 1, 4],
            &PAY,
            &[6, 0, 1, 15, 0, 2, 5],
            &CRASH,
            &[6, 0, 1, 15, 1, 0, 6],
            &[6, 0, 1, 15, 1, 2, 7],
            &PAY,
        ],
    );
    add("rules", &[&[6, 0, 1, 14, 1, 1], &PAY, &[6, 0, 1, 14, 2, 2], &large, &approvals]);
    add("people", &[&large, &[3, 0, 0], &[6, 0, 1, 13, 0, 1], &[3, 0, 1], &[6, 0, 1, 13, 1, 2]]);
    add("clock", &[&[9, 0, 7], &[9, 0, 7], &PAY, &[6, 0, 1, 11, 1], &PAY]);
    add("crash", &[&large, &CRASH, &approvals, &CRASH, &[8, 0, 3]]);
    add("closed", &[&PAY, &close, &[0, 2, 9, 1]]);
    add("crashes", &[&CRASH, &CRASH, &PAY]);
    lives
}

/// Lives in which one call fails, or hangs if that is armed.
fn failing_lives() -> Vec<Seed> {
    let mut lives = Vec::new();
    for name in FAILING {
        let mut points = Failpoint::all().enumerate();
        let (place, point) = points.find(|(_, point)| point.to_string() == name).unwrap();
        for (kind, number, action) in [("error", 0, Action::Error), ("hang", 1, Action::Hang)] {
            if can_strike(point, action) {
                let arm = [10, place as u8, 0, number];
                let steps = [&arm[..], &PAY, &[9, 2, 0], &PAY, &CRASH, &PAY].concat();
                lives.push((format!("{kind}-{name}"), steps));
            }
        }
    }
    lives
}

const PAY: [u8; 4] = [0, 1, 20, 1];
const CRASH: [u8; 2] = [11, 1];
const FAILING: [&str; 15] = [
    "anchor.advance.before",
    "backend.signer.before",
    "decoder.assemble.before",
    "decoder.decode.before",
    "entropy.fill.before",
    "kek.unwrap.before",
    "log.receipt.before",
    "log.seal.after",
    "log.seal.before",
    "signer.sign.after",
    "signer.sign.before",
    "spawner.spawn.before",
    "store.commit.after",
    "store.commit.before",
    "store.get.before",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custodian_sequences::body;

    #[test]
    fn what_a_failing_life_arms_strikes() {
        for (name, steps) in failing_lives() {
            for in_process in [0_u8, 1] {
                let part = body(&[&[in_process][..], &steps].concat());
                assert_eq!(part, Some("failures"), "{name}, {in_process}");
            }
        }
    }
}
