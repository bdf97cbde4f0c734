//! What commands ask of backends and handlers.

use super::reseal::reseal;
use super::switch::switch;
use super::{
    Stop, answered, load_handle, may_go_on, may_use, place, registered_backend, wallet_backend,
};
use crate::command::{Command, CommandResult};
use crate::custodian::message::JobResult;
use crate::custodian::record::{document_key, handle_key};
use crate::custodian::shared::Shared;
use crate::digest::Digest;
use crate::document::{ANSWER_MAX, Hold};
use crate::id::{KeyId, OrderId};
use crate::ledger::OpenOrder;
use crate::seam::{Exportability, KeyHandle, KeyRequest, NewKey, Record, SeedRecord, SeedRequest};

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
pub(super) async fn run_command(
    shared: &Shared,
    order: &OpenOrder,
    command: &Command,
) -> Result<JobResult, Stop> {
    match command {
        Command::CreateKey { wallet, key, algorithm, exportability, .. } => {
            let backend = wallet_backend(shared, wallet)?;
            let _place = place(shared, order, backend).await?;
            let request = KeyRequest {
                custodian: order.document().custodian,
                wallet: wallet.clone(),
                key: key.clone(),
                algorithm: *algorithm,
                exportability: *exportability,
            };
            let made = answered(shared, backend.backend.generate(&request)).await?;
            key_result(shared, &request, &made)
        }
        Command::CreateWallet { wallet, backend: id, seed: Some(seed), .. } => {
            let backend =
                registered_backend(shared, id).ok_or(Stop::before(Hold::BackendUnavailable))?;
            let _place = place(shared, order, backend).await?;
            let derivation =
                backend.backend.derivation().ok_or(Stop::before(Hold::BackendRefused))?;
            let custodian = order.document().custodian;
            let request = SeedRequest { custodian, wallet: wallet.clone(), key: seed.clone() };
            let made = answered(shared, derivation.generate_seed(&request)).await?;
            let handle = handle_record(seed, &made.handle)?;
            let result = CommandResult::Seed { handle: Digest::of(&handle.value) };
            Ok(JobResult::Executed { result, records: vec![handle] })
        }
        Command::DeriveAccount { .. } => derive(shared, order, command).await,
        Command::Extension { name, document } => {
            let handler =
                shared.extensions.get(name).ok_or(Stop::before(Hold::BackendUnavailable))?;
            may_go_on(shared, order)?;
            let (custodian, id) = (&order.document().custodian, &order.document().order);
            let run = handler.run(custodian, id, document.as_bytes());
            let answer = answered(shared, run).await?;
            extension_result(id, answer)
        }
        Command::CancelDestroy { .. } | Command::DestroyKey { .. } | Command::ResumeKey { .. } => {
            switch(shared, order, command).await
        }
        Command::ResealKeys { .. } => reseal(shared, order, command).await,
        _ => Err(Stop::before(Hold::Conflict)),
    }
}

async fn derive(shared: &Shared, order: &OpenOrder, command: &Command) -> Result<JobResult, Stop> {
    let Command::DeriveAccount { wallet, key, path, algorithm, .. } = command else {
        return Err(Stop::before(Hold::Conflict));
    };
    let backend = wallet_backend(shared, wallet)?;
    let _place = place(shared, order, backend).await?;
    let derivation = backend.backend.derivation().ok_or(Stop::before(Hold::BackendRefused))?;
    let seed = shared.read().ledger.wallet(wallet).and_then(|wallet| wallet.seed().cloned());
    let seed = seed.ok_or(Stop::before(Hold::Conflict))?;
    let custodian = order.document().custodian;
    let (_, handle) = load_handle(shared, wallet, &seed).await?;
    may_use(shared, order, backend)?;
    let seed = SeedRecord { custodian, wallet: wallet.clone(), key: seed, handle };
    let request = KeyRequest {
        custodian,
        wallet: wallet.clone(),
        key: key.clone(),
        algorithm: *algorithm,
        exportability: Exportability::Never,
    };
    let made = answered(shared, derivation.derive(&seed, path, &request)).await?;
    key_result(shared, &request, &made)
}

fn key_result(shared: &Shared, request: &KeyRequest, made: &NewKey) -> Result<JobResult, Stop> {
    if made.public_key.algorithm() != request.algorithm {
        return Err(Stop { called: true, ..Stop::before(Hold::Corrupt) });
    }
    let chain = shared.read().ledger.wallet(&request.wallet).map(|wallet| wallet.chain().clone());
    let chain = chain.ok_or(Stop::before(Hold::Conflict))?;
    let mut decoders = shared.decoders.iter();
    let account = decoders.find_map(|decoder| decoder.account(&chain, &made.public_key));
    let handle = handle_record(&request.key, &made.handle)?;
    let result = CommandResult::Key {
        public_key: made.public_key.clone(),
        handle: Digest::of(&handle.value),
        account,
    };
    Ok(JobResult::Executed { result, records: vec![handle] })
}

/// What a handler answered is kept as a document of the order.
fn extension_result(order: &OrderId, answer: Vec<u8>) -> Result<JobResult, Stop> {
    let corrupt = || Stop { called: true, ..Stop::before(Hold::Corrupt) };
    if answer.len() > ANSWER_MAX {
        return Err(corrupt());
    }
    let sha256 = Digest::of(&answer);
    let key = document_key(order.as_str(), &sha256).map_err(|_| corrupt())?;
    let result = CommandResult::Extension { sha256 };
    Ok(JobResult::Executed { result, records: vec![Record { key, value: answer }] })
}

pub(super) fn handle_record(key: &KeyId, handle: &KeyHandle) -> Result<Record, Stop> {
    let value = handle.as_bytes().to_vec();
    if value.is_empty() || value.len() > KeyHandle::MAX {
        return Err(Stop { called: true, ..Stop::before(Hold::Corrupt) });
    }
    let key = handle_key(key).map_err(|_| Stop::before(Hold::Corrupt))?;
    Ok(Record { key, value })
}
