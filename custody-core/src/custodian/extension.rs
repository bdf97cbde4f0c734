use std::fmt::Debug;

use async_trait::async_trait;

use crate::id::{CustodianId, ExtensionName, OrderId};
use crate::seam::BackendError;

/// Does a command of another crate or of the host, once its order was allowed.
#[async_trait]
pub trait CommandHandler: Debug + Send + Sync {
    /// The command's namespaced name.
    fn name(&self) -> &ExtensionName;

    /// Whether the document is one of its own. Pure.
    fn accepts(&self, document: &[u8]) -> bool;

    /// Does it. A second call for the same order must change nothing more.
    ///
    /// The answer is kept as a document of the order, beside the log and readable by whoever verifies
    /// it, and handed out with the release. It has at most 256 KiB: of an order with a larger one it is
    /// not known what became of it.
    ///
    /// # Security
    /// The answer must hold nothing secret.
    ///
    /// # Errors
    /// `Indeterminate` if it may have happened.
    async fn run(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        document: &[u8],
    ) -> Result<Vec<u8>, BackendError>;
}
