//! What a machine that loses its power leaves: the calls of a life are done again, without those
//! that no sync has made durable.
//!
//! A file has what it had at its last sync, and a folder the names of its last sync: stricter than
//! any file system. With a seed, some of what came since then is there too: any of the changes of a
//! file, in part, and the first few of the names of a folder.
//!
//! **Invariant:** a call that is not understood fails the test, so that nothing is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::life::SAID;

/// The calls of one life, and a disk that goes along with them.
pub(crate) struct Journal {
    calls: std::vec::IntoIter<Call>,
    last: String,
    said: usize,
    disk: Disk,
    /// Syncs of files whose names end so are told to have happened, and have not.
    deaf_to: Option<&'static str>,
}

/// A call that succeeded, on paths below the house's folder.
struct Call {
    what: u8,
    number: usize,
    path: PathBuf,
    to: Option<PathBuf>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Disk {
    files: Vec<File>,
    /// What a process sees under each name.
    names: BTreeMap<PathBuf, Entry>,
    /// The names as they were last synced.
    synced: BTreeMap<PathBuf, Entry>,
    /// What happened to names since, in order.
    since: Vec<Renaming>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

/// One change of the names of a folder.
#[derive(Clone)]
struct Renaming {
    removed: Option<PathBuf>,
    put: Option<(PathBuf, Entry)>,
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Journal {
    /// The journal in the file `written`, of a life in the folder `root` that began with `image`.
    pub(crate) fn read(
        written: &Path,
        root: &Path,
        image: Option<&Path>,
        deaf_to: Option<&'static str>,
    ) -> Self {
        let mut disk = Disk::default();
        disk.names.insert(PathBuf::new(), Entry::Folder);
        if let Some(image) = image {
            disk.take(image, image);
        }
        disk.synced.clone_from(&disk.names);
        let bytes = fs::read(written).unwrap();
        let mut calls = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let head = std::str::from_utf8(&rest[..end]).unwrap();
            let [what, number, length, paths] = head.splitn(4, ' ').collect::<Vec<_>>()[..] else {
                panic!("{head}");
            };
            let length: usize = length.parse().unwrap();
            let (path, to) = paths.split_once('\t').map_or((paths, None), |(a, b)| (a, Some(b)));
            let below = |path: &str| Path::new(path).strip_prefix(root).unwrap().to_owned();
            calls.push(Call {
                what: what.as_bytes()[0],
                number: number.parse().unwrap(),
                path: below(path),
                to: to.map(below),
                bytes: rest[end + 1..end + 1 + length].to_vec(),
            });
            rest = &rest[end + 1 + length..];
        }
        Self { calls: calls.into_iter(), last: String::new(), said: 0, disk, deaf_to }
    }

    /// Does the next call; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Some(call) = self.calls.next() else { return false };
        let name = call.path.to_string_lossy().into_owned();
        if name.starts_with(SAID) {
            self.said += 1;
        }
        self.last = format!("{} {} {name}", char::from(call.what), call.number);
        let is_deaf = self.deaf_to.is_some_and(|end| call.what == b'S' && name.ends_with(end));
        if !is_deaf {
            self.disk.apply(call);
        }
        true
    }

    /// How many lines the life had said.
    pub(crate) fn said(&self) -> usize {
        self.said
    }

    /// The call that was done last.
    pub(crate) fn last(&self) -> &str {
        &self.last
    }

    /// Writes what is left into the empty folder `root`.
    pub(crate) fn leave(&self, root: &Path, seed: Option<u64>) {
        let mut seeded = seed.map(Seeded);
        for (path, entry) in self.disk.left(seeded.as_mut()) {
            let whole = root.join(&path);
            let is_reached = whole.parent().is_some_and(Path::is_dir);
            match entry {
                _ if !is_reached || path == Path::new("") => {}
                Entry::Folder => fs::create_dir(whole).unwrap(),
                // Written through a mapping, never durable, and made again from the log.
                Entry::File(_) if whole.to_string_lossy().ends_with("-shm") => {}
                Entry::File(file) => {
                    fs::write(whole, self.disk.files[file].left(seeded.as_mut())).unwrap();
                }
            }
        }
    }
}

impl Disk {
    /// Takes all files below `folder`, which are durable.
    fn take(&mut self, image: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(image).unwrap().to_owned();
            if path.is_dir() {
                self.names.insert(name, Entry::Folder);
                self.take(image, &path);
            } else {
                self.names.insert(name, Entry::File(self.files.len()));
                self.files.push(File { synced: fs::read(path).unwrap(), since: Vec::new() });
            }
        }
    }

    fn apply(&mut self, call: Call) {
        let Call { what, number, path, to, bytes } = call;
        match what {
            b'M' => self.rename(None, Some((path, Entry::Folder))),
            b'U' => self.rename(Some(path), None),
            b'R' => {
                let entry = self.names[&path];
                self.rename(Some(path), to.map(|to| (to, entry)));
            }
            b'O' if !self.names.contains_key(&path) => {
                self.files.push(File::default());
                self.rename(None, Some((path, Entry::File(self.files.len() - 1))));
            }
            b'O' if number == 1 => self.change(&path, Change::Length(0)),
            b'O' => {}
            b'T' => self.change(&path, Change::Length(number)),
            b'W' => self.change(&path, Change::Write(number, bytes)),
            b'S' => self.sync(&path),
            _ => panic!("a call that nobody understands: {}", char::from(what)),
        }
    }

    fn rename(&mut self, removed: Option<PathBuf>, put: Option<(PathBuf, Entry)>) {
        let renaming = Renaming { removed, put };
        renaming.clone().apply(&mut self.names);
        self.since.push(renaming);
    }

    fn change(&mut self, path: &Path, change: Change) {
        // A file that has no name any more is of no interest.
        if let Some(Entry::File(file)) = self.names.get(path) {
            self.files[*file].since.push(change);
        }
    }

    fn sync(&mut self, path: &Path) {
        match self.names.get(path) {
            Some(Entry::File(file)) => {
                let file = &mut self.files[*file];
                file.synced = file.after(|_| true, |_| false);
                file.since.clear();
            }
            Some(Entry::Folder) => {
                let (here, elsewhere) =
                    self.since.drain(..).partition(|renaming: &Renaming| renaming.is_in(path));
                self.since = elsewhere;
                let here: Vec<Renaming> = here;
                here.into_iter().for_each(|renaming| renaming.apply(&mut self.synced));
            }
            None => {}
        }
    }

    /// The names that are left.
    fn left(&self, mut seeded: Option<&mut Seeded>) -> BTreeMap<PathBuf, Entry> {
        let (mut left, mut ended) = (self.synced.clone(), BTreeSet::new());
        for renaming in &self.since {
            let folder = renaming.folder();
            let goes_on = seeded.as_mut().is_some_and(|seeded| seeded.draw() % 4 != 0);
            if !goes_on {
                ended.insert(folder.clone());
            }
            if !ended.contains(&folder) {
                renaming.clone().apply(&mut left);
            }
        }
        left
    }
}

impl Renaming {
    fn apply(self, names: &mut BTreeMap<PathBuf, Entry>) {
        if let Some(removed) = self.removed {
            names.remove(&removed);
        }
        names.extend(self.put);
    }

    /// The folder whose name changes; nothing here is moved from one to another.
    fn folder(&self) -> PathBuf {
        let path = self.put.as_ref().map(|(path, _)| path).or(self.removed.as_ref());
        path.and_then(|path| path.parent()).unwrap().to_owned()
    }

    fn is_in(&self, folder: &Path) -> bool {
        self.folder() == folder
    }
}

impl File {
    fn left(&self, seeded: Option<&mut Seeded>) -> Vec<u8> {
        let Some(seeded) = seeded else { return self.synced.clone() };
        let drawn: Vec<_> = self.since.iter().map(|_| seeded.draw()).collect();
        self.after(|index| drawn[index] % 2 == 0, |index| drawn[index] % 8 == 0)
    }

    /// The content after those changes that are kept, and half of those that are torn.
    fn after(&self, is_kept: impl Fn(usize) -> bool, is_torn: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut content = self.synced.clone();
        for (index, change) in self.since.iter().enumerate().filter(|(index, _)| is_kept(*index)) {
            match change {
                Change::Length(length) => content.resize(*length, 0),
                Change::Write(place, bytes) => {
                    let bytes = if is_torn(index) { &bytes[..bytes.len() / 2] } else { bytes };
                    let end = place + bytes.len();
                    if content.len() < end {
                        content.resize(end, 0);
                    }
                    content[*place..end].copy_from_slice(bytes);
                }
            }
        }
        content
    }
}

/// SplitMix64.
struct Seeded(u64);

impl Seeded {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
