//! Has keys switched on, destroyed, or brought back at their backend.
//!
//! Invariant: a key is active only after its backend said that it is on. One call that switches is in
//! a backend at a time.

use async_lock::SemaphoreGuard;

use super::{Stop, answered, load_handle, may_use, place, wallet_backend};
use crate::command::{Command, CommandResult};
use crate::crypto::PublicKey;
use crate::custodian::message::JobResult;
use crate::custodian::shared::{Backend, Shared};
use crate::document::Hold;
use crate::id::{BackendId, KeyId, WalletId};
use crate::key::KeyState;
use crate::ledger::OpenOrder;
use crate::seam::{KeyRecord, KeySwitch};

/// A key as far as whoever switches it must know it.
pub(in crate::custodian) struct Switchable {
    pub(in crate::custodian) backend: BackendId,
    pub(in crate::custodian) is_scheduled: bool,
    id: KeyId,
    wallet: WalletId,
    public_key: PublicKey,
    state: KeyState,
}

impl Switchable {
    pub(in crate::custodian) fn find(shared: &Shared, id: &KeyId) -> Option<Self> {
        let published = shared.read();
        let key = published.ledger.key(id)?;
        let wallet = published.ledger.wallet(key.wallet())?;
        Some(Self {
            backend: wallet.backend().clone(),
            is_scheduled: key.destruction().is_some(),
            id: id.clone(),
            wallet: key.wallet().clone(),
            public_key: key.public_key().clone(),
            state: key.state(),
        })
    }

    pub(in crate::custodian) async fn record(&self, shared: &Shared) -> Result<KeyRecord, Stop> {
        let custodian = *shared.read().ledger.custodian();
        let (_, handle) = load_handle(shared, &self.wallet, &self.id).await?;
        Ok(KeyRecord {
            custodian,
            wallet: self.wallet.clone(),
            key: self.id.clone(),
            public_key: self.public_key.clone(),
            handle,
        })
    }
}

pub(super) async fn switch(
    shared: &Shared,
    order: &OpenOrder,
    command: &Command,
) -> Result<JobResult, Stop> {
    const CONFLICT: Stop = Stop::before(Hold::Conflict);
    let key = command.key().and_then(|id| Switchable::find(shared, id)).ok_or(CONFLICT)?;
    let backend = wallet_backend(shared, &key.wallet)?;
    let _place = place(shared, order, backend).await?;
    let switch = backend.backend.switch().ok_or(Stop::before(Hold::BackendRefused))?;
    let _turn = turn(shared, backend).await?;
    let record = key.record(shared).await?;
    may_use(shared, order, backend)?;
    shared.read().ledger.check(command).map_err(|_| CONFLICT)?;
    tell(shared, switch, command, &record, key.state).await?;
    Ok(JobResult::Executed { result: CommandResult::Done {}, handles: Vec::new() })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "called for these commands only")]
async fn tell(
    shared: &Shared,
    switch: &dyn KeySwitch,
    command: &Command,
    record: &KeyRecord,
    state: KeyState,
) -> Result<(), Stop> {
    match command {
        Command::ResumeKey { .. } => answered(shared, switch.enable(record)).await,
        Command::DestroyKey { .. } => answered(shared, switch.destroy(record)).await,
        Command::CancelDestroy { .. } => {
            answered(shared, switch.cancel_destroy(record)).await?;
            // A key that was not used yet still may be; the others stay off.
            match state {
                KeyState::PreActivation => answered(shared, switch.enable(record)).await,
                _ => Ok(()),
            }
        }
        _ => Err(Stop::before(Hold::Conflict)),
    }
}

/// Switches a deactivated key on for a sweep, where its backend switches keys. It is not switched off
/// before what this gives is dropped; the sequencer has it done once the order has ended.
pub(super) async fn sweeping<'a>(
    shared: &Shared,
    backend: &'a Backend,
    id: &KeyId,
) -> Result<Option<SemaphoreGuard<'a>>, Stop> {
    let Some(switch) = backend.backend.switch() else { return Ok(None) };
    let key = Switchable::find(shared, id).ok_or(Stop::before(Hold::Corrupt))?;
    if key.state != KeyState::Deactivated {
        return Ok(None);
    }
    let turn = turn(shared, backend).await?;
    let record = key.record(shared).await?;
    answered(shared, switch.enable(&record)).await.map_err(Stop::without_use)?;
    Ok(Some(turn))
}

/// The place of the one call that switches a key of the backend.
async fn turn<'a>(shared: &Shared, backend: &'a Backend) -> Result<SemaphoreGuard<'a>, Stop> {
    let turn = shared.calls.of(backend.switching.acquire()).await;
    turn.ok_or(Stop::before(Hold::BackendUnavailable))
}
