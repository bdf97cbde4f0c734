//! What the events say, told again as simply as can be.

mod ended;
mod judged;
mod recovered;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use custody_core::amount::Units;
use custody_core::command::Command;
use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, EventBody, EventDocument, OrderDocument, OrderSubmitted, Work, parse,
};
use custody_core::id::{KeyId, OrderId, PolicyId, PrincipalId, RequestId, WalletId};
use custody_core::key::KeyState;
use custody_core::order::OrderState;
use custody_core::principal::{Principal, SignedStatement};
use custody_core::seam::TaskSignature;
use custody_core::time::Timestamp;

use super::{Check, broken};
use crate::house::{RuleSet, short};
pub(super) use words::{in_words, kind};

/// The life of one order so far.
#[derive(Clone, Debug)]
pub(crate) struct Tale {
    pub(crate) document: OrderDocument,
    pub(crate) command: Option<Command>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) digest: Digest,
    pub(crate) submission: Digest,
    pub(crate) state: OrderState,
    /// The index of the event that submitted it.
    pub(crate) submitted: u64,
    /// The index of the event that allowed it.
    pub(crate) decided: Option<u64>,
    /// The index of the event that ended it.
    pub(crate) ended: Option<u64>,
    pub(crate) was_unknown: bool,
    pub(crate) rules: Vec<String>,
    pub(crate) signatures: Vec<TaskSignature>,
    approvals: Vec<SignedStatement>,
    counted: BTreeSet<PrincipalId>,
    /// Until when all of them approve.
    until: Option<Timestamp>,
    /// Whoever asked for it was removed since, or one of them after it was allowed.
    is_left: bool,
}

/// All that the events have said so far.
pub(super) struct Story {
    rule_sets: BTreeMap<PolicyId, RuleSet>,
    in_force: PolicyId,
    people: BTreeMap<PrincipalId, Principal>,
    keys: BTreeMap<KeyId, KeyState>,
    /// Keys that an order's outcome suspended, which holds once it is published.
    suspected: BTreeSet<KeyId>,
    /// The index of the event that suspended a key last, once more perhaps.
    suspensions: BTreeMap<KeyId, u64>,
    /// When keys are to be destroyed.
    scheduled: BTreeMap<KeyId, Timestamp>,
    house_is_frozen: bool,
    frozen: BTreeSet<WalletId>,
    tales: BTreeMap<OrderId, Tale>,
    requests: BTreeMap<(PrincipalId, RequestId), OrderId>,
    inputs: BTreeMap<(KeyId, Digest), OrderId>,
    /// What was reserved and not given back: when, from which wallet, how much.
    spent: BTreeMap<OrderId, (Timestamp, WalletId, Units)>,
    log_key: Option<PublicKey>,
    last: Timestamp,
    recovery: recovered::Recovery,
}

impl Story {
    pub(super) fn new() -> Self {
        let rule_sets = RuleSet::all();
        Self {
            in_force: rule_sets[0].id,
            rule_sets: rule_sets.into_iter().map(|rules| (rules.id, rules)).collect(),
            people: BTreeMap::new(),
            keys: BTreeMap::new(),
            suspected: BTreeSet::new(),
            suspensions: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            house_is_frozen: false,
            frozen: BTreeSet::new(),
            tales: BTreeMap::new(),
            requests: BTreeMap::new(),
            inputs: BTreeMap::new(),
            spent: BTreeMap::new(),
            log_key: None,
            last: Timestamp::default(),
            recovery: recovered::Recovery::default(),
        }
    }

    pub(super) fn tale(&self, order: &OrderId) -> Option<&Tale> {
        self.tales.get(order)
    }

    pub(super) fn orders(&self) -> Vec<OrderId> {
        self.tales.keys().cloned().collect()
    }

    pub(super) fn keys(&self) -> Vec<(KeyId, KeyState)> {
        self.keys.iter().map(|(key, state)| (key.clone(), *state)).collect()
    }

    pub(super) fn is_scheduled(&self, key: &KeyId) -> bool {
        self.scheduled.contains_key(key)
    }

    pub(super) const fn log_key(&self) -> Option<&PublicKey> {
        self.log_key.as_ref()
    }

    /// The order of a request.
    pub(super) fn order_of_request(&self, request: &(PrincipalId, RequestId)) -> Option<&OrderId> {
        self.requests.get(request)
    }

    /// The order for which a key signs these bytes.
    pub(super) fn order_of(&self, key: &KeyId, input: &Digest) -> Option<(&OrderId, &Tale)> {
        let order = self.inputs.get(&(key.clone(), *input))?;
        self.tales.get_key_value(order)
    }

    /// What stands against the use of a key for an order, if something does.
    pub(super) fn stops(&self, tale: &Tale) -> Option<String> {
        if let Some(stop) = self.is_held(tale) {
            return Some(stop);
        }
        let key = tale.document.tasks.iter().find(|task| {
            let state = self.keys.get(&task.key);
            state != Some(&KeyState::Active) && !self.suspected.contains(&task.key)
        });
        key.map(|task| format!("the key {} is not active", task.key))
    }

    fn is_held(&self, tale: &Tale) -> Option<String> {
        let wallet = tale.document.wallet.as_ref();
        if self.house_is_frozen || wallet.is_some_and(|wallet| self.frozen.contains(wallet)) {
            return Some("it is frozen".to_owned());
        }
        if tale.until.is_some_and(|until| until < self.last) {
            return Some("somebody approves no longer".to_owned());
        }
        if tale.is_left {
            return Some("somebody was removed, enrolled again or not".to_owned());
        }
        let people = tale.counted.iter().chain([&tale.document.requester]);
        let mut gone = people.filter(|person| !self.people.contains_key(*person));
        gone.next().map(|person| format!("{person} was removed"))
    }

    /// Tells the next event.
    pub(super) fn event(
        &mut self,
        index: u64,
        event: &EventDocument,
        documents: &BTreeMap<Digest, Vec<u8>>,
    ) -> Check {
        if event.at < self.last {
            return broken("ledger time never goes back", format_args!("event {index}"));
        }
        self.last = event.at;
        self.nothing_outlives_a_recovery(&event.event)?;
        match &event.event {
            EventBody::Genesis(genesis) => {
                self.log_key = Some(genesis.log_key.clone());
                self.in_force = PolicyId::new(genesis.policy.sha256);
                let people = genesis.principals.iter().cloned();
                self.people = people.map(|person| (person.id.clone(), person)).collect();
                Ok(())
            }
            EventBody::OrderSubmitted(submitted) => self.submitted(index, submitted, documents),
            EventBody::ApprovalAdded(signed) => {
                if let Some(tale) = self.tales.get_mut(&signed.statement.order) {
                    tale.approvals.push(signed.clone());
                }
                Ok(())
            }
            EventBody::OrderDecided(decided) => self.decided(index, event.at, decided),
            EventBody::OrderConcluded(concluded) => self.concluded(index, concluded, documents),
            EventBody::OrderClosed(closed) => {
                let state = match &closed.reason {
                    CloseReason::Cancelled(_) | CloseReason::Recovered {} => OrderState::Cancelled,
                    CloseReason::Expired {} => OrderState::Expired,
                    CloseReason::Rejected(_) => OrderState::Denied,
                };
                self.go(&closed.order, OrderState::Pending, state, index)
            }
            EventBody::KeyDestroyed(key) => self.destroyed(key),
            EventBody::Recovered(recovered) => {
                self.recover(event.at, recovered);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn submitted(
        &mut self,
        index: u64,
        submitted: &OrderSubmitted,
        documents: &BTreeMap<Digest, Vec<u8>>,
    ) -> Check {
        let request = (submitted.requester.clone(), submitted.request.clone());
        let document: OrderDocument = read(documents, &submitted.document.sha256)?;
        let (command, payload) = match &document.work {
            Work::Command(reference) => (Some(read(documents, &reference.sha256)?), None),
            Work::Payload(reference) => (None, documents.get(&reference.sha256).cloned()),
        };
        let order = submitted.order.clone();
        if self.requests.insert(request, order.clone()).is_some() {
            let detail = format_args!("{} {}", submitted.requester, submitted.request);
            return broken("one request id is one order", detail);
        }
        for task in &document.tasks {
            self.inputs.insert((task.key.clone(), task.input_sha256), order.clone());
        }
        let tale = Tale {
            document,
            command,
            payload,
            digest: submitted.document.sha256,
            submission: submitted.submission,
            state: OrderState::Pending,
            submitted: index,
            decided: None,
            ended: None,
            was_unknown: false,
            rules: Vec::new(),
            signatures: Vec::new(),
            approvals: Vec::new(),
            counted: BTreeSet::new(),
            until: None,
            is_left: false,
        };
        match self.tales.insert(order, tale) {
            None => Ok(()),
            Some(_) => broken("one order has one submission", &submitted.order),
        }
    }

    fn go(&mut self, id: &OrderId, from: OrderState, to: OrderState, index: u64) -> Check {
        const RULE: &str = "an order takes only the steps that there are";
        let Some(tale) = self.tales.get_mut(id) else { return broken(RULE, id) };
        if tale.state != from {
            return broken(RULE, format_args!("{} from {} to {to}", short(id), tale.state));
        }
        tale.state = to;
        tale.was_unknown |= to == OrderState::Unknown;
        if to == OrderState::Reserved {
            tale.decided = Some(index);
        }
        tale.ended = to.is_terminal().then_some(index);
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(
    documents: &BTreeMap<Digest, Vec<u8>>,
    sha256: &Digest,
) -> Result<T, super::Violation> {
    let found = documents.get(sha256).and_then(|bytes| parse(bytes).ok());
    found.map_or_else(|| broken("documents that events name are durable", sha256), Ok)
}
