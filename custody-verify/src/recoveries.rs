//! Recoveries from archives: each names the head of the log that was restored.
//!
//! Invariant: a log without recoveries is not gone through once more, and one with any number of
//! them is gone through once.

use custody_audit::verify::LogDirectory;
use custody_core::seam::Head;
use custody_core::tree::Tree;

use crate::failure::{EntryError, Failure};

/// Compares the head that each recovery names with the tree over the entries before it. Recoveries
/// stand in the order of the log.
pub(crate) fn check(directory: &LogDirectory, named: &[(u64, Head)]) -> Result<(), Failure> {
    if named.is_empty() {
        return Ok(());
    }
    let mut left = named.iter().peekable();
    let mut tree = Tree::default();
    let gone_through = directory.clone().replay(|index, entry| {
        if let Some((_, head)) = left.next_if(|(at, _)| *at == index)
            && *head != tree.head()
        {
            return Err(EntryError::Restored);
        }
        tree.append(entry);
        Ok(())
    });
    gone_through.map(drop).map_err(Failure::from)?;
    match left.next() {
        None => Ok(()),
        Some((index, _)) => Err(Failure::Entry { index: *index, source: EntryError::Restored }),
    }
}
