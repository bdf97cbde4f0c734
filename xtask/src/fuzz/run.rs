//! Runs targets, two at a time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::output::{Output, Statistics};
use super::{Arguments, Places};

/// A target that has ended.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) statistics: Statistics,
    /// What it found: where the input lies, or what else is wrong with how it ended.
    pub(crate) finding: Option<String>,
}

/// Runs the targets, in order, two at a time.
pub(super) fn all(
    places: &Places,
    targets: &[String],
    arguments: &Arguments,
) -> io::Result<Vec<Ended>> {
    let waiting: Mutex<VecDeque<_>> = Mutex::new(targets.iter().cloned().enumerate().collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut ended = Vec::new();
        while let Some((number, name)) = next() {
            ended.push((number, one(places, &name, arguments)?));
        }
        Ok::<_, io::Error>(ended)
    };
    let lost = || io::Error::other("a thread that ran fuzz targets panicked");
    let mut ended = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            ended.extend(worker.join().map_err(|_| lost())??);
        }
        Ok::<_, io::Error>(())
    })?;
    ended.sort_by_key(|(number, _)| *number);
    Ok(ended.into_iter().map(|(_, ended)| ended).collect())
}

/// Runs one target to its end.
fn one(places: &Places, name: &str, arguments: &Arguments) -> io::Result<Ended> {
    println!("{name}: runs for {} s", arguments.seconds);
    let log = places.package.join("artifacts").join(name).join("output.log");
    let mut command = command(places, name, arguments)?;
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the write end; without this the pipe would never end.
    drop(command);
    let output = read(reader, &log)?;
    let status = child.wait()?;
    let finding = match output.artifact {
        Some(artifact) => Some(artifact),
        None if !status.success() => Some(format!("{status}, see {}", log.display())),
        None if output.statistics.executions == 0 => {
            Some(format!("no input was run, see {}", log.display()))
        }
        None => None,
    };
    if let Some(finding) = &finding {
        println!("{name}: FOUND {finding}");
    }
    Ok(Ended { name: name.to_owned(), statistics: output.statistics, finding })
}

/// Keeps every line in a file and takes from it what matters.
fn read(lines: impl io::Read, log: &Path) -> io::Result<Output> {
    let (mut lines, mut output) = (BufReader::new(lines), Output::default());
    let mut file = BufWriter::new(File::create(log)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        file.write_all(&line)?;
        output.line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    file.flush()?;
    Ok(output)
}

/// The command that runs a target: new inputs go into a folder that is not committed, and the
/// committed ones are only read.
fn command(places: &Places, name: &str, arguments: &Arguments) -> io::Result<Command> {
    let (artifacts, grown) =
        (places.package.join("artifacts").join(name), places.package.join("corpus").join(name));
    fs::create_dir_all(&artifacts)?;
    fs::create_dir_all(&grown)?;
    let mut command = Command::new(places.programs.join(name));
    command.arg(grown).arg(places.corpora.join(name));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(format!("-max_total_time={}", arguments.seconds));
    command.args(LIMITS);
    command.env("ASAN_OPTIONS", "detect_odr_violation=0");
    Ok(command)
}

const AT_ONCE: usize = 2;
/// An input may have 8 KiB, take 20 s and 2 GiB. Doubles that hold each other are no finding.
const LIMITS: [&str; 5] = [
    "-max_len=8192",
    "-timeout=20",
    "-rss_limit_mb=2048",
    "-detect_leaks=0",
    "-print_final_stats=1",
];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A script that ran five inputs and found nothing.
    const GOOD: &str = "echo 'stat::number_of_executed_units: 5'";

    /// Programs that are scripts, in a place of their own.
    fn places(folder: &Path, scripts: &[(&str, &str)]) -> Places {
        use std::os::unix::fs::PermissionsExt as _;
        let programs: PathBuf = folder.join("programs");
        fs::create_dir_all(&programs).unwrap();
        for (name, script) in scripts {
            let path = programs.join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Places { package: folder.join("package"), corpora: folder.join("corpora"), programs }
    }

    fn run(scripts: &[(&str, &str)]) -> Vec<Ended> {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<_> = scripts.iter().map(|(name, _)| (*name).to_owned()).collect();
        let arguments = Arguments { targets: Vec::new(), seconds: 1 };
        all(&places(folder.path(), scripts), &names, &arguments).unwrap()
    }

    #[test]
    fn targets_end_in_their_order_whoever_is_faster() {
        let slow = format!("sleep 0.2; {GOOD}");
        let ended = run(&[("slow", slow.as_str()), ("fast", GOOD), ("last", GOOD)]);
        let names: Vec<_> = ended.iter().map(|ended| ended.name.as_str()).collect();
        assert_eq!(names, ["slow", "fast", "last"]);
        assert!(ended.iter().all(|ended| ended.finding.is_none()));
    }

    #[test]
    fn a_finding_is_named_by_its_artifact_and_ends_no_other_target() {
        let crash = "echo 'x Test unit written to out/crash-1' >&2; exit 77";
        let ended = run(&[("bad", crash), ("good", GOOD)]);
        assert_eq!(ended[0].finding.as_deref(), Some("out/crash-1"));
        assert_eq!((ended[1].finding.as_deref(), ended[1].statistics.executions), (None, 5));
    }

    #[test]
    fn a_target_that_fails_without_an_artifact_is_a_finding() {
        let ended = run(&[("bad", "exit 3")]);
        assert!(ended[0].finding.as_deref().unwrap().starts_with("exit status: 3, see "));
    }

    #[test]
    fn a_target_that_runs_no_input_is_a_finding() {
        for script in ["true", "echo 'stat::number_of_executed_units: 0'"] {
            let ended = run(&[("idle", script)]);
            let finding = ended[0].finding.as_deref().unwrap();
            assert!(finding.starts_with("no input was run, see "), "{script}: {finding}");
        }
    }

    #[test]
    fn a_target_is_given_its_folders_and_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path(), &[]);
        let arguments = Arguments { targets: Vec::new(), seconds: 9 };
        let command = command(&places, "texts", &arguments).unwrap();
        let given: Vec<_> = command.get_args().filter_map(|text| text.to_str()).collect();
        assert!(given[0].ends_with("package/corpus/texts") && given[1].ends_with("corpora/texts"));
        for limit in ["-max_total_time=9", "-max_len=8192", "-timeout=20", "-rss_limit_mb=2048"] {
            assert!(given.contains(&limit), "{given:?}");
        }
        assert!(places.package.join("artifacts/texts").is_dir());
    }

    #[test]
    fn everything_that_was_printed_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path(), &[("one", "echo out; echo err >&2")]);
        let arguments = Arguments { targets: Vec::new(), seconds: 1 };
        all(&places, &["one".to_owned()], &arguments).unwrap();
        let log = fs::read_to_string(places.package.join("artifacts/one/output.log")).unwrap();
        assert_eq!(log, "out\nerr\n");
    }
}
