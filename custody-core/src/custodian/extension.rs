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
    /// # Errors
    /// `Indeterminate` if it may have happened.
    async fn run(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        document: &[u8],
    ) -> Result<Vec<u8>, BackendError>;
}
