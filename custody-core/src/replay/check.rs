use std::time::Duration;

use super::{Depth, Documents, Replay, ReplayError, document, sized, wrong};
use crate::command::Command;
use crate::document::{
    EventBody, EventDocument, OrderDecided, OrderDocument, OrderSubmitted, SubmissionDocument,
    Verdict, Work, parse, size_of_bytes,
};
use crate::id::{KeyId, OrderId};
use crate::ledger::{Attached, Ledger, OpenOrder};
use crate::principal::submission_signing_digest;
use crate::seam::{DecodeContext, Head, Intent, Payload};

impl Replay {
    pub(super) fn check(
        &mut self,
        ledger: &Ledger,
        event: &EventDocument,
        attached: &Attached,
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let report = &mut self.report;
        match &event.event {
            EventBody::OrderSubmitted(submitted) => {
                report.orders = report.orders.saturating_add(1);
                let order = attached.order.as_ref().ok_or(ReplayError::Missing)?;
                self.check_submission(ledger, submitted, order, documents)?;
                check_times(order, event)
            }
            EventBody::ApprovalAdded(_) => {
                report.approvals = report.approvals.saturating_add(1);
                Ok(())
            }
            EventBody::OrderDecided(decided) => self.check_decision(ledger, decided, event),
            EventBody::OrderConcluded(concluded) => {
                self.check_conclusion(ledger, concluded, event.at, documents)
            }
            EventBody::Snapshot(reference) => {
                let head = sized(documents, reference)?;
                if ledger.is(&head, |part| sized(documents, part))? {
                    Ok(())
                } else {
                    Err(wrong("the snapshot is of another state"))
                }
            }
            EventBody::Recovered(recovered) => match &self.tree {
                Some(tree) if tree.head() != Head::from(recovered.restored) => Err(wrong(
                    "the recovery names another head than the one over the entries before it",
                )),
                _ => Ok(()),
            },
            EventBody::Genesis(_) | EventBody::KeyDestroyed(_) | EventBody::OrderClosed(_) => {
                Ok(())
            }
        }
    }

    fn check_submission(
        &mut self,
        ledger: &Ledger,
        submitted: &OrderSubmitted,
        order: &OrderDocument,
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let named = order.order == submitted.order
            && order.requester == submitted.requester
            && order.request == submitted.request
            && order.custodian == self.custodian;
        if !named {
            return Err(wrong("the order document is of another order"));
        }
        if !self.requests.insert((order.requester.clone(), order.request.clone())) {
            return Err(wrong("the request id was used before"));
        }
        if !self.orders.insert(order.order.clone()) {
            return Err(wrong("the order id was used before"));
        }
        check_signature(ledger, submitted, order, documents)?;
        match &order.work {
            Work::Payload(_) => {
                let intent = self.check_payload(ledger, order, documents)?;
                let inputs = intent.tasks.into_iter().map(|task| task.input).collect();
                self.inputs.insert(order.order.clone(), inputs);
                Ok(())
            }
            Work::Command(reference) => {
                let bytes = document(documents, &reference.sha256)?;
                let command: Command = parse(&bytes)?;
                let wallet = ledger.wallet_of(&command);
                let same = reference.size == size_of_bytes(&bytes)
                    && reference.action == command.action()
                    && order.wallet == wallet
                    && order.effects == [command.effect(wallet.as_ref())]
                    && order.facts.is_empty()
                    && order.tasks.is_empty();
                if same { Ok(()) } else { Err(wrong("the order contradicts its command")) }
            }
        }
    }

    /// Decodes the payload again and compares it with the order: chain, effects, facts and tasks.
    pub(super) fn check_payload(
        &self,
        ledger: &Ledger,
        order: &OrderDocument,
        documents: &dyn Documents,
    ) -> Result<Intent, ReplayError> {
        let Work::Payload(reference) = &order.work else {
            return Err(wrong("the order carries no payload"));
        };
        let bytes = document(documents, &reference.sha256)?;
        let context: DecodeContext = parse(&sized(documents, &reference.context)?)?;
        let wallet = order.wallet.as_ref().and_then(|id| Some((id, ledger.wallet(id)?)));
        let (id, wallet) = wallet.ok_or(wrong("the order's wallet does not exist"))?;
        let same_accounts = context.accounts.iter().all(|account| {
            ledger.key(&account.key).is_some_and(|key| {
                key.wallet() == id
                    && *key.public_key() == account.public_key
                    && key.path() == account.path.as_ref()
            })
        });
        // One more may have been recorded since the payload was decoded: they are never taken back.
        let same_descriptors = wallet.descriptors().starts_with(&context.descriptors);
        let fits = reference.size == size_of_bytes(&bytes)
            && context.v == 1
            && context.wallet == *id
            && context.chain == *wallet.chain()
            && order.chain.as_ref() == Some(wallet.chain())
            && same_accounts
            && same_descriptors;
        if !fits {
            return Err(wrong("the order contradicts its wallet"));
        }
        let decoder = self
            .decoders
            .iter()
            .find(|decoder| {
                *decoder.id() == reference.decoder
                    && decoder.reads(&reference.format, &context.chain)
            })
            .ok_or(ReplayError::Decoder)?;
        let payload = Payload { format: reference.format.clone(), bytes };
        let intent = decoder.decode(&payload, &context).map_err(|_| ReplayError::Decode)?;
        let same = intent.chain == context.chain
            && intent.effects == order.effects
            && intent.facts == order.facts
            && intent.tasks.len() == order.tasks.len()
            && intent.tasks.iter().zip(&order.tasks).all(|(task, named)| {
                task.key == named.key
                    && task.algorithm == named.algorithm
                    && task.input.digest() == named.input_sha256
                    && ledger.key(&named.key).is_some_and(|key| {
                        *key.public_key() == named.public_key && key.wallet() == id
                    })
            });
        if same { Ok(intent) } else { Err(wrong("the order contradicts its payload")) }
    }

    fn check_decision(
        &mut self,
        ledger: &Ledger,
        decided: &OrderDecided,
        event: &EventDocument,
    ) -> Result<(), ReplayError> {
        if decided.policy != ledger.policy().id() {
            return Err(wrong("the decision names another rule set"));
        }
        if self.depth != Depth::Full {
            return Ok(());
        }
        if self.compiler.as_ref().is_none_or(|compiler| *compiler.engine() != decided.engine) {
            return Err(ReplayError::Engine);
        }
        let engine = self.compiled(ledger)?;
        let order = open_order(ledger, &decided.order)?;
        let decision = ledger.decide(engine.as_ref(), order, event.at);
        let same = decision.allowed == (decided.verdict == Verdict::Allowed)
            && decision.rules == decided.rules
            && decision.errors == decided.errors
            && decision.windows == decided.windows;
        if !same {
            return Err(ReplayError::Decision { order: decided.order.clone() });
        }
        self.report.decisions = self.report.decisions.saturating_add(1);
        Ok(())
    }
}

/// An order is made ready shortly before its event and lives at most thirty days.
fn check_times(order: &OrderDocument, event: &EventDocument) -> Result<(), ReplayError> {
    if order.submitted > event.at || event.at.since(order.submitted) > LAG_MAX {
        return Err(wrong("the order was not submitted at the time of its event"));
    }
    if order.expires < order.submitted || order.expires > order.submitted.after(LIFE_MAX) {
        return Err(wrong("the order expires at a time that no order is given"));
    }
    Ok(())
}

/// A submission that claims to be signed must be, by the requester, over this very request.
fn check_signature(
    ledger: &Ledger,
    submitted: &OrderSubmitted,
    order: &OrderDocument,
    documents: &dyn Documents,
) -> Result<(), ReplayError> {
    const WRONG: ReplayError = wrong("the submission's signature does not count");
    let Some(signature) = &submitted.signature else {
        return if submitted.authentication.signed { Err(WRONG) } else { Ok(()) };
    };
    let document: SubmissionDocument = parse(&document(documents, &submitted.submission)?)?;
    let (sha256, format, wallet) = match &order.work {
        Work::Command(reference) => (&reference.sha256, "command", None),
        Work::Payload(reference) => {
            (&reference.sha256, reference.format.as_str(), order.wallet.as_ref())
        }
    };
    let signs = |key: &KeyId| order.tasks.iter().all(|task| task.key == *key);
    let same = document.requester == order.requester
        && document.request == order.request
        && document.sha256 == *sha256
        && document.format.as_str() == format
        && document.wallet.as_ref() == wallet
        && document.key.as_ref().is_none_or(signs)
        && document.expires.is_none_or(|expires| expires == order.expires)
        && submitted.authentication.signed;
    let credential = ledger
        .principal(&order.requester)
        .and_then(|principal| principal.credentials.get(&signature.credential));
    let digest = submission_signing_digest(ledger.custodian(), &submitted.submission);
    let verifies = credential
        .is_some_and(|credential| credential.verify(&digest, &signature.signature).is_ok());
    if same && verifies { Ok(()) } else { Err(WRONG) }
}

pub(super) fn open_order<'a>(
    ledger: &'a Ledger,
    id: &OrderId,
) -> Result<&'a OpenOrder, ReplayError> {
    ledger.order(id).ok_or(wrong("the order is not open"))
}

/// How long an order may wait between being made ready and its event.
const LAG_MAX: Duration = Duration::from_secs(600);
/// Longest life of an order.
const LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);
