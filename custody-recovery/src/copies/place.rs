//! One place.
//!
//! Invariant: no error of a place is kept, as it may carry addresses and credentials; only what it
//! means is.

use std::num::NonZeroUsize;
use std::path::{Path as LocalPath, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracing::{debug, warn};
use url::Url;

use custody_core::digest::Digest;
use custody_core::time::Timestamp;

use super::report::{CopyState, Pruned};
use super::{ArchiveSource, CopiesError};
use crate::archive::Summary;

/// What a place is called: 1 to 64 of `a-z 0-9 - . _`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceName(Box<str>);

impl PlaceName {
    /// Parses a name.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, PlaceNameError> {
        let is_known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(is_known) {
            return Err(PlaceNameError { length: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no name of a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place's name is 1 to 64 of `a-z 0-9 - . _`; this text has {length} bytes")]
#[non_exhaustive]
pub struct PlaceNameError {
    /// Length found, in bytes.
    pub length: usize,
}

/// A place where copies lie.
pub struct Place {
    name: PlaceName,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Where the copies lie on the local disk, if it is known to be there.
    folder: Option<PathBuf>,
}

impl Place {
    /// The place in a store, below a prefix of its own.
    ///
    /// # Errors
    /// Fails if `prefix` is no path of an object store.
    pub fn new(
        name: PlaceName,
        store: Arc<dyn ObjectStore>,
        prefix: &str,
    ) -> Result<Self, PlaceError> {
        let prefix = Path::parse(prefix).map_err(|_| PlaceError::Prefix)?;
        Ok(Self { name, store, prefix, folder: None })
    }

    /// A folder of the local disk, which exists. What is put there is durable.
    ///
    /// # Errors
    /// Fails if there is no such folder.
    pub fn folder(name: PlaceName, path: &LocalPath) -> Result<Self, PlaceError> {
        let folder = path.canonicalize().map_err(|_| PlaceError::Folder)?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|_| PlaceError::Folder)?;
        let store = Arc::new(store.with_fsync(true));
        Ok(Self { name, store, prefix: Path::default(), folder: Some(folder) })
    }

    /// The place that a URL names: `file:///folder`, or with the features `aws`, `gcp` and `azure`
    /// `s3://bucket/prefix`, `gs://bucket/prefix` and `az://container/prefix`, with the options of
    /// [`object_store::parse_url_opts`].
    ///
    /// # Errors
    /// Fails on any other URL, and on options that name no store.
    ///
    /// # Security
    /// Credentials belong into `options`, not into the URL. No error repeats either.
    pub fn from_url<'o>(
        name: PlaceName,
        url: &str,
        options: impl IntoIterator<Item = (&'o str, &'o str)>,
    ) -> Result<Self, PlaceError> {
        let url = Url::parse(url).map_err(|_| PlaceError::Url)?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| PlaceError::Url)?;
            return Self::folder(name, &path);
        }
        let (scheme, _) = ObjectStoreScheme::parse(&url).map_err(|_| PlaceError::Url)?;
        let is_cloud = matches!(
            scheme,
            ObjectStoreScheme::AmazonS3
                | ObjectStoreScheme::GoogleCloudStorage
                | ObjectStoreScheme::MicrosoftAzure
        );
        // What lies in memory or is fetched over plain HTTP is no copy.
        if !is_cloud {
            return Err(PlaceError::Url);
        }
        let made = object_store::parse_url_opts(&url, options).map_err(|_| PlaceError::Url)?;
        let (store, prefix) = made;
        Ok(Self { name, store: Arc::from(store), prefix, folder: None })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &PlaceName {
        &self.name
    }

    /// Where the copy of an archive lies in the store.
    #[must_use]
    pub fn location(&self, archive: &Summary) -> Path {
        let millis = archive.created_at.as_millis();
        self.prefix.clone().join(format!("{millis:016}-{}{SUFFIX}", archive.archive))
    }

    /// Writes a copy and reads it back.
    pub(super) async fn put(
        &self,
        source: &dyn ArchiveSource,
        archive: &Summary,
    ) -> Result<CopyState, CopiesError> {
        let source = source.open().map_err(CopiesError::Source)?;
        let location = self.location(archive);
        let upload = match self.store.put_multipart(&location).await {
            Ok(upload) => upload,
            Err(error) => return Ok(self.failed(&error)),
        };
        if let Some(state) = self.write(source, upload, archive).await? {
            return Ok(state);
        }
        Ok(self.verify(&location, archive).await)
    }

    /// What is there of an archive.
    pub(super) async fn check(&self, archive: &Summary) -> CopyState {
        let state = self.verify(&self.location(archive), archive).await;
        if state == CopyState::Missing { self.newest().await } else { state }
    }

    /// Deletes what is older than the newest good copies.
    pub(super) async fn prune(&self, newest_first: &[Summary], keep: NonZeroUsize) -> Pruned {
        let (mut good, mut copies) = (0_usize, 0_usize);
        for archive in newest_first {
            let location = self.location(archive);
            if good < keep.get() {
                match self.verify(&location, archive).await {
                    CopyState::Good => good = good.saturating_add(1),
                    CopyState::Unreachable => return Pruned::Unreachable,
                    CopyState::Damaged | CopyState::Missing | CopyState::Stale { .. } => {}
                }
                continue;
            }
            match self.delete(&location).await {
                Ok(deleted) => copies = copies.saturating_add(usize::from(deleted)),
                Err(_) => return Pruned::Unreachable,
            }
        }
        if good < keep.get() { Pruned::TooFew { good } } else { Pruned::Deleted { copies } }
    }

    /// Deletes an object, and says whether there was one: not all stores do.
    async fn delete(&self, location: &Path) -> Result<bool, Error> {
        match self.store.head(location).await {
            Ok(_) => {}
            Err(Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        match self.store.delete(location).await {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a copy in parts. Answers what is wrong with the place, if anything is.
    async fn write(
        &self,
        source: Box<dyn AsyncRead + Send + Unpin>,
        mut upload: Box<dyn MultipartUpload>,
        archive: &Summary,
    ) -> Result<Option<CopyState>, CopiesError> {
        let state = match write_parts(source, &mut upload, archive).await {
            Ok(()) => match upload.complete().await {
                Ok(_) => return Ok(None),
                Err(error) => Ok(Some(self.failed(&error))),
            },
            Err(Fault::Place(error)) => Ok(Some(self.failed(&error))),
            Err(Fault::Source(error)) => Err(error),
        };
        if upload.abort().await.is_err() && !self.take_back(archive) {
            warn!(place = %self.name, "an unfinished copy cannot be taken back");
        }
        state
    }

    /// Removes what an unfinished copy has left in a folder, and says whether nothing is left: a
    /// local store that cannot end an upload forgets the file that it wrote.
    fn take_back(&self, archive: &Summary) -> bool {
        let location = self.location(archive);
        let (Some(folder), Some(name)) = (&self.folder, location.filename()) else { return false };
        remove_drafts(folder, name).is_ok()
    }

    /// Reads what is at `location` and compares it.
    async fn verify(&self, location: &Path, archive: &Summary) -> CopyState {
        match self.read(location, archive.bytes).await {
            Ok(digest) if digest == Some(archive.sha256) => CopyState::Good,
            Ok(_) => {
                warn!(place = %self.name, archive = %archive.archive, "a copy is damaged");
                CopyState::Damaged
            }
            Err(error) => self.failed(&error),
        }
    }

    /// SHA-256 of what is at `location`; none if it has another size.
    async fn read(&self, location: &Path, size: u64) -> Result<Option<Digest>, Error> {
        let mut stream = self.store.get(location).await?.into_stream();
        let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
        while let Some(piece) = stream.try_next().await? {
            bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if bytes > size {
                return Ok(None);
            }
            hash.update(&piece);
        }
        Ok((bytes == size).then(|| Digest::new(hash.finalize().into())))
    }

    /// What a place has that lacks the archive it should have.
    async fn newest(&self) -> CopyState {
        let mut names = self.store.list(Some(&self.prefix)).take(NAMES_MAX);
        let mut newest = None;
        loop {
            match names.try_next().await {
                Ok(Some(object)) => newest = newest.max(created_at(&object.location)),
                Ok(None) => break,
                Err(error) => return self.failed(&error),
            }
        }
        newest.map_or(CopyState::Missing, |newest| CopyState::Stale { newest })
    }

    fn failed(&self, error: &Error) -> CopyState {
        if matches!(error, Error::NotFound { .. }) {
            return CopyState::Missing;
        }
        debug!(place = %self.name, "a place for copies failed");
        CopyState::Unreachable
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whose fault it is that a copy was not written.
enum Fault {
    Place(Error),
    Source(CopiesError),
}

async fn write_parts(
    mut source: Box<dyn AsyncRead + Send + Unpin>,
    upload: &mut Box<dyn MultipartUpload>,
    archive: &Summary,
) -> Result<(), Fault> {
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    loop {
        let mut part = Vec::with_capacity(PART);
        let limit = u64::try_from(PART).unwrap_or(u64::MAX);
        let read = (&mut source).take(limit).read_to_end(&mut part).await;
        let read = read.map_err(|error| Fault::Source(CopiesError::Source(error)))?;
        if read == 0 {
            break;
        }
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        hash.update(&part);
        upload.put_part(part.into()).await.map_err(Fault::Place)?;
    }
    if bytes != archive.bytes || Digest::new(hash.finalize().into()) != archive.sha256 {
        return Err(Fault::Source(CopiesError::Differs));
    }
    Ok(())
}

/// Removes the files `<name>#<number>`, which a local store writes before one gets the name.
fn remove_drafts(folder: &LocalPath, name: &str) -> io::Result<()> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let number = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('#'));
        if number.is_some_and(|number| !number.is_empty() && is_number(number)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// When an archive was made, by the name of its copy; none for any other name.
fn created_at(location: &Path) -> Option<Timestamp> {
    let name = location.filename()?.strip_suffix(SUFFIX)?;
    let (millis, archive) = name.split_once('-')?;
    let is_id = archive.len() == 64 && Digest::parse(archive).is_ok();
    let is_time = millis.len() == 16 && millis.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id || !is_time {
        return None;
    }
    millis.parse().ok().map(Timestamp::from_millis)
}

/// Why there is no such place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// There is no such folder.
    #[error("there is no such folder")]
    Folder,
    /// The prefix is no path of an object store.
    #[error("the prefix is no path of an object store")]
    Prefix,
    /// The URL or its options name no store that this build knows.
    #[error("the url or its options name no store that this build knows")]
    Url,
}

const SUFFIX: &str = ".archive";
/// Parts of an upload: what every cloud takes, all of one size but the last.
const PART: usize = 8 * 1024 * 1024;
const NAMES_MAX: usize = 100_000;
