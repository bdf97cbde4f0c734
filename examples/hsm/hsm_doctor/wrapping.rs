//! Backup of keys: whether `CKM_AES_KEY_WRAP_PAD` brings a key back, and whether it is RFC 5649, which
//! is what another token needs to know.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::crypto::{Algorithm, PublicKey};
use examples_hsm::answer;

use crate::pair::{self, ALGORITHMS, Pair};
use crate::row::{Row, Topic};

/// The standard's own example, and a key of each kind.
pub(crate) fn rows(session: &Session) -> Vec<Row> {
    let mut rows = vec![standard(session)];
    rows.extend(ALGORITHMS.into_iter().map(|algorithm| back(session, algorithm).of(algorithm)));
    rows
}

/// Wraps what RFC 5649, section 6, wraps, under its key.
fn standard(session: &Session) -> Row {
    let what = "wrap as RFC 5649 does";
    match example(session) {
        Ok(wrapped) if wrapped == WRAPPED => Row::new(Topic::Wrapping, what, true, "its example"),
        Ok(wrapped) if wrapped == PADDED => {
            let told = "RFC 5649 over keys that are filled up with zeros to whole blocks first";
            Row::new(Topic::Wrapping, what, false, told)
        }
        Ok(_) => Row::new(Topic::Wrapping, what, false, "its example becomes something else"),
        Err(error) => {
            let told = format!("its example cannot be tried: {}", answer::name(&error));
            Row::new(Topic::Wrapping, what, false, told)
        }
    }
}

fn example(session: &Session) -> Result<Vec<u8>, Error> {
    let object = |kind, value: &[u8]| {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(kind),
            Attribute::Token(false),
            Attribute::Value(value.to_vec()),
        ]
    };
    let mut wrapping = object(KeyType::AES, &WRAPPING);
    wrapping.push(Attribute::Wrap(true));
    let mut wrapped = object(KeyType::GENERIC_SECRET, &EXAMPLE);
    wrapped.extend([Attribute::Sensitive(false), Attribute::Extractable(true)]);
    let (wrapping, wrapped) = (session.create_object(&wrapping)?, session.create_object(&wrapped)?);
    session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, wrapped)
}

/// Whether a key that may leave comes back as the same key.
fn back(session: &Session, algorithm: Algorithm) -> Row {
    let what = "wrap a key and bring it back";
    match brought_back(session, algorithm) {
        Ok(true) => Row::new(Topic::Wrapping, what, true, "it signs under its public key"),
        Ok(false) => Row::new(Topic::Wrapping, what, false, "another key came back"),
        Err(error) => Row::new(Topic::Wrapping, what, false, error),
    }
}

fn brought_back(session: &Session, algorithm: Algorithm) -> Result<bool, String> {
    let failed = |step| move |error| format!("{step}: {}", answer::name(&error));
    let made = Pair::make(session, algorithm, true).map_err(failed("make"))?;
    let key = made.public_key(session).ok_or("CKA_EC_POINT is no point of the curve")?.0;
    let wrapping = wrapping(session).map_err(failed("make a key that wraps"))?;
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, made.private);
    let is_gone = made.destroy(session);
    let wrapped = wrapped.map_err(failed("wrap"))?;
    let template = template(algorithm);
    let back = session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, &template);
    let is_it = signs(session, back.map_err(failed("unwrap"))?, &key).map_err(failed("sign"))?;
    if is_gone { Ok(is_it) } else { Err("it is left in the token".to_owned()) }
}

fn signs(session: &Session, key: ObjectHandle, public_key: &PublicKey) -> Result<bool, Error> {
    let signed = session.sign(&pair::signer(public_key.algorithm()), key, &pair::DIGEST)?;
    Ok(pair::verifies(public_key, &signed))
}

fn wrapping(session: &Session) -> Result<ObjectHandle, Error> {
    let template = [
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template)
}

fn template(algorithm: Algorithm) -> [Attribute; 8] {
    [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(pair::kind(algorithm)),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
        Attribute::Sign(true),
        Attribute::Derive(false),
    ]
}

/// The key, the data and the wrapped data of the example with 20 octets.
const WRAPPING: [u8; 24] = [
    0x58, 0x40, 0xdf, 0x6e, 0x29, 0xb0, 0x2a, 0xf1, 0xab, 0x49, 0x3b, 0x70, 0x5b, 0xf1, 0x6e, 0xa1,
    0xae, 0x83, 0x38, 0xf4, 0xdc, 0xc1, 0x76, 0xa8,
];
const EXAMPLE: [u8; 20] = [
    0xc3, 0x7b, 0x7e, 0x64, 0x92, 0x58, 0x43, 0x40, 0xbe, 0xd1, 0x22, 0x07, 0x80, 0x89, 0x41, 0x15,
    0x50, 0x68, 0xf7, 0x38,
];
const WRAPPED: [u8; 32] = [
    0x13, 0x8b, 0xde, 0xaa, 0x9b, 0x8f, 0xa7, 0xfc, 0x61, 0xf9, 0x77, 0x42, 0xe7, 0x22, 0x48, 0xee,
    0x5a, 0xe6, 0xae, 0x53, 0x60, 0xd1, 0xae, 0x6a, 0x5f, 0x54, 0xf3, 0x73, 0xfa, 0x54, 0x3b, 0x6a,
];
/// The same with four zeros behind the data: 24 octets, wrapped as the standard does.
const PADDED: [u8; 32] = [
    0xcf, 0x1e, 0x48, 0x53, 0x60, 0xe1, 0xa8, 0x12, 0x6f, 0x52, 0x4d, 0x01, 0x77, 0x16, 0x77, 0xf9,
    0x40, 0x0e, 0xdb, 0x4d, 0x07, 0x4f, 0x14, 0x11, 0x69, 0x88, 0xd7, 0x1e, 0x15, 0x88, 0xe3, 0x67,
];
