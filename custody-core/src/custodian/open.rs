use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::Kept;
use super::error::{Error, OpenError};
use super::limits::Limit;
use super::record::{document_key, snapshot_keys};
use super::shared::Shared;
use super::{Genesis, builder::Seams, recover};
use crate::bytes::HexBytes;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::document::{
    DocumentReference, EventBody, EventDocument, GenesisEvent, OrderSubmitted, RecoveredEvent, V1,
    size_of_bytes,
};
use crate::id::CustodianId;
use crate::ledger::{Ledger, StateReader, compile};
use crate::replay::{Depth, Replay};
use crate::seam::{
    AuditError, Batch, ErrorKind, Event, Head, PolicyEngine, Position, Record, RecordKey, Store,
};
use crate::time::Timestamp;

const PAGE: u16 = 1_000;
const WRONG_SNAPSHOT: OpenError = OpenError::Corrupt { what: "the snapshot contradicts the log" };

/// What opening found: the state, the engine of its rules, the anchored head and the last snapshot.
pub(super) struct Opened {
    pub(super) ledger: Ledger,
    pub(super) engine: Arc<dyn PolicyEngine>,
    pub(super) anchored: Option<Head>,
    pub(super) snapshot: Kept,
}

/// Writes the genesis event into an empty store. The custodian's id is its hash.
pub(super) async fn create(seams: &Seams, genesis: Genesis) -> Result<CustodianId, OpenError> {
    if seams.store.head().await? != Position::START {
        return Err(OpenError::Corrupt { what: "the store is not empty" });
    }
    let engine = compile(seams.compiler.as_ref(), &genesis.policy)?;
    let policy = genesis.policy.to_bytes().map_err(|_| crate::document::DocumentError::Write)?;
    let mut nonce = [0; 32];
    seams.entropy.fill(&mut nonce).map_err(Error::from)?;
    let sha256 = Digest::of(&policy);
    let backends = seams
        .backends
        .iter()
        .map(|backend| (backend.id().clone(), backend.identity().clone()))
        .collect();
    let event = EventDocument {
        v: V1,
        at: seams.clock.now(),
        event: EventBody::Genesis(Box::new(GenesisEvent {
            nonce: HexBytes::new(nonce.to_vec()),
            log_key: log_key(seams).await?,
            engine: seams.compiler.engine().clone(),
            policy: DocumentReference { sha256, size: size_of_bytes(&policy) },
            principals: genesis.principals,
            assets: genesis.assets,
            backends,
        })),
    };
    let bytes = event.to_bytes()?;
    let custodian = CustodianId::new(Digest::of(&bytes));
    let ledger = Ledger::genesis(custodian, &event, &policy)?;
    let text = String::from_utf8(policy.clone())
        .map_err(|_| OpenError::Corrupt { what: "the rule set is not text" })?;
    ledger.check_succession(&text, engine.as_ref(), event.at)?;
    let record = Record { key: document_key("genesis", &sha256)?, value: policy };
    let batch = Batch { inserts: vec![record], puts: Vec::new(), events: vec![bytes] };
    seams.store.commit(Position::START, batch).await?;
    Ok(custodian)
}

/// Opens a custodian from what is stored, and ends what a recovery that was cut short has left.
pub(super) async fn open(seams: &Seams, custodian: CustodianId) -> Result<Opened, OpenError> {
    let heads = heads(seams).await?;
    if let Some(anchored) = heads.anchored.filter(|anchored| anchored.size > heads.stored) {
        return Err(heads.rolled_back(anchored));
    }
    let found = find(seams, custodian, &heads).await?;
    begin(seams, found, heads.anchored, None).await
}

/// How far store, log and anchor say that they are.
pub(super) struct Heads {
    pub(super) stored: Position,
    pub(super) signed: Option<Head>,
    pub(super) anchored: Option<Head>,
}

impl Heads {
    pub(super) const fn rolled_back(&self, newer: Head) -> OpenError {
        OpenError::RolledBack { stored: self.stored.value(), signed: newer.size.value() }
    }
}

/// The heads of a store that has at least what its own log has signed.
pub(super) async fn heads(seams: &Seams) -> Result<Heads, OpenError> {
    let stored = seams.store.head().await?;
    if stored == Position::START {
        return Err(OpenError::Corrupt { what: "the store is empty" });
    }
    let signed = seams.audit.head().await?.map(|checkpoint| checkpoint.head);
    let anchored = match &seams.anchor {
        Some(anchor) => anchor.load().await?,
        None => None,
    };
    let heads = Heads { stored, signed, anchored };
    match signed.filter(|signed| signed.size > stored) {
        Some(signed) => Err(heads.rolled_back(signed)),
        None => Ok(heads),
    }
}

/// What is stored, read and checked.
pub(super) struct Found {
    pub(super) ledger: Ledger,
    engine: Arc<dyn PolicyEngine>,
    snapshot: Kept,
}

/// Finds the state of a custodian: loads the last snapshot, folds what is under a signed head and
/// replays in full what is not.
pub(super) async fn find(
    seams: &Seams,
    custodian: CustodianId,
    heads: &Heads,
) -> Result<Found, OpenError> {
    let size = heads.signed.map_or(Position::START, |head| head.size);
    let began = check_genesis(seams, custodian, size).await?;
    let (state, snapshot) = load_snapshot(seams, custodian, began, size).await?;
    let ledger = replay(seams, custodian, state, size).await?;
    if ledger.position() != heads.stored {
        return Err(OpenError::Corrupt { what: "the store's head is not where its events end" });
    }
    let engine = compile(seams.compiler.as_ref(), ledger.policy().document())?;
    Ok(Found { ledger, engine, snapshot })
}

/// Records a recovery if there is one, ends the orders that it ends, seals everything and moves the
/// anchor.
pub(super) async fn begin(
    seams: &Seams,
    found: Found,
    anchored: Option<Head>,
    recovered: Option<RecoveredEvent>,
) -> Result<Opened, OpenError> {
    let Found { mut ledger, engine, snapshot } = found;
    if log_key(seams).await? != *ledger.log_key() {
        seams.audit.rotate(ledger.log_key()).await?;
    }
    if recovered.is_none() && ledger.unsettled().next().is_some() {
        // Before a recovery that was cut short goes on, and moves the log past the anchored size.
        check_anchor(anchored, seams.audit.seal(ledger.position()).await?.head)?;
    }
    recover::settle(seams, &mut ledger, recovered).await?;
    let sealed = seams.audit.seal(ledger.position()).await?.head;
    check_anchor(anchored, sealed)?;
    if let Some(anchor) = &seams.anchor {
        if anchored != Some(sealed) {
            anchor.advance(anchored, sealed).await?;
        }
        return Ok(Opened { ledger, engine, anchored: Some(sealed), snapshot });
    }
    Ok(Opened { ledger, engine, anchored: None, snapshot })
}

/// The key that the log signs with; a log that does not tell it in time is not there.
async fn log_key(seams: &Seams) -> Result<PublicKey, OpenError> {
    let limit = Limit::new(Arc::clone(&seams.clock), seams.config.store_timeout);
    let hangs = || AuditError::new(ErrorKind::Unavailable, "tell its key in time");
    Ok(limit.of(seams.audit.public_key()).await.ok_or_else(hangs)?)
}

/// The time of the genesis event, which is the one that the custodian's id names.
async fn check_genesis(
    seams: &Seams,
    custodian: CustodianId,
    signed: Position,
) -> Result<Timestamp, OpenError> {
    let events = seams.store.events(Position::START, 1).await?;
    let first = events.first();
    let first = first.filter(|first| CustodianId::new(Digest::of(&first.bytes)) == custodian);
    let Some(first) = first else {
        return Err(OpenError::Corrupt { what: "the store is of another custodian" });
    };
    if signed > Position::START {
        seams.audit.includes(&events).await?;
    }
    Ok(EventDocument::read(&first.bytes)?.at)
}

/// The last snapshot under the signed head, if there is one. A pointer to an older one is no harm:
/// more is folded.
async fn load_snapshot(
    seams: &Seams,
    custodian: CustodianId,
    began: Timestamp,
    signed: Position,
) -> Result<(Option<Ledger>, Kept), OpenError> {
    for key in snapshot_keys()? {
        let Some(pointer) = seams.store.get(&key).await? else { continue };
        let text = std::str::from_utf8(&pointer.value).map_err(|_| WRONG_SNAPSHOT)?;
        let index = Position::new(text.parse().map_err(|_| WRONG_SNAPSHOT)?);
        if index < signed {
            let (state, parts) = snapshot_at(seams, index, began).await?;
            if *state.custodian() != custodian || state.position() != index {
                return Err(WRONG_SNAPSHOT);
            }
            let kept = Kept { since: index, index: Some(index), parts: Arc::new(parts) };
            return Ok((Some(state), kept));
        }
    }
    Ok((None, Kept::default()))
}

async fn snapshot_at(
    seams: &Seams,
    index: Position,
    began: Timestamp,
) -> Result<(Ledger, BTreeSet<Digest>), OpenError> {
    let events = seams.store.events(index, 1).await?;
    seams.audit.includes(&events).await?;
    let event = EventDocument::read(&events.first().ok_or(WRONG_SNAPSHOT)?.bytes)?;
    let EventBody::Snapshot(reference) = event.event else { return Err(WRONG_SNAPSHOT) };
    let head = kept(seams.store.as_ref(), &reference.sha256).await?.ok_or(WRONG_SNAPSHOT)?;
    if Digest::of(&head) != reference.sha256 {
        return Err(WRONG_SNAPSHOT);
    }
    let mut reader = StateReader::new(&head)?;
    let names = reader.names();
    for sha256 in reader.missing() {
        let part = kept(seams.store.as_ref(), &sha256).await?.ok_or(WRONG_SNAPSHOT)?;
        reader.part(&part)?;
    }
    Ok((reader.finish(began)?, names))
}

/// A document of a snapshot.
async fn kept(store: &dyn Store, sha256: &Digest) -> Result<Option<Vec<u8>>, OpenError> {
    let record = store.get(&document_key("snapshot", sha256)?).await?;
    Ok(record.map(|record| record.value))
}

async fn replay(
    seams: &Seams,
    custodian: CustodianId,
    state: Option<Ledger>,
    signed: Position,
) -> Result<Ledger, OpenError> {
    const WRONG: OpenError = OpenError::Corrupt { what: "the events do not fold" };
    let compiler = Some(Arc::clone(&seams.compiler));
    let mut replay = Replay::new(custodian, Depth::Fold, compiler, seams.decoders.clone());
    let mut next = state.as_ref().map_or(Position::START, Ledger::position);
    if let Some(state) = state {
        replay = replay.from_state(state);
    }
    loop {
        let events = seams.store.events(next, PAGE).await?;
        if events.is_empty() {
            break;
        }
        let sealed: Vec<Event> =
            events.iter().filter(|event| event.position < signed).cloned().collect();
        if !sealed.is_empty() {
            seams.audit.includes(&sealed).await?;
        }
        for event in &events {
            let is_sealed = event.position < signed || event.position == Position::START;
            let depth = if is_sealed { Depth::Fold } else { Depth::Full };
            replay.set_depth(depth);
            let documents = documents(seams.store.as_ref(), event, replay.state(), depth).await?;
            replay.event(&event.bytes, &documents).map_err(|error| {
                tracing::error!(index = event.position.value(), %error, "an event does not fold");
                WRONG
            })?;
            next = event.position.plus(1);
        }
    }
    replay.into_state().ok_or(WRONG)
}

/// The documents that an event may name: its order's, and those of the orders it is about. Folding
/// alone needs only those of new orders.
async fn documents(
    store: &dyn Store,
    event: &Event,
    state: Option<&Ledger>,
    depth: Depth,
) -> Result<BTreeMap<Digest, Vec<u8>>, OpenError> {
    let body = EventDocument::read(&event.bytes)?.event;
    let mut owners = Vec::new();
    match &body {
        EventBody::Genesis(_) => owners.push("genesis".to_owned()),
        EventBody::OrderSubmitted(OrderSubmitted { order, .. }) => owners.push(order.to_string()),
        _ if depth == Depth::Fold => {}
        EventBody::Snapshot(reference) => return snapshot_documents(store, reference).await,
        EventBody::OrderConcluded(concluded) => {
            owners.push(concluded.order.to_string());
            let command = state
                .and_then(|state| state.order(&concluded.order))
                .and_then(|order| order.command().cloned());
            if let Some(crate::command::Command::ResolveOrder { order, .. }) = command.as_deref() {
                owners.push(order.to_string());
            }
        }
        EventBody::ApprovalAdded(_)
        | EventBody::KeyDestroyed(_)
        | EventBody::OrderClosed(_)
        | EventBody::OrderDecided(_)
        | EventBody::Recovered(_) => {}
    }
    let mut documents = BTreeMap::new();
    for owner in owners {
        let prefix = RecordKey::parse(&format!("document/{owner}/"))?;
        for record in store.scan(&prefix, None, PAGE).await? {
            documents.insert(Digest::of(&record.value), record.value);
        }
    }
    Ok(documents)
}

/// A snapshot's head, and the parts that it names.
async fn snapshot_documents(
    store: &dyn Store,
    reference: &DocumentReference,
) -> Result<BTreeMap<Digest, Vec<u8>>, OpenError> {
    let mut documents = BTreeMap::new();
    let Some(head) = kept(store, &reference.sha256).await? else { return Ok(documents) };
    for sha256 in StateReader::new(&head)?.missing() {
        if let Some(part) = kept(store, &sha256).await? {
            documents.insert(Digest::of(&part), part);
        }
    }
    documents.insert(Digest::of(&head), head);
    Ok(documents)
}

/// Two heads of one size with different roots never happen by accident.
fn check_anchor(anchored: Option<Head>, sealed: Head) -> Result<(), OpenError> {
    match anchored {
        Some(head) if head.size == sealed.size && head.root != sealed.root => {
            Err(OpenError::Corrupt { what: "the log was forked from its anchored head" })
        }
        _ => Ok(()),
    }
}

/// Whether every backend that wallets live in is here and is the registered one. A backend that is
/// not there stops its own keys only.
pub(super) fn warn_of_backends(shared: &Shared) {
    let published = shared.read();
    for (id, backend) in &shared.backends {
        if published.ledger.backend(id) != Some(backend.backend.identity()) {
            tracing::warn!(backend = id.as_str(), "the backend is not the registered one");
        }
    }
}
