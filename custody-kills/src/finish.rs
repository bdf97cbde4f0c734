//! The end of a run: everything once more, as a stranger would who has the exported log.

use std::collections::BTreeSet;
use std::path::PathBuf;

use custody_audit::note::SignedNote;
use custody_audit::proof::LogProof;
use custody_audit::verify::{KeyHistory, LogDirectory, VerifiedLog};
use custody_core::digest::Digest;
use custody_core::document::{Conclusion, EventBody, EventDocument, Verdict};
use custody_core::id::OrderId;
use custody_core::replay::Documents;
use custody_testkit::oracle::{Breach, Given, Heard, Oracle};

use crate::Failure;
use crate::driver::Driver;
use crate::house::{self, House};

/// Asks for every order, exports the log, verifies and replays the export from the beginning, and
/// holds everything that was ever given against it.
pub(crate) async fn finish(driver: &mut Driver) -> Result<(), Failure> {
    driver.look().await?;
    let house = House::open(&driver.house()).await?;
    house.custodian.resume().await?;
    driver.oracle.follow(house.store.as_ref()).await?;
    let orders: Vec<_> = driver.oracle.orders().cloned().collect();
    for some in orders.chunks(500) {
        Box::pin(driver.ask_last(&house, some)).await?;
    }
    // Everything was gone on with, and its backend answers.
    driver.oracle.settled()?;
    let checkpoint = house.custodian.checkpoint().await?.ok_or("no head was ever signed")?;
    let export = driver.directory.path().join("export");
    custody_audit::export(house.store.as_ref(), &checkpoint, &export).await?;
    // What nobody reads is read here: no kill may leave a record out of its tree.
    house.store.verify().await?;
    house.close().await?;

    let mut oracle = house::oracle(&driver.house(), house::promises()?)?;
    let mut counted = Counted::default();
    let log = verify(&mut oracle, &mut counted, export)?;
    oracle.settled()?;
    let mut given = Vec::new();
    for one in driver.list()? {
        let one = one?;
        driver.tally.receipts += against(&log, &one)?;
        given.push(one);
        if given.len() == 1_000 {
            // A freeze holds at the end only if no later line of the list thaws it.
            given.retain(|one| !matches!(one, Given::Frozen(_)));
            oracle.hear(&std::mem::take(&mut given))?;
        }
    }
    given.retain(|one| !matches!(one, Given::Frozen(_)));
    oracle.hear(&given)?;
    let report = oracle.report();
    let tally = &mut driver.tally;
    (tally.orders, tally.released, tally.events) = (report.orders, report.released, report.events);
    (tally.approved, tally.limited) = (counted.signed, counted.limited);
    Ok(())
}

/// Verifies the export and replays it in full with an oracle that has seen nothing.
fn verify(
    oracle: &mut Oracle,
    counted: &mut Counted,
    export: PathBuf,
) -> Result<VerifiedLog, Failure> {
    let documents = Folder(export.join("documents"));
    let log = LogDirectory::open(export)?;
    let replayed = log.replay(|_, entry| {
        oracle.event(entry, &documents)?;
        counted.event(entry);
        Ok::<_, Breach>(())
    })?;
    let log = replayed.authenticate(KeyHistory::new(house::log_key()?))?;
    log.inventory()?;
    Ok(log)
}

/// Holds a head or a receipt against the verified log; how many receipts that were.
fn against(log: &VerifiedLog, given: &Given) -> Result<u64, Failure> {
    match given {
        Given::Head(note) => {
            log.continues(&SignedNote::parse(note)?)?;
            Ok(0)
        }
        Given::Answer { heard, .. } => match heard.as_ref() {
            Heard::Released { receipt, .. } => {
                log.receipt(&LogProof::parse(receipt)?)?;
                Ok(1)
            }
            Heard::Cancelled
            | Heard::Denied
            | Heard::Expired
            | Heard::Failed
            | Heard::Pending
            | Heard::Unknown => Ok(0),
        },
        Given::Frozen(_) | Given::Thawing(_) => Ok(0),
    }
}

/// How often the rules came to what they are there for.
#[derive(Debug, Default)]
struct Counted {
    approved: BTreeSet<OrderId>,
    /// Orders signed that people had approved.
    signed: u64,
    /// Orders denied by the limit of a day.
    limited: u64,
}

impl Counted {
    /// Counts an event that the oracle has read.
    fn event(&mut self, entry: &[u8]) {
        let Ok(event) = EventDocument::read(entry) else { return };
        if let EventBody::ApprovalAdded(approval) = event.event {
            self.approved.insert(approval.statement.order);
        } else if let EventBody::OrderDecided(decided) = event.event {
            let is_limited = decided.verdict == Verdict::Denied
                && decided.rules.iter().any(|rule| rule.as_str() == LIMIT);
            self.limited += u64::from(is_limited);
        } else if let EventBody::OrderConcluded(concluded) = event.event {
            let is_signed = matches!(concluded.outcome, Conclusion::Signed { .. });
            self.signed += u64::from(is_signed && self.approved.contains(&concluded.order));
        }
    }
}

/// The documents of an export.
struct Folder(PathBuf);

impl Documents for Folder {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        std::fs::read(self.0.join(sha256.to_string())).ok()
    }
}

/// The rule of the house that limits what may leave a wallet in a day.
const LIMIT: &str = "daily-limit";
