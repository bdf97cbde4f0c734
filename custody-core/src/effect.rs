//! What an order does: its effects, each with one action.
//!
//! Invariant: an effect says what happens in the worst case; what was not understood is opaque,
//! never guessed.

mod arguments;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::arguments::Arguments;
use crate::amount::Amount;
use crate::caip::AccountId;
use crate::id::{BookId, ExtensionName, WalletId};

/// One effect of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Effect {
    /// Ownership, an upgrade or a signer of a contract changes.
    Administer {
        /// The contract.
        contract: AccountId,
        /// The function called.
        selector: Selector,
        /// What the function is called with, where that is known.
        #[serde(default, skip_serializing_if = "Arguments::is_empty")]
        arguments: Arguments,
    },
    /// A spender is allowed to take up to an amount.
    Approve {
        /// The most that the spender may take.
        amount: Amount,
        /// Who may take it.
        spender: AccountId,
    },
    /// A contract is called.
    Call {
        /// The contract.
        contract: AccountId,
        /// The function called.
        selector: Selector,
        /// What the function is called with, where that is known.
        #[serde(default, skip_serializing_if = "Arguments::is_empty")]
        arguments: Arguments,
    },
    /// Foreign code runs with the wallet's own rights.
    DelegateCall {
        /// The contract whose code runs.
        contract: AccountId,
        /// The function called.
        selector: Selector,
        /// What the function is called with, where that is known.
        #[serde(default, skip_serializing_if = "Arguments::is_empty")]
        arguments: Arguments,
    },
    /// A contract is created.
    Deploy,
    /// A command of the custodian itself.
    Govern {
        /// Which command.
        action: Action,
        /// What it is about.
        target: GovernanceTarget,
        /// Whether it loosens the rules, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loosens: Option<bool>,
        /// The name of an extension command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extension: Option<ExtensionName>,
    },
    /// The worst-case fee is paid.
    PayFee {
        /// The most that the fee can be.
        amount: Amount,
        /// The fee per 1,000 virtual bytes, on chains that have such a rate (BIP-141).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<u64>,
    },
    /// A message is signed.
    SignMessage {
        /// What kind of message.
        kind: MessageKind,
        /// What the message says, where it has fields.
        #[serde(default, skip_serializing_if = "Arguments::is_empty")]
        arguments: Arguments,
    },
    /// Bytes are signed that nobody understood.
    SignOpaque {
        /// What kind of payload.
        kind: MessageKind,
    },
    /// An asset moves.
    Transfer {
        /// How much moves.
        amount: Amount,
        /// Whose it was.
        from: AccountId,
        /// Whose it becomes.
        to: AccountId,
    },
}

impl Effect {
    /// The effect's action.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Administer { .. } => Action::Administer,
            Self::Approve { .. } => Action::Approve,
            Self::Call { .. } => Action::Call,
            Self::DelegateCall { .. } => Action::DelegateCall,
            Self::Deploy => Action::Deploy,
            Self::Govern { action, .. } => *action,
            Self::PayFee { .. } => Action::PayFee,
            Self::SignMessage { .. } => Action::SignMessage,
            Self::SignOpaque { .. } => Action::SignOpaque,
            Self::Transfer { .. } => Action::Transfer,
        }
    }

    /// The money that leaves in the worst case.
    #[must_use]
    pub const fn amount(&self) -> Option<&Amount> {
        match self {
            Self::Approve { amount, .. }
            | Self::PayFee { amount, .. }
            | Self::Transfer { amount, .. } => Some(amount),
            Self::Administer { .. }
            | Self::Call { .. }
            | Self::DelegateCall { .. }
            | Self::Deploy
            | Self::Govern { .. }
            | Self::SignMessage { .. }
            | Self::SignOpaque { .. } => None,
        }
    }

    /// The account on the other side.
    #[must_use]
    pub const fn destination(&self) -> Option<&AccountId> {
        match self {
            Self::Administer { contract, .. }
            | Self::Call { contract, .. }
            | Self::DelegateCall { contract, .. } => Some(contract),
            Self::Approve { spender, .. } => Some(spender),
            Self::Transfer { to, .. } => Some(to),
            Self::Deploy
            | Self::Govern { .. }
            | Self::PayFee { .. }
            | Self::SignMessage { .. }
            | Self::SignOpaque { .. } => None,
        }
    }
}

/// What a command is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GovernanceTarget {
    /// An address book.
    Book(BookId),
    /// The house as a whole.
    House,
    /// A wallet, or a wallet to be.
    Wallet(WalletId),
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What an effect does; rules speak about actions by these names.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that stands in rules and documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

actions! {
    /// An asset moves.
    Transfer = "transfer",
    /// A spender is allowed to take an asset.
    Approve = "approve",
    /// A contract is called.
    Call = "call",
    /// Foreign code runs with the wallet's rights.
    DelegateCall = "delegate_call",
    /// A contract is created.
    Deploy = "deploy",
    /// Ownership, an upgrade or a signer changes.
    Administer = "administer",
    /// The worst-case fee is paid.
    PayFee = "pay_fee",
    /// A message is signed.
    SignMessage = "sign_message",
    /// Bytes that nobody understood are signed.
    SignOpaque = "sign_opaque",
    /// A wallet is created.
    CreateWallet = "create_wallet",
    /// An account is derived from a wallet's seed.
    DeriveAccount = "derive_account",
    /// A key is created.
    CreateKey = "create_key",
    /// A key becomes active.
    ActivateKey = "activate_key",
    /// A key is suspended.
    SuspendKey = "suspend_key",
    /// A suspended key becomes active again.
    ResumeKey = "resume_key",
    /// A key is deactivated for good.
    DeactivateKey = "deactivate_key",
    /// A key is marked as compromised.
    CompromiseKey = "compromise_key",
    /// A key is destroyed, or its destruction scheduled.
    DestroyKey = "destroy_key",
    /// A scheduled destruction is taken back.
    CancelDestroy = "cancel_destroy",
    /// The keys of a wallet are sealed anew.
    ResealKeys = "reseal_keys",
    /// The key that signs log heads is replaced.
    RotateLogKey = "rotate_log_key",
    /// The clock is confirmed after a jump.
    ConfirmClock = "confirm_clock",
    /// A principal is enrolled.
    EnrollPrincipal = "enroll_principal",
    /// A principal is removed.
    RemovePrincipal = "remove_principal",
    /// A credential is enrolled.
    EnrollCredential = "enroll_credential",
    /// A credential is revoked.
    RemoveCredential = "remove_credential",
    /// The rules are replaced.
    UpdatePolicy = "update_policy",
    /// An asset's decimals are recorded.
    RegisterAsset = "register_asset",
    /// A backend's identity is recorded.
    RegisterBackend = "register_backend",
    /// A wallet's descriptor is recorded.
    RegisterDescriptor = "register_descriptor",
    /// An address is put into a book.
    AddAddress = "add_address",
    /// An address is taken out of a book.
    RemoveAddress = "remove_address",
    /// A wallet or the whole custodian is frozen.
    Freeze = "freeze",
    /// A wallet or the whole custodian is thawed.
    Thaw = "thaw",
    /// An order of unknown outcome is settled.
    ResolveOrder = "resolve_order",
    /// A command of another crate or of the host.
    Extension = "extension",
}

impl Action {
    /// Whether the action is a command of the custodian itself.
    #[must_use]
    pub const fn is_governance(self) -> bool {
        !matches!(
            self,
            Self::Transfer
                | Self::Approve
                | Self::Call
                | Self::DelegateCall
                | Self::Deploy
                | Self::Administer
                | Self::PayFee
                | Self::SignMessage
                | Self::SignOpaque
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! short_text {
    ($(#[$doc:meta])* $name:ident, $limit:literal, $allowed:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the text.
            ///
            /// # Errors
            /// Fails on any other text.
            pub fn parse(text: &str) -> Result<Self, EffectTextError> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.len() > $limit || !text.bytes().all(allowed) {
                    return Err(EffectTextError { what: $message });
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

short_text! {
    /// Which function of a contract is called: `0x` and eight hex digits on EVM chains, a decimal
    /// or hex discriminator elsewhere; empty for a call without data.
    Selector, 64, |byte| byte.is_ascii_alphanumeric(), "a selector is at most 64 letters and digits"
}
short_text! {
    /// What kind of message or opaque payload is signed, such as `eip191`.
    MessageKind, 64,
    |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'.' | b':'),
    "a kind is at most 64 letters, digits, and - _ / . :"
}
short_text! {
    /// Something a decoder found that rules may speak about, such as `replayable`.
    DecodeFact, 64, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'),
    "a fact is at most 64 of a-z, 0-9 and _"
}

/// A short text of an effect is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
#[non_exhaustive]
pub struct EffectTextError {
    what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_stored_under_their_own_names() {
        for action in Action::ALL {
            let text = serde_json::to_string(action).unwrap();
            assert_eq!(text, format!("\"{action}\""));
        }
        assert_eq!(Action::ALL.iter().filter(|action| !action.is_governance()).count(), 9);
    }

    #[test]
    fn malformed_texts_are_refused() {
        assert!(Selector::parse("0xa9059cbb").is_ok());
        assert!(Selector::parse("transfer(address)").is_err());
        assert!(DecodeFact::parse("Replayable").is_err());
        assert!(MessageKind::parse(&"a".repeat(65)).is_err());
    }
}
