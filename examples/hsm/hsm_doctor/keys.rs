//! Each kind of key: whether it is made, what the token says about it, whether it comes out, and how
//! fast it signs.

use std::time::Duration;

use cryptoki::object::{Attribute, AttributeType};
use cryptoki::session::Session;
use custody_core::crypto::Algorithm;
use examples_hsm::{answer, export};

use crate::pair::{self, Pair};
use crate::rate::measure;
use crate::row::{Row, Topic};

/// All that is tried with one kind.
pub(crate) fn rows(session: &Session, algorithm: Algorithm, time: Duration) -> Vec<Row> {
    let made = match Pair::make(session, algorithm, false) {
        Ok(made) => made,
        Err(error) => {
            let told = format!("not made: {}", answer::name(&error));
            return vec![Row::new(Topic::Key, MAKE, false, told).of(algorithm)];
        }
    };
    let mut rows = vec![key(session, made)];
    rows.extend(attributes(session, made));
    rows.extend(export::attempts(session, made.private).into_iter().map(|attempt| {
        let told = if attempt.is_refused { "refused: " } else { "not refused: " };
        let told = format!("{told}{}", attempt.answer);
        Row::new(Topic::Export, attempt.what, attempt.is_refused, told)
    }));
    rows.push(match measure(time, || made.sign(session).map(drop)) {
        Ok(rate) => Row::new(Topic::Rate, "sign", true, "one session").rate(Some(rate)),
        Err(error) => Row::new(Topic::Rate, "sign", false, answer::name(&error)),
    });
    if !made.destroy(session) {
        let told = "the token makes no keys for a session, and does not destroy this one";
        rows.push(Row::new(Topic::Left, "custody doctor", false, told));
    }
    rows.into_iter().map(|row| row.of(algorithm)).collect()
}

/// Whether the key signs what verifies under its public key.
fn key(session: &Session, made: Pair) -> Row {
    let Some((public_key, form)) = made.public_key(session) else {
        return Row::new(Topic::Key, MAKE, false, "CKA_EC_POINT is no point of the curve");
    };
    let place = if made.is_in_token { "in the token" } else { "for the session" };
    match made.sign(session) {
        Ok(signature) if pair::verifies(&public_key, &signature) => {
            let told = format!("{place}; its signature verifies; CKA_EC_POINT is {form}");
            Row::new(Topic::Key, MAKE, true, told)
        }
        Ok(_) => Row::new(Topic::Key, MAKE, false, "its signature does not verify"),
        Err(error) => {
            let told = format!("it does not sign: {}", answer::name(&error));
            Row::new(Topic::Key, MAKE, false, told)
        }
    }
}

/// What the token says about the private key, and what it was asked to be.
fn attributes(session: &Session, made: Pair) -> Vec<Row> {
    let row = |(attribute, name, usual, asking)| {
        // What lies in the token must be destroyed again.
        let wanted = if attribute == AttributeType::Destroyable { made.is_in_token } else { usual };
        let told = session.get_attributes(made.private, &[attribute]);
        let answered = told.ok().as_deref().and_then(<[_]>::first).and_then(truth);
        let asked = match asking {
            Asking::Always => Some(wanted),
            Asking::IfTaken => made.is_whole.then_some(wanted),
            Asking::Never => None,
        };
        let what_was_asked = match asked {
            Some(asked) => format!("asked {asked}"),
            None if asking == Asking::Never => format!("follows, {wanted} is right"),
            None => "the token takes no template with it".to_owned(),
        };
        let answer = answered.map_or_else(|| "not told".to_owned(), |told| format!("told {told}"));
        let told = format!("{what_was_asked}, {answer}");
        let works = answered == Some(wanted);
        Row::new(Topic::Attribute, name, works, told).attribute(asked, answered)
    };
    ATTRIBUTES.into_iter().map(row).collect()
}

fn truth(attribute: &Attribute) -> Option<bool> {
    let (Attribute::AlwaysSensitive(told)
    | Attribute::Copyable(told)
    | Attribute::Decrypt(told)
    | Attribute::Derive(told)
    | Attribute::Destroyable(told)
    | Attribute::Extractable(told)
    | Attribute::Local(told)
    | Attribute::Modifiable(told)
    | Attribute::NeverExtractable(told)
    | Attribute::Private(told)
    | Attribute::Sensitive(told)
    | Attribute::Sign(told)
    | Attribute::Unwrap(told)) = attribute
    else {
        return None;
    };
    Some(*told)
}

/// Whether an attribute stands in the template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// It does.
    Always,
    /// It does, unless the token refuses the template with it.
    IfTaken,
    /// It follows from how the key was made.
    Never,
}

const ATTRIBUTES: [(AttributeType, &str, bool, Asking); 13] = [
    (AttributeType::Sensitive, "CKA_SENSITIVE", true, Asking::Always),
    (AttributeType::Extractable, "CKA_EXTRACTABLE", false, Asking::Always),
    (AttributeType::AlwaysSensitive, "CKA_ALWAYS_SENSITIVE", true, Asking::Never),
    (AttributeType::NeverExtractable, "CKA_NEVER_EXTRACTABLE", true, Asking::Never),
    (AttributeType::Local, "CKA_LOCAL", true, Asking::Never),
    (AttributeType::Sign, "CKA_SIGN", true, Asking::Always),
    (AttributeType::Decrypt, "CKA_DECRYPT", false, Asking::Always),
    (AttributeType::Unwrap, "CKA_UNWRAP", false, Asking::Always),
    (AttributeType::Derive, "CKA_DERIVE", false, Asking::Always),
    (AttributeType::Private, "CKA_PRIVATE", true, Asking::Always),
    (AttributeType::Modifiable, "CKA_MODIFIABLE", false, Asking::IfTaken),
    (AttributeType::Copyable, "CKA_COPYABLE", false, Asking::IfTaken),
    (AttributeType::Destroyable, "CKA_DESTROYABLE", false, Asking::IfTaken),
];
const MAKE: &str = "make a key pair";
