//! The encryption context of a call, as far as it is the custodian's.
//!
//! What belongs to a wallet is sealed under the names of custodian, purpose and wallet; anything else
//! under a purpose of its own, the digest of what it is and the name of the house, if it has one.

use custody_core::digest::Digest;
use custody_core::id::{CustodianId, WalletId};
use serde::Serialize;

use super::fields::{FieldError, Object};
use super::keys::TrailKeys;
use super::orders::OrderLog;
use crate::iam::OTHER_PURPOSE;

/// What a call says that it seals or opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    context: Option<String>,
    custodian: Option<String>,
    house: Option<String>,
    purpose: Option<String>,
    wallet: Option<String>,
}

/// Why the encryption context of a call is not one that the custodian uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContextFault {
    /// It does not name all that the custodian's contexts name.
    Incomplete,
    /// There is none.
    Missing,
    /// It names another custodian.
    OtherCustodian,
    /// It names another house, or none where ours has a name.
    OtherHouse,
    /// What was sealed moved to or from a key that is not the custodian's.
    OtherKey,
    /// It names something besides wallets that is not known.
    UnknownContext,
    /// It names a wallet that no order of the log made.
    UnknownWallet,
}

/// What a context is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// Something besides wallets.
    Other,
    /// A wallet of the custodian.
    Wallet,
}

impl Context {
    pub(super) fn parse(object: &Object<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            context: object.text("custody:context")?,
            custodian: object.text("custody:custodian")?,
            house: object.text("custody:house")?,
            purpose: object.text("custody:purpose")?,
            wallet: object.text("custody:wallet")?,
        })
    }

    /// The wallet, if what is named could be one.
    pub(super) fn wallet(&self) -> Option<WalletId> {
        WalletId::parse(self.wallet.as_deref()?).ok()
    }

    /// The digest of something besides wallets, if what is named could be one.
    pub(super) fn digest(&self) -> Option<Digest> {
        Digest::parse(self.context.as_deref()?).ok()
    }

    /// What it is of.
    pub(super) fn check(&self, log: &OrderLog, keys: &TrailKeys) -> Result<Sealed, ContextFault> {
        match (&self.custodian, &self.purpose, &self.wallet, &self.context) {
            (Some(custodian), Some(_), Some(wallet), None) if self.house.is_none() => {
                let is_wallet = WalletId::parse(wallet).is_ok_and(|wallet| log.has_wallet(&wallet));
                if !names(custodian, keys.custodian()) {
                    Err(ContextFault::OtherCustodian)
                } else if is_wallet {
                    Ok(Sealed::Wallet)
                } else if keys.has_scope(wallet) {
                    Ok(Sealed::Other)
                } else {
                    Err(ContextFault::UnknownWallet)
                }
            }
            (None, Some(purpose), None, Some(digest)) if purpose == OTHER_PURPOSE => {
                if !keys.is_house(self.house.as_deref()) {
                    Err(ContextFault::OtherHouse)
                } else if keys.has_context(digest) {
                    Ok(Sealed::Other)
                } else {
                    Err(ContextFault::UnknownContext)
                }
            }
            _ => Err(ContextFault::Incomplete),
        }
    }
}

fn names(text: &str, custodian: CustodianId) -> bool {
    text == custodian.to_string()
}
