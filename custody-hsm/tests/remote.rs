//! SoftHSM behind the remoting of p11-kit: a module that hangs, and one that is killed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]
#![expect(clippy::arithmetic_side_effects, reason = "a test waits for a while")]

#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{ErrorKind, Exportability, Health, KeyBackend, Signer};
use custody_hsm::{HsmBackend, HsmConfig, HsmEvent, Observer};
use pollster::block_on;
use softhsm::Tokens;

/// A server of p11-kit for the tokens of SoftHSM.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(tokens: &Tokens) -> Self {
        let socket = tokens.folder().join("p11-kit.sock");
        let _older = std::fs::remove_file(&socket);
        let child = Command::new("p11-kit")
            .args(["server", "--foreground", "--provider"])
            .arg(softhsm::module())
            .arg("--name")
            .arg(&socket)
            .arg("pkcs11:")
            .env("SOFTHSM2_CONF", tokens.folder().join("softhsm2.conf"))
            .stdout(Stdio::null())
            .spawn()
            .expect("p11-kit is not installed; `cargo xtask test` installs it");
        let server = Self { child, socket };
        server.wait();
        server
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.socket.exists() {
            assert!(Instant::now() < until, "the server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to the server and to what it started.
    fn signal(&self, name: &str) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let mut pids: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
        pids.push(self.child.id().to_string());
        // What it started may have ended meanwhile.
        let _status = Command::new("kill").arg(format!("-{name}")).args(pids).status().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("CONT");
        self.signal("KILL");
        let _status = self.child.wait();
    }
}

fn client() -> PathBuf {
    let places = [
        "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
        "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
        "/usr/lib64/pkcs11/p11-kit-client.so",
    ];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found.expect("p11-kit's client is not installed; `cargo xtask test` installs it").into()
}

fn config(tokens: &Tokens, server: &Server) -> HsmConfig {
    softhsm::set("P11_KIT_SERVER_ADDRESS", &format!("unix:path={}", server.socket.display()));
    let mut config = tokens.config("one");
    config.module = client();
    config.limits.sign = Duration::from_millis(500);
    config.limits.pause = Duration::from_secs(2);
    config
}

async fn signer(backend: &HsmBackend) -> Arc<dyn Signer> {
    let request = softhsm::keys::request("key", Algorithm::EcdsaSecp256k1, Exportability::Never);
    let record = softhsm::keys::record(backend, request).await;
    backend.signer(&record).await.unwrap()
}

fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let signed = block_on(signer.sign(SignInput::Prehash(&[7; 32])));
    signed.map(drop).map_err(|error| error.kind())
}

#[test]
#[ignore = "needs SoftHSM and p11-kit"]
fn a_hung_module_is_answered_in_time_and_left_alone_after_a_few() {
    let tokens = Tokens::new(&["one"]);
    let server = Server::start(&tokens);
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let observer = Observer::new(move |event: &HsmEvent| heard.lock().unwrap().push(event.clone()));
    let backend = block_on(HsmBackend::open(config(&tokens, &server), observer)).unwrap();
    let signer = block_on(signer(&backend));
    sign(&signer).unwrap();
    server.signal("STOP");
    for _ in 0..3 {
        let since = Instant::now();
        assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate));
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    }
    std::thread::sleep(Duration::from_millis(100));
    let since = Instant::now();
    assert_eq!(sign(&signer), Err(ErrorKind::Unavailable), "it is left alone");
    assert!(since.elapsed() < Duration::from_millis(100));
    assert_eq!(block_on(backend.health()), Health::Unavailable);
    assert_eq!(*events.lock().unwrap(), [HsmEvent::ThreadsLost { lost: 3 }]);
    server.signal("CONT");
    std::thread::sleep(Duration::from_millis(2_500));
    sign(&signer).unwrap();
    assert_eq!(events.lock().unwrap().len(), 1, "one alarm");
}

#[test]
#[ignore = "needs SoftHSM and p11-kit"]
fn a_module_of_softhsm_is_loaded_beside_it() {
    let tokens = Tokens::new(&["one"]);
    let server = Server::start(&tokens);
    let observer = Observer::default();
    let far = block_on(HsmBackend::open(config(&tokens, &server), observer)).unwrap();
    let near = block_on(tokens.open("one"));
    assert_eq!(far.identity(), near.identity(), "one token, seen twice");
    sign(&block_on(signer(&far))).unwrap();
    sign(&block_on(signer(&near))).unwrap();
}

#[test]
#[ignore = "needs SoftHSM and p11-kit"]
fn a_killed_module_signs_again_once_it_is_back() {
    let tokens = Tokens::new(&["one"]);
    let server = Server::start(&tokens);
    let observer = Observer::default();
    let backend = block_on(HsmBackend::open(config(&tokens, &server), observer)).unwrap();
    let signer = block_on(signer(&backend));
    sign(&signer).unwrap();
    drop(server);
    let kind = sign(&signer).unwrap_err();
    assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate), "{kind:?}");
    let _server = Server::start(&tokens);
    let until = Instant::now() + Duration::from_secs(10);
    while let Err(kind) = sign(&signer) {
        assert!(Instant::now() < until, "it never signs again: {kind:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
