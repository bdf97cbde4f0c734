use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::bytes::HexBytes;
use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, CommandHandler, Error, RequestedWork};
use custody_core::id::{BackendId, CustodianId, ExtensionName, KeyId, OrderId, TierId, WalletId};
use custody_core::seam::{BackendError, DerivationPath, Exportability};
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, FaultPlan};

use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, Setup, World, words};

/// A command that calls a backend or a handler once it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    CreateKey,
    CreateSeed,
    DeriveAccount,
    Extension,
}

impl Job {
    pub(super) const ALL: [Self; 4] =
        [Self::CreateKey, Self::CreateSeed, Self::DeriveAccount, Self::Extension];

    fn command(self) -> Command {
        match self {
            Self::CreateKey => Command::CreateKey {
                wallet: wallet("hot"),
                key: key("made"),
                algorithm: Algorithm::EcdsaSecp256k1,
                exportability: Exportability::Never,
                start: KeyStart::Active,
            },
            Self::CreateSeed => seeded("made", "made-seed"),
            Self::DeriveAccount => derive("seeded", "made"),
            Self::Extension => {
                Command::Extension { name: name(), document: HexBytes::new(b"count".to_vec()) }
            }
        }
    }

    /// Whether a treasurer must approve it.
    const fn waits(self) -> bool {
        matches!(self, Self::CreateSeed | Self::Extension)
    }

    /// What is stored once it is asked for, once it is allowed, and once it is done.
    pub(super) const fn stories(self) -> [&'static [&'static str]; 3] {
        if self.waits() {
            let done = &["submitted", "approved", "allowed", "executed"];
            [&["submitted"], &["submitted", "approved", "allowed"], done]
        } else {
            [&[], &["submitted", "allowed"], &["submitted", "allowed", "executed"]]
        }
    }
}

/// A world in which one job is done.
pub(super) struct Office {
    pub(super) world: World,
    pub(super) clerk: Arc<Clerk>,
    job: Job,
}

impl Office {
    pub(super) async fn new(kind: Kind, job: Job) -> Self {
        Self::with(Setup::new(kind), job).await
    }

    pub(super) async fn with(setup: Setup, job: Job) -> Self {
        let clerk = Arc::new(Clerk::default());
        let extensions: Vec<Arc<dyn CommandHandler>> = vec![Arc::<Clerk>::clone(&clerk)];
        let world = World::with(Setup { extensions, ..setup }).await;
        if job == Job::DeriveAccount {
            world.done("seeded", seeded("seeded", "seed")).await;
        }
        let office = Self { world, clerk, job };
        if job.waits() {
            let heard = office.submit("job").await;
            assert_eq!(words::of(&heard), "pending");
        }
        office
    }

    /// Has the job done, the last step of it if it waits already.
    pub(super) async fn act(&self, request: &str) -> Result<Answer, Error> {
        let answer = self.submit(request).await?;
        match words::of_outcome(&answer.outcome).as_str() {
            "pending" if self.job.waits() => {
                self.world.approve(&self.world.people.theo, &answer).await
            }
            _ => Ok(answer),
        }
    }

    async fn submit(&self, request: &str) -> Result<Answer, Error> {
        let request = command(&self.world.people.olivia, request, self.job.command());
        self.world.submit(request).await
    }

    /// Plans a fault for the next call of the backend or handler.
    pub(super) fn plan(&self, fault: Fault) {
        match self.call() {
            Some(call) => self.world.backend.plan().next(call, fault),
            None => self.clerk.plan.next(Run, fault),
        }
    }

    /// Whether a planned fault has not struck yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.world.backend.plan().is_waiting() || self.clerk.plan.is_waiting()
    }

    /// How often the backend or handler was called for the job.
    pub(super) fn calls(&self) -> usize {
        let before = usize::from(self.job == Job::CreateKey); // of the key `hot.0`
        match self.call() {
            Some(call) => self.world.backend.plan().count(call) - before,
            None => self.clerk.plan.count(Run),
        }
    }

    const fn call(&self) -> Option<BackendCall> {
        match self.job {
            Job::CreateKey => Some(BackendCall::Generate),
            Job::CreateSeed => Some(BackendCall::GenerateSeed),
            Job::DeriveAccount => Some(BackendCall::Derive),
            Job::Extension => None,
        }
    }

    /// Whether the custodian has what the job makes, and its handle.
    pub(super) fn has_made(&self) -> bool {
        let custodian = &self.world.custodian;
        let (made, handle) = match self.job {
            Job::CreateKey | Job::DeriveAccount => {
                (custodian.key(&key("made")).is_some(), "handle/made")
            }
            Job::CreateSeed => (custodian.wallet(&wallet("made")).is_some(), "handle/made-seed"),
            Job::Extension => return false,
        };
        let handles = self.world.tamper().below(handle).len();
        assert_eq!(handles, usize::from(made), "a handle without its key, or two");
        made
    }

    /// What was made is of use: it signs, an account can be derived from it, or it was done for
    /// this order once.
    pub(super) async fn assert_useful(&self, order: &OrderId, name: &str) {
        let world = &self.world;
        assert_eq!(self.has_made(), self.job != Job::Extension, "{name}");
        let mut request = world.request(ETH / 2, KNOWN, "used");
        match self.job {
            Job::Extension => return self.clerk.assert_done(order, name),
            Job::CreateSeed => world.done("derived", derive("made", "from-made")).await,
            Job::CreateKey | Job::DeriveAccount => {}
        }
        if let RequestedWork::Payload { wallet: from, key: by, .. } = &mut request.work {
            (*from, *by) = match self.job {
                Job::CreateKey => (wallet("hot"), Some(key("made"))),
                Job::DeriveAccount => (wallet("seeded"), Some(key("made"))),
                Job::CreateSeed | Job::Extension => (wallet("made"), Some(key("from-made"))),
            };
        }
        assert_eq!(words::of(&world.submit(request).await), "released", "{name}");
        assert_eq!(world.sign_calls(), 1, "{name}");
    }

    /// Crashes and opens again.
    pub(super) async fn reopen(self) -> Self {
        Self { world: self.world.reopen().await, ..self }
    }
}

/// Does the extension command, as often as it is asked but once for each order, and fails as
/// planned.
#[derive(Debug)]
pub(super) struct Clerk {
    name: ExtensionName,
    plan: FaultPlan<Run>,
    done: Mutex<BTreeSet<OrderId>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run;

impl Default for Clerk {
    fn default() -> Self {
        Self { name: name(), plan: FaultPlan::new(), done: Mutex::default() }
    }
}

impl Clerk {
    fn assert_done(&self, order: &OrderId, name: &str) {
        assert!(self.done.lock().unwrap().contains(order), "{name}");
    }
}

#[async_trait]
impl CommandHandler for Clerk {
    fn name(&self) -> &ExtensionName {
        &self.name
    }

    fn accepts(&self, document: &[u8]) -> bool {
        document == b"count"
    }

    async fn run(
        &self,
        _: &CustodianId,
        order: &OrderId,
        _: &[u8],
    ) -> Result<Vec<u8>, BackendError> {
        let done = async {
            self.done.lock().unwrap().insert(order.clone());
            Ok(b"counted".to_vec())
        };
        self.plan.call(Run, |kind| BackendError::new(kind, "run"), done).await
    }
}

fn seeded(id: &str, seed: &str) -> Command {
    Command::CreateWallet {
        wallet: wallet(id),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(key(seed)),
    }
}

fn derive(id: &str, made: &str) -> Command {
    Command::DeriveAccount {
        wallet: wallet(id),
        key: key(made),
        path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    }
}

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn wallet(text: &str) -> WalletId {
    WalletId::parse(text).unwrap()
}

fn name() -> ExtensionName {
    ExtensionName::parse("test/count").unwrap()
}
