//! AES keys of a token: those that encrypt data keys, and those that wrap keys. Opens secrets.
//!
//! Invariant: such a key has one task and does nothing else. A key that the token does not describe
//! so is never used, and is destroyed again if it was made here and the token lets it.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::seam::ErrorKind;
use custody_core::secret::Secret;
use zeroize::Zeroize as _;

use crate::fault::Fault;
use crate::object::{Origin, take_back};
use crate::strictness::{Strictness, strictly};
use crate::token::Tag;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// It encrypts and decrypts data keys.
    Encrypt,
    /// It wraps and unwraps keys.
    Wrap,
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct AesKey {
    pub(crate) tag: Tag,
    pub(crate) label: String,
    pub(crate) task: Task,
    pub(crate) destroyable: bool,
}

/// Makes a key of 32 bytes in the token, or brings in one that has this value, and looks at it.
pub(crate) fn make(
    session: &Session,
    wanted: &AesKey,
    value: Option<&Secret>,
) -> Result<ObjectHandle, Fault> {
    let made = strictly(|strictness| {
        let template = template(wanted, strictness);
        match value {
            Some(value) => bring(session, template, value),
            None => generate(session, template),
        }
    });
    let made = made.map_err(Fault::act)?;
    let origin = if value.is_some() { Origin::Elsewhere } else { Origin::Here };
    let checked = check(session, made, wanted.task, origin);
    if let Err(Fault::Found { .. }) = checked {
        take_back(session, &[made])?;
    }
    checked.map(|()| made).map_err(Fault::once_made)
}

/// Whether the token says of a key that it does this and nothing else, and never leaves.
pub(crate) fn check(
    session: &Session,
    key: ObjectHandle,
    task: Task,
    origin: Origin,
) -> Result<(), Fault> {
    let mut wanted = duties(task);
    if origin == Origin::Here {
        // A key that was brought in is known to somebody.
        wanted.extend([
            Attribute::Local(true),
            Attribute::AlwaysSensitive(true),
            Attribute::NeverExtractable(true),
        ]);
    }
    let asked: Vec<AttributeType> = wanted.iter().map(Attribute::attribute_type).collect();
    let told = session.get_attributes(key, &asked).map_err(Fault::read)?;
    if wanted.iter().all(|attribute| told.contains(attribute)) {
        return Ok(());
    }
    let what = match task {
        Task::Encrypt => "the key was not made here, or may do more than encrypt and decrypt",
        Task::Wrap => "the key was not made as it should be, or may do more than wrap and unwrap",
    };
    Err(Fault::found(ErrorKind::Refused, what))
}

fn generate(session: &Session, mut template: Vec<Attribute>) -> Result<ObjectHandle, Error> {
    template.push(Attribute::ValueLen(32.into()));
    session.generate_key(&Mechanism::AesKeyGen, &template)
}

fn bring(
    session: &Session,
    mut template: Vec<Attribute>,
    value: &Secret,
) -> Result<ObjectHandle, Error> {
    template.push(Attribute::Class(ObjectClass::SECRET_KEY));
    template.push(Attribute::Value(value.expose().to_vec()));
    let made = session.create_object(&template);
    if let Some(Attribute::Value(mut copy)) = template.pop() {
        copy.zeroize();
    }
    made
}

fn template(wanted: &AesKey, strictness: Strictness) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::KeyType(KeyType::AES),
        Attribute::Id(wanted.tag.0.to_vec()),
        Attribute::Label(wanted.label.clone().into_bytes()),
    ];
    template.extend(duties(wanted.task));
    if strictness == Strictness::All {
        template.extend([
            Attribute::Copyable(false),
            Attribute::Destroyable(wanted.destroyable),
            Attribute::Modifiable(false),
        ]);
    }
    template
}

/// What such a key is asked to be, and must be.
fn duties(task: Task) -> Vec<Attribute> {
    let (encrypts, wraps) = (task == Task::Encrypt, task == Task::Wrap);
    vec![
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(encrypts),
        Attribute::Decrypt(encrypts),
        Attribute::Wrap(wraps),
        Attribute::Unwrap(wraps),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}
