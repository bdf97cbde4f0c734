//! One token: its sessions, its login, and where its keys are.
//!
//! Invariant: there is one login for the life of a module, and it is never undone. A number of an
//! object is believed only in the life in which it was found.

mod login;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState};
use cryptoki::slot::{Slot, TokenInfo};
use custody_core::crypto::Algorithm;
use custody_core::seam::ErrorKind;

use crate::config::{PinSource, TokenSelector};
use crate::fault::Fault;
use crate::module::ModuleUse;
use crate::token::login::Login;
use crate::turn::{Turn, lock};

/// `CKA_ID` of a key: SHA-256 of what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag(pub(crate) [u8; 32]);

/// What a token says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenFacts {
    pub(crate) label: String,
    pub(crate) serial: String,
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    pub(crate) firmware: String,
    pub(crate) hardware: String,
    pub(crate) mechanisms: Vec<MechanismType>,
}

impl TokenFacts {
    fn of(info: &TokenInfo, mechanisms: Vec<MechanismType>) -> Self {
        Self {
            label: info.label().to_owned(),
            serial: info.serial_number().to_owned(),
            manufacturer: info.manufacturer_id().to_owned(),
            model: info.model().to_owned(),
            firmware: info.firmware_version().to_string(),
            hardware: info.hardware_version().to_string(),
            mechanisms,
        }
    }
}

/// A token of a module.
#[derive(Debug)]
pub(crate) struct Token {
    facts: TokenFacts,
    pin: PinSource,
    login: Turn<Login>,
    handles: Mutex<HashMap<Tag, (u64, ObjectHandle)>>,
    module: ModuleUse,
}

impl Token {
    /// Finds the token; nothing is opened yet.
    pub(crate) fn find(
        module: ModuleUse,
        selector: &TokenSelector,
        pin: PinSource,
    ) -> Result<Self, TokenError> {
        let facts = {
            let (client, _life) = module.enter().map_err(TokenError::Module)?;
            let (slot, info) = one(client, selector)?;
            let mechanisms = client.get_mechanism_list(slot);
            let mechanisms = mechanisms.map_err(|error| TokenError::Module(Fault::read(error)))?;
            TokenFacts::of(&info, mechanisms)
        };
        Ok(Self { facts, pin, login: Turn::default(), handles: Mutex::default(), module })
    }

    pub(crate) const fn facts(&self) -> &TokenFacts {
        &self.facts
    }

    pub(crate) const fn module(&self) -> &ModuleUse {
        &self.module
    }

    /// Opens a session in which the user is logged in, in its place: whoever owns that closes it,
    /// however this ends. Asking the host for a PIN may panic.
    pub(crate) fn session<'a>(
        &self,
        client: &Pkcs11,
        life: u64,
        place: &'a mut Option<(u64, Session)>,
    ) -> Result<&'a Session, Fault> {
        let mut login = self.login.take(LOGGING_IN)?;
        login.check()?;
        let selector = TokenSelector::Serial(self.facts.serial.clone());
        let (slot, info) = one(client, &selector).map_err(|error| match error {
            TokenError::Module(fault) => fault,
            TokenError::Many { .. } => {
                Fault::found(ErrorKind::Corrupt, "two tokens have the serial number")
            }
            TokenError::None { .. } => Fault::Absent,
        })?;
        let session = client.open_rw_session_no_drop(slot).map_err(Fault::read)?;
        let session: &'a Session = &place.insert((life, session)).1;
        let state = session.get_session_info().map_err(Fault::read)?.session_state();
        if !matches!(state, SessionState::RwUser) {
            login.log_in(session, &info, &self.pin)?;
            // Numbers of objects from before may be those of others now.
            self.handles().clear();
        }
        if login.keeper.as_ref().is_none_or(|(kept, _)| *kept != life) {
            // What was kept in an earlier life is forgotten, not closed.
            let keeper = client.open_rw_session_no_drop(slot).map_err(Fault::read)?;
            login.keeper = Some((life, keeper));
        }
        Ok(session)
    }

    /// Whether a key that is nobody's signs, made at the first look in each life of the module.
    pub(crate) fn canary(
        &self,
        session: &Session,
        life: u64,
        algorithm: Algorithm,
    ) -> Result<(), Fault> {
        let mut login = self.login.take(LOGGING_IN)?;
        let sang = login.canary(&self.module, life, algorithm).and_then(|canary| match canary {
            Some(canary) => canary.sing(session),
            None => Ok(()),
        });
        if sang.is_err() {
            login.canary = None;
            login.drop_lost_keeper();
        }
        sang
    }

    /// Whether keys that were used are still where they were: a token that is gone may answer
    /// everything else.
    pub(crate) fn keys(&self, session: &Session, life: u64) -> Result<(), Fault> {
        let known = self.handles();
        let used = known.iter().filter(|(_, (found, _))| *found == life);
        let used: Vec<Tag> = used.map(|(tag, _)| *tag).take(KEYS_LOOKED_FOR).collect();
        drop(known);
        for tag in &used {
            if self.only(session, ObjectClass::PRIVATE_KEY, tag)?.is_some() {
                return Ok(());
            }
            self.forget(tag);
        }
        match used.as_slice() {
            [] => Ok(()),
            _ => Err(Fault::found(ErrorKind::Unavailable, "keys that were used are not there")),
        }
    }

    /// The private key with this tag, as found in this life of the module.
    pub(crate) fn private_key(
        &self,
        session: &Session,
        tag: &Tag,
        life: u64,
    ) -> Result<ObjectHandle, Fault> {
        if let Some((found, handle)) = self.handles().get(tag)
            && *found == life
        {
            return Ok(*handle);
        }
        let handle = self.only(session, ObjectClass::PRIVATE_KEY, tag)?;
        let handle =
            handle.ok_or(Fault::found(ErrorKind::NotFound, "the token has no such key"))?;
        let mut handles = self.handles();
        if handles.len() >= HANDLES_MAX {
            handles.clear();
        }
        handles.insert(*tag, (life, handle));
        Ok(handle)
    }

    /// The one object of this class with this tag.
    pub(crate) fn only(
        &self,
        session: &Session,
        class: ObjectClass,
        tag: &Tag,
    ) -> Result<Option<ObjectHandle>, Fault> {
        let found = {
            let _searching = self.module.objects()?;
            self.search(session, class, tag)?
        };
        one_at_most(&found)
    }

    /// All objects of this class with this tag, for whoever keeps others from making some.
    pub(crate) fn search(
        &self,
        session: &Session,
        class: ObjectClass,
        tag: &Tag,
    ) -> Result<Vec<ObjectHandle>, Fault> {
        let template =
            [Attribute::Token(true), Attribute::Class(class), Attribute::Id(tag.0.to_vec())];
        session.find_objects(&template).map_err(Fault::read)
    }

    pub(crate) fn forget(&self, tag: &Tag) {
        self.handles().remove(tag);
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<Tag, (u64, ObjectHandle)>> {
        lock(&self.handles)
    }

    /// Closes the session that keeps the login, and lets the module go. It may hang.
    pub(crate) fn close(&self) {
        if self.module.is_stuck() {
            // It stays as it is, whatever is closed.
            return self.module.let_go();
        }
        let Ok(mut login) = self.login.take(LOGGING_IN) else { return };
        if let Some((kept, keeper)) = login.keeper.take()
            && let Ok((_, life)) = self.module.enter()
            && kept == *life
        {
            let _closed = keeper.close();
        }
        self.module.let_go();
    }
}

/// Handles of objects with one id: more than one are no key.
pub(crate) fn one_at_most(found: &[ObjectHandle]) -> Result<Option<ObjectHandle>, Fault> {
    match found {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => Err(Fault::found(ErrorKind::Corrupt, "several keys of the token have one id")),
    }
}

/// The one token that the selector names, and its slot now.
fn one(client: &Pkcs11, selector: &TokenSelector) -> Result<(Slot, TokenInfo), TokenError> {
    let read = |error| TokenError::Module(Fault::read(error));
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for slot in client.get_slots_with_token().map_err(read)? {
        let Ok(info) = client.get_token_info(slot) else { continue };
        let (label, serial) = (info.label().to_owned(), info.serial_number().to_owned());
        let is_it = match selector {
            TokenSelector::Label(wanted) => *wanted == label,
            TokenSelector::Serial(wanted) => *wanted == serial,
        };
        seen.push(format!("{label:?} ({serial})"));
        if is_it && info.token_initialized() {
            found.push((slot, info));
        }
    }
    let (selector, seen) = (selector.clone(), seen.join(", "));
    match (found.pop(), found.len()) {
        (None, _) => Err(TokenError::None { selector, seen }),
        (Some(one), 0) => Ok(one),
        (Some(_), _) => Err(TokenError::Many { selector, seen }),
    }
}

/// Why no token was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// Several have the name.
    #[error("`token`: several tokens are {selector:?}; there are: {seen}")]
    Many {
        /// The name.
        selector: TokenSelector,
        /// What there is.
        seen: String,
    },
    /// The module failed.
    #[error("the module does not tell its tokens")]
    Module(#[source] Fault),
    /// None has the name.
    #[error("`token`: no token is {selector:?}; there are: {seen}")]
    None {
        /// The name.
        selector: TokenSelector,
        /// What there is.
        seen: String,
    },
}

/// So many keys are looked for; one that is there is enough.
const KEYS_LOOKED_FOR: usize = 4;
const LOGGING_IN: &str = "another thread is logging in";
/// How many numbers of objects are kept.
const HANDLES_MAX: usize = 65_536;
