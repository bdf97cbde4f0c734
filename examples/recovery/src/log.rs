//! Whether the log goes on across the break.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Failure;
use crate::house::House;
use custody_audit::export;
use custody_audit::verify::{KeyHistory, LogDirectory};
use custody_chain::EvmDecoder;
use custody_core::digest::Digest;
use custody_core::replay::{Depth, Documents, Replay};
use custody_core::seam::{Head, Store as _};
use custody_core::tree::Tree;
use custody_policy::CedarCompiler;

/// Exports the log, verifies every signature and judges every decision in it again, and looks
/// whether the head that was signed before the loss leads to it.
pub async fn verify(house: &House, world: &Path, before: Head) -> Result<String, Failure> {
    let folder = world.join("export");
    let checkpoint = house.custodian.checkpoint().await?.ok_or("the log has no head")?;
    export(house.file.as_ref(), &checkpoint, &folder).await?;
    let compiler = Arc::new(CedarCompiler::new()?);
    let decoders = vec![Arc::new(EvmDecoder::new()) as _];
    let mut replay = Replay::new(house.custodian.id(), Depth::Full, Some(compiler), decoders);
    let documents = ExportedDocuments(folder.join("documents"));
    let log = LogDirectory::open(&folder)?
        .replay(|_, entry| replay.event(entry, &documents))
        .map_err(|error| Failure::from(error.to_string()))?;
    log.authenticate(KeyHistory::new(house.log_key.clone()))?;
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

/// The documents of an exported log.
struct ExportedDocuments(PathBuf);

impl Documents for ExportedDocuments {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        std::fs::read(self.0.join(sha256.to_string())).ok()
    }
}
