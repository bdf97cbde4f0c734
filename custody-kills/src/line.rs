//! The list: what a life tells its driver, one line for each answer that a caller was given.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use custody_testkit::oracle::Given;
use serde::{Deserialize, Serialize};

use crate::figures::Figures;

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "both ends are here")]
pub enum Line {
    /// The custodian is closed, and so is its store.
    Closed,
    /// The custodian is about to be closed.
    Closing,
    /// What the process uses.
    Figures(Figures),
    /// A caller was given this.
    Given(Given),
    /// The custodian is open.
    Open,
    /// How often each failpoint was reached.
    Reached(BTreeMap<String, u64>),
}

impl Line {
    /// Reads a line.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

/// The child's end of the pipe.
#[derive(Debug)]
pub struct Pipe(Mutex<io::Stdout>);

impl Default for Pipe {
    fn default() -> Self {
        Self(Mutex::new(io::stdout()))
    }
}

impl Pipe {
    /// Tells the driver; afterwards the pipe has the whole line, whatever becomes of this process.
    pub fn tell(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).expect("a line can be written");
        text.push(b'\n');
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pipe.write_all(&text).and_then(|()| pipe.flush()).is_err() {
            // Nobody listens any more.
            std::process::exit(0);
        }
    }
}
