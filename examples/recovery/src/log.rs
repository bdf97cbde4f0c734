//! Whether the log goes on across the break.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use crate::Failure;
use crate::house::House;
use custody_audit::export;
use custody_audit::verify::{KeyHistory, LogDirectory};
use custody_chain::EvmDecoder;
use custody_core::replay::{Depth, Replay};
use custody_core::seam::{Head, Store as _};
use custody_core::tree::Tree;
use custody_policy::CedarCompiler;
use examples_start::exported::ExportedDocuments;

/// Exports the log, verifies every signature and judges every decision in it again, and looks
/// whether the head that was signed before the loss leads to it.
pub async fn verify(house: &House, world: &Path, before: Head) -> Result<String, Failure> {
    let folder = world.join("export");
    let checkpoint = house.custodian.checkpoint().await?.ok_or("the log has no head")?;
    export(house.file.as_ref(), &checkpoint, &folder).await?;
    let compiler = Arc::new(CedarCompiler::new()?);
    let decoders = vec![Arc::new(EvmDecoder::new()) as _];
    let mut replay = Replay::new(house.custodian.id(), Depth::Full, Some(compiler), decoders);
    let directory = LogDirectory::open(&folder)?;
    let log = directory.clone().replay(|_, _| Ok::<_, Infallible>(()))?;
    let log = log.authenticate(KeyHistory::new(house.log_key.clone()))?;
    let documents = ExportedDocuments(&log);
    let replayed = directory.replay(|_, entry| replay.event(entry, &documents));
    replayed.map(drop).map_err(|error| Failure::from(error.to_string()))?;
    leads_to(house, before).await?;
    let report = replay.report();
    Ok(format!(
        "the log goes on across the break at entry {}: {} entries, {} decisions judged again, {} \
         signatures verified",
        before.size, report.events, report.decisions, report.signatures
    ))
}

async fn leads_to(house: &House, before: Head) -> Result<(), Failure> {
    let mut tree = Tree::default();
    while tree.size() < before.size {
        let events = house.file.events(tree.size(), 1_000).await?;
        if events.is_empty() {
            return Err("the log is shorter than it was".into());
        }
        for event in events.iter().take_while(|event| event.position < before.size) {
            tree.append(&event.bytes);
        }
    }
    if tree.head() == before { Ok(()) } else { Err("the log is not the one that was lost".into()) }
}
