//! The driver: starts lives, kills them, and holds what is left against the list.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use custody_core::id::OrderId;
use custody_core::ledger::Ledger;
use custody_core::order::OrderState;
use custody_testkit::oracle::{Breach, Given, Heard, Oracle};
use tempfile::TempDir;

use crate::Failure;
use crate::finish;
use crate::house::{self, House};
use crate::life::Manner;
use crate::process::{Killed, Phase, kill};
use crate::random::Random;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that lives.
    pub program: PathBuf,
    /// How many times to kill it.
    pub kills: u64,
    /// What all random numbers come from.
    pub seed: u64,
    /// How the lives go about the truth.
    pub manner: Manner,
}

impl Plan {
    pub(crate) fn life(&self, house: &Path, life: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(house).arg(self.seed.to_string()).arg(life.to_string());
        command.args((self.manner == Manner::Hasty).then_some("hasty"));
        command
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Lives that were ended by a kill.
    pub kills: u64,
    /// Lives that were killed while they opened their custodian.
    pub kills_in_opening: u64,
    /// Lives that were killed while they closed it.
    pub kills_in_closing: u64,
    /// Orders that a kill was found to have left between their reservation and their outcome.
    pub left: u64,
    /// Lines that were read.
    pub given: u64,
    /// Orders in the log at the end.
    pub orders: u64,
    /// Orders released with signatures.
    pub released: u64,
    /// Orders signed that people had approved.
    pub approved: u64,
    /// Orders denied because too much had left their wallet in a day.
    pub limited: u64,
    /// Events in the log at the end.
    pub events: u64,
    /// How often the directory was opened and looked through.
    pub looks: u64,
    /// Receipts that were held against the exported log.
    pub receipts: u64,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// Something does not hold.
    #[error("after kill {kill}: {breach}")]
    Breach {
        /// The breach.
        breach: Breach,
        /// How many kills there had been.
        kill: u64,
    },
    /// A life ended by itself.
    #[error("life {life} ended by itself: {told}")]
    Ended {
        /// Which.
        life: u64,
        /// What it told.
        told: String,
    },
    /// A life did not come to open its custodian, and did not end either.
    #[error("life {life} neither opened its custodian in time nor ended")]
    Hung {
        /// Which.
        life: u64,
    },
    /// Something else failed, such as opening what was left.
    #[error("after kill {kill}: {failure:?}")]
    Failed {
        /// Why.
        failure: Failure,
        /// How many kills there had been.
        kill: u64,
    },
}

/// A run under way.
pub struct Driver {
    pub(crate) directory: TempDir,
    pub(crate) oracle: Oracle,
    pub(crate) tally: Tally,
    plan: Plan,
    random: Random,
    /// What was given since the last look.
    unheard: Vec<Given>,
    /// A few orders of each life, to ask for again in later ones.
    sample: Vec<OrderId>,
    /// Everything that was ever given.
    list: BufWriter<File>,
}

impl Driver {
    /// Makes a house.
    pub async fn new(plan: Plan) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let house = directory.path().join(HOUSE);
        std::fs::create_dir(&house)?;
        House::create(&house).await?;
        Self::over(directory, plan)
    }

    /// Goes on with the house that is in the directory.
    pub(crate) fn over(directory: TempDir, plan: Plan) -> Result<Self, Failure> {
        let oracle = house::oracle(&directory.path().join(HOUSE), house::promises()?)?;
        let list = BufWriter::new(File::create(directory.path().join(LIST))?);
        let random = Random::seeded(plan.seed);
        let (unheard, sample) = (Vec::new(), Vec::new());
        Ok(Self { directory, oracle, tally: Tally::default(), plan, random, unheard, sample, list })
    }

    /// Kills as often as planned, with a look after most kills, and then looks at everything.
    pub async fn run(&mut self) -> Result<Tally, Finding> {
        self.lives().await?;
        let finished = finish::finish(self).await;
        finished.map_err(|failure| self.finding(failure))?;
        Ok(self.tally)
    }

    /// Kills so many times more, and looks.
    pub async fn go_on(&mut self, kills: u64) -> Result<(), Finding> {
        self.plan.kills += kills;
        self.lives().await?;
        let looked = self.look().await;
        looked.map_err(|failure| self.finding(failure))
    }

    /// Kills as often as planned, with a look after most kills.
    pub async fn lives(&mut self) -> Result<(), Finding> {
        while self.tally.kills < self.plan.kills {
            self.one_life().await?;
            let looked = match self.random.between(0, 4) {
                // The next life opens what this one left, without anybody having looked.
                0 | 1 => Ok(()),
                2 => self.look_at_store().await,
                _ => self.look().await,
            };
            looked.map_err(|failure| self.finding(failure))?;
        }
        Ok(())
    }

    async fn one_life(&mut self) -> Result<(), Finding> {
        let life = self.tally.kills;
        let in_opening = life > 0 && self.random.once_in(6);
        let after = match in_opening {
            true => Duration::from_micros(self.random.between(0, 70_000)),
            false => Duration::from_micros(self.random.between(1_000, 110_000)),
        };
        let command = self.plan.life(&self.house(), life);
        let killed = kill(command, (!in_opening).then_some(OPENING_MAX), after).await;
        self.take(killed, life)
    }

    /// Takes what a killed life had told.
    pub(crate) fn take(
        &mut self,
        killed: Result<Killed, Failure>,
        life: u64,
    ) -> Result<(), Finding> {
        let killed = killed.map_err(|failure| self.finding(failure))?;
        if let Some(told) = killed.ended_by_itself {
            return Err(Finding::Ended { life, told });
        }
        if killed.hung {
            return Err(Finding::Hung { life });
        }
        self.tally.kills += 1;
        match killed.phase {
            Phase::Closed | Phase::Opening => self.tally.kills_in_opening += 1,
            Phase::Closing => self.tally.kills_in_closing += 1,
            Phase::Open => {}
        }
        for given in killed.given {
            self.note(given).map_err(|failure| self.finding(failure))?;
        }
        Ok(())
    }

    fn note(&mut self, given: Given) -> Result<(), Failure> {
        self.tally.given += 1;
        serde_json::to_writer(&mut self.list, &given)?;
        self.list.write_all(b"\n")?;
        self.unheard.push(given);
        Ok(())
    }

    /// Replays what is new in the store, and holds it against what is new on the list.
    async fn look_at_store(&mut self) -> Result<(), Failure> {
        let store = house::store(&self.house())?;
        self.oracle.follow(&store).await?;
        store.close();
        self.count_left();
        self.hear()
    }

    /// Opens the whole custodian, looks at its store, and asks for orders again.
    pub(crate) async fn look(&mut self) -> Result<(), Failure> {
        let house = House::open(&self.house()).await?;
        self.oracle.follow(house.store.as_ref()).await?;
        self.count_left();
        let mut asked: Vec<_> = self.unheard.iter().filter_map(ended).cloned().collect();
        asked.truncate(60);
        let again = asked.first().cloned();
        for _ in 0..20_usize.min(self.sample.len()) {
            let place = usize::try_from(self.random.next())? % self.sample.len();
            asked.push(self.sample[place].clone());
        }
        self.sample.extend(again);
        self.hear()?;
        self.ask(&house, &asked).await?;
        house.close().await
    }

    /// Asks a house for orders, and holds the answers against the log and all earlier answers.
    async fn ask(&mut self, house: &House, orders: &[OrderId]) -> Result<(), Failure> {
        let answers = answers(house, orders).await?;
        // Time may have ended some of them just now.
        self.oracle.follow(house.store.as_ref()).await?;
        Ok(self.oracle.hear(&answers)?)
    }

    /// As [`Self::ask`], for the last time: asks again until nothing has happened between the
    /// questions and the log that they are held against, so that nobody may be told to wait for an
    /// order that has ended.
    pub(crate) async fn ask_last(
        &mut self,
        house: &House,
        orders: &[OrderId],
    ) -> Result<(), Failure> {
        let since = Instant::now();
        while since.elapsed() < REST_MAX {
            self.oracle.follow(house.store.as_ref()).await?;
            let position = self.oracle.position();
            // An event shows in the store a moment before callers hear of it. This is answered only
            // once they do.
            house.custodian.resume().await?;
            self.oracle.follow(house.store.as_ref()).await?;
            if self.oracle.position() != position {
                continue;
            }
            let answers = answers(house, orders).await?;
            self.oracle.follow(house.store.as_ref()).await?;
            if self.oracle.position() == position {
                return Ok(self.oracle.hear_now(&answers)?);
            }
            self.oracle.hear(&answers)?;
        }
        Err("the house does not come to rest".into())
    }

    fn count_left(&mut self) {
        let orders = self.oracle.ledger().into_iter().flat_map(Ledger::orders);
        let left = orders.filter(|order| order.state() == OrderState::Reserved).count();
        self.tally.left += u64::try_from(left).unwrap_or(u64::MAX);
    }

    fn hear(&mut self) -> Result<(), Failure> {
        self.tally.looks += 1;
        Ok(self.oracle.hear(&std::mem::take(&mut self.unheard))?)
    }

    /// Everything that was ever given, in the order in which it was.
    pub fn list(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<Given, Failure>> + use<>, Failure> {
        self.list.flush()?;
        let file = BufReader::new(File::open(self.directory.path().join(LIST))?);
        Ok(file.lines().map(|line| Ok(serde_json::from_str(&line?)?)))
    }

    /// Where the house is.
    #[must_use]
    pub fn house(&self) -> PathBuf {
        self.directory.path().join(HOUSE)
    }

    /// Leaves the directory where it is, for whoever looks for the reason of a finding.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.directory.keep()
    }

    fn finding(&self, failure: Failure) -> Finding {
        let kill = self.tally.kills;
        match failure.downcast::<Breach>() {
            Ok(breach) => Finding::Breach { breach: *breach, kill },
            Err(failure) => Finding::Failed { failure, kill },
        }
    }
}

/// What a house says of orders.
async fn answers(house: &House, orders: &[OrderId]) -> Result<Vec<Given>, Failure> {
    let mut answers = Vec::with_capacity(orders.len());
    for order in orders {
        answers.push(Given::answer(&house.custodian.order(order).await?));
    }
    Ok(answers)
}

/// The order of an answer that is final.
fn ended(given: &Given) -> Option<&OrderId> {
    match given {
        Given::Answer { order, heard, .. } if **heard != Heard::Pending => Some(order),
        Given::Answer { .. } | Given::Frozen(_) | Given::Head(_) | Given::Thawing(_) => None,
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("plan", &self.plan)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kills,
            kills_in_opening,
            kills_in_closing,
            left,
            given,
            orders,
            released,
            approved,
            limited,
            events,
            looks,
            receipts,
        } = self;
        write!(
            f,
            "{kills} kills ({kills_in_opening} in opening, {kills_in_closing} in closing, {left} orders left \
             reserved), {looks} looks, {orders} orders, {released} released, {approved} \
             signed after approvals, {limited} denied by the limit of a day, {events} events, \
             {given} lines given, {receipts} receipts"
        )
    }
}

pub(crate) const HOUSE: &str = "house";
const LIST: &str = "list.jsonl";
/// How long a process may take until its custodian is open.
pub(crate) const OPENING_MAX: Duration = Duration::from_secs(60);
/// How long it may take until nothing happens any more in a house of which nobody wants anything.
const REST_MAX: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_life_that_hangs_before_it_is_open_fails_the_run() {
        let (program, manner) = (PathBuf::from("none"), Manner::Honest);
        let plan = Plan { program, kills: 1, seed: 1, manner };
        let mut driver = Driver::new(plan).await.unwrap();
        let killed =
            |hung| Killed { given: Vec::new(), phase: Phase::Opening, ended_by_itself: None, hung };
        assert!(driver.take(Ok(killed(false)), 3).is_ok());
        let finding = driver.take(Ok(killed(true)), 4);
        assert!(matches!(finding, Err(Finding::Hung { life: 4 })), "{finding:?}");
    }
}
