//! The files of a run.
//!
//! Invariant: `run.json` names no series whose samples are not written, what an earlier run left is
//! there until something is measured, and one run at a time writes to a folder.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::document::{Run, Series, Status};
use super::load::Sample;
use super::{HarnessError, histogram, report};

/// The folder of a run while it is measured.
#[derive(Debug)]
pub(crate) struct Output {
    folder: PathBuf,
    scratch: PathBuf,
    _lock: File,
}

impl Output {
    /// Makes the folder, if it is not there.
    pub(crate) fn create(folder: &Path) -> Result<Self, HarnessError> {
        let scratch = folder.join(SCRATCH);
        fs::create_dir_all(&scratch).map_err(|error| refused(folder, error))?;
        let lock = File::create(scratch.join(LOCK)).map_err(|error| refused(folder, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), scratch, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(refused(folder, "another run writes to it")),
            Err(TryLockError::Error(error)) => Err(refused(folder, error)),
        }
    }

    /// Takes out what an earlier run left in the folder.
    pub(crate) fn begin(&self) -> Result<(), HarnessError> {
        for name in [RUN, HISTOGRAMS, REPORT, PAGE] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(refused(&self.folder, error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let made = File::create(self.folder.join(SAMPLES));
        let made = made.and_then(|file| compressed(file, |file| writeln!(file, "{HEADER}")));
        made.map_err(|error| refused(&self.folder, error))
    }

    /// A folder for what is needed only while the run lasts.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Adds the samples of a series, as a stream of gzip of its own: the file is whole after each.
    pub(crate) fn series(&self, series: &Series, samples: &[Sample]) -> Result<(), HarnessError> {
        let path = self.folder.join(SAMPLES);
        let lines = |file: &mut dyn Write| -> io::Result<()> {
            for Sample { number, intended_ns, started_ns, ended_ns } in samples {
                let id = &series.id;
                writeln!(file, "{id},{number},{intended_ns},{started_ns},{ended_ns}")?;
            }
            Ok(())
        };
        let written = File::options().append(true).open(&path);
        let written = written.and_then(|file| compressed(file, lines));
        written.map_err(|error| failed(&path, error))
    }

    pub(crate) fn run(&self, run: &Run) -> Result<(), HarnessError> {
        write(&self.folder.join(RUN), to_text(run)?.as_bytes())
    }

    /// Writes all that is left, the report too.
    pub(crate) fn finish(self, run: &Run) -> Result<(), HarnessError> {
        self.run(run)?;
        write(&self.folder.join(HISTOGRAMS), &log(run)?)?;
        write_report(&self.folder)
    }

    /// Leaves nothing but the word that the run is void.
    pub(crate) fn void(self, run: &Run) -> Result<(), HarnessError> {
        self.begin()?;
        let path = self.folder.join(SAMPLES);
        fs::remove_file(&path).map_err(|error| failed(&path, error))?;
        self.run(run)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // What is left of it says nothing.
        let _gone = fs::remove_dir_all(&self.scratch);
    }
}

/// The run in a folder.
///
/// # Errors
/// Says what is wrong with its `run.json`; a void run is refused.
pub fn read_run(folder: &Path) -> Result<Run, HarnessError> {
    let path = folder.join(RUN);
    let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
    parse_run(&path, &text)
}

/// The run in the text of a `run.json`; `path` is what errors call it.
///
/// # Errors
/// As for [`read_run`].
#[doc(hidden)]
pub fn parse_run(path: &Path, text: &str) -> Result<Run, HarnessError> {
    let run: Run = serde_json::from_str(text).map_err(|error| failed(path, error))?;
    if run.v != 1 {
        return Err(failed(path, format!("version {} is not known", run.v)));
    }
    match &run.status {
        Status::Void(reason) => Err(failed(path, reason)),
        Status::Complete | Status::Interrupted => Ok(run),
    }
}

/// Writes `report.md` and `report.html` from the folder's `run.json`, and from nothing else.
///
/// # Errors
/// As for [`read_run`], and if they cannot be written.
pub fn write_report(folder: &Path) -> Result<(), HarnessError> {
    let run = read_run(folder)?;
    let path = folder.join(RUN);
    let page = report::page(&run).map_err(|error| failed(&path, error))?;
    write(&folder.join(REPORT), report::markdown(&run).as_bytes())?;
    write(&folder.join(PAGE), page.as_bytes())
}

/// The samples of a run, by series.
pub type Samples = BTreeMap<String, Vec<Sample>>;

/// The samples in a folder.
///
/// # Errors
/// Names the line that is none. What follows the samples of the last series of `run.json` is not
/// read: a run that was killed there may have left half a series.
pub fn read_samples(folder: &Path) -> Result<Samples, HarnessError> {
    let run = read_run(folder)?;
    let path = folder.join(SAMPLES);
    let file = File::open(&path).map_err(|error| failed(&path, error))?;
    parse_samples(&path, &run, BufReader::new(file))
}

/// The samples of a run in what a `samples.csv.gz` holds; `path` is what errors call it.
///
/// # Errors
/// As for [`read_samples`].
#[doc(hidden)]
pub fn parse_samples(
    path: &Path,
    run: &Run,
    mut packed: impl BufRead,
) -> Result<Samples, HarnessError> {
    let mut missing = run.series.iter().fold(0_u64, |sum, one| sum.saturating_add(one.count));
    let (mut samples, mut number) = (Samples::new(), 0_u64);
    // Each stream is read to its end, where its checksum stands.
    while number == 0 || missing > 0 {
        if packed.fill_buf().map_err(|error| failed(path, error))?.is_empty() {
            break;
        }
        for line in BufReader::new(GzDecoder::new(&mut packed)).lines() {
            let line = line.map_err(|error| failed(path, error))?;
            number += 1;
            if number == 1 && line == HEADER {
                continue;
            }
            let Some((series, sample)) = parse(&line).filter(|_| number > 1) else {
                return Err(failed(path, format!("line {number} is another")));
            };
            let Some(left) = missing.checked_sub(1) else {
                return Err(failed(path, "it has more samples than the run"));
            };
            missing = left;
            match samples.get_mut(series) {
                Some(known) => known.push(sample),
                None => drop(samples.insert(series.to_owned(), vec![sample])),
            }
        }
    }
    if number == 0 || missing > 0 {
        return Err(failed(path, format!("{missing} samples are missing")));
    }
    Ok(samples)
}

/// Whether the histograms of a run are those of its samples.
///
/// # Errors
/// Names the first series of which they are not.
pub fn check(folder: &Path) -> Result<(), HarnessError> {
    let (run, samples) = (read_run(folder)?, read_samples(folder)?);
    agree(&folder.join(RUN), &run, &samples)
}

/// Whether the histograms of a run are those of these samples; `path` is what errors call it.
///
/// # Errors
/// As for [`check`].
#[doc(hidden)]
pub fn agree(path: &Path, run: &Run, samples: &Samples) -> Result<(), HarnessError> {
    for series in &run.series {
        let own = samples.get(&series.id).map(Vec::as_slice).unwrap_or_default();
        let counted = histogram::of(own.iter().map(Sample::latency_ns));
        let told = histogram::decode(&series.histogram);
        let (Ok(counted), Ok(told)) = (counted, told) else {
            return Err(failed(path, format!("{} has no histogram", series.id)));
        };
        let is_count = u64::try_from(own.len()) == Ok(series.count);
        let quantiles = || series.quantiles.iter().all(|at| told.value_at_quantile(at.q) == at.ns);
        if counted != told || !is_count || !quantiles() || told.max() != series.max_ns {
            return Err(failed(path, format!("{} does not agree with its samples", series.id)));
        }
    }
    Ok(())
}

fn parse(line: &str) -> Option<(&str, Sample)> {
    let mut fields = line.split(',');
    let series = fields.next()?;
    let mut next = || fields.next()?.parse().ok();
    let sample =
        Sample { number: next()?, intended_ns: next()?, started_ns: next()?, ended_ns: next()? };
    fields.next().is_none().then_some((series, sample))
}

fn to_text(run: &Run) -> Result<String, HarnessError> {
    let text = serde_json::to_string_pretty(run);
    text.map(|text| text + "\n").map_err(|error| failed(Path::new(RUN), error))
}

/// The histograms as a log that the tools of HdrHistogram read; each series begins where the one
/// before ended.
fn log(run: &Run) -> Result<Vec<u8>, HarnessError> {
    let refused = |reason: &str| failed(Path::new(HISTOGRAMS), reason);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("custody-bench: latencies in nanoseconds, one line a series");
    builder.with_max_value_divisor(1.0);
    let mut writer = builder
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(|_| refused("its head was not written"))?;
    let mut begun = Duration::ZERO;
    for series in &run.series {
        let own = histogram::decode(&series.histogram);
        let own = own.map_err(|_| refused("a histogram is not one"))?;
        let (length, tag) = (Duration::from_nanos(series.elapsed_ns), Tag::new(&series.id));
        let written = writer.write_histogram(&own, begun, length, tag);
        written.map_err(|_| refused("a series was not written"))?;
        begun += length;
    }
    Ok(bytes)
}

/// Adds one stream of gzip to a file.
fn compressed(file: File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    write(&mut encoder)?;
    encoder.finish()?.flush()
}

/// Writes a file in the place of one before it, which is there until this one is whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), HarnessError> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let written = fs::write(&next, bytes).and_then(|()| fs::rename(&next, path));
    written.map_err(|error| failed(path, error))
}

fn refused(folder: &Path, reason: impl ToString) -> HarnessError {
    HarnessError::Output { path: folder.to_owned(), reason: reason.to_string() }
}

fn failed(path: &Path, reason: impl ToString) -> HarnessError {
    HarnessError::File { path: path.to_owned(), reason: reason.to_string() }
}

const RUN: &str = "run.json";
const SAMPLES: &str = "samples.csv.gz";
const HISTOGRAMS: &str = "latency.hlog";
const REPORT: &str = "report.md";
const PAGE: &str = "report.html";
const SCRATCH: &str = ".while-it-runs";
const LOCK: &str = "lock";
const HEADER: &str = "series,number,intended_ns,started_ns,ended_ns";
