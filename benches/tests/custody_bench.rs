//! The program `custody-bench`: what it measures, what it refuses, and what an interruption leaves.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../../shims/library.rs"]
mod library;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use benches::token::{BenchToken, SOFTHSM};
use custody_bench::harness::document::{Role, Status};
use custody_bench::harness::{Sample, check, read_run, read_samples};
use flate2::Compression;
use flate2::write::GzEncoder;

fn program(words: &[&str], out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_custody-bench"));
    command.args(words).arg("--out").arg(out);
    command
}

fn run(words: &[&str], out: &Path) -> Output {
    let short = ["--duration", "300ms", "--warm-up", "50ms"];
    program(&[&["run"], &short[..], words].concat(), out).output().unwrap()
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[test]
fn software_keys_are_measured_raw_and_governed_beside_the_bare_crates() {
    let out = tempfile::tempdir().unwrap();
    for algorithm in ["secp256k1", "p256", "bip340", "ed25519"] {
        let words = ["--backend", "software", "--algorithm", algorithm, "--governed"];
        succeeded(&run(&words, out.path()));
        let measured = read_run(out.path()).unwrap();
        assert_eq!(measured.status, Status::Complete);
        let roles: Vec<_> = measured.series.iter().map(|series| series.role).collect();
        for role in [Role::Primitive, Role::Peer, Role::Raw, Role::Governed] {
            assert!(roles.contains(&role), "{algorithm}: {roles:?}");
        }
        let stages: Vec<_> = measured.series.iter().flat_map(|series| &series.stages).collect();
        for stage in ["decode", "judge", "wait", "commit", "sign", "verify", "seal"] {
            let timed = stages.iter().any(|told| told.stage == stage && told.count > 0);
            assert!(timed, "{algorithm}: {stage}");
        }
        let failed: Vec<_> = measured.series.iter().flat_map(|one| &one.errors).collect();
        assert!(failed.is_empty(), "{algorithm}: {failed:?}");
        check(out.path()).unwrap();
    }
}

/// With all that a run can hold: stages, peers, both loops.
#[test]
fn the_report_of_a_governed_run_regenerates_byte_for_byte_and_all_of_it_is_documented() {
    let (out, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let words = ["--backend", "software", "--governed", "--rate", "200", "--also-closed"];
    succeeded(&run(&[&words[..], &["--concurrency", "1,2"]].concat(), out.path()));
    std::fs::copy(out.path().join("run.json"), other.path().join("run.json")).unwrap();
    succeeded(&tool("report", &[other.path()]));
    for name in ["report.html", "report.md"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(read(out.path()) == read(other.path()), "{name} is another one");
        for plot in ["Throughput against concurrency", "Where the time of a governed signature"] {
            assert!(name == "report.md" || read(out.path()).contains(plot), "{plot}");
        }
    }
    let text = std::fs::read_to_string(out.path().join("run.json")).unwrap();
    let explained = include_str!("../../custody-bench/RUN.md");
    let versions = text.lines().skip_while(|line| !line.contains("\"crates\"")).skip(1);
    let versions: Vec<_> = versions.take_while(|line| line.trim() != "}").collect();
    assert!(versions.len() > 10, "{versions:?}");
    for line in text.lines().filter(|line| !versions.contains(line) && !line.contains("engine")) {
        if let Some((name, _)) = line.trim().strip_prefix('"').and_then(|l| l.split_once("\": ")) {
            assert!(explained.contains(&format!("`{name}`")), "{name}");
        }
    }
}

/// Committed reports are those of the committed figures and of this program.
#[test]
fn the_reports_of_the_example_results_regenerate_byte_for_byte() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let mut seen = 0;
    for entry in std::fs::read_dir(results).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let other = tempfile::tempdir().unwrap();
        std::fs::copy(folder.join("run.json"), other.path().join("run.json")).unwrap();
        succeeded(&tool("report", &[other.path()]));
        for name in ["report.html", "report.md"] {
            let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
            assert!(read(&folder) == read(other.path()), "{}", folder.join(name).display());
        }
        seen += 1;
    }
    assert!(seen >= 8, "{seen} results");
}

fn tool(command: &str, folders: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_custody-bench")).arg(command).args(folders).output().unwrap()
}

/// As `custody-bench backends | head -1` does.
#[test]
fn whoever_hangs_up_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_custody-bench"));
    command.arg("backends").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_slower_run_ends_a_comparison_with_three() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    succeeded(&run(&["--backend", "software", "--no-peers"], before.path()));
    succeeded(&tool("check", &[before.path()]));
    let same = tool("compare", &[before.path(), before.path()]);
    succeeded(&same);
    assert!(String::from_utf8_lossy(&same.stdout).contains("  same\n"));

    for name in ["run.json", "samples.csv.gz"] {
        std::fs::copy(before.path().join(name), after.path().join(name)).unwrap();
    }
    let file = std::fs::File::create(after.path().join("samples.csv.gz")).unwrap();
    let mut lines = GzEncoder::new(file, Compression::fast());
    writeln!(lines, "series,number,intended_ns,started_ns,ended_ns").unwrap();
    for (series, samples) in read_samples(before.path()).unwrap() {
        for one in samples {
            let Sample { number, intended_ns, started_ns, ended_ns } = one;
            let later = ended_ns + one.latency_ns() / 10;
            writeln!(lines, "{series},{number},{intended_ns},{started_ns},{later}").unwrap();
        }
    }
    lines.finish().unwrap();
    let slower = tool("compare", &[before.path(), after.path()]);
    assert_eq!(slower.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&slower.stdout).contains("SLOWER"));
    let checked = tool("check", &[after.path()]);
    assert!(refused(&checked).contains("does not agree with its samples"));
    let nowhere = tool("report", &[&after.path().join("nowhere")]);
    assert!(refused(&nowhere).contains("run.json"));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_new_token_of_softhsm_is_measured_beside_a_bare_loop() {
    let out = tempfile::tempdir().unwrap();
    for algorithm in ["secp256k1", "ed25519"] {
        let words = ["--backend", "softhsm", "--algorithm", algorithm, "--concurrency", "2"];
        succeeded(&run(&[&words[..], &["--governed"]].concat(), out.path()));
        measured_beside_a_bare_loop(out.path());
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_that_signs_wrongly_makes_the_run_void() {
    let (out, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (token, conf) = BenchToken::new(folder.path()).unwrap();
    let shim = library::library("pkcs11_faults", "-ldl");
    let orders = folder.path().join("orders");
    std::fs::write(&orders, "Sign 100 0 flip 0\n").unwrap();
    let option = |name: &str, value: &Path| format!("{name}={}", value.display());
    let (module, pin) = (option("module", &shim), option("pin-file", &token.pin));
    let label = format!("token={}", token.label);
    let words = ["run", "--duration", "300ms", "--backend", "pkcs11"];
    let options = ["-o", &module, "-o", &pin, "-o", &label];
    let mut command = program(&[&words[..], &options].concat(), out.path());
    command.env(SOFTHSM, &conf).env("CUSTODY_MODULE", &token.module);
    let output = command.env("CUSTODY_MODULE_ORDERS", &orders).output().unwrap();
    let reason = refused(&output);
    assert!(reason.starts_with("custody-bench: the run is void: "), "{reason}");
    let text = std::fs::read_to_string(out.path().join("run.json")).unwrap();
    assert!(text.contains("\"is\": \"void\""), "{text}");
    assert!(read_run(out.path()).is_err() && !out.path().join("report.html").exists());
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_reason() {
    let out = tempfile::tempdir().unwrap();
    let software = ["--backend", "software"];
    let with = |more: &[&'static str]| [&software[..], more].concat();
    let cases = [
        (vec!["--backend", "hardware"], "there is no backend hardware; there are software, "),
        (with(&["--concurrency", "0"]), "--concurrency must be at least 1"),
        (with(&["--duration", "0s"]), "--duration must be at least 50 ms"),
        (with(&["--rate", "0"]), "--rate must be above zero"),
        (
            with(&["--rate", "40000000", "--duration", "200ms", "--warm-up", "0s"]),
            "--rate of 40000000/s cannot be offered",
        ),
        (with(&["-o", "colour=blue", "-o", "colour=red"]), "--option is given twice"),
        (with(&["-o", "colour=blue"]), "backend software has no option colour"),
        (vec!["--backend", "pkcs11"], "--option module=… is not given"),
        (vec!["--backend", "kryoptic", "--algorithm", "p256"], "--option module=… is not given"),
        (vec!["--backend", "kms"], "neither --option account=… nor endpoint=… is given"),
        (with(&["--http-signer", "/no-such-file"]), "--http-signer "),
    ];
    for (words, reason) in cases {
        let mut command = program(&[&["run"], &words[..]].concat(), out.path());
        // There may be one beside the tests.
        let output = command.env_remove("CUSTODY_KMS_STAND_IN").output().unwrap();
        let said = refused(&output);
        assert!(said.contains(reason), "{words:?}: {said}");
    }
    let said = refused(&run(&software, Path::new("/proc/no-folder")));
    assert!(said.contains("the folder /proc/no-folder cannot be written"), "{said}");
}

#[test]
fn a_run_that_ctrl_c_ends_keeps_what_it_measured_and_says_so() {
    let out = tempfile::tempdir().unwrap();
    let words =
        ["run", "--backend", "software", "--no-peers", "--concurrency", "1,2", "--duration"];
    let mut command = program(&[&words[..], &["20s", "--warm-up", "0s"]].concat(), out.path());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The folder is made when the run begins; opening keys takes a moment.
    let begun = out.path().join(".while-it-runs");
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while !begun.exists() {
        assert!(std::time::Instant::now() < patience, "nothing is measured");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(4));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("interrupted: 1 series were measured"), "{said}");
    let measured = read_run(out.path()).unwrap();
    assert_eq!((&measured.status, measured.series.len()), (&Status::Interrupted, 1));
    assert!(measured.series.iter().all(|series| series.count > 100));
    check(out.path()).unwrap();
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(page.contains("This run was interrupted"));
}

#[test]
#[ignore = "needs kryoptic"]
fn a_new_token_of_kryoptic_is_measured_beside_a_bare_loop() {
    let out = tempfile::tempdir().unwrap();
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join(KRYOPTIC);
    let module = format!("module={}", module.display());
    for algorithm in ["p256", "ed25519"] {
        let words = ["--backend", "kryoptic", "-o", &module, "--algorithm", algorithm];
        succeeded(&run(&[&words[..], &["--governed"]].concat(), out.path()));
        measured_beside_a_bare_loop(out.path());
        let told = read_run(out.path()).unwrap().settings.backend_facts;
        assert_eq!(told["module"], "libkryoptic_module.so", "no folder of this machine");
        assert!(told["library"].to_lowercase().contains("kryoptic"), "{told:?}");
    }
}

#[test]
#[ignore = "needs what stands in for KMS"]
fn keys_in_kms_and_keys_sealed_under_one_are_measured_beside_the_sdk_and_the_crates() {
    let out = tempfile::tempdir().unwrap();
    succeeded(&run(&["--backend", "kms", "--concurrency", "4", "--governed"], out.path()));
    measured_beside_a_bare_loop(out.path());
    succeeded(&run(&["--backend", "kms-sealed", "--governed"], out.path()));
    let measured = read_run(out.path()).unwrap();
    let names: Vec<_> = measured.series.iter().map(|series| series.name()).collect();
    let expected =
        ["k256", "libsecp256k1", "aws-lc-rs", "kms-sealed (raw)", "kms-sealed (governed)"];
    assert_eq!(names, expected);
    assert!(measured.series.iter().all(|series| series.count > 0 && series.errors.is_empty()));
}

fn measured_beside_a_bare_loop(out: &Path) {
    let measured = read_run(out).unwrap();
    let roles: Vec<_> = measured.series.iter().map(|series| series.role).collect();
    assert_eq!(roles, [Role::Primitive, Role::Raw, Role::Governed]);
    assert!(measured.series.iter().all(|series| series.count > 0 && series.errors.is_empty()));
}

/// Where `cargo xtask test` builds it.
const KRYOPTIC: &str = "../target/shims/kryoptic/release/libkryoptic_module.so";
