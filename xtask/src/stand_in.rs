//! What stands in for AWS KMS while tests and examples run: ministack, moto and LocalStack. What
//! each is good for, and where it lies, is told in `custody-kms/tests/stand-ins/README.md`.
//!
//! **Invariant:** they listen on the loopback interface only, know no variable of whoever runs the
//! tests, and end when this program ends, however it ends. While they run, what is started beside
//! them finds no credentials of AWS but theirs.

mod running;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::project::Project;
use crate::{python, setup};
pub(crate) use running::StandInError;
use running::{Program, Running};

/// Runs a command while they run.
pub(crate) fn run(words: &[String]) -> Result<ExitStatus, String> {
    let (program, arguments) = words.split_first().ok_or("there is no program to run")?;
    setup::stand_ins()?;
    let stand_ins = StandIns::start().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    stand_ins.tell(command.args(arguments));
    command.status().map_err(|error| format!("{program}: {error}"))
}

/// Those that run. They end with this value.
pub(crate) struct StandIns(Vec<Running>);

impl StandIns {
    /// Starts them if the tests of `packages`, or of all packages if there are none, need them.
    pub(crate) fn for_packages(
        project: &Project,
        packages: &[String],
    ) -> Result<Option<Self>, StandInError> {
        let is_chosen = |name: &&str| packages.is_empty() || packages.iter().any(|p| p == name);
        let mut needing = PACKAGES.iter().filter(|name| project.package(name).is_some());
        if needing.any(is_chosen) { Self::start().map(Some) } else { Ok(None) }
    }

    /// Starts all that this machine can run; `setup::stand_ins` made what they run in.
    fn start() -> Result<Self, StandInError> {
        let target = target();
        let mut programs = vec![ministack(), moto()];
        if localstack_python().is_some() {
            programs.push(localstack());
        }
        let started: Result<_, _> =
            programs.into_iter().map(|program| Running::start(program, &target)).collect();
        started.map(Self)
    }

    /// Tells a command where they are, and takes from it whatever leads to AWS itself.
    pub(crate) fn tell(&self, command: &mut Command) {
        for (name, _) in env::vars_os().filter(|(name, _)| leads_to_aws(name)) {
            command.env_remove(name);
        }
        for running in &self.0 {
            command.env(running.variable(), running.url());
        }
        command.envs(ADMINISTRATOR);
        command.envs(NOWHERE_ELSE);
        if let Some(ministack) = self.0.first() {
            command.env("AWS_ENDPOINT_URL", ministack.url());
        }
    }
}

/// Whether this is a variable of the tools of AWS. Those of aws-lc say how it is built.
fn leads_to_aws(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"AWS_") && !name.starts_with(b"AWS_LC_")
}

/// The list of what the environment holds in which ministack and moto run, and that environment.
pub(crate) fn environment() -> (PathBuf, PathBuf) {
    (stand_ins().join("requirements.txt"), target().join("kms-stand-in"))
}

/// The same for LocalStack, which needs a Python of its own.
pub(crate) fn localstack_environment() -> (PathBuf, PathBuf) {
    (stand_ins().join("localstack.txt"), target().join("kms-localstack"))
}

/// The Python in which LocalStack can run, if there is one that runs.
pub(crate) fn localstack_python() -> Option<PathBuf> {
    python::find(LOCALSTACK_PYTHON)
}

/// Its `AUTH` is what IAM, key policies and signatures of requests are checked with.
fn ministack() -> Program {
    Program {
        name: "ministack",
        variable: "CUSTODY_KMS_STAND_IN",
        words: serve(&environment().1, "ministack"),
        settings: vec![
            ("GATEWAY_PORT", "{port}"),
            ("BIND_HOST", "127.0.0.1"),
            ("SERVICES", "kms,sts,iam"),
            ("AUTH", "true"),
            // Other doors of it, which would be open to everybody (8883 is MQTT).
            ("IOT_MTLS_ENABLED", "0"),
            ("SFTP_ENABLED", "0"),
            ("LOG_LEVEL", "WARNING"),
            // It says so when asked, and so is known from another one on the same port.
            ("MINISTACK_EDITION", "{mark}"),
        ],
        question: format!("GET /_ministack/health {REST}\r\n"),
        answers: &["\"auth\": \"enabled\"", "\"kms\": \"available\"", "\"{mark}\""],
    }
}

fn moto() -> Program {
    Program {
        name: "moto",
        variable: "CUSTODY_KMS_MOTO",
        words: serve(&environment().1, "moto.server"),
        settings: vec![("MOTO_PORT", "{port}")],
        question: list_keys(),
        answers: &["\"Keys\":"],
    }
}

/// By itself it would take a machine with `/.dockerenv` for its container and write to `/var/lib`,
/// and its usual server listens on every interface whatever it is told.
fn localstack() -> Program {
    Program {
        name: "LocalStack",
        variable: "CUSTODY_KMS_LOCALSTACK",
        words: serve(&localstack_environment().1, "localstack.runtime.main"),
        settings: vec![
            ("GATEWAY_LISTEN", "127.0.0.1:{port}"),
            ("GATEWAY_SERVER", "hypercorn"),
            ("OVERRIDE_IN_DOCKER", "0"),
            ("FILESYSTEM_ROOT", "{folder}"),
            ("DNS_ADDRESS", "0"),
            ("SERVICES", "kms"),
            ("DISABLE_EVENTS", "1"),
            ("SKIP_SSL_CERT_DOWNLOAD", "1"),
        ],
        question: list_keys(),
        answers: &["\"Keys\":"],
    }
}

/// The words that run a module, with the Python of an environment, until we end.
fn serve(environment: &Path, module: &str) -> Vec<PathBuf> {
    vec![python::program(environment), stand_ins().join("serve.py"), module.into()]
}

/// `ListKeys`, as somebody whom neither of those that are asked checks.
fn list_keys() -> String {
    format!(
        "POST / {REST}X-Amz-Target: TrentService.ListKeys\r\n\
         Content-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/kms/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{{}}"
    )
}

fn stand_ins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../custody-kms/tests/stand-ins")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// The packages whose tests need them.
pub(crate) const PACKAGES: [&str; 3] = ["benches", "custody-kms", "examples-kms"];

/// Newer ones were not tried, older ones cannot read it.
const LOCALSTACK_PYTHON: &str = "3.13";

const REGION: &str = "eu-central-1";
const REST: &str = "HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";

/// The root of the account 000000000000, whom ministack lets do everything, whatever the secret.
const ADMINISTRATOR: [(&str, &str); 2] =
    [("CUSTODY_KMS_ACCESS_KEY_ID", "test"), ("CUSTODY_KMS_SECRET_ACCESS_KEY", "test")];

/// The same for programs that know the variables of AWS: whoever forgets to say which endpoint is
/// meant does not reach AWS itself, as somebody who may do something there.
const NOWHERE_ELSE: [(&str, &str); 6] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", REGION),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_is_told_of_them_finds_no_other_credentials() {
        let mut command = Command::new("true");
        StandIns(Vec::new()).tell(&mut command);
        let told: BTreeMap<_, _> = command.get_envs().collect();
        let value = |name: &str| told.get(OsStr::new(name)).copied().flatten();
        assert_eq!(value("AWS_ACCESS_KEY_ID"), Some(OsStr::new("test")));
        assert_eq!(value("AWS_CONFIG_FILE"), Some(OsStr::new("/dev/null")));
        let (away, build) = ("AWS_SESSION_TOKEN", "AWS_LC_SYS_NO_ASM");
        assert!(leads_to_aws(OsStr::new(away)) && !leads_to_aws(OsStr::new(build)));
        for (name, _) in env::vars_os().filter(|(name, _)| leads_to_aws(name)) {
            assert!(told.contains_key(name.as_os_str()), "{}", name.display());
        }
    }

    #[test]
    fn one_ends_when_whoever_started_it_lets_go_of_it() {
        let mut command = Command::new("python3");
        command.arg(stand_ins().join("serve.py")).args(["http.server", "--bind", "127.0.0.1", "0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        assert!(child.try_wait().unwrap().is_none());
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn packages_that_need_none_start_none() {
        let project = Project::read().unwrap();
        let found = StandIns::for_packages(&project, &["custody-core".to_owned()]).unwrap();
        assert!(found.is_none());
    }

    #[test]
    fn each_listens_on_the_loopback_interface_and_on_the_port_it_is_given() {
        for program in [ministack(), localstack()] {
            let values: Vec<_> = program.settings.iter().map(|(_, value)| *value).collect();
            assert!(values.iter().any(|value| value.starts_with("127.0.0.1")), "{values:?}");
            assert!(values.iter().any(|value| value.ends_with("{port}")), "{values:?}");
        }
        // Where moto listens unless told otherwise is the loopback interface.
        assert_eq!(moto().settings, [("MOTO_PORT", "{port}")]);
    }

    #[test]
    fn every_package_of_theirs_is_of_an_exact_version() {
        for (list, _) in [environment(), localstack_environment()] {
            let text = std::fs::read_to_string(&list).unwrap();
            let packages = text.lines().filter(|line| !line.starts_with('#'));
            let loose: Vec<_> = packages.filter(|line| line.split("==").count() != 2).collect();
            assert!(loose.is_empty(), "{}: {loose:?}", list.display());
        }
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named() {
        assert_eq!(run(&[]).unwrap_err(), "there is no program to run");
    }
}
