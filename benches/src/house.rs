//! One wallet, one requester, fifty rules of which five can match.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::custodian::{Config, Custodian, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, CredentialId, CustodianId, KeyId, OrganisationId, PrincipalId, RequestId, RoleId,
    TierId, WalletId,
};
use custody_core::principal::{Credential, Principal};
use custody_core::seam::{
    Clock, Entropy, EntropyError, Exportability, KeyBackend, KeyRecord, KeyRequest, PolicyDocument,
    Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;

use crate::Failure;

/// Randomness from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|_| EntropyError::new())
    }
}

/// A custodian with one active secp256k1 key in the wallet `hot`, in `directory`.
pub async fn open(directory: &Path, in_flight: usize) -> Result<Custodian, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let backend = software(&entropy, &clock)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let signer = log_signer(backend.as_ref()).await?;
    let origin = KeyName::parse("benches")?;
    let log = TileLog::open(origin, Arc::clone(&store), tiles, vec![signer]).await?;
    let many = in_flight.saturating_mul(2).max(100);
    let config = Config { open_per_requester: many, open_per_wallet: many, ..Config::default() };
    let custodian = Custodian::builder()
        .config(config)
        .store(store)
        .audit(Arc::new(log))
        .clock(clock)
        .entropy(entropy)
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(Arc::new(CedarCompiler::new()?))
        .decoder(Arc::new(EvmDecoder::new()))
        .backend(backend)
        .create(genesis()?)
        .await?;
    make_wallet(&custodian).await?;
    Ok(custodian)
}

async fn make_wallet(custodian: &Custodian) -> Result<(), Failure> {
    let wallet = WalletId::parse("hot")?;
    let create = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("hot")?,
        backend: BackendId::parse("software")?,
        seed: None,
    };
    let key = Command::CreateKey {
        wallet,
        key: KeyId::parse("hot.0")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    for (number, command) in [create, key].into_iter().enumerate() {
        let id = RequestId::parse(&format!("0-setup-{number}"))?;
        let request = Request::command(PrincipalId::parse("operator")?, id, command);
        let answer = custodian.submit(request).await?;
        if !matches!(answer.outcome, Outcome::Released(_)) {
            return Err(format!("the set-up was not released: {:?}", answer.outcome).into());
        }
    }
    Ok(())
}

/// One operator, fifty rules, ether.
pub fn genesis() -> Result<Genesis, Failure> {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = PublicKey::from_bytes(Algorithm::Ed25519, key.verifying_key().as_bytes())?;
    let role = RoleId::parse("operator")?;
    let operator = Principal {
        id: PrincipalId::parse("operator")?,
        organisation: OrganisationId::parse("house")?,
        service: true,
        roles: BTreeSet::from([role.clone()]),
        credentials: BTreeMap::from([(CredentialId::parse("operator")?, Credential::new(public)?)]),
    };
    let tiers = ["hot", "warm", "cold"];
    Ok(Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: vec![role],
            tiers: tiers.iter().map(|tier| TierId::parse(tier)).collect::<Result<_, _>>()?,
            rules: rules(),
        },
        principals: vec![operator],
        assets: vec![Asset::new(AssetId::parse("eip155:1/slip44:60")?, 18)],
    })
}

/// Fifty rules: five that a transfer from the hot wallet and its fee can match, one for the set-up
/// and 44 about other wallets.
#[must_use]
pub fn rules() -> String {
    let mut rules = format!("{MATCHING}{SET_UP}");
    for number in 0..44 {
        let written = write!(
            rules,
            "@id(\"other-{number}\")\npermit (principal in Role::\"operator\", \
             action == Action::\"transfer\", resource == Wallet::\"other-{number}\")\n\
             when {{ context.asset == Asset::\"eip155:1/slip44:60\" \
             && context.order.total.lessThanOrEqual(decimal(\"{number}.5\")) \
             && context.spent.wallet.h24.lessThanOrEqual(decimal(\"100.0\")) }};\n"
        );
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    rules
}

/// A thousand rules: those of [`rules`], thirteen more that a transfer from the hot wallet can match
/// and that never forbid one, and the rest about other wallets.
#[must_use]
pub fn many_rules() -> String {
    let mut rules = rules();
    for number in 0..950 {
        let written = if number < 13 {
            write!(
                rules,
                "@id(\"more-{number}\")\nforbid (principal, action == Action::\"transfer\", \
                 resource in Tier::\"hot\")\nwhen {{ context.asset == \
                 Asset::\"eip155:1/slip44:60\" && \
                 context.order.total.greaterThan(decimal(\"{}.0\")) }};\n",
                number + 2
            )
        } else {
            write!(
                rules,
                "@id(\"far-{number}\")\npermit (principal in Role::\"operator\", \
                 action == Action::\"transfer\", resource == Wallet::\"far-{number}\")\n\
                 when {{ context.asset == Asset::\"eip155:1/slip44:60\" \
                 && context.order.total.lessThanOrEqual(decimal(\"{number}.5\")) }};\n"
            )
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    rules
}

const MATCHING: &str = r#"
@id("transfer")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.order.total.lessThanOrEqual(decimal("1.0"))
    && context.spent.wallet.h24.lessThanOrEqual(decimal("1000000.0")) };
@id("fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.amount.lessThanOrEqual(decimal("0.05")) };
@id("hourly-limit")
forbid (principal, action in [Action::"spend", Action::"pay_fee"], resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.spent.wallet.h1.greaterThan(decimal("1000000.0")) };
@id("order-limit")
forbid (principal, action in Action::"spend", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.order.total.greaterThan(decimal("1.0")) };
@id("no-replayable")
forbid (principal, action, resource) when { context.facts.contains("replayable") };
"#;

const SET_UP: &str = r#"@id("house")
permit (principal in Role::"operator", action in [Action::"create_wallet", Action::"create_key",
    Action::"update_policy"], resource);
"#;

fn software(
    entropy: &Arc<dyn Entropy>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn KeyBackend>, Failure> {
    Ok(Arc::new(soft(entropy, clock)?))
}

fn soft(entropy: &Arc<dyn Entropy>, clock: &Arc<dyn Clock>) -> Result<SoftBackend, Failure> {
    let parameters = KdfParameters::new(19 * 1024, 2, 1)?;
    let passphrase = Secret::new(b"benches only".to_vec());
    let (kek, _) = PassphraseKek::create(passphrase, parameters, Arc::clone(entropy))?;
    let (id, kek) = (BackendId::parse("software")?, Arc::new(kek));
    Ok(SoftBackend::new(id, kek, Arc::clone(entropy), Arc::clone(clock))?)
}

/// Software keys under a passphrase of their own.
pub fn soft_backend() -> Result<SoftBackend, Failure> {
    soft(&(Arc::new(OsEntropy) as _), &(Arc::new(TokioClock::new()) as _))
}

/// A key for a log of its own.
pub async fn log_key() -> Result<Arc<dyn custody_core::seam::Signer>, Failure> {
    log_signer(&soft_backend()?).await
}

async fn log_signer(
    backend: &dyn KeyBackend,
) -> Result<Arc<dyn custody_core::seam::Signer>, Failure> {
    let custodian = CustodianId::new(Digest::of(b"log"));
    let (wallet, key) = (WalletId::parse("log")?, KeyId::parse("log")?);
    let made = backend
        .generate(&KeyRequest {
            custodian,
            wallet: wallet.clone(),
            key: key.clone(),
            algorithm: Algorithm::Ed25519,
            exportability: Exportability::Never,
        })
        .await?;
    let record =
        KeyRecord { custodian, wallet, key, public_key: made.public_key, handle: made.handle };
    Ok(backend.signer(&record).await?)
}
