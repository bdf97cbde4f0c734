use std::time::Duration;

use custody_core::seam::{Batch, ErrorKind, Event, Record, RecordKey};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::arb_position;

/// Any record key.
pub fn arb_record_key() -> impl Strategy<Value = RecordKey> {
    "[!-~]{1,512}".prop_map(|text| RecordKey::parse(&text).unwrap())
}

/// Any record of up to 256 bytes.
pub fn arb_record() -> impl Strategy<Value = Record> {
    (arb_record_key(), vec(any::<u8>(), 0..256)).prop_map(|(key, value)| Record { key, value })
}

/// Any event of up to 256 bytes.
pub fn arb_event() -> impl Strategy<Value = Event> {
    (arb_position(), vec(any::<u8>(), 1..256))
        .prop_map(|(position, bytes)| Event { position, bytes })
}

/// Any batch: inserts and puts of different keys, and at least one event.
pub fn arb_batch() -> impl Strategy<Value = Batch> {
    let records = proptest::collection::btree_map(arb_record_key(), vec(any::<u8>(), 0..256), 0..8);
    (records, any::<u8>(), vec(vec(any::<u8>(), 1..256), 1..5)).prop_map(
        |(records, choice, events)| {
            let records = records.into_iter().map(|(key, value)| Record { key, value });
            let (inserts, puts) =
                records.enumerate().partition::<Vec<_>, _>(|(n, _)| choice >> (n % 8) & 1 == 1);
            let plain = |records: Vec<(usize, Record)>| {
                records.into_iter().map(|(_, record)| record).collect()
            };
            Batch { inserts: plain(inserts), puts: plain(puts), events }
        },
    )
}

/// Any kind of error.
pub fn arb_error_kind() -> impl Strategy<Value = ErrorKind> {
    prop_oneof![
        Just(ErrorKind::Conflict),
        Just(ErrorKind::Corrupt),
        Just(ErrorKind::Indeterminate),
        Just(ErrorKind::NotFound),
        Just(ErrorKind::Refused),
        option::of(any::<u32>().prop_map(|millis| Duration::from_millis(millis.into())))
            .prop_map(|retry_after| ErrorKind::Throttled { retry_after }),
        Just(ErrorKind::Unavailable),
        Just(ErrorKind::Unsupported),
    ]
}
