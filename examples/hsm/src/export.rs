//! Attempts to get a private key out of its token, by somebody who has the PIN.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectHandle};
use cryptoki::session::Session;

use crate::answer;

/// What somebody tried, and what the token answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub what: &'static str,
    /// Whether the token let nothing out.
    pub is_refused: bool,
    /// The answer.
    pub answer: String,
}

/// Tries everything: to read the key, to make it less protected, to copy it as one that is, and to
/// wrap it. The key that wraps is one of the session and goes with it.
#[must_use]
pub fn attempts(session: &Session, key: ObjectHandle) -> Vec<Attempt> {
    let weaker = |attribute| session.update_attributes(key, &[attribute]);
    let copied = session.copy_object(key, &[Attribute::Extractable(true), Attribute::Token(false)]);
    let mut attempts = vec![
        asked(session, key),
        read(session, key),
        attempt("set CKA_EXTRACTABLE", weaker(Attribute::Extractable(true))),
        attempt("set CKA_SENSITIVE to false", weaker(Attribute::Sensitive(false))),
        attempt("copy with CKA_EXTRACTABLE", copied),
    ];
    if let Some(wrapping) = wrapping(session) {
        attempts.extend(
            MECHANISMS.map(|(mechanism, what)| {
                attempt(what, session.wrap_key(&mechanism, wrapping, key))
            }),
        );
    }
    attempts
}

fn attempt<T>(what: &'static str, tried: Result<T, Error>) -> Attempt {
    match tried {
        Ok(_) => Attempt { what, is_refused: false, answer: "CKR_OK".to_owned() },
        Err(error) => Attempt { what, is_refused: true, answer: answer::name(&error) },
    }
}

/// What the token says when it is asked for the value's length alone.
fn asked(session: &Session, key: ObjectHandle) -> Attempt {
    let what = "ask for CKA_VALUE";
    let told = session.get_attribute_info(key, &[AttributeType::Value]);
    match told.as_deref() {
        Ok([AttributeInfo::Sensitive]) => {
            Attempt { what, is_refused: true, answer: "CKR_ATTRIBUTE_SENSITIVE".to_owned() }
        }
        Ok([AttributeInfo::TypeInvalid]) => {
            Attempt { what, is_refused: true, answer: "CKR_ATTRIBUTE_TYPE_INVALID".to_owned() }
        }
        Ok(told) => Attempt { what, is_refused: false, answer: format!("{told:?}") },
        Err(error) => Attempt { what, is_refused: true, answer: answer::name(error) },
    }
}

/// cryptoki leaves out what a token does not tell, without an error.
fn read(session: &Session, key: ObjectHandle) -> Attempt {
    let what = "read CKA_VALUE";
    match session.get_attributes(key, &[AttributeType::Value]) {
        Ok(told) if told.is_empty() => {
            Attempt { what, is_refused: true, answer: "nothing".to_owned() }
        }
        Ok(_) => Attempt { what, is_refused: false, answer: "the value".to_owned() },
        Err(error) => Attempt { what, is_refused: true, answer: answer::name(&error) },
    }
}

/// A key that wraps others, if the token makes one.
fn wrapping(session: &Session) -> Option<ObjectHandle> {
    let template = [
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Wrap(true),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).ok()
}

const MECHANISMS: [(Mechanism<'_>, &str); 3] = [
    (Mechanism::AesKeyWrapPad, "wrap with CKM_AES_KEY_WRAP_PAD"),
    (Mechanism::AesKeyWrap, "wrap with CKM_AES_KEY_WRAP"),
    (Mechanism::AesCbcPad([0; 16]), "wrap with CKM_AES_CBC_PAD"),
];
