//! Has keys switched on, destroyed, or brought back at their backend.
//!
//! Invariant: a key is active only after its backend said that it is on. One call that switches is in
//! a backend at a time.

use async_lock::SemaphoreGuard;

use super::{Stop, answered, load_handle, may_use, place, wallet_backend};
use crate::command::{Command, CommandResult};
use crate::crypto::PublicKey;
use crate::custodian::message::JobResult;
use crate::custodian::shared::{Backend, Shared, lock};
use crate::document::Hold;
use crate::id::{BackendId, KeyId, WalletId};
use crate::key::KeyState;
use crate::ledger::OpenOrder;
use crate::order::OrderState;
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
    if !still_stands(shared, order, command) {
        return Err(CONFLICT);
    }
    lock(&shared.switches).starts(order.document().order.clone());
    tell(shared, &Told { switch, key: &key, record: &record }, command).await?;
    Ok(JobResult::Executed { result: CommandResult::Done {}, records: Vec::new() })
}

/// Whether the order may still be done: neither did it end while its job waited, nor does its command
/// no longer hold, nor is a key to be switched on that is being suspended or compromised.
fn still_stands(shared: &Shared, order: &OpenOrder, command: &Command) -> bool {
    let is_destroyed = matches!(command, Command::DestroyKey { .. });
    if !is_destroyed && command.key().is_some_and(|key| shared.holds().stops_key(key)) {
        return false;
    }
    let published = shared.read();
    let found = published.ledger.order(&order.document().order);
    let is_reserved = found.is_some_and(|found| found.state() == OrderState::Reserved);
    is_reserved && published.ledger.check(command).is_ok()
}

/// Whom to tell about which key.
struct Told<'a> {
    switch: &'a dyn KeySwitch,
    key: &'a Switchable,
    record: &'a KeyRecord,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "called for these commands only")]
async fn tell(shared: &Shared, told: &Told<'_>, command: &Command) -> Result<(), Stop> {
    let Told { switch, key, record } = told;
    match command {
        Command::ResumeKey { .. } => enable(shared, told).await,
        Command::DestroyKey { .. } => answered(shared, switch.destroy(record)).await,
        Command::CancelDestroy { .. } => {
            answered(shared, switch.cancel_destroy(record)).await?;
            // A key that was not used yet still may be; the others stay off.
            if key.state == KeyState::PreActivation {
                // Its backend keeps it, whatever comes of this.
                let kept = |stop| Stop { called: true, ..stop };
                enable(shared, told).await.map_err(kept)?;
            }
            Ok(())
        }
        _ => Err(Stop::before(Hold::Conflict)),
    }
}

/// Switches a key on. A call that was not answered may be heard late: if the key is to be off it is
/// switched off once more after that.
async fn enable(shared: &Shared, told: &Told<'_>) -> Result<(), Stop> {
    let done = answered(shared, told.switch.enable(told.record)).await;
    if done.as_ref().is_err_and(|stop| stop.called) {
        let late = shared.calls.deadline();
        lock(&shared.switches).owe_again(&told.key.backend, told.key.id.clone(), late);
    }
    done
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
    let told = Told { switch, key: &key, record: &record };
    enable(shared, &told).await.map_err(Stop::without_use)?;
    Ok(Some(turn))
}

/// The place of the one call that switches a key of the backend.
async fn turn<'a>(shared: &Shared, backend: &'a Backend) -> Result<SemaphoreGuard<'a>, Stop> {
    let turn = shared.calls.of(backend.switching.acquire()).await;
    turn.ok_or(Stop::before(Hold::BackendUnavailable))
}
