//! Chunks: the STREAM construction over the envelope. This file opens secrets.
//!
//! Invariant: memory is one chunk in clear and one sealed, whatever the archive's size.

use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use custody_core::digest::Digest;
use custody_core::envelope::{self, OVERHEAD};
use custody_core::seam::Entropy;
use custody_core::secret::Secret;

use super::error::{ReadError, WriteError};

/// What an envelope of a chunk is bound to.
struct Bound {
    header: Digest,
    number: u64,
    last: u8,
}

impl Bound {
    fn with<T>(&self, call: impl FnOnce(&[&[u8]]) -> T) -> T {
        let number = self.number.to_be_bytes();
        call(&[CONTEXT, self.header.as_bytes(), &number, &[self.last]])
    }
}

/// A sink that counts and hashes what it takes.
#[derive(Debug)]
pub(super) struct Measured<W> {
    sink: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: AsyncWrite + Unpin> Measured<W> {
    pub(super) fn new(sink: W) -> Self {
        Self { sink, bytes: 0, hash: Sha256::new() }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.sink.write_all(bytes).await.map_err(WriteError::Sink)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        self.hash.update(bytes);
        Ok(())
    }
}

/// Seals what is written to it, chunk by chunk.
pub(super) struct ChunkWriter<W> {
    sink: Measured<W>,
    key: Secret,
    header: Digest,
    number: u64,
    entropy: Arc<dyn Entropy>,
    plain: Zeroizing<Vec<u8>>,
}

impl<W: AsyncWrite + Unpin> ChunkWriter<W> {
    pub(super) fn new(
        sink: Measured<W>,
        key: Secret,
        header: Digest,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let plain = Zeroizing::new(Vec::with_capacity(CHUNK));
        Self { sink, key, header, number: 0, entropy, plain }
    }

    /// Takes bytes. A chunk that is full is sealed when more comes, as only then it is not the last.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            if self.plain.len() == CHUNK {
                self.seal(0).await?;
            }
            let room = CHUNK.saturating_sub(self.plain.len()).min(bytes.len());
            let Some((now, later)) = bytes.split_at_checked(room) else { break };
            self.plain.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Seals the last chunk. Answers how many bytes the whole file has, and their SHA-256.
    pub(super) async fn finish(mut self) -> Result<(u64, Digest), WriteError> {
        self.seal(1).await?;
        self.sink.sink.flush().await.map_err(WriteError::Sink)?;
        Ok((self.sink.bytes, Digest::new(self.sink.hash.finalize().into())))
    }

    async fn seal(&mut self, last: u8) -> Result<(), WriteError> {
        if self.number >= CHUNKS_MAX {
            return Err(WriteError::ChunksMax);
        }
        let next = Zeroizing::new(Vec::with_capacity(CHUNK));
        let mut plain = std::mem::replace(&mut self.plain, next);
        let plain = Secret::new(std::mem::take(&mut *plain));
        let bound = Bound { header: self.header, number: self.number, last };
        let sealed = bound
            .with(|context| envelope::seal(&self.key, context, &plain, self.entropy.as_ref()))?;
        let length = u32::try_from(sealed.len()).map_err(|_| WriteError::ChunksMax)?;
        self.sink.write(&[last]).await?;
        self.sink.write(&length.to_be_bytes()).await?;
        self.sink.write(&sealed).await?;
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

/// Opens chunk after chunk and gives out what is in them.
pub(super) struct ChunkReader<R> {
    source: R,
    key: Secret,
    header: Digest,
    number: u64,
    chunk: Secret,
    /// How much of the chunk was given out.
    given: usize,
    is_last: bool,
}

impl<R: AsyncRead + Unpin> ChunkReader<R> {
    pub(super) fn new(source: R, key: Secret, header: Digest) -> Self {
        let chunk = Secret::new(Vec::new());
        Self { source, key, header, number: 0, chunk, given: 0, is_last: false }
    }

    /// Fills `bytes` with what comes next.
    pub(super) async fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), ReadError> {
        while !bytes.is_empty() {
            if self.given == self.chunk.len() {
                self.open_next().await?;
            }
            let rest = self.chunk.expose().get(self.given..).unwrap_or_default();
            let length = rest.len().min(bytes.len());
            let (now, later) = bytes.split_at_mut_checked(length).unwrap_or_default();
            now.copy_from_slice(rest.get(..length).unwrap_or_default());
            bytes = later;
            self.given = self.given.saturating_add(length);
        }
        Ok(())
    }

    /// Whether everything was given out.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_last && self.given == self.chunk.len()
    }

    async fn open_next(&mut self) -> Result<(), ReadError> {
        if self.is_last {
            // The contents go on where the archive ends: it was written so.
            return Err(ReadError::Truncated);
        }
        let number = self.number;
        let refused = || ReadError::Chunk { number };
        let mut prefix = [0; 5];
        read_exact(&mut self.source, &mut prefix).await?;
        let [last, length @ ..] = prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| refused())?;
        let shortest = match last {
            0 => SEALED_MAX,
            1 => SEALED_MIN,
            _ => return Err(refused()),
        };
        if !(shortest..=SEALED_MAX).contains(&length) || number >= CHUNKS_MAX {
            return Err(refused());
        }
        let mut sealed = vec![0; length];
        read_exact(&mut self.source, &mut sealed).await?;
        let bound = Bound { header: self.header, number, last };
        let chunk = bound.with(|context| envelope::open(&self.key, context, &sealed));
        self.chunk = chunk.map_err(|_| refused())?;
        self.given = 0;
        self.number = number.saturating_add(1);
        self.is_last = last == 1;
        if self.is_last {
            expect_end(&mut self.source).await?;
        }
        Ok(())
    }
}

/// Fills `bytes`, or says that the archive ends too early.
pub(super) async fn read_exact(
    source: &mut (impl AsyncRead + Unpin),
    bytes: &mut [u8],
) -> Result<(), ReadError> {
    match source.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ReadError::Truncated),
        Err(error) => Err(ReadError::Source(error)),
    }
}

async fn expect_end(source: &mut (impl AsyncRead + Unpin)) -> Result<(), ReadError> {
    match source.read(&mut [0]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(ReadError::Trailing),
        Err(error) => Err(ReadError::Source(error)),
    }
}

const CONTEXT: &[u8] = b"custody/archive/chunk/v1";
/// Bytes in clear of every chunk but the last.
pub(super) const CHUNK: usize = 64 * 1024;
const SEALED_MIN: usize = OVERHEAD + 1;
const SEALED_MAX: usize = OVERHEAD + CHUNK;
/// How many seals one key makes (NIST SP 800-38D, section 8.3, with a margin): 128 TiB.
const CHUNKS_MAX: u64 = 1 << 31;
