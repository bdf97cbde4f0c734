//! A node of Ethereum on this machine: anvil, which mines a block for each transaction.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::Failure;

/// A running node; it ends with this.
#[derive(Debug)]
pub struct Node {
    child: Child,
    url: String,
}

impl Node {
    /// Starts a node of this chain on a free port of the loopback interface.
    pub fn start(chain: u64) -> Result<Self, Failure> {
        let program = anvil()?;
        let mut command = Command::new(&program);
        command.args(["--host", "127.0.0.1", "--port", "0", "--accounts", "1"]);
        command.args(["--chain-id", &chain.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let output = child.stdout.take().ok_or("the node says nothing")?;
        let mut node = Self { child, url: String::new() };
        let mut lines = BufReader::new(output).lines();
        let address = lines.by_ref().find_map(|line| match line {
            Ok(line) => Some(Ok(line.trim().strip_prefix("Listening on ")?.to_owned())),
            Err(error) => Some(Err(error)),
        });
        node.url = format!("http://{}", address.ok_or("the node ended before it listened")??);
        // It tells of each call, and would wait for whoever does not listen.
        thread::spawn(move || lines.take_while(Result::is_ok).count());
        Ok(node)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The anvil that `cargo xtask test` installs below `target/`, or that of `CUSTODY_ANVIL`.
fn anvil() -> Result<PathBuf, Failure> {
    if let Some(path) = env::var_os("CUSTODY_ANVIL") {
        return Ok(path.into());
    }
    let machine = match env::consts::ARCH {
        "x86_64" => "linux-amd64",
        "aarch64" => "linux-arm64",
        other => return Err(format!("no anvil for {other}; set CUSTODY_ANVIL").into()),
    };
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/node/node_modules");
    let path = packages.join(format!("@foundry-rs/anvil-{machine}/bin/anvil"));
    if !path.exists() {
        return Err("anvil is missing; `cargo xtask test` installs it".into());
    }
    Ok(path)
}
