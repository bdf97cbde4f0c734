//! Keys as objects of a token: how they are made, and what the token says about them afterwards.
//!
//! Invariant: a key whose attributes are not the ones that were asked for is never recorded. It is
//! destroyed again if the token lets it; if not, it is found and refused whenever it is asked for.

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::{ErrorKind, Exportability};

use crate::canary::prove;
use crate::fault::Fault;
use crate::handle::Provenance;
use crate::point;
use crate::strictness::{Strictness, is_about_template, strictly};
use crate::token::{Tag, Token, one_at_most};

/// What is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) tag: Tag,
    pub(crate) label: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) exportability: Exportability,
    pub(crate) destroyable: bool,
}

/// Where a key is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the session that makes it, and no longer.
    Session,
    /// In the token.
    Token,
}

/// Where a key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It may have been brought in, and tokens say so.
    Elsewhere,
    /// It was made in the token.
    Here,
}

/// A key that is there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) public_key: PublicKey,
    pub(crate) provenance: Provenance,
}

/// The mechanism that signs.
pub(crate) fn signing(algorithm: Algorithm) -> Option<Mechanism<'static>> {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => Some(Mechanism::Ecdsa),
        // Pure alone: modules ignore the parameters of the other schemes and sign purely.
        Algorithm::Ed25519 => Some(Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure))),
        Algorithm::Bip340 | _ => None,
    }
}

/// A pair of keys.
enum Pair {
    /// The private half and the public one, made just now: nobody else has them.
    Made([ObjectHandle; 2]),
    /// The private half of one that is there.
    There(ObjectHandle),
}

/// The key of this tag, made if there is none.
pub(crate) fn generate(session: &Session, token: &Token, wanted: &Wanted) -> Result<Found, Fault> {
    let [private, public] = match find_or_make(session, token, wanted)? {
        Pair::Made(pair) => pair,
        Pair::There(key) => return look(session, token, key, wanted),
    };
    let looked = point_of(session, public, wanted.algorithm)
        .and_then(|key| examine(session, token, private, (key, wanted), Origin::Here));
    match looked {
        Err(fault @ Fault::Found { .. }) => {
            take_back(session, &[private, public])?;
            Err(fault)
        }
        looked => looked.map_err(Fault::once_made),
    }
}

/// From the search to the second search nobody else of this process makes a key.
fn find_or_make(session: &Session, token: &Token, wanted: &Wanted) -> Result<Pair, Fault> {
    let _alone = token.module().objects()?;
    let search = || token.search(session, ObjectClass::PRIVATE_KEY, &wanted.tag);
    if let Some(there) = one_at_most(&search()?)? {
        return Ok(Pair::There(there));
    }
    let (public, private) = make(session, wanted, Place::Token)?;
    if search().map_err(Fault::once_made)? == [private] {
        return Ok(Pair::Made([private, public]));
    }
    // Another process made the same key at the same time. Nobody has ours yet; if it is still there
    // afterwards, there are two.
    take_back(session, &[private, public])?;
    let others = Fault::found(ErrorKind::Unavailable, "others made the same key");
    let left = search().map_err(Fault::once_made)?;
    one_at_most(&left)?.map(Pair::There).ok_or(others)
}

/// Destroys what was made here and nobody has. What a token does not let go is found, and refused,
/// whenever it is asked for.
pub(crate) fn take_back(session: &Session, objects: &[ObjectHandle]) -> Result<(), Fault> {
    for object in objects {
        match session.destroy_object(*object) {
            Ok(()) => {}
            Err(Error::Pkcs11(RvError::ActionProhibited, _)) => {
                tracing::error!("a key that is not used may not be destroyed");
            }
            Err(error) => return Err(Fault::Made { error }),
        }
    }
    Ok(())
}

/// Makes a key pair: the public and the private half of it.
pub(crate) fn make(
    session: &Session,
    wanted: &Wanted,
    place: Place,
) -> Result<(ObjectHandle, ObjectHandle), Fault> {
    let unsupported = || Fault::found(ErrorKind::Unsupported, "the algorithm has no key here");
    let kind = kind(wanted.algorithm).ok_or_else(unsupported)?;
    let mechanism = if kind == KeyType::EC_EDWARDS {
        Mechanism::EccEdwardsKeyPairGen
    } else {
        Mechanism::EccKeyPairGen
    };
    let mut last = unsupported();
    for parameters in point::parameters(wanted.algorithm) {
        let public = public_template(wanted, kind, parameters, place);
        let made = strictly(|strictness| {
            let private = private_template(wanted, kind, strictness, place);
            session.generate_key_pair(&mechanism, &public, &private)
        });
        match made {
            Ok(made) => return Ok(made),
            Err(error) if is_about_template(&error) => last = Fault::act(error),
            Err(error) => return Err(Fault::act(error)),
        }
    }
    Err(last)
}

/// The type of an algorithm's keys.
pub(crate) const fn kind(algorithm: Algorithm) -> Option<KeyType> {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => Some(KeyType::EC),
        Algorithm::Ed25519 => Some(KeyType::EC_EDWARDS),
        Algorithm::Bip340 | _ => None,
    }
}

fn public_template(
    wanted: &Wanted,
    kind: KeyType,
    parameters: &[u8],
    place: Place,
) -> Vec<Attribute> {
    vec![
        Attribute::Token(place == Place::Token),
        Attribute::Private(false),
        Attribute::KeyType(kind),
        Attribute::EcParams(parameters.to_vec()),
        Attribute::Id(wanted.tag.0.to_vec()),
        Attribute::Label(wanted.label.clone().into_bytes()),
        Attribute::Verify(true),
    ]
}

/// What a private key must be, whether it is made or brought back.
pub(crate) fn private_template(
    wanted: &Wanted,
    kind: KeyType,
    strictness: Strictness,
    place: Place,
) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Token(place == Place::Token),
        Attribute::Private(true),
        Attribute::KeyType(kind),
        Attribute::Id(wanted.tag.0.to_vec()),
        Attribute::Label(wanted.label.clone().into_bytes()),
        Attribute::Sensitive(true),
        Attribute::Extractable(wanted.exportability == Exportability::Wrapped),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    if strictness == Strictness::All {
        template.extend([
            Attribute::SignRecover(false),
            Attribute::Copyable(false),
            // What lives in a session is taken out of it again.
            Attribute::Destroyable(wanted.destroyable || place == Place::Session),
            // SoftHSM takes no attribute of an unwrapped key after this one.
            Attribute::Modifiable(false),
        ]);
    }
    template
}

/// What the token says about a key that is there, held against what is wanted.
pub(crate) fn look(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
    wanted: &Wanted,
) -> Result<Found, Fault> {
    let public_key = public_key(session, token, &wanted.tag, wanted.algorithm)?;
    examine(session, token, key, (public_key, wanted), Origin::Here)
}

/// The attributes are as they must be, and the private half signs under the public one.
pub(crate) fn examine(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
    (public_key, wanted): (PublicKey, &Wanted),
    origin: Origin,
) -> Result<Found, Fault> {
    let provenance = check(session, token, key, wanted, origin)?;
    prove(session, key, &public_key, "made")?;
    Ok(Found { public_key, provenance })
}

fn check(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
    wanted: &Wanted,
    origin: Origin,
) -> Result<Provenance, Fault> {
    let told = attributes(session, key)?;
    let is = |wanted: &Attribute| told.contains(wanted);
    let extractable = wanted.exportability == Exportability::Wrapped;
    let made_here = [
        (Attribute::AlwaysSensitive(true), "the key was not always sensitive"),
        (Attribute::NeverExtractable(!extractable), "the key was extractable once"),
        (Attribute::Local(true), "the key was not made in the token"),
    ];
    let always = [
        (Attribute::Sensitive(true), "the token does not keep the key sensitive"),
        (Attribute::Extractable(extractable), "the token made the key extractable, or not"),
        (Attribute::Sign(true), "the key does not sign"),
        (Attribute::Decrypt(false), "the key decrypts"),
        (Attribute::Unwrap(false), "the key unwraps"),
        (Attribute::Derive(false), "the key derives"),
        (Attribute::Private(true), "the key can be seen without a login"),
    ];
    let made_here = made_here.into_iter().filter(|_| origin == Origin::Here);
    for (must, what) in always.into_iter().chain(made_here) {
        if !is(&must) {
            return Err(Fault::found(ErrorKind::Refused, what));
        }
    }
    // Tokens that do not know the attribute say nothing about it.
    if is(&Attribute::Destroyable(!wanted.destroyable)) {
        let what = "the key may be destroyed against the configuration, or may not";
        return Err(Fault::found(ErrorKind::Refused, what));
    }
    Ok(told_by(token, &told))
}

fn attributes(session: &Session, key: ObjectHandle) -> Result<Vec<Attribute>, Fault> {
    let asked = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::Local,
        AttributeType::Sign,
        AttributeType::Decrypt,
        AttributeType::Unwrap,
        AttributeType::Derive,
        AttributeType::Private,
        AttributeType::Destroyable,
    ];
    session.get_attributes(key, &asked).map_err(Fault::read)
}

/// What is not told counts as what nobody wants.
fn told_by(token: &Token, told: &[Attribute]) -> Provenance {
    let facts = token.facts();
    Provenance {
        sensitive: told.contains(&Attribute::Sensitive(true)),
        extractable: !told.contains(&Attribute::Extractable(false)),
        always_sensitive: told.contains(&Attribute::AlwaysSensitive(true)),
        never_extractable: told.contains(&Attribute::NeverExtractable(true)),
        local: told.contains(&Attribute::Local(true)),
        destroyable: [true, false]
            .into_iter()
            .find(|is_destroyable| told.contains(&Attribute::Destroyable(*is_destroyable))),
        manufacturer: facts.manufacturer.clone(),
        model: facts.model.clone(),
        firmware: facts.firmware.clone(),
    }
}

/// The public key beside a private one.
pub(crate) fn public_key(
    session: &Session,
    token: &Token,
    tag: &Tag,
    algorithm: Algorithm,
) -> Result<PublicKey, Fault> {
    let none = Fault::found(ErrorKind::Corrupt, "the token has no public key beside the key");
    let object = token.only(session, ObjectClass::PUBLIC_KEY, tag)?.ok_or(none)?;
    point_of(session, object, algorithm)
}

/// The public key that an object is.
pub(crate) fn point_of(
    session: &Session,
    object: ObjectHandle,
    algorithm: Algorithm,
) -> Result<PublicKey, Fault> {
    let none = || Fault::found(ErrorKind::Corrupt, "the token does not tell the public key");
    let told = session.get_attributes(object, &[AttributeType::EcPoint]).map_err(Fault::read)?;
    let [Attribute::EcPoint(bytes)] = told.as_slice() else { return Err(none()) };
    let unread =
        Fault::found(ErrorKind::Corrupt, "the token's public key is no point of its curve");
    point::read(algorithm, bytes).ok_or(unread)
}
