//! A house that is archived. Opens secrets, of tests only.

use std::sync::Arc;

use custody_core::caip::ChainId;
use custody_core::command::Command;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::custodian::{
    Custodian, CustodianBuilder, Genesis, OpenError, Outcome, Recovery, Request,
};
use custody_core::id::{BackendId, CustodianId, PrincipalId, RequestId, TierId, WalletId};
use custody_core::principal::rotation_signing_digest;
use custody_core::seam::Store;
use custody_recovery::archive::{ArchiveReader, Entry, LockedArchive, Pack, PackError, Summary};
use custody_recovery::{Opener, Recipient};
use custody_testkit::audit::MemoryLog;
use custody_testkit::backend::{MemoryBackend, MemoryKeyEncryption};
use custody_testkit::key::TestKey;
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::MemoryStore;
use pollster::block_on;

use crate::support::entropy;

/// What a custodian that made three wallets has left.
pub(crate) struct House {
    pub(crate) custodian: CustodianId,
    pub(crate) store: MemoryStore,
    pub(crate) log: MemoryLog,
    pub(crate) clock: TestClock,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(3)
    }

    /// One that made so many wallets.
    pub(crate) fn with(wallets: usize) -> Self {
        Self::make(wallets, false)
    }

    /// One whose log key has changed with its last order, from 99 to 98.
    pub(crate) fn rotated() -> Self {
        Self::make(1, true)
    }

    fn make(wallets: usize, rotates: bool) -> Self {
        let (clock, store) = (TestClock::new(), MemoryStore::new());
        let log = MemoryLog::new(Arc::new(store.clone()), vec![log_key(99), log_key(98)]);
        let executor = TestExecutor::new(clock.clone());
        let custodian = executor.run(async {
            let custodian = builder(&store, &log, &executor, &clock)
                .create(Genesis {
                    policy: TestRules::document(
                        &["treasurer"],
                        "allow create_wallet\nallow update_policy\nallow rotate_log_key",
                    ),
                    principals: People::new(&[("tara", &["treasurer"])]).principals(),
                    assets: Vec::new(),
                })
                .await
                .unwrap();
            for wallet in 0..wallets {
                let command = Command::CreateWallet {
                    wallet: WalletId::parse(&format!("wallet-{wallet}")).unwrap(),
                    chain: ChainId::parse("eip155:1").unwrap(),
                    tier: TierId::parse("hot").unwrap(),
                    backend: BackendId::parse("memory").unwrap(),
                    seed: None,
                };
                release(&custodian, &format!("request-{wallet}"), command).await;
            }
            if rotates {
                release(&custodian, "rotate", rotation(&custodian.id())).await;
            }
            custodian.id()
        });
        Self { custodian, store, log, clock }
    }

    /// Opens what is in a store by a recovery, with a log whose files are new.
    pub(crate) fn recover(
        &self,
        store: &MemoryStore,
        recovery: Recovery,
    ) -> Result<Custodian, OpenError> {
        let log = MemoryLog::new(Arc::new(store.clone()), vec![log_key(99)]);
        let executor = TestExecutor::new(self.clock.clone());
        let builder = builder(store, &log, &executor, &self.clock);
        executor.run(async { builder.recover(self.custodian, recovery).await })
    }

    pub(crate) fn pack<'a>(&self, store: &'a dyn Store) -> Pack<'a> {
        block_on(Pack::new(self.custodian, store, &self.log)).unwrap()
    }

    pub(crate) fn write(&self, pack: &Pack<'_>) -> Result<(Vec<u8>, Summary), PackError> {
        let (kek, mut bytes) = (MemoryKeyEncryption::seeded(1), Vec::new());
        let recipients = [Recipient::Kek(&kek)];
        let summary = block_on(pack.write(&mut bytes, &recipients, &self.clock, &entropy(9)))?;
        Ok((bytes, summary))
    }
}

fn builder(
    store: &MemoryStore,
    log: &MemoryLog,
    executor: &TestExecutor,
    clock: &TestClock,
) -> CustodianBuilder {
    Custodian::builder()
        .store(Arc::new(store.clone()))
        .audit(Arc::new(log.clone()))
        .backend(Arc::new(MemoryBackend::seeded("memory", 7)))
        .policy(Arc::new(TestRules::new()))
        .entropy(Arc::new(TestEntropy::seeded(1)))
        .spawner(Arc::new(executor.clone()))
        .clock(Arc::new(clock.clone()))
}

/// Has a command done, which needs nobody else.
async fn release(custodian: &Custodian, request: &str, command: Command) {
    let requester = PrincipalId::parse("tara").unwrap();
    let request = Request::command(requester, RequestId::parse(request).unwrap(), command);
    let answer = custodian.submit(request).await.unwrap();
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{answer:?}");
}

/// Changes the log key from 99 to 98.
fn rotation(custodian: &CustodianId) -> Command {
    let (old, new) = (log_key(99), log_key(98));
    let digest = rotation_signing_digest(custodian, old.public_key(), new.public_key());
    let input = SignInput::Message(digest.as_bytes());
    Command::RotateLogKey {
        next: new.public_key().clone(),
        old_signature: old.sign(input).unwrap(),
        new_signature: new.sign(input).unwrap(),
    }
}

/// A key that may sign heads.
pub(crate) fn log_key(seed: u64) -> TestKey {
    TestKey::seeded(Algorithm::Ed25519, seed)
}

/// Opens an archive with the key encryption that all are made for.
pub(crate) fn open(bytes: &[u8]) -> ArchiveReader<&[u8]> {
    let kek = MemoryKeyEncryption::seeded(1);
    block_on(async {
        let locked = LockedArchive::peek(bytes).await.unwrap();
        let key = locked.open_route(Opener::Kek(&kek)).await.unwrap();
        locked.unlock(&key).unwrap()
    })
}

pub(crate) fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut reader = open(bytes);
    block_on(async {
        let mut entries = Vec::new();
        while let Some(entry) = reader.next().await.unwrap() {
            entries.push(entry);
        }
        entries
    })
}
