//! An archive as a file of the local disk.
//!
//! Invariant: under the archive's own name there is, at every moment, the old archive or the new one,
//! whole and on the disk. A new one gets the name only after it was read back.
//!
//! Calls block while the disk works: whoever has other tasks on the thread moves them elsewhere.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use custody_core::digest::Digest;

use super::error::ReadError;
use super::key::{ArchiveId, ArchiveKey};
use super::reader::LockedArchive;
use super::writer::Summary;

/// A new archive that has not got its name yet: a sink for an [`super::ArchiveWriter`].
///
/// If it is dropped before [`Self::commit`], the old archive stays. A file that ends in `.part` is
/// what a stopped process left behind and may be deleted.
#[derive(Debug)]
pub struct LocalArchive {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    draft: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    is_committed: bool,
}

impl LocalArchive {
    /// Begins an archive that is to lie at `path`.
    ///
    /// # Errors
    /// Fails if the folder does not exist or cannot be written, and if `path` names no file.
    pub fn create(path: &Path, archive: &ArchiveId) -> Result<Self, LocalError> {
        Self::create_on(Arc::new(LocalDisk), path, archive)
    }

    pub(super) fn create_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        archive: &ArchiveId,
    ) -> Result<Self, LocalError> {
        let mut draft = OsString::from(".");
        draft.push(path.file_name().ok_or(LocalError::Path)?);
        draft.push(format!(".{archive}.part"));
        let draft = path.with_file_name(draft);
        let file = Some(disk.create(&draft)?);
        Ok(Self { disk, path: path.to_owned(), draft, file, is_committed: false })
    }

    /// Makes the archive durable, reads it back to its end and gives it its name, in the place of the
    /// old one.
    ///
    /// # Errors
    /// Fails if the disk fails, and if what is read back is not what was written: the old archive
    /// then stays. After `Folder` the new archive has its name, which a crash may still take from it.
    ///
    /// # Cancel safety
    /// If the future is dropped, the old archive stays.
    pub async fn commit(mut self, key: &ArchiveKey, summary: &Summary) -> Result<(), LocalError> {
        let file = self.file.take().ok_or(LocalError::Path)?;
        file.sync()?;
        drop(file);
        let mut source = Hashed { source: self.disk.open(&self.draft)?, hash: Sha256::new() };
        LockedArchive::peek(&mut source).await?.unlock(key)?.check().await?;
        if Digest::new(source.hash.finalize().into()) != summary.sha256 {
            return Err(LocalError::Differs);
        }
        self.disk.rename(&self.draft, &self.path)?;
        self.is_committed = true;
        self.disk.sync_folder(&self.path).map_err(LocalError::Folder)
    }
}

impl Drop for LocalArchive {
    fn drop(&mut self) {
        if !self.is_committed {
            // Nothing depends on it: a draft is never taken for an archive.
            let _left_behind = self.disk.remove(&self.draft);
        }
    }
}

impl AsyncWrite for LocalArchive {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        Poll::Ready(self.file.as_mut().ok_or_else(closed).and_then(|file| file.write(bytes)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.file.as_mut().map_or(Ok(()), Write::flush))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

/// A file of the local disk that is read piece by piece.
#[derive(Debug)]
pub struct LocalFile(File);

impl LocalFile {
    /// Opens it.
    ///
    /// # Errors
    /// Fails if it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }
}

impl AsyncRead for LocalFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(read_into(&mut self.0, bytes).map(|_| ()))
    }
}

/// A reader that blocks, where one that does not is asked for.
pub(super) struct Blocking<R>(pub(super) R);

impl<R: Read + Unpin> AsyncRead for Blocking<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(read_into(&mut self.0, bytes).map(|_| ()))
    }
}

/// Hashes what is read through it.
struct Hashed {
    source: Box<dyn Read + Send>,
    hash: Sha256,
}

impl AsyncRead for Hashed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = read_into(&mut this.source, bytes);
        Poll::Ready(read.map(|new| this.hash.update(new)))
    }
}

fn read_into<'b>(source: &mut impl Read, bytes: &'b mut ReadBuf<'_>) -> io::Result<&'b [u8]> {
    let before = bytes.filled().len();
    let length = loop {
        match source.read(bytes.initialize_unfilled()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    bytes.advance(length);
    Ok(bytes.filled().get(before..).unwrap_or_default())
}

/// What an archive's file needs of a disk, so that tests can let it fail at each step.
pub(super) trait Disk: Debug + Send + Sync {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes names in the folder of `path` durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
}

pub(super) trait DiskFile: Debug + Write + Send + Sync {
    fn sync(&self) -> io::Result<()>;
}

#[derive(Debug)]
pub(super) struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

impl DiskFile for File {
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Why an archive did not become a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// What is read back is another archive than was written.
    #[error("what was read back is not what was written")]
    Differs,
    /// The archive has its name, but its folder may not be durable.
    #[error("the folder of the archive may not be durable")]
    Folder(#[source] io::Error),
    /// The disk failed.
    #[error("the disk failed")]
    Io(#[from] io::Error),
    /// The path names no file.
    #[error("the path names no file")]
    Path,
    /// What was written does not read.
    #[error("what was written does not read")]
    ReadBack(#[from] ReadError),
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use custody_core::crypto::Algorithm;
    use custody_core::id::CustodianId;
    use custody_core::seam::{Checkpoint, Head, Position};
    use custody_core::secret::Secret;
    use custody_core::time::Timestamp;
    use custody_testkit::backend::MemoryKeyEncryption;
    use custody_testkit::key::TestKey;
    use custody_testkit::runtime::TestEntropy;
    use pollster::block_on;

    use super::*;
    use crate::archive::{
        ArchiveWriter, Counts, EntryPath, Header, HeaderDraft, HeaderError, WriteError,
    };
    use crate::route::{Recipient, Routes};

    /// A disk whose machine stops at one step: the step half happens, and nothing does after it.
    #[derive(Debug)]
    struct Dying {
        steps: Arc<AtomicUsize>,
        last: usize,
        /// What is read back differs.
        lies: bool,
    }

    #[derive(Debug)]
    struct DyingFile {
        file: File,
        steps: Arc<AtomicUsize>,
        last: usize,
    }

    fn step(steps: &AtomicUsize, last: usize) -> io::Result<()> {
        match steps.fetch_add(1, Ordering::SeqCst) >= last {
            true => Err(io::Error::other("the machine stopped")),
            false => Ok(()),
        }
    }

    impl Dying {
        fn at(last: usize) -> Self {
            Self { steps: Arc::default(), last, lies: false }
        }

        fn step(&self) -> io::Result<()> {
            step(&self.steps, self.last)
        }
    }

    impl Disk for Dying {
        fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            self.step()?;
            let file = File::options().write(true).create_new(true).open(path)?;
            Ok(Box::new(DyingFile { file, steps: Arc::clone(&self.steps), last: self.last }))
        }

        fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
            self.step()?;
            let mut bytes = fs::read(path)?;
            if self.lies {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            Ok(Box::new(io::Cursor::new(bytes)))
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.step()?;
            fs::rename(from, to)
        }

        fn sync_folder(&self, _: &Path) -> io::Result<()> {
            self.step()
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.step()?;
            fs::remove_file(path)
        }
    }

    impl Write for DyingFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Small pieces, so that there are many places to stop at; half of the last one is there.
            let piece = &bytes[..bytes.len().min(40)];
            if let Err(error) = step(&self.steps, self.last) {
                self.file.write_all(&piece[..piece.len() / 2])?;
                return Err(error);
            }
            self.file.write(piece)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl DiskFile for DyingFile {
        fn sync(&self) -> io::Result<()> {
            step(&self.steps, self.last)
        }
    }

    fn key() -> ArchiveKey {
        ArchiveKey::new(Secret::new(vec![7; 32])).unwrap()
    }

    fn header(archive: ArchiveId) -> Result<Header, HeaderError> {
        let custodian = CustodianId::new(Digest::of(b""));
        let (kek, entropy) = (MemoryKeyEncryption::seeded(1), TestEntropy::seeded(1));
        let recipients = [Recipient::Kek(&kek)];
        let key = key();
        let routes = Routes::wrap(&key, &archive, &custodian, &recipients, &entropy);
        let head = Head { size: Position::START, root: Digest::of(b"") };
        let draft = HeaderDraft {
            archive,
            custodian,
            log_key: TestKey::seeded(Algorithm::Ed25519, 3).public_key().clone(),
            created_at: Timestamp::from_millis(1),
            checkpoint: Checkpoint { head, note: String::new() },
            counts: Counts { files: 1, ..Counts::default() },
        };
        Header::new(draft, &key, block_on(routes).unwrap())
    }

    /// Writes an archive to `path`, as far as the disk goes along.
    fn write(disk: Dying, path: &Path, archive: [u8; 32]) -> Result<(), LocalError> {
        let archive = ArchiveId::new(archive);
        let header = header(archive).unwrap();
        let mut local = LocalArchive::create_on(Arc::new(disk), path, &archive)?;
        block_on(async {
            let written = fill(&mut local, &header).await;
            let summary = written.map_err(|error| {
                let WriteError::Sink(error) = error else { panic!("{error}") };
                LocalError::Io(error)
            })?;
            local.commit(&key(), &summary).await
        })
    }

    async fn fill(local: &mut LocalArchive, header: &Header) -> Result<Summary, WriteError> {
        let entropy = Arc::new(TestEntropy::seeded(2));
        let mut writer = ArchiveWriter::begin(local, &key(), header, entropy).await?;
        writer.file(&EntryPath::parse("log/checkpoint").unwrap(), &[5; 700][..]).await?;
        writer.finish().await
    }

    /// Which archive lies at `path`, read to its end.
    fn which(path: &Path) -> [u8; 32] {
        block_on(async {
            let locked = LockedArchive::peek(LocalFile::open(path).unwrap()).await.unwrap();
            let archive = *locked.header().archive().as_bytes();
            locked.unlock(&key()).unwrap().check().await.unwrap();
            archive
        })
    }

    #[test]
    fn a_machine_that_stops_at_any_step_leaves_a_whole_archive() {
        const OLD: [u8; 32] = [1; 32];
        const NEW: [u8; 32] = [2; 32];
        let mut kept_old = 0;
        for last in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("custody.archive");
            write(Dying::at(usize::MAX), &path, OLD).unwrap();
            match write(Dying::at(last), &path, NEW) {
                Ok(()) => {
                    assert_eq!(which(&path), NEW);
                    break;
                }
                // The new one has its name, and is whole.
                Err(LocalError::Folder(_)) => assert_eq!(which(&path), NEW, "step {last}"),
                Err(_) => {
                    assert_eq!(which(&path), OLD, "step {last}");
                    kept_old += 1;
                }
            }
            // What the machine left behind is in nobody's way.
            write(Dying::at(usize::MAX), &path, [3; 32]).unwrap();
            assert_eq!(which(&path), [3; 32]);
        }
        assert!(kept_old > 40, "{kept_old} steps");
    }

    #[test]
    fn an_archive_that_reads_back_otherwise_does_not_get_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custody.archive");
        let disk = Dying { lies: true, ..Dying::at(usize::MAX) };
        assert!(matches!(write(disk, &path, [1; 32]), Err(LocalError::ReadBack(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the draft is removed");
    }

    #[test]
    fn another_archive_than_was_written_does_not_get_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custody.archive");
        let archive = ArchiveId::new([1; 32]);
        let header = header(archive).unwrap();
        let mut local = LocalArchive::create(&path, &archive).unwrap();
        let committed = block_on(async {
            let mut summary = fill(&mut local, &header).await.unwrap();
            summary.sha256 = Digest::of(b"another");
            local.commit(&key(), &summary).await
        });
        assert!(matches!(committed, Err(LocalError::Differs)));
        assert!(!path.exists());
    }

    #[test]
    fn a_draft_that_is_dropped_leaves_nothing_and_two_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custody.archive");
        let one = LocalArchive::create(&path, &ArchiveId::new([1; 32])).unwrap();
        let other = LocalArchive::create(&path, &ArchiveId::new([2; 32])).unwrap();
        assert!(LocalArchive::create(&path, &ArchiveId::new([1; 32])).is_err());
        drop((one, other));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let refused = LocalArchive::create(Path::new("/"), &ArchiveId::new([1; 32]));
        assert!(matches!(refused, Err(LocalError::Path)));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_an_archive() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custody.archive");
        let local = LocalArchive::create(&path, &ArchiveId::new([1; 32])).unwrap();
        let mode = fs::metadata(&local.draft).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
