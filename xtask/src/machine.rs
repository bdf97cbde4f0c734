//! What some tests need and not every machine gives: found out by trying it, never assumed.
//!
//! **Invariant:** a test is left out only if it is listed here, and this machine failed its probe
//! just now or it measures speed; it is then named, with the reason, in the line that ends a run.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::opencryptoki::System;
use crate::process::succeeded;

/// A test that needs more than a process usually may do.
struct Special {
    package: &'static str,
    test: &'static str,
    /// Does what the test does first, in an empty folder; the error says why it cannot.
    probe: fn(&Path) -> Result<(), String>,
}

/// A test that says something about a quiet machine only, and is asked for by itself.
struct Measurement {
    package: &'static str,
    test: &'static str,
}

/// A test that is left out of a run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRun {
    package: &'static str,
    test: &'static str,
    reason: String,
}

/// What cannot run among the tests of `packages`, or of all packages if there are none. What they
/// need is tried in `folder`.
pub(crate) fn probe(packages: &[String], folder: &Path) -> Vec<NotRun> {
    let mut left_out = probe_each(&SPECIAL, packages, folder);
    left_out.extend(MEASUREMENTS.iter().filter(|of| is_selected(packages, of.package)).map(
        |&Measurement { package, test }| NotRun {
            package,
            test,
            reason: "measures a quiet machine: cargo xtask speed".to_owned(),
        },
    ));
    left_out
}

/// What the tests over openCryptoki run in, if they are among those of `packages`; or that they do
/// not run, and why.
pub(crate) fn opencryptoki(packages: &[String], target: &Path) -> Option<Result<System, NotRun>> {
    let (package, test) = OPENCRYPTOKI;
    let cannot = |reason| NotRun { package, test, reason };
    is_selected(packages, package).then(|| System::prepare(target).map_err(cannot))
}

/// That the tests over LocalStack do not run, if they are among those of `packages` and there is no
/// Python for it.
pub(crate) fn localstack(packages: &[String], python: Option<&Path>) -> Option<NotRun> {
    let (package, test) = LOCALSTACK;
    let reason = "it needs a Python 3.13, and none runs here, in the path or of pyenv".to_owned();
    let is_missing = is_selected(packages, package) && python.is_none();
    is_missing.then_some(NotRun { package, test, reason })
}

/// The nextest filter that leaves out exactly these tests; none if all can run.
pub(crate) fn filter(left_out: &[NotRun]) -> Option<String> {
    let tests: Vec<_> = left_out.iter().map(|test| only(test.package, test.test)).collect();
    (!tests.is_empty()).then(|| format!("not ({})", tests.join(" | ")))
}

/// The nextest filter that selects exactly the tests which measure speed.
pub(crate) fn measurements() -> String {
    MEASUREMENTS.iter().map(|of| only(of.package, of.test)).collect::<Vec<_>>().join(" | ")
}

/// The packages that have such tests.
pub(crate) fn measured() -> Vec<String> {
    MEASUREMENTS.iter().map(|of| of.package.to_owned()).collect()
}

fn only(package: &str, test: &str) -> String {
    if (package, test) == LOCALSTACK {
        return format!("(package(={package}) & binary(={test}))");
    }
    format!("(package(={package}) & test(={test}))")
}

fn is_selected(packages: &[String], package: &str) -> bool {
    packages.is_empty() || packages.iter().any(|name| name == package)
}

fn probe_each(special: &[Special], packages: &[String], folder: &Path) -> Vec<NotRun> {
    let selected = |special: &&Special| is_selected(packages, special.package);
    let cannot = |&Special { package, test, probe }: &Special| {
        probe(folder).err().map(|reason| NotRun { package, test, reason })
    };
    special.iter().filter(selected).filter_map(cannot).collect()
}

/// Mounts a small file system in a namespace of its own, which ends with the command.
fn mount(folder: &Path) -> Result<(), String> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg("mount -t tmpfs -o size=12m none \"$0\" && : > \"$0/file\"").arg(folder);
    succeeded(&mut command).map_err(|reason| format!("cannot mount in a user namespace: {reason}"))
}

#[cfg(test)]
impl NotRun {
    pub(crate) fn new(package: &'static str, test: &'static str, reason: &str) -> Self {
        Self { package, test, reason: reason.to_owned() }
    }
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.package, self.test, self.reason)
    }
}

const SPECIAL: [Special; 2] = [
    Special {
        package: "custody-store",
        test: "disk::a_full_disk_writes_nothing_and_the_next_commit_that_fits_works",
        probe: mount,
    },
    Special {
        package: "custody-hsm",
        test: "processes::a_full_token_makes_no_half_key_and_signs_on",
        probe: mount,
    },
];

/// A binary of tests, all of which need it. `.config/nextest.toml` leaves it out of other runs.
pub(crate) const OPENCRYPTOKI: (&str, &str) = ("custody-hsm", "opencryptoki");

/// Another one.
const LOCALSTACK: (&str, &str) = ("custody-kms", "localstack");

const MEASUREMENTS: [Measurement; 1] = [Measurement {
    package: "custody-verify",
    test: "speed::twenty_thousand_entries_are_verified_each_second_without_replay",
}];

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: [Special; 3] = [
        Special { package: "a", test: "one::can", probe: |_| Ok(()) },
        Special { package: "a", test: "one::cannot", probe: |_| Err("no right".to_owned()) },
        Special { package: "b", test: "cannot", probe: |_| Err("no tool".to_owned()) },
    ];

    fn not_run(packages: &[&str]) -> Vec<NotRun> {
        let packages: Vec<_> = packages.iter().map(|name| (*name).to_owned()).collect();
        probe_each(&THREE, &packages, Path::new("."))
    }

    fn shown(left_out: &[NotRun]) -> Vec<String> {
        left_out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_whose_probe_fails_is_left_out_and_named_with_the_reason() {
        let left_out = not_run(&[]);
        assert_eq!(shown(&left_out), ["a one::cannot (no right)", "b cannot (no tool)"]);
        let expected =
            "not ((package(=a) & test(=one::cannot)) | (package(=b) & test(=cannot)))".to_owned();
        assert_eq!(filter(&left_out), Some(expected));
    }

    #[test]
    fn a_test_whose_probe_succeeds_is_not_left_out() {
        let left_out = probe_each(&THREE[..1], &[], Path::new("."));
        assert_eq!((left_out.len(), filter(&left_out)), (0, None));
    }

    #[test]
    fn tests_of_packages_that_are_not_asked_for_are_not_named() {
        assert_eq!(shown(&not_run(&["b"])), ["b cannot (no tool)"]);
        assert_eq!(shown(&not_run(&["c"])), Vec::<String>::new());
    }

    #[test]
    fn a_measurement_is_left_out_and_named_whatever_the_machine() {
        let packages = [MEASUREMENTS[0].package.to_owned()];
        let left_out = probe(&packages, Path::new("."));
        let line = "custody-verify speed::twenty_thousand_entries_are_verified_each_second_without\
                    _replay (measures a quiet machine: cargo xtask speed)";
        assert_eq!(shown(&left_out), [line]);
        assert_eq!(filter(&left_out), Some(format!("not ({})", measurements())));
        assert_eq!(probe(&["xtask".to_owned()], Path::new(".")), Vec::new());
    }

    #[test]
    fn each_listed_test_exists_where_it_is_looked_for() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let special = SPECIAL.iter().map(|of| (of.package, of.test));
        let measurements = MEASUREMENTS.iter().map(|of| (of.package, of.test));
        for (package, test) in special.chain(measurements) {
            let name = test.rsplit("::").next().unwrap_or(test);
            let wanted = format!("fn {name}()");
            let found = sources(&root.join(package).join("tests"))
                .iter()
                .any(|path| std::fs::read_to_string(path).unwrap().contains(&wanted));
            assert!(found, "{package} {test}");
        }
    }

    #[test]
    fn the_tests_over_opencryptoki_run_in_their_stage_alone() {
        let (package, binary) = OPENCRYPTOKI;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(root.join(package).join("tests").join(binary).with_extension("rs").is_file());
        let settings = std::fs::read_to_string(root.join(".config/nextest.toml")).unwrap();
        let left_out = format!("not (package({package}) & binary({binary}))");
        assert!(settings.contains(&format!("default-filter = \"{left_out}\"")), "{settings}");
        assert!(opencryptoki(&["custody-core".to_owned()], Path::new("/nowhere")).is_none());
    }

    #[test]
    fn tests_over_localstack_are_left_out_and_named_where_its_python_does_not_run() {
        let left_out = localstack(&[], None).unwrap();
        let line = "custody-kms localstack (it needs a Python 3.13, and none runs here, in the \
                    path or of pyenv)";
        assert_eq!(left_out.to_string(), line);
        let expected = "not ((package(=custody-kms) & binary(=localstack)))".to_owned();
        assert_eq!(filter(&[left_out]), Some(expected));
        assert_eq!(localstack(&["custody-core".to_owned()], None), None);
        assert_eq!(localstack(&[], Some(Path::new("python3.13"))), None);
    }

    fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }
}
