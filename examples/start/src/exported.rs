//! The documents of an exported log.

use custody_audit::verify::VerifiedLog;
use custody_core::digest::Digest;
use custody_core::replay::Documents;

/// What entries name, out of a log whose head was verified. A link is not followed, and no more is
/// read than a document may have.
#[derive(Clone, Copy, Debug)]
pub struct ExportedDocuments<'a>(pub &'a VerifiedLog);

impl Documents for ExportedDocuments<'_> {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        self.0.document(*sha256).ok()
    }
}
