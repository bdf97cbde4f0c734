//! A real custodian: SQLite, tiles in a directory, software keys under a passphrase, Cedar rules.
//! This file opens secrets, of tests only.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::DirectoryTiles;
use custody_audit::{TileLog, export};
use custody_chain::{AbiRegistry, EvmDecoder, OpaqueDecoder};
use custody_core::amount::Asset;
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::{Algorithm, PublicKey, SignInput};
use custody_core::custodian::{Answer, Config, Custodian, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, BookId, CustodianId, KeyId, PayloadFormat, RequestId, RoleId, TierId, WalletId,
};
use custody_core::principal::{Statement, SubmissionSignature, Verb, rotation_signing_digest};
use custody_core::seam::{
    Clock, DerivationPath, Exportability, KeyBackend, KeyRecord, KeyRequest, Payload,
    PolicyCompiler, PolicyDocument, Signer, Store as _,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioSpawner;
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;
use custody_testkit::runtime::{TestClock, TestEntropy};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::people::{People, Person};
use super::transaction::transfer;

pub(crate) const ORIGIN: &str = "custody.example/log";
pub(crate) const PAYEE: [u8; 20] = [0xaa; 20];
const TREASURY: &str = include_str!("../../../../examples/policies/treasury.cedar");

/// A custodian with everything around it.
pub(crate) struct House {
    pub(crate) custodian: Custodian,
    pub(crate) people: People,
    pub(crate) clock: TestClock,
    /// The log's first key and those it may be rotated to.
    pub(crate) log_keys: Vec<Arc<dyn Signer>>,
    store: Arc<SqliteStore>,
    runtime: Runtime,
    number: Cell<u64>,
    pub(crate) folder: TempDir,
}

impl House {
    /// A house with a snapshot after every `snapshots` events.
    pub(crate) fn new(snapshots: u64) -> Self {
        Self::with_compiler(snapshots, Arc::new(CedarCompiler::new().unwrap()))
    }

    /// A house whose decisions are made by this compiler's engine.
    pub(crate) fn with_compiler(snapshots: u64, compiler: Arc<dyn PolicyCompiler>) -> Self {
        Self::made_of(snapshots, compiler, EvmDecoder::new())
    }

    /// A house whose decoder has these names.
    pub(crate) fn with_abis(abis: AbiRegistry) -> Self {
        let compiler = Arc::new(CedarCompiler::new().unwrap());
        Self::made_of(25, compiler, EvmDecoder::new().with_abis(abis))
    }

    fn made_of(snapshots: u64, compiler: Arc<dyn PolicyCompiler>, decoder: EvmDecoder) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (clock, entropy) = (TestClock::new(), Arc::new(TestEntropy::seeded(11)));
        let passphrase = Secret::new(b"correct horse battery staple".to_vec());
        let kek = PassphraseKek::create(passphrase, KdfParameters::MINIMUM, entropy.clone());
        let kek = Arc::new(kek.unwrap().0);
        let id = BackendId::parse("software").unwrap();
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let backend =
            Arc::new(SoftBackend::new(id, kek, entropy.clone(), shared_clock.clone()).unwrap());
        let log_keys = runtime.block_on(async {
            let mut keys = Vec::new();
            for name in ["log-0", "log-1", "log-2"] {
                keys.push(log_key(&backend, name).await);
            }
            keys
        });
        let store = Arc::new(SqliteStore::open(folder.path().join("custody.sqlite")).unwrap());
        let tiles = Arc::new(DirectoryTiles::open(folder.path().join("tiles")).unwrap());
        let origin = KeyName::parse(ORIGIN).unwrap();
        let people = People::new();
        let custodian = runtime.block_on(async {
            let log = TileLog::open(origin, store.clone(), tiles, log_keys.clone()).await;
            Custodian::builder()
                .config(Config { snapshot_interval: snapshots, ..Config::default() })
                .store(store.clone())
                .audit(Arc::new(log.unwrap()))
                .clock(shared_clock)
                .entropy(entropy)
                .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
                .policy(compiler)
                .decoder(Arc::new(decoder))
                .decoder(Arc::new(OpaqueDecoder::new()))
                .backend(backend)
                .create(genesis(&people))
                .await
                .unwrap()
        });
        let number = Cell::new(0);
        Self { custodian, people, clock, log_keys, store, runtime, number, folder }
    }

    /// Lets seconds pass.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Asks for a command.
    pub(crate) fn command(&self, who: &Person, command: Command) -> Answer {
        self.submit(Request::command(who.id(), self.request_id(), command))
    }

    /// Asks for a transfer out of a wallet.
    pub(crate) fn transfer(&self, wallet: &str, wei: u128) -> Answer {
        self.submit(self.payment(wallet, wei))
    }

    /// Asks for a transfer, signed by the requester's own credential.
    pub(crate) fn signed_transfer(&self, wallet: &str, wei: u128) -> Answer {
        let mut request = self.payment(wallet, wei);
        let digest = self.custodian.submission_digest(&request).unwrap();
        let ann = &self.people.ann;
        let signature =
            SubmissionSignature { credential: ann.credential(), signature: ann.sign(&digest) };
        request.signature = Some(signature);
        self.submit(request)
    }

    /// A person says something about an order.
    pub(crate) fn says(&self, who: &Person, verb: Verb, answer: &Answer) -> Answer {
        let signed = who.says(self.statement(who, verb, answer), &self.custodian.id());
        self.wait(1);
        let said = async {
            match verb {
                Verb::Approve => self.custodian.approve(signed).await,
                Verb::Cancel => self.custodian.cancel(signed).await,
                Verb::Reject => self.custodian.reject(signed).await,
            }
        };
        self.runtime.block_on(said).unwrap()
    }

    /// What a person may sign about an order.
    pub(crate) fn statement(&self, who: &Person, verb: Verb, answer: &Answer) -> Statement {
        Statement {
            verb,
            order: answer.order.clone(),
            digest: answer.digest,
            principal: who.id(),
            credential: who.credential(),
            role: RoleId::parse(who.role).unwrap(),
            valid_until: self.clock.now().after(Duration::from_secs(3_600)),
        }
    }

    /// A wallet `name` of the hot tier with one key `name-0`.
    pub(crate) fn wallet(&self, name: &str) {
        let (ada, tom) = (&self.people.ada, &self.people.tom);
        let create = Command::CreateWallet {
            wallet: WalletId::parse(name).unwrap(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: Some(KeyId::parse(&format!("{name}-seed")).unwrap()),
        };
        let answer = self.command(ada, create);
        released(&self.says(tom, Verb::Approve, &answer));
        let derive = Command::DeriveAccount {
            wallet: WalletId::parse(name).unwrap(),
            key: KeyId::parse(&format!("{name}-0")).unwrap(),
            path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        released(&self.command(ada, derive));
    }

    /// The payee becomes known.
    pub(crate) fn know_payee(&self) {
        let account = AccountId::parse(&format!("eip155:1:0x{}", "aa".repeat(20))).unwrap();
        let add = Command::AddAddress { book: BookId::parse("payees").unwrap(), account };
        let answer = self.command(&self.people.ada, add);
        released(&self.says(&self.people.tom, Verb::Approve, &answer));
    }

    /// Replaces the log's key by another of the house.
    pub(crate) fn rotate(&self, old: usize, new: usize) {
        let next = self.log_keys[new].public_key().clone();
        let custodian = self.custodian.id();
        let digest = rotation_signing_digest(&custodian, self.log_keys[old].public_key(), &next);
        let sign = |which: usize| {
            let input = SignInput::Message(digest.as_bytes());
            self.runtime.block_on(self.log_keys[which].sign(input)).unwrap()
        };
        let (old_signature, new_signature) = (sign(old), sign(new));
        let rotate = Command::RotateLogKey { next, old_signature, new_signature };
        let answer = self.command(&self.people.ada, rotate);
        released(&self.says(&self.people.tom, Verb::Approve, &answer));
    }

    /// Makes `count` transfers of nearly nothing, many at a time.
    pub(crate) fn many_transfers(&self, wallet: &str, count: u64) {
        let mut left = count;
        while left > 0 {
            let page = left.min(90);
            let requests: Vec<_> = (0..page).map(|_| self.payment(wallet, 1)).collect();
            self.runtime.block_on(async {
                let mut orders = tokio::task::JoinSet::new();
                for request in requests {
                    let custodian = self.custodian.clone();
                    orders.spawn(async move { custodian.submit(request).await });
                }
                while let Some(answer) = orders.join_next().await {
                    released(&answer.unwrap().unwrap());
                }
            });
            left -= page;
        }
    }

    /// The newest checkpoint, as a user would keep it.
    pub(crate) fn checkpoint(&self) -> String {
        self.runtime.block_on(self.custodian.checkpoint()).unwrap().unwrap().note
    }

    /// Exports the log as it stands.
    pub(crate) fn export(&self, name: &str) -> PathBuf {
        self.export_to(&self.folder.path().join(name))
    }

    /// Exports the log as it stands to this folder.
    pub(crate) fn export_to(&self, target: &Path) -> PathBuf {
        self.runtime.block_on(async {
            let checkpoint = self.custodian.checkpoint().await.unwrap().unwrap();
            export(self.store.as_ref(), &checkpoint, target).await.unwrap();
        });
        target.to_owned()
    }

    /// All events, verbatim.
    pub(crate) fn events(&self) -> Vec<Vec<u8>> {
        let events = self.custodian.events(custody_core::seam::Position::START, 10_000);
        let events = self.runtime.block_on(events).unwrap();
        events.into_iter().map(|event| event.bytes).collect()
    }

    /// The number of events.
    pub(crate) fn events_count(&self) -> u64 {
        self.runtime.block_on(self.store.head()).unwrap().value()
    }

    /// How an order stands now.
    pub(crate) fn again(&self, answer: &Answer) -> Answer {
        self.runtime.block_on(self.custodian.order(&answer.order)).unwrap()
    }

    /// A log key as verifiers take it.
    pub(crate) fn verifier_key(&self, which: usize) -> VerifierKey {
        verifier_key(self.log_keys[which].public_key())
    }

    /// A file of the house's folder with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        write(self.folder.path(), name, text.as_bytes())
    }

    /// Asks for a transaction out of a wallet.
    pub(crate) fn transaction(&self, wallet: &str, bytes: Vec<u8>) -> Answer {
        self.submit(self.request(wallet, bytes))
    }

    fn payment(&self, wallet: &str, wei: u128) -> Request {
        self.request(wallet, transfer(self.number.get(), PAYEE, wei))
    }

    fn request(&self, wallet: &str, bytes: Vec<u8>) -> Request {
        let format = PayloadFormat::parse("evm/transaction").unwrap();
        let wallet = WalletId::parse(wallet).unwrap();
        let ann = self.people.ann.id();
        Request::payload(ann, self.request_id(), wallet, Payload { format, bytes })
    }

    fn submit(&self, request: Request) -> Answer {
        self.wait(1);
        self.runtime.block_on(self.custodian.submit(request)).unwrap()
    }

    fn request_id(&self) -> RequestId {
        self.number.set(self.number.get() + 1);
        RequestId::parse(&format!("request-{}", self.number.get())).unwrap()
    }
}

/// The answer, if it is a release.
pub(crate) fn released(answer: &Answer) -> &custody_core::custodian::Release {
    let Outcome::Released(release) = &answer.outcome else {
        panic!("not released: {:?}", answer.outcome);
    };
    release
}

pub(crate) fn verifier_key(public: &PublicKey) -> VerifierKey {
    VerifierKey::new(KeyName::parse(ORIGIN).unwrap(), public.clone()).unwrap()
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The rules of every house, and others.
pub(crate) fn policy(more: &str) -> PolicyDocument {
    let roles = ["operator", "treasurer", "administrator"];
    let tiers = ["hot", "warm", "cold"];
    PolicyDocument {
        v: 1,
        roles: roles.iter().map(|role| RoleId::parse(role).unwrap()).collect(),
        tiers: tiers.iter().map(|tier| TierId::parse(tier).unwrap()).collect(),
        rules: format!("{TREASURY}{more}"),
    }
}

fn genesis(people: &People) -> Genesis {
    let everybody = [&people.ada, &people.ann, &people.tom, &people.tess];
    Genesis {
        policy: policy(""),
        principals: everybody.into_iter().map(Person::enrolment).collect(),
        assets: vec![Asset::new(AssetId::parse("eip155:1/slip44:60").unwrap(), 18)],
    }
}

async fn log_key(backend: &SoftBackend, name: &str) -> Arc<dyn Signer> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"the log's own keys")),
        wallet: WalletId::parse("log").unwrap(),
        key: KeyId::parse(name).unwrap(),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await.unwrap();
    let record = KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet,
        key: request.key,
        public_key: made.public_key,
        handle: made.handle,
    };
    backend.signer(&record).await.unwrap()
}
