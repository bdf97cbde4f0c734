//! Where a run ran.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use custody_core::digest::Digest;
use serde::{Deserialize, Serialize};

/// The machine, what the program was built from, and how busy it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Environment {
    /// The machine. Runs of different ones are not compared.
    pub machine: Machine,
    /// What the kernel calls itself.
    pub kernel: String,
    /// The frequency governors of the cores, or that none is told.
    pub governor: String,
    /// How the program was built.
    pub build: Build,
    /// The least difference between two readings of the clock that is not zero.
    pub clock_granularity_ns: u64,
    /// Mean load (1, 5 and 15 minutes) before the run.
    pub load_before: String,
    /// The same after it.
    pub load_after: String,
}

/// What makes a machine another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Machine {
    /// A digest of the system's machine id, so that two machines of one kind differ; `unknown`, and
    /// so never the same as another one, if it has none.
    pub id: String,
    /// The processor.
    pub cpu: String,
    /// Cores that the program may use.
    pub cores: u64,
    /// Memory, in KiB.
    pub memory_kib: u64,
    /// The architecture.
    pub architecture: String,
}

/// How a program was built; it tells so itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the program that measures builds it")]
pub struct Build {
    /// The compiler and its version.
    pub compiler: String,
    /// Flags of the compiler.
    pub flags: String,
    /// Profile and level of optimisation.
    pub profile: String,
    /// Features of the program.
    pub features: Vec<String>,
    /// The commit it was built from, and whether it was changed.
    pub commit: String,
    /// Versions of crates.
    #[serde(deserialize_with = "custody_core::document::unique_keys")]
    pub crates: BTreeMap<String, String>,
}

impl Environment {
    /// Of this machine, now.
    pub(crate) fn read(build: &Build) -> Self {
        let load = load();
        Self {
            machine: Machine::read(),
            kernel: line("/proc/sys/kernel/osrelease")
                .map_or_else(|| std::env::consts::OS.to_owned(), |text| format!("Linux {text}")),
            governor: governor(),
            build: build.clone(),
            clock_granularity_ns: clock_granularity(),
            load_before: load.clone(),
            load_after: load,
        }
    }

    pub(crate) fn finish(&mut self) {
        self.load_after = load();
    }
}

impl Machine {
    fn read() -> Self {
        let id = line("/etc/machine-id").filter(|id| !id.is_empty()).map(|id| {
            let digest = Digest::of(format!("custody-bench/machine/v1 {id}").as_bytes());
            digest.to_string().chars().take(16).collect()
        });
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            id: id.unwrap_or_else(|| UNKNOWN.to_owned()),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| UNTOLD.to_owned()),
            cores: super::number::count(cores),
            memory_kib: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse().ok())
                .unwrap_or(0),
            architecture: std::env::consts::ARCH.to_owned(),
        }
    }

    /// In what the other one differs.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = [
            ("machine id", self.id.clone(), other.id.clone()),
            ("processor", self.cpu.clone(), other.cpu.clone()),
            ("cores", self.cores.to_string(), other.cores.to_string()),
            ("architecture", self.architecture.clone(), other.architecture.clone()),
        ];
        // Two that have no id may be two. How much memory a kernel tells differs between kernels.
        let differing =
            pairs.into_iter().filter(|(_, ours, theirs)| ours != theirs || ours == UNKNOWN);
        differing.map(|(what, ours, theirs)| format!("{what}: {ours} and {theirs}")).collect()
    }
}

fn governor() -> String {
    let cores = fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let mut governors: Vec<_> = cores
        .filter_map(|core| line(core.path().join("cpufreq/scaling_governor").to_str()?))
        .collect();
    governors.sort_unstable();
    governors.dedup();
    if governors.is_empty() { UNTOLD.to_owned() } else { governors.join(", ") }
}

fn load() -> String {
    let text = line("/proc/loadavg").unwrap_or_else(|| UNKNOWN.to_owned());
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn clock_granularity() -> u64 {
    let mut least = Duration::MAX;
    let mut before = Instant::now();
    for _ in 0..READINGS {
        let now = Instant::now();
        let passed = now.duration_since(before);
        if !passed.is_zero() {
            least = least.min(passed);
        }
        before = now;
    }
    u64::try_from(least.as_nanos()).unwrap_or(0)
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.trim().to_owned())
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    Some(found?.split_once(':')?.1.trim().to_owned())
}

const READINGS: u32 = 100_000;
const UNKNOWN: &str = "unknown";
const UNTOLD: &str = "not told by the system";

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: &str) -> Machine {
        Machine {
            id: id.to_owned(),
            cpu: "one".to_owned(),
            cores: 2,
            memory_kib: 1,
            architecture: "x86_64".to_owned(),
        }
    }

    #[test]
    fn machines_differ_in_what_makes_them_others() {
        let ours = machine("1");
        assert!(ours.differences(&Machine { memory_kib: 2, ..ours.clone() }).is_empty());
        for other in [
            machine("2"),
            Machine { cpu: "two".to_owned(), ..ours.clone() },
            Machine { cores: 4, ..ours.clone() },
            Machine { architecture: "aarch64".to_owned(), ..ours.clone() },
        ] {
            assert_eq!(ours.differences(&other).len(), 1, "{other:?}");
        }
        let nameless = machine(UNKNOWN);
        assert_eq!(nameless.differences(&nameless), ["machine id: unknown and unknown"]);
    }
}
