//! Doubles of seams that the testkit has no double of.

use async_trait::async_trait;
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::custodian::CommandHandler;
use custody_core::id::{CustodianId, DecoderId, ExtensionName, IdError, OrderId, PayloadFormat};
use custody_core::seam::{
    BackendError, ContextAccount, DecodeContext, DecodeError, Decoder, DescriptorError,
    DescriptorReader, Intent, Payload, TaskSignature, WalletDescriptor,
};
use custody_testkit::decoder::{TestDecoder, TestTransfer};

/// The decoder of the testkit, which also reads descriptors such as `test(KEY)` that name a key of
/// the wallet.
#[derive(Debug)]
pub(super) struct Reader(TestDecoder);

impl Reader {
    pub(super) fn new() -> Self {
        Self(TestDecoder::new())
    }
}

impl Decoder for Reader {
    fn id(&self) -> &DecoderId {
        self.0.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.0.reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.0.account(chain, key)
    }

    fn descriptors(&self) -> Option<&dyn DescriptorReader> {
        Some(self)
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        self.0.decode(payload, context)
    }

    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        self.0.assemble(payload, context, signatures)
    }
}

impl DescriptorReader for Reader {
    fn check(
        &self,
        chain: &ChainId,
        descriptor: &WalletDescriptor,
        accounts: &[ContextAccount],
    ) -> Result<(), DescriptorError> {
        if *chain != TestTransfer::chain() {
            return Err(DescriptorError::new("another chain"));
        }
        let text = descriptor.as_str().strip_prefix("test(");
        let key = text.and_then(|text| text.strip_suffix(')'));
        let key = key.ok_or_else(|| DescriptorError::new("no descriptor"))?;
        let is_ours = accounts.iter().any(|account| account.key.as_str() == key);
        if is_ours { Ok(()) } else { Err(DescriptorError::new("a key of another wallet")) }
    }
}

/// Answers extension commands, the same each time for one order.
#[derive(Debug)]
pub(super) struct Clerk(ExtensionName);

impl Clerk {
    pub(super) fn new() -> Result<Self, IdError> {
        Ok(Self(ExtensionName::parse(CLERK)?))
    }
}

#[async_trait]
impl CommandHandler for Clerk {
    fn name(&self) -> &ExtensionName {
        &self.0
    }

    fn accepts(&self, document: &[u8]) -> bool {
        document.starts_with(b"round ")
    }

    async fn run(
        &self,
        _: &CustodianId,
        order: &OrderId,
        document: &[u8],
    ) -> Result<Vec<u8>, BackendError> {
        Ok([order.as_str().as_bytes(), document].concat())
    }
}

/// The name of the clerk's commands.
pub(super) const CLERK: &str = "test/clerk";

#[cfg(test)]
mod tests {
    use custody_core::crypto::Algorithm;
    use custody_core::id::KeyId;
    use custody_testkit::key::TestKey;

    use super::*;

    #[test]
    fn a_descriptor_of_another_chain_or_key_is_refused() {
        let public_key = TestKey::seeded(Algorithm::Ed25519, 1).public_key().clone();
        let key = KeyId::parse("own").unwrap();
        let accounts = [ContextAccount { key, public_key, path: None }];
        let check = |chain: &ChainId, text: &str| {
            let descriptor = WalletDescriptor::parse(text).unwrap();
            Reader::new().check(chain, &descriptor, &accounts)
        };
        let (chain, other) = (TestTransfer::chain(), ChainId::parse("eip155:1").unwrap());
        assert!(check(&chain, "test(own)").is_ok());
        for text in ["test(other)", "test(own", "own)", "test()"] {
            assert!(check(&chain, text).is_err(), "{text}");
        }
        assert!(check(&other, "test(own)").is_err());
    }
}
