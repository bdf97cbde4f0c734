//! How much memory an archive takes: a file of its own, so that nothing else runs in the process.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

use std::fs;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{Checkpoint, Head, Position};
use custody_core::secret::Secret;
use custody_core::time::Timestamp;
use custody_recovery::archive::{
    ArchiveId, ArchiveKey, ArchiveWriter, Counts, Entry, EntryPath, Header, HeaderDraft,
    LocalArchive, LocalFile, LockedArchive,
};
use custody_recovery::{Copies, CopyState, Place, PlaceName, Recipient, Routes};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::key::TestKey;
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;
use tokio::io::{AsyncRead, ReadBuf};

const SIZE: u64 = 256 * 1024 * 1024;
const KIB_MAX: u64 = 48 * 1024;

/// So many bytes, none of which is kept.
struct Bytes(io::Take<io::Repeat>);

impl AsyncRead for Bytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(bytes.initialize_unfilled())?;
        bytes.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// The most memory that the process ever had, in KiB.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn writing_reading_and_copying_256_mib_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.archive");
    let (archive, custodian) = (ArchiveId::new([1; 32]), CustodianId::new(Digest::of(b"")));
    let key = ArchiveKey::new(Secret::new(vec![7; 32])).unwrap();
    let (kek, entropy) = (MemoryKeyEncryption::seeded(1), Arc::new(TestEntropy::seeded(1)));
    let before = most_memory();
    block_on(async {
        let recipients = [Recipient::Kek(&kek)];
        let routes = Routes::wrap(&key, &archive, &custodian, &recipients, &*entropy).await;
        let draft = HeaderDraft {
            archive,
            custodian,
            log_key: TestKey::seeded(Algorithm::Ed25519, 3).public_key().clone(),
            created_at: Timestamp::from_millis(1),
            checkpoint: Checkpoint {
                head: Head { size: Position::START, root: Digest::of(b"") },
                note: String::new(),
            },
            counts: Counts { files: 1, ..Counts::default() },
        };
        let header = Header::new(draft, &key, routes.unwrap()).unwrap();
        let mut local = LocalArchive::create(&path, &archive).unwrap();
        let mut writer = ArchiveWriter::begin(&mut local, &key, &header, entropy).await.unwrap();
        let file = Bytes(io::repeat(5).take(SIZE));
        writer.file(&EntryPath::parse("log/tile").unwrap(), file).await.unwrap();
        let summary = writer.finish().await.unwrap();
        // It is read back here.
        local.commit(&key, &summary).await.unwrap();
        assert!(summary.bytes > SIZE);

        let locked = LockedArchive::peek(LocalFile::open(&path).unwrap()).await.unwrap();
        let (mut reader, mut sum) = (locked.unlock(&key).unwrap(), 0);
        while let Some(entry) = reader.next().await.unwrap() {
            match entry {
                Entry::Piece(piece) => sum += piece.len() as u64,
                Entry::FileEnd { size } => assert_eq!(size, SIZE),
                Entry::File(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sum, SIZE);

        let copies = folder.path().join("copies");
        fs::create_dir(&copies).unwrap();
        let place = Place::folder(PlaceName::parse("here").unwrap(), &copies).unwrap();
        let report = Copies::new(vec![place]).unwrap().put(&path, &summary).await.unwrap();
        assert_eq!(report.states().next().unwrap().1, CopyState::Good);
    });
    let after = most_memory();
    assert!(after - before < KIB_MAX, "{before} KiB became {after} KiB");
}
