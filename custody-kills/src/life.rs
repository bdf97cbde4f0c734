//! One life: opens the house, goes on with what the last one left, and lets callers work until the
//! process is killed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use custody_core::command::{Command, FreezeScope, Resolution};
use custody_core::custodian::{Answer, Error, Outcome, Request};
use custody_core::principal::Verb;
use custody_testkit::oracle::Given;
use tokio::task::JoinSet;

use crate::Failure;
use crate::house::House;
use crate::line::{Line, Pipe};
use crate::random::Random;
use crate::requests;
use crate::work::{admin, payers};

/// How a life goes about the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is one way to be honest")]
pub enum Manner {
    /// Callers are told what is so.
    Honest,
    /// Freezes are told as done before they are asked for: the driver must notice.
    Hasty,
}

/// The callers of one life, and what they tell.
#[derive(Clone, Debug)]
pub struct Callers {
    /// The house.
    pub house: Arc<House>,
    /// Which life this is.
    pub life: u64,
    /// How often the house was closed and opened again in this life.
    pub day: u64,
    /// How freezes are told.
    pub manner: Manner,
    pipe: Arc<Pipe>,
    closing: Arc<AtomicBool>,
}

/// Lives until it is killed: makes the house if there is none yet, and opens and closes it.
/// Returns only if something fails that must not.
pub async fn live(directory: &Path, seed: u64, life: u64, manner: Manner) -> Result<(), Failure> {
    let pipe = Arc::new(Pipe::default());
    House::create(directory).await?;
    for day in 0.. {
        let house = Arc::new(House::open(directory).await?);
        pipe.tell(&Line::Open);
        let (pipe, closing) = (Arc::clone(&pipe), Arc::default());
        let callers = Callers { house, life, day, manner, pipe, closing };
        callers.clone().work(Random::seeded(seed).other(life).other(day)).await?;
        callers.house.store.close();
        callers.pipe.tell(&Line::Closed);
    }
    Ok(())
}

impl Callers {
    /// The callers of a house that lives once.
    #[must_use]
    pub fn of(house: House) -> Self {
        let (house, manner) = (Arc::new(house), Manner::Honest);
        Self { house, life: 0, day: 0, manner, pipe: Arc::default(), closing: Arc::default() }
    }

    /// Everybody works until the house is closed.
    async fn work(self, random: Random) -> Result<(), Failure> {
        self.go_on().await?;
        self.furnish().await?;
        let mut tasks = JoinSet::new();
        for caller in 0..8 {
            tasks.spawn(payers::small(self.clone(), caller, random.other(caller)));
        }
        for caller in 8..12 {
            tasks.spawn(payers::large(self.clone(), caller, random.other(caller)));
        }
        tasks.spawn(admin::freeze(self.clone(), random.other(12)));
        tasks.spawn(admin::govern(self.clone(), random.other(13)));
        tasks.spawn(admin::watch(self.clone()));
        tasks.spawn(admin::close(self.clone(), random.other(14)));
        self.ended(tasks).await
    }

    /// Waits until everybody has ended, which nobody does by an error but because of the closing.
    pub(crate) async fn ended(
        &self,
        mut tasks: JoinSet<Result<(), Failure>>,
    ) -> Result<(), Failure> {
        while let Some(ended) = tasks.join_next().await {
            match ended? {
                Err(failure) if self.is_closing() && is_closed(&failure) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Tells something other than what a caller was given.
    pub(crate) fn report(&self, line: &Line) {
        self.pipe.tell(line);
    }

    /// Closes the custodian; whoever asks it for something from now on hears that.
    pub async fn close(&self) -> Result<(), Failure> {
        self.closing.store(true, Ordering::SeqCst);
        self.pipe.tell(&Line::Closing);
        Ok(self.house.custodian.close().await?)
    }

    /// Whether somebody is closing the house.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Which opening of the house this is, as a part of ids.
    #[must_use]
    pub fn opening(&self) -> String {
        format!("{}-{}", self.life, self.day)
    }

    /// Goes on with what the last life left reserved; what cannot be known is resolved by people.
    async fn go_on(&self) -> Result<(), Failure> {
        let resumed = self.house.custodian.resume().await?;
        for answer in &resumed {
            self.tell(Given::answer(answer));
        }
        for answer in resumed {
            self.settle(&answer).await?;
        }
        Ok(())
    }

    /// Has an order resolved whose outcome cannot be known.
    pub async fn settle(&self, answer: &Answer) -> Result<(), Failure> {
        if !matches!(answer.outcome, Outcome::Unknown { .. }) {
            return Ok(());
        }
        let reason = "the process was killed or stopped before it had a signature".to_owned();
        let resolution = Resolution::Failed { reason };
        let id = format!("resolve-{}", answer.order);
        let command = Command::ResolveOrder { order: answer.order.clone(), resolution };
        self.command(&id, command).await?;
        self.ask(answer).await.map(drop)
    }

    /// Has done what a house needs before anybody can pay. The ids are the same in each life, as
    /// long as the order of an earlier one has not ended without being done.
    pub(crate) async fn furnish(&self) -> Result<(), Failure> {
        for (id, command) in requests::furniture(self.life)? {
            let answer = self.command(&id, command.clone()).await?;
            let is_done = |answer: Answer| matches!(answer.outcome, Outcome::Released(_));
            if !answer.is_some_and(is_done) {
                self.command(&format!("{id}-{}", self.life), command).await?;
            }
        }
        Ok(())
    }

    /// Makes a request, and tells the answer.
    pub async fn submit(&self, request: Request) -> Result<Option<Answer>, Failure> {
        let (requester, id) = (request.requester.clone(), request.id.clone());
        let answer = self.heard(self.house.custodian.submit(request).await).await?;
        if let Some(answer) = &answer {
            self.tell(Given::answer_to(requester, id, answer));
        }
        Ok(answer)
    }

    /// Says something about the order of an answer, and tells the next answer.
    pub async fn say(
        &self,
        person: &str,
        verb: Verb,
        answer: &Answer,
    ) -> Result<Option<Answer>, Failure> {
        let role = if person == "otto" { "operator" } else { "treasurer" };
        let speaker = (self.house.people.get(person), role);
        let (id, now) = (self.house.custodian.id(), self.house.clock.now());
        let said = requests::says(speaker, &id, verb, answer, now)?;
        let custodian = &self.house.custodian;
        let answer = match verb {
            Verb::Approve => custodian.approve(said).await,
            Verb::Cancel => custodian.cancel(said).await,
            Verb::Reject => custodian.reject(said).await,
        };
        let answer = self.heard(answer).await?;
        self.tell_all(answer.as_ref());
        Ok(answer)
    }

    /// Has a command of olivia's done, with theo's approval if it takes one.
    pub async fn command(&self, id: &str, command: Command) -> Result<Option<Answer>, Failure> {
        let answer = self.submit(requests::command(id, command)?).await?;
        match answer {
            Some(answer) if matches!(answer.outcome, Outcome::Pending { .. }) => {
                self.say("theo", Verb::Approve, &answer).await
            }
            other => Ok(other),
        }
    }

    /// Asks how an order stands, and tells it.
    pub async fn ask(&self, answer: &Answer) -> Result<Option<Answer>, Failure> {
        let answer = self.heard(self.house.custodian.order(&answer.order).await).await?;
        self.tell_all(answer.as_ref());
        Ok(answer)
    }

    /// Has a pending order judged again, and tells how it stands.
    pub async fn judge_again(&self, answer: &Answer) -> Result<(), Failure> {
        let answer = self.heard(self.house.custodian.judge_again(&answer.order).await).await?;
        self.tell_all(answer.as_ref());
        Ok(())
    }

    /// Freezes, and tells it as done once it is.
    pub async fn freeze(&self, id: &str, scope: FreezeScope) -> Result<(), Failure> {
        if self.manner == Manner::Hasty {
            self.tell(Given::Frozen(scope.clone()));
            pause(20).await;
        }
        let answer = self.command(id, Command::Freeze { scope: scope.clone() }).await?;
        if answer.is_some_and(|answer| matches!(answer.outcome, Outcome::Released(_))) {
            self.tell(Given::Frozen(scope));
        }
        Ok(())
    }

    /// Tells that a thaw is coming, and thaws.
    pub async fn thaw(&self, id: &str, scope: FreezeScope) -> Result<(), Failure> {
        self.tell(Given::Thawing(scope.clone()));
        self.command(id, Command::Thaw { scope }).await.map(drop)
    }

    /// Tells the driver what a caller was given.
    pub fn tell(&self, given: Given) {
        self.pipe.tell(&Line::Given(given));
    }

    /// What a caller hears in the end: an order that is durable and not yet under a head is asked
    /// for again.
    async fn heard(&self, answer: Result<Answer, Error>) -> Result<Option<Answer>, Failure> {
        let Err(Error::Unavailable { order: Some(order) }) = &answer else { return heard(answer) };
        for _ in 0..ASKED_MAX {
            pause(5).await;
            let answer = self.house.custodian.order(order).await;
            if !matches!(answer, Err(Error::Unavailable { order: Some(_) })) {
                return heard(answer);
            }
        }
        Err(format!("{order} does not come under a head").into())
    }

    fn tell_all(&self, answer: Option<&Answer>) {
        if let Some(answer) = answer {
            self.tell(Given::answer(answer));
        }
    }
}

/// Waits some milliseconds.
pub async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// An answer; none for a refusal that a caller may meet, and an error for what must not happen
/// while nothing fails.
fn heard(answer: Result<Answer, Error>) -> Result<Option<Answer>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(
            Error::Busy { .. }
            | Error::Command(_)
            | Error::NotFound { .. }
            | Error::Request { .. }
            | Error::RequestReused { .. },
        ) => Ok(None),
        Err(closed @ Error::Closed) => Err(closed.into()),
        Err(other) => Err(format!("an error that nothing explains: {other:?}").into()),
    }
}

fn is_closed(failure: &Failure) -> bool {
    matches!(failure.downcast_ref(), Some(Error::Closed))
}

/// How often a caller asks again for an order that is not under a head yet.
const ASKED_MAX: u32 = 2_000;
