//! What keys in KMS and keys sealed under KMS cost beside the bare thing, in one run.
//!
//! Sealed: signatures of `custody-soft` over a key that KMS sealed and that is open, beside those of k256
//! alone; one thread. It fails if less than 0.9 is left.
//!
//! Native: signatures of `custody-kms`, beside the SDK's own call; sixteen callers. It fails if they take
//! more than 5 % longer. What stands in for KMS needs most of the time.
//!
//! Both take turns, so short that a machine which changes its speed does so for all.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a bench that reports"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::Failure;
use benches::house::OsEntropy;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend, KeyRecord, KeyRequest, Signer};
use custody_core::tokio::TokioClock;
use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::config::retry::RetryConfig;
use custody_kms::aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use custody_kms::aws_sdk_kms::primitives::Blob;
use custody_kms::aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use custody_kms::{Kms, KmsBackend, KmsConfig, KmsKek, RegionName};
use custody_soft::SoftBackend;
use k256::ecdsa::SigningKey;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let place = Place::of_environment()?;
    println!("            bare/s  custody/s   figure");
    let sealed = sealed(&place).await?;
    let native = native(&place).await?;
    if sealed < SEALED_LEAST || native > NATIVE_MOST {
        return Err(format!("a figure misses {SEALED_LEAST} or {NATIVE_MOST}").into());
    }
    Ok(())
}

/// What is left of the rate of bare software signing.
async fn sealed(place: &Place) -> Result<f64, Failure> {
    let (id, clock) = (BackendId::parse("sealed")?, Arc::new(TokioClock::new()));
    let made = place.sdk().create_key().send().await?;
    let arn = made.key_metadata.and_then(|told| told.arn).ok_or("the key has no ARN")?;
    let kek = Arc::new(KmsKek::open(&place.kms()?, &arn, Arc::new(OsEntropy)).await?);
    let backend = SoftBackend::new(id, kek, Arc::new(OsEntropy), clock)?;
    let signer = signer(&backend).await?;
    let key = SigningKey::from_slice(&[7; 32])?;
    let [mut bare, mut ours] = [Duration::ZERO; 2];
    for turn in 0..SEALED_TURNS {
        // Whoever begins differs from turn to turn.
        for is_bare in [turn % 2 == 0, turn % 2 != 0] {
            let since = Instant::now();
            for number in 0..SEALED_CALLS {
                let digest = [number; 32];
                if is_bare {
                    let _signature = key.sign_prehash_recoverable(&digest);
                } else {
                    let _signature = signer.sign(SignInput::Prehash(&digest)).await?;
                }
            }
            *if is_bare { &mut bare } else { &mut ours } += since.elapsed();
        }
    }
    let calls = f64::from(SEALED_TURNS) * f64::from(SEALED_CALLS);
    let [bare, ours] = [bare, ours].map(|time| calls / time.as_secs_f64());
    let left = ours / bare;
    println!(
        "sealed    {bare:>8.0}  {ours:>9.0}   {left:.3} of the bare rate, at least {SEALED_LEAST}"
    );
    Ok(left)
}

/// How much longer it takes than the SDK alone.
async fn native(place: &Place) -> Result<f64, Failure> {
    let backend = KmsBackend::new(place.kms()?)?;
    let signer = signer(&backend).await?;
    let sdk = place.sdk();
    let listed = sdk.list_aliases().send().await?;
    let named = listed.aliases().iter().find_map(|alias| alias.target_key_id());
    let key = named.ok_or("the key has no alias")?.to_owned();
    let [mut bare, mut ours] = [Duration::ZERO; 2];
    for turn in 0..=NATIVE_TURNS {
        for is_bare in [turn % 2 == 0, turn % 2 != 0] {
            let took = match is_bare {
                true => all_callers(|| ask(sdk.clone(), key.clone())).await?,
                false => all_callers(|| sign(Arc::clone(&signer))).await?,
            };
            // The first turn opens connections.
            if turn > 0 {
                *if is_bare { &mut bare } else { &mut ours } += took;
            }
        }
    }
    let calls = f64::from(NATIVE_TURNS) * f64::from(NATIVE_CALLS) * f64::from(CALLERS);
    let more = ours.as_secs_f64() / bare.as_secs_f64() - 1.0;
    let [bare, ours] = [bare, ours].map(|time| calls / time.as_secs_f64());
    let (percent, most) = (more * 100.0, NATIVE_MOST * 100.0);
    println!("native    {bare:>8.0}  {ours:>9.0}   {percent:+.1} % of time, at most {most:+.1} %");
    Ok(more)
}

/// How long it takes until each caller has made its calls, one after the other.
async fn all_callers<F>(call: impl Fn() -> F) -> Result<Duration, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let since = Instant::now();
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call())).collect();
    for caller in callers {
        caller.await??;
    }
    Ok(since.elapsed())
}

async fn ask(sdk: Client, key: String) -> Result<(), Failure> {
    for number in 0..NATIVE_CALLS {
        let call = sdk.sign().key_id(&key).message(Blob::new([number; 32]));
        let call = call.message_type(MessageType::Digest);
        let signed = call.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send().await?;
        signed.signature.ok_or("nothing was signed")?;
    }
    Ok(())
}

async fn sign(signer: Arc<dyn Signer>) -> Result<(), Failure> {
    for number in 0..NATIVE_CALLS {
        let _signature = signer.sign(SignInput::Prehash(&[number; 32])).await?;
    }
    Ok(())
}

/// The signer of a new key, which has signed what verifies.
async fn signer(backend: &dyn KeyBackend) -> Result<Arc<dyn Signer>, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"benches")),
        wallet: WalletId::parse("hot")?,
        key: KeyId::parse("hot.0")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    let record = KeyRecord { custodian, wallet, key, public_key, handle };
    let signer = backend.signer(&record).await?;
    let input = SignInput::Prehash(&[7; 32]);
    signer.sign(input).await?.checked(&record.public_key, input)?;
    Ok(signer)
}

/// An account of its own where KMS is stood in for.
struct Place {
    endpoint: String,
    account: String,
}

impl Place {
    fn of_environment() -> Result<Self, Failure> {
        let endpoint = std::env::var(VARIABLE)
            .map_err(|_| format!("{VARIABLE} is not set: see `cargo xtask with-kms`"))?;
        let mut drawn = [0; 4];
        getrandom::fill(&mut drawn)?;
        let account = format!("88{:010}", u32::from_be_bytes(drawn));
        Ok(Self { endpoint, account })
    }

    fn kms(&self) -> Result<Kms, Failure> {
        let (id, home) = (BackendId::parse("aws")?, RegionName::parse(HOME)?);
        let mut config = KmsConfig::new(id, &self.account, home)?.with_endpoint(&self.endpoint)?;
        // What is measured is the way to KMS, not the account's quota.
        config.limits.sign_per_second = 1_000_000.try_into()?;
        Ok(Kms::new(config, self.credentials(), Arc::new(TokioClock::new()))?)
    }

    fn sdk(&self) -> Client {
        let config = custody_kms::aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(HOME))
            .endpoint_url(&self.endpoint)
            .credentials_provider(self.credentials())
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&self.account, "not checked", None, None, "bench")
    }
}

const VARIABLE: &str = "CUSTODY_KMS_STAND_IN";
const HOME: &str = "eu-central-1";
const SEALED_LEAST: f64 = 0.9;
const SEALED_TURNS: u32 = 200;
const SEALED_CALLS: u8 = 250;
const NATIVE_MOST: f64 = 0.05;
const NATIVE_TURNS: u32 = 60;
const NATIVE_CALLS: u8 = 10;
const CALLERS: u32 = 16;
