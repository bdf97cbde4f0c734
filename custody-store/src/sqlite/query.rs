//! The reads, on any connection.
//!
//! **Invariant:** nothing here writes, and what does not fit the format is an error, never a gap.

use custody_core::seam::{Event, Position, Record, RecordKey};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::fault::Fault;
use super::sum;

/// The number of events.
pub(super) fn head(connection: &Connection) -> Result<Position, Fault> {
    let last: Option<i64> =
        connection.prepare_cached(LAST_EVENT)?.query_row([], |row| row.get(0))?;
    match last {
        None => Ok(Position::START),
        Some(last) => Ok(position(last)?.plus(1)),
    }
}

/// The record under `key`.
pub(super) fn record(connection: &Connection, key: RecordKey) -> Result<Option<Record>, Fault> {
    let found: Option<(Vec<u8>, i64)> = connection
        .prepare_cached(RECORD)?
        .query_row([key.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((value, stored)) = found else { return Ok(None) };
    sum::check(stored, sum::of_record(key.as_str(), &value))?;
    Ok(Some(Record { key, value }))
}

/// Records under `prefix`, after `after`.
pub(super) fn records(
    connection: &Connection,
    prefix: &RecordKey,
    after: Option<&RecordKey>,
    limit: u16,
) -> Result<Vec<Record>, Fault> {
    let end = end_of(prefix);
    match after.filter(|after| *after >= prefix) {
        Some(after) => {
            let statement = connection.prepare_cached(RECORDS_AFTER)?;
            collect(statement, (after.as_str(), end, limit), to_record)
        }
        None => {
            let statement = connection.prepare_cached(RECORDS_FROM)?;
            collect(statement, (prefix.as_str(), end, limit), to_record)
        }
    }
}

/// Events from `from` on, without gaps.
pub(super) fn events(
    connection: &Connection,
    from: Position,
    limit: u16,
) -> Result<Vec<Event>, Fault> {
    let Ok(first) = i64::try_from(from.value()) else { return Ok(Vec::new()) };
    let statement = connection.prepare_cached(EVENTS)?;
    let events: Vec<Event> = collect(statement, (first, limit), to_event)?;
    for (event, expected) in events.iter().zip(from.value()..) {
        if event.position.value() != expected {
            return Err(Fault::Damaged("an event is missing"));
        }
    }
    Ok(events)
}

/// Reads everything: the trees of the database, the sums of all rows, and each event's place.
pub(super) fn verify(connection: &Connection) -> Result<(), Fault> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Fault::Damaged("the trees of the database contradict each other"));
    }
    let mut next = Position::START;
    let mut statement = connection.prepare(ALL_EVENTS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if to_event(row)?.position != next {
            return Err(Fault::Damaged("an event is missing"));
        }
        next = next.plus(1);
    }
    let mut statement = connection.prepare(ALL_RECORDS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        to_record(row)?;
    }
    Ok(())
}

fn collect<T>(
    mut statement: CachedStatement<'_>,
    parameters: impl Params,
    row_to: fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row_to(row)?);
    }
    Ok(found)
}

fn to_record(row: &Row<'_>) -> Result<Record, Fault> {
    let key = RecordKey::parse(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
        .map_err(|_unknown| Fault::Damaged("a record key has another form"))?;
    let value: Vec<u8> = row.get(1)?;
    sum::check(row.get(2)?, sum::of_record(key.as_str(), &value))?;
    Ok(Record { key, value })
}

fn to_event(row: &Row<'_>) -> Result<Event, Fault> {
    let (position, bytes): (_, Vec<u8>) = (position(row.get(0)?)?, row.get(1)?);
    sum::check(row.get(2)?, sum::of_event(position, &bytes))?;
    Ok(Event { position, bytes })
}

fn position(stored: i64) -> Result<Position, Fault> {
    let value = u64::try_from(stored)
        .map_err(|_negative| Fault::Damaged("an event has a negative position"))?;
    Ok(Position::new(value))
}

/// The least text above every key that begins with `prefix`: visible ASCII ends before 0x7f.
fn end_of(prefix: &RecordKey) -> String {
    let mut end = prefix.as_str().to_owned();
    end.push('\u{7f}');
    end
}

const LAST_EVENT: &str = "SELECT max(position) FROM events";
const RECORD: &str = "SELECT value, sum FROM records WHERE key = ?1";
const RECORDS_FROM: &str =
    "SELECT key, value, sum FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
const RECORDS_AFTER: &str =
    "SELECT key, value, sum FROM records WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
const EVENTS: &str =
    "SELECT position, bytes, sum FROM events WHERE position >= ?1 ORDER BY position LIMIT ?2";
const ALL_EVENTS: &str = "SELECT position, bytes, sum FROM events ORDER BY position";
const ALL_RECORDS: &str = "SELECT key, value, sum FROM records NOT INDEXED";
