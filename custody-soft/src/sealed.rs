//! Sealed blobs: how a key or a seed looks at rest.
//!
//! Layout, version 1: version (1 byte) ‖ exportability (1 byte) ‖ id of the key-encrypting key
//! (length in 1 byte) ‖ binding (32 bytes) ‖ wrapped data key (length in 2 bytes) ‖ envelope
//! (length in 2 bytes); lengths are big-endian and nothing may follow. A fresh data key of 32 bytes
//! seals each blob; the key-encrypting key wraps the data key.
//!
//! Invariant: nothing is sealed but under the key-encrypting key of now. Custodian, wallet, key id, algorithm (or `seed`), exportability and the id of the
//! key-encrypting key are bound twice, in the wrapped data key and in the envelope. The binding in
//! clear only spares a call of the key-encrypting key; it proves nothing.

use std::fmt;
use std::sync::Arc;

use tracing::trace;

use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{
    BackendError, Entropy, ErrorKind, Exportability, KeyEncryption, KeyHandle, KeyRecord,
    KeyRequest, SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;

/// What a blob is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    custodian: &'a CustodianId,
    wallet: &'a WalletId,
    key: &'a KeyId,
    /// The algorithm of a key, or `seed`.
    subject: &'static str,
}

impl<'a> Binding<'a> {
    pub(crate) const fn of_request(request: &'a KeyRequest) -> Self {
        Self {
            custodian: &request.custodian,
            wallet: &request.wallet,
            key: &request.key,
            subject: request.algorithm.as_str(),
        }
    }

    pub(crate) const fn of_record(record: &'a KeyRecord) -> Self {
        Self {
            custodian: &record.custodian,
            wallet: &record.wallet,
            key: &record.key,
            subject: record.public_key.algorithm().as_str(),
        }
    }

    pub(crate) const fn of_seed_request(request: &'a SeedRequest) -> Self {
        Self {
            custodian: &request.custodian,
            wallet: &request.wallet,
            key: &request.key,
            subject: SEED,
        }
    }

    pub(crate) const fn of_seed_record(record: &'a SeedRecord) -> Self {
        Self {
            custodian: &record.custodian,
            wallet: &record.wallet,
            key: &record.key,
            subject: SEED,
        }
    }

    /// The fields that are authenticated with a blob.
    fn context<'c>(&'c self, exportability: &'c [u8; 1], kek: &'c str) -> [&'c [u8]; 7] {
        [
            CONTEXT,
            self.custodian.digest().as_bytes(),
            self.wallet.as_str().as_bytes(),
            self.key.as_str().as_bytes(),
            self.subject.as_bytes(),
            exportability,
            kek.as_bytes(),
        ]
    }
}

/// Seals blobs under one key-encrypting key, and opens those of earlier ones too.
pub(crate) struct Sealer {
    pub(crate) kek: Arc<dyn KeyEncryption>,
    /// What blobs were sealed under earlier; nothing is sealed under these.
    pub(crate) previous: Vec<Arc<dyn KeyEncryption>>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Sealer {
    /// Seals `secret` under a fresh data key.
    pub(crate) async fn seal(
        &self,
        binding: &Binding<'_>,
        exportability: Exportability,
        secret: &Secret,
    ) -> Result<KeyHandle, BackendError> {
        let data_key = Secret::try_fill(DATA_KEY, |bytes| self.entropy.fill(bytes))
            .map_err(|error| failed(SEAL, ErrorKind::Unavailable).with_source(error))?;
        let exportability = [exportability_byte(exportability)];
        let kek = self.kek.id().as_str();
        let context = binding.context(&exportability, kek);
        let sealed = envelope::seal(&data_key, &context, secret, self.entropy.as_ref())
            .map_err(|error| failed(SEAL, ErrorKind::Unavailable).with_source(error))?;
        let wrapped = self.kek.wrap(&data_key, &context).await.map_err(|e| nothing(SEAL, e))?;
        let blob = Blob {
            exportability,
            kek,
            binding: Digest::tagged(BINDING, &context),
            wrapped: &wrapped,
            sealed: &sealed,
        };
        trace!(key = %binding.key, subject = binding.subject, kek, "wrapped a data key");
        blob.encode().map_err(|error| failed(SEAL, ErrorKind::Unsupported).with_source(error))
    }

    /// Opens a blob that was sealed with the same binding.
    pub(crate) async fn open(
        &self,
        binding: &Binding<'_>,
        handle: &KeyHandle,
    ) -> Result<Secret, BackendError> {
        let blob = Blob::parse(handle.as_bytes()).map_err(corrupt)?;
        self.open_blob(binding, &blob).await
    }

    /// Opens a blob, shows `check` what is in it, and seals it under a fresh data key and the
    /// key-encrypting key of now, as exportable as it was.
    pub(crate) async fn reseal(
        &self,
        binding: &Binding<'_>,
        handle: &KeyHandle,
        check: impl FnOnce(&Secret) -> Result<(), BackendError> + Send,
    ) -> Result<KeyHandle, BackendError> {
        let blob = Blob::parse(handle.as_bytes()).map_err(corrupt)?;
        let exportability = exportability_of(blob.exportability);
        let secret = self.open_blob(binding, &blob).await?;
        check(&secret)?;
        self.seal(binding, exportability, &secret).await
    }

    /// Whether nobody outside this process sees a blob being opened, whichever it is.
    pub(crate) fn in_process(&self) -> bool {
        self.keks().all(|kek| kek.in_process())
    }

    async fn open_blob(
        &self,
        binding: &Binding<'_>,
        blob: &Blob<'_>,
    ) -> Result<Secret, BackendError> {
        let sealed_it = |kek: &&Arc<dyn KeyEncryption>| kek.id().as_str() == blob.kek;
        let kek = self.keks().find(sealed_it).ok_or_else(|| corrupt(SealedError::Kek))?;
        let context = binding.context(&blob.exportability, blob.kek);
        if blob.binding != Digest::tagged(BINDING, &context) {
            return Err(corrupt(SealedError::Binding));
        }
        let data_key = kek.unwrap(blob.wrapped, &context).await.map_err(|e| nothing(OPEN, e))?;
        let kek = blob.kek;
        trace!(key = %binding.key, subject = binding.subject, kek, "unwrapped a data key");
        envelope::open(&data_key, &context, blob.sealed)
            .map_err(|error| failed(OPEN, ErrorKind::Corrupt).with_source(error))
    }

    fn keks(&self) -> impl Iterator<Item = &Arc<dyn KeyEncryption>> {
        std::iter::once(&self.kek).chain(&self.previous)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("kek", self.kek.id()).finish_non_exhaustive()
    }
}

/// The parts of a blob.
#[derive(Debug, PartialEq, Eq)]
struct Blob<'a> {
    exportability: [u8; 1],
    kek: &'a str,
    binding: Digest,
    wrapped: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Blob<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, SealedError> {
        if bytes.len() > KeyHandle::MAX {
            return Err(SealedError::Length);
        }
        let (version, rest) = take::<1>(bytes)?;
        if version != [VERSION] {
            return Err(SealedError::Version { version: version[0] });
        }
        let (exportability, rest) = take::<1>(rest)?;
        if exportability[0] > EXPORTABILITY_MAX {
            return Err(SealedError::Malformed);
        }
        let (length, rest) = take::<1>(rest)?;
        let (kek, rest) = split(rest, usize::from(length[0]))?;
        let (binding, rest) = take::<32>(rest)?;
        let (length, rest) = take::<2>(rest)?;
        let (wrapped, rest) = split(rest, usize::from(u16::from_be_bytes(length)))?;
        let (length, rest) = take::<2>(rest)?;
        let (sealed, rest) = split(rest, usize::from(u16::from_be_bytes(length)))?;
        if !rest.is_empty() {
            return Err(SealedError::Length);
        }
        let kek = std::str::from_utf8(kek).map_err(|_| SealedError::Malformed)?;
        Ok(Self { exportability, kek, binding: Digest::new(binding), wrapped, sealed })
    }

    fn encode(&self) -> Result<KeyHandle, SealedError> {
        let short = |length: usize| u16::try_from(length).map_err(|_| SealedError::Length);
        let kek = u8::try_from(self.kek.len()).map_err(|_| SealedError::Length)?;
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.exportability);
        bytes.push(kek);
        bytes.extend_from_slice(self.kek.as_bytes());
        bytes.extend_from_slice(self.binding.as_bytes());
        bytes.extend_from_slice(&short(self.wrapped.len())?.to_be_bytes());
        bytes.extend_from_slice(self.wrapped);
        bytes.extend_from_slice(&short(self.sealed.len())?.to_be_bytes());
        bytes.extend_from_slice(self.sealed);
        if bytes.len() > KeyHandle::MAX {
            return Err(SealedError::Length);
        }
        Ok(KeyHandle::new(bytes))
    }
}

/// Why a blob is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum SealedError {
    /// It was sealed for another custodian, wallet, key or algorithm.
    #[error("the blob was sealed for another custodian, wallet, key or algorithm")]
    Binding,
    /// It was sealed under a key-encrypting key that is not here.
    #[error("the blob was sealed under another key-encrypting key")]
    Kek,
    /// It is cut off, followed by other bytes or too long.
    #[error("the blob has another length than it says, or is too long")]
    Length,
    /// A field has a value that is never written.
    #[error("the blob is malformed")]
    Malformed,
    /// The version is unknown.
    #[error("the blob has the unknown version {version}")]
    Version {
        /// Version found.
        version: u8,
    },
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), SealedError> {
    let (field, rest) = bytes.split_first_chunk::<N>().ok_or(SealedError::Length)?;
    Ok((*field, rest))
}

fn split(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), SealedError> {
    bytes.split_at_checked(length).ok_or(SealedError::Length)
}

const fn exportability_byte(exportability: Exportability) -> u8 {
    match exportability {
        Exportability::Never => 0,
        Exportability::Wrapped => EXPORTABILITY_MAX,
    }
}

const fn exportability_of([byte]: [u8; 1]) -> Exportability {
    match byte {
        EXPORTABILITY_MAX => Exportability::Wrapped,
        _ => Exportability::Never,
    }
}

fn corrupt(error: SealedError) -> BackendError {
    failed(OPEN, ErrorKind::Corrupt).with_source(error)
}

/// The error of a call of the key-encrypting key. Wrapping and unwrapping leave nothing behind, so
/// a call of which nothing is known has made no key and no signature.
fn nothing(operation: &'static str, error: BackendError) -> BackendError {
    let unknown = error.kind() == ErrorKind::Indeterminate;
    let kind = if unknown { ErrorKind::Unavailable } else { error.kind() };
    BackendError::new(kind, operation).with_source(error)
}

const fn failed(operation: &'static str, kind: ErrorKind) -> BackendError {
    BackendError::new(kind, operation)
}

const SEAL: &str = "seal a key";
const OPEN: &str = "open a key";
const VERSION: u8 = 1;
const EXPORTABILITY_MAX: u8 = 1;
const DATA_KEY: usize = 32;
const SEED: &str = "seed";
const CONTEXT: &[u8] = b"custody/soft/v1";
const BINDING: &str = "custody/soft/binding/v1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blob<'a>(wrapped: &'a [u8], sealed: &'a [u8]) -> Blob<'a> {
        let binding = Digest::of(b"binding");
        Blob { exportability: [0], kek: "kek", binding, wrapped, sealed }
    }

    #[test]
    fn each_fault_of_a_blob_has_its_own_error() {
        let good = blob(b"wrapped", b"sealed").encode().unwrap().as_bytes().to_vec();
        let edited = |position: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[position] = value;
            bytes
        };
        for (name, bytes, error) in [
            ("empty", Vec::new(), SealedError::Length),
            ("version", edited(0, 2), SealedError::Version { version: 2 }),
            ("exportability", edited(1, 2), SealedError::Malformed),
            ("not text", edited(3, 0xff), SealedError::Malformed),
            ("longer id", edited(2, 255), SealedError::Length),
            ("longer wrapped key", edited(38, 1), SealedError::Length),
            ("shorter envelope", edited(48, 5), SealedError::Length),
            ("longer envelope", edited(48, 7), SealedError::Length),
            ("cut", good[..good.len() - 1].to_vec(), SealedError::Length),
            ("longer", [good.as_slice(), &[0]].concat(), SealedError::Length),
            ("far too long", vec![1; KeyHandle::MAX + 1], SealedError::Length),
        ] {
            assert_eq!(Blob::parse(&bytes), Err(error), "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_a_handle_is_not_written() {
        let most = KeyHandle::MAX - 42;
        let (fits, over) = (vec![0; most], vec![0; most + 1]);
        assert_eq!(blob(&fits, b"").encode().unwrap().as_bytes().len(), KeyHandle::MAX);
        assert_eq!(blob(&over, b"").encode(), Err(SealedError::Length));
        let huge = vec![0; usize::from(u16::MAX) + 1];
        assert_eq!(blob(&huge, b"").encode(), Err(SealedError::Length));
        assert_eq!(blob(b"", &huge).encode(), Err(SealedError::Length));
    }

    proptest! {
        #[test]
        fn a_blob_is_read_back_as_it_was_written(
            wrapped in proptest::collection::vec(any::<u8>(), 0..300),
            sealed in proptest::collection::vec(any::<u8>(), 0..300),
            kek in "[a-z:]{0,200}",
            exportability in 0_u8..=1,
        ) {
            let blob = Blob {
                exportability: [exportability],
                kek: &kek,
                binding: Digest::of(&wrapped),
                wrapped: &wrapped,
                sealed: &sealed,
            };
            let handle = blob.encode().unwrap();
            prop_assert_eq!(Blob::parse(handle.as_bytes()), Ok(blob));
        }

        #[test]
        fn foreign_bytes_that_are_a_blob_are_written_back_unchanged(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(blob) = Blob::parse(&bytes) {
                let handle = blob.encode().unwrap();
                prop_assert_eq!(handle.as_bytes(), bytes);
            }
        }
    }
}
