//! What a program hands in: backends, peers, a way to govern.
//!
//! Invariant: the harness knows no backend by name.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::Algorithm;
use custody_core::seam::KeyBackend;

use super::HarnessError;
use super::stage::Stages;
use super::target::{Manner, Target};

/// Opens a backend for a run. Whoever has a backend of their own implements this and adds it to
/// [`Backends`]:
///
/// ```
/// use std::process::ExitCode;
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use custody_bench::harness::environment::Build;
/// use custody_bench::harness::{Backends, Bench, OptionHelp, Opened, Provider, Wanted, cli};
/// # use custody_testkit::backend::MemoryBackend as OurBackend;
///
/// #[derive(Debug)]
/// struct Ours;
///
/// #[async_trait]
/// impl Provider for Ours {
///     fn name(&self) -> &str {
///         "ours"
///     }
///
///     fn about(&self) -> &str {
///         "our signer"
///     }
///
///     fn options(&self) -> &[OptionHelp] {
///         &[OptionHelp { name: "seed", about: "what its keys follow from" }]
///     }
///
///     async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
///         let seed = wanted.options.needed("seed")?;
///         let seed = seed.parse().map_err(|_| "--option seed=… is a number")?;
///         let backend = OurBackend::seeded("ours", seed);
///         Ok(Opened::new(Arc::new(backend)).with_fact("seed", seed))
///     }
/// }
///
/// fn main_of_yours() -> ExitCode {
///     cli::main(&Bench::new(Backends::new().with(Ours), Build::default()))
/// }
/// ```
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// What `--backend` calls it.
    fn name(&self) -> &str;

    /// What it is, in a line.
    fn about(&self) -> &str;

    /// What `--option NAME=VALUE` tells it.
    fn options(&self) -> &[OptionHelp];

    /// Opens it.
    ///
    /// # Errors
    /// Says why it cannot be measured here.
    async fn open(&self, wanted: &Wanted) -> Result<Opened, String>;
}

/// One option of a backend.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "providers build it")]
pub struct OptionHelp {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
}

/// What a run wants of a backend.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wanted {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The most callers at once.
    pub concurrency: usize,
    /// A folder on the disk of the results, which is removed after the run.
    pub folder: PathBuf,
    /// What the command line says.
    pub options: Options,
}

/// The options that were given.
#[derive(Clone, Debug, Default)]
pub struct Options(pub(crate) BTreeMap<String, String>);

impl Options {
    /// One of them.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// One that must be there.
    ///
    /// # Errors
    /// Says that it is not.
    pub fn needed(&self, name: &str) -> Result<&str, String> {
        self.value(name).ok_or_else(|| format!("--option {name}=… is not given"))
    }
}

/// A backend that is open.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The backend.
    pub backend: Arc<dyn KeyBackend>,
    /// How its callers run.
    pub manner: Manner,
    /// What the report says about it: versions, modules, endpoints without credentials.
    pub facts: BTreeMap<String, String>,
    /// What is measured beside it.
    pub peers: Vec<Peer>,
    kept: Kept,
}

impl Opened {
    /// An open backend without peers. Callers are threads if its keys are in the process, else
    /// tasks.
    #[must_use]
    pub fn new(backend: Arc<dyn KeyBackend>) -> Self {
        let manner = if backend.in_process() { Manner::Threads } else { Manner::Tasks };
        Self { backend, manner, facts: BTreeMap::new(), peers: Vec::new(), kept: Kept(Vec::new()) }
    }

    /// With a fact.
    #[must_use]
    pub fn with_fact(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    /// With a peer.
    #[must_use]
    pub fn with_peer(mut self, peer: Peer) -> Self {
        self.peers.push(peer);
        self
    }

    /// Keeps something alive until the run has ended: a folder, a server.
    #[must_use]
    pub fn keep(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept.0.push(Box::new(kept));
        self
    }
}

struct Kept(Vec<Box<dyn Any + Send + Sync>>);

impl Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.0.len())
    }
}

/// Something else that signs with the same algorithm, measured in the same run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Whether overheads are told over this one: the bare primitive of the backend.
    pub is_primitive: bool,
    /// What is measured.
    pub target: Arc<dyn Target>,
}

impl Peer {
    /// A peer.
    #[must_use]
    pub fn new(name: impl Into<String>, target: Arc<dyn Target>) -> Self {
        Self { name: name.into(), is_primitive: false, target }
    }

    /// The peer over which overheads are told.
    #[must_use]
    pub fn primitive(name: impl Into<String>, target: Arc<dyn Target>) -> Self {
        Self { name: name.into(), is_primitive: true, target }
    }
}

/// Puts a backend under governance, so that what that costs is measured.
#[async_trait]
pub trait Governor: Debug + Send + Sync {
    /// A custodian over the backend, and how it is asked for signatures. It times its seams with
    /// the wrappers in [`super::stage`].
    ///
    /// # Errors
    /// Says why it cannot be.
    async fn govern(&self, governed: Governed) -> Result<Arc<dyn Target>, String>;
}

/// What is to be governed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Governed {
    /// The backend.
    pub backend: Arc<dyn KeyBackend>,
    /// The algorithm of the key.
    pub algorithm: Algorithm,
    /// The most orders in flight.
    pub concurrency: usize,
    /// A folder on the disk of the results.
    pub folder: PathBuf,
    /// Where the stages are timed.
    pub stages: Arc<Stages>,
}

impl Governed {
    pub(crate) fn new(opened: &Opened, wanted: &Wanted, stages: &Arc<Stages>) -> Self {
        Self {
            backend: Arc::clone(&opened.backend),
            algorithm: wanted.algorithm,
            concurrency: wanted.concurrency,
            folder: wanted.folder.clone(),
            stages: Arc::clone(stages),
        }
    }
}

/// The backends that a program can measure.
#[derive(Clone, Debug, Default)]
pub struct Backends(Vec<Arc<dyn Provider>>);

impl Backends {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// With one more, which replaces one of the same name.
    #[must_use]
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        self.0.retain(|known| known.name() != provider.name());
        self.0.push(Arc::new(provider));
        self
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &dyn Provider> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// Names those that there are.
    pub fn find(&self, name: &str) -> Result<&dyn Provider, HarnessError> {
        let found = self.all().find(|provider| provider.name() == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self.all().map(Provider::name).collect();
            HarnessError::UnknownBackend { name: name.to_owned(), known: known.join(", ") }
        })
    }
}
