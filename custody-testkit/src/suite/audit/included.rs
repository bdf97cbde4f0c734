use custody_core::seam::{ErrorKind, Event, Position};

use super::AuditLogFixture;

/// Sealed events are included: all, none, one, any stretch.
pub async fn sealed_events_are_included(fixture: AuditLogFixture) {
    let events = sealed(&fixture, 13).await;
    fixture.log.includes(&[]).await.unwrap();
    for from in 0..events.len() {
        for to in from..=events.len() {
            let answer = fixture.log.includes(&events[from..to]).await;
            answer.unwrap_or_else(|error| panic!("events {from}..{to}: {error}"));
        }
    }
}

/// An event with a byte changed, added or taken away is `Corrupt`, alone and among others.
pub async fn a_changed_event_is_not_included(fixture: AuditLogFixture) {
    let events = sealed(&fixture, 6).await;
    for index in 0..events.len() {
        let bytes = &events[index].bytes;
        let mut changes: Vec<Vec<u8>> = (0..bytes.len())
            .map(|at| {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                changed
            })
            .collect();
        changes.push([bytes.as_slice(), b" "].concat());
        changes.push(bytes[..bytes.len() - 1].to_vec());
        changes.push(Vec::new());
        for changed in changes {
            let event = Event { position: events[index].position, bytes: changed };
            assert_corrupt(&fixture, std::slice::from_ref(&event), "a changed event").await;
            let mut among = events.clone();
            among[index] = event;
            assert_corrupt(&fixture, &among, "a changed event among others").await;
        }
    }
}

/// An event at another's position is `Corrupt`.
pub async fn a_shifted_event_is_not_included(fixture: AuditLogFixture) {
    let events = sealed(&fixture, 6).await;
    for event in &events {
        for position in events.iter().map(|other| other.position) {
            if position != event.position {
                let shifted = Event { position, bytes: event.bytes.clone() };
                assert_corrupt(&fixture, &[shifted], "a shifted event").await;
            }
        }
    }
}

/// An event past the newest head, committed or not, is `NotFound`.
pub async fn an_event_not_sealed_is_not_included(fixture: AuditLogFixture) {
    fixture.add(1).await;
    let first = fixture.events().await;
    assert_not_found(&fixture, &first).await;
    let sealed = fixture.seal(Position::new(1)).await.head.size;
    fixture.add(2).await;
    let mut events = fixture.events().await;
    events.retain(|event| event.position >= sealed);
    assert_not_found(&fixture, &events).await;
    let far = Event { position: Position::new(u64::MAX), bytes: first[0].bytes.clone() };
    assert_not_found(&fixture, &[far]).await;
}

async fn sealed(fixture: &AuditLogFixture, count: u64) -> Vec<Event> {
    let through = fixture.add(count).await;
    fixture.seal(through).await;
    fixture.events().await
}

async fn assert_corrupt(fixture: &AuditLogFixture, events: &[Event], case: &str) {
    let answer = fixture.log.includes(events).await;
    assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Corrupt), "{case}");
}

async fn assert_not_found(fixture: &AuditLogFixture, events: &[Event]) {
    let answer = fixture.log.includes(events).await;
    let kind = answer.expect_err("an event that is not sealed is included").kind();
    assert_eq!(kind, ErrorKind::NotFound);
}
