use custody_core::custodian::{Custodian, Outcome, Request};
use custody_core::id::{PayloadFormat, PrincipalId, RequestId, WalletId};
use custody_core::seam::{Authentication, Payload};

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn pay(custodian: &Custodian, id: &str, unsigned: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let payload = Payload { format: PayloadFormat::parse("evm/transaction")?, bytes: unsigned };
    let (who, wallet) = (PrincipalId::parse("olivia")?, WalletId::parse("hot-1")?);
    let login = Authentication { factors: 2, age_ms: 60_000, ..Authentication::default() };
    let request = Request::payload(who, RequestId::parse(id)?, wallet, payload).authenticated(login);
    match custodian.submit(request).await?.outcome {
        Outcome::Released(release) => release.signed.ok_or("nothing was to be signed".into()),
        Outcome::Pending { missing } => Err(format!("waits for one of {missing:?}").into()),
        Outcome::Denied { rules } => Err(format!("denied by {rules:?}").into()),
        other => Err(format!("not released: {other:?}").into()),
    }
}
