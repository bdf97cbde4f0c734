//! Events and snapshots that somebody changed, and stores that were rolled back: refused at open.

use std::time::Duration;

use custody_core::command::Command;
use custody_core::custodian::{Answer, OpenError};
use custody_core::document::{EventBody, EventDocument, OrderDecided, V1, Verdict};
use custody_core::principal::{Statement, Verb};

use crate::assert_released;
use crate::world::setup::LogKind;
use crate::world::tamper::Tamper;
use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, Remains, Setup, World};

/// A world with an order that waits for two treasurers, stopped; and the order.
async fn stopped(kind: Kind) -> (Remains, Answer) {
    let world = World::new(kind).await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    (world.crash().await, order)
}

async fn assert_refused(remains: Remains, what: &str) -> OpenError {
    match remains.try_open().await {
        Ok(world) => panic!("{what}: opened, with {} signatures", world.sign_calls()),
        Err(error) => error,
    }
}

fn event(store: &Tamper, position: usize) -> EventDocument {
    EventDocument::read(&store.events()[position]).unwrap()
}

/// Puts an event behind the last one, at the same time.
async fn append(store: &Tamper, event: EventBody) {
    let last = store.events();
    let at = EventDocument::read(last.last().unwrap()).unwrap().at;
    store.append_event(EventDocument { v: V1, at, event }.to_bytes().unwrap()).await;
}

#[tokio::test]
async fn an_event_under_the_signed_head_that_was_changed_is_refused() {
    for kind in Kind::ALL {
        let count = stopped(kind).await.0.tamper().events().len();
        for position in 0..count {
            let (remains, _) = stopped(kind).await;
            let store = remains.tamper();
            let mut changed = event(&store, position);
            changed.at = changed.at.after(Duration::from_millis(1));
            store.replace_event(position as u64, changed.to_bytes().unwrap());
            let error = assert_refused(remains, &format!("event {position} changed")).await;
            let is_noticed = matches!(error, OpenError::Audit(_) | OpenError::Corrupt { .. });
            assert!(is_noticed, "{kind:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn events_that_changed_places_are_refused() {
    for (kind, repeated) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let (remains, _) = stopped(kind).await;
        let (store, events) = (remains.tamper(), remains.tamper().events());
        store.replace_event(2, events[1].clone());
        if !repeated {
            store.replace_event(1, events[2].clone());
        }
        let error = assert_refused(remains, "swapped or repeated").await;
        let is_noticed = matches!(error, OpenError::Audit(_) | OpenError::Corrupt { .. });
        assert!(is_noticed, "{kind:?}, repeated: {repeated}: {error:?}");
    }
}

#[tokio::test]
async fn a_store_that_lost_events_is_refused() {
    for (kind, lost) in Kind::ALL.into_iter().flat_map(|kind| [1, 2, 5].map(|lost| (kind, lost))) {
        let (remains, _) = stopped(kind).await;
        let count = remains.tamper().events().len() as u64;
        remains.tamper().truncate_events(count - lost);
        let error = assert_refused(remains, "truncated").await;
        let OpenError::RolledBack { stored, signed } = error else { panic!("{kind:?}: {error:?}") };
        assert_eq!((stored, signed), (count - lost, count), "{kind:?}");
    }
}

/// The log's head is kept, in memory or in its own files, and the store's disk is an older one.
#[tokio::test]
async fn a_store_that_was_rolled_back_to_an_older_copy_is_refused() {
    for kind in Kind::ALL {
        for log in [LogKind::Memory, LogKind::Tiles] {
            let world = World::with(Setup { log, ..Setup::new(kind) }).await;
            let remains = world.crash().await;
            let older = remains.tamper().copy();
            // Put back at once it is the same store.
            remains.tamper().put_back(&older);
            let world = remains.open().await;
            assert_released(&world.pay(ETH / 2, KNOWN, "paid").await.unwrap());
            let remains = world.crash().await;
            remains.tamper().put_back(&older);
            let error = assert_refused(remains, "rolled back").await;
            let is_noticed = match log {
                LogKind::Memory => matches!(error, OpenError::RolledBack { .. }),
                LogKind::Tiles => matches!(error, OpenError::Audit(_)),
            };
            assert!(is_noticed, "{kind:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_decision_that_somebody_appended_is_refused() {
    for kind in Kind::ALL {
        let (remains, order) = stopped(kind).await;
        let store = remains.tamper();
        let decided = store.events().iter().rev().find_map(|bytes| {
            match EventDocument::read(bytes).unwrap().event {
                EventBody::OrderDecided(decided) => Some(decided),
                _ => None,
            }
        });
        let forged =
            OrderDecided { order: order.order, verdict: Verdict::Allowed, ..decided.unwrap() };
        append(&store, EventBody::OrderDecided(forged)).await;
        let error = assert_refused(remains, "a forged decision").await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{kind:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_approval_that_somebody_appended_is_refused() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
        let theo = &world.people.theo;
        let until = world.now().after(Duration::from_secs(3_600));
        let statement = theo.statement(Verb::Approve, &order, until);
        let reject = Statement { verb: Verb::Reject, ..statement.clone() };
        let signature = theo.sign(&world.custodian.id(), reject).signature;
        let forged = statement.signed(signature);
        let remains = world.crash().await;
        append(&remains.tamper(), EventBody::ApprovalAdded(forged)).await;
        let error = assert_refused(remains, "a forged approval").await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{kind:?}: {error:?}");
    }
}

/// The documents that the state is made of, each changed by a space, exchanged with another one,
/// and gone.
#[tokio::test]
async fn documents_of_the_state_that_were_changed_are_refused() {
    type Change = fn(&Tamper, &str, &str);
    let changes: [(&str, Change); 3] = [
        ("a space more", |store, mine, _| {
            store.replace(mine, [store.value(mine), b" ".to_vec()].concat());
        }),
        ("exchanged", |store, mine, other| {
            let (one, two) = (store.value(mine), store.value(other));
            store.replace(mine, two);
            store.replace(other, one);
        }),
        ("gone", |store, mine, _| store.remove(mine)),
    ];
    for (kind, (name, change)) in
        Kind::ALL.into_iter().flat_map(|kind| changes.map(|change| (kind, change)))
    {
        for what in ["order", "command order", "command", "rules"] {
            let world = World::new(kind).await;
            let paid = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
            let freeze = Command::ConfirmClock {};
            let asked = world.submit(command(&world.people.olivia, "clock", freeze)).await.unwrap();
            let remains = world.crash().await;
            let store = remains.tamper();
            let order = |of: &Answer| format!("document/{}/{}", of.order, of.digest);
            let (order, asked_order) = (order(&paid), order(&asked));
            let commands = store.below(&format!("document/{}/", asked.order));
            let commanded = commands.into_iter().find(|key| *key != asked_order).unwrap();
            let (mine, other) = match what {
                "order" => (order, asked_order),
                "command order" => (asked_order, order),
                "command" => (commanded, order),
                _ => (store.below("document/genesis/").remove(0), order),
            };
            change(&store, &mine, &other);
            let error = assert_refused(remains, &format!("{what} {name}, {kind:?}")).await;
            let is_noticed = matches!(error, OpenError::Corrupt { .. } | OpenError::Custodian(_));
            assert!(is_noticed, "{what} {name}, {kind:?}: {error:?}");
        }
    }
}

/// A world that keeps its state every few events, stopped.
async fn with_snapshots(kind: Kind) -> Remains {
    let setup = Setup::new(kind).config(|config| config.snapshot_interval = 4);
    let world = World::with(setup).await;
    for number in 0..6 {
        assert_released(&world.pay(ETH / 100, KNOWN, &format!("pay-{number}")).await.unwrap());
    }
    world.crash().await
}

fn pointer(store: &Tamper) -> usize {
    String::from_utf8(store.value("snapshot")).unwrap().parse().unwrap()
}

/// Where the document of the newest snapshot is.
fn snapshot(store: &Tamper) -> String {
    let EventBody::Snapshot(reference) = event(store, pointer(store)).event else {
        panic!("no snapshot")
    };
    format!("document/snapshot/{}", reference.sha256)
}

#[tokio::test]
async fn a_snapshot_pointer_that_names_no_snapshot_is_refused() {
    for kind in Kind::ALL {
        for text in ["0", "1", "-1", "", "x"] {
            let remains = with_snapshots(kind).await;
            assert!(pointer(&remains.tamper()) > 1);
            remains.tamper().replace("snapshot", text.as_bytes().to_vec());
            let error = assert_refused(remains, &format!("pointer {text:?}")).await;
            assert!(matches!(error, OpenError::Corrupt { .. }), "{kind:?} {text:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn without_a_snapshot_more_is_folded_and_the_state_is_the_same() {
    const BEYOND: Option<&str> = Some("999999");
    for kind in Kind::ALL {
        for (newest, before) in [(None, None), (BEYOND, BEYOND), (None, BEYOND), (BEYOND, None)] {
            let remains = with_snapshots(kind).await;
            for (name, text) in [("snapshot", newest), ("snapshot-before", before)] {
                match text {
                    None => remains.tamper().remove(name),
                    Some(text) => remains.tamper().replace(name, text.as_bytes().to_vec()),
                }
            }
            let world = remains.open().await;
            let signed = world.sign_calls();
            assert_released(&world.pay(ETH / 100, KNOWN, "after").await.unwrap());
            assert_eq!(world.sign_calls(), signed + 1);
            world.verify().await;
        }
    }
}

/// The log's files may be older than the store after a crash: a snapshot beyond their head is none.
#[tokio::test]
async fn if_the_newest_snapshot_is_not_under_the_head_the_one_before_it_is_used() {
    for kind in Kind::ALL {
        let remains = with_snapshots(kind).await;
        let store = remains.tamper();
        let before: usize =
            String::from_utf8(store.value("snapshot-before")).unwrap().parse().unwrap();
        assert!(before < pointer(&store));
        let EventBody::Snapshot(newest) = event(&store, pointer(&store)).event else { panic!() };
        store.replace("snapshot", b"999999".to_vec());
        store.remove(&format!("document/snapshot/{}", newest.sha256));
        let world = remains.open().await;
        assert_released(&world.pay(ETH / 100, KNOWN, "after").await.unwrap());
        // Whoever verifies the whole log needs the newest snapshot too.
        drop(world);

        let remains = with_snapshots(kind).await;
        let store = remains.tamper();
        let EventBody::Snapshot(reference) = event(&store, before).event else { panic!() };
        store.replace("snapshot", b"999999".to_vec());
        store.remove(&format!("document/snapshot/{}", reference.sha256));
        let error = assert_refused(remains, "without the snapshot before").await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{kind:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_older_snapshot_leads_to_the_same_state() {
    for kind in Kind::ALL {
        let remains = with_snapshots(kind).await;
        let store = remains.tamper();
        let older = (0..pointer(&store))
            .rev()
            .find(|position| matches!(event(&store, *position).event, EventBody::Snapshot(_)));
        store.replace("snapshot", older.unwrap().to_string().into_bytes());
        let world = remains.open().await;
        assert_released(&world.pay(ETH / 100, KNOWN, "after").await.unwrap());
        world.verify().await;
    }
}

#[tokio::test]
async fn a_snapshot_that_was_changed_is_refused() {
    type Change = fn(&Tamper, &str);
    let changes: [(&str, Change); 3] = [
        ("changed", |store, key| {
            let text = String::from_utf8(store.value(key)).unwrap();
            assert!(text.contains("\"frozen\":false"));
            let other = text.replacen("\"frozen\":false", "\"frozen\":true", 1);
            store.replace(key, other.into_bytes());
        }),
        ("another snapshot's", |store, key| {
            let all = store.below("document/snapshot/");
            let other = all.iter().find(|other| *other != key).unwrap();
            store.replace(key, store.value(other));
        }),
        ("gone", |store, key| store.remove(key)),
    ];
    for (kind, (name, change)) in
        Kind::ALL.into_iter().flat_map(|kind| changes.map(|change| (kind, change)))
    {
        let remains = with_snapshots(kind).await;
        let store = remains.tamper();
        change(&store, &snapshot(&store));
        let error = assert_refused(remains, &format!("a snapshot {name}")).await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{kind:?}, {name}: {error:?}");
    }
}

#[tokio::test]
async fn a_part_of_a_snapshot_that_was_changed_is_refused() {
    type Change = fn(&Tamper, &str);
    let changes: [(&str, Change); 3] = [
        ("changed", |store, key| {
            let text = String::from_utf8(store.value(key)).unwrap();
            let other = text.replacen("\"v\":1", "\"v\": 1", 1);
            assert_ne!(text, other);
            store.replace(key, other.into_bytes());
        }),
        ("another part", |store, key| {
            let all = store.below("document/snapshot/");
            let other = all.iter().find(|other| *other != key).unwrap();
            store.replace(key, store.value(other));
        }),
        ("gone", |store, key| store.remove(key)),
    ];
    for (kind, (name, change)) in
        Kind::ALL.into_iter().flat_map(|kind| changes.map(|change| (kind, change)))
    {
        let remains = with_snapshots(kind).await;
        let store = remains.tamper();
        let head: serde_json::Value =
            serde_json::from_slice(&store.value(&snapshot(&store))).unwrap();
        let part = head["parts"][0]["sha256"].as_str().unwrap();
        change(&store, &format!("document/snapshot/{part}"));
        let error = assert_refused(remains, &format!("a part {name}")).await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{kind:?}, {name}: {error:?}");
    }
}
