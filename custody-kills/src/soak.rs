//! A house that works on for long, in a process of its own: payments, denials, approvals, keys that
//! are suspended, wallets that are frozen, rules that change; with log lines that nobody can write,
//! and hosts that ask to be woken and never look.
//!
//! **Invariant:** nothing here keeps what grows with the number of orders; what this process is
//! found to keep is the house's.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::id::KeyId;
use custody_core::principal::Verb;
use custody_core::seam::{RecordKey, Store as _};
use futures::StreamExt as _;
use tokio::task::JoinSet;
use tracing_subscriber::filter::LevelFilter;

use crate::Failure;
use crate::figures::Figures;
use crate::house::{ETH, House, policy};
use crate::life::{Callers, pause};
use crate::line::Line;
use crate::random::Random;
use crate::requests;

/// The callers of one soak.
#[derive(Clone, Debug)]
struct Soak {
    callers: Callers,
    answers: Arc<AtomicU64>,
    /// How long a payer rests between two payments, in milliseconds.
    rest: u64,
}

/// Works for so long and tells what it uses meanwhile; closes the house in the end.
pub async fn soak(directory: &Path, seed: u64, length: Duration, rest: u64) -> Result<(), Failure> {
    House::create(directory).await?;
    let callers = Callers::of(House::open(directory).await?);
    callers.furnish().await?;
    callers.report(&Line::Open);
    // Nobody pays from it, and nobody thaws it.
    callers.freeze("freeze-for-good", FreezeScope::Wallet(requests::seeded()?)).await?;
    let soak = Soak { callers, answers: Arc::default(), rest };
    soak.fill().await?;
    let random = Random::seeded(seed);
    let mut tasks = JoinSet::new();
    for payer in 0..4 {
        tasks.spawn(soak.clone().small(payer));
    }
    tasks.spawn(soak.clone().large(random.other(4)));
    tasks.spawn(soak.clone().hopeless());
    tasks.spawn(soak.clone().suspend());
    tasks.spawn(soak.clone().freeze());
    tasks.spawn(soak.clone().govern());
    tasks.spawn(soak.clone().listen());
    for _ in 0..SAMPLES {
        tokio::time::sleep(length / SAMPLES).await;
        let (answers, refused) = (&soak.answers, &REFUSED);
        let figures =
            Figures::now(answers.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))?;
        soak.callers.report(&Line::Figures(figures));
    }
    soak.callers.close().await?;
    soak.callers.ended(tasks).await?;
    soak.callers.house.store.close();
    soak.callers.report(&Line::Closed);
    Ok(())
}

impl Soak {
    /// Fills what keeps the newest of something up to a limit, the pages of the store and the nodes of
    /// the log's tree, so that what grows from now on is kept for another reason.
    async fn fill(&self) -> Result<(), Failure> {
        let mut payers = JoinSet::new();
        for payer in 0..64 {
            let soak = self.clone();
            payers.spawn(async move {
                for number in 0..FILLED {
                    let id = format!("fill-{payer}-{number}");
                    soak.submit(requests::payment(&id, requests::hot(0)?, 1)?).await?;
                }
                Ok::<(), Failure>(())
            });
        }
        while let Some(ended) = payers.join_next().await {
            ended??;
        }
        tokio::try_join!(self.read_all(), self.read_all()).map(drop)
    }

    async fn read_all(&self) -> Result<(), Failure> {
        let (all, mut after) = (RecordKey::parse("document/")?, None);
        loop {
            let page = self.callers.house.store.scan(&all, after.as_ref(), 200).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
        }
    }

    /// Payments that one person may make, some of them from the wallet that is often stopped.
    async fn small(self, payer: u64) -> Result<(), Failure> {
        for number in 0_u64.. {
            let wallet =
                if number.is_multiple_of(4) { requests::cool()? } else { requests::hot(0)? };
            let id = format!("small-{payer}-{number}");
            let wei = ETH / 100_000 + u128::from(number % 97);
            self.submit(requests::payment(&id, wallet, wei)?).await?;
            pause(self.rest).await;
        }
        Ok(())
    }

    /// Payments that take two treasurers, who approve, reject, or leave it to its requester.
    async fn large(self, mut random: Random) -> Result<(), Failure> {
        for number in 0_u64.. {
            let wei = ETH / 100_000 + u128::from(number % 97);
            let id = format!("large-{number}");
            let request = requests::payment_to_a_stranger(&id, requests::hot(0)?, wei)?;
            let Some(answer) = self.submit(request).await? else { continue };
            self.say("theo", Verb::Approve, &answer).await?;
            match random.between(0, 5) {
                0 => self.say("tara", Verb::Reject, &answer).await?,
                1 => self.say("otto", Verb::Cancel, &answer).await?,
                // Nobody says enough, and it expires.
                2 => {}
                _ => self.say("tara", Verb::Approve, &answer).await?,
            }
            pause(self.rest * 4).await;
        }
        Ok(())
    }

    /// Payments above everything that anybody could approve, and others under a used id.
    async fn hopeless(self) -> Result<(), Failure> {
        for number in 0_u64.. {
            let id = format!("hopeless-{number}");
            let request = requests::payment(&id, requests::hot(0)?, 1_000 * ETH)?;
            let answer = self.submit(request.clone()).await?;
            if answer.is_some_and(|answer| !matches!(answer.outcome, Outcome::Denied { .. })) {
                return Err(format!("{id} was not denied").into());
            }
            let other = requests::other_under_the_id_of(&request)?;
            if self.submit(other).await?.is_some() {
                return Err(format!("{id} was taken twice").into());
            }
            pause(self.rest * 4).await;
        }
        Ok(())
    }

    /// The key of a wallet is suspended and resumed.
    async fn suspend(self) -> Result<(), Failure> {
        let key = KeyId::parse("cool.0")?;
        for number in 0_u64.. {
            let (stop, go) = (format!("suspend-{number}"), format!("resume-{number}"));
            self.command(&stop, Command::SuspendKey { key: key.clone() }).await?;
            pause(self.rest * 4).await;
            self.command(&go, Command::ResumeKey { key: key.clone() }).await?;
            pause(self.rest * 20).await;
        }
        Ok(())
    }

    /// The same wallet is frozen and thawed.
    async fn freeze(self) -> Result<(), Failure> {
        let scope = FreezeScope::Wallet(requests::cool()?);
        for number in 0_u64.. {
            self.callers.freeze(&format!("freeze-{number}"), scope.clone()).await?;
            pause(self.rest * 2).await;
            self.callers.thaw(&format!("thaw-{number}"), scope.clone()).await?;
            pause(self.rest * 40).await;
        }
        Ok(())
    }

    /// The rules change.
    async fn govern(self) -> Result<(), Failure> {
        for number in 0_u64.. {
            let id = format!("rules-{number}");
            let policy = String::from_utf8(policy(&id)?.to_bytes()?)?;
            self.command(&id, Command::UpdatePolicy { policy }).await?;
            pause(self.rest * 100).await;
        }
        Ok(())
    }

    /// Hosts that want to be woken: one goes away at once, one reads a little, and one never does.
    async fn listen(self) -> Result<(), Failure> {
        const DEAF_MAX: usize = 16;
        let mut deaf = VecDeque::new();
        while !self.callers.is_closing() {
            let custodian = &self.callers.house.custodian;
            drop(custodian.wakeups());
            let read = custodian.wakeups().take(3).count();
            // It ends with the custodian if nothing wakes it.
            drop(tokio::time::timeout(Duration::from_secs(1), read).await);
            deaf.push_back(Box::pin(custodian.wakeups()));
            if deaf.len() > DEAF_MAX {
                deaf.pop_front();
            }
            pause(self.rest).await;
        }
        Ok(())
    }

    async fn submit(&self, request: Request) -> Result<Option<Answer>, Failure> {
        let answer = self.callers.submit(request).await?;
        self.count(answer.as_ref()).await?;
        Ok(answer)
    }

    async fn command(&self, id: &str, command: Command) -> Result<(), Failure> {
        let answer = self.callers.command(id, command).await?;
        self.count(answer.as_ref()).await
    }

    async fn say(&self, person: &str, verb: Verb, answer: &Answer) -> Result<(), Failure> {
        let answer = self.callers.say(person, verb, answer).await?;
        self.count(answer.as_ref()).await
    }

    /// Counts an answer; what a stopped key left unknown is resolved, so that nothing stays open.
    async fn count(&self, answer: Option<&Answer>) -> Result<(), Failure> {
        self.answers.fetch_add(1, Ordering::Relaxed);
        match answer {
            Some(answer) => self.callers.settle(answer).await,
            None => Ok(()),
        }
    }
}

/// Has everything logged, to where nothing can be written.
pub fn log_in_vain() {
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    lines.with_ansi(false).log_internal_errors(false).with_writer(|| Refusing).init();
}

/// A writer that fails, each time in another way.
#[derive(Debug)]
struct Refusing;

impl Write for Refusing {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match REFUSED.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => Err(io::ErrorKind::StorageFull.into()),
            1 => Err(io::ErrorKind::BrokenPipe.into()),
            2 => Ok(0),
            // The rest of the line is refused.
            _ => Ok(line.len() / 2),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Other.into())
    }
}

/// How many writes of log lines were refused.
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// How many payments fill a house, for each of 64 payers. A list of requests that came in lately
/// doubles for the last time in a short soak when it has 32,768 of them, its table before that.
const FILLED: u32 = 520;
/// How often figures are told.
const SAMPLES: u32 = 100;
