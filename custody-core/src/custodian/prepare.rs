mod decision;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub(super) use decision::UNDECIDABLE;
use decision::check_decision;

use super::error::Error;
use super::message::{Carried, Prepared};
use super::record::document_key;
use super::request::{Request, RequestedWork};
use super::shared::Shared;
use crate::command::Command;
use crate::digest::Digest;
use crate::document::{
    CommandReference, OrderDocument, PayloadReference, Stored, SubmissionDocument, TaskReference,
    V1, Work, size_of_bytes,
};
use crate::id::{KeyId, OrderId, PayloadFormat, WalletId};
use crate::key::KeyOperation;
use crate::ledger::{CommandRefusal, DescriptorRefusal, Ledger, Wallet, compile};
use crate::principal::{Credential, submission_signing_digest};
use crate::seam::{DecodeContext, Intent, Payload, PolicyDocument, PolicyEngine, Record};
use crate::time::Timestamp;

/// Longest life of an order.
pub(super) const LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Longest document of a command: a rule set stands in it as text, which may make it twice as long.
const COMMAND_MAX: usize = 2 * PolicyDocument::MAX + 64 * 1024;

/// The submission of a request, as it is signed and compared.
pub(crate) fn submission(request: &Request) -> Result<Stored<SubmissionDocument>, Error> {
    let (wallet, key, format, sha256) = match &request.work {
        RequestedWork::Payload { wallet, key, payload } => {
            (Some(wallet.clone()), key.clone(), payload.format.clone(), Digest::of(&payload.bytes))
        }
        RequestedWork::Command(command) => {
            let bytes = Stored::write(command.as_ref().clone())?;
            (None, None, PayloadFormat::parse("command")?, *bytes.digest())
        }
    };
    Ok(Stored::write(SubmissionDocument {
        v: V1,
        requester: request.requester.clone(),
        request: request.id.clone(),
        wallet,
        key,
        format,
        sha256,
        expires: request.expires,
    })?)
}

/// Makes an order of a request: decodes the payload, or checks the command.
pub(crate) fn prepare(
    shared: &Shared,
    request: Request,
    submission: Stored<SubmissionDocument>,
) -> Result<Prepared, Error> {
    let now = shared.now();
    let order = shared.new_order_id(now)?;
    let expires = expiry(shared, &request, now)?;
    let mut authentication = request.authentication;
    let credential = signed_by(shared, &request.signature, &submission)?;
    authentication.signed = credential.is_some();
    let work = match request.work {
        RequestedWork::Payload { wallet, key, payload } => {
            payload_work(shared, &order, wallet, key.as_ref(), payload)?
        }
        RequestedWork::Command(command) => command_work(shared, &order, *command)?,
    };
    let custodian = *shared.read().ledger.custodian();
    let document = Stored::write(OrderDocument {
        v: V1,
        custodian,
        order: order.clone(),
        requester: request.requester,
        request: request.id,
        wallet: work.wallet,
        chain: work.chain,
        submitted: now,
        expires,
        work: work.reference,
        effects: work.intent.0,
        facts: work.intent.1,
        tasks: work.tasks,
    })?;
    let mut documents = work.documents;
    if request.signature.is_some() {
        let key = document_key(order.as_str(), submission.digest())?;
        documents.push(Record { key, value: submission.bytes().to_vec() });
    }
    let reference = document.reference();
    let (document, value) = document.into_parts();
    documents.push(Record { key: document_key(order.as_str(), &reference.sha256)?, value });
    let document = Arc::new(document);
    check_decision(shared, &document, &authentication)?;
    Ok(Prepared {
        submission,
        document,
        order: reference,
        carried: Arc::new(work.carried),
        documents,
        authentication,
        signature: request.signature,
        credential,
    })
}

/// What the work of an order puts into its document, and beside it.
struct PreparedWork {
    wallet: Option<WalletId>,
    chain: Option<crate::caip::ChainId>,
    reference: Work,
    intent: (Vec<crate::effect::Effect>, std::collections::BTreeSet<crate::effect::DecodeFact>),
    tasks: Vec<TaskReference>,
    carried: Carried,
    documents: Vec<Record>,
}

fn expiry(shared: &Shared, request: &Request, now: Timestamp) -> Result<Timestamp, Error> {
    match request.expires {
        None => Ok(now.after(shared.config.order_life)),
        Some(time) if time <= now => Err(Error::Request { what: "the expiry has passed" }),
        Some(time) if time > now.after(LIFE_MAX) => {
            Err(Error::Request { what: "an order lives at most 30 days" })
        }
        Some(time) => Ok(time),
    }
}

/// The requester's own credential, if it signed the submission. A wrong signature is refused.
fn signed_by(
    shared: &Shared,
    signature: &Option<crate::principal::SubmissionSignature>,
    submission: &Stored<SubmissionDocument>,
) -> Result<Option<Credential>, Error> {
    let published = shared.read();
    let ledger = &published.ledger;
    let principal = ledger
        .principal(&submission.value().requester)
        .ok_or(Error::NotFound { what: "requester" })?;
    let Some(signature) = signature else { return Ok(None) };
    let credential = principal
        .credentials
        .get(&signature.credential)
        .ok_or(Error::Request { what: "no such credential of the requester" })?;
    let digest = submission_signing_digest(ledger.custodian(), submission.digest());
    credential
        .verify(&digest, &signature.signature)
        .map_err(|_| Error::Request { what: "the submission's signature does not verify" })?;
    Ok(Some(credential.clone()))
}

fn payload_work(
    shared: &Shared,
    order: &OrderId,
    id: WalletId,
    key: Option<&KeyId>,
    payload: Payload,
) -> Result<PreparedWork, Error> {
    let (context, decoder) = {
        let published = shared.read();
        let wallet = published.ledger.wallet(&id).ok_or(Error::NotFound { what: "wallet" })?;
        let decoder = Arc::clone(shared.decoder(&payload.format, wallet.chain())?);
        (decode_context(&published.ledger, &id, wallet, key)?, decoder)
    };
    let intent = shared.decode(decoder.as_ref(), &payload, &context)?;
    let tasks = task_references(&intent, &context)?;
    let context_document = Stored::write(context)?;
    let sha256 = Digest::of(&payload.bytes);
    let reference = PayloadReference {
        format: payload.format.clone(),
        size: size_of_bytes(&payload.bytes),
        sha256,
        decoder: decoder.id().clone(),
        context: context_document.reference(),
    };
    let key = document_key(order.as_str(), context_document.digest())?;
    let (context, value) = context_document.into_parts();
    let documents = vec![
        Record { key: document_key(order.as_str(), &sha256)?, value: payload.bytes.clone() },
        Record { key, value },
    ];
    Ok(PreparedWork {
        wallet: Some(id),
        chain: Some(context.chain.clone()),
        reference: Work::Payload(reference),
        intent: (intent.effects, intent.facts),
        tasks,
        carried: Carried::Payload { payload, context },
        documents,
    })
}

/// What a decoder may know: the named key alone, or the wallet's own choice of its keys.
fn decode_context(
    ledger: &Ledger,
    id: &WalletId,
    wallet: &Wallet,
    key: Option<&KeyId>,
) -> Result<DecodeContext, Error> {
    let chosen: Vec<&KeyId> = match key {
        Some(key) if wallet.keys().contains(key) => vec![key],
        Some(_) => return Err(Error::NotFound { what: "key of the wallet" }),
        None => usable_keys(ledger, wallet),
    };
    let accounts: Vec<_> = chosen.into_iter().filter_map(|id| ledger.context_account(id)).collect();
    if accounts.is_empty() {
        return Err(Error::NotFound { what: "key of the wallet" });
    }
    let (chain, descriptors) = (wallet.chain().clone(), wallet.descriptors().to_vec());
    Ok(DecodeContext { v: 1, wallet: id.clone(), chain, accounts, descriptors })
}

/// An extension command's document must be one that its handler accepts; one that panics does not.
fn check_extension(shared: &Shared, command: &Command) -> Result<(), Error> {
    let Command::Extension { name, document } = command else { return Ok(()) };
    let handler =
        shared.extensions.get(name).ok_or(Error::NotFound { what: "extension command" })?;
    let accepts = || handler.accepts(document.as_bytes());
    match catch_unwind(AssertUnwindSafe(accepts)) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(CommandRefusal::Malformed { what: "extension document" }.into()),
    }
}

/// A descriptor is recorded only if the decoder of the wallet's chain reads it.
fn check_descriptor(shared: &Shared, command: &Command) -> Result<(), Error> {
    // Decoders may be slow: no lock is held while they read.
    let checked = shared.snapshot().ledger.check_described(command, &shared.decoders);
    checked.map_err(|refusal| match refusal {
        DescriptorRefusal::NoReader => Error::Decoder { what: "no decoder reads descriptors" },
        DescriptorRefusal::Panicked => Error::Decoder { what: "the decoder panicked" },
        DescriptorRefusal::Refused(error) => Error::Descriptor(error),
        DescriptorRefusal::Wallet => Error::NotFound { what: "wallet" },
    })
}

/// Keys are sealed anew only where the wallet's backend can.
fn check_resealing(shared: &Shared, command: &Command) -> Result<(), Error> {
    let Command::ResealKeys { wallet, .. } = command else { return Ok(()) };
    let id = shared.read().ledger.wallet(wallet).map(|wallet| wallet.backend().clone());
    let backend = id.and_then(|id| shared.backends.get(&id));
    let backend = backend.ok_or(CommandRefusal::NotFound { what: "backend" })?;
    match backend.backend.resealing() {
        Some(_) => Ok(()),
        None => Err(CommandRefusal::NotFound { what: "re-sealing by the wallet's backend" }.into()),
    }
}

/// The active keys of a wallet, oldest first; all of them if none is active.
fn usable_keys<'a>(ledger: &Ledger, wallet: &'a Wallet) -> Vec<&'a KeyId> {
    const KEYS_MAX: usize = 1_024;
    let is_active =
        |id: &&KeyId| ledger.key(id).is_some_and(|key| key.state().allows(KeyOperation::Sign));
    let active: Vec<_> = wallet.keys().iter().filter(is_active).take(KEYS_MAX).collect();
    if active.is_empty() { wallet.keys().iter().take(KEYS_MAX).collect() } else { active }
}

/// The tasks of an intent as an order document names them.
pub(crate) fn task_references(
    intent: &Intent,
    context: &DecodeContext,
) -> Result<Vec<TaskReference>, Error> {
    intent
        .tasks
        .iter()
        .map(|task| {
            let account = context
                .accounts
                .iter()
                .find(|account| account.key == task.key)
                .ok_or(Error::Decoder { what: "a task is for a key outside the wallet" })?;
            if account.public_key.algorithm() != task.algorithm {
                return Err(Error::Decoder { what: "a task is for another algorithm" });
            }
            Ok(TaskReference {
                key: task.key.clone(),
                public_key: account.public_key.clone(),
                algorithm: task.algorithm,
                input_sha256: task.input.digest(),
            })
        })
        .collect()
}

fn command_work(shared: &Shared, order: &OrderId, command: Command) -> Result<PreparedWork, Error> {
    let stored = Stored::write(command)?;
    if stored.bytes().len() > COMMAND_MAX {
        return Err(Error::Request { what: "the command's document is too large" });
    }
    let command = stored.value();
    let (wallet, chain) = {
        let published = shared.read();
        check_command(&published.ledger, command)?;
        let wallet = published.ledger.wallet_of(command);
        let chain = wallet.as_ref().and_then(|id| published.ledger.wallet(id));
        (wallet, chain.map(|wallet| wallet.chain().clone()))
    };
    check_extension(shared, command)?;
    check_descriptor(shared, command)?;
    check_resealing(shared, command)?;
    new_engine(shared, command)?;
    let effects = vec![command.effect(wallet.as_ref())];
    let reference = CommandReference {
        action: command.action(),
        size: size_of_bytes(stored.bytes()),
        sha256: *stored.digest(),
    };
    let mut documents = vec![Record {
        key: document_key(order.as_str(), stored.digest())?,
        value: stored.bytes().to_vec(),
    }];
    if let Command::UpdatePolicy { policy } = command {
        let key = document_key(order.as_str(), &Digest::of(policy.as_bytes()))?;
        documents.push(Record { key, value: policy.as_bytes().to_vec() });
    }
    Ok(PreparedWork {
        wallet,
        chain,
        reference: Work::Command(reference),
        intent: (effects, std::collections::BTreeSet::new()),
        tasks: Vec::new(),
        carried: Carried::Command(Arc::new(command.clone())),
        documents,
    })
}

/// Fails if a command cannot be done upon the durable state, unless a turn that is under way may
/// change that.
fn check_command(ledger: &Ledger, command: &Command) -> Result<(), CommandRefusal> {
    let checked = ledger.check(command);
    let is_so =
        matches!(checked, Err(CommandRefusal::KeyState { .. } | CommandRefusal::State { .. }));
    if is_so && is_alarm(command) { Ok(()) } else { checked }
}

/// Whether a command stops what others start again: a thaw or a resumption may be on its way to the
/// store when somebody raises the alarm, so that only the sequencer knows whether it is so already.
pub(super) const fn is_alarm(command: &Command) -> bool {
    matches!(command, Command::Freeze { .. } | Command::SuspendKey { .. })
}

/// The engine of a new rule set, if the command brings one and the set may come into force.
pub(crate) fn new_engine(
    shared: &Shared,
    command: &Command,
) -> Result<Option<Arc<dyn PolicyEngine>>, Error> {
    let Command::UpdatePolicy { policy } = command else { return Ok(None) };
    let document: PolicyDocument = crate::document::parse(policy.as_bytes())?;
    let engine = compile(shared.compiler.as_ref(), &document)?;
    let now = shared.now();
    // A long search: no lock is held in it.
    shared.snapshot().ledger.check_succession(policy, engine.as_ref(), now)?;
    Ok(Some(engine))
}
