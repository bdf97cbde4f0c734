//! An AES key of a token that encrypts data keys. Opens secrets.
//!
//! Invariant: the key encrypts and decrypts and does nothing else; the context is authenticated. No
//! key but the one that was opened is used: somebody with the PIN may put another one in its place.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::digest::Digest;
use custody_core::id::KekId;
use custody_core::seam::{BackendError, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;
use subtle::ConstantTimeEq as _;

use crate::aes::{self, AesKey, Task};
use crate::fault::{Effect, Fault};
use crate::object::Origin;
use crate::pool::{Call, Pool};
use crate::seat::Seat;
use crate::token::{Tag, Token, one_at_most};
use crate::turn::lock;

/// Data keys under an AES-256 key that never leaves its token.
///
/// Each use looks the key up and has it show that it is the one that was opened. If it is not, the
/// use is refused: as `NotFound` if there is none, `Corrupt` if it is another one, `Refused` if it
/// may do more, or was brought in from outside.
#[derive(Debug)]
pub struct HsmKek {
    id: KekId,
    known: Arc<KnownKey>,
    pool: Arc<Pool>,
}

/// What is known of a key since it was opened.
#[derive(Debug)]
struct KnownKey {
    tag: Tag,
    print: String,
    /// The nonce of the last wrapping.
    last: Mutex<[u8; NONCE]>,
}

impl HsmKek {
    /// The key with this name, made if there is none.
    pub(crate) async fn open(
        pool: Arc<Pool>,
        name: &str,
        destroyable: bool,
    ) -> Result<Self, BackendError> {
        let facts = pool.token().facts();
        let needed = [MechanismType::AES_GCM, MechanismType::AES_KEY_GEN];
        if !needed.iter().all(|one| facts.mechanisms.contains(one)) {
            return Err(BackendError::new(ErrorKind::Unsupported, OPEN));
        }
        let serial = facts.serial.clone();
        let tag = Tag(*Digest::tagged("custody/hsm/kek/v1", &[name.as_bytes()]).as_bytes());
        let label = format!("custody kek {name}");
        let wanted = AesKey { tag, label, task: Task::Encrypt, destroyable };
        let call = Call { limit: pool.limits().generate, effect: Effect::Some };
        let opened = pool.call(call, move |seat| {
            seat.with(|session, token, _| {
                let key = find_or_make(session, token, &wanted)?;
                print(session, key)
            })
        });
        let print = opened.await.map_err(|fault| fault.into_error(OPEN))?;
        let text = format!("pkcs11:{}:{print}", hex::encode(serial));
        let id = KekId::parse(&text).map_err(|_| BackendError::new(ErrorKind::Corrupt, OPEN))?;
        let known = Arc::new(KnownKey { tag, print, last: Mutex::default() });
        Ok(Self { id, known, pool })
    }

    /// An encrypted data key that nobody got is worth nothing.
    fn call(&self) -> Call {
        Call { limit: self.pool.limits().sign, effect: Effect::None }
    }
}

#[async_trait]
impl KeyEncryption for HsmKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn in_process(&self) -> bool {
        false
    }

    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        if data_key.len() != DATA_KEY {
            return Err(BackendError::new(ErrorKind::Refused, WRAP));
        }
        let plain = Secret::new(data_key.expose().to_vec());
        let (known, bound) = (Arc::clone(&self.known), bound(context));
        let wrapped = self.pool.call(self.call(), move |seat| {
            seat.read(&known.tag, |session, token, _| {
                known.with(session, token, |key| seal(session, key, &known.last, &bound, &plain))
            })
        });
        wrapped.await.map_err(|fault| fault.into_error(WRAP))
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        let corrupt = || BackendError::new(ErrorKind::Corrupt, UNWRAP);
        let [VERSION, rest @ ..] = wrapped else { return Err(corrupt()) };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or_else(corrupt)?;
        if sealed.len() != SEALED {
            return Err(corrupt());
        }
        let (bound, nonce, sealed) = (bound(context), *nonce, sealed.to_vec());
        let known = Arc::clone(&self.known);
        let opened = self.pool.call(self.call(), move |seat| {
            let open = |seat: &mut Seat| {
                seat.read(&known.tag, |session, token, _| {
                    known.with(session, token, |key| decrypt(session, key, nonce, &bound, &sealed))
                })
            };
            match open(seat) {
                Err(fault) if may_be_forged(&fault) => {
                    // Modules do not say why. If the key opens something else, it is the bytes.
                    seat.read(&known.tag, |session, token, _| canary(session, token, &known))?;
                    open(seat).map_err(|fault| match may_be_forged(&fault) {
                        true => Fault::found(ErrorKind::Corrupt, "the data key does not open"),
                        false => fault,
                    })
                }
                tried => tried,
            }
        });
        let opened = opened.await.map_err(|fault| fault.into_error(UNWRAP))?;
        if opened.len() == DATA_KEY { Ok(opened) } else { Err(corrupt()) }
    }
}

impl KnownKey {
    /// Does something with the key, and believes what comes of it. The number of a key may be given
    /// to another one at any time: the key shows that it is this one before and afterwards.
    fn with<T>(
        &self,
        session: &Session,
        token: &Token,
        work: impl FnOnce(ObjectHandle) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let key = only(session, token, &self.tag)?;
        self.check(session, key)?;
        let done = work(key)?;
        self.check(session, key)?;
        Ok(done)
    }

    fn check(&self, session: &Session, key: ObjectHandle) -> Result<(), Fault> {
        aes::check(session, key, Task::Encrypt, Origin::Here)?;
        if print(session, key)? == self.print {
            return Ok(());
        }
        Err(Fault::found(ErrorKind::Corrupt, "the key is not the one that was opened"))
    }
}

fn bound(context: &[&[u8]]) -> [u8; 32] {
    *Digest::tagged("custody/hsm/context/v1", context).as_bytes()
}

fn find_or_make(session: &Session, token: &Token, wanted: &AesKey) -> Result<ObjectHandle, Fault> {
    // From the search on nobody else of this process makes one.
    let alone = token.module().objects()?;
    let found = token.search(session, ObjectClass::SECRET_KEY, &wanted.tag)?;
    if let Some(there) = one_at_most(&found)? {
        return aes::check(session, there, wanted.task, Origin::Here).map(|()| there);
    }
    let _made = aes::make(session, wanted, None)?;
    drop(alone);
    // Another process that made one at the same time has made two.
    only(session, token, &wanted.tag).map_err(Fault::once_made)
}

fn only(session: &Session, token: &Token, tag: &Tag) -> Result<ObjectHandle, Fault> {
    let none = Fault::found(ErrorKind::NotFound, "the token has no such key");
    token.only(session, ObjectClass::SECRET_KEY, tag)?.ok_or(none)
}

/// Encrypts a data key under a fresh nonce, which stands before it.
fn seal(
    session: &Session,
    key: ObjectHandle,
    last: &Mutex<[u8; NONCE]>,
    bound: &[u8],
    plain: &Secret,
) -> Result<Vec<u8>, Fault> {
    let nonce = fresh(session, last)?;
    let sealed = encrypt(session, key, nonce, bound, plain.expose())?;
    // Some modules take a nonce of their own; what does not open again is worth nothing.
    let opened = decrypt(session, key, nonce, bound, &sealed)?;
    if bool::from(opened.expose().ct_eq(plain.expose())) {
        return Ok([&[VERSION], &nonce[..], &sealed].concat());
    }
    Err(Fault::found(ErrorKind::Corrupt, "the token does not open what it sealed"))
}

/// A random nonce that is neither the last one nor that of the key's print: under one nonce two data
/// keys would show their difference.
fn fresh(session: &Session, last: &Mutex<[u8; NONCE]>) -> Result<[u8; NONCE], Fault> {
    let mut nonce = [0; NONCE];
    session.generate_random_slice(&mut nonce).map_err(Fault::read)?;
    let mut last = lock(last);
    if nonce == PRINTED || nonce == *last {
        return Err(Fault::found(ErrorKind::Corrupt, "the token's random numbers are not random"));
    }
    *last = nonce;
    Ok(nonce)
}

/// What tells the key from others: the tag of nothing, under a nonce that is used for this alone.
fn print(session: &Session, key: ObjectHandle) -> Result<String, Fault> {
    let tag = encrypt(session, key, PRINTED, b"custody/hsm/kek/v1", b"")?;
    let digest = Digest::of(&tag).to_string();
    Ok(digest.chars().take(PRINT).collect())
}

/// Whether the key still opens what it has just sealed.
fn canary(session: &Session, token: &Token, known: &KnownKey) -> Result<(), Fault> {
    known.with(session, token, |key| {
        let nonce = fresh(session, &known.last)?;
        let sealed = encrypt(session, key, nonce, b"canary", &[0x5c; DATA_KEY])?;
        let opened = decrypt(session, key, nonce, b"canary", &sealed)?;
        if opened.expose() == [0x5c; DATA_KEY] {
            return Ok(());
        }
        Err(Fault::found(ErrorKind::Corrupt, "the key does not open what it sealed"))
    })
}

fn encrypt(
    session: &Session,
    key: ObjectHandle,
    mut nonce: [u8; NONCE],
    bound: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Fault> {
    let parameters = GcmParams::new(&mut nonce, bound, TAG_BITS.into()).map_err(Fault::read)?;
    session.encrypt(&Mechanism::AesGcm(parameters), key, plain).map_err(Fault::read)
}

fn decrypt(
    session: &Session,
    key: ObjectHandle,
    mut nonce: [u8; NONCE],
    bound: &[u8],
    sealed: &[u8],
) -> Result<Secret, Fault> {
    let parameters = GcmParams::new(&mut nonce, bound, TAG_BITS.into()).map_err(Fault::read)?;
    let opened = session.decrypt(&Mechanism::AesGcm(parameters), key, sealed);
    opened.map(Secret::new).map_err(Fault::read)
}

/// Whether a module may have meant that the bytes or the context are not those that were sealed.
fn may_be_forged(fault: &Fault) -> bool {
    let Fault::Call { error: Error::Pkcs11(answer, Function::Decrypt), .. } = fault else {
        return false;
    };
    matches!(
        answer,
        RvError::DataInvalid
            | RvError::DeviceError
            | RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::FunctionFailed
            | RvError::GeneralError
            | RvError::SignatureInvalid
    )
}

const OPEN: &str = "open a key that encrypts keys";
const WRAP: &str = "encrypt a data key";
const UNWRAP: &str = "decrypt a data key";
const VERSION: u8 = 1;
const DATA_KEY: usize = 32;
const NONCE: usize = 12;
/// The nonce of the key's print.
const PRINTED: [u8; NONCE] = [0; NONCE];
const TAG_BITS: u64 = 128;
/// A data key and its tag.
const SEALED: usize = 48;
/// So many hexadecimal digits tell a key from others.
const PRINT: usize = 16;
