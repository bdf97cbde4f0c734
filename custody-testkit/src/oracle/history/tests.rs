//! Histories that nobody judged: what the rest of the oracle would refuse as well is counted here
//! without it.

mod approving;
mod standing;

use std::collections::BTreeSet;

use custody_core::amount::{Amount, Units};
use custody_core::bytes::HexBytes;
use custody_core::command::{FreezeScope, KeyStart};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::document::{
    CommandReference, GenesisEvent, HeadReference, Hold, OrderClosed, PayloadReference,
    TaskReference, V1, size_of_bytes,
};
use custody_core::effect::Effect;
use custody_core::id::{
    BackendId, CredentialId, DecoderId, EngineId, KeyId, PayloadFormat, PolicyId, RoleId, TierId,
};
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{Authentication, Exportability, Position, TaskSignature};
use serde::Serialize;

use super::*;
use crate::decoder::TestTransfer;
use crate::key::TestKey;
use crate::people::{People, TestPerson};

const NOW: Timestamp = Timestamp::from_millis(1_000);

/// The history of a house of ann's, where tom and tara approve. Its wallet `hot` has the active
/// keys `one` and `two`.
struct Log {
    history: History,
    documents: BTreeMap<Digest, Vec<u8>>,
    people: People,
    next: u64,
    orders: u64,
}

impl Log {
    fn new() -> Self {
        Self::promising(Promises::default())
    }

    fn promising(promises: Promises) -> Self {
        let treasurer: &[&str] = &["treasurer"];
        let people = [("ann", &["operator"][..]), ("tom", treasurer), ("tara", treasurer)];
        let mut log = Self {
            history: History::new(custodian(), promises),
            documents: BTreeMap::new(),
            people: People::new(&people),
            next: 0,
            orders: 0,
        };
        let genesis = GenesisEvent {
            nonce: HexBytes::new(vec![0; 32]),
            log_key: key().public_key().clone(),
            engine: engine(),
            policy: DocumentReference { sha256: Digest::of(b"policy"), size: 6 },
            principals: log.people.principals(),
            assets: Vec::new(),
            backends: BTreeMap::new(),
        };
        log.push(EventBody::Genesis(Box::new(genesis))).unwrap();
        for name in ["hot", "cold"] {
            log.execute(Command::CreateWallet {
                wallet: wallet(name),
                chain: TestTransfer::chain(),
                tier: TierId::parse("hot").unwrap(),
                backend: BackendId::parse("memory").unwrap(),
                seed: None,
            });
        }
        log.create("hot", "one", KeyStart::Active);
        log.create("hot", "two", KeyStart::Active);
        log
    }

    fn push(&mut self, event: EventBody) -> Result<u64, Breach> {
        let index = self.next;
        self.next += 1;
        let event = EventDocument { v: V1, at: NOW, event };
        self.history.event(index, &event, &self.documents)?;
        Ok(index)
    }

    fn keep(&mut self, document: &impl Serialize) -> DocumentReference {
        let bytes = serde_json::to_vec(document).unwrap();
        let size = size_of_bytes(&bytes);
        let sha256 = Digest::of(&bytes);
        self.documents.insert(sha256, bytes);
        DocumentReference { sha256, size }
    }

    /// Ann asks for this.
    fn submit(&mut self, work: Work, effects: Vec<Effect>, keys: &[&str]) -> OrderId {
        self.orders += 1;
        let order = OrderId::parse(&format!("order-{}", self.orders)).unwrap();
        let request = RequestId::parse(&format!("request-{}", self.orders)).unwrap();
        let requester = self.people.get("ann").id().clone();
        let task = |id: &&str| TaskReference {
            key: key_id(id),
            public_key: key().public_key().clone(),
            algorithm: Algorithm::Ed25519,
            input_sha256: Digest::of(b"input"),
        };
        let document = self.keep(&OrderDocument {
            v: V1,
            custodian: custodian(),
            order: order.clone(),
            requester: requester.clone(),
            request: request.clone(),
            wallet: Some(wallet("hot")),
            chain: Some(TestTransfer::chain()),
            submitted: NOW,
            expires: Timestamp::MAX,
            work,
            effects,
            facts: BTreeSet::new(),
            tasks: keys.iter().map(task).collect(),
        });
        let submitted = OrderSubmitted {
            order: order.clone(),
            document,
            requester,
            request,
            submission: Digest::of(b"submission"),
            authentication: Authentication::default(),
            signature: None,
        };
        self.push(EventBody::OrderSubmitted(submitted)).unwrap();
        order
    }

    /// A payment of one coin that these keys of the wallet `hot` are to sign.
    fn payment(&mut self, to: &str, keys: &[&str]) -> OrderId {
        let amount = || Amount::new(TestTransfer::coin(), Units::from(1_u64));
        let (from, to) = (TestTransfer::account("own"), TestTransfer::account(to));
        let transfer = Effect::Transfer { amount: amount(), from, to };
        self.paying(vec![transfer, Effect::PayFee { amount: amount(), rate: None }], keys)
    }

    fn paying(&mut self, effects: Vec<Effect>, keys: &[&str]) -> OrderId {
        let work = Work::Payload(PayloadReference {
            format: PayloadFormat::parse("test/transfer").unwrap(),
            size: 7,
            sha256: Digest::of(b"payload"),
            decoder: DecoderId::parse("test/1").unwrap(),
            context: DocumentReference { sha256: Digest::of(b"context"), size: 7 },
        });
        self.submit(work, effects, keys)
    }

    fn allow(&mut self, order: &OrderId) -> Result<u64, Breach> {
        self.push(EventBody::OrderDecided(OrderDecided {
            order: order.clone(),
            verdict: Verdict::Allowed,
            engine: engine(),
            policy: PolicyId::new(Digest::of(b"policy")),
            rules: Vec::new(),
            errors: Vec::new(),
            windows: Vec::new(),
        }))
    }

    fn conclude(&mut self, order: &OrderId, outcome: Conclusion) -> Result<u64, Breach> {
        self.push(EventBody::OrderConcluded(OrderConcluded { order: order.clone(), outcome }))
    }

    /// The order is released with signatures of these keys.
    fn sign(&mut self, order: &OrderId, keys: &[&str]) -> Result<u64, Breach> {
        let signatures = keys.iter().map(|id| signature(id)).collect();
        let set = self.keep(&SignatureSet { v: V1, order: order.clone(), signatures });
        self.conclude(order, Conclusion::Signed { signatures: set })
    }

    /// A payment that is allowed and not signed yet.
    fn reserved(&mut self, to: &str, keys: &[&str]) -> OrderId {
        let order = self.payment(to, keys);
        self.allow(&order).unwrap();
        order
    }

    /// A payment of which nobody knows what became of it.
    fn lost(&mut self, suspends: Option<&str>) -> (OrderId, u64) {
        let order = self.reserved("friend", &["one"]);
        let suspends = suspends.map(key_id);
        let unknown = Conclusion::Unknown { reason: Hold::BadSignature, suspends };
        let index = self.conclude(&order, unknown).unwrap();
        (order, index)
    }

    /// A command is done; the index of its last event.
    fn execute(&mut self, command: Command) -> u64 {
        self.execute_as(&command, CommandResult::Done {}).unwrap()
    }

    fn execute_as(&mut self, command: &Command, result: CommandResult) -> Result<u64, Breach> {
        let DocumentReference { sha256, size } = self.keep(command);
        let work = Work::Command(CommandReference { action: command.action(), size, sha256 });
        let order = self.submit(work, Vec::new(), &[]);
        self.allow(&order).unwrap();
        self.conclude(&order, Conclusion::Executed { result })
    }

    /// A key whose account has its name.
    fn create(&mut self, of: &str, id: &str, start: KeyStart) {
        let command = Command::CreateKey {
            wallet: wallet(of),
            key: key_id(id),
            algorithm: Algorithm::Ed25519,
            exportability: Exportability::Never,
            start,
        };
        let result = CommandResult::Key {
            public_key: key().public_key().clone(),
            handle: Digest::of(id.as_bytes()),
            account: Some(TestTransfer::account(id)),
        };
        self.execute_as(&command, result).unwrap();
    }

    /// What `name` would have to sign to approve the order as a treasurer.
    fn statement(&self, order: &OrderId, name: &str) -> Statement {
        let person = self.people.get(name);
        Statement {
            verb: Verb::Approve,
            order: order.clone(),
            digest: self.history.order(order).unwrap().digest,
            principal: person.id().clone(),
            credential: person.credential_id().clone(),
            role: role("treasurer"),
            valid_until: NOW,
        }
    }

    /// The approval of `name`.
    fn approve(&mut self, order: &OrderId, name: &str) -> Result<u64, Breach> {
        let person = self.people.get(name).clone();
        let statement = self.statement(order, name);
        self.push(EventBody::ApprovalAdded(person.say(&custodian(), statement)))
    }
}

fn custodian() -> CustodianId {
    CustodianId::new(Digest::of(b"custodian"))
}

fn engine() -> EngineId {
    EngineId::parse("test-rules/2").unwrap()
}

fn key() -> TestKey {
    TestKey::seeded(Algorithm::Ed25519, 1)
}

fn key_id(id: &str) -> KeyId {
    KeyId::parse(id).unwrap()
}

fn wallet(id: &str) -> WalletId {
    WalletId::parse(id).unwrap()
}

fn role(id: &str) -> RoleId {
    RoleId::parse(id).unwrap()
}

fn signature(id: &str) -> TaskSignature {
    let signature = key().sign(SignInput::Message(b"input")).unwrap();
    TaskSignature { key: key_id(id), signature }
}

fn head(size: u64) -> HeadReference {
    HeadReference { size: Position::new(size), root: Digest::of(b"root") }
}

fn recovered(behind: Option<HeadReference>) -> EventBody {
    let archive = Digest::of(b"archive");
    EventBody::Recovered(RecoveredEvent { archive, restored: head(1), behind })
}

#[track_caller]
fn assert_breaks(taken: Result<u64, Breach>, invariant: Invariant, words: &str) {
    let breach = taken.expect_err(words);
    assert_eq!(breach.invariant(), invariant, "{breach}");
    assert!(breach.to_string().contains(words), "{breach}");
}

#[test]
fn the_receipt_of_a_resolved_order_proves_the_event_that_resolved_it() {
    let mut log = Log::new();
    let (order, unknown) = log.lost(None);
    assert!(log.history.concludes(&order, unknown));
    let resolution = Resolution::Signed { signatures: vec![signature("one")] };
    let command = Command::ResolveOrder { order: order.clone(), resolution };
    let resolved = log.execute(command.clone());
    let proved: Vec<_> =
        (0..=log.next).filter(|index| log.history.concludes(&order, *index)).collect();
    assert_eq!(proved, [resolved]);
    let again = log.execute_as(&command, CommandResult::Done {});
    assert_breaks(again, Invariant::OneRequest, "was resolved and is");
    let order = log.reserved("friend", &["one"]);
    let resolution = Resolution::Failed { reason: "no".to_owned() };
    let command = Command::ResolveOrder { order, resolution };
    let resolved = log.execute_as(&command, CommandResult::Done {});
    assert_breaks(resolved, Invariant::OneRequest, "was resolved and is None");
}

#[test]
fn what_is_reserved_is_not_settled_before_it_has_ended() {
    let mut log = Log::new();
    let waiting = log.payment("friend", &["one"]);
    let _lost = log.lost(None);
    assert_eq!(log.history.settled(), Ok(()), "one waits, and one is unknown");
    let failed = Conclusion::Failed { reason: Hold::BackendUnavailable };
    for outcome in [None, Some(failed)] {
        let order = log.reserved("friend", &["one"]);
        let left = log.history.settled().unwrap_err();
        assert_eq!(left, Invariant::Durable.broken(format!("{order} is reserved for good")));
        match outcome {
            None => log.sign(&order, &["one"]),
            Some(outcome) => log.conclude(&order, outcome),
        }
        .unwrap();
        assert_eq!(log.history.settled(), Ok(()));
    }
    let expired = OrderClosed { order: waiting, reason: CloseReason::Expired {} };
    log.push(EventBody::OrderClosed(expired)).unwrap();
    assert_eq!(log.history.settled(), Ok(()));
}
