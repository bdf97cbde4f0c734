//! Archives: what has the key is read as it was written, and nothing else is.
//!
//! Opens secrets, of tests only.

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{Checkpoint, Head, Position, Record, RecordKey};
use custody_core::secret::Secret;
use custody_core::time::Timestamp;
use custody_recovery::archive::{
    ArchiveId, ArchiveKey, ArchiveWriter, Counts, Entry, EntryPath, Header, HeaderDraft,
    LockedArchive, ReadError, SecretName,
};
use custody_recovery::{Recipient, Routes};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::key::TestKey;
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;

use crate::Seed;
use crate::input::{Input, cut, flip, named, patched};

const PARTS: [&str; 4] = ["changed", "given", "header", "made"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let taken = match part {
        "changed" => changed(input),
        "given" => given(input.rest()),
        "header" => header(input.rest()),
        _ => made(input),
    };
    taken.then_some(part)
}

/// An archive with changes opens only if they change nothing.
fn changed(input: Input<'_>) -> bool {
    let good = known();
    let bytes = patched(&good, input.rest());
    let same = bytes == good;
    assert_eq!(read(&bytes).is_ok(), same, "a changed archive opens");
    same
}

/// Bytes that claim to be an archive: only the one that the key has made is.
fn given(bytes: &[u8]) -> bool {
    let is_known = bytes == known();
    assert_eq!(read(bytes).is_ok(), is_known, "a forged archive opens");
    is_known
}

/// A header that is read is kept as it was, and can be told about.
fn header(bytes: &[u8]) -> bool {
    let Ok(header) = Header::parse(bytes.to_vec()) else { return false };
    assert_eq!(header.bytes(), bytes);
    assert!(header.checkpoint().head.size.value() <= header.counts().events);
    let ids = header.routes().ids();
    assert!((1..=Routes::MAX).contains(&ids.len()));
    assert!(ids.iter().all(|id| !id.to_string().is_empty()));
    let again = Header::parse(header.bytes().to_vec()).unwrap();
    assert_eq!(again.routes(), header.routes());
    true
}

/// What is written is read again, or the writer refuses it.
fn made(mut input: Input<'_>) -> bool {
    let (events, records) = (input.byte() % 4, input.byte() % 4);
    let (files, secrets) = (input.byte() % 3, input.byte() % 3);
    let mut expected = Vec::new();
    let counts = Counts {
        events: events.into(),
        records: records.into(),
        files: files.into(),
        secrets: secrets.into(),
    };
    let written = block_on(async {
        let mut bytes = Vec::new();
        let (key, header) = (key(), made_header(counts));
        let entropy = Arc::new(TestEntropy::seeded(5));
        let mut writer = ArchiveWriter::begin(&mut bytes, &key, &header, entropy).await.ok()?;
        for number in 0..records {
            let key = RecordKey::parse(&format!("a/{}", hex::encode(input.field()))).ok()?;
            let record = Record { key, value: vec![number; 9] };
            writer.record(&record).await.ok()?;
            expected.push(format!("record {} {}", record.key, Digest::of(&record.value)));
        }
        for number in 0..events {
            let event = input.field();
            writer.event(Position::new(number.into()), event).await.ok()?;
            expected.push(format!("event {}", Digest::of(event)));
        }
        for _ in 0..files {
            let path = EntryPath::parse(std::str::from_utf8(input.field()).ok()?).ok()?;
            let bytes = input.field();
            writer.file(&path, bytes).await.ok()?;
            expected.push(format!("file {path}"));
            expected.push(format!("size {} {}", bytes.len(), Digest::of(bytes)));
        }
        for _ in 0..secrets {
            let name = SecretName::parse(std::str::from_utf8(input.field()).ok()?).ok()?;
            let secret = Secret::new(input.field().to_vec());
            writer.secret(&name, &secret).await.ok()?;
            expected.push(format!("secret {name} {}", Digest::of(secret.expose())));
        }
        writer.finish().await.ok()?;
        Some(bytes)
    });
    let Some(written) = written else { return false };
    assert_eq!(read(&written).unwrap(), expected);
    assert!(read(&written[..written.len() - 1]).is_err());
    true
}

/// A line for each entry, with the digest of what is in it.
fn read(bytes: &[u8]) -> Result<Vec<String>, ReadError> {
    block_on(async {
        let locked = LockedArchive::peek(bytes).await?;
        let mut reader = locked.unlock(&key())?;
        let (mut lines, mut file) = (Vec::new(), Vec::new());
        while let Some(entry) = reader.next().await? {
            match entry {
                Entry::Event(event) => lines.push(format!("event {}", Digest::of(&event.bytes))),
                Entry::Record(record) => {
                    lines.push(format!("record {} {}", record.key, Digest::of(&record.value)));
                }
                Entry::File(path) => lines.push(format!("file {path}")),
                Entry::Piece(piece) => {
                    assert!(!piece.is_empty());
                    file.extend_from_slice(piece.expose());
                }
                Entry::FileEnd { size } => {
                    lines.push(format!("size {size} {}", Digest::of(&std::mem::take(&mut file))));
                }
                Entry::Secret(name, secret) => {
                    lines.push(format!("secret {name} {}", Digest::of(secret.expose())));
                }
            }
        }
        Ok(lines)
    })
}

fn key() -> ArchiveKey {
    ArchiveKey::new(Secret::new(vec![7; 32])).unwrap()
}

fn made_header(counts: Counts) -> Header {
    let (archive, custodian) = (ArchiveId::new([1; 32]), CustodianId::new(Digest::of(b"house")));
    let (kek, entropy) = (MemoryKeyEncryption::seeded(1), TestEntropy::seeded(1));
    let (recipients, key) = ([Recipient::Kek(&kek)], key());
    let routes = Routes::wrap(&key, &archive, &custodian, &recipients, &entropy);
    let routes = block_on(routes).unwrap();
    let head = Head { size: Position::new(0), root: Digest::of(b"") };
    let draft = HeaderDraft {
        archive,
        custodian,
        log_key: TestKey::seeded(Algorithm::Ed25519, 3).public_key().clone(),
        created_at: Timestamp::from_millis(1),
        checkpoint: Checkpoint { head, note: "example.org/log\n0\n".to_owned() },
        counts,
    };
    Header::new(draft, &key, routes).unwrap()
}

/// A small archive with one entry of each kind; always the same bytes.
fn known() -> Vec<u8> {
    let counts = Counts { events: 1, records: 1, files: 1, secrets: 1 };
    block_on(async {
        let mut bytes = Vec::new();
        let (key, header) = (key(), made_header(counts));
        let entropy = Arc::new(TestEntropy::seeded(5));
        let mut writer = ArchiveWriter::begin(&mut bytes, &key, &header, entropy).await.unwrap();
        let record = Record { key: RecordKey::parse("handle/hot").unwrap(), value: vec![1; 9] };
        writer.record(&record).await.unwrap();
        writer.event(Position::START, b"{}").await.unwrap();
        writer.file(&EntryPath::parse("log/a").unwrap(), &b"file"[..]).await.unwrap();
        let secret = Secret::new(b"secret".to_vec());
        writer.secret(&SecretName::parse("kek").unwrap(), &secret).await.unwrap();
        writer.finish().await.unwrap();
        bytes
    })
}

pub(crate) fn seeds() -> Vec<Seed> {
    let good = known();
    let header = made_header(Counts { events: 2, ..Counts::default() });
    let chosen = |part: u8, bytes: &[u8]| [&[part], bytes].concat();
    let fields = [&[1, 1, 1, 1][..], &[2], b"ab", &[2], b"{}", &[3], b"a/b", &[4], b"file", &[1]];
    let fields = [&fields.concat()[..], b"k", &[3], b"key"].concat();
    let at_chunk = u16::try_from(21 + header.bytes().len() + 40).unwrap();
    let at_end = u16::try_from(good.len() - 1).unwrap();
    let text = String::from_utf8(header.bytes().to_vec()).unwrap();
    let twice = text.replacen("{\"v\":1", "{\"v\":1,\"v\":1", 1);
    let many = text.replacen("\"events\":2", "\"events\":9007199254740992", 1);
    named([
        ("changed-nothing", chosen(0, &[])),
        ("changed-magic", chosen(0, &flip(0, 1))),
        ("changed-version", chosen(0, &flip(16, 3))),
        ("changed-header-length", chosen(0, &flip(20, 1))),
        ("changed-header", chosen(0, &flip(40, 1))),
        ("changed-chunk", chosen(0, &flip(at_chunk, 1))),
        ("changed-end", chosen(0, &flip(at_end, 1))),
        ("changed-cut", chosen(0, &cut(at_end))),
        ("changed-cut-early", chosen(0, &cut(30))),
        ("given-empty", chosen(1, &[])),
        ("given-good", chosen(1, &good)),
        ("given-magic-alone", chosen(1, b"custody-archive\n")),
        ("given-long-header", chosen(1, b"custody-archive\n\x01\xff\xff\xff\xff")),
        ("given-more", chosen(1, &[&good[..], &[0]].concat())),
        ("header", chosen(2, text.as_bytes())),
        ("header-twice", chosen(2, twice.as_bytes())),
        ("header-many", chosen(2, many.as_bytes())),
        ("header-none", chosen(2, b"{}")),
        ("made-empty", chosen(3, &[])),
        ("made-one-of-each", chosen(3, &fields)),
        ("made-bad-path", chosen(3, &[&[0, 0, 1, 0][..], &[2], b"..", &[0]].concat())),
        ("made-records", chosen(3, &[&[0, 3, 0, 0][..], &[1], b"a", &[1], b"b"].concat())),
    ])
}
