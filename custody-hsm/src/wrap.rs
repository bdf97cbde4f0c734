//! Backup of keys under another key of the token.
//!
//! Invariant: the key that wraps does nothing but wrap and unwrap. What comes back lies in the
//! token only after it has signed, in a session, under the recorded public key, and is believed
//! only if the token says of it what it must say of a key that is made.

use cryptoki::error::RvError;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::id::KekId;
use custody_core::seam::ErrorKind;
use custody_core::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::aes::{self, AesKey, Task};
use crate::canary::prove;
use crate::fault::Fault;
use crate::handle::Provenance;
use crate::object::{self, Origin, Place, Wanted, take_back};
use crate::point;
use crate::strictness::strictly;
use crate::token::{Tag, Token, one_at_most};

/// A wrapped key, with what is needed to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wrapped {
    v: u8,
    /// Modules give one number to different mechanisms, so the maker stands beside it.
    mechanism: String,
    manufacturer: String,
    model: String,
    under: String,
    public_key: PublicKey,
    wrapped: String,
    sum: Digest,
}

impl Wrapped {
    fn new(token: &Token, under: &KekId, public_key: PublicKey, wrapped: &[u8]) -> Option<Self> {
        let facts = token.facts();
        let unsummed = Self {
            v: VERSION,
            mechanism: MECHANISM.to_owned(),
            manufacturer: facts.manufacturer.clone(),
            model: facts.model.clone(),
            under: under.as_str().to_owned(),
            public_key,
            wrapped: hex::encode(wrapped),
            sum: Digest::of(&[]),
        };
        let sum = unsummed.summed()?;
        Some(Self { sum, ..unsummed })
    }

    fn summed(&self) -> Option<Digest> {
        let bytes = serde_json::to_vec(&Self { sum: Digest::of(&[]), ..self.clone() }).ok()?;
        Some(Digest::tagged("custody/hsm/wrapped/v1", &[&bytes]))
    }

    /// The wrapped bytes of a key with this public key, under this key.
    pub(crate) fn read(bytes: &[u8], under: &KekId, public_key: &PublicKey) -> Option<Vec<u8>> {
        let read: Self = serde_json::from_slice(bytes).ok()?;
        let is_it = read.v == VERSION
            && read.mechanism == MECHANISM
            && read.under == under.as_str()
            && read.public_key == *public_key
            && read.summed()? == read.sum
            && serde_json::to_vec(&read).ok()? == bytes;
        if is_it { hex::decode(&read.wrapped).ok() } else { None }
    }
}

/// Whether a token wraps keys in the way that this crate uses.
pub(crate) fn is_offered(mechanisms: &[MechanismType]) -> bool {
    mechanisms.contains(&MechanismType::AES_KEY_WRAP_PAD)
}

/// `CKA_ID` of the key that wraps.
fn tag(under: &KekId) -> Tag {
    Tag(*Digest::tagged("custody/hsm/wrapping/v1", &[under.as_str().as_bytes()]).as_bytes())
}

/// Brings a key that wraps into the token, unless it is there.
pub(crate) fn bring(
    session: &Session,
    token: &Token,
    (under, destroyable): (&KekId, bool),
    key: Option<&Secret>,
) -> Result<(), Fault> {
    let label = format!("custody wrapping {under}");
    let wanted = AesKey { tag: tag(under), label, task: Task::Wrap, destroyable };
    // From the first search to the last nobody else of this process makes one.
    let _alone = token.module().objects()?;
    let search = || token.search(session, ObjectClass::SECRET_KEY, &wanted.tag);
    let taken = || Fault::found(ErrorKind::Conflict, "the token has such a key");
    if !search()?.is_empty() {
        return Err(taken());
    }
    let made = aes::make(session, &wanted, key)?;
    if search().map_err(Fault::once_made)? == [made] {
        return Ok(());
    }
    // Another process made one at the same time. Nothing is wrapped under ours yet.
    take_back(session, &[made])?;
    let _other = one_at_most(&search().map_err(Fault::once_made)?)?;
    Err(taken())
}

/// The key that wraps. It may have been brought in: another token is to have it too.
fn wrapping(session: &Session, token: &Token, under: &KekId) -> Result<ObjectHandle, Fault> {
    let none = Fault::found(ErrorKind::NotFound, "the token has no such key to wrap under");
    let key = token.only(session, ObjectClass::SECRET_KEY, &tag(under))?.ok_or(none)?;
    aes::check(session, key, Task::Wrap, Origin::Elsewhere).map(|()| key)
}

/// Wraps a key.
pub(crate) fn wrap(
    session: &Session,
    token: &Token,
    key: &Tag,
    public_key: &PublicKey,
    under: &KekId,
) -> Result<Vec<u8>, Fault> {
    let wrapping = wrapping(session, token, under)?;
    // Found now, and proved: what is wrapped is looked at again only when it is needed.
    let none = Fault::found(ErrorKind::NotFound, "the token has no such key");
    let key = token.only(session, ObjectClass::PRIVATE_KEY, key)?.ok_or(none)?;
    prove(session, key, public_key, WRAPPED)?;
    let wrapped =
        session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, key).map_err(Fault::read)?;
    let unwritten = Fault::found(ErrorKind::Corrupt, "the wrapped key cannot be written");
    Wrapped::new(token, under, public_key.clone(), &wrapped)
        .and_then(|wrapped| serde_json::to_vec(&wrapped).ok())
        .ok_or(unwritten)
}

/// Brings a key back, or proves that what was wrapped is the key that is there. Answers what the
/// token says about it.
pub(crate) fn unwrap(
    session: &Session,
    token: &Token,
    (wanted, public_key): (&Wanted, &PublicKey),
    wrapped: &[u8],
    under: &KekId,
) -> Result<Provenance, Fault> {
    let not_it = Fault::found(ErrorKind::Corrupt, "the bytes are not the key, wrapped");
    let bytes = Wrapped::read(wrapped, under, public_key).ok_or(not_it)?;
    let wrapping = wrapping(session, token, under)?;
    try_in_session(session, token, (wanted, public_key), (wrapping, &bytes))?;
    // Before the private key, which may be one that the token does not let go again.
    show(session, token, wanted, public_key)?;
    let (there, key) = {
        // From the search on nobody else of this process brings it back or makes it.
        let _alone = token.module().objects()?;
        let there = one_at_most(&token.search(session, ObjectClass::PRIVATE_KEY, &wanted.tag)?)?;
        let back = || open(session, (wrapping, &bytes), wanted, Place::Token);
        (there, there.map_or_else(back, Ok)?)
    };
    let hardened = if there.is_none() { harden(session, key) } else { Ok(()) };
    match hardened.and_then(|()| look(session, token, key, (wanted, public_key))) {
        // One that was there stays. Of what was brought back nothing is left unless all went well.
        Err(fault) if there.is_none() => {
            take_back(session, &[key])?;
            Err(fault.once_made())
        }
        looked => looked,
    }
}

/// Whether the bytes are the key: it is brought back into the session alone, signs, and ends.
fn try_in_session(
    session: &Session,
    token: &Token,
    (wanted, public_key): (&Wanted, &PublicKey),
    wrapped: (ObjectHandle, &[u8]),
) -> Result<(), Fault> {
    let key = {
        let _alone = token.module().objects()?;
        open(session, wrapped, wanted, Place::Session)?
    };
    let proved = prove(session, key, public_key, RESTORED);
    session.destroy_object(key).map_err(|error| Fault::Made { error })?;
    proved
}

/// What is verified of a key that was made is verified of one that came back. That it was
/// extractable once, and was not made in the token, is known.
fn look(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
    (wanted, public_key): (&Wanted, &PublicKey),
) -> Result<Provenance, Fault> {
    let shown = (public_key.clone(), wanted);
    let found = object::examine(session, token, key, shown, Origin::Elsewhere)?;
    // Another process that brought it back at the same time has made two.
    if token.only(session, ObjectClass::PRIVATE_KEY, &wanted.tag)? == Some(key) {
        return Ok(found.provenance);
    }
    Err(Fault::found(ErrorKind::Corrupt, "another key has the place of the restored one"))
}

/// Unwraps a key into a place.
fn open(
    session: &Session,
    (wrapping, bytes): (ObjectHandle, &[u8]),
    wanted: &Wanted,
    place: Place,
) -> Result<ObjectHandle, Fault> {
    let none = Fault::found(ErrorKind::Unsupported, "the algorithm has no key here");
    let kind = object::kind(wanted.algorithm).ok_or(none)?;
    let opened = strictly(|strictness| {
        let mut template = object::private_template(wanted, kind, strictness, place);
        template.insert(0, Attribute::Class(ObjectClass::PRIVATE_KEY));
        session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, bytes, &template)
    });
    opened.map_err(unwrapped)
}

/// Modules do not say that wrapped bytes were changed; most of these answers mean it.
fn unwrapped(error: cryptoki::error::Error) -> Fault {
    let fault = Fault::act(error);
    match fault.answer() {
        Some(
            RvError::DataInvalid
            | RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::FunctionFailed
            | RvError::GeneralError
            | RvError::WrappedKeyInvalid
            | RvError::WrappedKeyLenRange,
        ) => Fault::found(ErrorKind::Corrupt, "the wrapped key does not open"),
        _ => fault,
    }
}

/// Some modules ignore what the template says about a key that is unwrapped.
fn harden(session: &Session, key: ObjectHandle) -> Result<(), Fault> {
    let told = session.get_attributes(key, &[AttributeType::Sensitive]).map_err(Fault::read)?;
    if told.contains(&Attribute::Sensitive(true)) {
        return Ok(());
    }
    session.update_attributes(key, &[Attribute::Sensitive(true)]).map_err(Fault::act)
}

/// Writes the public key that belongs beside a restored private one, unless it is there: modules do
/// not make it, and a restoring that was cut off may not have come so far.
fn show(
    session: &Session,
    token: &Token,
    wanted: &Wanted,
    public_key: &PublicKey,
) -> Result<(), Fault> {
    let object = match token.only(session, ObjectClass::PUBLIC_KEY, &wanted.tag)? {
        Some(there) => there,
        None => write(session, token, wanted, public_key)?,
    };
    if object::point_of(session, object, wanted.algorithm)? == *public_key {
        return Ok(());
    }
    Err(Fault::found(ErrorKind::Corrupt, "the token's public key is not the recorded one"))
}

fn write(
    session: &Session,
    token: &Token,
    wanted: &Wanted,
    public_key: &PublicKey,
) -> Result<ObjectHandle, Fault> {
    let none = Fault::found(ErrorKind::Unsupported, "the algorithm has no key here");
    let kind = object::kind(wanted.algorithm).ok_or(none)?;
    let unwritten = Fault::found(ErrorKind::Corrupt, "the public key has no such form");
    let written = point::write(public_key).ok_or(unwritten)?;
    let parameters = point::parameters(wanted.algorithm).first().copied().unwrap_or_default();
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(kind),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::EcParams(parameters.to_vec()),
        Attribute::EcPoint(written),
        Attribute::Id(wanted.tag.0.to_vec()),
        Attribute::Label(wanted.label.clone().into_bytes()),
    ];
    let _alone = token.module().objects()?;
    session.create_object(&template).map_err(Fault::act)
}

const RESTORED: &str = "restored";
const WRAPPED: &str = "wrapped";
const VERSION: u8 = 1;
/// Whatever the maker of the token understands by it. Near RFC 5649: SoftHSM fills the key with zeros
/// to a multiple of 8 bytes before it wraps.
const MECHANISM: &str = "pkcs11/aes-key-wrap-pad";
