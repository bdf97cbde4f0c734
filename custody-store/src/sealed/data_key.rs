//! Data keys as records of the store below.
//!
//! Layout of the record `sealing/<number>` (ten digits): version (1 byte, 1) ‖ number of events when
//! it took over (8 bytes, big-endian) ‖ length of the key encryption's id (2 bytes) ‖ that id ‖ the
//! wrapped data key.

use custody_core::id::KekId;
use custody_core::seam::{
    BackendError, ErrorKind, KeyEncryption, Position, Record, RecordKey, StoreError,
};
use custody_core::secret::Secret;

use super::{PREFIX, SealedStoreError};

const VERSION: u8 = 1;

/// Which data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u32);

impl Number {
    pub(super) const FIRST: Self = Self(0);

    pub(super) const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }

    pub(super) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// The number in front of an envelope.
    pub(super) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (number, rest) = bytes.split_first_chunk()?;
        Some((Self(u32::from_be_bytes(*number)), rest))
    }
}

/// A wrapped data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataKey {
    number: Number,
    from: Position,
    kek: KekId,
    wrapped: Vec<u8>,
}

impl DataKey {
    pub(super) async fn wrap(
        number: Number,
        from: Position,
        secret: &Secret,
        kek: &dyn KeyEncryption,
    ) -> Result<Self, BackendError> {
        let context = context(number, from);
        let wrapped = kek.wrap(secret, &context.each_ref().map(Vec::as_slice)).await?;
        Ok(Self { number, from, kek: kek.id().clone(), wrapped })
    }

    pub(super) async fn unwrap(&self, kek: &dyn KeyEncryption) -> Result<Secret, SealedStoreError> {
        if self.kek != *kek.id() {
            let (wrapped_by, given) = (self.kek.clone(), kek.id().clone());
            return Err(SealedStoreError::KeyEncryption { wrapped_by, given });
        }
        let context = context(self.number, self.from);
        let secret = kek.unwrap(&self.wrapped, &context.each_ref().map(Vec::as_slice)).await;
        let secret = secret.map_err(SealedStoreError::Unwrap)?;
        if secret.len() == 32 { Ok(secret) } else { Err(SealedStoreError::DataKey) }
    }

    pub(super) fn read(record: &Record) -> Result<Self, SealedStoreError> {
        Self::parse(record).ok_or(SealedStoreError::DataKey)
    }

    fn parse(record: &Record) -> Option<Self> {
        let digits = record.key.as_str().strip_prefix(PREFIX)?;
        let number = Number(digits.parse().ok()?);
        let (version, rest) = record.value.split_first()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (kek, wrapped) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let kek = KekId::parse(std::str::from_utf8(kek).ok()?).ok()?;
        let from = Position::new(u64::from_be_bytes(*from));
        let read = Self { number, from, kek, wrapped: wrapped.to_vec() };
        let is_canonical = *version == VERSION && read.key().ok()? == record.key;
        is_canonical.then_some(read)
    }

    pub(super) const fn number(&self) -> Number {
        self.number
    }

    /// How many events there were when it took over.
    pub(super) const fn from(&self) -> Position {
        self.from
    }

    pub(super) fn key(&self) -> Result<RecordKey, StoreError> {
        let key = RecordKey::parse(&format!("{PREFIX}{:010}", self.number.0));
        key.map_err(|error| StoreError::new(ErrorKind::Unsupported, "commit").with_source(error))
    }

    pub(super) fn value(&self) -> Vec<u8> {
        let kek = self.kek.to_string();
        let length = u16::try_from(kek.len()).unwrap_or(u16::MAX);
        let mut value = vec![VERSION];
        value.extend_from_slice(&self.from.value().to_be_bytes());
        value.extend_from_slice(&length.to_be_bytes());
        value.extend_from_slice(kek.as_bytes());
        value.extend_from_slice(&self.wrapped);
        value
    }

    pub(super) fn record(&self) -> Result<Record, StoreError> {
        Ok(Record { key: self.key()?, value: self.value() })
    }
}

fn context(number: Number, from: Position) -> [Vec<u8>; 3] {
    let domain = b"custody-store/sealing/v1".to_vec();
    [domain, number.to_bytes().to_vec(), from.value().to_be_bytes().to_vec()]
}
