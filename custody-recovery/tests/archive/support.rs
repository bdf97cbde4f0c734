//! A small archive, and how archives look from outside. Opens secrets, of tests only.

use std::sync::Arc;

use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{Checkpoint, Entropy, Head, Position, Record, RecordKey};
use custody_core::secret::Secret;
use custody_core::time::Timestamp;
use custody_recovery::archive::{
    ArchiveId, ArchiveKey, ArchiveReader, ArchiveWriter, Counts, Entry, EntryPath, Header,
    HeaderDraft, LockedArchive, ReadError, SecretName, Summary, WriteError,
};
use custody_recovery::{Recipient, Routes};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::key::TestKey;
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;

pub(crate) const SMALL: Counts = Counts { events: 2, records: 3, files: 2, secrets: 2 };

pub(crate) fn entropy(seed: u64) -> Arc<dyn Entropy> {
    Arc::new(TestEntropy::seeded(seed))
}

pub(crate) fn key() -> ArchiveKey {
    ArchiveKey::new(Secret::new(vec![7; 32])).unwrap()
}

pub(crate) fn other_key() -> ArchiveKey {
    ArchiveKey::new(Secret::new(vec![8; 32])).unwrap()
}

pub(crate) fn custodian() -> CustodianId {
    CustodianId::new(Digest::of(b"custodian"))
}

pub(crate) fn log_key() -> PublicKey {
    TestKey::seeded(Algorithm::Ed25519, 3).public_key().clone()
}

pub(crate) fn draft(counts: Counts) -> HeaderDraft {
    let head = Head { size: Position::new(counts.events), root: Digest::of(b"root") };
    HeaderDraft {
        archive: ArchiveId::new([1; 32]),
        custodian: custodian(),
        log_key: log_key(),
        created_at: Timestamp::from_millis(1_767_225_600_000),
        checkpoint: Checkpoint { head, note: "example.org/log\n2\n".to_owned() },
        counts,
    }
}

pub(crate) fn routes(key: &ArchiveKey) -> Routes {
    let kek = MemoryKeyEncryption::seeded(1);
    let archive = ArchiveId::new([1; 32]);
    let recipients = [Recipient::Kek(&kek)];
    block_on(Routes::wrap(key, &archive, &custodian(), &recipients, &*entropy(4))).unwrap()
}

pub(crate) fn header(counts: Counts) -> Header {
    Header::new(draft(counts), &key(), routes(&key())).unwrap()
}

pub(crate) fn record(key: &str, value: &[u8]) -> Record {
    Record { key: RecordKey::parse(key).unwrap(), value: value.to_vec() }
}

pub(crate) fn path(text: &str) -> EntryPath {
    EntryPath::parse(text).unwrap()
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

/// One entry that a test writes.
#[derive(Clone, Debug)]
pub(crate) enum Put {
    Event(u64, Vec<u8>),
    Record(&'static str, Vec<u8>),
    File(&'static str, Vec<u8>),
    Secret(&'static str, Vec<u8>),
}

pub(crate) fn small() -> Vec<Put> {
    vec![
        Put::Record("document/genesis/1", b"rules".to_vec()),
        Put::Event(0, b"{\"first\":1}".to_vec()),
        Put::Record("handle/hot", b"sealed".to_vec()),
        Put::Record("request/a/b", Vec::new()),
        Put::Event(1, b"{\"second\":2}".to_vec()),
        Put::File("log/checkpoint", b"note".to_vec()),
        Put::File("log/tile/empty", Vec::new()),
        Put::Secret("kek/main", b"correct horse battery staple".to_vec()),
        Put::Secret("log-key", vec![9; 32]),
    ]
}

pub(crate) fn write_with(
    key: &ArchiveKey,
    header: &Header,
    puts: &[Put],
) -> Result<(Vec<u8>, Summary), WriteError> {
    block_on(async {
        let mut bytes = Vec::new();
        let mut writer = ArchiveWriter::begin(&mut bytes, key, header, entropy(5)).await?;
        for put in puts {
            apply(&mut writer, put).await?;
        }
        let summary = writer.finish().await?;
        Ok((bytes, summary))
    })
}

pub(crate) async fn apply(
    writer: &mut ArchiveWriter<&mut Vec<u8>>,
    put: &Put,
) -> Result<(), WriteError> {
    match put {
        Put::Event(position, bytes) => writer.event(Position::new(*position), bytes).await,
        Put::Record(key, value) => writer.record(&record(key, value)).await,
        Put::File(file, bytes) => writer.file(&path(file), bytes.as_slice()).await,
        Put::Secret(secret, bytes) => {
            writer.secret(&name(secret), &Secret::new(bytes.clone())).await
        }
    }
}

pub(crate) fn write(counts: Counts, puts: &[Put]) -> Result<Vec<u8>, WriteError> {
    write_with(&key(), &header(counts), puts).map(|(bytes, _)| bytes)
}

pub(crate) fn small_archive() -> Vec<u8> {
    write(SMALL, &small()).unwrap()
}

pub(crate) fn open(bytes: &[u8]) -> Result<ArchiveReader<&[u8]>, ReadError> {
    block_on(LockedArchive::peek(bytes))?.unlock(&key())
}

/// Everything in an archive, one line for each file and each other entry.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<String>, ReadError> {
    let mut reader = open(bytes)?;
    let (mut lines, mut file) = (Vec::new(), Vec::new());
    block_on(async {
        while let Some(entry) = reader.next().await? {
            match entry {
                Entry::Event(event) => {
                    lines.push(format!("event {} {}", event.position, shown(&event.bytes)));
                }
                Entry::Record(record) => {
                    lines.push(format!("record {} {}", record.key, shown(&record.value)));
                }
                Entry::File(path) => lines.push(format!("file {path}")),
                Entry::Piece(piece) => file.extend_from_slice(piece.expose()),
                Entry::FileEnd { size } => {
                    assert_eq!(size, file.len() as u64);
                    lines.push(format!("size {size} {}", Digest::of(&file)));
                    file.clear();
                }
                Entry::Secret(name, secret) => {
                    lines.push(format!("secret {name} {}", shown(secret.expose())));
                }
            }
        }
        assert!(reader.next().await?.is_none(), "the end stays the end");
        Ok(lines)
    })
}

/// What [`read`] gives of an archive of these entries.
pub(crate) fn lines_of(puts: &[Put]) -> Vec<String> {
    puts.iter().flat_map(lines_of_one).collect()
}

fn lines_of_one(put: &Put) -> Vec<String> {
    match put {
        Put::Event(position, bytes) => vec![format!("event {position} {}", shown(bytes))],
        Put::Record(key, value) => vec![format!("record {key} {}", shown(value))],
        Put::File(file, bytes) => {
            vec![format!("file {file}"), format!("size {} {}", bytes.len(), Digest::of(bytes))]
        }
        Put::Secret(secret, bytes) => vec![format!("secret {secret} {}", shown(bytes))],
    }
}

/// Bytes as text, or as numbers where they are none: nothing of them is lost.
fn shown(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("{bytes:?}"), str::to_owned)
}

/// Where the chunks begin.
pub(crate) fn chunks_at(bytes: &[u8]) -> usize {
    let length = u32::from_be_bytes(bytes[17..21].try_into().unwrap());
    21 + length as usize + 32
}

/// What stands before the chunks, and each chunk as it is in the file.
pub(crate) fn split_chunks(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (before, mut rest) = bytes.split_at(chunks_at(bytes));
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = 5 + u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        let (chunk, later) = rest.split_at(length);
        chunks.push(chunk.to_vec());
        rest = later;
    }
    (before.to_vec(), chunks)
}
