//! Kills while a house is made: whatever is left, a host can finish it, and nothing that the killed
//! process had told is lost.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;
use crate::driver::{Driver, Finding, HOUSE, OPENING_MAX, Plan};
use crate::house::{Found, House};
use crate::process::kill;
use crate::random::Random;

/// What the kills had left.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "tests take it apart")]
pub struct Creations {
    /// No custodian.
    pub nothing: u64,
    /// A genesis event, and nobody had noted its id.
    pub genesis: u64,
    /// A whole house.
    pub whole: u64,
}

/// Has as many houses made as the plan has kills, kills each while it is made, finishes it, and
/// kills it once more.
///
/// # Errors
/// With the first finding, and the directory in which it was found.
pub async fn creations(plan: &Plan) -> Result<Creations, (Finding, PathBuf)> {
    let mut random = Random::seeded(plan.seed);
    let (mut left, mut usual) = (Creations::default(), 0);
    for number in 0..plan.kills {
        let plan = Plan { kills: 2, seed: plan.seed.wrapping_add(number), ..plan.clone() };
        if number.is_multiple_of(MEASURED) {
            let measured = measure(&plan).await;
            usual = measured.map_err(|failure| (failed(failure), PathBuf::new()))?;
        }
        let after = Duration::from_micros(random.between(0, usual * 3 / 2));
        one(plan, after, &mut left).await?;
    }
    Ok(left)
}

async fn one(plan: Plan, after: Duration, left: &mut Creations) -> Result<(), (Finding, PathBuf)> {
    let (directory, house) = empty().map_err(|failure| (failed(failure), PathBuf::new()))?;
    let killed = kill(plan.life(&house, 0), None, after).await;
    match House::create(&house).await {
        Ok(Found::Nothing) => left.nothing += 1,
        Ok(Found::Genesis) => left.genesis += 1,
        Ok(Found::House) => left.whole += 1,
        Err(failure) => return Err((failed(failure), directory.keep())),
    }
    let mut driver =
        Driver::over(directory, plan).map_err(|failure| (failed(failure), house.clone()))?;
    let done = match driver.take(killed, 0) {
        Ok(()) => driver.run().await.map(drop),
        Err(finding) => Err(finding),
    };
    done.map_err(|finding| (finding, driver.keep()))
}

/// How many microseconds it takes here and now from the start of a process to a house that is made
/// and open.
async fn measure(plan: &Plan) -> Result<u64, Failure> {
    let (_directory, house) = empty()?;
    let since = Instant::now();
    let killed = kill(plan.life(&house, 0), Some(OPENING_MAX), Duration::ZERO).await?;
    if killed.hung {
        return Err("a house is not made in time".into());
    }
    match killed.ended_by_itself {
        None => Ok(u64::try_from(since.elapsed().as_micros())?),
        Some(told) => Err(format!("a life ended by itself: {told}").into()),
    }
}

fn empty() -> Result<(TempDir, PathBuf), Failure> {
    let directory = tempfile::tempdir()?;
    let house = directory.path().join(HOUSE);
    std::fs::create_dir(&house)?;
    Ok((directory, house))
}

fn failed(failure: Failure) -> Finding {
    Finding::Failed { failure, kill: 1 }
}

/// After so many houses it is measured again how long one takes: on a machine that got busy
/// meanwhile every kill would come before the genesis event.
const MEASURED: u64 = 10;
