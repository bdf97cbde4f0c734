use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::seam::Head;

use super::{check_note, leaf_hash, root_of_path};

const VERSION: &str = "c2sp.org/tlog-proof@v1";

/// The parts of a receipt file (C2SP tlog-proof), not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFile {
    entry: Vec<u8>,
    index: u64,
    path: Vec<Digest>,
    note: String,
}

impl ReceiptFile {
    /// Puts a receipt together.
    #[must_use]
    pub const fn new(entry: Vec<u8>, index: u64, path: Vec<Digest>, note: String) -> Self {
        Self { entry, index, path, note }
    }

    /// Reads a receipt file that carries its entry as extra data.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn parse(file: &str) -> Result<Self, String> {
        let (head, note) = file.split_once("\n\n").ok_or("no empty line before the checkpoint")?;
        let mut lines = head.lines();
        if lines.next() != Some(VERSION) {
            return Err(format!("the first line is not {VERSION}"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.ok_or("the second line is not the event as extra data")?;
        let entry = STANDARD.decode(extra).map_err(|_| "the extra data are not base64")?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|index| index.parse().ok()).ok_or("there is no index line")?;
        let hash = |line: &str| -> Result<Digest, String> {
            let bytes = STANDARD.decode(line).map_err(|_| "a hash is not base64")?;
            let bytes = bytes.try_into().map_err(|_| "a hash has another length")?;
            Ok(Digest::new(bytes))
        };
        let path = lines.map(hash).collect::<Result<_, String>>()?;
        Ok(Self { entry, index, path, note: note.to_owned() })
    }

    /// The entry and its index, if the path leads from it to a head that `key` has signed.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn verify(&self, key: &PublicKey) -> Result<(u64, &[u8], Head), String> {
        let head = check_note(&self.note, key)?;
        let leaf = leaf_hash(&self.entry);
        let found = root_of_path(leaf, self.index, head.size.value(), &self.path);
        if found != Some(head.root) {
            return Err(format!("entry {} is not under the head of {}", self.index, head.size));
        }
        Ok((self.index, &self.entry, head))
    }
}

impl fmt::Display for ReceiptFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}\nextra {}", STANDARD.encode(&self.entry))?;
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.note)
    }
}
