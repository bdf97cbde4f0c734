//! Drills as orders: who asked for one, and what it showed, stand in the log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use custody_core::custodian::CommandHandler;
use custody_core::document::{self, DocumentError, V1};
use custody_core::id::{CustodianId, ExtensionName, OrderId};
use custody_core::seam::{BackendError, ErrorKind};

use super::{DrillError, Evidence};
use crate::archive::ArchiveId;

/// The name of the command whose order is a drill.
pub const DRILL: &str = custody_core::command::DRILL;

/// What an order for a drill says: which archive; none for the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct DrillDocument {
    /// Version: 1.
    pub v: V1,
    /// The archive; none for the newest that the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveId>,
}

impl DrillDocument {
    /// The document.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        serde_json::to_vec(self).map_err(|_| DocumentError::Write)
    }

    fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::parse(bytes)
    }
}

/// Fetches an archive, finds a route and calls [`super::drill`].
#[async_trait]
pub trait Driller: Send + Sync {
    /// A drill with this archive, or with the newest one.
    ///
    /// # Errors
    /// Those of [`super::drill`], and of whatever is needed before it.
    async fn drill(&self, archive: Option<&ArchiveId>) -> Result<Evidence, DrillError>;
}

/// Does the command `recovery/drill`: its order is executed if everything was proved, and fails
/// otherwise. The evidence is the answer, which the log has.
///
/// Nothing is shown by a drill of nothing, nor by one with an archive that was made long before: an
/// old archive may restore while the new ones do not.
///
/// Rules read how long ago the last such order was executed (`context.drilled`).
pub struct DrillHandler {
    name: ExtensionName,
    driller: Arc<dyn Driller>,
    age_max: Duration,
    /// What the last drill that failed has shown.
    failure: Mutex<Option<Evidence>>,
}

impl DrillHandler {
    /// A handler that has drills made by `driller`, with archives that are no older than `age_max`.
    ///
    /// # Errors
    /// Never in fact: the name of the command is one.
    pub fn new(driller: Arc<dyn Driller>, age_max: Duration) -> Result<Self, DrillError> {
        let name = ExtensionName::parse(DRILL)
            .map_err(|_| DrillError::Backends { reason: "the command has no name".to_owned() })?;
        Ok(Self { name, driller, age_max, failure: Mutex::new(None) })
    }

    /// What the last drill in which something was not proved has shown, since this process began.
    #[must_use]
    pub fn last_failure(&self) -> Option<Evidence> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether something was proved, nothing was not, and the archive is a recent one. One that is
    /// said to be of a later time than the drill is none.
    fn shows(&self, evidence: &Evidence) -> bool {
        let is_recent = evidence.archived_at <= evidence.began_at
            && evidence.began_at.since(evidence.archived_at) <= self.age_max;
        let is_something = evidence.keys > 0 || evidence.seeds > 0;
        is_recent && is_something && evidence.is_success()
    }
}

#[async_trait]
impl CommandHandler for DrillHandler {
    fn name(&self) -> &ExtensionName {
        &self.name
    }

    fn accepts(&self, document: &[u8]) -> bool {
        DrillDocument::read(document).is_ok()
    }

    async fn run(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        document: &[u8],
    ) -> Result<Vec<u8>, BackendError> {
        let refused = || BackendError::new(ErrorKind::Refused, OPERATION);
        let asked = DrillDocument::read(document).map_err(|_| refused())?;
        let drilled = self.driller.drill(asked.archive.as_ref()).await;
        let evidence = drilled.map_err(|error| {
            tracing::error!(%order, %error, "a drill came to no end");
            refused()
        })?;
        let is_asked = asked.archive.is_none_or(|archive| archive == evidence.archive);
        if !is_asked || evidence.custodian != *custodian || !self.shows(&evidence) {
            let unproved = evidence.unproved.len();
            let archived_at = evidence.archived_at;
            tracing::error!(%order, unproved, %archived_at, "a drill did not show what it must");
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(evidence);
            return Err(refused());
        }
        evidence.to_bytes().map_err(|_| refused())
    }
}

impl fmt::Debug for DrillHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrillHandler").field("name", &self.name).finish_non_exhaustive()
    }
}

const OPERATION: &str = "drill";
