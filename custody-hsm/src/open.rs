//! How a token is opened: its module, its login, and what it is able to do.
//!
//! Invariant: a token is asked for its PIN only once it is known which one it is.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use cryptoki::mechanism::MechanismType;
use custody_core::crypto::Algorithm;
use custody_core::id::BackendIdentity;
use custody_core::seam::BackendError;
use futures::channel::oneshot;

use crate::canary;
use crate::config::HsmConfig;
use crate::fault::Effect;
use crate::module::{ModuleError, ModuleUse};
use crate::observer::{HsmEvent, Observer};
use crate::pool::{Call, Pool};
use crate::report;
use crate::token::{Token, TokenError};

/// A token in which the user is logged in.
pub(crate) struct Opened {
    pub(crate) pool: Pool,
    pub(crate) identity: BackendIdentity,
    /// Those that were tried.
    pub(crate) algorithms: Vec<Algorithm>,
}

/// Opens the module and the token, and logs in.
pub(crate) async fn open(config: &HsmConfig, observer: Observer) -> Result<Opened, HsmOpenError> {
    let limits = config.limits;
    let (pool, identity) = in_time(config.clone(), observer).await?;
    let call = Call { limit: limits.generate, effect: Effect::None };
    let opened = pool.call(call, |seat| seat.with(|_, _, _| Ok(()))).await;
    opened.map_err(|fault| HsmOpenError::Login(fault.into_error("log in")))?;
    let algorithms = able(&pool, call).await;
    pool.settle(config.sessions.get()).map_err(HsmOpenError::Thread)?;
    Ok(Opened { pool, identity, algorithms })
}

/// Opening a module runs its code, which may hang: neither on the caller's thread nor on the one
/// that answers.
async fn in_time(
    config: HsmConfig,
    observer: Observer,
) -> Result<(Pool, BackendIdentity), HsmOpenError> {
    let (sender, receiver) = oneshot::channel();
    let limit = config.limits.generate;
    let late = move || HsmOpenError::Late { limit_ms: limit.as_millis() };
    let answering = move || {
        let (opened, opening) = mpsc::channel();
        let open = thread::Builder::new().name("hsm-open".into());
        let started = open.spawn(move || {
            // Whoever comes too late closes what was opened.
            let _late = opened.send(start(&config, observer));
        });
        let answer = match started {
            Ok(_thread) => opening.recv_timeout(limit).unwrap_or_else(|_| Err(late())),
            Err(error) => Err(HsmOpenError::Thread(error)),
        };
        // Whoever asked may have gone.
        let _gone = sender.send(answer);
    };
    let answer = thread::Builder::new().name("hsm-answer".into());
    let _thread = answer.spawn(answering).map_err(HsmOpenError::Thread)?;
    receiver.await.unwrap_or_else(|_| Err(late()))
}

/// Opens the module and finds the token, tells what changed about it, and starts its threads.
fn start(config: &HsmConfig, observer: Observer) -> Result<(Pool, BackendIdentity), HsmOpenError> {
    let module = ModuleUse::open(&config.module).map_err(HsmOpenError::Module)?;
    let token = Token::find(module, &config.token, config.pin.clone()).map_err(HsmOpenError::of)?;
    // Before the PIN is used: such a token is none of ours.
    let identity = identity_of(&token.facts().serial).ok_or(HsmOpenError::Serial)?;
    if let Some(path) = &config.facts {
        let what = report::changes(path, token.facts()).map_err(HsmOpenError::Facts)?;
        if !what.is_empty() {
            tracing::warn!(?what, "the token is not what it was");
            observer.tell(&HsmEvent::TokenChanged { what });
        }
    }
    let pool = Pool::start(Arc::new(token), config.limits, observer);
    Ok((pool.map_err(HsmOpenError::Thread)?, identity))
}

/// The algorithms that the token is able to sign by: modules list mechanisms, not curves, and some
/// list what they cannot do.
async fn able(pool: &Pool, call: Call) -> Vec<Algorithm> {
    let mut able = Vec::new();
    for algorithm in listed(&pool.token().facts().mechanisms) {
        let tried = pool.call(call, move |seat| {
            // What other processes do to the token meanwhile may be in the way once or twice.
            let mut tries = TRIES;
            loop {
                let tried = seat
                    .with(|session, token, _| canary::probe(session, token.module(), algorithm));
                tries = tries.saturating_sub(1);
                if tried.is_ok() || tries == 0 {
                    return tried;
                }
                thread::sleep(PAUSE);
            }
        });
        match tried.await {
            Ok(()) => able.push(algorithm),
            Err(error) => tracing::warn!(%algorithm, %error, "the token has no such keys"),
        }
    }
    able
}

fn listed(mechanisms: &[MechanismType]) -> Vec<Algorithm> {
    let has = |wanted: &[MechanismType]| wanted.iter().all(|one| mechanisms.contains(one));
    let mut algorithms = Vec::new();
    if has(&[MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA]) {
        algorithms.extend([Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1]);
    }
    if has(&[MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, MechanismType::EDDSA]) {
        algorithms.push(Algorithm::Ed25519);
    }
    algorithms
}

/// The token's serial number, in hex if an identity cannot hold it.
fn identity_of(serial: &str) -> Option<BackendIdentity> {
    let plain = BackendIdentity::parse(&format!("pkcs11:serial:{serial}"));
    let hex = || BackendIdentity::parse(&format!("pkcs11:serial-hex:{}", hex::encode(serial)));
    if serial.is_empty() { None } else { plain.or_else(|_| hex()).ok() }
}

/// Why a backend is not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HsmOpenError {
    /// What the token said last cannot be read or written.
    #[error("`facts`: what the token said at the last start cannot be read or written")]
    Facts(#[source] std::io::Error),
    /// The module did not open in time.
    #[error("`module`: it did not open in {limit_ms} ms")]
    Late {
        /// How long it was waited for.
        limit_ms: u128,
    },
    /// The token takes no login.
    #[error("`pin`: the token takes no login")]
    Login(#[source] BackendError),
    /// The module is not open.
    #[error("the module is not open")]
    Module(#[source] ModuleError),
    /// The token has no serial number.
    #[error("the token has no serial number, so that its keys cannot be told from others'")]
    Serial,
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
    /// No token, or more than one, has the name.
    #[error("{message}")]
    Token {
        /// What there is.
        message: String,
    },
    /// The module does not tell its tokens.
    #[error("the module does not tell its tokens")]
    Tokens(#[source] BackendError),
}

impl HsmOpenError {
    fn of(error: TokenError) -> Self {
        match error {
            TokenError::Module(fault) => Self::Tokens(fault.into_error("find the token")),
            TokenError::Many { .. } | TokenError::None { .. } => {
                Self::Token { message: error.to_string() }
            }
        }
    }
}

/// How often each algorithm is tried until it works.
const TRIES: u8 = 5;
const PAUSE: Duration = Duration::from_millis(20);
