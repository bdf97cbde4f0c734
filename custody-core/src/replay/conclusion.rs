use super::check::open_order;
use super::{Documents, Replay, ReplayError, document, sized, wrong};
use crate::command::{Command, CommandResult, Resolution};
use crate::document::{
    ANSWER_MAX, Conclusion, Hold, OrderConcluded, OrderDocument, SignatureSet, TaskReference, parse,
};
use crate::ledger::{DescriptorRefusal, Ledger, OpenOrder};
use crate::seam::{TaskInput, TaskSignature};
use crate::time::Timestamp;

impl Replay {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    pub(super) fn check_conclusion(
        &mut self,
        ledger: &Ledger,
        concluded: &OrderConcluded,
        at: Timestamp,
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let order = open_order(ledger, &concluded.order)?;
        match &concluded.outcome {
            Conclusion::Signed { signatures } => {
                if ledger.stop(order).is_some() {
                    return Err(wrong("the order was released although it was stopped"));
                }
                if order.is_approval_over(at) {
                    return Err(wrong("the order was released after an approval had expired"));
                }
                if order.document().expires < at {
                    return Err(wrong("the order was released after it had expired"));
                }
                let set: SignatureSet = parse(&sized(documents, signatures)?)?;
                if set.order != concluded.order {
                    return Err(wrong("the signatures are of another order"));
                }
                self.check_signatures(ledger, order.document(), &set.signatures, documents)
            }
            Conclusion::Executed { result } => {
                self.report.commands = self.report.commands.saturating_add(1);
                let command = order.command().ok_or(wrong("a payload was executed"))?;
                check_execution(ledger, order, command, at)?;
                self.check_described(ledger, command)?;
                self.check_account(ledger, command, result)?;
                if let CommandResult::Extension { sha256 } = result
                    && document(documents, sha256)?.len() > ANSWER_MAX
                {
                    return Err(wrong("a handler's answer is too large"));
                }
                match command.as_ref() {
                    Command::ResolveOrder {
                        order,
                        resolution: Resolution::Signed { signatures },
                    } => {
                        let resolved = open_order(ledger, order)?;
                        self.check_signatures(ledger, resolved.document(), signatures, documents)
                    }
                    _ => Ok(()),
                }
            }
            Conclusion::Failed { reason } => match reason {
                Hold::BackendIndeterminate
                | Hold::BadSignature
                | Hold::Interrupted
                | Hold::TimedOut => Err(wrong("limits were given back although a key was called")),
                _ => Ok(()),
            },
            Conclusion::Unknown { .. } => Ok(()),
        }
    }

    /// A descriptor fits the keys that the wallet has when it is recorded.
    fn check_described(&self, ledger: &Ledger, command: &Command) -> Result<(), ReplayError> {
        match ledger.check_described(command, &self.decoders) {
            Ok(()) => Ok(()),
            Err(DescriptorRefusal::NoReader) => Err(ReplayError::Decoder),
            Err(_) => Err(wrong("the descriptor does not describe the wallet")),
        }
    }

    /// An account that a new key is said to control must be the key's own.
    fn check_account(
        &self,
        ledger: &Ledger,
        command: &Command,
        result: &CommandResult,
    ) -> Result<(), ReplayError> {
        let CommandResult::Key { public_key, account: Some(account), .. } = result else {
            return Ok(());
        };
        let wallet = command.wallet().and_then(|id| ledger.wallet(id));
        let chain = wallet.ok_or(wrong("the key's wallet does not exist"))?.chain();
        let mut decoders = self.decoders.iter();
        let own = decoders.find_map(|decoder| decoder.account(chain, public_key));
        if own.as_ref() == Some(account) {
            Ok(())
        } else {
            Err(wrong("the key does not control its account"))
        }
    }

    fn check_signatures(
        &mut self,
        ledger: &Ledger,
        order: &OrderDocument,
        signatures: &[TaskSignature],
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let inputs = match self.inputs.remove(&order.order) {
            Some(inputs) => inputs,
            None => {
                let intent = self.check_payload(ledger, order, documents)?;
                intent.tasks.into_iter().map(|task| task.input).collect()
            }
        };
        let tasks: Vec<(TaskReference, TaskInput)> =
            order.tasks.iter().cloned().zip(inputs).collect();
        if tasks.len() != order.tasks.len() {
            return Err(ReplayError::Signature { order: order.order.clone() });
        }
        crate::ledger::check_signatures(signatures, &tasks)
            .map_err(|_| ReplayError::Signature { order: order.order.clone() })?;
        self.report.released = self.report.released.saturating_add(1);
        let count = u64::try_from(signatures.len()).unwrap_or(u64::MAX);
        self.report.signatures = self.report.signatures.saturating_add(count);
        Ok(())
    }
}

/// What was allowed is done while it is allowed: at once, where nobody outside is asked, since nothing
/// stops it any more; and a key does not become active for an order that was stopped.
fn check_execution(
    ledger: &Ledger,
    order: &OpenOrder,
    command: &Command,
    at: Timestamp,
) -> Result<(), ReplayError> {
    let is_next = order.decided().map(|decided| decided.plus(1)) == Some(ledger.position());
    if !command.may_take_time() && !is_next {
        return Err(wrong("the command was not executed with its decision"));
    }
    let resumes = matches!(command, Command::ResumeKey { .. });
    if resumes && (ledger.stop(order).is_some() || order.is_over(at)) {
        return Err(wrong("a key was resumed by an order that was stopped"));
    }
    Ok(())
}
