//! Reads an archive. This file opens secrets.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::io::AsyncRead;
use zeroize::Zeroizing;

use custody_core::digest::Digest;
use custody_core::seam::{Event, Position, Record, RecordKey};
use custody_core::secret::Secret;

use super::chunk::{ChunkReader, read_exact};
use super::entry::{Entry, check_part, split_named, wide};
use super::error::{ContentError, EntryKind, ReadError};
use super::header::{Header, HeaderError};
use super::key::{ArchiveKey, Keys};
use super::name::{EntryPath, SecretName};
use super::sequence::Sequence;
use super::{MAC, MAGIC, VERSION};
use crate::route::{Opener, RouteError};

/// An archive of which only the header was read.
///
/// # Security
/// Nothing in the header is authenticated before [`Self::unlock`].
pub struct LockedArchive<R> {
    source: R,
    header: Header,
    mac: [u8; MAC],
}

impl<R: AsyncRead + Unpin> LockedArchive<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Fails if the source fails, on what is no archive, and on another version.
    pub async fn peek(mut source: R) -> Result<Self, ReadError> {
        let mut magic = [0; MAGIC.len()];
        read_exact(&mut source, &mut magic).await?;
        if magic != *MAGIC {
            return Err(ReadError::NotAnArchive);
        }
        let mut prefix = [0; 5];
        read_exact(&mut source, &mut prefix).await?;
        let [version, length @ ..] = prefix;
        if version != VERSION {
            return Err(ReadError::Version { version });
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > Header::MAX {
            return Err(HeaderError::Length { length }.into());
        }
        let mut bytes = vec![0; length];
        read_exact(&mut source, &mut bytes).await?;
        let mut mac = [0; MAC];
        read_exact(&mut source, &mut mac).await?;
        Ok(Self { source, header: Header::parse(bytes)?, mac })
    }

    /// What the archive says about itself.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Gets the archive key by one of the routes.
    ///
    /// # Errors
    /// `WrongRoute` with what the archive offers if none opens, and the backend's own error if it
    /// cannot be asked.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn open_route(&self, opener: Opener<'_>) -> Result<ArchiveKey, RouteError> {
        let header = &self.header;
        header.routes().open(header.archive(), header.custodian(), opener).await
    }

    /// Checks the key, then the header.
    ///
    /// # Errors
    /// `WrongKey` for the key of another archive, `HeaderChanged` if the header is not the one that
    /// was written.
    pub fn unlock(self, key: &ArchiveKey) -> Result<ArchiveReader<R>, ReadError> {
        let Self { source, header, mac } = self;
        let keys = Keys::derive(key, header.archive())?;
        if !keys.check.matches(header.key_check()) {
            return Err(ReadError::WrongKey);
        }
        let bytes = header.bytes();
        let length = u32::try_from(bytes.len()).map_err(|_| ReadError::HeaderChanged)?;
        let parts: [&[u8]; 4] = [MAGIC, &[VERSION], &length.to_be_bytes(), bytes];
        if !keys.verifies(&parts, &mac)? {
            return Err(ReadError::HeaderChanged);
        }
        Ok(ArchiveReader {
            chunks: ChunkReader::new(source, keys.payload, Digest::of(bytes)),
            sequence: Sequence::new(*header.counts()),
            hash: Box::default(),
            state: State::Open,
            header,
        })
    }
}

impl<R> fmt::Debug for LockedArchive<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedArchive").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Gives out what is in an archive, entry by entry, with constant memory.
///
/// # Security
/// Each entry is authentic. That none is missing is known only when [`Self::next`] has answered that
/// there are no more: whatever was made of earlier ones must not be used before.
pub struct ArchiveReader<R> {
    chunks: ChunkReader<R>,
    sequence: Sequence,
    /// Boxed: what a moved one leaves behind would not be wiped.
    hash: Box<Sha256>,
    state: State,
    header: Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Broken,
    Finished,
    Open,
}

impl<R: AsyncRead + Unpin> ArchiveReader<R> {
    /// What the archive says about itself, authenticated.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry; none at the end of the archive.
    ///
    /// # Errors
    /// Fails on anything that was not written so, and if the source fails. All later calls then
    /// fail too.
    ///
    /// # Cancel safety
    /// If the future is dropped, all later calls fail.
    pub async fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Broken => return Err(ReadError::Broken),
            State::Finished => {
                self.state = State::Finished;
                return Ok(None);
            }
            State::Open => {}
        }
        let mut head = [0; 5];
        self.chunks.fill(&mut head).await?;
        let [kind, length @ ..] = head;
        let kind = EntryKind::of(kind)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        kind.check(length)?;
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.chunks.fill(&mut bytes).await?;
        if kind == EntryKind::End {
            self.end(&bytes)?;
            self.state = State::Finished;
            return Ok(None);
        }
        self.hash.update(head);
        self.hash.update(&bytes);
        let entry = self.entry(kind, bytes)?;
        self.state = State::Open;
        Ok(Some(entry))
    }

    /// Reads to the end and keeps nothing.
    ///
    /// # Errors
    /// As for [`Self::next`].
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn check(mut self) -> Result<(), ReadError> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    fn end(&mut self, digest: &[u8]) -> Result<(), ReadError> {
        self.sequence.end()?;
        let found = self.hash.finalize_reset();
        if !bool::from(found.as_slice().ct_eq(digest)) {
            return Err(ContentError::Digest.into());
        }
        if !self.chunks.is_at_end() {
            return Err(ReadError::Trailing);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        kind: EntryKind,
        mut bytes: Zeroizing<Vec<u8>>,
    ) -> Result<Entry, ContentError> {
        let malformed = || ContentError::Malformed { kind };
        Ok(match kind {
            EntryKind::Event => {
                let (position, event) = bytes.split_first_chunk().ok_or_else(malformed)?;
                let position = Position::new(u64::from_be_bytes(*position));
                self.sequence.event(position)?;
                check_part(kind, event)?;
                Entry::Event(Event { position, bytes: event.to_vec() })
            }
            EntryKind::Record => {
                let (key, value) = split_named(kind, &bytes)?;
                let key = RecordKey::parse(key).map_err(|_| malformed())?;
                self.sequence.record(&key)?;
                Entry::Record(Record { key, value: value.to_vec() })
            }
            EntryKind::File => {
                let path = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
                let path = EntryPath::parse(path).map_err(|_| malformed())?;
                self.sequence.file(&path)?;
                Entry::File(path)
            }
            EntryKind::Piece => {
                self.sequence.piece(wide(bytes.len()))?;
                Entry::Piece(Secret::new(std::mem::take(&mut *bytes)))
            }
            EntryKind::FileEnd => {
                let size = bytes.as_slice().try_into().map_err(|_| malformed())?;
                let (expected, found) = (u64::from_be_bytes(size), self.sequence.file_end()?);
                if expected != found {
                    return Err(ContentError::Size { expected, found });
                }
                Entry::FileEnd { size: found }
            }
            EntryKind::Secret => {
                let (name, secret) = split_named(kind, &bytes)?;
                let name = SecretName::parse(name).map_err(|_| malformed())?;
                self.sequence.secret(&name)?;
                Entry::Secret(name, Secret::new(secret.to_vec()))
            }
            EntryKind::End => return Err(malformed()),
        })
    }
}

impl<R> fmt::Debug for ArchiveReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveReader")
            .field("header", &self.header)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use custody_core::crypto::{Algorithm, PublicKey};
    use custody_core::id::CustodianId;
    use custody_core::seam::{Checkpoint, Head};
    use custody_core::time::Timestamp;
    use custody_testkit::backend::MemoryKeyEncryption;
    use custody_testkit::key::TestKey;
    use custody_testkit::runtime::TestEntropy;
    use pollster::block_on;

    use super::*;
    use crate::archive::chunk::{ChunkWriter, Measured};
    use crate::archive::header::{Counts, HeaderDraft};
    use crate::archive::key::ArchiveId;
    use crate::route::{Recipient, Routes};

    const COUNTS: Counts = Counts { events: 1, records: 1, files: 1, secrets: 1 };

    /// An archive of whoever has its key and keeps no rule for what it holds.
    fn forged(plain: &[u8]) -> Vec<u8> {
        let (archive, custodian) = (ArchiveId::new([1; 32]), CustodianId::new(Digest::of(b"")));
        let log_key: PublicKey = TestKey::seeded(Algorithm::Ed25519, 3).public_key().clone();
        let head = Head { size: Position::new(0), root: Digest::of(b"") };
        let draft = HeaderDraft {
            archive,
            custodian,
            log_key,
            created_at: Timestamp::from_millis(1),
            checkpoint: Checkpoint { head, note: String::new() },
            counts: COUNTS,
        };
        let (kek, entropy) = (MemoryKeyEncryption::seeded(1), Arc::new(TestEntropy::seeded(1)));
        let recipients = [Recipient::Kek(&kek)];
        block_on(async {
            let routes =
                Routes::wrap(&key(), &archive, &custodian, &recipients, entropy.as_ref()).await;
            let header = Header::new(draft, &key(), routes.unwrap()).unwrap();
            let keys = Keys::derive(&key(), &archive).unwrap();
            let length = u32::try_from(header.bytes().len()).unwrap().to_be_bytes();
            let parts: [&[u8]; 4] = [MAGIC, &[VERSION], &length, header.bytes()];
            let mac = keys.mac(&parts).unwrap();
            let mut bytes = [&parts.concat()[..], &mac].concat();
            let digest = Digest::of(header.bytes());
            let sink = Measured::new(&mut bytes);
            let mut chunks = ChunkWriter::new(sink, keys.payload, digest, entropy);
            chunks.write(plain).await.unwrap();
            chunks.finish().await.unwrap();
            bytes
        })
    }

    fn key() -> ArchiveKey {
        ArchiveKey::new(Secret::new(vec![7; 32])).unwrap()
    }

    fn read(plain: &[u8]) -> Result<(), ReadError> {
        let bytes = forged(plain);
        block_on(async {
            LockedArchive::peek(bytes.as_slice()).await?.unlock(&key())?.check().await
        })
    }

    fn entry(kind: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&[kind], &length.to_be_bytes()[..], bytes].concat()
    }

    fn ended(plain: &[u8]) -> Vec<u8> {
        [plain, &entry(7, Digest::of(plain).as_bytes())].concat()
    }

    fn good() -> Vec<u8> {
        [
            entry(2, b"\x00\x01avalue"),
            entry(1, b"\0\0\0\0\0\0\0\0{}"),
            entry(3, b"log/a"),
            entry(4, b"bytes"),
            entry(5, &5_u64.to_be_bytes()),
            entry(6, b"\x00\x01asecret"),
        ]
        .concat()
    }

    #[test]
    fn what_keeps_the_rules_is_read() {
        read(&ended(&good())).unwrap();
    }

    #[test]
    fn entries_that_are_malformed_are_refused() {
        use EntryKind::{Event, File, FileEnd, Record, Secret};
        let malformed = |kind| ContentError::Malformed { kind };
        let cases: [(&str, Vec<u8>, ContentError); 15] = [
            ("kind 0", entry(0, b"a"), ContentError::UnknownKind { kind: 0 }),
            ("kind 8", entry(8, b"a"), ContentError::UnknownKind { kind: 8 }),
            ("short event", entry(1, b"1234567"), malformed(Event)),
            ("record without a key", entry(2, b"\x00"), malformed(Record)),
            ("record with a cut key", entry(2, b"\x00\x05abc"), malformed(Record)),
            ("record with an empty key", entry(2, b"\x00\x00abc"), malformed(Record)),
            ("record with a space", entry(2, b"\x00\x01 abc"), malformed(Record)),
            ("record key of no text", entry(2, b"\x00\x01\xffabc"), malformed(Record)),
            ("absolute path", entry(3, b"/etc/passwd"), malformed(File)),
            ("path that leads out", entry(3, b"log/../../a"), malformed(File)),
            ("path with a zero", entry(3, b"log\0"), malformed(File)),
            ("path of no text", entry(3, b"\xff"), malformed(File)),
            ("short end", entry(5, b"1234567"), malformed(FileEnd)),
            ("secret without a name", entry(6, b"\x00\x00abc"), malformed(Secret)),
            ("event in the place of another", entry(1, b"\0\0\0\0\0\0\0\x01"), {
                ContentError::Gap { expected: 0, found: 1 }
            }),
        ];
        for (name, bytes, expected) in cases {
            // A file's end is looked at where a file has begun.
            let before = match bytes[0] {
                5 => good()[..good().len() - 27].to_vec(),
                _ => Vec::new(),
            };
            let refused = read(&ended(&[before, bytes].concat()));
            let Err(ReadError::Content(found)) = refused else { panic!("{name}: {refused:?}") };
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused_before_they_are_read() {
        for (kind, limit) in [
            (1, 8 + 32 * 1024 + 64),
            (2, 2 + 512 + 16 * 1024 * 1024),
            (3, 512),
            (4, 64 * 1024),
            (5, 8),
            (6, 2 + 64 + 64 * 1024),
            (7, 32_u32),
        ] {
            for length in [0, limit + 1, u32::MAX] {
                let head = [&[kind][..], &length.to_be_bytes()].concat();
                let refused = read(&head);
                let is_length =
                    matches!(refused, Err(ReadError::Content(ContentError::Length { .. })));
                assert!(is_length, "{kind} {length}: {refused:?}");
            }
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_refused() {
        let good = good();
        let end = ended(&good);
        assert!(matches!(read(&good), Err(ReadError::Truncated)));
        assert!(matches!(read(&end[..end.len() - 1]), Err(ReadError::Truncated)));
        let more = [&end[..], &[0]].concat();
        assert!(matches!(read(&more), Err(ReadError::Trailing)));
        let wrong = [&good[..], &entry(7, &[0; 32])].concat();
        assert!(matches!(read(&wrong), Err(ReadError::Content(ContentError::Digest))));
        let without_secret = ended(&good[..good.len() - 14]);
        let expected = ContentError::Count { kind: EntryKind::Secret, expected: 1, found: 0 };
        let refused = read(&without_secret);
        assert!(matches!(refused, Err(ReadError::Content(error)) if error == expected));
        let of_another_size = {
            let mut bytes = good;
            let at = bytes.len() - 14 - 1;
            bytes[at] = 6;
            ended(&bytes)
        };
        let expected = ContentError::Size { expected: 6, found: 5 };
        let refused = read(&of_another_size);
        assert!(matches!(refused, Err(ReadError::Content(error)) if error == expected));
    }
}
