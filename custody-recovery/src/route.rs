//! Several independent ways to the key of an archive. This file opens secrets.
//!
//! An archive key is wrapped to each route on its own; any one opens the archive, and losing any one
//! loses nothing. In the archive's header they are a list of objects, told apart by `route`:
//!
//! | `route` | fields | the archive key |
//! |---|---|---|
//! | `kek` | `kek`, `wrapped` | wrapped by a [`KeyEncryption`], with the context `custody/archive/route/v1`, archive id, custodian id |
//! | `officer` | `officer`, `public_key`, `encapsulated`, `sealed` | sealed by HPKE to the officer's X25519 key |
//! | `set` | `set`, `public_key`, `encapsulated`, `sealed` | sealed by HPKE to the X25519 key of a recovery set |
//!
//! HPKE is RFC 9180 in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305;
//! `info` is `custody/archive/route/v1`, a zero byte, the ids of archive and custodian (32 bytes
//! each), the route's name, a zero byte, and the id of the officer or set; there is no associated
//! data. The key of a recovery set is DeriveKeyPair (RFC 9180, section 7.1.3) of
//! HKDF-SHA-256(secret, `custody/recovery/key/v1`), 32 bytes, where the secret is what the shares of
//! the set give: an archive is made with the public key alone, and nobody has to gather shares for it.
//!
//! Invariant: which of several routes was tried, and why it did not open, is not told.

mod error;
mod id;
mod sealed_box;

use std::fmt;

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use custody_core::bytes::HexBytes;
use custody_core::id::{CustodianId, KekId, PrincipalId};
use custody_core::seam::{Entropy, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;

use crate::archive::{ArchiveId, ArchiveKey};
use crate::commitment::SetId;
pub use error::{Offer, RouteError, RoutesError};
pub use id::{RouteId, RouteKind};
pub(crate) use sealed_box::SealedBox;
pub use sealed_box::{X25519KeyError, X25519PublicKey, X25519SecretKey};

/// The public key of an officer who can open archives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the host builds it")]
pub struct OfficerKey {
    /// Who.
    pub officer: PrincipalId,
    /// The key.
    pub public_key: X25519PublicKey,
}

/// The public key of a recovery set: what an archive is sealed to, without a share of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryKey {
    set: SetId,
    public_key: X25519PublicKey,
}

impl RecoveryKey {
    /// The key of a set, as the record of its ceremony says.
    #[must_use]
    pub const fn new(set: SetId, public_key: X25519PublicKey) -> Self {
        Self { set, public_key }
    }

    /// The key of the set that shares this secret.
    ///
    /// # Errors
    /// Fails on a secret below 16 bytes.
    pub fn of(set: SetId, secret: &Secret) -> Result<Self, X25519KeyError> {
        Ok(Self { set, public_key: recovery_public_key(secret)? })
    }

    /// Which set.
    #[must_use]
    pub const fn set(&self) -> SetId {
        self.set
    }

    /// The key.
    #[must_use]
    pub const fn public_key(&self) -> &X25519PublicKey {
        &self.public_key
    }
}

/// Who is to be able to open an archive.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Recipient<'a> {
    /// Whoever can ask this key encryption.
    Kek(&'a dyn KeyEncryption),
    /// An officer.
    Officer(&'a OfficerKey),
    /// Whoever holds enough shares of a recovery set.
    Set(&'a RecoveryKey),
}

/// What opens an archive.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Opener<'a> {
    /// A key encryption.
    Kek(&'a dyn KeyEncryption),
    /// An officer's key.
    Officer(&'a X25519SecretKey),
    /// The secret that the shares of a recovery set gave.
    Set(&'a Secret),
}

impl Opener<'_> {
    const fn kind(&self) -> RouteKind {
        match self {
            Self::Kek(_) => RouteKind::Kek,
            Self::Officer(_) => RouteKind::Officer,
            Self::Set(_) => RouteKind::Set,
        }
    }
}

impl fmt::Debug for Opener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// The routes to the key of one archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Routes(Vec<Route>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "route", rename_all = "snake_case", deny_unknown_fields)]
enum Route {
    Kek {
        kek: KekId,
        wrapped: HexBytes,
    },
    Officer {
        officer: PrincipalId,
        public_key: X25519PublicKey,
        encapsulated: HexBytes,
        sealed: HexBytes,
    },
    Set {
        set: SetId,
        public_key: X25519PublicKey,
        encapsulated: HexBytes,
        sealed: HexBytes,
    },
}

impl Routes {
    /// Most routes of one archive.
    pub const MAX: usize = 32;

    /// Wraps an archive key to each of these recipients.
    ///
    /// # Errors
    /// Fails without recipients, with more than 32, if one stands twice, and if one cannot be wrapped
    /// to.
    ///
    /// # Security
    /// Each recipient alone opens the archive.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn wrap(
        key: &ArchiveKey,
        archive: &ArchiveId,
        custodian: &CustodianId,
        recipients: &[Recipient<'_>],
        entropy: &dyn Entropy,
    ) -> Result<Self, RouteError> {
        let bound = Bound { archive, custodian };
        let mut routes = Vec::new();
        for recipient in recipients.iter().take(Self::MAX.saturating_add(1)) {
            routes.push(match recipient {
                Recipient::Kek(kek) => Route::Kek {
                    kek: kek.id().clone(),
                    wrapped: HexBytes::new(kek.wrap(key.secret(), &bound.context()).await?),
                },
                Recipient::Officer(OfficerKey { officer, public_key }) => {
                    let info = bound.info(RouteKind::Officer, officer.as_str());
                    let sealed = SealedBox::seal(public_key, &info, key.secret(), entropy)?;
                    let (encapsulated, sealed) = sealed.into_hex();
                    let (officer, public_key) = (officer.clone(), *public_key);
                    Route::Officer { officer, public_key, encapsulated, sealed }
                }
                Recipient::Set(RecoveryKey { set, public_key }) => {
                    let info = bound.info(RouteKind::Set, &set.to_string());
                    let sealed = SealedBox::seal(public_key, &info, key.secret(), entropy)?;
                    let (encapsulated, sealed) = sealed.into_hex();
                    let (set, public_key) = (*set, *public_key);
                    Route::Set { set, public_key, encapsulated, sealed }
                }
            });
        }
        let routes = Self(routes);
        routes.check()?;
        Ok(routes)
    }

    /// Gets the archive key back.
    ///
    /// # Errors
    /// `WrongRoute` with what the archive offers if none opens, and the backend's own error if it
    /// cannot be asked.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn open(
        &self,
        archive: &ArchiveId,
        custodian: &CustodianId,
        opener: Opener<'_>,
    ) -> Result<ArchiveKey, RouteError> {
        let bound = Bound { archive, custodian };
        let opened = match opener {
            Opener::Kek(kek) => self.open_kek(&bound, kek).await?,
            Opener::Officer(secret_key) => self.open_sealed(RouteKind::Officer, &bound, secret_key),
            Opener::Set(secret) => match recovery_secret_key(secret) {
                Ok(secret_key) => self.open_sealed(RouteKind::Set, &bound, &secret_key),
                Err(_) => None,
            },
        };
        let key = opened.and_then(|secret| ArchiveKey::new(secret).ok());
        let wrong = || RouteError::WrongRoute { tried: opener.kind(), offered: Offer(self.ids()) };
        key.ok_or_else(wrong)
    }

    /// What the archive can be opened with.
    #[must_use]
    pub fn ids(&self) -> Vec<RouteId> {
        self.0.iter().map(Route::id).collect()
    }

    /// Checks that the routes go together: at least one, none twice, each of its lengths.
    pub(crate) fn check(&self) -> Result<(), RoutesError> {
        if self.0.is_empty() || self.0.len() > Self::MAX {
            return Err(RoutesError::Count { count: self.0.len() });
        }
        let mut ids = self.ids();
        ids.sort();
        let twice = ids.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(one.clone()),
            _ => None,
        });
        if let Some(id) = twice {
            return Err(RoutesError::Twice { id });
        }
        match self.0.iter().find(|route| !route.has_its_lengths()) {
            Some(route) => Err(RoutesError::Length { id: route.id() }),
            None => Ok(()),
        }
    }

    async fn open_kek(
        &self,
        bound: &Bound<'_>,
        kek: &dyn KeyEncryption,
    ) -> Result<Option<Secret>, RouteError> {
        let mut opened = None;
        for route in &self.0 {
            let Route::Kek { kek: id, wrapped } = route else { continue };
            if id != kek.id() {
                continue;
            }
            match kek.unwrap(wrapped.as_bytes(), &bound.context()).await {
                Ok(secret) => opened = Some(secret),
                Err(error) if is_refusal(error.kind()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(opened)
    }

    /// Tries every route of this kind, so that it does not show in the time which one opens.
    fn open_sealed(
        &self,
        kind: RouteKind,
        bound: &Bound<'_>,
        secret_key: &X25519SecretKey,
    ) -> Option<Secret> {
        let mut opened = None;
        for route in self.0.iter().filter(|route| route.kind() == kind) {
            let (Route::Officer { encapsulated, sealed, .. }
            | Route::Set { encapsulated, sealed, .. }) = route
            else {
                continue;
            };
            let sealed = SealedBox::from_hex(encapsulated, sealed);
            let secret = sealed.open(secret_key, &bound.info(kind, &route.id().id));
            opened = secret.or(opened);
        }
        opened
    }
}

impl Route {
    const fn kind(&self) -> RouteKind {
        match self {
            Self::Kek { .. } => RouteKind::Kek,
            Self::Officer { .. } => RouteKind::Officer,
            Self::Set { .. } => RouteKind::Set,
        }
    }

    fn id(&self) -> RouteId {
        let id = match self {
            Self::Kek { kek, .. } => kek.to_string(),
            Self::Officer { officer, .. } => officer.to_string(),
            Self::Set { set, .. } => set.to_string(),
        };
        RouteId { kind: self.kind(), id: id.into() }
    }

    fn has_its_lengths(&self) -> bool {
        match self {
            Self::Kek { wrapped, .. } => (1..=WRAPPED_MAX).contains(&wrapped.as_bytes().len()),
            Self::Officer { encapsulated, sealed, .. } | Self::Set { encapsulated, sealed, .. } => {
                encapsulated.as_bytes().len() == 32 && sealed.as_bytes().len() == 48
            }
        }
    }
}

/// What every route is bound to.
struct Bound<'a> {
    archive: &'a ArchiveId,
    custodian: &'a CustodianId,
}

impl Bound<'_> {
    fn context(&self) -> [&[u8]; 3] {
        [LABEL, self.archive.as_bytes(), self.custodian.digest().as_bytes()]
    }

    fn info(&self, kind: RouteKind, id: &str) -> Vec<u8> {
        let (archive, custodian) = (self.archive.as_bytes(), self.custodian.digest().as_bytes());
        let kind = kind.as_str().as_bytes();
        [LABEL, &[0], archive, custodian, kind, &[0], id.as_bytes()].concat()
    }
}

/// The public key of the set that shares this secret.
pub(crate) fn recovery_public_key(secret: &Secret) -> Result<X25519PublicKey, X25519KeyError> {
    Ok(recovery_secret_key(secret)?.public_key())
}

/// The X25519 key that the secret of a recovery set is.
fn recovery_secret_key(secret: &Secret) -> Result<X25519SecretKey, X25519KeyError> {
    if secret.len() < RECOVERY_SECRET_MIN {
        return Err(X25519KeyError::Length { length: secret.len() });
    }
    let root = Hkdf::<Sha256>::new(None, secret.expose());
    let material = Secret::try_fill(32, |bytes| root.expand(b"custody/recovery/key/v1", bytes))
        .map_err(|_| X25519KeyError::Derivation)?;
    Ok(X25519SecretKey::derive(&material))
}

/// Whether a key encryption answered that this is not its own, rather than that it cannot say.
const fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Refused)
}

const LABEL: &[u8] = b"custody/archive/route/v1";
const WRAPPED_MAX: usize = 8 * 1024;
/// The shortest secret that SLIP-39 shares.
const RECOVERY_SECRET_MIN: usize = 16;
