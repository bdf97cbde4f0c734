//! The backend: keys that live in a token.

use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::{BackendId, BackendIdentity, KekId};
use custody_core::seam::{
    BackendError, ErrorKind, Exportability, Health, KeyBackend, KeyHandle, KeyRecord, KeyRequest,
    KeyWrapping, NewKey, Signer,
};
use custody_core::secret::Secret;

use crate::config::HsmConfig;
use crate::fault::{Effect, Fault};
use crate::handle::{self, Handle, Owner};
use crate::kek::HsmKek;
use crate::object::{self, Wanted};
use crate::observer::Observer;
use crate::open::{HsmOpenError, Opened, open};
use crate::pool::{Call, Pool};
use crate::report::TokenReport;
use crate::seat::Seat;
use crate::signer::HsmSigner;
use crate::token::Tag;
use crate::wrap;

/// Keys in one token of a PKCS#11 module.
///
/// They are made inside, sensitive, for signing only and, unless a key was asked for as
/// exportable, never extractable. The token's own word about that is kept in the key's handle.
///
/// The last owner that is dropped, of the backend and its signers, waits for calls that are under
/// way, no longer than a signature may take; not for calls that were given up.
#[derive(Debug)]
pub struct HsmBackend {
    id: BackendId,
    identity: BackendIdentity,
    algorithms: Vec<Algorithm>,
    destroyable: bool,
    wraps: bool,
    pool: Arc<Pool>,
}

impl HsmBackend {
    /// Opens the module and the token, and logs in.
    ///
    /// # Errors
    /// [`HsmOpenError`], which names the field of the configuration that is wrong.
    ///
    /// # Cancel safety
    /// The module may stay open until the opening ends.
    pub async fn open(config: HsmConfig, observer: Observer) -> Result<Self, HsmOpenError> {
        let Opened { pool, identity, algorithms } = open(&config, observer).await?;
        let destroyable = config.destroyable;
        let wraps = config.wrapping && wrap::is_offered(&pool.token().facts().mechanisms);
        Ok(Self { id: config.id, identity, algorithms, destroyable, wraps, pool: Arc::new(pool) })
    }

    /// The key of this name that encrypts data keys, made in the token if there is none: an AES-256
    /// key that may encrypt and decrypt and nothing else.
    ///
    /// # Errors
    /// `Unsupported` if the token has no AES-GCM; `Refused` if the token's key may do more, or was
    /// brought in from outside.
    ///
    /// # Cancel safety
    /// The key may be made all the same; ask for it again.
    pub async fn key_encryption(&self, name: &str) -> Result<HsmKek, BackendError> {
        HsmKek::open(Arc::clone(&self.pool), name, self.destroyable).await
    }

    /// Makes an AES-256 key in the token that wraps keys and does nothing else. What it wraps comes
    /// back to this token alone.
    ///
    /// # Errors
    /// `Conflict` if there is one of this name.
    ///
    /// # Cancel safety
    /// The key may be made all the same.
    pub async fn create_wrapping_key(&self, name: &KekId) -> Result<(), BackendError> {
        self.bring(name.clone(), None).await
    }

    /// Brings an AES-256 key into the token that wraps keys and does nothing else: a recovery key,
    /// that another token has too, so that a key that was wrapped here comes back there.
    ///
    /// # Errors
    /// `Refused` for a key that has not 32 bytes; `Conflict` if there is one of this name.
    ///
    /// # Security
    /// Whoever has this key can read every key that it wraps.
    ///
    /// # Cancel safety
    /// The key may be there all the same.
    pub async fn import_wrapping_key(&self, name: &KekId, key: Secret) -> Result<(), BackendError> {
        if key.len() != WRAPPING_KEY {
            return Err(BackendError::new(ErrorKind::Refused, BRING));
        }
        self.bring(name.clone(), Some(key)).await
    }

    /// What the token says about itself now.
    ///
    /// # Errors
    /// The kinds of [`ErrorKind`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn report(&self) -> Result<TokenReport, BackendError> {
        let usage = self.pool.usage();
        let report = self.pool.call(self.reading(), move |seat| seat.report(usage));
        report.await.map_err(|fault| fault.into_error("ask the token"))
    }

    async fn bring(&self, name: KekId, key: Option<Secret>) -> Result<(), BackendError> {
        let destroyable = self.destroyable;
        let brought = self.pool.call(self.making(), move |seat| {
            seat.with(|session, token, _| {
                wrap::bring(session, token, (&name, destroyable), key.as_ref())
            })
        });
        brought.await.map_err(|fault| fault.into_error(BRING))
    }

    fn making(&self) -> Call {
        Call { limit: self.pool.limits().generate, effect: Effect::Some }
    }

    fn wanted(&self, request: &KeyRequest) -> Wanted {
        Wanted {
            tag: handle::tag(&request.custodian, &request.key),
            label: handle::label(request),
            algorithm: request.algorithm,
            exportability: request.exportability,
            destroyable: self.destroyable,
        }
    }

    /// The handle of a record, if it is of this token.
    fn handle(&self, key: &KeyRecord, operation: &'static str) -> Result<Handle, BackendError> {
        let corrupt = Fault::found(ErrorKind::Corrupt, "the handle is not the key's");
        let handle = Handle::read(key).ok_or_else(|| corrupt.into_error(operation))?;
        if handle.serial != self.pool.token().facts().serial {
            let other = Fault::found(ErrorKind::NotFound, "the key is in another token");
            return Err(other.into_error(operation));
        }
        Ok(handle)
    }

    fn reading(&self) -> Call {
        Call { limit: self.pool.limits().sign, effect: Effect::None }
    }
}

#[async_trait]
impl KeyBackend for HsmBackend {
    fn id(&self) -> &BackendId {
        &self.id
    }

    fn identity(&self) -> &BackendIdentity {
        &self.identity
    }

    fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    fn in_process(&self) -> bool {
        false
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        if !self.algorithms.contains(&request.algorithm) {
            return Err(BackendError::new(ErrorKind::Unsupported, GENERATE));
        }
        let wanted = self.wanted(request);
        let made = self.pool.call(self.making(), move |seat| {
            seat.with(|session, token, _| object::generate(session, token, &wanted))
        });
        let found = made.await.map_err(|fault| fault.into_error(GENERATE))?;
        let owner = Owner {
            custodian: &request.custodian,
            wallet: &request.wallet,
            key: &request.key,
            public_key: &found.public_key,
        };
        let serial = &self.pool.token().facts().serial;
        let handle = Handle::new(serial, owner, request.exportability, found.provenance);
        let handle = handle.and_then(|handle| handle.write());
        let handle = handle.ok_or_else(|| BackendError::new(ErrorKind::Corrupt, GENERATE))?;
        Ok(NewKey { public_key: found.public_key, handle })
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let _handle = self.handle(key, OPEN)?;
        let (tag, algorithm) = (Owner::of(key).tag(), key.public_key.algorithm());
        let read = self.pool.call(self.reading(), move |seat| public_key(seat, tag, algorithm));
        let public_key = read.await.map_err(|fault| fault.into_error(OPEN))?;
        if public_key != key.public_key {
            let what = "the token's public key is not the recorded one";
            return Err(Fault::found(ErrorKind::Corrupt, what).into_error(OPEN));
        }
        Ok(Arc::new(HsmSigner { pool: Arc::clone(&self.pool), tag, public_key }))
    }

    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        self.wraps.then_some(self as _)
    }

    async fn health(&self) -> Health {
        if !self.pool.is_open() {
            return Health::Unavailable;
        }
        let algorithm = self.algorithms.first().copied();
        let looked = self.pool.call(self.reading(), move |seat| {
            seat.read(&Tag([0; 32]), |session, token, life| {
                token.keys(session, life)?;
                algorithm.map_or(Ok(()), |algorithm| token.canary(session, life, algorithm))
            })
        });
        match looked.await {
            Ok(()) => Health::Ready,
            Err(error) => {
                tracing::warn!(%error, "the token does not serve");
                Health::Unavailable
            }
        }
    }
}

#[async_trait]
impl KeyWrapping for HsmBackend {
    async fn wrap(&self, key: &KeyRecord, under: &KekId) -> Result<Vec<u8>, BackendError> {
        let handle = self.handle(key, WRAP)?;
        if handle.exportability() != Exportability::Wrapped {
            let kept =
                Fault::found(ErrorKind::Refused, "the key was made as one that never leaves");
            return Err(kept.into_error(WRAP));
        }
        let (tag, public_key, under) =
            (Owner::of(key).tag(), key.public_key.clone(), under.clone());
        let wrapped = self.pool.call(self.reading(), move |seat| {
            seat.read(&tag, |session, token, _| {
                wrap::wrap(session, token, &tag, &public_key, &under)
            })
        });
        wrapped.await.map_err(|fault| fault.into_error(WRAP))
    }

    async fn unwrap(
        &self,
        key: &KeyRecord,
        wrapped: &[u8],
        under: &KekId,
    ) -> Result<KeyHandle, BackendError> {
        let request = KeyRequest {
            custodian: key.custodian,
            wallet: key.wallet.clone(),
            key: key.key.clone(),
            algorithm: key.public_key.algorithm(),
            exportability: Exportability::Wrapped,
        };
        let (wanted, public_key) = (self.wanted(&request), key.public_key.clone());
        let (wrapped, under) = (wrapped.to_vec(), under.clone());
        let back = self.pool.call(self.making(), move |seat| {
            seat.with(|session, token, _| {
                wrap::unwrap(session, token, (&wanted, &public_key), &wrapped, &under)
            })
        });
        let provenance = back.await.map_err(|fault| fault.into_error(UNWRAP))?;
        let serial = &self.pool.token().facts().serial;
        let handle = Handle::new(serial, Owner::of(key), Exportability::Wrapped, provenance);
        let unwritten = || BackendError::new(ErrorKind::Corrupt, UNWRAP);
        handle.and_then(|handle| handle.write()).ok_or_else(unwritten)
    }
}

/// The public key of a key that is there, private part and all.
fn public_key(seat: &mut Seat, tag: Tag, algorithm: Algorithm) -> Result<PublicKey, Fault> {
    seat.read(&tag, |session, token, life| {
        // Looked up anew: a number that was found before may be that of another key by now.
        token.forget(&tag);
        let _private = token.private_key(session, &tag, life)?;
        object::public_key(session, token, &tag, algorithm)
    })
}

const GENERATE: &str = "generate a key";
const OPEN: &str = "open a key";
const BRING: &str = "bring a key that wraps";
const WRAP: &str = "wrap a key";
const UNWRAP: &str = "unwrap a key";
/// An AES-256 key, in bytes.
const WRAPPING_KEY: usize = 32;
