//! Stores, engines and decoders that break their contracts, each in one way: nothing is released
//! wrongly that a custodian could know of, and what it could not know of is noticed by whoever
//! replays the log with honest parts.

mod decoders;
mod engines;
mod stores;

use std::collections::BTreeMap;
use std::sync::Arc;

use custody_core::amount::Asset;
use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Custodian, Genesis, OpenError};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, TierId, WalletId};
use custody_core::replay::{Depth, Replay, ReplayError, Report};
use custody_core::seam::{Decoder, Exportability, PolicyCompiler, Position, RecordKey, Store};
use custody_testkit::decoder::TestTransfer;

use crate::host::Host;
use crate::world::words;

/// A host's custodian with a wallet `hot` on `chain` whose key `hot.0` is active.
pub(crate) async fn furnish(host: &Host, custodian: &Custodian, chain: &ChainId) -> Vec<String> {
    let wallet = Command::CreateWallet {
        wallet: WalletId::parse("hot").unwrap(),
        chain: chain.clone(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: None,
    };
    let key = Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse("hot.0").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    let mut heard = Vec::new();
    for (id, work) in [("wallet", wallet), ("key", key)] {
        heard.push(words::of(&host.govern(custodian, id, work).await));
    }
    heard
}

/// A beginning under these rules, with the coin of the test chain known.
pub(crate) fn genesis(host: &Host, rules: &str) -> Genesis {
    let mut genesis = host.genesis(rules);
    genesis.assets.push(Asset::new(TestTransfer::coin(), 2));
    genesis
}

fn refusal(error: &OpenError) -> String {
    match error {
        OpenError::Custodian(error) => words::of_error(error),
        other => other.to_string(),
    }
}

/// What an outsider finds who replays what a store shows, in full and with honest parts.
pub(crate) async fn replay(
    store: &dyn Store,
    id: CustodianId,
    compiler: Arc<dyn PolicyCompiler>,
    decoders: Vec<Arc<dyn Decoder>>,
) -> Result<Report, ReplayError> {
    let prefix = RecordKey::parse("document/").unwrap();
    let records = store.scan(&prefix, None, u16::MAX).await.unwrap().into_iter();
    let documents: BTreeMap<Digest, Vec<u8>> =
        records.map(|record| (Digest::of(&record.value), record.value)).collect();
    let mut replay = Replay::new(id, Depth::Full, Some(compiler), decoders);
    for event in store.events(Position::START, u16::MAX).await.unwrap() {
        replay.event(&event.bytes, &documents)?;
    }
    Ok(*replay.report())
}
