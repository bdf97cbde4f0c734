//! Writes an archive. This file opens secrets.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use zeroize::Zeroizing;

use custody_core::digest::Digest;
use custody_core::seam::{Entropy, Position, Record};
use custody_core::secret::Secret;
use custody_core::time::Timestamp;

use super::chunk::{ChunkWriter, Measured};
use super::entry::{PIECE_MAX, check_part, name_length, wide};
use super::error::{ContentError, EntryKind, WriteError};
use super::header::Header;
use super::key::{ArchiveId, ArchiveKey, Keys};
use super::name::{EntryPath, SecretName};
use super::sequence::Sequence;
use super::{MAGIC, VERSION};

/// Writes an archive to a sink, in the order of its layout, with constant memory.
///
/// A call that fails or is dropped breaks the writer: all later ones fail, so that no archive can
/// come to its end with a hole in it.
pub struct ArchiveWriter<W> {
    chunks: ChunkWriter<W>,
    sequence: Sequence,
    /// Boxed: what a moved one leaves behind would not be wiped.
    hash: Box<Sha256>,
    is_broken: bool,
    archive: ArchiveId,
    created_at: Timestamp,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Which archive.
    pub archive: ArchiveId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

impl Summary {
    /// What was written, as the host recorded it.
    #[must_use]
    pub const fn new(
        archive: ArchiveId,
        created_at: Timestamp,
        bytes: u64,
        sha256: Digest,
    ) -> Self {
        Self { archive, created_at, bytes, sha256 }
    }
}

impl<W: AsyncWrite + Unpin> ArchiveWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Fails if the key is another one than the header was made for, and if the sink fails.
    pub async fn begin(
        sink: W,
        key: &ArchiveKey,
        header: &Header,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, WriteError> {
        let keys = Keys::derive(key, header.archive())?;
        if !keys.check.matches(header.key_check()) {
            return Err(WriteError::WrongKey);
        }
        let bytes = header.bytes();
        let length = u32::try_from(bytes.len()).map_err(|_| WriteError::Broken)?.to_be_bytes();
        let parts: [&[u8]; 4] = [MAGIC, &[VERSION], &length, bytes];
        let mac = keys.mac(&parts)?;
        let mut sink = Measured::new(sink);
        for part in parts {
            sink.write(part).await?;
        }
        sink.write(&mac).await?;
        Ok(Self {
            chunks: ChunkWriter::new(sink, keys.payload, Digest::of(bytes), entropy),
            sequence: Sequence::new(*header.counts()),
            hash: Box::default(),
            is_broken: false,
            archive: *header.archive(),
            created_at: header.created_at(),
        })
    }

    /// Writes the next event.
    ///
    /// # Errors
    /// Fails on any other event than the next one, on one that is too long, and if the sink fails.
    pub async fn event(&mut self, position: Position, bytes: &[u8]) -> Result<(), WriteError> {
        self.start()?;
        self.sequence.event(position)?;
        check_part(EntryKind::Event, bytes)?;
        self.put(EntryKind::Event, &[&position.value().to_be_bytes(), bytes]).await?;
        self.done()
    }

    /// Writes a record: the documents of an order before the event that submits it, others in the order
    /// of their keys, all before the last event.
    ///
    /// # Errors
    /// Fails on a record out of order, on a value above 16 MiB, and if the sink fails.
    pub async fn record(&mut self, record: &Record) -> Result<(), WriteError> {
        self.start()?;
        self.sequence.record(&record.key)?;
        check_part(EntryKind::Record, &record.value)?;
        let key = record.key.as_str();
        let length = name_length(EntryKind::Record, key)?;
        self.put(EntryKind::Record, &[&length, key.as_bytes(), &record.value]).await?;
        self.done()
    }

    /// Writes a file, after all events and in the order of the paths.
    ///
    /// # Errors
    /// Fails on a file out of order, and if source or sink fail.
    pub async fn file(
        &mut self,
        path: &EntryPath,
        mut source: impl AsyncRead + Unpin,
    ) -> Result<(), WriteError> {
        self.start()?;
        self.sequence.file(path)?;
        self.put(EntryKind::File, &[path.as_str().as_bytes()]).await?;
        let mut piece = Zeroizing::new(vec![0; PIECE_MAX]);
        loop {
            let length = source.read(&mut piece).await.map_err(WriteError::Source)?;
            let bytes = piece.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            self.sequence.piece(wide(length))?;
            self.put(EntryKind::Piece, &[bytes]).await?;
        }
        let size = self.sequence.file_end()?;
        self.put(EntryKind::FileEnd, &[&size.to_be_bytes()]).await?;
        self.done()
    }

    /// Writes a secret, after all files and in the order of the names.
    ///
    /// # Errors
    /// Fails on a secret out of order or above 64 KiB, and if the sink fails.
    ///
    /// # Security
    /// Every route of the archive opens it.
    pub async fn secret(&mut self, name: &SecretName, secret: &Secret) -> Result<(), WriteError> {
        self.start()?;
        self.sequence.secret(name)?;
        check_part(EntryKind::Secret, secret.expose())?;
        let length = name_length(EntryKind::Secret, name.as_str())?;
        let parts: [&[u8]; 3] = [&length, name.as_str().as_bytes(), secret.expose()];
        self.put(EntryKind::Secret, &parts).await?;
        self.done()
    }

    /// Writes the end. The sink is flushed; whoever gave it makes it durable.
    ///
    /// # Errors
    /// Fails if there is less than the header says, and if the sink fails.
    pub async fn finish(mut self) -> Result<Summary, WriteError> {
        self.start()?;
        self.sequence.end()?;
        let digest: [u8; 32] = self.hash.finalize_reset().into();
        self.put(EntryKind::End, &[&digest]).await?;
        let (bytes, sha256) = self.chunks.finish().await?;
        Ok(Summary { archive: self.archive, created_at: self.created_at, bytes, sha256 })
    }

    async fn put(&mut self, kind: EntryKind, parts: &[&[u8]]) -> Result<(), WriteError> {
        let too_long = WriteError::Content(ContentError::Malformed { kind });
        let sum = |sum: usize, part: &&[u8]| sum.checked_add(part.len());
        let length = parts.iter().try_fold(0, sum).ok_or(too_long)?;
        let length = kind.check(length)?.to_be_bytes();
        let head: [&[u8]; 2] = [&[kind.number()], &length];
        for part in head.iter().chain(parts) {
            self.hash.update(part);
            self.chunks.write(part).await?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), WriteError> {
        match std::mem::replace(&mut self.is_broken, true) {
            true => Err(WriteError::Broken),
            false => Ok(()),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "each call ends with it")]
    const fn done(&mut self) -> Result<(), WriteError> {
        self.is_broken = false;
        Ok(())
    }
}

impl<W> fmt::Debug for ArchiveWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveWriter")
            .field("archive", &self.archive)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
