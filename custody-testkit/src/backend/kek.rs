//! Opens secrets, of tests only.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::KekId;
use custody_core::seam::{BackendError, Entropy, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;

use crate::runtime::TestEntropy;

/// A key encryption in memory, over the one envelope. It can be told to lie.
pub struct MemoryKeyEncryption {
    id: KekId,
    key: Secret,
    entropy: Arc<dyn Entropy>,
    in_process: bool,
    lie: Option<KekLie>,
}

/// How a key encryption breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KekLie {
    /// Another key has the same id.
    AnotherKeysId,
    /// The context is not bound.
    IgnoresContext,
    /// The last byte of the wrapping is not looked at.
    IgnoresLastByte,
    /// The context's fields are bound as one text.
    JoinsContext,
    /// Two wrappings are the same bytes.
    RepeatsNonces,
    /// The data key stands in the wrapping.
    ShowsDataKey,
    /// A wrapping that does not open is called unavailable.
    WrongKind,
}

impl MemoryKeyEncryption {
    /// The key encryption of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let key = Digest::tagged("custody-testkit/kek", &[&seed.to_be_bytes()]);
        let fingerprint = Digest::of(key.as_bytes()).to_string();
        Self {
            id: KekId::parse(&format!("memory:{fingerprint}")).unwrap(),
            key: Secret::new(key.as_bytes().to_vec()),
            entropy: Arc::new(TestEntropy::seeded(seed)),
            in_process: true,
            lie: None,
        }
    }

    /// The same key encryption, seen from outside when used: an HSM's or a KMS's.
    #[must_use]
    pub const fn outside_process(mut self) -> Self {
        self.in_process = false;
        self
    }

    /// The same key encryption, lying from now on.
    #[must_use]
    pub fn lying(mut self, lie: KekLie) -> Self {
        if lie == KekLie::AnotherKeysId {
            self.id = KekId::parse("memory:one-for-all").unwrap();
        }
        self.lie = Some(lie);
        self
    }

    fn tells(&self, lie: KekLie) -> bool {
        self.lie == Some(lie)
    }

    fn seal(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        let refused = |error| BackendError::new(ErrorKind::Refused, "wrap").with_source(error);
        let fixed = TestEntropy::seeded(0);
        let repeats = self.tells(KekLie::RepeatsNonces);
        let entropy: &dyn Entropy = if repeats { &fixed } else { &*self.entropy };
        let bound = self.bound(context);
        let fields: Vec<&[u8]> = bound.iter().map(Vec::as_slice).collect();
        let mut sealed = envelope::seal(&self.key, &fields, data_key, entropy).map_err(refused)?;
        if self.tells(KekLie::ShowsDataKey) {
            sealed.extend_from_slice(data_key.expose());
        }
        if self.tells(KekLie::IgnoresLastByte) {
            sealed.push(0);
        }
        Ok(sealed)
    }

    fn open(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        let extra = match self.lie {
            Some(KekLie::ShowsDataKey) => 32,
            Some(KekLie::IgnoresLastByte) => 1,
            _ => 0,
        };
        let kind = match self.tells(KekLie::WrongKind) {
            true => ErrorKind::Unavailable,
            false => ErrorKind::Corrupt,
        };
        let corrupt = |error| BackendError::new(kind, "unwrap").with_source(error);
        let sealed = &wrapped[..wrapped.len().saturating_sub(extra)];
        let bound = self.bound(context);
        let fields: Vec<&[u8]> = bound.iter().map(Vec::as_slice).collect();
        envelope::open(&self.key, &fields, sealed).map_err(corrupt)
    }

    /// The context as it is bound.
    fn bound(&self, context: &[&[u8]]) -> Vec<Vec<u8>> {
        if self.tells(KekLie::IgnoresContext) {
            return Vec::new();
        }
        if self.tells(KekLie::JoinsContext) {
            return vec![context.concat()];
        }
        context.iter().map(|field| field.to_vec()).collect()
    }
}

impl fmt::Debug for MemoryKeyEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeyEncryption").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyEncryption for MemoryKeyEncryption {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn in_process(&self) -> bool {
        self.in_process
    }

    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        self.seal(data_key, context)
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        self.open(wrapped, context)
    }
}
