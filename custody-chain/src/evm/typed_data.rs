//! Typed data (EIP-712): a message with declared types, for a contract on a chain.
//!
//! Invariant: the document itself is the payload, never a hash of it; every field of it is declared
//! and every declaration is used, so that nothing stands in it that is not signed.

mod shape;
mod size;
mod spends;
mod strict;

use alloy_dyn_abi::{DynSolValue, TypedData};
use alloy_primitives::Address;
use custody_core::effect::Arguments;

use super::EvmError;
use super::abi::Named;
use super::story::Story;
use crate::text::push_arguments;
use strict::Document;

/// Typed data with what is signed for it.
pub(super) struct Typed {
    data: TypedData,
    value: DynSolValue,
    /// The primary type with all it is made of (EIP-712, "Definition of `encodeType`").
    kind: String,
    pub(super) digest: [u8; 32],
}

impl Typed {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, EvmError> {
        let length = bytes.len();
        if length > LIMIT {
            return Err(EvmError::TooLong { length, limit: LIMIT });
        }
        let malformed = |_| EvmError::TypedData { what: "the document is malformed" };
        let document: Document = serde_json::from_slice(bytes).map_err(malformed)?;
        shape::check(&document)?;
        let data: TypedData = serde_json::from_value(document.into_value()).map_err(malformed)?;
        let wrong = |_| EvmError::TypedData { what: "a value is not of its type" };
        let value = data.coerce().map_err(wrong)?;
        let digest = data.eip712_signing_hash().map_err(wrong)?.0;
        let kind = data.encode_type().map_err(wrong)?;
        Ok(Self { data, value, kind, digest })
    }

    /// The chain that the domain names; none if it names none.
    pub(super) fn chain_id(&self) -> Result<Option<u64>, EvmError> {
        let number = |chain| u64::try_from(chain).map_err(|_| EvmError::ChainId);
        self.data.domain.chain_id.map(number).transpose()
    }

    pub(super) fn describe(&self, story: &mut Story<'_>) -> Result<(), EvmError> {
        if spends::describe(self, story)? {
            return Ok(());
        }
        let name = &self.data.primary_type;
        if OPAQUE.iter().any(|prefix| name.starts_with(prefix)) {
            let line = format!("sign typed data of unknown meaning, {} bytes", self.kind.len());
            return story.sign_opaque("eip712", line);
        }
        self.tell(story)
    }

    /// Tells what it says, of whatever kind it is.
    fn tell(&self, story: &mut Story<'_>) -> Result<(), EvmError> {
        let arguments = self.arguments();
        let mut line = "sign typed data".to_owned();
        push_arguments(&mut line, &arguments);
        story.sign_message("eip712", arguments, line)
    }

    fn arguments(&self) -> Arguments {
        let mut named = Named::default();
        let domain = &self.data.domain;
        let text =
            |text: &Option<std::borrow::Cow<'static, str>>| text.as_deref().map(String::from);
        let hex = |address: Address| alloy_primitives::hex::encode_prefixed(address);
        for (name, value) in [
            ("primaryType", Some(self.data.primary_type.clone())),
            ("domain.name", text(&domain.name)),
            ("domain.version", text(&domain.version)),
            ("domain.chainId", domain.chain_id.map(|chain| chain.to_string())),
            ("domain.verifyingContract", domain.verifying_contract.map(hex)),
            ("domain.salt", domain.salt.map(alloy_primitives::hex::encode_prefixed)),
        ] {
            value.iter().for_each(|value| named.insert(name, value));
        }
        // Rules may forbid by what stands here, so it stays when the message is too much.
        let head = named.clone();
        named.value("message", &self.value, &[]);
        named.end_or(head, &self.digest)
    }
}

const LIMIT: usize = 256 * 1024;
/// What begins so spends, executes or gives power away in some form; in a form that is not known it
/// is opaque.
const OPAQUE: [&str; 13] = [
    "BulkOrder",
    "Delegation",
    "ForwardRequest",
    "MetaTransaction",
    "Order",
    "PackedUserOperation",
    "Permit",
    "ReceiveWithAuthorization",
    "SafeMessage",
    "SafeOp",
    "SafeTx",
    "TransferWithAuthorization",
    "UserOperation",
];
