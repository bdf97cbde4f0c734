//! Every record and every signature to its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use custody_core::crypto::Algorithm;
use custody_core::document::V1;
use custody_core::id::{KeyId, OrderId};
use custody_core::time::Timestamp;

use super::Evidence;
use super::context::{Context, ContextFault, Sealed};
use super::homes::Home;
use super::keys::{Ours, Standing};
use super::matching::{Slot, assign};
use super::orders::{Claim, LoggedOrder};
use super::record::{CallerName, ErrorCode, EventName, Operation, Origin, Parameters, Record};
use super::report::{
    Calls, ContextFinding, FailedCalls, KeyPlace, MissingSignature, OtherKey, Reason,
    Reconciliation, RecordCounts, SignatureCounts, StrangerCalls, Unexplained,
};
use super::time::Share;
use crate::arn::KeyArn;

/// A comparison under way.
pub(super) struct Sorting<'a> {
    evidence: &'a Evidence<'a>,
    report: Reconciliation,
    /// By the key that signs.
    sides: BTreeMap<&'a KeyId, Sides<'a>>,
    /// The signatures in the log of keys that have no sides.
    others: BTreeMap<&'a KeyId, u64>,
    /// The accounts whose keys the records name.
    accounts: BTreeSet<&'a str>,
    strangers: BTreeMap<(CallerName, EventName, KeyArn), StrangerCalls>,
    failures: BTreeMap<(EventName, ErrorCode), u64>,
    service: BTreeMap<EventName, u64>,
}

/// Both sides of one key.
#[derive(Default)]
struct Sides<'a> {
    /// The algorithms that orders ask for; one, unless a log is made up.
    algorithms: BTreeSet<Algorithm>,
    wanted: Vec<Wanted<'a>>,
    made: Vec<(&'a Record, &'a KeyArn)>,
}

/// A signature that an order asked for.
struct Wanted<'a> {
    order: &'a LoggedOrder,
    slot: Slot,
}

impl<'a> Sorting<'a> {
    pub(super) fn new(evidence: &'a Evidence<'a>) -> Self {
        let Evidence { trail, log, keys, .. } = *evidence;
        let records = RecordCounts {
            read: trail.read_count(),
            duplicates: trail.duplicate_count(),
            other_services: trail.other_service_count(),
            ..RecordCounts::default()
        };
        let report = Reconciliation {
            v: V1,
            custodian: keys.custodian(),
            records,
            signatures: SignatureCounts::default(),
            unexplained: Vec::new(),
            unlisted: Vec::new(),
            missing: Vec::new(),
            contexts: Vec::new(),
            strangers: Vec::new(),
            failures: Vec::new(),
            service: Vec::new(),
            elsewhere: Vec::new(),
        };
        let sides = keys.signing().map(|key| (key, Sides::default())).collect();
        let (strangers, failures, service) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (others, accounts) = (BTreeMap::new(), BTreeSet::new());
        let mut sorting =
            Self { evidence, report, sides, others, accounts, strangers, failures, service };
        log.orders().iter().for_each(|order| sorting.want(order));
        sorting
    }

    /// Notes what an order asked for.
    fn want(&mut self, order: &'a LoggedOrder) {
        let Evidence { tolerance, period, .. } = *self.evidence;
        // A call that CloudTrail has at the beginning of its second may be of its end.
        let from = earlier(earlier(order.allowed, tolerance), SECOND);
        let until = order.ended.map_or(Timestamp::MAX, |ended| ended.after(tolerance));
        let share = period.share(from, until);
        for task in &order.tasks {
            let Some(sides) = self.sides.get_mut(&task.key) else {
                let signed = u64::from(order.claim == Claim::Signed);
                add(&mut self.report.signatures.elsewhere, signed);
                add(self.others.entry(&task.key).or_default(), signed);
                continue;
            };
            sides.algorithms.insert(task.algorithm);
            if share != Share::None {
                let is_required = order.claim == Claim::Signed && share == Share::All;
                let (from, until) = (from.as_millis(), until.as_millis());
                let slot = Slot { from, until, is_required };
                sides.wanted.push(Wanted { order, slot });
            }
        }
    }

    pub(super) fn take(&mut self, record: &'a Record) {
        let Evidence { keys, period, .. } = *self.evidence;
        self.accounts.extend(record.keys.iter().map(KeyArn::account));
        if !period.contains(record.at) {
            return add(&mut self.report.records.outside, 1);
        }
        let ours: Vec<_> = record.keys.iter().map(|arn| (arn, keys.find(arn))).collect();
        let Some((arn, first)) = ours.iter().find_map(|(arn, ours)| Some((*arn, (*ours)?))) else {
            return add(&mut self.report.records.other_keys, 1);
        };
        add(&mut self.report.records.ours, 1);
        let operation = record.name.operation();
        if record.origin == Origin::Service && !operation.is_use() {
            add(self.service.entry(record.name.clone()).or_default(), 1);
            return;
        }
        self.note_caller(record, arn);
        if let Some(error) = &record.error {
            let key = (record.name.clone(), error.clone());
            add(self.failures.entry(key).or_default(), 1);
            return;
        }
        match (operation, first) {
            (Operation::Sign, Ours::Signs { key, home }) if home == arn.region() => {
                if let Some(sides) = self.sides.get_mut(key) {
                    sides.made.push((record, arn));
                }
            }
            (Operation::Seal, Ours::Seals) => self.check_contexts(record, &ours),
            (Operation::Seal | Operation::Sign | Operation::UseOtherwise, ours) => {
                let key = ours.signs();
                self.report.unexplained.push(unexplained(record, arn, key, Reason::OtherUse));
            }
            (Operation::Manage | Operation::Read | Operation::Switch, _) => {}
        }
    }

    /// Notes a caller who is not known for such calls.
    fn note_caller(&mut self, record: &Record, arn: &KeyArn) {
        let operation = record.name.operation();
        let is_known = match self.evidence.keys.standing(&record.caller) {
            Standing::Administrator => {
                matches!(operation, Operation::Manage | Operation::Read | Operation::Switch)
            }
            Standing::Principal => operation != Operation::Manage,
            Standing::Stranger => false,
        };
        if is_known {
            return;
        }
        let (caller, name) = (record.caller.name.clone(), record.name.clone());
        let key = (caller.clone(), name.clone(), arn.clone());
        let calls = self.strangers.entry(key).or_insert_with(|| StrangerCalls {
            caller,
            name,
            arn: arn.clone(),
            first: record.at,
            done: 0,
            failed: 0,
            reads: operation == Operation::Read,
        });
        calls.first = calls.first.min(record.at);
        add(if record.error.is_none() { &mut calls.done } else { &mut calls.failed }, 1);
    }

    /// Checks what was sealed or opened. Between two keys something moves from the first to the
    /// second.
    fn check_contexts(&mut self, record: &Record, keys: &[(&KeyArn, Option<&Ours>)]) {
        let Parameters { context, second_context, .. } = &record.parameters;
        let mut sealed = Ok(Sealed::Other);
        let contexts = match keys {
            [_, _, ..] => vec![context, second_context],
            _ if record.name.as_str() == "ReEncrypt" => vec![context, second_context],
            _ => vec![context],
        };
        let mut keys = keys.iter().cycle();
        for context in contexts {
            let Some((arn, ours)) = keys.next() else { continue };
            let is_ours = ours.is_some_and(|ours| ours.signs().is_none());
            let checked = if is_ours { self.check(context.as_ref()) } else { OTHER_KEY };
            match checked {
                Ok(of) => sealed = sealed.map(|_| of),
                Err(fault) => {
                    sealed = Err(fault);
                    self.report.contexts.push(ContextFinding {
                        at: record.at,
                        event: record.id.clone(),
                        name: record.name.clone(),
                        arn: (*arn).clone(),
                        caller: record.caller.name.clone(),
                        fault,
                        wallet: context.as_ref().and_then(Context::wallet),
                        context: context.as_ref().and_then(Context::digest),
                    });
                }
            }
        }
        let counts = &mut self.report.signatures;
        match sealed {
            Ok(Sealed::Other) => add(&mut counts.sealed_other, 1),
            Ok(Sealed::Wallet) => add(&mut counts.sealed, 1),
            Err(_) => {}
        }
    }

    fn check(&self, context: Option<&Context>) -> Result<Sealed, ContextFault> {
        let Evidence { log, keys, .. } = *self.evidence;
        context.ok_or(ContextFault::Missing)?.check(log, keys)
    }

    /// Says where each key of the log is that the file does not name as a key of KMS.
    fn place_others(&mut self) {
        let Evidence { log, keys, .. } = *self.evidence;
        for (key, wallet, home) in log.keys().filter(|(key, ..)| !self.sides.contains_key(key)) {
            let place = match home {
                Home::Kms(account)
                    if keys.has_account(&account) || self.accounts.contains(account.as_str()) =>
                {
                    KeyPlace::Kms
                }
                _ if keys.is_elsewhere(key) => KeyPlace::Elsewhere,
                Home::Elsewhere => KeyPlace::OtherBackend,
                Home::Kms(_) => KeyPlace::Kms,
                Home::Unknown => KeyPlace::Unknown,
            };
            let signatures = self.others.get(key).copied().unwrap_or_default();
            let other = OtherKey { key: key.clone(), wallet: wallet.cloned(), place, signatures };
            match place {
                KeyPlace::Kms | KeyPlace::Unknown => self.report.unlisted.push(other),
                KeyPlace::Elsewhere | KeyPlace::OtherBackend if signatures > 0 => {
                    self.report.elsewhere.push(other);
                }
                KeyPlace::Elsewhere | KeyPlace::OtherBackend => {}
            }
        }
    }

    pub(super) fn finish(mut self) -> Reconciliation {
        self.place_others();
        for (key, sides) in std::mem::take(&mut self.sides) {
            sides.compare(key, &mut self.report);
        }
        let mut report = self.report;
        report
            .unexplained
            .sort_by(|one, other| (one.at, &one.event).cmp(&(other.at, &other.event)));
        report.contexts.sort_by(|one, other| (one.at, &one.event).cmp(&(other.at, &other.event)));
        report
            .missing
            .sort_by(|one, other| (one.from, &one.order).cmp(&(other.from, &other.order)));
        report.strangers = self.strangers.into_values().collect();
        report.failures = self
            .failures
            .into_iter()
            .map(|((name, error), count)| FailedCalls { name, error, count })
            .collect();
        let service = self.service.into_iter();
        report.service = service.map(|(name, count)| Calls { name, count }).collect();
        report
    }
}

impl Sides<'_> {
    fn compare(mut self, key: &KeyId, report: &mut Reconciliation) {
        self.made.sort_by(|(one, _), (other, _)| (one.at, &one.id).cmp(&(other.at, &other.id)));
        let (fit, unfit): (Vec<_>, Vec<_>) =
            self.made.into_iter().partition(|(record, _)| has_form(&self.algorithms, record));
        for (record, arn) in unfit {
            report.unexplained.push(unexplained(record, arn, Some(key), Reason::OtherForm));
        }
        let (nothing, wanted): (Vec<_>, Vec<_>) =
            self.wanted.into_iter().partition(|wanted| wanted.order.claim == Claim::Nothing);
        let times: Vec<u64> = fit.iter().map(|(record, _)| record.at.as_millis()).collect();
        let slots: Vec<Slot> = wanted.iter().map(|wanted| wanted.slot).collect();
        let taken = assign(&times, &slots);
        let mut has_time = vec![false; slots.len()];
        let mut left = Vec::new();
        for ((record, arn), index) in fit.into_iter().zip(taken) {
            let slot = index.and_then(|index| has_time.get_mut(index).zip(slots.get(index)));
            let Some((has_time, slot)) = slot else {
                left.push((record, arn));
                continue;
            };
            *has_time = true;
            let counts = &mut report.signatures;
            add(if slot.is_required { &mut counts.matched } else { &mut counts.perhaps }, 1);
        }
        for (Wanted { order, slot }, has_time) in wanted.iter().zip(has_time) {
            if slot.is_required && !has_time {
                let (order_id, from) = (order.order.clone(), order.allowed);
                let until = order.ended.unwrap_or(Timestamp::MAX);
                let key = key.clone();
                report.missing.push(MissingSignature { order: order_id, key, from, until });
            }
        }
        let orders = nearby(&left, &nothing);
        for ((record, arn), order) in left.into_iter().zip(orders) {
            let unexplained = unexplained(record, arn, Some(key), Reason::NoOrder);
            report.unexplained.push(Unexplained { order, ..unexplained });
        }
    }
}

/// For each signature that is left over, an order at its time that was to end without one.
fn nearby(left: &[(&Record, &KeyArn)], orders: &[Wanted<'_>]) -> Vec<Option<OrderId>> {
    let times: Vec<u64> = left.iter().map(|(record, _)| record.at.as_millis()).collect();
    let slots: Vec<Slot> = orders.iter().map(|wanted| wanted.slot).collect();
    let order = |index: Option<usize>| Some(orders.get(index?)?.order.order.clone());
    assign(&times, &slots).into_iter().map(order).collect()
}

fn unexplained(record: &Record, arn: &KeyArn, key: Option<&KeyId>, reason: Reason) -> Unexplained {
    Unexplained {
        at: record.at,
        event: record.id.clone(),
        name: record.name.clone(),
        key: key.cloned(),
        arn: arn.clone(),
        caller: record.caller.name.clone(),
        reason,
        order: None,
    }
}

/// Whether the call is one that the custodian makes for an algorithm of the key. Of a key that no order
/// names, any may be.
fn has_form(algorithms: &BTreeSet<Algorithm>, record: &Record) -> bool {
    let Parameters { signing_algorithm, message_type, .. } = &record.parameters;
    let form = (signing_algorithm.as_deref(), message_type.as_deref().unwrap_or("RAW"));
    let mut forms = algorithms.iter().map(|algorithm| match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => (Some("ECDSA_SHA_256"), "DIGEST"),
        Algorithm::Ed25519 => (Some("ED25519_SHA_512"), "RAW"),
        Algorithm::Bip340 | _ => (None, ""),
    });
    algorithms.is_empty() || forms.any(|known| known == form)
}

fn earlier(time: Timestamp, duration: Duration) -> Timestamp {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(millis))
}

fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

const OTHER_KEY: Result<Sealed, ContextFault> = Err(ContextFault::OtherKey);
/// What a second has before its end.
const SECOND: Duration = Duration::from_millis(999);
