mod command;
mod handle;
mod reseal;
mod switch;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_lock::SemaphoreGuard;
use futures::FutureExt;

use command::run_command;
pub(super) use handle::load_handle;
pub(super) use switch::Switchable;
use switch::sweeping;

use super::error::Error;
use super::message::{Carried, JobResult};
use super::owed::Owed;
use super::prepare::task_references;
use super::shared::{Backend, Shared, lock};
use crate::document::{Hold, TaskReference, Work};
use crate::id::{BackendId, KeyId, WalletId};
use crate::ledger::OpenOrder;
use crate::seam::{
    BackendError, DecodeContext, Decoder, ErrorKind, Intent, KeyRecord, Payload, Signer,
    SigningTask, TaskSignature,
};

/// The job of an order: see [`work`].
pub(super) fn run(
    shared: Arc<Shared>,
    order: OpenOrder,
    carried: Option<Arc<Carried>>,
) -> impl Future<Output = ()> + Send {
    let owed = Owed::new(order.document().order.clone(), &shared);
    work(owed, shared, order, carried)
}

/// Does what an allowed order asks of a backend or a handler, and brings the result to the
/// sequencer. Nothing leaves from here.
async fn work(
    mut owed: Owed,
    shared: Arc<Shared>,
    order: OpenOrder,
    carried: Option<Arc<Carried>>,
) {
    owed.begin();
    let carried = match carried {
        Some(carried) => Some(carried),
        None => load(&shared, &order).await.map(Arc::new),
    };
    let (result, carried) = match carried {
        None => (JobResult::Failed(Hold::Corrupt), None),
        Some(carried) => {
            let work = async {
                match carried.as_ref() {
                    Carried::Payload { payload, context } => {
                        sign_order(&shared, &order, payload, context).await
                    }
                    Carried::Command(command) => {
                        let done = run_command(&shared, &order, command).await;
                        done.map_err(|stop| stop.after(false))
                    }
                }
            };
            // What a backend or handler that panics has done is not known.
            const LOST: JobResult =
                JobResult::Unknown { reason: Hold::Interrupted, suspends: None };
            let result = AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(LOST));
            (result.unwrap_or_else(|stopped| stopped), Some(carried))
        }
    };
    // Whoever closes the custodian is answered once nothing holds its parts any more.
    drop(order);
    drop(shared);
    owed.pay(result, carried);
}

/// What the order carries, if the store gives it; no key is used without it, even if the store
/// panics.
async fn load(shared: &Shared, order: &OpenOrder) -> Option<Carried> {
    let load = super::deliver::load_carried(shared, order.document());
    AssertUnwindSafe(load).catch_unwind().await.ok()?.ok()
}

async fn sign_order(
    shared: &Shared,
    order: &OpenOrder,
    payload: &Payload,
    context: &DecodeContext,
) -> Result<JobResult, JobResult> {
    const FAILED: JobResult = JobResult::Failed(Hold::Corrupt);
    let document = order.document();
    let decoder = shared.decoder(&payload.format, &context.chain).map_err(|_| FAILED)?.as_ref();
    let is_same = same_decoder(&document.work, decoder);
    let intent = is_same.then(|| decode_again(shared, order, decoder, payload, context));
    let intent = intent.ok_or(FAILED)?.map_err(|_| FAILED)?;
    let wallet = document.wallet.as_ref().ok_or(FAILED)?;
    let backend = wallet_backend(shared, wallet).map_err(|stop| stop.after(false))?;
    // One place for all tasks: an order of which something is signed waits for no other.
    let _place = place(shared, order, backend).await.map_err(|stop| stop.after(false))?;
    let mut signatures = Vec::with_capacity(intent.tasks.len());
    for (task, reference) in intent.tasks.iter().zip(&document.tasks) {
        let called = !signatures.is_empty();
        let signature = sign_task(shared, order, backend, (task, reference))
            .await
            .map_err(|stop| stop.after(called))?;
        signatures.push(signature);
    }
    Ok(JobResult::Signed(signatures))
}

/// Decodes the payload once more and compares it with the order: the signer is fed these bytes.
fn decode_again(
    shared: &Shared,
    order: &OpenOrder,
    decoder: &dyn Decoder,
    payload: &Payload,
    context: &DecodeContext,
) -> Result<Intent, Error> {
    const WRONG: Error = Error::Request { what: "the order contradicts its payload" };
    let document = order.document();
    let intent = shared.decode(decoder, payload, context)?;
    let same = task_references(&intent, context)? == document.tasks
        && intent.effects == document.effects
        && intent.facts == document.facts;
    if same { Ok(intent) } else { Err(WRONG) }
}

/// Why a task was not signed, and whether a signature of it may exist.
pub(super) struct Stop {
    reason: Hold,
    called: bool,
    suspends: Option<KeyId>,
}

impl Stop {
    const fn before(reason: Hold) -> Self {
        Self { reason, called: false, suspends: None }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn of(error: &BackendError) -> Self {
        let reason = match error.kind() {
            ErrorKind::Indeterminate => Hold::BackendIndeterminate,
            ErrorKind::Corrupt => Hold::Corrupt,
            ErrorKind::Unavailable | ErrorKind::Throttled { .. } => Hold::BackendUnavailable,
            _ => Hold::BackendRefused,
        };
        Self { reason, called: !error.kind().nothing_happened(), suspends: None }
    }

    /// Of a call that signs nothing, whatever became of it.
    fn without_use(self) -> Self {
        let is_open = matches!(self.reason, Hold::BackendIndeterminate | Hold::TimedOut);
        let reason = if is_open { Hold::BackendUnavailable } else { self.reason };
        Self { reason, called: false, suspends: None }
    }

    /// Failed if nothing of the order can have been signed, else unknown.
    fn after(self, earlier: bool) -> JobResult {
        if self.called || earlier {
            JobResult::Unknown { reason: self.reason, suspends: self.suspends }
        } else {
            JobResult::Failed(self.reason)
        }
    }
}

/// A place in a backend. A job waits for it as long as for an answer, and has called nobody yet.
async fn place<'a>(
    shared: &Shared,
    order: &OpenOrder,
    backend: &'a Backend,
) -> Result<SemaphoreGuard<'a>, Stop> {
    let place = shared.calls.of(backend.permits.acquire()).await;
    let place = place.ok_or(Stop::before(Hold::BackendUnavailable))?;
    may_use(shared, order, backend)?;
    Ok(place)
}

/// Fails with what stands against the order's use of the backend right now.
pub(super) fn may_use(shared: &Shared, order: &OpenOrder, used: &Backend) -> Result<(), Stop> {
    may_go_on(shared, order)?;
    registered_backend(shared, used.backend.id())
        .map(drop)
        .ok_or(Stop::before(Hold::BackendUnavailable))
}

async fn sign_task(
    shared: &Shared,
    order: &OpenOrder,
    backend: &Backend,
    (task, reference): (&SigningTask, &TaskReference),
) -> Result<TaskSignature, Stop> {
    let wallet = order.document().wallet.as_ref().ok_or(Stop::before(Hold::Corrupt))?;
    let opened = shared.calls.of(open_signer(shared, backend, wallet, reference)).await;
    let signer = opened.ok_or(Stop::before(Hold::BackendUnavailable))??;
    let _on = sweeping(shared, backend, &reference.key).await?;
    may_use(shared, order, backend)?;
    let answered = shared.calls.of(signer.sign(task.input.as_input())).await;
    let lost = |reason| Stop { reason, called: true, suspends: None };
    let signature = match answered {
        None => return Err(lost(Hold::TimedOut)),
        Some(Err(error)) => {
            let is_wrong = error.kind() == ErrorKind::Corrupt;
            let suspends = is_wrong.then(|| task.key.clone());
            return Err(Stop { suspends, ..Stop::of(&error) });
        }
        Some(Ok(signature)) => signature,
    };
    match signature.checked(&reference.public_key, task.input.as_input()) {
        Ok(signature) => Ok(TaskSignature { key: task.key.clone(), signature }),
        Err(_) => Err(Stop { suspends: Some(task.key.clone()), ..lost(Hold::BadSignature) }),
    }
}

/// Fails with what stands against the order right now, durable or not.
fn may_go_on(shared: &Shared, order: &OpenOrder) -> Result<(), Stop> {
    let stop = |reason| Err(Stop::before(reason));
    {
        let holds = shared.holds();
        if holds.stops(order.document()) {
            return stop(Hold::Frozen);
        }
        let removed = |id| holds.has_removed(id);
        if removed(&order.document().requester) || order.counted().iter().any(removed) {
            return stop(Hold::ApproverRemoved);
        }
    }
    if order.is_over(shared.now()) {
        return stop(Hold::Expired);
    }
    shared.read().ledger.stop(order).map_or(Ok(()), stop)
}

/// The backend, if it still is what was registered.
pub(super) fn registered_backend<'a>(shared: &'a Shared, id: &BackendId) -> Option<&'a Backend> {
    let backend = shared.backends.get(id)?;
    let registered = shared.read().ledger.backend(id) == Some(backend.backend.identity());
    registered.then_some(backend)
}

/// A key's signer: from the cache, or opened with the recorded handle.
async fn open_signer(
    shared: &Shared,
    backend: &Backend,
    wallet: &WalletId,
    reference: &TaskReference,
) -> Result<Arc<dyn Signer>, Stop> {
    const SIGNERS_MAX: usize = 1_024;
    let corrupt = || Stop::before(Hold::Corrupt);
    let recorded = shared
        .read()
        .ledger
        .key(&reference.key)
        .filter(|key| *key.public_key() == reference.public_key)
        .map(|key| *key.handle())
        .ok_or_else(corrupt)?;
    let cached = lock(&shared.signers).get(&reference.key).cloned();
    if let Some((handle, signer)) = cached
        && handle == recorded
    {
        return Ok(signer);
    }
    let custodian = *shared.read().ledger.custodian();
    let (recorded, handle) = load_handle(shared, wallet, &reference.key).await?;
    let record = KeyRecord {
        custodian,
        wallet: wallet.clone(),
        key: reference.key.clone(),
        public_key: reference.public_key.clone(),
        handle,
    };
    let signer = backend.backend.signer(&record).await;
    let signer = signer.map_err(|error| Stop::of(&error).without_use())?;
    if *signer.public_key() != reference.public_key {
        return Err(corrupt());
    }
    let mut signers = lock(&shared.signers);
    if signers.len() >= SIGNERS_MAX
        && let Some(any) = signers.keys().next().cloned()
    {
        signers.remove(&any);
    }
    signers.insert(reference.key.clone(), (recorded, Arc::clone(&signer)));
    Ok(signer)
}

/// What a backend or handler answers; one that does not answer in time may have done it.
async fn answered<T>(
    shared: &Shared,
    call: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, Stop> {
    const LATE: Stop = Stop { reason: Hold::TimedOut, called: true, suspends: None };
    shared.calls.of(call).await.ok_or(LATE)?.map_err(|error| Stop::of(&error))
}

fn wallet_backend<'a>(shared: &'a Shared, wallet: &WalletId) -> Result<&'a Backend, Stop> {
    let id = shared.read().ledger.wallet(wallet).map(|wallet| wallet.backend().clone());
    id.and_then(|id| registered_backend(shared, &id)).ok_or(Stop::before(Hold::BackendUnavailable))
}

/// Whether an order carries a payload of this decoder's version: what another says was not judged.
pub(super) fn same_decoder(work: &Work, decoder: &dyn Decoder) -> bool {
    matches!(work, Work::Payload(payload) if payload.decoder == *decoder.id())
}
