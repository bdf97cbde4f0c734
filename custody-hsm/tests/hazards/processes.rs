//! One token, and another process.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cryptoki::object::ObjectClass;
use custody_core::crypto::Algorithm;
use custody_core::seam::{
    ErrorKind, Exportability, KeyBackend as _, KeyRecord, KeyRequest, NewKey,
};
use custody_hsm::{HsmBackend, Observer};
use pollster::block_on;

use crate::softhsm::folder::TOLD;
use crate::softhsm::{self, Tokens};
use crate::{key, objects, sign, somebody};

#[test]
#[ignore = "needs SoftHSM"]
fn two_processes_on_one_token_agree_about_its_keys() {
    let test = "processes::two_processes_on_one_token_agree_about_its_keys";
    if let Ok(role) = std::env::var(ROLE) {
        return one_of_two(&role);
    }
    let tokens = Tokens::new(&["one"]);
    let others = ["left", "right"].map(|role| start(test, role, tokens.folder()));
    let told = others.map(|other| {
        let output = other.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        let shared = text.lines().find_map(|line| line.split_once("shared key: "));
        shared.unwrap().1.to_owned()
    });
    // Whoever was refused may be the only one that sees two: modules remember what others destroyed.
    let mut config = tokens.config("one");
    config.destroyable = true;
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let shared = softhsm::keys::request("shared", Algorithm::EcdsaSecp256k1, Exportability::Never);
    let now = match block_on(backend.generate(&shared)) {
        Ok(made) => hex::encode(made.public_key.as_bytes()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
            REFUSED.to_owned()
        }
    };
    let all = [told[0].as_str(), &told[1], &now];
    let mut recorded: Vec<_> = all.into_iter().filter(|told| *told != REFUSED).collect();
    recorded.dedup();
    // Each may have had a moment in which it saw its own alone. Then nobody has one any more.
    assert!(recorded.len() <= 1 || now == REFUSED, "one of two keys was taken: {all:?}");
    if now != REFUSED {
        let record = block_on(softhsm::keys::record(&backend, shared));
        assert_eq!(block_on(sign(&block_on(backend.signer(&record)).unwrap())), Ok(()));
    }
}

/// Signs with a key of its own while it makes one that the other makes too.
fn one_of_two(role: &str) {
    let tokens = Tokens::new(&[]);
    let mut config = tokens.config("one");
    config.destroyable = true;
    // SoftHSM does not see a token that another process touches in this moment.
    let open = || block_on(HsmBackend::open(config.clone(), Observer::default()));
    let waited = (0..20).find_map(|_| {
        let opened = open().ok();
        let works =
            |backend: &HsmBackend| backend.algorithms().contains(&Algorithm::EcdsaSecp256k1);
        let opened = opened.filter(works);
        if opened.is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        opened
    });
    let backend = waited.unwrap();
    let own = (0..5).find_map(|number| made_at_last(&backend, &format!("{role}-{number}")));
    let signer = block_on(backend.signer(&own.unwrap())).unwrap();
    block_on(sign(&signer)).unwrap();
    let shared = made_at_last(&backend, "shared");
    for _ in 0..200 {
        block_on(sign(&signer)).unwrap();
    }
    let told = shared.map(|record| hex::encode(record.public_key.as_bytes()));
    println!("shared key: {}", told.as_deref().unwrap_or(REFUSED));
}

/// A key that another process may be making too: then both may take theirs back. While the other
/// writes SoftHSM may also make a key and say that it failed; then there are two, and none is had.
fn made_at_last(backend: &HsmBackend, name: &str) -> Option<KeyRecord> {
    let request = softhsm::keys::request(name, Algorithm::EcdsaSecp256k1, Exportability::Never);
    for pause in (10..400).step_by(30) {
        let error = match block_on(backend.generate(&request)) {
            Ok(NewKey { public_key, handle }) => {
                let KeyRequest { custodian, wallet, key, .. } = request;
                return Some(KeyRecord { custodian, wallet, key, public_key, handle });
            }
            Err(error) => error,
        };
        let kinds = [
            ErrorKind::Corrupt,
            ErrorKind::Indeterminate,
            ErrorKind::NotFound,
            ErrorKind::Unavailable,
        ];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        std::thread::sleep(Duration::from_millis(pause));
    }
    None
}

#[test]
#[ignore = "needs SoftHSM, unshare(1) and the right to mount a file system in a namespace"]
fn a_full_token_makes_no_half_key_and_signs_on() {
    let test = "processes::a_full_token_makes_no_half_key_and_signs_on";
    if std::env::var_os(ROLE).is_some() {
        return fill_the_token();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    outer.arg("mount -t tmpfs -o size=256k none \"$1\" && shift && exec \"$0\" \"$@\"");
    outer.arg(std::env::current_exe().unwrap()).arg(folder.path());
    let output = begin(&mut outer, test, "full", folder.path()).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn fill_the_token() {
    let tokens = Tokens::new(&["one"]);
    let ballast = tokens.folder().join("ballast");
    std::fs::write(&ballast, vec![0; 64 * 1024]).unwrap();
    let backend = block_on(tokens.open("one"));
    let mut made = Vec::new();
    let (name, error) = loop {
        let name = format!("key-{}", made.len());
        let request =
            softhsm::keys::request(&name, Algorithm::EcdsaSecp256k1, Exportability::Never);
        match block_on(backend.generate(&request)) {
            Ok(_) => made.push(block_on(softhsm::keys::record(&backend, request))),
            Err(error) => break (name, error),
        }
        assert!(made.len() < 1_000, "it is never full");
    };
    let kinds = [ErrorKind::Indeterminate, ErrorKind::Refused, ErrorKind::Unavailable];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(!made.is_empty(), "nothing was made at all");
    for record in [&made[0], &made[made.len() - 1]] {
        assert_eq!(block_on(sign(&block_on(backend.signer(record)).unwrap())), Ok(()));
    }
    std::fs::remove_file(ballast).unwrap();
    let record = block_on(key(&backend, &name));
    assert_eq!(block_on(sign(&block_on(backend.signer(&record)).unwrap())), Ok(()));
    let session = somebody(&tokens, "one");
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        assert_eq!(objects(&session, class).len(), made.len() + 1, "{class:?}");
    }
}

fn start(test: &str, role: &str, folder: &Path) -> Child {
    begin(&mut Command::new(std::env::current_exe().unwrap()), test, role, folder)
}

/// Runs a test in another process, in a role and a folder.
fn begin(command: &mut Command, test: &str, role: &str, folder: &Path) -> Child {
    command.args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads", "1"]);
    command.env(ROLE, role).env(TOLD, folder);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

const REFUSED: &str = "refused";
const ROLE: &str = "CUSTODY_TEST_ROLE";
