//! Typed data that spends: permits, authorisations, transactions of a Safe.
//!
//! Invariant: a kind is known by its whole type, with the names and types of all fields; a domain
//! without a verifying contract spends nothing and is refused.

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, Bytes, U256};

use super::Typed;
use crate::evm::EvmError;
use crate::evm::calls::contracts::PERMIT2;
use crate::evm::calls::{Call, SafeTransaction, act_as_safe};
use crate::evm::story::{Story, amount};

/// Tells what it spends, if it is of a known kind.
pub(super) fn describe(typed: &Typed, story: &mut Story<'_>) -> Result<bool, EvmError> {
    let Some(kind) = Kind::of(&typed.kind) else { return Ok(false) };
    let contract = typed.data.domain.verifying_contract.ok_or(EvmError::VerifyingContract)?;
    let fields = Fields(&typed.value);
    let told = match kind {
        Kind::Permit => permit(story, contract, &fields),
        Kind::DaiPermit => dai_permit(story, contract, &fields),
        Kind::Allowance => permit2(typed, story, contract, &fields, "details"),
        Kind::SignatureTransfer => permit2(typed, story, contract, &fields, "permitted"),
        Kind::Authorization => authorization(story, contract, &fields),
        Kind::SafeTx => safe_tx(story, contract, &fields),
    };
    // A value that is not there contradicts the type.
    told?.ok_or(EvmError::TypedData { what: "a value is not of its type" })?;
    Ok(true)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Permit2, `AllowanceTransfer`.
    Allowance,
    Authorization,
    DaiPermit,
    Permit,
    SafeTx,
    /// Permit2, `SignatureTransfer`.
    SignatureTransfer,
}

impl Kind {
    fn of(kind: &str) -> Option<Self> {
        let whole = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, kind)| *kind);
        // What a witness adds follows the fields that all have.
        let is_witness = WITNESSES.iter().any(|prefix| kind.starts_with(prefix));
        let is_complete = kind.contains(PERMISSIONS);
        whole.or((is_witness && is_complete).then_some(Self::SignatureTransfer))
    }
}

/// None if a value that the type promises is not there.
type Told = Result<Option<()>, EvmError>;

fn permit(story: &mut Story<'_>, token: Address, fields: &Fields<'_>) -> Told {
    let Some((spender, units)) = fields.address("spender").zip(fields.number("value")) else {
        return Ok(None);
    };
    let token = story.token("erc20", token)?;
    story.approve(spender, amount(token, units)).map(Some)
}

fn dai_permit(story: &mut Story<'_>, token: Address, fields: &Fields<'_>) -> Told {
    let Some((spender, allowed)) = fields.address("spender").zip(fields.truth("allowed")) else {
        return Ok(None);
    };
    let units = if allowed { U256::MAX } else { U256::ZERO };
    let token = story.token("erc20", token)?;
    story.approve(spender, amount(token, units)).map(Some)
}

/// Each token of a permit is one allowance. What a witness adds, and what another contract than
/// Permit2 makes of it, is told as a message besides. Whoever asks for a witness chooses its name:
/// the tokens are those in the field that the kind has them in, whatever else there is.
fn permit2(
    typed: &Typed,
    story: &mut Story<'_>,
    contract: Address,
    fields: &Fields<'_>,
    tokens: &str,
) -> Told {
    let Some(spender) = fields.address("spender") else { return Ok(None) };
    let details = match fields.get(tokens) {
        Some(DynSolValue::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
        None => return Ok(None),
    };
    let is_plain = contract == PERMIT2 && !typed.data.primary_type.contains("Witness");
    if !is_plain || details.is_empty() {
        typed.tell(story)?;
    }
    for detail in details {
        let detail = Fields(detail);
        let Some((token, units)) = detail.address("token").zip(detail.number("amount")) else {
            return Ok(None);
        };
        let token = story.token("erc20", token)?;
        story.approve(spender, amount(token, units))?;
    }
    Ok(Some(()))
}

fn authorization(story: &mut Story<'_>, token: Address, fields: &Fields<'_>) -> Told {
    let parties = fields.address("from").zip(fields.address("to"));
    let Some(((from, to), units)) = parties.zip(fields.number("value")) else { return Ok(None) };
    let token = story.token("erc20", token)?;
    story.transfer(from, to, amount(token, units)).map(Some)
}

fn safe_tx(story: &mut Story<'_>, safe: Address, fields: &Fields<'_>) -> Told {
    let Some(transaction) = fields.safe_transaction() else { return Ok(None) };
    let from = story.sender();
    let call = Call { from, to: safe, value: U256::ZERO, data: &[], depth: 0 };
    act_as_safe(story, &call, &transaction).map(Some)
}

/// The fields of a struct, by name.
struct Fields<'a>(&'a DynSolValue);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a DynSolValue> {
        let DynSolValue::CustomStruct { prop_names, tuple, .. } = self.0 else { return None };
        prop_names.iter().zip(tuple).find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    fn address(&self, name: &str) -> Option<Address> {
        self.get(name)?.as_address()
    }

    fn number(&self, name: &str) -> Option<U256> {
        self.get(name)?.as_uint().map(|(number, _)| number)
    }

    fn truth(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    fn safe_transaction(&self) -> Option<SafeTransaction> {
        Some(SafeTransaction {
            to: self.address("to")?,
            value: self.number("value")?,
            data: Bytes::copy_from_slice(self.get("data")?.as_bytes()?),
            operation: u8::try_from(self.number("operation")?).ok()?,
            gas_price: self.number("gasPrice")?,
            gas_token: self.address("gasToken")?,
            refund_receiver: self.address("refundReceiver")?,
        })
    }
}

const PERMISSIONS: &str = "TokenPermissions(address token,uint256 amount)";

const WITNESSES: [&str; 2] = [
    "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,\
     uint256 deadline,",
    "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,\
     uint256 deadline,",
];

const KINDS: [(&str, Kind); 9] = [
    (
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
        Kind::Permit,
    ),
    (
        "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)",
        Kind::DaiPermit,
    ),
    (
        "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)\
         PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
        Kind::Allowance,
    ),
    (
        "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)\
         PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
        Kind::Allowance,
    ),
    (
        "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,\
         uint256 deadline)TokenPermissions(address token,uint256 amount)",
        Kind::SignatureTransfer,
    ),
    (
        "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,\
         uint256 deadline)TokenPermissions(address token,uint256 amount)",
        Kind::SignatureTransfer,
    ),
    (
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
         uint256 validBefore,bytes32 nonce)",
        Kind::Authorization,
    ),
    (
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
         uint256 validBefore,bytes32 nonce)",
        Kind::Authorization,
    ),
    (
        "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,\
         uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)",
        Kind::SafeTx,
    ),
];
