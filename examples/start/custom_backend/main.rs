//! Keys in a backend of one's own: `backend.rs` is all of it, and a custodian with it signs what
//! the rules allow. This file opens secrets.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod backend;

use std::path::Path;
use std::sync::Arc;

use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Custodian, Genesis, Outcome, Request};
use custody_core::id::{
    BackendId, BackendIdentity, KeyId, PayloadFormat, PrincipalId, RequestId, RoleId, TierId,
    WalletId,
};
use custody_core::seam::{Entropy as _, Exportability, KeyBackend, Payload, PolicyDocument};
use custody_core::secret::Secret;
use examples_start::Failure;
use examples_start::entropy::OsEntropy;
use examples_start::house::{self, ETHER};
use examples_start::people::Person;
use examples_start::small::{self, Choice};
use examples_start::transactions::{self, bundled};
use hmac::{Hmac, KeyInit as _, Mac as _};

use backend::MasterBackend;

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(run(directory.path()));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    directory.close()?;
    done
}

async fn run(directory: &Path) -> Result<(), Failure> {
    let operator = Person::load(&directory.join("people"), "olivia", &["operator"], &OsEntropy)?;
    let master = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let custodian = open(directory, &operator, master_backend(&master)?).await?;
    prepare(&custodian, operator.id()).await?;
    for (number, text) in (1..).zip([bundled::SMALL, bundled::LARGE]) {
        pay(&custodian, operator.id(), number, text).await?;
    }
    Ok(custodian.close().await?)
}

/// The backend over a master secret, which a real host takes from where it keeps such secrets.
fn master_backend(master: &Secret) -> Result<Arc<dyn KeyBackend>, Failure> {
    let master = Hmac::new_from_slice(master.expose())?;
    let print = master.clone().chain_update(b"identity").finalize().into_bytes();
    let identity = BackendIdentity::parse(&format!("master:{}", hex::encode(print)))?;
    Ok(Arc::new(MasterBackend(BackendId::parse("master")?, identity, master)))
}

/// A new custodian whose wallets' keys are in `backend`.
async fn open(
    directory: &Path,
    operator: &Person,
    backend: Arc<dyn KeyBackend>,
) -> Result<Custodian, Failure> {
    let genesis = Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: vec![RoleId::parse("operator")?],
            tiers: vec![TierId::parse("hot")?],
            rules: RULES.to_owned(),
        },
        principals: vec![operator.enrolment()?],
        assets: vec![Asset::new(AssetId::parse(ETHER)?, 18)],
    };
    small::create(directory, Choice { backend, compiler: house::compiler()?, genesis }).await
}

/// Makes a wallet with one key, in the backend.
async fn prepare(custodian: &Custodian, operator: &PrincipalId) -> Result<(), Failure> {
    let wallet = WalletId::parse("hot")?;
    let create = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("hot")?,
        backend: BackendId::parse("master")?,
        seed: None,
    };
    let key = Command::CreateKey {
        wallet,
        key: KeyId::parse("hot.0")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    for (id, command) in [("wallet", create), ("key", key)] {
        let request = Request::command(operator.clone(), RequestId::parse(id)?, command);
        let answer = custodian.submit(request).await?;
        let Outcome::Released(_) = answer.outcome else {
            return Err(format!("no {id}: {:?}", answer.outcome).into());
        };
    }
    let key = custodian.key(&KeyId::parse("hot.0")?).ok_or("there is no key")?;
    let account = key.account().ok_or("the key has no account")?;
    println!("wallet hot, key hot.0 in the backend master: {}", account.address());
    Ok(())
}

/// Submits a transaction and prints what became of it.
async fn pay(
    custodian: &Custodian,
    operator: &PrincipalId,
    number: u8,
    text: &str,
) -> Result<(), Failure> {
    let format = PayloadFormat::parse("evm/transaction")?;
    let payload = Payload { format, bytes: transactions::parse(text)? };
    let id = RequestId::parse(&format!("payment-{number}"))?;
    let request = Request::payload(operator.clone(), id, WalletId::parse("hot")?, payload);
    for line in small::tell(&custodian.submit(request).await?)? {
        println!("{line}");
    }
    Ok(())
}

const RULES: &str = r#"
@id("small")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.order.total.lessThanOrEqual(decimal("1.0"))
    && context.spent.wallet.h24.lessThanOrEqual(decimal("10.0")) };
@id("fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.amount.lessThanOrEqual(decimal("0.05")) };
@id("too-large")
forbid (principal, action == Action::"transfer", resource)
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.order.total.greaterThan(decimal("1.0")) };
@id("house")
permit (principal in Role::"operator", action in [Action::"create_wallet", Action::"create_key",
    Action::"update_policy"], resource);
"#;
