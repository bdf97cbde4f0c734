//! Histories that nobody judged: what the rest of the oracle would refuse as well is counted here
//! without it.

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

/// What is done to a key.
type Stop = fn(&mut Log);

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
fn an_approval_counts_of_whoever_may_give_it_and_of_nobody_else() {
    type Forge = fn(&mut Statement);
    let mut log = Log::new();
    let order = log.payment("friend", &["one"]);
    let rows: [(&str, &str, Forge, &str); 10] = [
        ("tom", "tara", |_| {}, "credential has not signed it"),
        ("tom", "tom", |said| said.role = role("operator"), "does not hold the role"),
        ("tom", "tom", |said| said.digest = Digest::of(b"other"), "about another document"),
        ("tom", "tom", |said| said.valid_until = Timestamp::from_millis(999), "had expired"),
        ("tom", "tom", |said| said.principal = PrincipalId::parse("eve").unwrap(), "enrolled"),
        (
            "tom",
            "tara",
            |said| said.credential = CredentialId::parse("tara-key").unwrap(),
            "no such credential",
        ),
        ("tom", "tom", |said| said.verb = Verb::Reject, "says something else"),
        ("ann", "ann", |said| said.role = role("operator"), "the requester's own"),
        ("ann", "ann", |_| {}, "does not hold the role"),
        ("ann", "tom", |said| said.role = role("operator"), "credential has not signed it"),
    ];
    for (name, signer, forge, words) in rows {
        let mut statement = log.statement(&order, name);
        forge(&mut statement);
        let signed = log.people.get(signer).say(&custodian(), statement);
        assert_breaks(log.push(EventBody::ApprovalAdded(signed)), Invariant::Approvals, words);
    }
    let other = CustodianId::new(Digest::of(b"other"));
    let signed = log.people.get("tom").say(&other, log.statement(&order, "tom"));
    let taken = log.push(EventBody::ApprovalAdded(signed));
    assert_breaks(taken, Invariant::Approvals, "credential has not signed it");
    log.approve(&order, "tom").unwrap();
    log.allow(&order).unwrap();
    assert_breaks(log.approve(&order, "tara"), Invariant::Approvals, "does not wait any more");
}

#[test]
fn who_may_approve_follows_from_the_commands_that_were_done() {
    let mut log = Log::new();
    let order = log.payment("friend", &["one"]);
    let tom = log.people.get("tom").clone();
    let (principal, credential) = (tom.id().clone(), tom.credential_id().clone());
    log.approve(&order, "tom").unwrap();
    log.execute(Command::RemoveCredential {
        principal: principal.clone(),
        credential: credential.clone(),
    });
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "no such credential");
    let next = TestKey::seeded(Algorithm::Ed25519, 2);
    let renewed = tom.with_credential("tom-key", next);
    log.execute(Command::EnrollCredential {
        principal: principal.clone(),
        credential,
        key: renewed.credential(),
    });
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "has not signed it");
    log.people = log.people.clone().with(renewed);
    log.approve(&order, "tom").unwrap();
    log.execute(Command::RemovePrincipal { principal });
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "nobody of that name");
    let clerk = TestPerson::new("tom", &["operator"]);
    log.execute(Command::EnrollPrincipal { principal: clerk.principal() });
    log.people = log.people.clone().with(clerk);
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "does not hold the role");
}

#[test]
fn what_was_said_before_a_removal_is_gone_where_the_order_waits() {
    let promises = Promises {
        asset: Some(TestTransfer::coin()),
        a_day: None,
        alone: Some((Units::from(1_u64), 1)),
    };
    for (removes_credential, stays_enrolled) in [(true, true), (false, true), (false, false)] {
        for is_allowed in [false, true] {
            let mut log = Log::promising(promises.clone());
            let order = log.payment("friend", &["one"]);
            log.approve(&order, "tom").unwrap();
            log.approve(&order, "tom").unwrap();
            if is_allowed {
                log.allow(&order).unwrap();
            }
            let tom = log.people.get("tom").clone();
            let (principal, credential) = (tom.id().clone(), tom.credential_id().clone());
            log.execute(match removes_credential {
                true => Command::RemoveCredential { principal, credential },
                false => Command::RemovePrincipal { principal },
            });
            if stays_enrolled && !removes_credential {
                log.execute(Command::EnrollPrincipal { principal: tom.principal() });
            }
            match (is_allowed, removes_credential) {
                (false, _) => {
                    let allowed = log.allow(&order);
                    assert_breaks(allowed, Invariant::Approvals, "allowed with 0 approvals");
                }
                (true, false) => {
                    let signed = log.sign(&order, &["one"]);
                    assert_breaks(signed, Invariant::Approvals, "released with 0 approvals");
                }
                (true, true) => {
                    log.sign(&order, &["one"]).unwrap();
                }
            }
        }
    }
}

#[test]
fn nothing_is_allowed_or_released_while_its_wallet_or_the_house_is_frozen() {
    let words = "the house was frozen";
    for scope in [FreezeScope::House, FreezeScope::Wallet(wallet("hot"))] {
        let mut log = Log::new();
        let (waiting, reserved) =
            (log.payment("friend", &["one"]), log.reserved("friend", &["one"]));
        let (lost, _) = log.lost(None);
        log.execute(Command::Freeze { scope: scope.clone() });
        assert_breaks(log.allow(&waiting), Invariant::Freezes, words);
        assert_breaks(log.sign(&reserved, &["one"]), Invariant::Freezes, words);
        // What people say about a signature that exists is a command, and no freeze stops those.
        let resolution = Resolution::Signed { signatures: vec![signature("one")] };
        log.execute(Command::ResolveOrder { order: lost, resolution });
        log.execute(Command::Thaw { scope });
        log.allow(&waiting).unwrap();
        log.sign(&reserved, &["one"]).unwrap();
    }
    let mut log = Log::new();
    let reserved = log.reserved("friend", &["one"]);
    log.execute(Command::Freeze { scope: FreezeScope::Wallet(wallet("cold")) });
    log.sign(&reserved, &["one"]).unwrap();
}

#[test]
fn a_recovery_that_lacks_what_a_known_head_is_over_freezes_the_house() {
    let mut log = Log::new();
    log.push(recovered(None)).unwrap();
    let _freely = log.reserved("friend", &["one"]);
    let mut log = Log::new();
    log.push(recovered(Some(head(9)))).unwrap();
    let order = log.payment("friend", &["one"]);
    assert_breaks(log.allow(&order), Invariant::Freezes, "the house was frozen");
    log.execute(Command::Thaw { scope: FreezeScope::House });
    log.allow(&order).unwrap();
}

#[test]
fn only_active_keys_of_the_wallet_sign() {
    let stops: [(&str, Stop); 5] = [
        ("Suspended", |log| {
            log.execute(Command::SuspendKey { key: key_id("one") });
        }),
        ("Suspended", |log| {
            log.lost(Some("one"));
        }),
        ("Deactivated", |log| {
            log.execute(Command::DeactivateKey { key: key_id("one") });
        }),
        ("Compromised", |log| {
            log.execute(Command::CompromiseKey { key: key_id("one") });
        }),
        ("Destroyed", |log| {
            log.push(EventBody::KeyDestroyed(key_id("one"))).unwrap();
        }),
    ];
    for (state, stop) in stops {
        let mut log = Log::new();
        let (reserved, other) =
            (log.reserved("friend", &["two", "one"]), log.reserved("friend", &["two"]));
        let waiting = log.payment("friend", &["one"]);
        stop(&mut log);
        let words = format!("which is Some({state})");
        assert_breaks(log.sign(&reserved, &["two", "one"]), Invariant::Keys, &words);
        assert_breaks(log.allow(&waiting), Invariant::Keys, &words);
        log.sign(&other, &["two"]).unwrap();
        if state == "Suspended" {
            log.execute(Command::ResumeKey { key: key_id("one") });
            log.sign(&reserved, &["two", "one"]).unwrap();
        }
    }
    let mut log = Log::new();
    log.create("hot", "later", KeyStart::PreActivation);
    log.create("cold", "other", KeyStart::Active);
    for (id, state) in [("later", "Some(PreActivation)"), ("other", "None"), ("nobody", "None")] {
        let order = log.payment("friend", &[id]);
        assert_breaks(log.allow(&order), Invariant::Keys, &format!("which is {state}"));
    }
    log.execute(Command::ActivateKey { key: key_id("later") });
    let order = log.reserved("friend", &["later"]);
    assert_breaks(log.sign(&order, &["one"]), Invariant::Signatures, "by other keys");
    log.sign(&order, &["later"]).unwrap();
}

#[test]
fn a_key_that_was_compromised_before_a_bad_signature_stays_so() {
    let mut log = Log::new();
    let reserved = log.reserved("friend", &["one"]);
    log.execute(Command::CompromiseKey { key: key_id("one") });
    let unknown = Conclusion::Unknown { reason: Hold::BadSignature, suspends: Some(key_id("one")) };
    log.conclude(&reserved, unknown).unwrap();
    let order = log.payment("friend", &["one"]);
    assert_breaks(log.allow(&order), Invariant::Keys, "which is Some(Compromised)");
}

#[test]
fn a_deactivated_key_sweeps_to_active_keys_of_its_wallet_and_does_nothing_else() {
    let mut log = Log::new();
    log.create("cold", "other", KeyStart::Active);
    log.execute(Command::DeactivateKey { key: key_id("one") });
    let (reserved, later) = (log.reserved("two", &["one"]), log.reserved("two", &["one"]));
    log.sign(&reserved, &["one"]).unwrap();
    for to in ["friend", "other", "one"] {
        let order = log.payment(to, &["one"]);
        assert_breaks(log.allow(&order), Invariant::Keys, "which is Some(Deactivated)");
    }
    let deploys = log.paying(vec![Effect::Deploy], &["one"]);
    assert_breaks(log.allow(&deploys), Invariant::Keys, "which is Some(Deactivated)");
    log.execute(Command::SuspendKey { key: key_id("two") });
    let signed = log.sign(&later, &["one"]);
    assert_breaks(signed, Invariant::Keys, "which is Some(Deactivated)");
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
