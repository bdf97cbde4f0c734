//! Backup of keys under another key of the token. Opens secrets.
//!
//! Invariant: the key that wraps does nothing but wrap and unwrap, and what comes back is believed
//! only after it has signed under the recorded public key.

use cryptoki::error::RvError;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::id::KekId;
use custody_core::seam::ErrorKind;
use custody_core::secret::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::canary::prove;
use crate::fault::Fault;
use crate::object::Wanted;
use crate::point;
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
pub(crate) fn tag(under: &KekId) -> Tag {
    Tag(*Digest::tagged("custody/hsm/wrapping/v1", &[under.as_str().as_bytes()]).as_bytes())
}

/// Brings a key that wraps into the token, unless it is there.
pub(crate) fn bring(
    session: &Session,
    token: &Token,
    under: &KekId,
    key: Option<&Secret>,
) -> Result<(), Fault> {
    let tag = tag(under);
    // From the search on nobody else of this process makes one.
    let _alone = token.module().objects()?;
    if !token.search(session, ObjectClass::SECRET_KEY, &tag)?.is_empty() {
        return Err(Fault::found(ErrorKind::Conflict, "the token has such a key"));
    }
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Id(tag.0.to_vec()),
        Attribute::Label(format!("custody wrapping {under}").into_bytes()),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
    ];
    let made = match key {
        Some(key) => {
            template.push(Attribute::Value(key.expose().to_vec()));
            let made = session.create_object(&template);
            if let Some(Attribute::Value(mut copy)) = template.pop() {
                copy.zeroize();
            }
            made
        }
        None => {
            template.push(Attribute::ValueLen(32.into()));
            session.generate_key(&Mechanism::AesKeyGen, &template)
        }
    };
    let made = made.map_err(Fault::act)?;
    let checked = check_wrapping(session, made);
    if let Err(Fault::Found { .. }) = checked {
        session.destroy_object(made).map_err(|error| Fault::Made { error })?;
    }
    checked.map_err(Fault::once_made)
}

fn check_wrapping(session: &Session, key: ObjectHandle) -> Result<(), Fault> {
    let asked = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::Encrypt,
        AttributeType::Decrypt,
        AttributeType::Sign,
        AttributeType::Derive,
    ];
    let told = session.get_attributes(key, &asked).map_err(Fault::read)?;
    let wanted = [
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Derive(false),
    ];
    if wanted.iter().all(|attribute| told.contains(attribute)) {
        return Ok(());
    }
    Err(Fault::found(ErrorKind::Refused, "the key may do more than wrap and unwrap"))
}

fn wrapping(session: &Session, token: &Token, under: &KekId) -> Result<ObjectHandle, Fault> {
    let none = Fault::found(ErrorKind::NotFound, "the token has no such key to wrap under");
    let key = token.only(session, ObjectClass::SECRET_KEY, &tag(under))?.ok_or(none)?;
    check_wrapping(session, key).map(|()| key)
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

/// Brings a key back, or proves that what was wrapped is the key that is there.
pub(crate) fn unwrap(
    session: &Session,
    token: &Token,
    (wanted, public_key): (&Wanted, &PublicKey),
    wrapped: &[u8],
    under: &KekId,
) -> Result<(), Fault> {
    let not_it = Fault::found(ErrorKind::Corrupt, "the bytes are not the key, wrapped");
    let bytes = Wrapped::read(wrapped, under, public_key).ok_or(not_it)?;
    let wrapping = wrapping(session, token, under)?;
    let (there, key) = {
        // From the search on nobody else of this process brings it back or makes it.
        let _alone = token.module().objects()?;
        let there = one_at_most(&token.search(session, ObjectClass::PRIVATE_KEY, &wanted.tag)?)?;
        let template = restored(wanted, there.is_none())?;
        let key = session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &bytes, &template);
        (there, key.map_err(unwrapped)?)
    };
    let proved = prove(session, key, public_key, RESTORED)
        .and_then(|()| check_restored(session, key))
        .and_then(|()| there.map_or(Ok(()), |there| prove(session, there, public_key, RESTORED)))
        .and_then(|()| show(session, token, wanted, public_key));
    if proved.is_err() || there.is_some() {
        // One that was there stays; of what was brought back nothing is left unless all went well.
        session.destroy_object(key).map_err(|error| Fault::Made { error })?;
    }
    proved
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

fn restored(wanted: &Wanted, on_token: bool) -> Result<Vec<Attribute>, Fault> {
    let kind = match wanted.algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => KeyType::EC,
        Algorithm::Ed25519 => KeyType::EC_EDWARDS,
        Algorithm::Bip340 | _ => {
            return Err(Fault::found(ErrorKind::Unsupported, "the algorithm has no key here"));
        }
    };
    Ok(vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(kind),
        Attribute::Token(on_token),
        Attribute::Private(true),
        Attribute::Id(wanted.tag.0.to_vec()),
        Attribute::Label(wanted.label.clone().into_bytes()),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ])
}

/// Some modules ignore what the template says about a key that is unwrapped.
fn check_restored(session: &Session, key: ObjectHandle) -> Result<(), Fault> {
    let asked = [AttributeType::Sensitive, AttributeType::Private];
    let told = session.get_attributes(key, &asked).map_err(Fault::read)?;
    let wanted = [Attribute::Sensitive(true), Attribute::Private(true)];
    if wanted.iter().all(|attribute| told.contains(attribute)) {
        return Ok(());
    }
    let harder = [Attribute::Sensitive(true)];
    session.update_attributes(key, &harder).map_err(Fault::act)?;
    let told = session.get_attributes(key, &asked).map_err(Fault::read)?;
    if wanted.iter().all(|attribute| told.contains(attribute)) {
        return Ok(());
    }
    Err(Fault::found(ErrorKind::Refused, "the token does not keep the restored key sensitive"))
}

/// Writes the public key beside a restored private one, unless it is there: modules do not make it,
/// and a restoring that was cut off may not have come so far.
fn show(
    session: &Session,
    token: &Token,
    wanted: &Wanted,
    public_key: &PublicKey,
) -> Result<(), Fault> {
    if token.only(session, ObjectClass::PUBLIC_KEY, &wanted.tag)?.is_some() {
        return Ok(());
    }
    let kind = match wanted.algorithm {
        Algorithm::Ed25519 => KeyType::EC_EDWARDS,
        Algorithm::Bip340 | Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | _ => KeyType::EC,
    };
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
    session.create_object(&template).map(drop).map_err(Fault::act)
}

const RESTORED: &str = "restored";
const WRAPPED: &str = "wrapped";
const VERSION: u8 = 1;
/// Whatever the maker of the token understands by it. Near RFC 5649: SoftHSM fills the key with zeros
/// to a multiple of 8 bytes before it wraps.
const MECHANISM: &str = "pkcs11/aes-key-wrap-pad";
