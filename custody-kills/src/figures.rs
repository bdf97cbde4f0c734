//! What this process uses of its machine, as Linux tells it.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// What the process uses at one moment, and how much it had done by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "tests take it apart")]
pub struct Figures {
    /// Answers that callers were given.
    pub answers: u64,
    /// Writes of log lines that were refused.
    pub refused_writes: u64,
    /// Open files, sockets and the like.
    pub handles: u64,
    /// Threads.
    pub threads: u64,
    /// Memory that is in use, in KiB.
    pub resident_kib: u64,
}

impl Figures {
    /// What is used now.
    pub fn now(answers: u64, refused_writes: u64) -> Result<Self, Failure> {
        // One handle is the one that lists them.
        let handles = entries("/proc/self/fd")?.saturating_sub(1);
        let (threads, resident_kib) = (entries("/proc/self/task")?, resident()?);
        Ok(Self { answers, refused_writes, handles, threads, resident_kib })
    }
}

fn entries(directory: &str) -> Result<u64, Failure> {
    Ok(u64::try_from(fs::read_dir(directory)?.count())?)
}

fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("the memory in use is not told")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_started_and_written_to_is_seen() {
        let before = Figures::now(0, 0).unwrap();
        let file = fs::File::open("/proc/self/status").unwrap();
        let mut memory = vec![1_u8; 64 * 1_024 * 1_024];
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || ended.recv());
        let more = Figures::now(0, 0).unwrap();
        memory[0] = 2;
        assert_eq!(more.handles, before.handles + 1);
        assert_eq!(more.threads, before.threads + 1);
        assert!(more.resident_kib > before.resident_kib + 60_000, "{before:?} {more:?}");
        drop((file, end));
        assert!(thread.join().unwrap().is_err());
        assert_eq!(memory.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 64 * 1_024 * 1_024 + 1);
    }
}
