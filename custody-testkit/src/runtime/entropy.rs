use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use custody_core::seam::{Entropy, EntropyError};
use sha2::{Digest as _, Sha256};

/// The environment variable that names the file to which filled bytes are reported, so that the
/// output of a run can be searched for them.
const SECRET_TAP: &str = "CUSTODY_SECRET_TAP";

/// Chunks below this many bytes are nonces and ids, not secrets, and are not reported.
const TAPPED_BYTES_MIN: usize = 16;

/// A seeded stream of bytes: SHA-256 of seed and counter. The same seed gives the same bytes.
///
/// When the environment variable `CUSTODY_SECRET_TAP` names a file, each filled chunk of at least
/// 16 bytes is appended to it as one line of lower-case hex.
pub struct TestEntropy {
    seed: u64,
    tap: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counter: u64,
    rest: Vec<u8>,
    /// Calls that still succeed; none if all do.
    left: Option<u64>,
}

impl TestEntropy {
    /// The stream of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with_budget(seed, None)
    }

    /// A source of which every call fails.
    #[must_use]
    pub fn failing() -> Self {
        Self::failing_after(0)
    }

    /// A source of which the first `calls` calls succeed and all others fail.
    #[must_use]
    pub fn failing_after(calls: u64) -> Self {
        Self::with_budget(0, Some(calls))
    }

    fn with_budget(seed: u64, left: Option<u64>) -> Self {
        let state = Mutex::new(State { counter: 0, rest: Vec::new(), left });
        Self { seed, tap: std::env::var_os(SECRET_TAP).map(PathBuf::from), state }
    }

    fn report(&self, bytes: &[u8]) {
        let Some(tap) = self.tap.as_ref().filter(|_| bytes.len() >= TAPPED_BYTES_MIN) else {
            return;
        };
        let line = format!("{}\n", hex::encode(bytes));
        let mut file = OpenOptions::new().append(true).create(true).open(tap).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

impl fmt::Debug for TestEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestEntropy").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut state = self.state.lock().unwrap();
        if let Some(left) = &mut state.left {
            *left = left.checked_sub(1).ok_or_else(EntropyError::new)?;
        }
        while state.rest.len() < bytes.len() {
            let mut block = Sha256::new();
            block.update(b"custody-testkit/entropy");
            block.update(self.seed.to_be_bytes());
            block.update(state.counter.to_be_bytes());
            state.counter += 1;
            state.rest.extend_from_slice(&block.finalize());
        }
        let rest = state.rest.split_off(bytes.len());
        bytes.copy_from_slice(&state.rest);
        state.rest = rest;
        drop(state);
        self.report(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(entropy: &TestEntropy, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        entropy.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn one_seed_is_one_stream_however_it_is_cut() {
        let (whole, cut) = (TestEntropy::seeded(7), TestEntropy::seeded(7));
        let pieces: Vec<u8> = [5, 0, 40, 19].iter().flat_map(|n| filled(&cut, *n)).collect();
        assert_eq!(filled(&whole, 64), pieces);
        assert_ne!(filled(&TestEntropy::seeded(8), 64), pieces);
    }

    #[test]
    fn a_failing_source_fails_from_its_call_on() {
        assert!(TestEntropy::failing().fill(&mut [0; 1]).is_err());
        let entropy = TestEntropy::failing_after(1);
        assert!(entropy.fill(&mut [0; 1]).is_ok());
        assert!(entropy.fill(&mut [0; 1]).is_err());
        assert!(entropy.fill(&mut [0; 1]).is_err());
    }

    #[test]
    fn the_tap_gets_every_long_chunk_as_a_line_of_hex() {
        let folder = tempfile::tempdir().unwrap();
        let mut entropy = TestEntropy::seeded(1);
        entropy.tap = Some(folder.path().join("tap"));
        let (first, _, second) = (filled(&entropy, 16), filled(&entropy, 15), filled(&entropy, 32));
        let expected = format!("{}\n{}\n", hex::encode(first), hex::encode(second));
        assert_eq!(std::fs::read_to_string(folder.path().join("tap")).unwrap(), expected);
    }
}
