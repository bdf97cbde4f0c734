//! What the orders of ceremonies do.

use std::sync::Arc;

use async_trait::async_trait;
use custody_core::custodian::CommandHandler;
use custody_core::document::{DocumentError, V1, parse};
use custody_core::id::{CustodianId, ExtensionName, IdError, OrderId};
use custody_core::seam::{BackendError, Entropy, ErrorKind};
use custody_core::secret::Secret;

use super::document::to_bytes;
use super::plan::Plan;
use super::{
    Begun, CeremonyCommand, CeremonyRecord, Confirm, Confirmed, Journal, Permit, Purpose, Recover,
    Refusal, Replace, Rotate, SetReference, ShareDesk, SharePlace, Split,
};
use crate::commitment::{Commitments, SetId};
use crate::geography::Distribution;
use crate::route::recovery_public_key;
use crate::slip39::{self, GroupScheme, Scheme, Share};

/// The commands of ceremonies, for [`CustodianBuilder::extension`]: one handler each.
///
/// Their secrets have 256 random bits and no passphrase: a passphrase would be one more share,
/// which nobody recorded and nobody confirms. Nothing is gained by stretching what nobody can
/// guess, so the iteration exponent is 0.
///
/// A ceremony is held once for each order. A command that is run again gives the same answer if its
/// set has a record in the journal. If it was broken off before, or the journal cannot tell, some
/// shares may be out: the answer is `Indeterminate`, the order becomes `unknown`, and as no order was
/// executed the set is in no [`Sets`](super::Sets) and never in force. Settle the order as failed and
/// submit another.
///
/// New shares are made only of a set whose record is in the journal, and only if the order describes
/// it so: what would not count afterwards hands nothing out. After a recovery the journal is filled
/// by [`Sets::note_in`](super::Sets::note_in).
///
/// [`CustodianBuilder::extension`]: custody_core::custodian::CustodianBuilder::extension
#[derive(Clone, Debug)]
pub struct Ceremonies {
    desk: Arc<dyn ShareDesk>,
    journal: Arc<dyn Journal>,
    entropy: Arc<dyn Entropy>,
}

impl Ceremonies {
    /// Ceremonies whose shares go over this desk.
    #[must_use]
    pub const fn new(
        desk: Arc<dyn ShareDesk>,
        journal: Arc<dyn Journal>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { desk, journal, entropy }
    }

    /// A handler for each command.
    ///
    /// # Errors
    /// Never fails: the names are fixed, and well-formed.
    pub fn handlers(&self) -> Result<Vec<Arc<dyn CommandHandler>>, IdError> {
        let kinds = [
            (Confirm::name()?, Kind::Confirm),
            (Recover::name()?, Kind::Recover),
            (Replace::name()?, Kind::Replace),
            (Rotate::name()?, Kind::Rotate),
            (Split::name()?, Kind::Split),
        ];
        let handler = |(name, kind)| {
            Arc::new(Handler { name, kind, ceremonies: self.clone() }) as Arc<dyn CommandHandler>
        };
        Ok(kinds.into_iter().map(handler).collect())
    }

    fn reaches(&self, distribution: &Distribution) -> bool {
        distribution.holders().all(|(_, holder)| self.desk.reaches(holder))
    }

    /// Makes a set and hands it out, unless that was done before.
    async fn hold(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        plan: Plan,
    ) -> Result<Vec<u8>, BackendError> {
        let set = SetId::of(custodian, order);
        match self.journal.begin(&set).await {
            Ok(Begun::Done(record)) => return Ok(record),
            Ok(Begun::BrokenOff) => return Err(failed(ErrorKind::Indeterminate, BROKEN_OFF)),
            Ok(Begun::First) => {}
            // Nothing leaves now. What left when the order was run before, only the journal knows.
            Err(error) => return Err(failed(ErrorKind::Indeterminate, BEGIN).with_source(error)),
        }
        self.check(&plan).await?;
        let secret = self.secret(custodian, order, plan.from()).await?;
        let shares = split(&secret, &plan.distribution, self.entropy.as_ref())?;
        let public_key = recovery_public_key(&secret).map_err(|error| refused(SPLIT, error))?;
        drop(secret);
        let first = shares.iter().flatten().next();
        let record = CeremonyRecord {
            v: V1,
            custodian: *custodian,
            order: order.clone(),
            set,
            from: plan.from().map(|from| from.set),
            identifier: first.map_or(0, Share::identifier),
            distribution: plan.distribution,
            confirmations: plan.confirmations,
            public_key,
            commitments: Commitments::of(&shares).map_err(|error| refused(SPLIT, error))?,
        };
        let bytes = to_bytes(&record).map_err(|error| refused(SPLIT, error))?;
        self.hand_out(&record, shares).await?;
        match self.journal.finish(&set, &bytes).await {
            Ok(()) => Ok(bytes),
            Err(error) => Err(failed(ErrorKind::Indeterminate, FINISH).with_source(error)),
        }
    }

    /// Whether the set that is followed is the one of the record.
    async fn check(&self, plan: &Plan) -> Result<(), BackendError> {
        let Some(from) = plan.from() else { return Ok(()) };
        let record = self.journal.record(&from.set).await;
        let record = record
            .map_err(|error| failed(ErrorKind::Unavailable, FOLLOW).with_source(error))?
            .ok_or_else(|| refused(FOLLOW, Refusal::UnknownSet { set: from.set }))?;
        let record = CeremonyRecord::read(&record).map_err(|error| refused(FOLLOW, error))?;
        plan.check(&record).map_err(|refusal| refused(FOLLOW, refusal))
    }

    /// A new secret, or the one of the set that is rotated.
    async fn secret(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        from: Option<&SetReference>,
    ) -> Result<Secret, BackendError> {
        let Some(from) = from else {
            let drawn = Secret::try_fill(SECRET_BYTES, |bytes| self.entropy.fill(bytes));
            return drawn.map_err(|error| refused(SPLIT, error));
        };
        let purpose = Purpose::Reshare { order: order.clone() };
        let shares = self.desk.collect(custodian, &from.set, &purpose).await;
        let shares = shares.map_err(before)?;
        for share in &shares {
            from.commitments.locate(share).map_err(|error| refused(COLLECT, error))?;
        }
        let secret = slip39::combine(&shares, &no_passphrase());
        let secret = secret.map_err(|error| refused(COLLECT, error))?;
        let public_key = recovery_public_key(&secret).map_err(|error| refused(COLLECT, error))?;
        if public_key == from.public_key { Ok(secret) } else { Err(refused(COLLECT, OTHER_SECRET)) }
    }

    /// Hands out each share. Once the first may be out, nothing is certain any more.
    async fn hand_out(
        &self,
        record: &CeremonyRecord,
        shares: Vec<Vec<Share>>,
    ) -> Result<(), BackendError> {
        let mut is_first = true;
        let shares = shares.into_iter().flatten();
        for ((share, holder), value) in record.distribution.holders().zip(shares) {
            let (custodian, set) = (&record.custodian, &record.set);
            let place = SharePlace { custodian, set, share, holder };
            match self.desk.hand_out(place, value).await {
                Ok(()) => {}
                Err(error) if is_first && error.kind().nothing_happened() => return Err(error),
                Err(error) => {
                    return Err(failed(ErrorKind::Indeterminate, HAND_OUT).with_source(error));
                }
            }
            is_first = false;
        }
        Ok(())
    }
}

/// One command.
#[derive(Debug)]
struct Handler {
    name: ExtensionName,
    kind: Kind,
    ceremonies: Ceremonies,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Confirm,
    Recover,
    Replace,
    Rotate,
    Split,
}

/// What an order asks for.
enum Asked {
    Confirm(Confirm),
    Make(Plan),
    Permit(Recover),
}

impl Handler {
    fn read(&self, document: &[u8]) -> Result<Asked, DocumentError> {
        Ok(match self.kind {
            Kind::Confirm => Asked::Confirm(parse(document)?),
            Kind::Recover => Asked::Permit(parse(document)?),
            Kind::Replace => Asked::Make(parse::<Replace>(document)?.into()),
            Kind::Rotate => Asked::Make(parse::<Rotate>(document)?.into()),
            Kind::Split => Asked::Make(parse::<Split>(document)?.into()),
        })
    }
}

#[async_trait]
impl CommandHandler for Handler {
    fn name(&self) -> &ExtensionName {
        &self.name
    }

    fn accepts(&self, document: &[u8]) -> bool {
        if document.len() > DOCUMENT_MAX {
            return false;
        }
        match self.read(document) {
            Ok(Asked::Confirm(_)) => true,
            Ok(Asked::Permit(recover)) => !matches!(recover.purpose, Purpose::Reshare { .. }),
            Ok(Asked::Make(plan)) => self.ceremonies.reaches(&plan.distribution),
            Err(_) => false,
        }
    }

    async fn run(
        &self,
        custodian: &CustodianId,
        order: &OrderId,
        document: &[u8],
    ) -> Result<Vec<u8>, BackendError> {
        match self.read(document).map_err(|error| refused(READ, error))? {
            Asked::Confirm(confirm) => confirmed(custodian, order, &confirm),
            Asked::Make(plan) => self.ceremonies.hold(custodian, order, plan).await,
            Asked::Permit(recover) => permit(custodian, order, recover),
        }
    }
}

/// Who confirms, and whether the set and the share exist, is judged where the log is folded: a
/// handler sees neither.
fn confirmed(
    custodian: &CustodianId,
    order: &OrderId,
    confirm: &Confirm,
) -> Result<Vec<u8>, BackendError> {
    let verified = confirm.commitment.verify(&confirm.challenge(*custodian), &confirm.possession);
    verified.map_err(|error| refused(CONFIRM, error))?;
    answer(&confirmed_by(*custodian, order.clone(), confirm))
}

fn permit(
    custodian: &CustodianId,
    order: &OrderId,
    recover: Recover,
) -> Result<Vec<u8>, BackendError> {
    answer(&permitted_by(*custodian, order.clone(), recover))
}

fn answer(document: &impl serde::Serialize) -> Result<Vec<u8>, BackendError> {
    to_bytes(document).map_err(|error| refused(READ, error))
}

fn split(
    secret: &Secret,
    distribution: &Distribution,
    entropy: &dyn Entropy,
) -> Result<Vec<Vec<Share>>, BackendError> {
    let scheme = scheme(distribution).map_err(|error| refused(SPLIT, error))?;
    slip39::split(secret, &no_passphrase(), &scheme, entropy).map_err(|error| refused(SPLIT, error))
}

fn scheme(distribution: &Distribution) -> Result<Scheme, slip39::SchemeError> {
    let group = |group: &crate::geography::Group| {
        let count = u8::try_from(group.holders.len()).unwrap_or(u8::MAX);
        GroupScheme::new(group.threshold, count)
    };
    let groups = distribution.groups().iter().map(group).collect::<Result<_, _>>()?;
    Ok(Scheme::new(distribution.group_threshold(), groups)?.iteration_exponent(0)?.extendable(true))
}

fn no_passphrase() -> Secret {
    Secret::new(Vec::new())
}

/// A failure before any share can have left.
fn before(error: BackendError) -> BackendError {
    if error.kind().nothing_happened() {
        error
    } else {
        failed(ErrorKind::Unavailable, COLLECT).with_source(error)
    }
}

fn refused(
    operation: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BackendError {
    failed(ErrorKind::Refused, operation).with_source(source)
}

const fn failed(kind: ErrorKind, operation: &'static str) -> BackendError {
    BackendError::new(kind, operation)
}

/// The answer to an order, which follows from the order alone.
pub(super) const fn confirmed_by(
    custodian: CustodianId,
    order: OrderId,
    confirm: &Confirm,
) -> Confirmed {
    Confirmed {
        v: V1,
        custodian,
        order,
        set: confirm.set,
        share: confirm.share,
        commitment: confirm.commitment,
    }
}

/// The answer to an order, which follows from the order alone.
pub(super) fn permitted_by(custodian: CustodianId, order: OrderId, recover: Recover) -> Permit {
    let Recover { set, purpose, until, .. } = recover;
    Permit { v: V1, custodian, order, set, purpose, until }
}

/// Length of a recovery secret.
const SECRET_BYTES: usize = 32;
/// Largest document of a ceremony: 256 holders and commitments take less.
const DOCUMENT_MAX: usize = 128 * 1024;

const BEGIN: &str = "note that a ceremony begins";
const BROKEN_OFF: &str = "go on with a ceremony that was broken off";
const COLLECT: &str = "collect shares";
const CONFIRM: &str = "verify a confirmation";
const FINISH: &str = "keep the record of a ceremony";
const FOLLOW: &str = "find the set that gets new shares";
const HAND_OUT: &str = "hand out shares";
const OTHER_SECRET: &str = "the shares have another secret than the set";
const READ: &str = "read the order of a ceremony";
const SPLIT: &str = "split a secret";
