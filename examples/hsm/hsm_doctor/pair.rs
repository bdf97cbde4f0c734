//! Key pairs to try things on: made with what custody asks for, as objects of the session if the token
//! makes such.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectHandle};
use cryptoki::session::Session;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};

use crate::point;

/// The kinds of keys that custody makes in tokens.
pub(crate) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Ed25519];

/// A key pair that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    algorithm: Algorithm,
    public: ObjectHandle,
    /// The private key.
    pub(crate) private: ObjectHandle,
    /// Whether the token took the whole template.
    pub(crate) is_whole: bool,
    /// Whether it lies in the token, because the token makes none for a session.
    pub(crate) is_in_token: bool,
}

impl Pair {
    /// Makes a pair whose private key may leave its token, or not.
    pub(crate) fn make(
        session: &Session,
        algorithm: Algorithm,
        extractable: bool,
    ) -> Result<Self, Error> {
        let mut first = None;
        for is_in_token in [false, true] {
            for parameters in parameters(algorithm) {
                for is_whole in [true, false] {
                    let public = public(algorithm, is_in_token, parameters);
                    let mut private = private(algorithm, is_in_token, extractable);
                    if is_whole {
                        private.extend(more(is_in_token));
                    }
                    match session.generate_key_pair(&maker(algorithm), &public, &private) {
                        Ok((public, private)) => {
                            return Ok(Self { algorithm, public, private, is_whole, is_in_token });
                        }
                        Err(error) => first = first.or(Some(error)),
                    }
                }
            }
        }
        Err(first.unwrap_or(Error::NotSupported))
    }

    /// The public key, and how the token writes it.
    pub(crate) fn public_key(&self, session: &Session) -> Option<(PublicKey, &'static str)> {
        let told = session.get_attributes(self.public, &[AttributeType::EcPoint]).ok()?;
        let [Attribute::EcPoint(bytes)] = told.as_slice() else { return None };
        point::read(self.algorithm, bytes)
    }

    /// Signs something that no chain reads.
    pub(crate) fn sign(&self, session: &Session) -> Result<Vec<u8>, Error> {
        session.sign(&signer(self.algorithm), self.private, &DIGEST)
    }

    /// Takes away what lies in the token; whether nothing is left.
    pub(crate) fn destroy(&self, session: &Session) -> bool {
        let destroyed = [self.private, self.public].map(|object| session.destroy_object(object));
        !self.is_in_token || destroyed.iter().all(Result::is_ok)
    }
}

/// Whether a signature by [`Pair::sign`] verifies, by what custody verifies with.
pub(crate) fn verifies(key: &PublicKey, signature: &[u8]) -> bool {
    let input = match key.algorithm().signs_prehash() {
        true => SignInput::Prehash(&DIGEST),
        false => SignInput::Message(&DIGEST),
    };
    let read = Signature::from_bytes(key.algorithm(), signature);
    read.is_ok_and(|signature| signature.checked(key, input).is_ok())
}

/// The mechanism that signs with such keys.
pub(crate) fn signer(algorithm: Algorithm) -> Mechanism<'static> {
    match algorithm {
        Algorithm::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)),
        Algorithm::Bip340 | Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | _ => {
            Mechanism::Ecdsa
        }
    }
}

/// The type of such keys.
pub(crate) const fn kind(algorithm: Algorithm) -> KeyType {
    match algorithm {
        Algorithm::Ed25519 => KeyType::EC_EDWARDS,
        Algorithm::Bip340 | Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | _ => KeyType::EC,
    }
}

const fn maker(algorithm: Algorithm) -> Mechanism<'static> {
    match algorithm {
        Algorithm::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
        Algorithm::Bip340 | Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | _ => {
            Mechanism::EccKeyPairGen
        }
    }
}

/// `CKA_EC_PARAMS`, in the forms that modules take.
const fn parameters(algorithm: Algorithm) -> &'static [&'static [u8]] {
    match algorithm {
        Algorithm::EcdsaP256 => &[&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]],
        Algorithm::EcdsaSecp256k1 => &[&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]],
        Algorithm::Ed25519 => &[b"\x13\x0cedwards25519", &[0x06, 0x03, 0x2b, 0x65, 0x70]],
        Algorithm::Bip340 | _ => &[],
    }
}

fn public(algorithm: Algorithm, is_in_token: bool, parameters: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::Token(is_in_token),
        Attribute::Private(false),
        Attribute::KeyType(kind(algorithm)),
        Attribute::EcParams(parameters.to_vec()),
        Attribute::Label(LABEL.to_vec()),
        Attribute::Verify(true),
    ]
}

fn private(algorithm: Algorithm, is_in_token: bool, extractable: bool) -> Vec<Attribute> {
    vec![
        Attribute::Token(is_in_token),
        Attribute::Private(true),
        Attribute::KeyType(kind(algorithm)),
        Attribute::Label(LABEL.to_vec()),
        Attribute::Sensitive(true),
        Attribute::Extractable(extractable),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]
}

/// What some tokens do not take. What lies in the token must be destroyed again.
const fn more(is_in_token: bool) -> [Attribute; 4] {
    [
        Attribute::SignRecover(false),
        Attribute::Copyable(false),
        Attribute::Modifiable(false),
        Attribute::Destroyable(is_in_token),
    ]
}

const LABEL: &[u8] = b"custody doctor";
/// What is signed.
pub(crate) const DIGEST: [u8; 32] = [0xd0; 32];
