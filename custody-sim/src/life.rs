//! One life of the custodian, from opening to its end, and the calls that are made in it.

mod acts;
mod commands;
mod first;
mod last;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request, RequestedWork};
use custody_core::id::{CustodianId, OrderId, PrincipalId};
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{Clock as _, Position, Spawner as _};
use custody_core::time::Timestamp;
use custody_testkit::key::TestKey;
use custody_testkit::people::TestPerson;
use custody_testkit::runtime::TestClock;
use futures::StreamExt as _;
use futures::future::{Either, select};

use crate::dice::Dice;
use crate::executor::Executor;
use crate::house::People;
use crate::referee::{Asked, Reader, Referee};
use crate::register::{Register, submission};
use crate::switches::Switches;
use crate::trace::Trace;
use crate::weather::Weather;
pub(crate) use first::furnish;
pub(crate) use last::settle;

/// What callers need in one life. Clones are one life.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) custodian: Custodian,
    pub(crate) id: CustodianId,
    pub(crate) clock: TestClock,
    pub(crate) dice: Dice,
    pub(crate) executor: Executor,
    pub(crate) people: Arc<People>,
    pub(crate) referee: Referee,
    pub(crate) register: Register,
    pub(crate) trace: Trace,
    pub(crate) weather: Weather,
    pub(crate) log_keys: Arc<Vec<TestKey>>,
    /// The keys of the backend, if it switches keys.
    pub(crate) switches: Option<Switches>,
}

impl Life {
    /// Lets people come and go for a while; tells whether the custodian was closed and is to be
    /// opened again by the same process.
    pub(crate) async fn live(&self) -> bool {
        let span = self.dice.time(1_000, *self.dice.pick(&[5_000, 60_000, 600_000]));
        let resumes = self.dice.chance(800);
        if self.dice.chance(500) {
            self.spawn(|life| async move { _ = life.listen().await });
        }
        if resumes && self.dice.chance(500) {
            self.resume().await;
        } else if resumes {
            self.spawn(|life| async move { life.resume().await });
        }
        for _ in 0..self.dice.between(3, 18) {
            let delay = Duration::from_millis(self.dice.below(span.as_millis() as u64));
            self.spawn(move |life| async move {
                life.weather.sleep(delay).await;
                life.act().await;
            });
        }
        if self.dice.chance(350) {
            self.weather.sleep(self.dice.time(1, span.as_millis() as u64)).await;
            return self.close().await && self.dice.chance(600);
        }
        self.weather.sleep(span.saturating_add(self.dice.time(0, 20_000))).await;
        self.all_are_answered().await;
        false
    }

    /// Closes the custodian, whatever is under way; tells whether it has closed.
    async fn close(&self) -> bool {
        self.trace.note("close");
        let patience = self.weather.sleep(PATIENCE);
        match select(pin!(self.custodian.close()), pin!(patience)).await {
            Either::Left((closed, _)) => {
                self.trace.note(format_args!("closed: {closed:?}"));
                if closed.is_ok() {
                    self.trace.count("custodians closed");
                    self.referee.closed();
                }
                closed.is_ok()
            }
            Either::Right(_) => {
                let detail = format_args!("not after {} s", PATIENCE.as_secs());
                self.referee.object("a custodian that is told to close closes", detail);
                false
            }
        }
    }

    /// However badly the parts behave, nobody waits for ever.
    async fn all_are_answered(&self) {
        let end = self.clock.monotonic().saturating_add(PATIENCE);
        while let Some(what) = self.referee.waits() {
            if self.clock.monotonic() >= end {
                return self.referee.object("every call is answered", what);
            }
            self.weather.sleep(Duration::from_secs(10)).await;
        }
    }

    /// Reads what there is, and on whenever it is woken, until the custodian has closed; tells what
    /// was read.
    pub(crate) async fn listen(&self) -> Reader {
        let (mut reader, mut wakeups) = (Reader::default(), pin!(self.custodian.wakeups()));
        loop {
            match self.custodian.events(Position::new(reader.read), u16::MAX).await {
                Ok(events) => self.referee.read(&mut reader, &events),
                Err(error) => self.trace.note(format_args!("a reader fails: {error}")),
            }
            let Some(position) = wakeups.next().await else { break };
            self.referee.woken(&mut reader, position);
        }
        self.trace.note("nobody is woken any more");
        reader
    }

    /// Runs something beside everything else.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> F,
    ) {
        self.executor.spawn(Box::pin(work(self.clone())));
    }

    /// Goes on with what the life before left.
    pub(crate) async fn resume(&self) {
        self.trace.note("resume");
        let stamp = self.referee.stamp();
        let _under_way = self.referee.begins_call(stamp, "resume");
        match self.custodian.resume().await {
            Ok(answers) => {
                for answer in answers {
                    let asked = self.referee.asks(&answer.order, "resumed");
                    self.hear(&asked, Ok(answer), None);
                }
            }
            Err(error) => self.trace.note(format_args!("resume: {error}")),
        }
    }

    /// Submits a request; nothing if the caller did not wait for the answer, or if another
    /// custodian has taken the place of this one.
    pub(crate) async fn submit(&self, request: Request, what: &str) -> Option<Answer> {
        if self.weather.is_over() {
            return None;
        }
        let requester = request.requester.clone();
        if let RequestedWork::Command(command) = &request.work {
            self.referee.commands((requester.clone(), request.id.clone()), command);
        }
        let asked = self.referee.submits(
            (requester.clone(), request.id.clone()),
            submission(&request),
            what,
        );
        let answer = self.with_patience(&asked, self.custodian.submit(request)).await?;
        self.hear(&asked, answer, Some(requester))
    }

    /// A person says something about an order.
    pub(crate) async fn say(
        &self,
        person: &TestPerson,
        verb: Verb,
        order: (OrderId, custody_core::digest::Digest),
        until: Timestamp,
    ) -> Option<Answer> {
        let role = person.principal().roles.into_iter().next_back()?;
        let statement = Statement {
            verb,
            order: order.0,
            digest: order.1,
            principal: person.id().clone(),
            credential: person.credential_id().clone(),
            role,
            valid_until: until,
        };
        let signed = person.say(&self.id, statement);
        self.register.memory().statements.push(signed.clone());
        self.give(signed).await
    }

    /// Hands a statement in, a new one or one that was handed in before.
    pub(crate) async fn give(
        &self,
        signed: custody_core::principal::SignedStatement,
    ) -> Option<Answer> {
        if self.weather.is_over() {
            return None;
        }
        let statement = &signed.statement;
        let what = format!("{} {:?}", statement.principal, statement.verb);
        let asked = self.referee.asks(&statement.order, &what);
        let answer = match statement.verb {
            Verb::Approve => self.with_patience(&asked, self.custodian.approve(signed)).await?,
            Verb::Cancel => self.with_patience(&asked, self.custodian.cancel(signed)).await?,
            Verb::Reject => self.with_patience(&asked, self.custodian.reject(signed)).await?,
        };
        self.hear(&asked, answer, None)
    }

    /// Asks how an order stands.
    pub(crate) async fn ask(&self, order: &OrderId, again: bool) -> Option<Answer> {
        if self.weather.is_over() {
            return None;
        }
        let asked = self.referee.asks(order, if again { "judge again" } else { "how is" });
        let answer = if again {
            self.with_patience(&asked, self.custodian.judge_again(order)).await?
        } else {
            self.with_patience(&asked, self.custodian.order(order)).await?
        };
        self.hear(&asked, answer, None)
    }

    /// Now and then a caller does not wait for the answer.
    async fn with_patience<T>(&self, asked: &Asked, call: impl Future<Output = T>) -> Option<T> {
        let _under_way = self.referee.begins_call(asked.stamp, &asked.what);
        if self.weather.sky().is_calm || !self.dice.chance(80) {
            return Some(call.await);
        }
        let patience = self.weather.sleep(self.dice.time(0, 2_000));
        match select(pin!(call), pin!(patience)).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => {
                self.trace.note("a caller went away");
                self.trace.count("callers who went away");
                None
            }
        }
    }

    /// Holds an answer against all else, and lets people react to it.
    fn hear(
        &self,
        asked: &Asked,
        answer: Result<Answer, Error>,
        requester: Option<PrincipalId>,
    ) -> Option<Answer> {
        self.referee.answered(asked, &answer);
        let answer = answer.ok()?;
        let is_new = self.register.hear(&answer, requester);
        if is_new
            && !self.weather.sky().is_calm
            && matches!(answer.outcome, Outcome::Pending { .. })
        {
            self.approvers_look_at(&answer);
        }
        Some(answer)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Longer than all that can be under way may take, one after the other.
const PATIENCE: Duration = Duration::from_secs(1_800);
