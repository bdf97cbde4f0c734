//! A ledger that is driven through events, with its people, one wallet and one key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::{Amount, Asset, Units};
use custody_core::bytes::HexBytes;
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::command::{Command, CommandResult, KeyStart};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, CommandReference, Conclusion, DocumentReference, EventBody, EventDocument,
    GenesisEvent, OrderClosed, OrderConcluded, OrderDecided, OrderDocument, OrderSubmitted,
    PayloadReference, Stored, TaskReference, V1, Verdict, Work,
};
use custody_core::effect::Effect;
use custody_core::id::{
    BackendId, BackendIdentity, CredentialId, CustodianId, DecoderId, EngineId, KeyId, OrderId,
    OrganisationId, PayloadFormat, PrincipalId, RequestId, RoleId, TierId, WalletId,
};
use custody_core::ledger::{Attached, Ledger, LedgerError};
use custody_core::principal::{Credential, Principal, SignedStatement, Statement, Verb};
use custody_core::seam::{Authentication, Exportability, PolicyDocument};
use custody_core::time::Timestamp;
use custody_testkit::key::TestKey;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Everybody's name, credential seed, organisation and role.
const PEOPLE: [(&str, u64, &str, &str); 5] = [
    ("ada", 1, "treasury", "administrator"),
    ("olivia", 2, "treasury", "operator"),
    ("tara", 3, "treasury", "treasurer"),
    ("theo", 4, "treasury", "treasurer"),
    ("tom", 5, "trustee", "treasurer"),
];

/// A ledger, and every event that it was made of.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) ledger: Ledger,
    pub(crate) events: Vec<(EventDocument, Attached)>,
    pub(crate) now: Timestamp,
    policy: Vec<u8>,
    orders: u64,
}

impl House {
    /// After genesis, with the wallet `hot` and its active key `key-1`.
    pub(crate) fn new() -> Self {
        let mut house = Self::bare();
        house.execute(create_wallet("hot", None), CommandResult::Done {});
        house.create_key("key-1", 11, KeyStart::Active);
        house
    }

    /// After genesis only.
    pub(crate) fn bare() -> Self {
        let policy = policy("").to_bytes().unwrap();
        let event = genesis(PEOPLE.iter().map(person).collect(), &policy);
        let ledger = Ledger::genesis(custodian(), &event, &policy).unwrap();
        let events = vec![(event, Attached::default())];
        Self { ledger, events, now: START, policy, orders: 0 }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Folds an event; one that is refused leaves the house as it was.
    pub(crate) fn push(&mut self, event: EventBody) -> Result<(), LedgerError> {
        self.push_with(event, Attached::default())
    }

    fn push_with(&mut self, event: EventBody, attached: Attached) -> Result<(), LedgerError> {
        let event = EventDocument { v: V1, at: self.now, event };
        let mut next = self.ledger.clone();
        next.apply(&event, &attached)?;
        self.ledger = next;
        self.events.push((event, attached));
        Ok(())
    }

    /// Submits what `requester` asks for: a command, or a payload with these effects.
    pub(crate) fn submit(&mut self, requester: &str, work: Asked) -> OrderId {
        self.submit_as(requester, work, Authentication::default())
    }

    /// Submits it as a requester who was authenticated like this.
    pub(crate) fn submit_as(
        &mut self,
        requester: &str,
        work: Asked,
        authentication: Authentication,
    ) -> OrderId {
        self.orders += 1;
        let order = OrderId::parse(&format!("order-{:04}", self.orders)).unwrap();
        let document = document(requester, &order, self.now, &work);
        let stored = Stored::write(document.clone()).unwrap();
        let event = EventBody::OrderSubmitted(OrderSubmitted {
            order: order.clone(),
            document: stored.reference(),
            requester: document.requester.clone(),
            request: document.request.clone(),
            submission: Digest::of(order.as_str().as_bytes()),
            authentication,
            signature: None,
        });
        let command = match work {
            Asked::Command(command) => Some(Arc::new(command)),
            Asked::Payment { .. } => None,
        };
        let attached = Attached { order: Some(Arc::new(document)), command };
        self.push_with(event, attached).unwrap();
        order
    }

    pub(crate) fn pay(&mut self, units: u64) -> OrderId {
        self.submit("olivia", Asked::Payment { key: "key-1", units: Units::from(units) })
    }

    pub(crate) fn decide(&mut self, order: &OrderId, verdict: Verdict) -> Result<(), LedgerError> {
        self.push(EventBody::OrderDecided(OrderDecided {
            order: order.clone(),
            verdict,
            engine: engine(),
            policy: self.ledger.policy().id(),
            rules: Vec::new(),
            errors: Vec::new(),
            windows: Vec::new(),
        }))
    }

    pub(crate) fn conclude(
        &mut self,
        order: &OrderId,
        outcome: Conclusion,
    ) -> Result<(), LedgerError> {
        self.push(EventBody::OrderConcluded(OrderConcluded { order: order.clone(), outcome }))
    }

    pub(crate) fn close(
        &mut self,
        order: &OrderId,
        reason: CloseReason,
    ) -> Result<(), LedgerError> {
        self.push(EventBody::OrderClosed(OrderClosed { order: order.clone(), reason }))
    }

    /// Takes a command all the way.
    pub(crate) fn execute(&mut self, command: Command, result: CommandResult) {
        let name = command.action();
        self.try_execute(command, result).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }

    pub(crate) fn try_execute(
        &mut self,
        command: Command,
        result: CommandResult,
    ) -> Result<(), LedgerError> {
        let order = self.submit("ada", Asked::Command(command));
        self.decide(&order, Verdict::Allowed).unwrap();
        self.conclude(&order, Conclusion::Executed { result })
    }

    pub(crate) fn create_key(&mut self, id: &str, seed: u64, start: KeyStart) {
        self.execute(create_key(id, start), key_result(seed));
    }

    /// What `name` says about an open order, with the credential of `seed`.
    pub(crate) fn say(
        &self,
        verb: Verb,
        order: &OrderId,
        name: &str,
        seed: u64,
    ) -> SignedStatement {
        let open = self.ledger.order(order).expect("the order is open");
        let (_, _, _, role) = PEOPLE.iter().find(|person| person.0 == name).unwrap();
        let statement = Statement {
            verb,
            order: order.clone(),
            digest: *open.digest(),
            principal: principal(name),
            credential: credential_id(seed),
            role: RoleId::parse(role).unwrap(),
            valid_until: self.now.after(DAY),
        };
        sign(statement, seed)
    }

    pub(crate) fn approve(&mut self, order: &OrderId, name: &str) -> Result<(), LedgerError> {
        let seed = PEOPLE.iter().find(|person| person.0 == name).unwrap().1;
        let approval = self.say(Verb::Approve, order, name, seed);
        self.push(EventBody::ApprovalAdded(approval))
    }

    /// The state that the events make when they are folded again from the start.
    pub(crate) fn rebuilt(&self) -> Ledger {
        let mut events = self.events.iter();
        let (genesis, _) = events.next().unwrap();
        let mut ledger = Ledger::genesis(custodian(), genesis, &self.policy).unwrap();
        for (event, attached) in events {
            let event = EventDocument::read(&event.to_bytes().unwrap()).unwrap();
            ledger.apply(&event, attached).unwrap();
        }
        ledger
    }
}

/// What an order asks for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Command(Command),
    Payment { key: &'static str, units: Units },
}

fn document(requester: &str, order: &OrderId, now: Timestamp, work: &Asked) -> OrderDocument {
    let (wallet, work, effects, tasks) = match work {
        Asked::Command(command) => {
            let stored = Stored::write(command.clone()).unwrap();
            let reference =
                CommandReference { action: command.action(), size: 1, sha256: *stored.digest() };
            (None, Work::Command(reference), vec![command.effect(None)], Vec::new())
        }
        Asked::Payment { key, units } => {
            let amount = Amount::new(asset(), *units);
            let effect = Effect::Transfer { amount, from: account(1), to: account(2) };
            (Some(wallet("hot")), payload(), vec![effect], vec![task(key)])
        }
    };
    OrderDocument {
        v: V1,
        custodian: custodian(),
        order: order.clone(),
        requester: principal(requester),
        request: RequestId::parse(order.as_str()).unwrap(),
        chain: wallet.as_ref().map(|_| chain()),
        wallet,
        submitted: now,
        expires: now.after(DAY),
        work,
        effects,
        facts: BTreeSet::new(),
        tasks,
    }
}

fn payload() -> Work {
    Work::Payload(PayloadReference {
        format: PayloadFormat::parse("evm/transaction").unwrap(),
        size: 1,
        sha256: Digest::of(b"payload"),
        decoder: DecoderId::parse("evm/1").unwrap(),
        context: DocumentReference { sha256: Digest::of(b"context"), size: 7 },
    })
}

fn task(key: &str) -> TaskReference {
    TaskReference {
        key: key_id(key),
        public_key: TestKey::seeded(Algorithm::Ed25519, 11).public_key().clone(),
        algorithm: Algorithm::Ed25519,
        input_sha256: Digest::of(b"input"),
    }
}

pub(crate) fn genesis(principals: Vec<Principal>, policy: &[u8]) -> EventDocument {
    let event = EventBody::Genesis(Box::new(GenesisEvent {
        nonce: HexBytes::new(vec![1; 32]),
        log_key: TestKey::seeded(Algorithm::Ed25519, 90).public_key().clone(),
        engine: engine(),
        policy: DocumentReference { sha256: Digest::of(policy), size: 1 },
        principals,
        assets: vec![Asset::new(asset(), 18)],
        backends: BTreeMap::from([(backend("soft"), BackendIdentity::parse("kek").unwrap())]),
    }));
    EventDocument { v: V1, at: START, event }
}

pub(crate) fn policy(rules: &str) -> PolicyDocument {
    let roles = ["administrator", "operator", "treasurer"];
    PolicyDocument {
        v: 1,
        roles: roles.iter().map(|role| RoleId::parse(role).unwrap()).collect(),
        tiers: vec![TierId::parse("hot").unwrap()],
        rules: rules.to_owned(),
    }
}

fn person((name, seed, organisation, role): &(&str, u64, &str, &str)) -> Principal {
    Principal {
        id: principal(name),
        organisation: OrganisationId::parse(organisation).unwrap(),
        service: false,
        roles: BTreeSet::from([RoleId::parse(role).unwrap()]),
        credentials: BTreeMap::from([(credential_id(*seed), credential(*seed))]),
    }
}

/// A new treasurer with the credential of `seed`.
pub(crate) fn newcomer(name: &str, seed: u64) -> Principal {
    person(&(name, seed, "trustee", "treasurer"))
}

pub(crate) fn sign(statement: Statement, seed: u64) -> SignedStatement {
    let digest = statement.signing_digest(&custodian());
    let key = TestKey::seeded(Algorithm::Ed25519, seed);
    statement.signed(key.sign(SignInput::Message(digest.as_bytes())).unwrap())
}

pub(crate) fn create_wallet(id: &str, seed: Option<&str>) -> Command {
    Command::CreateWallet {
        wallet: wallet(id),
        chain: chain(),
        tier: TierId::parse("hot").unwrap(),
        backend: backend("soft"),
        seed: seed.map(key_id),
    }
}

pub(crate) fn create_key(id: &str, start: KeyStart) -> Command {
    Command::CreateKey {
        wallet: wallet("hot"),
        key: key_id(id),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start,
    }
}

pub(crate) fn key_result(seed: u64) -> CommandResult {
    CommandResult::Key {
        public_key: TestKey::seeded(Algorithm::Ed25519, seed).public_key().clone(),
        handle: Digest::of(&seed.to_be_bytes()),
        account: Some(account(seed)),
    }
}

pub(crate) fn custodian() -> CustodianId {
    CustodianId::new(Digest::of(b"custodian"))
}

fn engine() -> EngineId {
    EngineId::parse("test/1").unwrap()
}

pub(crate) fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).unwrap()
}

pub(crate) fn credential_id(seed: u64) -> CredentialId {
    CredentialId::parse(&format!("credential-{seed}")).unwrap()
}

pub(crate) fn credential(seed: u64) -> Credential {
    Credential::new(TestKey::seeded(Algorithm::Ed25519, seed).public_key().clone()).unwrap()
}

pub(crate) fn wallet(id: &str) -> WalletId {
    WalletId::parse(id).unwrap()
}

pub(crate) fn key_id(id: &str) -> KeyId {
    KeyId::parse(id).unwrap()
}

pub(crate) fn backend(id: &str) -> BackendId {
    BackendId::parse(id).unwrap()
}

pub(crate) fn chain() -> ChainId {
    ChainId::parse("eip155:1").unwrap()
}

pub(crate) fn asset() -> AssetId {
    AssetId::parse("eip155:1/slip44:60").unwrap()
}

pub(crate) fn account(number: u64) -> AccountId {
    AccountId::parse(&format!("eip155:1:0x{number:040x}")).unwrap()
}
