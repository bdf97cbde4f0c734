//! A session at a token that goes past custody: what anybody can do who has the PIN.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use custody_hsm::TokenSelector;

use crate::answer;
use crate::pin::Pin;

/// A session in which the user is logged in.
///
/// A module is a singleton of its process. Whoever initialises it finalises it: a bare session that
/// finds the module open uses it, and must be gone before the backend that opened it is.
#[derive(Debug)]
pub struct Bare {
    // Closed before the module is finalised.
    session: Session,
    slot: Slot,
    info: TokenInfo,
    module: Module,
}

/// Why there is no session. Each names the argument that is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BareError {
    /// The module is no module, or does not start or answer.
    #[error("`module`: {what}")]
    Module {
        /// What happened.
        what: String,
    },
    /// There is no PIN, or the token does not take it.
    #[error("`pin`: {what}")]
    Pin {
        /// What happened.
        what: String,
    },
    /// There is no such token, or more than one.
    #[error("`token`: {what}")]
    Token {
        /// What there is.
        what: String,
    },
}

#[derive(Debug)]
struct Module {
    client: Pkcs11,
    is_ours: bool,
}

impl Bare {
    /// Opens the token with this name, or the only one there is. A wrong PIN is tried once.
    pub fn open(
        module: &Path,
        token: Option<&TokenSelector>,
        pin: &Pin,
    ) -> Result<Self, BareError> {
        let module = Module::open(module)?;
        let (slot, info) = module.token(token)?;
        let session = module.client.open_rw_session(slot).map_err(refused_session)?;
        match session.login(UserType::User, Some(&pin.login())) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => {
                let what = format!("the token takes no login: {}", answer::name(&error));
                return Err(BareError::Pin { what });
            }
        }
        Ok(Self { session, slot, info, module })
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Where the token is now.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// What the token says about itself.
    #[must_use]
    pub const fn info(&self) -> &TokenInfo {
        &self.info
    }

    /// The module.
    #[must_use]
    pub const fn client(&self) -> &Pkcs11 {
        &self.module.client
    }
}

impl Module {
    fn open(path: &Path) -> Result<Self, BareError> {
        let shown = path.display();
        let failed = |what| BareError::Module { what };
        let path = path
            .canonicalize()
            .map_err(|error| failed(format!("{shown} cannot be found: {}", error.kind())))?;
        let client = Pkcs11::new(&path)
            .map_err(|error| failed(format!("{shown} is no PKCS#11 module: {error}")))?;
        match client.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => Ok(Self { client, is_ours: true }),
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {
                Ok(Self { client, is_ours: false })
            }
            Err(error) => {
                let name = answer::name(&error);
                Err(failed(format!("{shown} does not initialise: {name}")))
            }
        }
    }

    fn token(&self, wanted: Option<&TokenSelector>) -> Result<(Slot, TokenInfo), BareError> {
        let failed = |error: Error| BareError::Module {
            what: format!("it does not tell its tokens: {}", answer::name(&error)),
        };
        let (mut found, mut there) = (Vec::new(), Vec::new());
        for slot in self.client.get_slots_with_token().map_err(failed)? {
            let Ok(info) = self.client.get_token_info(slot) else { continue };
            if !info.token_initialized() {
                continue;
            }
            there.push(format!("{:?} ({})", info.label(), info.serial_number()));
            let is_it = match wanted {
                None => true,
                Some(TokenSelector::Label(label)) => info.label() == label,
                Some(TokenSelector::Serial(serial)) => info.serial_number() == serial,
            };
            if is_it {
                found.push((slot, info));
            }
        }
        let what = match (found.pop(), found.len(), wanted) {
            (Some(one), 0, _) => return Ok(one),
            (_, _, None) => "name one".to_owned(),
            (None, _, Some(wanted)) => format!("none is {wanted:?}"),
            (Some(_), _, Some(wanted)) => format!("several are {wanted:?}"),
        };
        let there = format!("there are {}: {}", there.len(), there.join(", "));
        Err(BareError::Token { what: format!("{what}; {there}") })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.is_ours {
            // A module that does not finalise is gone with the process.
            drop(self.client.clone().finalize());
        }
    }
}

fn refused_session(error: Error) -> BareError {
    BareError::Token { what: format!("it opens no session: {}", answer::name(&error)) }
}
