//! A wallet of a custodian as a signer that other libraries know.
//!
//! Invariant: whatever is signed here went through the custodian's one flow; an adapter has no key
//! and no way around the rules. Only the modules below name types of other libraries.

#[cfg(feature = "alloy")]
mod alloy;
#[cfg(feature = "bdk")]
mod bdk;
#[cfg(feature = "bitcoin")]
mod psbt;
#[cfg(feature = "signature")]
mod signature;
#[cfg(any(feature = "solana-keychain", feature = "solana-presigner"))]
mod solana;
#[cfg(feature = "solana-keychain")]
mod solana_keychain;
#[cfg(feature = "solana-presigner")]
mod solana_presigner;

use std::error::Error as StdError;

use custody_core::crypto::PublicKey;
#[cfg(any(
    feature = "alloy",
    feature = "signature",
    feature = "solana-keychain",
    feature = "solana-presigner"
))]
use custody_core::crypto::Signature;
use custody_core::custodian::{Answer, Custodian, Error, Outcome, Release, Request, RequestedWork};
use custody_core::digest::Digest;
use custody_core::document::Hold;
#[cfg(any(feature = "alloy", feature = "signature"))]
use custody_core::id::PayloadFormat;
use custody_core::id::{IdError, KeyId, OrderId, PrincipalId, RequestId, RuleId, WalletId};
use custody_core::seam::{Authentication, Payload};

#[cfg(feature = "bdk")]
pub use self::bdk::bdk_descriptors;
#[cfg(feature = "bitcoin")]
pub use self::psbt::SignedPsbt;
#[cfg(feature = "solana-keychain")]
pub use self::solana_keychain::KeychainSigner;

/// A key of a wallet that signs whatever the custodian's rules allow.
///
/// The request id follows from what is asked: whoever asks for the same bytes again gets the same
/// order, and so the finished signature once people have approved it. What was denied stays denied;
/// [`Self::attempt`] asks anew.
#[derive(Clone)]
pub struct WalletSigner {
    custodian: Custodian,
    requester: PrincipalId,
    wallet: WalletId,
    key: KeyId,
    public_key: PublicKey,
    authentication: Authentication,
    attempt: u32,
    #[cfg(feature = "alloy")]
    chain_id: Option<u64>,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The call failed; the cause may name an order.
    #[error("the custodian did not take the request")]
    Custodian(#[from] Error),
    /// The rules or a person said no, for good.
    #[error("order {order} is denied")]
    Denied {
        /// The order.
        order: OrderId,
        /// The rules that denied it; empty if a person rejected it.
        rules: Vec<RuleId>,
    },
    /// The order ended without a signature: cancelled or expired.
    #[error("order {order} ended without a signature")]
    Ended {
        /// The order.
        order: OrderId,
    },
    /// Nothing was signed.
    #[error("order {order} failed")]
    Failed {
        /// The order.
        order: OrderId,
        /// Why.
        reason: Hold,
    },
    /// A text of the request is malformed.
    #[error("the request cannot be named")]
    Id(#[from] IdError),
    /// The wallet has no such key.
    #[error("the wallet has no such key")]
    Key,
    /// The order waits for people or for time. Ask for the same again once they have approved.
    #[error("order {order} waits for approvals")]
    Pending {
        /// The order.
        order: OrderId,
    },
    /// What was released is not what the caller can use.
    #[error("order {order} was released without the signature that was asked for")]
    Release {
        /// The order.
        order: OrderId,
    },
    /// A signature may exist.
    #[error("order {order} has an unknown outcome")]
    Unknown {
        /// The order.
        order: OrderId,
    },
    /// It is not signed by these means.
    #[error("{what} is not signed")]
    Unsupported {
        /// What is not signed.
        what: &'static str,
    },
}

impl WalletSigner {
    /// The key `key` of `wallet`, asked for in the name of `requester`, whom the host has
    /// authenticated.
    ///
    /// # Errors
    /// [`AdapterError::Key`] if the wallet has no such key.
    pub fn new(
        custodian: Custodian,
        requester: PrincipalId,
        wallet: WalletId,
        key: KeyId,
    ) -> Result<Self, AdapterError> {
        let found = custodian.key(&key).filter(|found| *found.wallet() == wallet);
        let public_key = found.ok_or(AdapterError::Key)?.public_key().clone();
        Ok(Self {
            custodian,
            requester,
            wallet,
            key,
            public_key,
            authentication: Authentication::default(),
            attempt: 0,
            #[cfg(feature = "alloy")]
            chain_id: None,
        })
    }

    /// The signer, with what the host knows about the requester's login.
    #[must_use]
    pub fn authenticated(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// The signer for the attempt with this number: the same bytes are another request in another
    /// attempt.
    #[must_use]
    pub const fn attempt(mut self, number: u32) -> Self {
        self.attempt = number;
        self
    }

    /// The recorded public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Has a payload signed, or gets what it became before.
    ///
    /// # Errors
    /// [`AdapterError::Pending`] while it waits; otherwise what became of it.
    ///
    /// # Cancel safety
    /// The order goes on; ask for the same again.
    pub async fn sign_payload(&self, payload: Payload) -> Result<Released, AdapterError> {
        self.submit(Some(&self.key), payload).await
    }

    /// Asks for a payload to be signed by `key`, or by all active keys of the wallet that it needs.
    async fn submit(
        &self,
        key: Option<&KeyId>,
        payload: Payload,
    ) -> Result<Released, AdapterError> {
        let id = RequestId::parse(&self.request_id(key, &payload).to_string())?;
        let work =
            RequestedWork::Payload { wallet: self.wallet.clone(), key: key.cloned(), payload };
        let request = Request {
            requester: self.requester.clone(),
            id,
            work,
            expires: None,
            authentication: self.authentication.clone(),
            signature: None,
        };
        released(Box::pin(self.custodian.submit(request)).await?)
    }

    fn request_id(&self, key: Option<&KeyId>, payload: &Payload) -> Digest {
        let fields = [
            self.requester.as_str().as_bytes(),
            self.wallet.as_str().as_bytes(),
            key.map_or("", KeyId::as_str).as_bytes(),
            payload.format.as_str().as_bytes(),
            &payload.bytes,
            &self.attempt.to_be_bytes(),
        ];
        Digest::tagged("custody/adapter/v1", &fields)
    }

    /// The one signature of a payload of this format.
    #[cfg(any(feature = "alloy", feature = "signature"))]
    async fn sign(&self, format: &str, bytes: Vec<u8>) -> Result<Signature, AdapterError> {
        self.signature_of(Payload { format: PayloadFormat::parse(format)?, bytes }).await
    }

    /// The one signature of a payload.
    #[cfg(any(
        feature = "alloy",
        feature = "signature",
        feature = "solana-keychain",
        feature = "solana-presigner"
    ))]
    async fn signature_of(&self, payload: Payload) -> Result<Signature, AdapterError> {
        let Released { order, release } = self.sign_payload(payload).await?;
        match release.signatures.as_slice() {
            [one] if one.key == self.key => Ok(one.signature.clone()),
            _ => Err(AdapterError::Release { order }),
        }
    }
}

impl std::fmt::Debug for WalletSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalletSigner")
            .field("wallet", &self.wallet)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What was released, and the order that it was released for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Released {
    /// The order.
    pub order: OrderId,
    /// The signed form, the signatures, and the receipt.
    pub release: Release,
}

fn released(answer: Answer) -> Result<Released, AdapterError> {
    let Answer { order, outcome, .. } = answer;
    Err(match outcome {
        Outcome::Released(release) => return Ok(Released { order, release: *release }),
        Outcome::Denied { rules } => AdapterError::Denied { order, rules },
        Outcome::Failed { reason } => AdapterError::Failed { order, reason },
        Outcome::Pending { .. } => AdapterError::Pending { order },
        Outcome::Cancelled | Outcome::Expired => AdapterError::Ended { order },
        Outcome::Unknown { .. } | _ => AdapterError::Unknown { order },
    })
}

impl AdapterError {
    /// The error of an adapter inside of an error of another library.
    #[must_use]
    pub fn find_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        const DEPTH_MAX: usize = 32;
        let mut next = Some(error);
        for _ in 0..DEPTH_MAX {
            let error = next?;
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The order that it is about.
    #[must_use]
    pub const fn order(&self) -> Option<&OrderId> {
        match self {
            Self::Denied { order, .. }
            | Self::Ended { order }
            | Self::Failed { order, .. }
            | Self::Pending { order }
            | Self::Release { order }
            | Self::Unknown { order } => Some(order),
            Self::Custodian(Error::Indeterminate { order } | Error::Unavailable { order }) => {
                order.as_ref()
            }
            Self::Custodian(Error::RequestReused { order }) => Some(order),
            Self::Custodian(_) | Self::Id(_) | Self::Key | Self::Unsupported { .. } => None,
        }
    }
}

/// An error of an adapter as the cause of an error that shows itself as another's would: libraries
/// that pass an error through as their own tell of its cause only.
#[cfg(any(feature = "alloy", feature = "signature"))]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Foreign(#[source] AdapterError);
