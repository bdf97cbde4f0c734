//! What callers do while a failpoint strikes. Each workload can be done again under the same ids,
//! and once more in another round, under others.

mod governance;

use std::time::Duration;

use custody_core::amount::{Amount, Units};
use custody_core::command::{Command, KeyStart, Resolution};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Custodian, Outcome, Request};
use custody_core::effect::Effect;
use custody_core::id::{BackendId, CustodianId, KeyId, PrincipalId, RequestId, TierId, WalletId};
use custody_core::seam::{Authentication, DerivationPath, Exportability, WalletDescriptor};
use custody_testkit::decoder::TestTransfer;
use custody_testkit::failpoint::{Action, Failpoint, Failpoints};
use futures::future::{join_all, select};

use super::callers::Callers;
use super::seams::{ALONE, Seams, World, genesis};
use crate::Failure;

/// What callers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "tests go through all of them")]
pub enum Workload {
    /// A payment that needs approvals.
    Approvals,
    /// Other rules, another key of the log, and a command of the host, while a wallet and the house
    /// are frozen; and a payment once they are thawed.
    Governance,
    /// The life of a key that is switched off and on, and a derived one that is described and
    /// sealed anew with its seed.
    Keys,
    /// Payments at once of which a limit allows some.
    Limit,
    /// A payment within the limits.
    Payment,
    /// What a crash left: an order of unknown outcome, one in the middle, and one that is in the
    /// store and under no head.
    Recovery,
}

impl Workload {
    /// Every workload.
    pub const ALL: [Self; 6] =
        [Self::Approvals, Self::Governance, Self::Keys, Self::Limit, Self::Payment, Self::Recovery];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approvals => "approvals",
            Self::Governance => "governance",
            Self::Keys => "keys",
            Self::Limit => "limit",
            Self::Payment => "payment",
            Self::Recovery => "recovery",
        }
    }

    /// The workload of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// Does it in this round; how each of its orders ended.
    pub async fn run(self, callers: &Callers, round: u32) -> Result<Vec<&'static str>, Failure> {
        let heard = match self {
            Self::Approvals => approvals(callers, round).await?,
            Self::Governance => governance::governance(callers, round).await?,
            Self::Keys => keys(callers, round).await?,
            Self::Limit => return limit(callers, round).await,
            Self::Payment => payment(callers, round).await?,
            Self::Recovery => recovery(callers, round).await?,
        };
        Ok(heard.iter().map(|answer| word(answer.as_ref())).collect())
    }

    /// Whether an order may end so in a round in which something failed, once all was gone on with:
    /// nobody waits any more, and everybody has an answer. Only commands about a key that was never
    /// made, or never got so far, are no orders.
    pub(super) fn may_end(self, word: &str) -> bool {
        match word {
            "denied" | "failed" | "released" | "unknown" => true,
            "no answer" => self == Self::Keys,
            _ => false,
        }
    }

    /// Makes the custodian that it begins with, and what a crash left of it.
    pub fn prepare(
        self,
        world: &mut impl World,
        points: &Failpoints,
    ) -> Result<CustodianId, Failure> {
        let id = world.live(async |seams| {
            let custodian = Box::pin(seams.builder(points)?.create(genesis())).await?;
            furnish(&custodian).await?;
            custodian.close().await?;
            Ok(custodian.id())
        })?;
        if self == Self::Recovery {
            crash(world, points, id)?;
        }
        points.disarm();
        Ok(id)
    }
}

/// What people must settle, wherever it came from: orders of unknown outcome.
pub async fn settle(callers: &Callers, answers: &[Answer]) -> Result<(), Failure> {
    for answer in answers {
        if !matches!(answer.outcome, Outcome::Unknown { .. }) {
            continue;
        }
        let reason = "nobody saw a signature".to_owned();
        let resolution = Resolution::Failed { reason };
        let command = Command::ResolveOrder { order: answer.order.clone(), resolution };
        callers.command(&format!("resolve-{}", answer.order), command).await;
        callers.ask(answer).await;
    }
    Ok(())
}

async fn payment(callers: &Callers, round: u32) -> Result<Vec<Option<Answer>>, Failure> {
    let request = transfer(&format!("pay-{round}"), &wallet("main", round)?, 10, false)?;
    let first = callers.submit(&request).await;
    let again = callers.submit(&request).await;
    if let Some(answer) = &first {
        callers.ask(answer).await;
    }
    // Its key is open by now.
    let more = transfer(&format!("more-{round}"), &wallet("main", round)?, 11, false)?;
    let more = callers.submit(&more).await;
    Ok(vec![first, again, more])
}

async fn approvals(callers: &Callers, round: u32) -> Result<Vec<Option<Answer>>, Failure> {
    let request = transfer(&format!("large-{round}"), &wallet("main", round)?, 500, true)?;
    // What it is at first depends on what was approved before it was asked for again.
    let Some(answer) = callers.submit(&request).await else { return Ok(vec![None]) };
    for treasurer in ["theo", "theo", "tara"] {
        callers.approve(treasurer, &answer).await;
    }
    Ok(vec![callers.ask(&answer).await])
}

/// Of four at once, a limit allows two.
async fn limit(callers: &Callers, round: u32) -> Result<Vec<&'static str>, Failure> {
    let wallet = wallet("limited", round)?;
    let requests: Vec<_> = (0..4)
        .map(|number| transfer(&format!("limit-{round}-{number}"), &wallet, ALONE, false))
        .collect::<Result<_, _>>()?;
    let heard = join_all(requests.iter().map(|request| callers.submit(request))).await;
    let mut words: Vec<_> = heard.iter().map(|answer| word(answer.as_ref())).collect();
    words.sort_unstable();
    Ok(words)
}

async fn keys(callers: &Callers, round: u32) -> Result<Vec<Option<Answer>>, Failure> {
    let (main, seeded) = (wallet("main", round)?, wallet("seeded", round)?);
    let (key, derived) = (life(round)?, KeyId::parse(&format!("derived-{round}"))?);
    let descriptor = WalletDescriptor::parse(&format!("test({derived})"))?;
    let early = vec![
        create_key(&main, &key, KeyStart::PreActivation),
        // Brought back before it was ever used, it is switched on again.
        Command::DestroyKey { key: key.clone(), wait_ms: A_DAY_MS },
        Command::CancelDestroy { key: key.clone() },
        Command::ActivateKey { key: key.clone() },
        Command::SuspendKey { key: key.clone() },
        Command::ResumeKey { key: key.clone() },
    ];
    let late = vec![
        Command::DeactivateKey { key: key.clone() },
        Command::DestroyKey { key: key.clone(), wait_ms: 0 },
        create_wallet(&seeded, Some(KeyId::parse(&format!("seed-{round}"))?))?,
        Command::DeriveAccount {
            wallet: seeded.clone(),
            key: derived,
            path: DerivationPath::parse("m/44'/60'/0'/0/0")?,
            algorithm: ALGORITHM,
            start: KeyStart::Active,
        },
        Command::RegisterDescriptor { wallet: seeded.clone(), descriptor },
        Command::ResealKeys { wallet: seeded.clone(), after: None, limit: 2 },
    ];
    let mut heard = in_order(callers, &format!("early-{round}"), early).await;
    // It signs only if it was really switched on.
    let pays = transfer_by(&key, &format!("life-pays-{round}"), &main, 5, false)?;
    heard.push(callers.submit(&pays).await);
    heard.extend(in_order(callers, &format!("late-{round}"), late).await);
    let account = DerivationPath::parse("m/44'/60'/0'")?;
    let found = callers.account_key(&seeded, &account).await;
    if found.is_some_and(|found| found.path != account) {
        return Err("the key of another account".into());
    }
    Ok(heard)
}

/// Has one command after the other done.
async fn in_order(callers: &Callers, name: &str, commands: Vec<Command>) -> Vec<Option<Answer>> {
    let mut heard = Vec::with_capacity(commands.len());
    for (number, command) in commands.into_iter().enumerate() {
        heard.push(callers.command(&format!("{name}-{number}"), command).await);
    }
    heard
}

async fn recovery(callers: &Callers, round: u32) -> Result<Vec<Option<Answer>>, Failure> {
    let left = callers.resume().await;
    settle(callers, &left).await?;
    for id in LEFT {
        let answer = callers.submit(&left_by_a_crash(id)?).await;
        settle(callers, answer.as_slice()).await?;
    }
    payment(callers, round).await
}

/// Wallets, each with a key.
async fn furnish(custodian: &Custodian) -> Result<(), Failure> {
    let mut commands = Vec::new();
    for (kind, round) in [("main", 1), ("main", 2), ("limited", 1), ("limited", 2)] {
        let wallet = wallet(kind, round)?;
        commands.push(create_wallet(&wallet, None)?);
        commands.push(create_key(&wallet, &key_of(&wallet)?, KeyStart::Active));
    }
    for (number, command) in commands.into_iter().enumerate() {
        let id = RequestId::parse(&format!("furnish-{number}"))?;
        let request = Request::command(PrincipalId::parse("olivia")?, id, command);
        let request = request.authenticated(Authentication::default());
        let answer = Box::pin(custodian.submit(request)).await?;
        if word(Some(&answer)) != "released" {
            return Err(format!("the house is not furnished: {answer:?}").into());
        }
    }
    Ok(())
}

/// Three lives that end badly.
fn crash(world: &mut impl World, points: &Failpoints, id: CustodianId) -> Result<(), Failure> {
    let ends = [
        ("signer.sign.after", Action::Error),
        ("signer.sign.before", Action::Hang),
        ("log.seal.before", Action::Hang),
    ];
    for (request, (point, action)) in LEFT.into_iter().zip(ends) {
        let point = Failpoint::parse(point).ok_or("no such failpoint")?;
        points.disarm();
        world.live(async |seams: Seams| {
            let custodian = Box::pin(seams.builder(points)?.open(id)).await?;
            points.arm(point, 0, action, true);
            let submit = Box::pin(custodian.submit(left_by_a_crash(request)?));
            let deadline = seams.clock.monotonic().saturating_add(Duration::from_millis(200));
            select(submit, seams.clock.sleep_until(deadline)).await;
            Ok(())
        })?;
        if points.struck() == 0 {
            return Err(format!("{point} was not reached in the preparation").into());
        }
    }
    Ok(())
}

fn left_by_a_crash(id: &str) -> Result<Request, Failure> {
    transfer(id, &wallet("main", 1)?, 20, false)
}

fn transfer(id: &str, wallet: &WalletId, units: u64, spender: bool) -> Result<Request, Failure> {
    transfer_by(&key_of(wallet)?, id, wallet, units, spender)
}

fn transfer_by(
    key: &KeyId,
    id: &str,
    wallet: &WalletId,
    units: u64,
    spender: bool,
) -> Result<Request, Failure> {
    let nonce = id.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut transfer = TestTransfer::of(units, "customer", key, nonce);
    if spender {
        transfer.effects.push(Effect::Approve {
            amount: Amount::new(TestTransfer::coin(), Units::from(1_u64)),
            spender: TestTransfer::account("spender"),
        });
    }
    let (otto, id) = (PrincipalId::parse("otto")?, RequestId::parse(id)?);
    let request = Request::payload(otto, id, wallet.clone(), transfer.payload());
    Ok(request.authenticated(Authentication::default()))
}

fn create_wallet(wallet: &WalletId, seed: Option<KeyId>) -> Result<Command, Failure> {
    Ok(Command::CreateWallet {
        wallet: wallet.clone(),
        chain: TestTransfer::chain(),
        tier: TierId::parse("hot")?,
        backend: BackendId::parse("software")?,
        seed,
    })
}

fn create_key(wallet: &WalletId, key: &KeyId, start: KeyStart) -> Command {
    Command::CreateKey {
        wallet: wallet.clone(),
        key: key.clone(),
        algorithm: ALGORITHM,
        exportability: Exportability::Never,
        start,
    }
}

fn wallet(kind: &str, round: u32) -> Result<WalletId, Failure> {
    Ok(WalletId::parse(&format!("{kind}-{round}"))?)
}

/// The key whose whole life a round goes through.
pub(super) fn life(round: u32) -> Result<KeyId, Failure> {
    Ok(KeyId::parse(&format!("life-{round}"))?)
}

fn key_of(wallet: &WalletId) -> Result<KeyId, Failure> {
    Ok(KeyId::parse(&format!("{wallet}.0"))?)
}

const fn word(answer: Option<&Answer>) -> &'static str {
    match answer {
        None => "no answer",
        Some(answer) => match answer.outcome {
            Outcome::Cancelled => "cancelled",
            Outcome::Denied { .. } => "denied",
            Outcome::Expired => "expired",
            Outcome::Failed { .. } => "failed",
            Outcome::Pending { .. } => "pending",
            Outcome::Released(_) => "released",
            Outcome::Unknown { .. } => "unknown",
            _ => "another",
        },
    }
}

const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
const A_DAY_MS: u64 = 86_400_000;
/// The requests of the lives that end badly.
const LEFT: [&str; 3] = ["left-unknown", "left-reserved", "left-unsealed"];
