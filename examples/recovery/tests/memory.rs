//! Nothing of a recovery lies in memory once it is over. A process of its own recovers, and looks
//! through its memory before and after it has let go of everything. Opens secrets.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking"
)]

#[path = "../../kms/tests/memory/scan.rs"]
mod scan;
#[expect(dead_code, reason = "more than is needed here")]
#[path = "disaster/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs, thread};

use custody_core::seam::KeyBackend;
use custody_core::secret::Secret;
use custody_recovery::archive::{LocalFile, LockedArchive, SecretName};
use custody_recovery::restore::{FolderTarget, prove, restore};
use custody_recovery::slip39::{Share, combine};
use custody_recovery::{Opener, SharePosition};
use custody_store::SqliteStore;
use examples_recovery::cold::WRAPPED;
use examples_recovery::entropy::OsEntropy;
use examples_recovery::keys::{self, PASSPHRASE, SoftKeys};
use tokio::runtime::Runtime;

use scan::Needle;
use world::World;

const TEST: &str = "nothing_of_a_recovery_lies_in_memory_once_it_is_over";
const ROLE: &str = "CUSTODY_RECOVERY_TOLD";
const FINDINGS: &str = "findings: ";
const PLACES: [(u8, u8); 6] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];

#[test]
fn nothing_of_a_recovery_lies_in_memory_once_it_is_over() {
    if let Some(place) = env::var_os(ROLE) {
        println!("{FINDINGS}{}", serde_json::to_string(&live(Path::new(&place))).unwrap());
        return;
    }
    let place = tempfile::tempdir().unwrap();
    Runtime::new().unwrap().block_on(prepare(place.path()));
    let mut other = Command::new(env::current_exe().unwrap());
    other.args([TEST, "--exact", "--nocapture"]).env(ROLE, place.path());
    let output = other.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let (_, findings) = text.split_once(FINDINGS).unwrap();
    let [open, dropped]: [BTreeSet<String>; 2] =
        serde_json::from_str(findings.lines().next().unwrap()).unwrap();
    for name in ["the recovery secret as bytes", "the passphrase as bytes"] {
        assert!(open.contains(name), "whoever looks finds what is there: {open:?}");
    }
    assert!(dropped.is_empty(), "{dropped:?}");
}

/// A house that is archived and lost; its shares, and what must not be left of them.
async fn prepare(place: &Path) {
    let (world, house) = World::new().await;
    let made = world.archive(&house).await;
    world.lose(house).await;
    let mut needles = Vec::new();
    let mut shares = Vec::new();
    for (number, (group, member)) in PLACES.into_iter().enumerate() {
        let at = SharePosition { group, member };
        let share = world.holders.open(&world.record, at, &world.post).unwrap();
        let words = share.to_words();
        fs::write(place.join(format!("share-{number}")), words.expose()).unwrap();
        // The first words are the same in all shares of a set.
        let own = &words.expose()[words.len().saturating_sub(60)..];
        needles.extend(scan::needles("the words of a share", own));
        shares.push(share);
    }
    let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
    needles.extend(scan::needles("the recovery secret", secret.expose()));
    let (restored, keys) = world.restore(&made).await;
    let name = SecretName::parse(PASSPHRASE).unwrap();
    needles
        .extend(scan::needles("the passphrase", restored.secrets().get(&name).unwrap().expose()));
    let words = keys.backend.mnemonic(&restored.keys().seeds()[0].record).await.unwrap();
    needles.extend(scan::needles("the words of the seed", &words.expose()[..60]));
    fs::copy(world.vault.newest_path(), place.join("archive")).unwrap();
    fs::write(place.join("needles"), serde_json::to_vec(&needles).unwrap()).unwrap();
}

/// Recovers and lets go of everything. The threads that worked have ended then, and with them their
/// stacks.
fn live(place: &Path) -> [BTreeSet<String>; 2] {
    let needles: Vec<Needle> =
        serde_json::from_slice(&fs::read(place.join("needles")).unwrap()).unwrap();
    let open = thread::scope(|scope| {
        let working = scope.spawn(|| Runtime::new().unwrap().block_on(recover(place, &needles)));
        working.join().unwrap()
    });
    [open, scan::found(&needles).into_iter().map(str::to_owned).collect()]
}

/// What lies in memory while everything is there.
async fn recover(place: &Path, needles: &[Needle]) -> BTreeSet<String> {
    let read = |number| Secret::new(fs::read(place.join(format!("share-{number}"))).unwrap());
    let shares: Vec<_> =
        (0..PLACES.len()).map(|number| Share::parse(&read(number)).unwrap()).collect();
    let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
    let archive = LocalFile::open(&place.join("archive")).unwrap();
    let locked = LockedArchive::peek(archive).await.unwrap();
    let key = locked.open_route(Opener::Set(&secret)).await.unwrap();
    let reader = locked.unlock(&key).unwrap();
    let folder = place.join("house");
    let mut files = FolderTarget::new();
    for name in ["log", "keys", WRAPPED] {
        files = files.folder(name, &folder.join(name)).unwrap();
    }
    let store = SqliteStore::open(place.join("custody.sqlite")).unwrap();
    let restored = restore(reader, &store, &mut files).await.unwrap();
    let name = SecretName::parse(PASSPHRASE).unwrap();
    let passphrase = keys::copy(restored.secrets().get(&name).unwrap());
    let keys = SoftKeys::open(&folder.join("keys"), passphrase).await.unwrap();
    let backend = Arc::clone(&keys.backend) as Arc<dyn KeyBackend>;
    let backends = BTreeMap::from([(backend.id().clone(), backend)]);
    let proved = prove(restored.keys(), &backends, &OsEntropy).await.unwrap();
    assert_eq!((proved.keys, proved.seeds, proved.failed.len()), (1, 1, 0));
    let open = scan::found(needles).into_iter().map(str::to_owned).collect();
    drop((shares, secret, key, restored));
    open
}
