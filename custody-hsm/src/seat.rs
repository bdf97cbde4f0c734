//! What a thread has of a token: a session, and how it gets another one.
//!
//! Invariant: nothing is tried again that may have made a signature.

use std::sync::Arc;
use std::time::Instant;

use cryptoki::error::RvError;
use cryptoki::session::{Session, SessionState};
use custody_core::crypto::Algorithm;
use custody_core::seam::ErrorKind;

use crate::fault::{Cure, Effect, Fault, cure, cure_of_reading};
use crate::module::Lost;
use crate::object;
use crate::report::{TokenReport, Usage};
use crate::token::{Tag, Token};

/// What a thread has of a token: a session of its own.
#[derive(Debug)]
pub(crate) struct Seat {
    token: Arc<Token>,
    /// The life of the module in which it was used last.
    life: u64,
    session: Option<(u64, Session)>,
    /// When whoever asked stops waiting.
    until: Option<Instant>,
}

impl Seat {
    pub(crate) const fn new(token: Arc<Token>) -> Self {
        Self { token, life: 0, session: None, until: None }
    }

    /// Nothing is tried again for somebody who does not wait any more.
    pub(crate) fn set_until(&mut self, until: Instant) {
        self.until = Some(until);
    }

    /// Does something in the session. After any failure the session is closed: an operation that
    /// was begun and not finished would poison it. If it panics, whoever drops the seat closes it.
    pub(crate) fn with<T>(
        &mut self,
        work: impl FnOnce(&Session, &Token, u64) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let token = Arc::clone(&self.token);
        let (client, life) = token.module().enter()?;
        self.life = *life;
        let session = match &mut self.session {
            Some((opened, session)) if *opened == *life => Ok(&*session),
            place => {
                // That of an earlier life is gone with it: it is forgotten, not closed.
                *place = None;
                token.session(client, *life, place)
            }
        };
        let done = session.and_then(|session| work(session, &token, *life));
        if done.is_err() {
            self.close();
        }
        done
    }

    /// Does something that changes nothing outside, and tries again if the session, the login or
    /// the module was lost.
    pub(crate) fn read<T>(
        &mut self,
        tag: &Tag,
        work: impl Fn(&Session, &Token, u64) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut tries = 0_u8;
        loop {
            let fault = match self.with(&work) {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            tries = tries.saturating_add(1);
            let is_late = self.until.is_some_and(|until| Instant::now() >= until);
            if tries >= TRIES_MAX || is_late || !self.heal(&fault, tag, tries) {
                return Err(fault);
            }
        }
    }

    /// Signs, and tries again only if it is certain that nothing was signed.
    pub(crate) fn sign(
        &mut self,
        tag: &Tag,
        algorithm: Algorithm,
        input: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let unsupported = Fault::found(ErrorKind::Unsupported, "the algorithm signs nothing here");
        let mechanism = object::signing(algorithm).ok_or(unsupported)?;
        self.read(tag, |session, token, life| {
            let key = token.private_key(session, tag, life)?;
            session.sign(&mechanism, key, input).map_err(Fault::act)
        })
    }

    /// What the token says about itself now, with how its sessions are used.
    pub(crate) fn report(&mut self, usage: Usage) -> Result<TokenReport, Fault> {
        self.with(|session, token, _| {
            let (client, _life) = token.module().enter()?;
            let info = session.get_session_info().map_err(Fault::read)?;
            let now = client.get_token_info(info.slot_id()).map_err(Fault::read)?;
            let facts = token.facts();
            Ok(TokenReport {
                label: facts.label.clone(),
                serial: facts.serial.clone(),
                manufacturer: facts.manufacturer.clone(),
                model: facts.model.clone(),
                firmware: now.firmware_version().to_string(),
                hardware: now.hardware_version().to_string(),
                mechanisms: facts.mechanisms.iter().map(ToString::to_string).collect(),
                free_private_bytes: now.free_private_memory().and_then(|free| free.try_into().ok()),
                sessions: now.session_count(),
                is_logged_in: matches!(info.session_state(), SessionState::RwUser),
                usage,
            })
        })
    }

    /// Closes the session, which is one of this life of the module.
    fn close(&mut self) {
        if let Some((_, session)) = self.session.take()
            && let Err(error) = session.close()
        {
            tracing::debug!(%error, "a session was not closed");
        }
    }

    /// Whether another try may go better.
    fn heal(&self, fault: &Fault, tag: &Tag, tries: u8) -> bool {
        match fault.cure() {
            Cure::None => false,
            Cure::Session => {
                self.token.forget(tag);
                true
            }
            // A new session first: other threads may have no trouble.
            Cure::Module if tries == 1 => {
                self.token.forget(tag);
                true
            }
            Cure::Module => match self.token.module().initialise_again(self.life, lost(fault)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "a module could not be initialised again");
                    false
                }
            },
        }
    }
}

/// However a thread ends, its session does not stay open in the token.
impl Drop for Seat {
    fn drop(&mut self) {
        let Some((opened, session)) = self.session.take() else { return };
        let Ok((_, life)) = self.token.module().enter() else { return };
        if opened == *life
            && let Err(error) = session.close()
        {
            tracing::debug!(%error, "a session was not closed");
        }
    }
}

/// Whether somebody finalised the module, so that no session can be lost any more.
const fn lost(fault: &Fault) -> Lost {
    match fault.answer() {
        Some(RvError::CryptokiNotInitialized) => Lost::All,
        Some(_) | None => Lost::Perhaps,
    }
}

impl Fault {
    fn cure(&self) -> Cure {
        match self {
            Self::Call { error, effect: Effect::Some } => cure(error),
            Self::Call { error, effect: Effect::None } => cure_of_reading(error),
            // Modules may remember for their life which tokens there are.
            Self::Absent => Cure::Module,
            Self::Found { .. } | Self::Made { .. } | Self::Pin => Cure::None,
        }
    }
}

const TRIES_MAX: u8 = 4;
