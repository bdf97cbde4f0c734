//! A key that is sealed under KMS, opened in a process of its own, used there and let go of; and what of
//! it lies in that process's memory before and after. Opens secrets.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_core::crypto::{Algorithm, PublicKey, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    Entropy, EntropyError, Exportability, KeyBackend as _, KeyHandle, KeyImport as _, KeyRecord,
    KeyRequest,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_soft::SoftBackend;
use examples_kms::account::{self, Account};
use examples_start::entropy::OsEntropy;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::proxy::{Fault, Proxy, Times};
use crate::scan::{self, Needle};

/// What one process tells the other: a sealed key, and what it must not leave behind.
#[derive(Serialize, Deserialize)]
struct Told {
    account: String,
    public_key: PublicKey,
    handle: Vec<u8>,
    needles: Vec<Needle>,
}

/// What was found of the key, while it was open and after all that held it was dropped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) open: BTreeSet<String>,
    pub(crate) dropped: BTreeSet<String>,
}

/// Seals a key, and has another process, which runs the same test, open it.
pub(crate) fn findings(test: &str) -> Option<Findings> {
    if let Some(told) = env::var_os(ROLE) {
        println!("{FINDINGS}{}", serde_json::to_string(&live(Path::new(&told))).unwrap());
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("told.json");
    let told = Runtime::new().unwrap().block_on(sealed());
    std::fs::write(&file, serde_json::to_vec(&told).unwrap()).unwrap();
    let mut other = Command::new(env::current_exe().unwrap());
    other.args([test, "--exact", "--include-ignored", "--nocapture"]).env(ROLE, &file);
    let output = other.output().unwrap();
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{text}\n{errors}");
    let (_, findings) = text.split_once(FINDINGS).unwrap();
    Some(serde_json::from_str(findings.lines().next().unwrap()).unwrap())
}

/// A key that is known here, sealed under KMS; and the secrets on its way.
async fn sealed() -> Told {
    let account = Account::of_environment().unwrap();
    account.symmetric_key(ALIAS).await.unwrap();
    let proxy = Proxy::before(account.endpoint());
    let of_kms = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&of_kms);
    let look = Fault::edit(move |body| {
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        *seen.lock().unwrap() = STANDARD.decode(told["Plaintext"].as_str().unwrap()).unwrap();
        body
    });
    proxy.rule("GenerateDataKey", Times::Next(1), look);
    let drawn = Arc::new(Drawn::default());
    let kek = account.at(&proxy.url()).kek(ALIAS).await.unwrap();
    let (id, clock) = (BackendId::parse("sealed").unwrap(), Arc::new(TokioClock::new()));
    let entropy: Arc<dyn Entropy> = Arc::<Drawn>::clone(&drawn);
    let backend = SoftBackend::new(id, kek, entropy, clock).unwrap();
    let mut key = [0; 32];
    OsEntropy.fill(&mut key).unwrap();
    // Below the order of the curve.
    key[0] &= 0x7f;
    let made = backend.import_key(&request(), Secret::new(key.to_vec())).await.unwrap();
    let mut needles = scan::needles("the private key", &key);
    let of_blob = drawn.0.lock().unwrap().pop().unwrap();
    needles.extend(scan::needles("the data key of the blob", &of_blob));
    needles.extend(scan::needles("the data key of KMS", &of_kms.lock().unwrap()));
    let (account, handle) = (account.number().to_owned(), made.handle.as_bytes().to_vec());
    Told { account, public_key: made.public_key, handle, needles }
}

/// Opens the key, signs with it, and lets go of everything. Threads that worked with it have ended then,
/// and with them their stacks.
fn live(told: &Path) -> Findings {
    let told: Told = serde_json::from_slice(&std::fs::read(told).unwrap()).unwrap();
    let needles = &told.needles;
    let open = thread::scope(|scope| {
        let working = scope.spawn(|| Runtime::new().unwrap().block_on(use_key(&told)));
        working.join().unwrap()
    });
    let dropped = scan::found(needles).into_iter().map(str::to_owned).collect();
    Findings { open, dropped }
}

/// What lies in memory while the key is open.
async fn use_key(told: &Told) -> BTreeSet<String> {
    let account = Account::numbered(&told.account).unwrap();
    let kek = account.kek(ALIAS).await.unwrap();
    let backend = account::sealed(kek).unwrap();
    let KeyRequest { custodian, wallet, key, .. } = request();
    let (public_key, handle) = (told.public_key.clone(), KeyHandle::new(told.handle.clone()));
    let record = KeyRecord { custodian, wallet, key, public_key, handle };
    let signer = backend.signer(&record).await.unwrap();
    let input = SignInput::Prehash(&[0x3e; 32]);
    signer.sign(input).await.unwrap().checked(&record.public_key, input).unwrap();
    scan::found(&told.needles).into_iter().map(str::to_owned).collect()
}

fn request() -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"house")),
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse("hot.0").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
    }
}

/// The operating system's entropy, of which data keys are remembered: whatever is drawn in 32 bytes.
#[derive(Debug, Default)]
struct Drawn(Mutex<Vec<Vec<u8>>>);

impl Entropy for Drawn {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        OsEntropy.fill(bytes)?;
        if bytes.len() == 32 {
            self.0.lock().unwrap().push(bytes.to_vec());
        }
        Ok(())
    }
}

const ALIAS: &str = "alias/hot-wallets";
const ROLE: &str = "CUSTODY_MEMORY_TOLD";
const FINDINGS: &str = "findings: ";
