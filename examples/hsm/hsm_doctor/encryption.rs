//! AES-GCM with a key of the token, as data keys are encrypted.

use std::time::Duration;

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectHandle};
use cryptoki::session::Session;
use examples_hsm::answer;

use crate::rate::measure;
use crate::row::{Row, Topic};

/// Seals and opens: what was sealed, in another context, and with a byte changed.
pub(crate) fn rows(session: &Session, time: Duration) -> Vec<Row> {
    let template = [
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    let sealed = session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .and_then(|key| Ok((key, seal(session, key)?)));
    let (key, sealed) = match sealed {
        Ok(made) => made,
        Err(error) => {
            return vec![Row::new(Topic::Encryption, SEAL, false, answer::name(&error))];
        }
    };
    let mut changed = sealed.clone();
    if let Some(byte) = changed.first_mut() {
        *byte ^= 1;
    }
    let opened = open(session, key, &sealed, CONTEXT);
    let works = opened.as_deref().is_ok_and(|opened| opened == PLAIN);
    let rate = measure(time, || {
        let sealed = seal(session, key)?;
        open(session, key, &sealed, CONTEXT).map(drop)
    });
    let bytes = sealed.len();
    vec![
        Row::new(Topic::Encryption, SEAL, works, format!("a data key becomes {bytes} bytes")),
        refused("open in another context", open(session, key, &sealed, b"another")),
        refused("open with a byte changed", open(session, key, &changed, CONTEXT)),
        Row::new(Topic::Rate, SEAL, rate.is_ok(), "one session").rate(rate.ok()),
    ]
}

fn refused(what: &str, opened: Result<Vec<u8>, Error>) -> Row {
    match opened {
        Ok(_) => Row::new(Topic::Encryption, what, false, "not refused"),
        Err(error) => {
            Row::new(Topic::Encryption, what, true, format!("refused: {}", answer::name(&error)))
        }
    }
}

fn seal(session: &Session, key: ObjectHandle) -> Result<Vec<u8>, Error> {
    let mut nonce = NONCE;
    let parameters = GcmParams::new(&mut nonce, CONTEXT, TAG_BITS.into())?;
    session.encrypt(&Mechanism::AesGcm(parameters), key, &PLAIN)
}

fn open(
    session: &Session,
    key: ObjectHandle,
    sealed: &[u8],
    context: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut nonce = NONCE;
    let parameters = GcmParams::new(&mut nonce, context, TAG_BITS.into())?;
    session.decrypt(&Mechanism::AesGcm(parameters), key, sealed)
}

const SEAL: &str = "seal and open with CKM_AES_GCM";
const CONTEXT: &[u8] = b"custody doctor";
/// What is sealed is no secret, and its key ends with the session.
const PLAIN: [u8; 32] = [0x17; 32];
const NONCE: [u8; 12] = [0x2a; 12];
const TAG_BITS: u64 = 128;
