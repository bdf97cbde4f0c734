//! The login of a token. Opens secrets.
//!
//! Invariant: a PIN that was refused is not tried again, and none is tried if the token says that
//! it is locked, or would be after one more that is wrong.

use std::time::{Duration, Instant};

use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;
use custody_core::crypto::Algorithm;
use custody_core::seam::ErrorKind;
use zeroize::Zeroizing;

use crate::canary::{self, Canary};
use crate::config::PinSource;
use crate::fault::Fault;
use crate::module::Module;

/// The session that keeps the login, and whether the PIN was refused.
#[derive(Debug, Default)]
pub(super) struct Login {
    pub(super) keeper: Option<(u64, Session)>,
    /// Lives as long as the session that keeps the login.
    pub(super) canary: Option<(u64, Canary)>,
    is_refused: bool,
    /// Logins that failed in a row without a word about the PIN, and when one is tried again.
    failures: u32,
    again_at: Option<Instant>,
}

impl Login {
    /// Logs the user in.
    pub(super) fn log_in(
        &mut self,
        session: &Session,
        info: &TokenInfo,
        pin: &PinSource,
    ) -> Result<(), Fault> {
        check_tries(info)?;
        let pin = pin.read().map_err(|error| {
            tracing::error!(%error, "there is no PIN");
            Fault::found(ErrorKind::Unavailable, "there is no PIN")
        })?;
        let text = std::str::from_utf8(pin.expose()).unwrap_or_default();
        let text = Zeroizing::new(text.to_owned());
        match session.login(UserType::User, Some(&AuthPin::from(text.as_str()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                (self.failures, self.again_at) = (0, None);
                Ok(())
            }
            Err(error) => {
                // Modules do not always say that it was the PIN, and tokens lock.
                self.failures = self.failures.saturating_add(1);
                let pause = PAUSE.saturating_mul(1 << self.failures.min(PAUSE_DOUBLINGS));
                self.again_at = Instant::now().checked_add(pause);
                self.is_refused = matches!(
                    error,
                    Error::Pkcs11(
                        RvError::PinIncorrect
                            | RvError::PinInvalid
                            | RvError::PinLenRange
                            | RvError::PinExpired
                            | RvError::PinLocked,
                        _
                    )
                );
                Err(Fault::read(error))
            }
        }
    }

    /// The key that is nobody's, made if there is none in this life; none where the token makes no
    /// keys in sessions.
    pub(super) fn canary(
        &mut self,
        module: &Module,
        life: u64,
        algorithm: Algorithm,
    ) -> Result<Option<Canary>, Fault> {
        if let Some((made, canary)) = &self.canary
            && *made == life
        {
            return Ok(Some(canary.clone()));
        }
        let keeper = self.keeper.as_ref().filter(|(kept, _)| *kept == life);
        let none = Fault::found(ErrorKind::Unavailable, "no session keeps the login");
        let (_, keeper) = keeper.ok_or(none)?;
        match Canary::make(keeper, module, algorithm) {
            Err(fault) if canary::is_about_sessions(&fault) => Ok(None),
            made => {
                let canary = made?;
                self.canary = Some((life, canary.clone()));
                Ok(Some(canary))
            }
        }
    }

    /// A session that keeps the login and is not there any more is replaced by the next that is
    /// opened.
    pub(super) fn drop_lost_keeper(&mut self) {
        if let Some((_, keeper)) = &self.keeper
            && keeper.get_session_info().is_err()
        {
            self.keeper = None;
        }
    }

    /// Whether anything is asked of the token at all after what its last logins answered.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.is_refused {
            return Err(Fault::Pin);
        }
        if self.again_at.is_some_and(|again| Instant::now() < again) {
            return Err(Fault::found(ErrorKind::Unavailable, "a login failed a moment ago"));
        }
        Ok(())
    }
}

/// Whether a PIN may be tried. Whoever is started again and again would lock the token with a wrong
/// one, so the last try is left to people.
fn check_tries(info: &TokenInfo) -> Result<(), Fault> {
    if info.user_pin_locked() {
        let what = "the token has locked its PIN, so that none is tried";
        return Err(Fault::found(ErrorKind::Refused, what));
    }
    if info.user_pin_final_try() {
        let what = "one try is left before the token locks its PIN, so that none is tried until a \
                    person has logged in by other means";
        return Err(Fault::found(ErrorKind::Refused, what));
    }
    if info.user_pin_count_low() {
        tracing::warn!("a wrong PIN was tried since the last login; tokens lock after a few");
    }
    Ok(())
}

/// How long no login is tried after one failed: doubled after each further one, up to half an hour.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_DOUBLINGS: u32 = 11;
