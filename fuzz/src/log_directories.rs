//! Files that others kept: an exported log, the tiles and checkpoint of a log, the file of an
//! anchor. What was changed is refused, or makes no difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use custody_audit::anchor::DirectoryAnchor;
use custody_audit::note::KeyName;
use custody_audit::storage::{MemoryTiles, TileStorage as _};
use custody_audit::verify::{KeyHistory, LogDirectory};
use custody_audit::{TileLog, export};
use custody_core::digest::Digest;
use custody_core::seam::{AuditLog as _, Head, HeadAnchor as _, Position};
use pollster::block_on;
use tempfile::TempDir;

use crate::Seed;
use crate::input::{Input, cut, flip, patched};
use crate::notes::ORIGIN;
use crate::record::Record;

const PARTS: [&str; 5] = ["exported", "changed export", "anchor", "changed anchor", "kept log"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    // One call at a time changes the files.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let taken = match part {
        "exported" | "changed export" => {
            let files = &EXPORTED.files;
            let (name, honest) = &files[usize::from(input.byte()) % files.len()];
            let is_changed = part == "changed export";
            let found =
                if is_changed { patched(honest, input.rest()) } else { input.rest().to_vec() };
            exported(name, honest, &found)
        }
        "anchor" => anchor(input.rest()),
        "changed anchor" => {
            let head = input.byte() % 2 == 1;
            anchor(&patched(anchor_text(head.then(some_head)).as_bytes(), input.rest()))
        }
        _ => kept_log(input.rest()),
    };
    taken.then_some(part)
}

/// An export in which one file has other bytes.
fn exported(name: &Path, honest: &[u8], found: &[u8]) -> bool {
    let root = EXPORTED.folder.path();
    fs::write(root.join(name), found).unwrap();
    let verified = verify(root);
    let document = name.starts_with("documents");
    let is_honest = honest == found;
    if let Some(log) = &verified {
        assert_eq!(log.entries, Record::shared().events, "a changed log is believed");
    }
    // A signature of somebody unknown may stand under a checkpoint.
    let signed_besides = name == Path::new("checkpoint") && found.starts_with(honest);
    let expected = is_honest || document || signed_besides;
    assert!(verified.is_none() || expected, "{} was changed unseen", name.display());
    assert!(verified.is_some() || !is_honest, "an honest export is refused");
    if document {
        let sound = verified.is_some_and(|log| log.sound);
        assert_eq!(sound, is_honest, "a changed document is in the inventory");
    }
    fs::write(root.join(name), honest).unwrap();
    is_honest
}

/// What was verified of a directory.
struct Verified {
    entries: Vec<Vec<u8>>,
    /// Every document has the content that its name says.
    sound: bool,
}

fn verify(root: &Path) -> Option<Verified> {
    let record = Record::shared();
    let mut entries = Vec::new();
    let directory = LogDirectory::open(root).ok()?;
    let replayed = directory.replay(|index, entry| {
        assert_eq!(index, entries.len() as u64);
        entries.push(entry.to_vec());
        Ok::<(), std::convert::Infallible>(())
    });
    let log = replayed.ok()?.authenticate(KeyHistory::new(record.key.clone())).ok()?;
    for (digest, bytes) in &record.documents {
        if let Ok(found) = log.document(*digest) {
            assert_eq!(&found, bytes, "another document is handed out");
        }
    }
    let sound = log.inventory().is_ok_and(|inventory| {
        inventory.documents == record.documents.len() as u64 && inventory.foreign == 0
    });
    Some(Verified { entries, sound })
}

/// A file that claims to be an anchor's.
fn anchor(found: &[u8]) -> bool {
    let folder = EXPORTED.anchor.path();
    fs::write(folder.join("head"), found).unwrap();
    let opened = DirectoryAnchor::open(folder, &KeyName::parse(ORIGIN).unwrap(), &[]);
    let Ok(opened) = opened else { return false };
    let head = block_on(opened.load()).unwrap();
    assert!(anchor_text(head).as_bytes() == found, "a head has one file");
    true
}

/// The file of an anchor with this head, written a second time.
fn anchor_text(head: Option<Head>) -> String {
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut text = format!("custody/head-anchor/v1\n{ORIGIN}\n");
    if let Some(head) = head {
        text.push_str(&format!("{}\n{}\n", head.size.value(), base64(head.root.as_bytes())));
    }
    let sum = base64(Digest::of(text.as_bytes()).as_bytes());
    format!("{text}{sum}\n")
}

fn some_head() -> Head {
    Head { size: Position::new(1_234), root: Digest::of(b"root") }
}

/// A log that is opened over a checkpoint with other bytes: it is the old one, or none.
fn kept_log(changes: &[u8]) -> bool {
    let record = Record::shared();
    let honest = record.checkpoint.note.as_bytes();
    let Ok(note) = String::from_utf8(patched(honest, changes)) else { return false };
    let tiles = Arc::new(MemoryTiles::default());
    block_on(tiles.put_checkpoint(note)).unwrap();
    let (store, signers) = (Arc::new(record.store.clone()), vec![Arc::clone(&record.signer)]);
    let name = KeyName::parse(ORIGIN).unwrap();
    let Ok(log) = block_on(TileLog::open(name, store, tiles, signers)) else { return false };
    let head = block_on(log.head()).unwrap().unwrap();
    assert_eq!(head.head, record.checkpoint.head, "a log is taken up at another head");
    let size = record.events.len() as u64;
    let sealed = block_on(log.seal(Position::new(size))).unwrap();
    assert_eq!(sealed.head, record.checkpoint.head);
    true
}

/// An export of the recorded log, and a folder for anchors, for one process.
struct Exported {
    folder: TempDir,
    anchor: TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
}

static EXPORTED: LazyLock<Exported> = LazyLock::new(|| {
    let record = Record::shared();
    let (folder, anchor) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = folder.path();
    block_on(export(&record.store, &record.checkpoint, target)).unwrap();
    let mut files = Vec::new();
    collect(target, target, &mut files);
    files.sort();
    Exported { folder, anchor, files }
});

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
        }
    }
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut last = "";
    let mut numbers = Vec::new();
    for (number, (name, _)) in EXPORTED.files.iter().enumerate() {
        let kind = name.components().next().and_then(|part| part.as_os_str().to_str()).unwrap();
        let many = kind == last && kind == "documents" && numbers.len() > 3;
        if !many {
            numbers.push((number as u8, kind));
        }
        last = kind;
    }
    for (number, kind) in numbers {
        let (_, honest) = &EXPORTED.files[usize::from(number)];
        let name = format!("{kind}-{number}");
        if honest.len() < 6_000 {
            seeds.push((format!("{name}-whole"), [&[0, number], &honest[..]].concat()));
        }
        seeds.push((format!("{name}-empty"), vec![0, number]));
        seeds.push((format!("{name}-same"), vec![1, number]));
        for at in [0, 10, 33] {
            let flipped = [&[1, number][..], &flip(at, 1)].concat();
            seeds.push((format!("{name}-flipped-{at}"), flipped));
        }
        seeds.push((format!("{name}-cut"), [&[1, number][..], &cut(30)].concat()));
    }
    for (head, name) in [(None, "empty"), (Some(some_head()), "head")] {
        let text = anchor_text(head);
        seeds.push((format!("anchor-{name}"), [&[2], text.as_bytes()].concat()));
        let crlf = text.replace('\n', "\r\n");
        seeds.push((format!("anchor-{name}-crlf"), [&[2], crlf.as_bytes()].concat()));
        let which = u8::from(head.is_some());
        seeds.push((format!("anchor-{name}-same"), vec![3, which]));
        seeds.push((format!("anchor-{name}-flipped"), [&[3, which][..], &flip(50, 1)].concat()));
        seeds.push((format!("anchor-{name}-cut"), [&[3, which][..], &cut(40)].concat()));
    }
    seeds.push(("kept-same".to_owned(), vec![4]));
    for at in [0, 5, 21, 30, 70, 100] {
        seeds.push((format!("kept-flipped-{at}"), [&[4][..], &flip(at, 1)].concat()));
    }
    seeds
}
