//! Looks through the memory of this process for secrets of which it must have no copy. What is looked
//! for is held behind a mask, and never taken off it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_core::seam::Entropy as _;
use examples_start::entropy::OsEntropy;
use serde::{Deserialize, Serialize};

/// A run of bytes that is looked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Needle {
    name: String,
    mask: Vec<u8>,
    masked: Vec<u8>,
}

/// What to look for if a secret may lie somewhere as bytes, as a number with its last byte first, in hex
/// or in base64. Each half of it is enough: whoever frees memory may write over its begin.
pub(crate) fn needles(name: &str, secret: &[u8]) -> Vec<Needle> {
    let reversed: Vec<_> = secret.iter().rev().copied().collect();
    let forms = [
        ("bytes", secret.to_vec()),
        ("reversed", reversed),
        ("hex", hex::encode(secret).into_bytes()),
        ("base64", STANDARD.encode(secret).trim_end_matches('=').as_bytes().to_vec()),
    ];
    let halves = |(form, text): (&str, Vec<u8>)| {
        let (first, second) = text.split_at(text.len() / 2);
        [first, second].map(|half| hidden(&format!("{name} as {form}"), half))
    };
    forms.into_iter().flat_map(halves).collect()
}

fn hidden(name: &str, text: &[u8]) -> Needle {
    let mut mask = vec![0; text.len()];
    OsEntropy.fill(&mut mask).unwrap();
    let masked = text.iter().zip(&mask).map(|(byte, mask)| byte ^ mask).collect();
    Needle { name: name.to_owned(), mask, masked }
}

/// The names of those that lie in memory that this process can write to.
pub(crate) fn found(needles: &[Needle]) -> BTreeSet<&str> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; CHUNK + OVERLAP];
    let (mut found, mut bytes) = (BTreeSet::new(), 0_u64);
    for (from, to) in maps.lines().filter_map(writable) {
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).unwrap().min(buffer.len());
            // What the kernel keeps for itself is listed and cannot be read.
            if memory.read_exact_at(&mut buffer[..length], at).is_ok() {
                found.extend(
                    needles.iter().filter(|n| n.is_in(&buffer[..length])).map(Needle::name),
                );
            }
            at += u64::try_from(CHUNK).unwrap();
        }
        bytes += to - from;
    }
    assert!(bytes > 1 << 20, "only {bytes} bytes were looked through");
    found
}

/// Begin and end of a region that can be read and written.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split(' ');
    let (from, to) = words.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    words.next()?.starts_with("rw").then_some((number(from)?, number(to)?))
}

impl Needle {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_in(&self, haystack: &[u8]) -> bool {
        let [first, second] = [0, 1].map(|at| self.mask[at] ^ self.masked[at]);
        let is_it = |window: &[u8]| {
            let pairs = window.iter().zip(&self.mask).zip(&self.masked);
            pairs.into_iter().all(|((byte, mask), masked)| byte ^ mask == *masked)
        };
        let mut windows = haystack.windows(self.mask.len());
        windows.any(|window| window[0] == first && window[1] == second && is_it(window))
    }
}

const CHUNK: usize = 1 << 20;
/// No needle is longer.
const OVERLAP: usize = 64;
