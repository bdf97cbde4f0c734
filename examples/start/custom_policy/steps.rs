//! The steps, and what is told about them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Custodian, Genesis, Outcome, Request};
use custody_core::id::{
    BackendId, EngineId, KeyId, PayloadFormat, RequestId, RoleId, TierId, WalletId,
};
use custody_core::seam::{Clock as _, Exportability, Payload, PolicyDocument};
use custody_core::tokio::TokioClock;
use examples_start::entropy::OsEntropy;
use examples_start::house::ETHER;
use examples_start::people::Person;
use examples_start::transactions::{self, bundled};
use examples_start::{Failure, small};

use crate::policy::TableCompiler;

/// Runs all steps; one that does not end as it should is an error.
pub(crate) async fn run(directory: &Path) -> Result<Vec<String>, Failure> {
    let people = directory.join("people");
    let person = |name, role| Person::load(&people, name, &[role], &OsEntropy);
    let operator = person("olivia", "operator")?;
    let treasurers = [person("theo", "treasurer")?, person("tara", "treasurer")?];
    let custodian = create(directory, &operator, &treasurers).await?;
    prepare(&custodian, &operator).await?;

    let mut told = Vec::new();
    let small = pay(&custodian, &operator, "small", bundled::SMALL).await?;
    told.extend(small::tell(&small)?);
    let mut large = pay(&custodian, &operator, "large", bundled::LARGE).await?;
    told.extend(small::tell(&large)?);
    for treasurer in &treasurers {
        let until = TokioClock::new().now().after(Duration::from_secs(3_600));
        let word = treasurer.approve(&custodian.id(), &large, "treasurer", until)?;
        large = custodian.approve(word).await?;
    }
    told.extend(small::tell(&large)?);
    let call = pay(&custodian, &operator, "call", bundled::UNKNOWN_CALL).await?;
    told.extend(small::tell(&call)?);
    custodian.close().await?;
    Ok(told)
}

async fn create(
    directory: &Path,
    operator: &Person,
    treasurers: &[Person; 2],
) -> Result<Custodian, Failure> {
    let mut principals = vec![operator.enrolment()?];
    for treasurer in treasurers {
        principals.push(treasurer.enrolment()?);
    }
    let choice = small::Choice {
        backend: Arc::new(small::software()?),
        compiler: Arc::new(TableCompiler(EngineId::parse("table/1")?)),
        genesis: Genesis {
            policy: PolicyDocument {
                v: 1,
                roles: vec![RoleId::parse("operator")?, RoleId::parse("treasurer")?],
                tiers: vec![TierId::parse("hot")?],
                rules: TABLE.to_owned(),
            },
            principals,
            assets: vec![Asset::new(AssetId::parse(ETHER)?, 18)],
        },
    };
    small::create(directory, choice).await
}

/// Makes a wallet with one key.
async fn prepare(custodian: &Custodian, operator: &Person) -> Result<(), Failure> {
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
    for (id, command) in [("wallet", create), ("key", key)] {
        let request = Request::command(operator.id().clone(), RequestId::parse(id)?, command);
        let answer = custodian.submit(request).await?;
        let Outcome::Released(_) = answer.outcome else {
            return Err(format!("no {id}: {:?}", answer.outcome).into());
        };
    }
    Ok(())
}

async fn pay(
    custodian: &Custodian,
    operator: &Person,
    id: &str,
    text: &str,
) -> Result<Answer, Failure> {
    let format = PayloadFormat::parse("evm/transaction")?;
    let payload = Payload { format, bytes: transactions::parse(text)? };
    let (id, wallet) = (RequestId::parse(id)?, WalletId::parse("hot")?);
    Ok(custodian.submit(Request::payload(operator.id().clone(), id, wallet, payload)).await?)
}

/// What the house permits. Nothing else happens.
const TABLE: &str = r#"[
    {"id": "small", "action": "transfer",
        "asset": "eip155:1/slip44:60", "most": "1000000000000000000"},
    {"id": "large", "action": "transfer",
        "asset": "eip155:1/slip44:60", "most": "100000000000000000000",
        "role": "treasurer", "approvals": 2},
    {"id": "fee", "action": "pay_fee",
        "asset": "eip155:1/slip44:60", "most": "50000000000000000"},
    {"id": "wallets", "action": "create_wallet"},
    {"id": "keys", "action": "create_key"},
    {"id": "rules", "action": "update_policy", "role": "treasurer", "approvals": 2}
]"#;
