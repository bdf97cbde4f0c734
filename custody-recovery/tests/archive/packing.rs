//! Archives of a whole custodian. Opens secrets, of tests only.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use custody_core::document::{EventBody, EventDocument};
use custody_core::seam::{Entropy, Position, RecordKey};
use custody_core::secret::Secret;
use custody_recovery::Recipient;
use custody_recovery::archive::{
    Entry, EntryPath, FileSource, FileSourceError, Folder, PackError, WriteError,
};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::{TestClock, TestEntropy};
use pollster::block_on;

use crate::house::{House, entries, open};
use crate::support::{entropy, name, path};

#[test]
fn everything_in_a_store_is_in_its_archive() {
    let house = House::new();
    let (bytes, summary) = house.write(&house.pack(&house.store)).unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    let header = open(&bytes).header().clone();
    assert_eq!((*header.custodian(), header.created_at()), (house.custodian, TestClock::START));
    let (mut records, mut events) = (BTreeMap::new(), Vec::new());
    for entry in entries(&bytes) {
        match entry {
            Entry::Event(event) => events.push(event.bytes),
            Entry::Record(record) => drop(records.insert(record.key, record.value)),
            other => panic!("{other:?}"),
        }
    }
    let kept = house.store.snapshot();
    assert_eq!(events, kept.events());
    let expected: BTreeMap<_, _> =
        kept.records().into_iter().map(|record| (record.key, record.value)).collect();
    assert_eq!(records, expected);
    assert_eq!(header.checkpoint().head.size, Position::new(events.len() as u64));
    assert_eq!(
        (header.counts().events, header.counts().records),
        (events.len() as u64, records.len() as u64)
    );
    assert!(events.len() > 6 && records.len() > 9, "{} {}", events.len(), records.len());
}

#[test]
fn an_orders_documents_stand_before_its_first_event_and_all_records_before_the_last() {
    let house = House::new();
    let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
    let (mut seen, mut orders, mut after_event) = (BTreeSet::new(), 0, 0);
    let mut most = 0;
    for entry in entries(&bytes) {
        match entry {
            Entry::Record(record) => {
                seen.insert(record.key.as_str().to_owned());
                after_event += 1;
            }
            Entry::Event(event) => {
                most = most.max(std::mem::take(&mut after_event));
                let document = EventDocument::read(&event.bytes).unwrap();
                let owner = match &document.event {
                    EventBody::Genesis(_) => "genesis".to_owned(),
                    EventBody::OrderSubmitted(submitted) => submitted.order.to_string(),
                    _ => continue,
                };
                orders += 1;
                let prefix = format!("document/{owner}/");
                let all = house.store.records();
                let own = all.iter().filter(|record| record.key.as_str().starts_with(&prefix));
                let mut own = own.peekable();
                assert!(own.peek().is_some(), "{owner} has documents");
                for record in own {
                    assert!(seen.contains(record.key.as_str()), "{} comes late", record.key);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((orders, after_event), (4, 0));
    assert!(most < 12, "{most} records stand together");
}

#[test]
fn records_of_families_that_nobody_knows_are_in_the_archive_too() {
    let house = House::new();
    // Parts of snapshots belong to no order, though `snapshot` could be the id of one.
    let keys = [
        "!first",
        "guest/1",
        "snapshot",
        "zz/last",
        "~",
        "A",
        "document/loose",
        "0",
        "document/snapshot/00",
        "document/snapshot/ff",
    ];
    for key in keys {
        house.store.replace_record(&RecordKey::parse(key).unwrap(), key.as_bytes().to_vec());
    }
    let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
    let found: BTreeSet<_> = entries(&bytes)
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Record(record) => Some(record.key.as_str().to_owned()),
            _ => None,
        })
        .collect();
    for key in keys {
        assert!(found.contains(key), "{key}");
    }
}

#[test]
fn many_records_are_read_page_by_page() {
    let house = House::new();
    for number in 0..1_000 {
        let key = RecordKey::parse(&format!("guest/{number:04}")).unwrap();
        house.store.replace_record(&key, vec![0; number % 7]);
    }
    let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
    assert_eq!(open(&bytes).header().counts().records, house.store.records().len() as u64);
    block_on(open(&bytes).check()).unwrap();
}

#[test]
fn documents_of_an_order_that_no_event_submits_are_refused_by_number() {
    let house = House::new();
    let order = "01890000-0000-7000-8000-000000000000";
    for number in 0..3 {
        let key = RecordKey::parse(&format!("document/{order}/{number}")).unwrap();
        house.store.replace_record(&key, vec![1]);
    }
    let refused = house.write(&house.pack(&house.store));
    assert!(matches!(refused, Err(PackError::Orphaned { count: 3 })), "{refused:?}");
}

#[test]
fn files_and_secrets_are_in_the_archive_in_order() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("tile/0")).unwrap();
    let tile: Vec<u8> = (0..200_000_u32).map(|at| at.to_be_bytes()[3]).collect();
    std::fs::write(folder.path().join("tile/0/000"), &tile).unwrap();
    std::fs::write(folder.path().join("checkpoint"), b"note").unwrap();
    let (log, others) = (Folder::new("log", folder.path()).unwrap(), Given::of("host", b"config"));
    let (one, two) = (Secret::new(b"one".to_vec()), Secret::new(b"two".to_vec()));
    let pack = house.pack(&house.store).with_files(&log).with_files(&others);
    let pack = pack.with_secret(name("z"), &two).with_secret(name("a"), &one);
    let (bytes, _) = house.write(&pack).unwrap();
    let mut lines = Vec::new();
    for entry in entries(&bytes) {
        match entry {
            Entry::File(path) => lines.push(path.to_string()),
            Entry::FileEnd { size } => lines.push(size.to_string()),
            Entry::Secret(name, secret) => {
                lines.push(format!("{name} {}", String::from_utf8_lossy(secret.expose())));
            }
            Entry::Event(_) | Entry::Piece(_) | Entry::Record(_) => {}
        }
    }
    let expected =
        ["host", "6", "log/checkpoint", "4", "log/tile/0/000", "200000", "a one", "z two"];
    assert_eq!(lines, expected);
    let text = format!("{pack:?}");
    assert!(!text.contains("116, 119, 111") && !text.contains("two"), "{text}");
    assert!(!text.contains("Record"), "what is in the store is not shown: {text}");
}

/// One file in memory, which can vanish between the two looks.
#[derive(Debug)]
struct Given {
    path: EntryPath,
    bytes: Result<Vec<u8>, std::io::ErrorKind>,
}

impl Given {
    fn of(at: &str, bytes: &[u8]) -> Self {
        Self { path: path(at), bytes: Ok(bytes.to_vec()) }
    }
}

impl FileSource for Given {
    fn list(&self) -> Result<BTreeSet<EntryPath>, FileSourceError> {
        Ok(BTreeSet::from([self.path.clone()]))
    }

    fn open(&self, _: &EntryPath) -> Result<Box<dyn Read + Send>, FileSourceError> {
        match &self.bytes {
            Ok(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            Err(kind) => Err(std::io::Error::from(*kind).into()),
        }
    }
}

#[test]
fn a_file_that_went_and_one_that_two_sources_have_are_refused() {
    let house = House::new();
    let gone = Given { path: path("a"), bytes: Err(std::io::ErrorKind::NotFound) };
    let refused = house.write(&house.pack(&house.store).with_files(&gone));
    assert!(matches!(refused, Err(PackError::Moved)), "{refused:?}");
    let closed = Given { path: path("a"), bytes: Err(std::io::ErrorKind::PermissionDenied) };
    let refused = house.write(&house.pack(&house.store).with_files(&closed));
    assert!(matches!(refused, Err(PackError::Files(FileSourceError::Io(_)))), "{refused:?}");
    let (one, other) = (Given::of("a", b"1"), Given::of("a", b"2"));
    let pack = house.pack(&house.store).with_files(&one).with_files(&other);
    assert!(matches!(house.write(&pack), Err(PackError::FileTwice)));
}

#[test]
fn a_secret_that_is_too_long_is_refused() {
    let house = House::new();
    let secret = Secret::new(vec![1; 64 * 1024 + 1]);
    let refused = house.write(&house.pack(&house.store).with_secret(name("a"), &secret));
    assert!(matches!(refused, Err(PackError::Write(WriteError::Content(_)))));
}

#[test]
fn an_archive_without_recipients_or_entropy_is_not_begun() {
    let house = House::new();
    let mut bytes = Vec::new();
    let pack = house.pack(&house.store);
    let written = block_on(pack.write(&mut bytes, &[], &house.clock, &entropy(1)));
    assert!(matches!(written, Err(PackError::Route(_))));
    let failing: Arc<dyn Entropy> = Arc::new(TestEntropy::failing());
    let kek = MemoryKeyEncryption::seeded(1);
    let written = block_on(pack.write(&mut bytes, &[Recipient::Kek(&kek)], &house.clock, &failing));
    assert!(matches!(written, Err(PackError::Entropy(_))));
    assert!(bytes.is_empty());
}

#[test]
fn a_file_is_the_archive_and_nothing_is_left_beside_it() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("custody.archive");
    let kek = MemoryKeyEncryption::seeded(1);
    let pack = house.pack(&house.store);
    for seed in 0..2 {
        let recipients = [Recipient::Kek(&kek)];
        let entropy = entropy(seed);
        let written = pack.write_file(&place, &recipients, &house.clock, &entropy);
        let summary = block_on(written).unwrap();
        let bytes = std::fs::read(&place).unwrap();
        assert_eq!(custody_core::digest::Digest::of(&bytes), summary.sha256);
        block_on(open(&bytes).check()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let nowhere = folder.path().join("missing/custody.archive");
    let refused =
        block_on(pack.write_file(&nowhere, &[Recipient::Kek(&kek)], &house.clock, &entropy(3)));
    assert!(matches!(refused, Err(PackError::Local(_))));
}

#[test]
fn an_archive_shows_none_of_its_contents() {
    let house = House::new();
    let secret = Secret::new(b"correct horse battery staple".to_vec());
    let pack = house.pack(&house.store).with_secret(name("kek/main"), &secret);
    let (bytes, _) = house.write(&pack).unwrap();
    for hidden in [&b"correct horse"[..], b"treasurer", b"create_wallet", b"kek/main", b"request/"]
    {
        assert!(!bytes.windows(hidden.len()).any(|window| window == hidden), "{hidden:?}");
    }
}
