//! Recoveries from archives: each names the head of the log that was restored.
//!
//! Invariant: a log without recoveries is not gone through once more.

use custody_audit::verify::LogDirectory;
use custody_core::seam::Head;
use custody_core::tree::Tree;

use crate::failure::{EntryError, Failure};

/// Compares the head that each recovery names with the tree over the entries before it.
pub(crate) fn check(directory: &LogDirectory, named: &[(u64, Head)]) -> Result<(), Failure> {
    if named.is_empty() {
        return Ok(());
    }
    let mut tree = Tree::default();
    let gone_through = directory.clone().replay(|index, entry| {
        let mut here = named.iter().filter(|(at, _)| *at == index);
        if here.any(|(_, head)| *head != tree.head()) {
            return Err(EntryError::Restored);
        }
        tree.append(entry);
        Ok(())
    });
    gone_through.map(drop).map_err(Failure::from)
}
