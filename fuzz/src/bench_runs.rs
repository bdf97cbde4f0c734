//! What a measured run leaves in its folder: `run.json`, samples and histograms. What is read says
//! what it says once, a report needs nothing else, and changed samples are never taken for others.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_bench::harness::document::Run;
use custody_bench::harness::{
    Sample, Samples, agree, decode, encode, parse_run, parse_samples, report,
};
use custody_bench::hdrhistogram::Histogram;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use crate::Seed;
use crate::input::{Input, chosen, cut, flip, patched};
use crate::json::{has_unique_keys, with_unknown_field};

const PARTS: [&str; 5] = ["changed samples", "histogram", "run", "samples", "unpacked histogram"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let taken = match part {
        "changed samples" => changed(input.rest()),
        "histogram" => std::str::from_utf8(input.rest()).is_ok_and(histogram),
        "run" => std::str::from_utf8(input.rest()).is_ok_and(run),
        "samples" => samples(input),
        _ => unpacked(input.rest()),
    };
    taken.then_some(part)
}

/// A run is written to what reads alike, and nothing of it is markup of its report.
fn run(text: &str) -> bool {
    let Ok(run) = parse_run(Path::new(RUN), text) else { return false };
    let written = serde_json::to_string(&run).unwrap();
    let again = parse_run(Path::new(RUN), &written).unwrap();
    assert_eq!(figures(&again), figures(&run));
    let markdown = report::markdown(&run);
    assert_eq!(report::markdown(&run), markdown, "a report is not of the run alone");
    if let Ok(page) = report::page(&run) {
        assert!(!page.contains(MARKUP), "what the run says is markup");
    }
    if let Ok(samples) = parse_samples(Path::new(SAMPLES), &run, &PACKED[..]) {
        assert_eq!(samples.len(), usize::from(run.series.iter().any(|series| series.count > 0)));
        let _either = agree(Path::new(RUN), &run, &samples);
    }
    assert!(has_unique_keys(text.as_bytes()), "a key stands twice");
    let is_read = |bytes: &[u8]| serde_json::from_slice::<Run>(bytes).is_ok();
    let read = with_unknown_field(text.as_bytes()).iter().filter(|other| is_read(other)).count();
    // What was said when calls failed may be anything.
    assert_eq!(read, run.series.len(), "an unknown field is read");
    true
}

fn figures(run: &Run) -> Vec<(&str, u64, u64, &str)> {
    let series = run.series.iter();
    series.map(|one| (one.id.as_str(), one.count, one.max_ns, one.histogram.as_str())).collect()
}

/// Samples as lines: each is read as it stands, and as many as the run has.
fn samples(mut input: Input<'_>) -> bool {
    let count = input.byte();
    let Ok(lines) = std::str::from_utf8(input.rest()) else { return false };
    let run = parse_run(Path::new(RUN), &run_with(count.into()).to_string()).unwrap();
    let packed = packed(&format!("{HEADER}\n{lines}"));
    let Ok(samples) = parse_samples(Path::new(SAMPLES), &run, packed.as_slice()) else {
        return false;
    };
    let mut expected = Samples::new();
    for line in lines.lines().take(count.into()) {
        let mut fields = line.split(',');
        let series = fields.next().unwrap().to_owned();
        let numbers: Vec<u64> = fields.map(|field| field.parse().unwrap()).collect();
        let [number, intended_ns, started_ns, ended_ns] = numbers[..] else {
            panic!("a line of {} numbers is read", numbers.len())
        };
        let sample = Sample { number, intended_ns, started_ns, ended_ns };
        expected.entry(series).or_default().push(sample);
    }
    assert_eq!(samples, expected);
    assert_eq!(samples.values().map(Vec::len).sum::<usize>(), usize::from(count));
    let _either = agree(Path::new(RUN), &run, &samples);
    true
}

/// A file of samples that is changed says the same, or is refused.
fn changed(changes: &[u8]) -> bool {
    let run = parse_run(Path::new(RUN), &run_with(2).to_string()).unwrap();
    let read = |bytes: &[u8]| parse_samples(Path::new(SAMPLES), &run, bytes).ok();
    let Some(samples) = read(&patched(&PACKED, changes)) else { return false };
    assert_eq!(Some(samples), read(&PACKED), "changed samples are read");
    true
}

/// A histogram is written to what reads the same.
fn histogram(text: &str) -> bool {
    let Ok(histogram) = decode(text) else { return false };
    let written = encode(&histogram).unwrap();
    assert_eq!(decode(&written).as_ref(), Ok(&histogram));
    let quantiles = [0.0, 0.5, 0.99, 1.0].map(|at| histogram.value_at_quantile(at));
    assert!(quantiles.is_sorted(), "{quantiles:?}");
    true
}

/// The counts of a histogram, behind an honest head.
fn unpacked(bytes: &[u8]) -> bool {
    let length = u32::try_from(bytes.len()).unwrap();
    let head = [
        &COOKIE.to_be_bytes()[..],
        &length.to_be_bytes(),
        &[0; 4],
        &3_u32.to_be_bytes(),
        &1_u64.to_be_bytes(),
        &LONGEST.to_be_bytes(),
        &1_f64.to_be_bytes(),
    ]
    .concat();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&[&head[..], bytes].concat()).unwrap();
    let packed = packed.finish().unwrap();
    let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
    histogram(&STANDARD.encode([&COMPRESSED.to_be_bytes()[..], &length, &packed].concat()))
}

/// A run of one series that has so many samples.
fn run_with(count: u64) -> Value {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST, 3).unwrap();
    [6, 8].iter().for_each(|time| histogram.record(*time).unwrap());
    let settings = json!({
        "backend": "soft", "backend_facts": { "store": "memory" }, "algorithm": "ed25519",
        "concurrency": [1], "loops": ["closed"], "duration_ms": 1_000, "warm_up_ms": 100,
        "governed": false, "peers": true, "seed": 0,
    });
    let machine = json!({
        "id": "0", "cpu": "cpu", "cores": 2, "memory_kib": 1_024, "architecture": "x",
    });
    let build = json!({
        "compiler": "c", "flags": "", "profile": "p", "features": ["f"], "commit": "0",
        "crates": { "k256": "0.14" },
    });
    let environment = json!({
        "machine": machine, "kernel": "k", "governor": "g", "build": build,
        "clock_granularity_ns": 20, "load_before": "0.1 0.1", "load_after": "0.1 0.1",
    });
    let series = json!({
        "id": "raw", "role": "raw", "subject": "soft", "concurrency": 1, "load": "closed",
        "elapsed_ns": 50, "count": count, "unanswered": 0, "is_cut": false,
        "errors": { "refused": 1 }, "rate": 2.5, "mean_ns": 7.0,
        "quantiles": [{ "q": 0.5, "ns": 6 }], "max_ns": 8,
        "histogram": encode(&histogram).unwrap(), "lateness": null, "verify_mean_ns": 3.0,
        "stages": [],
    });
    json!({
        "v": 1, "status": { "is": "complete" }, "started_ms": 1_796_033_218_018_u64,
        "settings": settings, "environment": environment, "series": [series],
    })
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The head and two samples, each as a stream of its own; always the same bytes.
static PACKED: LazyLock<Vec<u8>> =
    LazyLock::new(|| [packed(&format!("{HEADER}\n")), packed(LINES)].concat());

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |part: &str, name: &str, bytes: &[u8]| {
        let number = PARTS.iter().position(|known| *known == part).unwrap();
        seeds.push((format!("{}-{name}", part.replace(' ', "-")), chosen(number, bytes)));
    };
    add("changed samples", "same", &[]);
    add("changed samples", "cut", &cut(80));
    for at in [3, 9, 20, 60, 75, 85, 90, 95, 100] {
        add("changed samples", &format!("flipped-{at}"), &flip(at, 2));
    }
    let text = run_with(2).to_string();
    let good = run_with(2)["series"][0]["histogram"].as_str().unwrap().to_owned();
    for (name, text) in [
        ("whole", good.as_str()),
        ("halved", &good[..good.len() / 2]),
        ("empty", ""),
        ("no-base64", "HISTFAAA!"),
    ] {
        add("histogram", name, text.as_bytes());
    }
    let largest = [&[0xfe_u8][..], &[0xff; 8]].concat();
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("counts", vec![2, 4, 6, 0x81, 1, 8]),
        ("least-number", vec![0xff; 9]),
        ("largest-counts", largest.repeat(2)),
        ("many-zeros", vec![0xfd, 0xff, 0xff, 0xff, 0xff, 0x7f, 2]),
        ("beyond", vec![0xff, 0xff, 0x7f, 2]),
        ("cut", vec![2, 0x80]),
    ] {
        add("unpacked histogram", name, &bytes);
    }
    for (name, from, to) in changes() {
        add("run", name, text.replacen(from, to, 1).as_bytes());
    }
    for (name, count, lines) in [
        ("whole", 2, LINES),
        ("fewer", 1, LINES),
        ("more", 3, LINES),
        ("none", 0, ""),
        ("two-series", 2, "raw,1,0,0,6\r\ngoverned,2,0,0,9\n"),
        ("before-it-was-due", 1, "raw,1,9,9,1"),
        ("field-more", 1, "raw,1,0,0,6,7"),
        ("field-less", 1, "raw,1,0,0"),
        ("no-number", 1, "raw,1,0,0,-6"),
        ("large", 1, "raw,18446744073709551615,0,0,18446744073709551615"),
    ] {
        add("samples", name, &[&[count], lines.as_bytes()].concat());
    }
    seeds
}

/// What is put into the place of something else in a run: name, what, for what.
fn changes() -> [(&'static str, &'static str, &'static str); 16] {
    [
        ("whole", "", ""),
        ("interrupted", "\"complete\"", "\"interrupted\""),
        ("void", "{\"is\":\"complete\"}", "{\"is\":\"void\",\"because\":\"x\"}"),
        ("later-version", "\"v\":1", "\"v\":2"),
        ("unknown", "\"seed\":0", "\"seed\":0,\"seeds\":0"),
        ("unknown-in-status", "{\"is\":\"complete\"}", "{\"is\":\"complete\",\"so\":1}"),
        ("key-twice", "{\"refused\":1}", "{\"refused\":1,\"refused\":0}"),
        ("open", "\"load\":\"closed\"", "\"load\":{\"open\":{\"rate\":100.0}}"),
        ("markup", "\"subject\":\"soft\"", "\"subject\":\"<img src=x>\""),
        ("many-failures", "{\"refused\":1}", "{\"a\":18446744073709551615,\"b\":1}"),
        ("many-unanswered", "\"unanswered\":0", "\"unanswered\":18446744073709551615"),
        ("fast", "\"rate\":2.5", "\"rate\":1e308"),
        ("backwards", "\"rate\":2.5", "\"rate\":-1e308"),
        ("late", "1796033218018", "18446744073709551615"),
        ("no-histogram", "\"histogram\":\"", "\"histogram\":\"!"),
        ("no-count", "\"count\":2", "\"count\":0"),
    ]
}

const RUN: &str = "run.json";
const SAMPLES: &str = "samples.csv.gz";
const HEADER: &str = "series,number,intended_ns,started_ns,ended_ns";
const LINES: &str = "raw,1,10,10,16\nraw,2,20,21,28\n";
const MARKUP: &str = "<img";
/// How a histogram begins (HdrHistogram, V2 encoding).
const COOKIE: u32 = 0x1c84_9313;
/// Before one that is compressed.
const COMPRESSED: u32 = 0x1c84_9314;
/// An hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;
