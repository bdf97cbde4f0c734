//! Seals every key of a wallet anew, page by page.

use custody_core::command::{Command, CommandResult};
use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{BackendIdentity, IdError, KeyId, PrincipalId, RequestId, WalletId};
use custody_core::seam::Authentication;

/// Which keys are sealed anew, on whose behalf.
#[derive(Clone, Debug)]
pub struct Resealing {
    /// Who asks.
    pub requester: PrincipalId,
    /// How the host authenticated them.
    pub authentication: Authentication,
    /// What this passage is called. Whoever begins again under the same name, after a crash or once
    /// a page was approved, goes on where it stood; another name begins anew, which harms nothing, and
    /// so does the same name once the backend is registered with another key-encrypting key.
    pub name: String,
    /// The wallet.
    pub wallet: WalletId,
    /// Keys of one order, at most [`Command::RESEAL_MAX`].
    pub limit: u16,
}

/// How far a passage through a wallet has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Orders that are done.
    pub pages: usize,
    /// Seeds and keys that were sealed anew.
    pub sealed: usize,
    /// The last of them; none once the wallet is done.
    pub last: Option<KeyId>,
}

/// How a passage ends.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "an example, not a library")]
pub enum Passage {
    /// Every key is sealed anew. Before the former key-encrypting key is destroyed, leave it away and
    /// see that every key opens.
    Done,
    /// A page failed or was not allowed, and has changed nothing: begin again under another name.
    Stopped(Answer),
    /// A page waits for approvals: begin again under the same name once it has them.
    Waits(Answer),
}

impl Resealing {
    /// Takes page after page until none follows, and tells `progress` after each. A page that was
    /// done earlier is not done again: its request id follows from the name, from what the wallet's
    /// backend is registered as, and from its number.
    pub async fn run(
        &self,
        custodian: &Custodian,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Passage, Error> {
        let mut done = Progress { pages: 0, sealed: 0, last: None };
        let wallet = custodian.wallet(&self.wallet);
        let backend = wallet.and_then(|wallet| custodian.registered(wallet.backend()));
        loop {
            let answer = custodian.submit(self.page(backend.as_ref(), &done)?).await?;
            let Some((sealed, next)) = resealed(&answer) else {
                let waits = matches!(answer.outcome, Outcome::Pending { .. });
                return Ok(if waits { Passage::Waits(answer) } else { Passage::Stopped(answer) });
            };
            done.pages = done.pages.saturating_add(1);
            done.sealed = done.sealed.saturating_add(sealed);
            done.last = next;
            progress(&done);
            if done.last.is_none() {
                return Ok(Passage::Done);
            }
        }
    }

    fn page(&self, backend: Option<&BackendIdentity>, done: &Progress) -> Result<Request, IdError> {
        let backend = backend.map_or("", BackendIdentity::as_str);
        let backend = Digest::of(backend.as_bytes()).to_string();
        let id = format!("{}/{backend:.16}/{}", self.name, done.pages);
        let id = RequestId::parse(&id)?;
        let (wallet, after, limit) = (self.wallet.clone(), done.last.clone(), self.limit);
        let command = Command::ResealKeys { wallet, after, limit };
        let request = Request::command(self.requester.clone(), id, command);
        Ok(request.authenticated(self.authentication.clone()))
    }
}

/// How many keys an order sealed anew, and where to go on; none if it is not done.
fn resealed(answer: &Answer) -> Option<(usize, Option<KeyId>)> {
    let Outcome::Released(release) = &answer.outcome else { return None };
    let CommandResult::Resealed { handles, next } = release.result.as_ref()? else { return None };
    Some((handles.len(), next.clone()))
}
