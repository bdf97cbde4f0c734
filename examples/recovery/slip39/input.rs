//! Shares, secrets and passphrases out of files and standard input. This file opens secrets.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use custody_core::secret::Secret;
use custody_recovery::slip39::Share;
use zeroize::Zeroizing;

use crate::Failure;

/// The shares of these files, in order, or of standard input if there are none.
pub(crate) fn shares(files: &[impl AsRef<Path>]) -> Result<Vec<Share>, Failure> {
    let mut shares = Vec::new();
    if files.is_empty() {
        let text = read(io::stdin(), "standard input")?;
        shares_of(&text, "standard input", &mut shares)?;
    }
    for file in files {
        let name = file.as_ref().display().to_string();
        shares_of(&open(file.as_ref())?, &name, &mut shares)?;
    }
    Ok(shares)
}

/// The passphrase in a file, without its last line break; the empty one if there is no file.
pub(crate) fn passphrase(file: Option<&Path>) -> Result<Secret, Failure> {
    let Some(file) = file else { return Ok(Secret::new(Vec::new())) };
    let text = open(file)?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    Ok(Secret::new(text.strip_suffix(b"\r").unwrap_or(text).to_vec()))
}

/// The secret in a file, in hex.
pub(crate) fn secret(file: &Path) -> Result<Secret, Failure> {
    let text = open(file)?;
    let text = text.trim_ascii();
    // Into a buffer of its length: one that grows leaves copies behind.
    let length = text.len().div_ceil(2);
    let bytes = Secret::try_fill(length, |bytes| hex::decode_to_slice(text, bytes));
    // The error of the decoder would show a character of the secret.
    bytes.map_err(|_| format!("{}: it is not hex", file.display()).into())
}

fn shares_of(text: &[u8], name: &str, shares: &mut Vec<Share>) -> Result<(), Failure> {
    for (number, line) in (1_usize..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let share = Share::parse(&Secret::new(line.to_vec()));
        shares.push(share.map_err(|error| format!("{name}, line {number}: {error}"))?);
    }
    Ok(())
}

fn open(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let name = file.display().to_string();
    match File::open(file) {
        Ok(opened) => read(opened, &name),
        // Whoever gives a share as an argument should not see it a second time.
        Err(_) if name.contains(' ') => Err(NO_FILE.into()),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

/// Reads to the end, into a buffer that does not grow: one that does leaves copies behind.
fn read(from: impl Read, name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(vec![0; LENGTH_MAX]);
    let (mut from, mut length) = (from, 0_usize);
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        let read = from.read(rest).map_err(|error| format!("{name}: {error}"))?;
        if read == 0 {
            bytes.truncate(length);
            return Ok(bytes);
        }
        length = length.saturating_add(read);
    }
    Err(format!("{name}: it has more than {LENGTH_MAX} bytes").into())
}

const NO_FILE: &str = "there is no file of this name; shares are never given as arguments";

/// 256 shares of the longest secrets, with notes.
const LENGTH_MAX: usize = 256 * 1024;
