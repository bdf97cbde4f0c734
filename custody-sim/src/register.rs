use std::sync::{Arc, Mutex, MutexGuard};

use custody_core::custodian::{Answer, Outcome, Request, RequestedWork};
use custody_core::digest::Digest;
use custody_core::document::{Stored, SubmissionDocument, V1};
use custody_core::id::{OrderId, PayloadFormat, PrincipalId};
use custody_core::principal::SignedStatement;

/// What the people of the house remember, whatever becomes of the custodian. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Register {
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) requests: Vec<Request>,
    pub(crate) orders: Vec<Known>,
    pub(crate) statements: Vec<SignedStatement>,
    numbers: u64,
}

/// An order that somebody has heard of.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) order: OrderId,
    pub(crate) digest: Digest,
    pub(crate) requester: Option<PrincipalId>,
    pub(crate) is_pending: bool,
}

impl Register {
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// A number that was not used before.
    pub(crate) fn number(&self) -> u64 {
        let mut memory = self.memory();
        memory.numbers += 1;
        memory.numbers
    }

    /// Remembers what was heard; tells whether the order is new.
    pub(crate) fn hear(&self, answer: &Answer, requester: Option<PrincipalId>) -> bool {
        let mut memory = self.memory();
        let is_pending = matches!(answer.outcome, Outcome::Pending { .. });
        let (order, digest) = (answer.order.clone(), answer.digest);
        if let Some(known) = memory.orders.iter_mut().find(|known| known.order == order) {
            known.is_pending = is_pending;
            known.requester = known.requester.take().or(requester);
            return false;
        }
        memory.orders.push(Known { order, digest, requester, is_pending });
        true
    }
}

/// The digest of a request's submission document.
pub(crate) fn submission(request: &Request) -> Digest {
    let (wallet, key, format, sha256) = match &request.work {
        RequestedWork::Payload { wallet, key, payload } => {
            (Some(wallet.clone()), key.clone(), payload.format.clone(), Digest::of(&payload.bytes))
        }
        RequestedWork::Command(command) => {
            let document = Stored::write(command.as_ref().clone()).unwrap();
            (None, None, PayloadFormat::parse("command").unwrap(), *document.digest())
        }
    };
    let document = SubmissionDocument {
        v: V1,
        requester: request.requester.clone(),
        request: request.id.clone(),
        wallet,
        key,
        format,
        sha256,
        expires: request.expires,
    };
    *Stored::write(document).unwrap().digest()
}
