//! Callers who hear an answer, an error or a panic in time, and note what they were given.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request};
use custody_core::id::{PrincipalId, RequestId, RoleId, WalletId};
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{AuditLog, Authentication, Clock, DerivationPath, ExtendedPublicKey};
use custody_testkit::oracle::Given;
use custody_testkit::people::People;
use futures::FutureExt as _;
use futures::future::{Either, select};

use super::panics::Panics;
use super::seams::{Seams, people};
use crate::Failure;

/// The callers of one custodian.
#[derive(Clone)]
pub struct Callers {
    /// The custodian.
    pub custodian: Custodian,
    /// The log, without failpoints.
    pub log: Arc<dyn AuditLog>,
    people: People,
    ear: Ear,
    /// Whether an earlier life may have done what is asked for.
    again: bool,
}

/// What hears: notes what was given, who heard nothing in time, and what panicked.
#[derive(Clone)]
pub struct Ear {
    clock: Arc<dyn Clock>,
    limit: Duration,
    pause: Duration,
    note: Arc<dyn Fn(Given) + Send + Sync>,
    silent: Arc<Mutex<Vec<String>>>,
    panics: Panics,
}

/// How a call ended.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers take it apart")]
pub enum Heard<T> {
    /// With an answer, or with an error.
    Answer(T),
    /// With a panic, in the caller's own task.
    Panic,
    /// Not in time.
    Silence,
}

impl Ear {
    /// Hears what becomes of a life over these seams, and tells `note` what was given.
    pub fn new(
        seams: &Seams,
        limit: Duration,
        note: impl Fn(Given) + Send + Sync + 'static,
    ) -> Self {
        let (clock, panics) = (Arc::clone(&seams.clock), seams.panics.clone());
        let (pause, silent) = (Duration::ZERO, Arc::default());
        Self { clock, limit, pause, note: Arc::new(note), silent, panics }
    }

    /// The same ear, which listens on for a while when all callers have gone.
    #[must_use]
    pub const fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Listens on, so that the custodian does what it does in time.
    pub async fn pause(&self) {
        if !self.pause.is_zero() {
            let until = self.clock.monotonic().saturating_add(self.pause);
            self.clock.sleep_until(until).await;
        }
    }

    /// Waits for a call as long as a caller may have to.
    pub async fn hear<T>(&self, what: &str, call: impl Future<Output = T>) -> Heard<T> {
        let deadline = self.clock.monotonic().saturating_add(self.limit);
        let call = pin!(AssertUnwindSafe(call).catch_unwind());
        match select(call, self.clock.sleep_until(deadline)).await {
            Either::Left((Ok(answer), _)) => Heard::Answer(answer),
            Either::Left((Err(payload), _)) => {
                self.panics.note(what, payload.as_ref());
                Heard::Panic
            }
            Either::Right(((), _)) => {
                let silent = format!("{what} was not answered within {:?}", self.limit);
                self.silent.lock().unwrap_or_else(PoisonError::into_inner).push(silent);
                Heard::Silence
            }
        }
    }

    /// Fails if a caller heard nothing in time, and if a caller or a task panicked that no
    /// failpoint made panic.
    pub fn check(&self) -> Result<(), Failure> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failures = [silent, self.panics.all()].concat();
        if failures.is_empty() { Ok(()) } else { Err(failures.join(", ").into()) }
    }
}

impl Callers {
    /// The callers of a custodian over these seams.
    #[must_use]
    pub fn new(custodian: Custodian, seams: &Seams, ear: Ear) -> Self {
        let log = Arc::clone(&seams.log);
        Self { custodian, log, people: people(), ear, again: false }
    }

    /// The same callers, who ask for what an earlier life may have been asked for.
    #[must_use]
    pub fn asking_again(&self) -> Self {
        Self { again: true, ..self.clone() }
    }

    /// Makes a request, again and again if there is no answer.
    pub async fn submit(&self, request: &Request) -> Option<Answer> {
        let what = format!("request {}", request.id);
        for _ in 0..TRIES {
            let submit = Box::pin(self.custodian.submit(request.clone()));
            if let Some(answer) = self.heard(&what, submit).await {
                let (requester, id) = (request.requester.clone(), request.id.clone());
                (self.ear.note)(Given::answer_to(requester, id, &answer));
                return Some(answer);
            }
        }
        None
    }

    /// Has a command of olivia's done.
    pub async fn command(&self, id: &str, command: Command) -> Option<Answer> {
        let olivia = PrincipalId::parse("olivia").ok()?;
        let request = Request::command(olivia, RequestId::parse(id).ok()?, command);
        self.submit(&request.authenticated(Authentication::default())).await
    }

    /// Freezes, and notes that it is done once it is answered so. An answer that an earlier life
    /// may have earned says nothing of now: a thaw may have come since.
    pub async fn freeze(&self, id: &str, scope: &FreezeScope) -> Option<Answer> {
        let answer = self.command(id, Command::Freeze { scope: scope.clone() }).await;
        if !self.again && answer.as_ref().is_some_and(is_released) {
            (self.ear.note)(Given::Frozen(scope.clone()));
        }
        answer
    }

    /// Notes that a thaw is coming, and thaws. A thaw that ended without being done has the same
    /// answer for ever, so that another one is asked for then.
    pub async fn thaw(&self, id: &str, scope: &FreezeScope) -> Option<Answer> {
        (self.ear.note)(Given::Thawing(scope.clone()));
        let thaw = Command::Thaw { scope: scope.clone() };
        let answer = self.command(id, thaw.clone()).await;
        match answer {
            Some(answer) if !is_released(&answer) => {
                self.command(&format!("{id}-after-all"), thaw).await
            }
            other => other,
        }
    }

    /// Approves as a treasurer, again and again if there is no answer.
    pub async fn approve(&self, treasurer: &str, answer: &Answer) -> Option<Answer> {
        let person = self.people.get(treasurer);
        let statement = Statement {
            verb: Verb::Approve,
            order: answer.order.clone(),
            digest: answer.digest,
            principal: person.id().clone(),
            credential: person.credential_id().clone(),
            role: RoleId::parse("treasurer").ok()?,
            valid_until: self.ear.clock.now().after(Duration::from_secs(3_600)),
        };
        let said = person.say(&self.custodian.id(), statement);
        let what = format!("{treasurer}'s approval");
        self.again(&what, || Box::pin(self.custodian.approve(said.clone()))).await
    }

    /// Asks how an order stands, again and again if there is no answer.
    pub async fn ask(&self, answer: &Answer) -> Option<Answer> {
        self.again("a question", || Box::pin(self.custodian.order(&answer.order))).await
    }

    /// Asks for the key of an account, once.
    pub async fn account_key(
        &self,
        wallet: &WalletId,
        path: &DerivationPath,
    ) -> Option<ExtendedPublicKey> {
        let asked = Box::pin(self.custodian.account_key(wallet, path));
        match self.ear.hear("an account key", asked).await {
            Heard::Answer(answer) => answer.ok(),
            Heard::Panic | Heard::Silence => None,
        }
    }

    /// Goes on with what a process left that was stopped.
    pub async fn resume(&self) -> Vec<Answer> {
        for _ in 0..TRIES {
            let resume = self.ear.hear("resume", Box::pin(self.custodian.resume())).await;
            if let Heard::Answer(Ok(answers)) = resume {
                answers.iter().for_each(|answer| (self.ear.note)(Given::answer(answer)));
                return answers;
            }
        }
        Vec::new()
    }

    /// Closes the custodian; whether it said that it is closed.
    pub async fn close(&self) -> bool {
        matches!(
            self.ear.hear("close", Box::pin(self.custodian.close())).await,
            Heard::Answer(Ok(()))
        )
    }

    async fn again<F: Future<Output = Result<Answer, Error>>>(
        &self,
        what: &str,
        call: impl Fn() -> F,
    ) -> Option<Answer> {
        for _ in 0..TRIES {
            if let Some(answer) = self.heard(what, call()).await {
                (self.ear.note)(Given::answer(&answer));
                return Some(answer);
            }
        }
        None
    }

    async fn heard(
        &self,
        what: &str,
        call: impl Future<Output = Result<Answer, Error>>,
    ) -> Option<Answer> {
        match self.ear.hear(what, call).await {
            Heard::Answer(answer) => answer.ok(),
            Heard::Panic | Heard::Silence => None,
        }
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("custodian", &self.custodian).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Whether what was asked for was signed or done.
pub(super) const fn is_released(answer: &Answer) -> bool {
    matches!(answer.outcome, Outcome::Released(_))
}

/// How often a caller tries before it gives up for this life.
const TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failpoints::memory::Memory;
    use crate::failpoints::seams::World as _;

    #[test]
    fn a_caller_who_hears_nothing_is_a_failure_and_one_who_hears_late_is_not() {
        let limit = Duration::from_secs(180);
        let checked = Memory::new().live(async |seams| {
            let ear = Ear::new(&seams, limit, |_| ());
            let late = ear.hear("late", seams.clock.sleep_until(limit / 2)).await;
            assert!(matches!(late, Heard::Answer(())) && ear.check().is_ok(), "{late:?}");
            let silence = ear.hear("a hang", std::future::pending::<()>()).await;
            assert!(matches!(silence, Heard::Silence), "{silence:?}");
            ear.check()
        });
        assert_eq!(checked.unwrap_err().to_string(), "a hang was not answered within 180s");
    }
}
