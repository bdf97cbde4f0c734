//! A custodian's log, event by event.

use std::collections::{BTreeMap, BTreeSet};

use custody_core::bytes::HexBytes;
use custody_core::command::{Command, CommandResult, Resolution};
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, CommandReference, Conclusion, DocumentReference, EventBody, EventDocument,
    GenesisEvent, Hold, OrderClosed, OrderConcluded, OrderDecided, OrderDocument, OrderSubmitted,
    PayloadReference, Stored, TaskReference, V1, Verdict, Work,
};
use custody_core::effect::Action;
use custody_core::id::{
    BackendId, BackendIdentity, CustodianId, DecoderId, EngineId, KeyId, OrderId, PayloadFormat,
    PolicyId, PrincipalId, RequestId, WalletId,
};
use custody_core::seam::Authentication;
use custody_core::time::Timestamp;
use custody_kms::cloud_trail::{OrderLog, OrderLogError};
use custody_testkit::key::TestKey;

/// 2026-03-01T12:00:00Z.
pub(crate) const NOON: u64 = 1_772_366_400_000;

/// A custodian with the wallet `hot`, and what its log holds.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) documents: BTreeMap<Digest, Vec<u8>>,
    orders: u64,
}

impl House {
    pub(crate) fn new() -> Self {
        let mut house = Self::without_wallet();
        house.make_wallet("hot", NOON - 3_600_000);
        house
    }

    pub(crate) fn without_wallet() -> Self {
        Self::with_backends(&[])
    }

    /// Without wallets, and with backends by name and identity.
    pub(crate) fn with_backends(backends: &[(&str, &str)]) -> Self {
        let mut house = Self { events: Vec::new(), documents: BTreeMap::new(), orders: 0 };
        let backend = |(id, identity): &(&str, &str)| {
            (BackendId::parse(id).unwrap(), BackendIdentity::parse(identity).unwrap())
        };
        let backends = backends.iter().map(backend).collect();
        let genesis = GenesisEvent { backends, ..genesis() };
        house.push(NOON - 7_200_000, EventBody::Genesis(Box::new(genesis)));
        house
    }

    pub(crate) fn custodian(&self) -> CustodianId {
        CustodianId::new(Digest::of(&self.events[0]))
    }

    pub(crate) fn log(&self) -> OrderLog {
        self.read().unwrap()
    }

    pub(crate) fn read(&self) -> Result<OrderLog, OrderLogError> {
        OrderLog::read(self.custodian(), &self.events, &self.documents)
    }

    pub(crate) fn push(&mut self, at: u64, event: EventBody) {
        let at = Timestamp::from_millis(at);
        self.events.push(EventDocument { v: V1, at, event }.to_bytes().unwrap());
    }

    pub(crate) fn keep(&mut self, bytes: Vec<u8>) -> DocumentReference {
        let reference =
            DocumentReference { sha256: Digest::of(&bytes), size: bytes.len().try_into().unwrap() };
        self.documents.insert(reference.sha256, bytes);
        reference
    }

    fn next(&mut self) -> OrderId {
        self.orders += 1;
        OrderId::parse(&format!("019cb000-0000-7000-8000-{:012x}", self.orders)).unwrap()
    }

    pub(crate) fn document(&self, order: &OrderId, tasks: &[(&str, Algorithm)]) -> OrderDocument {
        let task = |(key, algorithm): &(&str, Algorithm)| TaskReference {
            key: KeyId::parse(key).unwrap(),
            public_key: TestKey::seeded(*algorithm, 7).public_key().clone(),
            algorithm: *algorithm,
            input_sha256: Digest::of(b"input"),
        };
        OrderDocument {
            v: V1,
            custodian: self.custodian(),
            order: order.clone(),
            requester: PrincipalId::parse("olivia").unwrap(),
            request: RequestId::parse(order.as_str()).unwrap(),
            wallet: Some(WalletId::parse("hot").unwrap()),
            chain: None,
            submitted: Timestamp::from_millis(NOON),
            expires: Timestamp::from_millis(NOON),
            work: Work::Payload(PayloadReference {
                format: PayloadFormat::parse("evm/transaction").unwrap(),
                size: 1,
                sha256: Digest::of(b"payload"),
                decoder: DecoderId::parse("evm/1").unwrap(),
                context: DocumentReference { sha256: Digest::of(b"context"), size: 1 },
            }),
            effects: Vec::new(),
            facts: BTreeSet::new(),
            tasks: tasks.iter().map(task).collect(),
        }
    }

    pub(crate) fn submit(&mut self, at: u64, document: OrderDocument) -> OrderId {
        let order = document.order.clone();
        let reference = self.keep(Stored::write(document).unwrap().bytes().to_vec());
        let submitted = OrderSubmitted {
            order: order.clone(),
            document: reference,
            requester: PrincipalId::parse("olivia").unwrap(),
            request: RequestId::parse(order.as_str()).unwrap(),
            submission: Digest::of(b"submission"),
            authentication: Authentication::default(),
            signature: None,
        };
        self.push(at, EventBody::OrderSubmitted(submitted));
        order
    }

    pub(crate) fn decide(&mut self, at: u64, order: &OrderId, verdict: Verdict) {
        let decided = OrderDecided {
            order: order.clone(),
            verdict,
            engine: EngineId::parse("cedar/4").unwrap(),
            policy: PolicyId::new(Digest::of(b"policy")),
            rules: Vec::new(),
            errors: Vec::new(),
            windows: Vec::new(),
        };
        self.push(at, EventBody::OrderDecided(decided));
    }

    pub(crate) fn conclude(&mut self, at: u64, order: &OrderId, outcome: Conclusion) {
        let concluded = OrderConcluded { order: order.clone(), outcome };
        self.push(at, EventBody::OrderConcluded(concluded));
    }

    pub(crate) fn close(&mut self, at: u64, order: &OrderId) {
        let reason = CloseReason::Expired {};
        self.push(at, EventBody::OrderClosed(OrderClosed { order: order.clone(), reason }));
    }

    /// An order over these keys that waits for its decision.
    pub(crate) fn submit_tasks(&mut self, at: u64, tasks: &[(&str, Algorithm)]) -> OrderId {
        let order = self.next();
        let document = self.document(&order, tasks);
        self.submit(at, document)
    }

    /// An allowed order over keys on secp256k1.
    pub(crate) fn allow(&mut self, at: u64, keys: &[&str]) -> OrderId {
        let tasks: Vec<_> = keys.iter().map(|key| (*key, Algorithm::EcdsaSecp256k1)).collect();
        self.allow_tasks(at, &tasks)
    }

    pub(crate) fn allow_tasks(&mut self, at: u64, tasks: &[(&str, Algorithm)]) -> OrderId {
        let order = self.submit_tasks(at, tasks);
        self.decide(at, &order, Verdict::Allowed);
        order
    }

    /// An order that was allowed and signed.
    pub(crate) fn sign(&mut self, allowed: u64, ended: u64, keys: &[&str]) -> OrderId {
        let order = self.allow(allowed, keys);
        self.conclude(ended, &order, signed());
        order
    }

    /// A command, allowed and executed.
    pub(crate) fn execute(&mut self, at: u64, command: &Command, wallet: Option<&str>) {
        self.execute_as(at, command.action(), command, wallet);
    }

    /// A command whose order says that it is for this action.
    pub(crate) fn execute_as(
        &mut self,
        at: u64,
        action: Action,
        command: &Command,
        wallet: Option<&str>,
    ) {
        let reference = self.keep(serde_json::to_vec(command).unwrap());
        let order = self.next();
        let DocumentReference { sha256, size } = reference;
        let document = OrderDocument {
            wallet: wallet.map(|wallet| WalletId::parse(wallet).unwrap()),
            work: Work::Command(CommandReference { action, size, sha256 }),
            tasks: Vec::new(),
            ..self.document(&order, &[])
        };
        self.submit(at, document);
        self.decide(at, &order, Verdict::Allowed);
        self.conclude(at, &order, Conclusion::Executed { result: CommandResult::Done {} });
    }

    pub(crate) fn make_wallet(&mut self, wallet: &str, at: u64) {
        self.make_wallet_at(wallet, "aws", at);
    }

    pub(crate) fn make_wallet_at(&mut self, wallet: &str, backend: &str, at: u64) {
        let command: Command = serde_json::from_value(serde_json::json!({"create_wallet": {
            "wallet": wallet, "chain": "eip155:1", "tier": "hot", "backend": backend,
        }}))
        .unwrap();
        self.execute(at, &command, Some(wallet));
    }

    pub(crate) fn make_key(&mut self, wallet: &str, key: &str, at: u64) {
        let command: Command = serde_json::from_value(serde_json::json!({"create_key": {
            "wallet": wallet, "key": key, "algorithm": "ecdsa-secp256k1",
            "exportability": "never", "start": "active",
        }}))
        .unwrap();
        self.execute(at, &command, Some(wallet));
    }

    /// An order over a key of another wallet than `hot` that was allowed and ended.
    pub(crate) fn end_in(&mut self, wallet: &str, key: &str, at: u64, outcome: Conclusion) {
        let order = self.next();
        let document = OrderDocument {
            wallet: Some(WalletId::parse(wallet).unwrap()),
            ..self.document(&order, &[(key, Algorithm::EcdsaSecp256k1)])
        };
        self.submit(at, document);
        self.decide(at, &order, Verdict::Allowed);
        self.conclude(at, &order, outcome);
    }

    pub(crate) fn resolve(&mut self, at: u64, order: &OrderId, resolution: Resolution) {
        let command = Command::ResolveOrder { order: order.clone(), resolution };
        self.execute(at, &command, Some("hot"));
    }
}

pub(crate) fn signed() -> Conclusion {
    let signatures = DocumentReference { sha256: Digest::of(b"signatures"), size: 1 };
    Conclusion::Signed { signatures }
}

pub(crate) const fn failed() -> Conclusion {
    Conclusion::Failed { reason: Hold::BackendRefused }
}

pub(crate) const fn unknown() -> Conclusion {
    Conclusion::Unknown { reason: Hold::BackendIndeterminate, suspends: None }
}

fn genesis() -> GenesisEvent {
    GenesisEvent {
        nonce: HexBytes::new(vec![0xab; 32]),
        log_key: TestKey::seeded(Algorithm::Ed25519, 9).public_key().clone(),
        engine: EngineId::parse("cedar/4").unwrap(),
        policy: DocumentReference { sha256: Digest::of(b"policy"), size: 1 },
        principals: Vec::new(),
        assets: Vec::new(),
        backends: BTreeMap::new(),
    }
}
