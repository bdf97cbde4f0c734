//! One token, and another process.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use cryptoki::object::ObjectClass;
use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, Exportability, KeyBackend as _};
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
    assert_eq!(told[0], told[1], "one key was recorded twice");
    // What others made is there, and is not made again.
    let backend = block_on(tokens.open("one"));
    for role in ["left", "right", "shared"] {
        let record = block_on(key(&backend, role));
        assert_eq!(block_on(sign(&block_on(backend.signer(&record)).unwrap())), Ok(()), "{role}");
    }
    assert_eq!(objects(&somebody(&tokens, "one"), ObjectClass::PRIVATE_KEY).len(), 3);
}

/// Signs with a key of its own while it makes one that the other makes too.
fn one_of_two(role: &str) {
    let tokens = Tokens::new(&[]);
    let mut config = tokens.config("one");
    config.destroyable = true;
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&key(&backend, role).await).await.unwrap() });
    let shared = softhsm::request("shared", Algorithm::EcdsaSecp256k1, Exportability::Never);
    let mut tries = 0;
    let made = loop {
        block_on(sign(&signer)).unwrap();
        match block_on(backend.generate(&shared)) {
            Ok(made) => break made,
            // Both made one, and took it back.
            Err(error) if tries < 20 => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::NotFound, ErrorKind::Unavailable];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                std::thread::sleep(std::time::Duration::from_millis(10 + tries));
                tries += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    for _ in 0..200 {
        block_on(sign(&signer)).unwrap();
    }
    println!("shared key: {}", hex::encode(made.public_key.as_bytes()));
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
        let request = softhsm::request(&name, Algorithm::EcdsaSecp256k1, Exportability::Never);
        match block_on(backend.generate(&request)) {
            Ok(_) => made.push(block_on(softhsm::record(&backend, request))),
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

const ROLE: &str = "CUSTODY_TEST_ROLE";
