use custody_core::bytes::HexBytes;
use custody_core::command::{CommandResult, FreezeScope};
use custody_core::custodian::{Answer, Outcome};
use custody_core::digest::Digest;
use custody_core::id::{OrderId, PrincipalId, RequestId};
use custody_core::seam::{Checkpoint, Head, TaskSignature};
use serde::{Deserialize, Serialize};

use super::{Breach, End, Invariant, Oracle};
use crate::audit::{ReceiptFile, check_note};

/// Something that a caller was given, or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "tests take it apart")]
pub enum Given {
    /// An answer about an order.
    Answer {
        /// The request, if the caller was its requester.
        request: Option<(PrincipalId, RequestId)>,
        /// The order.
        order: OrderId,
        /// SHA-256 of its document.
        digest: Digest,
        /// How it stood.
        heard: Box<Heard>,
    },
    /// A freeze was answered as done.
    Frozen(FreezeScope),
    /// The newest head: the checkpoint, verbatim.
    Head(String),
    /// A thaw is about to be asked for.
    Thawing(FreezeScope),
}

/// How an order stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "tests take it apart")]
pub enum Heard {
    /// Taken back.
    Cancelled,
    /// Not allowed, or rejected.
    Denied,
    /// Waited too long.
    Expired,
    /// Nothing was signed.
    Failed,
    /// Waits.
    Pending,
    /// Signed or done.
    Released {
        /// The signed payload.
        signed: Option<HexBytes>,
        /// The signatures.
        signatures: Vec<TaskSignature>,
        /// What a command left behind.
        result: Option<CommandResult>,
        /// The index of the entry that the receipt proves.
        index: u64,
        /// The receipt, verbatim.
        receipt: String,
    },
    /// A signature may exist.
    Unknown,
}

impl Given {
    /// The answer, which a caller got about any order.
    #[must_use]
    pub fn answer(answer: &Answer) -> Self {
        Self::Answer {
            request: None,
            order: answer.order.clone(),
            digest: answer.digest,
            heard: Box::new(Heard::of(&answer.outcome)),
        }
    }

    /// The answer to a request.
    #[must_use]
    pub fn answer_to(requester: PrincipalId, id: RequestId, answer: &Answer) -> Self {
        Self::Answer {
            request: Some((requester, id)),
            order: answer.order.clone(),
            digest: answer.digest,
            heard: Box::new(Heard::of(&answer.outcome)),
        }
    }

    /// A signed head.
    #[must_use]
    pub fn head(checkpoint: &Checkpoint) -> Self {
        Self::Head(checkpoint.note.clone())
    }
}

impl Heard {
    /// How an order stands.
    ///
    /// # Panics
    /// If it stands in a way that the oracle does not know.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Denied { .. } => Self::Denied,
            Outcome::Expired => Self::Expired,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::Pending { .. } => Self::Pending,
            Outcome::Released(release) => Self::Released {
                signed: release.signed.clone().map(HexBytes::new),
                signatures: release.signatures.clone(),
                result: release.result.clone(),
                index: release.receipt.index.value(),
                receipt: release.receipt.proof.clone(),
            },
            Outcome::Unknown { .. } => Self::Unknown,
            other => panic!("an outcome that the oracle does not know: {other:?}"),
        }
    }
}

impl Oracle {
    pub(super) fn hear_one(&mut self, given: &Given) -> Result<(), Breach> {
        match given {
            Given::Answer { request, order, digest, heard } => {
                self.known(request.as_ref(), order, digest)?;
                self.heard(order, heard)
            }
            Given::Frozen(scope) => {
                self.frozen.push(scope.clone());
                Ok(())
            }
            Given::Head(note) => self.head_given(note),
            Given::Thawing(scope) => {
                self.frozen.retain(|frozen| frozen != scope);
                Ok(())
            }
        }
    }

    pub(super) fn still_frozen(&self, scope: &FreezeScope) -> Result<(), Breach> {
        let frozen = self.ledger().is_some_and(|ledger| match scope {
            FreezeScope::House => ledger.is_frozen(),
            FreezeScope::Wallet(id) => ledger.wallet(id).is_some_and(|wallet| wallet.is_frozen()),
        });
        let lost = || Invariant::Freezes.broken(format!("the freeze of {scope:?} is lost"));
        if frozen { Ok(()) } else { Err(lost()) }
    }

    /// An order that was just told as waiting has not ended.
    pub(super) fn still_waits(&self, given: &Given) -> Result<(), Breach> {
        let Given::Answer { order, heard, .. } = given else { return Ok(()) };
        match self.end(order) {
            Some(end) if **heard == Heard::Pending => {
                let what = format!("{order} is told to wait and is {end:?}");
                Err(Invariant::Answers.broken(what))
            }
            _ => Ok(()),
        }
    }

    /// The order is in the log, under this digest and as the one order of its request.
    fn known(
        &self,
        request: Option<&(PrincipalId, RequestId)>,
        order: &OrderId,
        digest: &Digest,
    ) -> Result<(), Breach> {
        let lost = || Invariant::Durable.broken(format!("{order} was given out and is lost"));
        let known = self.history.order(order).ok_or_else(lost)?;
        if known.digest != *digest {
            return Err(Invariant::Answers.broken(format!("{order} is another document now")));
        }
        match request {
            Some(request) if self.history.request(request) != Some(order) => {
                let what = format!("request {} is not {order} any more", request.1);
                Err(Invariant::OneRequest.broken(what))
            }
            _ => Ok(()),
        }
    }

    fn heard(&mut self, order: &OrderId, heard: &Heard) -> Result<(), Breach> {
        let end = self.end(order);
        let holds = match (heard, end) {
            (Heard::Released { signed, signatures, result, index, receipt }, Some(end)) => {
                let same = match end {
                    End::Signed { signatures: stored, .. } => stored == signatures,
                    End::Executed { result: stored } => Some(stored) == result.as_ref(),
                    End::Cancelled | End::Denied | End::Expired | End::Failed | End::Unknown => {
                        false
                    }
                };
                let differs =
                    || Invariant::Answers.broken(format!("{order} was released otherwise"));
                if !same {
                    return Err(differs());
                }
                self.receipt(order, *index, receipt)?;
                let signed = signed.as_ref().map(|signed| Digest::of(signed.as_bytes()));
                *self.signed.entry(order.clone()).or_insert(signed) == signed
            }
            (Heard::Released { .. }, None) => {
                let what = format!("{order} was released without a durable outcome");
                return Err(Invariant::Durable.broken(what));
            }
            (Heard::Pending, _) => true,
            (Heard::Unknown, end) => {
                matches!(end, Some(End::Unknown | End::Failed | End::Signed { .. }))
            }
            (Heard::Cancelled, end) => matches!(end, Some(End::Cancelled)),
            (Heard::Denied, end) => matches!(end, Some(End::Denied)),
            (Heard::Expired, end) => matches!(end, Some(End::Expired)),
            (Heard::Failed, end) => matches!(end, Some(End::Failed)),
        };
        if holds {
            return Ok(());
        }
        let end = self.end(order);
        let what = format!("{order} was answered as {} and is {end:?}", heard.word());
        Err(Invariant::Answers.broken(what))
    }

    /// The receipt proves the outcome of this order, under a head of this log.
    fn receipt(&self, order: &OrderId, index: u64, receipt: &str) -> Result<(), Breach> {
        let broken = |what: &str| Invariant::Log.broken(format!("the receipt of {order}: {what}"));
        let file = ReceiptFile::parse(receipt).map_err(|what| broken(&what))?;
        let verified = self.log_keys.iter().rev().find_map(|key| file.verify(key).ok());
        let (proved, _, head) = verified.ok_or_else(|| broken("does not verify"))?;
        self.on_the_log(&head)?;
        // The root is that of our own events, so what was proved is the event at that place.
        match proved == index && self.history.concludes(order, index) {
            true => Ok(()),
            false => Err(broken("is not about its outcome")),
        }
    }

    fn head_given(&self, note: &str) -> Result<(), Breach> {
        let signed = self.log_keys.iter().rev().find_map(|key| check_note(note, key).ok());
        let unsigned = || Invariant::Log.broken("a head that the log's key has not signed");
        self.on_the_log(&signed.ok_or_else(unsigned)?)
    }

    fn on_the_log(&self, head: &Head) -> Result<(), Breach> {
        let size = head.size;
        match self.tree.root(size.value()) {
            Some(root) if root == head.root => Ok(()),
            Some(_) => Err(Invariant::Log.broken(format!("the log was another at size {size}"))),
            None => Err(Invariant::Log.broken(format!("a head of size {size} is beyond the log"))),
        }
    }
}

impl Heard {
    const fn word(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Released { .. } => "released",
            Self::Unknown => "unknown",
        }
    }
}
