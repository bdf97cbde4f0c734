//! The same through custody: keys in the token, several sessions, every signature verified.

use std::path::Path;
use std::time::{Duration, Instant};

use cryptoki::object::Attribute;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    BackendError, Entropy as _, Exportability, KeyBackend as _, KeyEncryption as _, KeyRecord,
    KeyRequest,
};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmConfig, HsmKek, Observer, TokenSelector};
use examples_hsm::Failure;
use examples_hsm::bare::Bare;
use examples_hsm::pin::Pin;
use examples_start::entropy::OsEntropy;
use futures::future::try_join_all;
use pollster::block_on;

use crate::pair::ALGORITHMS;
use crate::rate::a_second;
use crate::row::{Row, Topic};

/// The rates through a backend, and what is left of it in the token.
pub(crate) fn rows(
    module: &Path,
    serial: &str,
    pin: &Pin,
    time: Duration,
) -> Result<Vec<Row>, Failure> {
    let mut drawn = [0; 6];
    OsEntropy.fill(&mut drawn)?;
    let name = format!("doctor-{}", hex::encode(drawn));
    let selector = TokenSelector::Serial(serial.to_owned());
    let id = BackendId::parse("doctor")?;
    let mut config = HsmConfig::new(id, module.to_owned(), selector.clone(), pin.source());
    config.destroyable = true;
    let mut rows = block_on(measured(config, &name, time))?;
    let bare = Bare::open(module, Some(&selector), pin)?;
    rows.push(left(&bare, &name)?);
    Ok(rows)
}

async fn measured(config: HsmConfig, name: &str, time: Duration) -> Result<Vec<Row>, Failure> {
    let told = format!("{} sessions, each signature verified", config.sessions);
    let backend = match HsmBackend::open(config, Observer::default()).await {
        Ok(backend) => backend,
        Err(error) => return Ok(vec![Row::new(Topic::Backend, "open", false, reason(&error))]),
    };
    let mut rows = Vec::new();
    for algorithm in ALGORITHMS {
        let row = match sign(&backend, (algorithm, name), time).await {
            Ok(rate) => Row::new(Topic::Backend, "sign", true, told.as_str()).rate(Some(rate)),
            Err(error) => Row::new(Topic::Backend, "sign", false, reason(error.as_ref())),
        };
        rows.push(row.of(algorithm));
    }
    let (what, told) = ("wrap and unwrap a data key", "AES-GCM, one after the other");
    rows.push(match wrap(&backend, name, time).await {
        Ok(rate) => Row::new(Topic::Backend, what, true, told).rate(Some(rate)),
        Err(error) => Row::new(Topic::Backend, what, false, reason(&error)),
    });
    Ok(rows)
}

/// Makes a key that may never leave, and has it sign for a while.
async fn sign(
    backend: &HsmBackend,
    (algorithm, name): (Algorithm, &str),
    time: Duration,
) -> Result<u64, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(name.as_bytes())),
        wallet: WalletId::parse(name)?,
        key: KeyId::parse(algorithm.as_str())?,
        algorithm,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    let record = KeyRecord { custodian, wallet, key, public_key, handle };
    let signer = backend.signer(&record).await?;
    let input = match algorithm.signs_prehash() {
        true => SignInput::Prehash(&[7; 32]),
        false => SignInput::Message(&[7; 32]),
    };
    let (since, mut count) = (Instant::now(), 0_u64);
    while count == 0 || since.elapsed() < time {
        for signed in try_join_all((0..BATCH).map(|_| signer.sign(input))).await? {
            let _checked = signed.checked(signer.public_key(), input)?;
        }
        count = count.saturating_add(BATCH);
    }
    Ok(a_second(count, since.elapsed()))
}

async fn wrap(backend: &HsmBackend, name: &str, time: Duration) -> Result<u64, BackendError> {
    let kek: HsmKek = backend.key_encryption(name).await?;
    let (since, mut count) = (Instant::now(), 0_u64);
    while count == 0 || since.elapsed() < time {
        let wrapped = kek.wrap(&Secret::new(vec![7; 32]), &[b"doctor"]).await?;
        let _opened = kek.unwrap(&wrapped, &[b"doctor"]).await?;
        count = count.saturating_add(1);
    }
    Ok(a_second(count, since.elapsed()))
}

/// Destroys what was made in the token, and looks whether it is gone.
fn left(bare: &Bare, name: &str) -> Result<Row, Failure> {
    let mut labels = vec![format!("custody kek {name}")];
    labels.extend(ALGORITHMS.map(|algorithm| format!("custody {name} {algorithm} {algorithm}")));
    let mut left = 0_usize;
    for label in labels {
        let label = [Attribute::Label(label.into_bytes())];
        for object in bare.session().find_objects(&label)? {
            // Whether it is gone is looked at below.
            drop(bare.session().destroy_object(object));
        }
        left = left.saturating_add(bare.session().find_objects(&label)?.len());
    }
    let told = format!("{left} objects are left in the token");
    Ok(Row::new(Topic::Left, &format!("custody {name}"), left == 0, told))
}

/// An error and its causes in one line.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// Calls at once.
const BATCH: u64 = 16;
