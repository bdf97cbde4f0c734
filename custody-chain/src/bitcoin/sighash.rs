//! What a signature covers, and the digests that are signed.
//!
//! Invariant: a signature covers the whole transaction unless the decoder was built to allow less.

use std::collections::BTreeSet;

use bitcoin::psbt::Input;
use bitcoin::sighash::{EcdsaSighashType, TapSighashType};

/// A signature hash type that covers less than the whole transaction.
///
/// # Security
/// Whoever allows one lets others change the transaction after it was signed: its inputs
/// (`ANYONECANPAY`), its outputs (`NONE`) or all outputs but one (`SINGLE`). What a rule judged is
/// then not what may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "BIP-143 and BIP-341 name no others")]
pub enum SighashAllowance {
    /// All outputs, one input.
    AllAnyoneCanPay,
    /// No output, all inputs.
    None,
    /// No output, one input.
    NoneAnyoneCanPay,
    /// One output, all inputs.
    Single,
    /// One output, one input.
    SingleAnyoneCanPay,
}

impl SighashAllowance {
    const fn of(number: u8) -> Option<Self> {
        match number {
            0x02 => Some(Self::None),
            0x03 => Some(Self::Single),
            0x81 => Some(Self::AllAnyoneCanPay),
            0x82 => Some(Self::NoneAnyoneCanPay),
            0x83 => Some(Self::SingleAnyoneCanPay),
            _ => None,
        }
    }
}

/// The hash type that an input is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighash(u8);

impl Sighash {
    /// The type that an input asks for; none if there is no such type, or it is not allowed.
    pub(super) fn of(
        input: &Input,
        is_taproot: bool,
        allowed: &BTreeSet<SighashAllowance>,
    ) -> Option<Self> {
        let whole = if is_taproot { DEFAULT } else { ALL };
        let asked = input.sighash_type.map_or(Some(whole), |kind| u8::try_from(kind.to_u32()).ok());
        let number = asked?;
        let is_whole = number == ALL || number == whole;
        let is_allowed = SighashAllowance::of(number).is_some_and(|kind| allowed.contains(&kind));
        (is_whole || is_allowed).then_some(Self(number))
    }

    /// The type of an ECDSA signature.
    pub(super) const fn ecdsa(self) -> EcdsaSighashType {
        match self.0 {
            0x02 => EcdsaSighashType::None,
            0x03 => EcdsaSighashType::Single,
            0x81 => EcdsaSighashType::AllPlusAnyoneCanPay,
            0x82 => EcdsaSighashType::NonePlusAnyoneCanPay,
            0x83 => EcdsaSighashType::SinglePlusAnyoneCanPay,
            _ => EcdsaSighashType::All,
        }
    }

    /// The type of a BIP-340 signature.
    pub(super) const fn taproot(self) -> TapSighashType {
        match self.0 {
            0x01 => TapSighashType::All,
            0x02 => TapSighashType::None,
            0x03 => TapSighashType::Single,
            0x81 => TapSighashType::AllPlusAnyoneCanPay,
            0x82 => TapSighashType::NonePlusAnyoneCanPay,
            0x83 => TapSighashType::SinglePlusAnyoneCanPay,
            _ => TapSighashType::Default,
        }
    }

    /// Whether the signature covers one input only.
    pub(super) const fn is_anyone_can_pay(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Whether the signature covers the output at the input's position only.
    pub(super) const fn is_single(self) -> bool {
        self.0 & 0x1f == 3
    }

    /// Whether the type is that which BIP-341 leaves out of a signature.
    pub(super) const fn is_default(self) -> bool {
        self.0 == DEFAULT
    }

    /// Whether the signature covers the whole transaction.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self.0, DEFAULT | ALL)
    }

    /// What rules may say about the type.
    pub(super) fn facts(self) -> impl Iterator<Item = &'static str> {
        let outputs = match self.0 & 0x1f {
            2 => Some("sighash_none"),
            3 => Some("sighash_single"),
            _ => None,
        };
        outputs.into_iter().chain(self.is_anyone_can_pay().then_some("anyone_can_pay"))
    }
}

const DEFAULT: u8 = 0;
const ALL: u8 = 1;
