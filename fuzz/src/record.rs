//! A log with something of everything in it, made once for a process and always the same: Cedar
//! rules, Ethereum transactions, software keys, a Merkle log, all in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use custody_audit::TileLog;
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::MemoryTiles;
use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::amount::Asset;
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::command::{Command, FreezeScope, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Config, Custodian, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument, OrderDocument, SignatureSet, parse};
use custody_core::id::{
    BackendId, BookId, CustodianId, KeyId, PayloadFormat, PrincipalId, RequestId, RoleId, TierId,
    WalletId,
};
use custody_core::principal::{SignedStatement, Statement, Verb};
use custody_core::seam::{
    Checkpoint, Clock as _, DerivationPath, KeyBackend as _, KeyRecord, Payload, PolicyDocument,
    Signer,
};
use custody_policy::CedarCompiler;
use custody_testkit::people::{People, TestPerson};
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::MemoryStore;

use crate::handles;
use crate::notes::ORIGIN;

/// What an outsider gets of a custodian, and the store that it came from.
pub(crate) struct Record {
    pub(crate) custodian: CustodianId,
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) documents: BTreeMap<Digest, Vec<u8>>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) key: VerifierKey,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) store: MemoryStore,
}

impl Record {
    pub(crate) fn shared() -> &'static Self {
        static RECORD: LazyLock<Record> = LazyLock::new(Record::make);
        &RECORD
    }

    fn make() -> Self {
        let clock = TestClock::new();
        let executor = TestExecutor::new(clock.clone());
        executor.run(Self::live(clock, executor.clone()))
    }

    async fn live(clock: TestClock, executor: TestExecutor) -> Self {
        let store = MemoryStore::new();
        let signer = log_signer().await;
        let name = KeyName::parse(ORIGIN).unwrap();
        let key = VerifierKey::new(name.clone(), signer.public_key().clone()).unwrap();
        let (below, tiles) = (Arc::new(store.clone()), Arc::new(MemoryTiles::default()));
        let log = TileLog::open(name, below, tiles, vec![Arc::clone(&signer)]).await.unwrap();
        let custodian = Custodian::builder()
            .config(Config { snapshot_interval: 20, ..Config::default() })
            .store(Arc::new(store.clone()))
            .audit(Arc::new(log))
            .clock(Arc::new(clock.clone()))
            .entropy(Arc::new(TestEntropy::seeded(11)))
            .spawner(Arc::new(executor))
            .policy(Arc::new(CedarCompiler::new().unwrap()))
            .decoder(Arc::new(EvmDecoder::new()))
            .decoder(Arc::new(OpaqueDecoder::new()))
            .backend(Arc::new(handles::backend()))
            .create(genesis())
            .await
            .unwrap();
        let house = House { custodian, clock, people: people() };
        house.story().await;
        let checkpoint = house.custodian.checkpoint().await.unwrap().unwrap();
        house.custodian.close().await.unwrap();
        let snapshot = store.snapshot();
        let documents = snapshot.records().into_iter();
        let documents = documents.filter(|record| record.key.as_str().starts_with("document/"));
        Self {
            custodian: house.custodian.id(),
            events: snapshot.events().to_vec(),
            documents: documents.map(|record| (Digest::of(&record.value), record.value)).collect(),
            checkpoint,
            key,
            signer,
            store,
        }
    }

    /// The events, read.
    pub(crate) fn read(&self) -> Vec<EventDocument> {
        self.events.iter().map(|bytes| EventDocument::read(bytes).unwrap()).collect()
    }

    /// Some documents of every kind, by the names of the target `documents`.
    pub(crate) fn documents_by_kind(&self) -> BTreeMap<&'static str, Vec<Vec<u8>>> {
        let mut kinds: BTreeMap<&'static str, Vec<Vec<u8>>> = BTreeMap::new();
        let mut add = |kind: &'static str, bytes: Vec<u8>| {
            let known = kinds.entry(kind).or_default();
            if bytes.len() < 4_000 && known.len() < 8 && !known.contains(&bytes) {
                known.push(bytes);
            }
        };
        for event in self.read().iter().step_by(3).chain(&self.read()) {
            add("event", event.to_bytes().unwrap());
            pieces_of_event(event, &mut add);
        }
        for bytes in self.documents.values() {
            if let Ok(order) = parse::<OrderDocument>(bytes) {
                order.effects.iter().for_each(|effect| add("effect", json(effect)));
                add("order", bytes.clone());
            } else if parse::<SignatureSet>(bytes).is_ok() {
                add("signature set", bytes.clone());
            } else if parse::<Command>(bytes).is_ok() {
                add("command", bytes.clone());
            } else if parse::<custody_core::seam::DecodeContext>(bytes).is_ok() {
                add("decode context", bytes.clone());
            } else if parse::<custody_core::document::SubmissionDocument>(bytes).is_ok() {
                add("submission", bytes.clone());
            }
        }
        let rules = "@id(\"a\") permit (principal, action == Action::\"transfer\", resource);";
        add("policy document", json(&PolicyDocument { rules: rules.to_owned(), ..policy() }));
        let requirement = custody_core::seam::Requirement::default();
        add("window", json(&requirement));
        kinds
    }
}

fn pieces_of_event(event: &EventDocument, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    match &event.event {
        EventBody::ApprovalAdded(statement) => add("statement", json(statement)),
        EventBody::Genesis(genesis) => {
            genesis.principals.iter().for_each(|principal| add("principal", json(principal)));
        }
        EventBody::OrderConcluded(concluded) => {
            if let custody_core::document::Conclusion::Executed { result } = &concluded.outcome {
                add("command result", json(result));
            }
        }
        EventBody::OrderDecided(decided) => {
            decided.windows.iter().for_each(|used| add("window", json(&used.window)));
        }
        EventBody::OrderSubmitted(submitted) => {
            add("authentication", json(&submitted.authentication));
            submitted.signature.iter().for_each(|signed| add("submission signature", json(signed)));
        }
        _ => {}
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// A custodian and its people, while the log is made.
struct House {
    custodian: Custodian,
    clock: TestClock,
    people: People,
}

impl House {
    async fn story(&self) {
        self.furnish().await;
        let (approve, two) = (Verb::Approve, ("tess", "treasurer"));
        released(&self.pay("small", ETHER / 2, false).await);
        released(&self.pay("signed", ETHER / 4, true).await);
        let large = self.pay("large", 5 * ETHER, false).await;
        pending(&self.say(("tom", "treasurer"), approve, &large).await);
        released(&self.say(two, approve, &large).await);
        let denied = self.pay("denied", 200 * ETHER, false).await;
        assert!(matches!(denied.outcome, Outcome::Denied { .. }), "{:?}", denied.outcome);
        let waits = self.pay("waits", 3 * ETHER, false).await;
        pending(&self.say(("tom", "treasurer"), approve, &waits).await);
        let cancelled = self.pay("cancelled", 2 * ETHER, false).await;
        let cancelled = self.say(("ann", "operator"), Verb::Cancel, &cancelled).await;
        assert!(matches!(cancelled.outcome, Outcome::Cancelled), "{:?}", cancelled.outcome);
        let rejected = self.pay("rejected", 2 * ETHER, false).await;
        let rejected = self.say(two, Verb::Reject, &rejected).await;
        assert!(matches!(rejected.outcome, Outcome::Denied { .. }), "{:?}", rejected.outcome);
        self.command("ann", "freeze", Command::Freeze { scope: FreezeScope::House }, false).await;
        self.command("ada", "thaw", Command::Thaw { scope: FreezeScope::House }, true).await;
        let key = KeyId::parse("hot.0").unwrap();
        self.command("ann", "suspend", Command::SuspendKey { key: key.clone() }, false).await;
        self.command("ada", "resume", Command::ResumeKey { key }, true).await;
        for (id, after) in [("reseal", None), ("reseal-more", Some("hot.seed"))] {
            let after = after.map(|after| KeyId::parse(after).unwrap());
            let reseal = Command::ResealKeys { wallet: hot(), after, limit: 1 };
            self.command("ada", id, reseal, false).await;
        }
        released(&self.pay("last", ETHER / 8, false).await);
    }

    async fn furnish(&self) {
        let (wallet, seed) = (hot(), KeyId::parse("hot.seed").unwrap());
        let create = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("soft").unwrap(),
            seed: Some(seed),
        };
        self.command("ada", "wallet", create, true).await;
        let derive = Command::DeriveAccount {
            wallet,
            key: KeyId::parse("hot.0").unwrap(),
            path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        self.command("ada", "account", derive, false).await;
        let account = AccountId::parse(&format!("eip155:1:0x{}", "aa".repeat(20))).unwrap();
        let add = Command::AddAddress { book: BookId::parse("payees").unwrap(), account };
        self.command("ada", "payee", add, true).await;
    }

    async fn command(&self, who: &str, id: &str, command: Command, approved: bool) {
        let request = Request::command(principal(who), RequestId::parse(id).unwrap(), command);
        let mut answer = self.submit(request).await;
        if approved {
            answer = self.say(("tom", "treasurer"), Verb::Approve, &answer).await;
        }
        released(&answer);
    }

    async fn pay(&self, id: &str, wei: u128, signed: bool) -> Answer {
        let payload = transfer(u64::from(Digest::of(id.as_bytes()).as_bytes()[0]), wei);
        let id = RequestId::parse(id).unwrap();
        let mut request = Request::payload(principal("ann"), id, hot(), payload);
        if signed {
            let person = self.people.get("ann");
            let digest = self.custodian.submission_digest(&request).unwrap();
            request.signature = Some(custody_core::principal::SubmissionSignature {
                credential: person.credential_id().clone(),
                signature: person.sign(&digest),
            });
        }
        self.submit(request).await
    }

    async fn submit(&self, request: Request) -> Answer {
        self.clock.advance(Duration::from_secs(1));
        Box::pin(self.custodian.submit(request)).await.unwrap()
    }

    async fn say(&self, (who, role): (&str, &str), verb: Verb, answer: &Answer) -> Answer {
        self.clock.advance(Duration::from_secs(1));
        let until = self.clock.now();
        let id = self.custodian.id();
        let said = statement(self.people.get(who), (role, verb), &id, answer, until);
        let answer = match verb {
            Verb::Approve => Box::pin(self.custodian.approve(said)).await,
            Verb::Cancel => Box::pin(self.custodian.cancel(said)).await,
            Verb::Reject => Box::pin(self.custodian.reject(said)).await,
        };
        answer.unwrap()
    }
}

fn released(answer: &Answer) {
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{:?}", answer.outcome);
}

fn pending(answer: &Answer) {
    assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{:?}", answer.outcome);
}

/// What a person says about the order of an answer, for an hour.
pub(crate) fn statement(
    person: &TestPerson,
    (role, verb): (&str, Verb),
    custodian: &CustodianId,
    answer: &Answer,
    now: custody_core::time::Timestamp,
) -> SignedStatement {
    let statement = Statement {
        verb,
        order: answer.order.clone(),
        digest: answer.digest,
        principal: person.id().clone(),
        credential: person.credential_id().clone(),
        role: RoleId::parse(role).unwrap(),
        valid_until: now.after(Duration::from_secs(3_600)),
    };
    person.say(custodian, statement)
}

fn people() -> People {
    People::new(&[("ada", &["administrator"]), ("ann", &["operator"]), ("tess", &["treasurer"])])
        .with(TestPerson::new("tom", &["treasurer"]).with_p256())
}

fn genesis() -> Genesis {
    let coin = AssetId::parse("eip155:1/slip44:60").unwrap();
    Genesis {
        policy: policy(),
        principals: people().principals(),
        assets: vec![Asset::new(coin, 18)],
    }
}

fn policy() -> PolicyDocument {
    let roles = ["operator", "treasurer", "administrator"];
    PolicyDocument {
        v: 1,
        roles: roles.map(|role| RoleId::parse(role).unwrap()).to_vec(),
        tiers: ["hot", "warm", "cold"].map(|tier| TierId::parse(tier).unwrap()).to_vec(),
        rules: include_str!("../../examples/policies/treasury.cedar").to_owned(),
    }
}

/// The key that signs the heads of the log.
async fn log_signer() -> Arc<dyn Signer> {
    let backend = handles::backend();
    let request = handles::request("log", Algorithm::Ed25519);
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

fn transfer(nonce: u64, wei: u128) -> Payload {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0xaa)),
        value: U256::from(wei),
        access_list: alloy_eips::eip2930::AccessList::default(),
        input: Bytes::new(),
    };
    Payload {
        format: PayloadFormat::parse("evm/transaction").unwrap(),
        bytes: transaction.encoded_for_signing(),
    }
}

fn hot() -> WalletId {
    WalletId::parse("hot").unwrap()
}

fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).unwrap()
}

const ETHER: u128 = 1_000_000_000_000_000_000;
