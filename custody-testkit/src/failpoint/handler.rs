use async_trait::async_trait;
use custody_core::custodian::CommandHandler;
use custody_core::id::{CustodianId, ExtensionName, OrderId};
use custody_core::seam::BackendError;

use super::Pointed;

#[async_trait]
impl CommandHandler for Pointed<dyn CommandHandler> {
    fn name(&self) -> &ExtensionName {
        self.inner.name()
    }

    fn accepts(&self, document: &[u8]) -> bool {
        self.points.plain_now("handler.accepts", || self.inner.accepts(document))
    }

    async fn run(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        document: &[u8],
    ) -> Result<Vec<u8>, BackendError> {
        let error = |kind| BackendError::new(kind, "run");
        let inner = self.inner.run(custodian, order, document);
        self.points.call("handler.run", error, inner).await
    }
}
