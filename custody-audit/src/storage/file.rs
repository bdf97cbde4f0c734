//! Files that are either there as a whole or not at all.
//!
//! **Invariant:** a file appears under its name only complete and synced. No more is read than the
//! caller allows.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Writes a file under another name, syncs it and renames it.
///
/// The name itself is durable only after [`sync_directory`] of its directory.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_added_extension(DRAFT);
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&draft, path)
}

/// Makes a directory and those above it, each durable in the one above.
///
/// One that is there is made durable too: a sync of the one above may have failed since it was
/// made, or never have been done.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    if path.is_dir() {
        return sync_found(parent);
    }
    if !parent.is_dir() {
        create_directory(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // Whoever tries again makes it anew, and does not take it for durable.
        Ok(()) => sync_directory(parent).inspect_err(|_| drop(fs::remove_dir(path))),
        Err(_) => sync_directory(parent),
    }
}

/// Makes the directories from `root` down to `path` as [`create_directory`] does, but for those
/// that it has made durable before and that are still there.
pub(crate) fn create_below(
    root: &Path,
    path: &Path,
    durable: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    if path == root || durable.contains(path) && path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_below(root, parent, durable)?;
    }
    create_directory(path)?;
    durable.insert(path.to_owned());
    Ok(())
}

/// As [`sync_directory`], above a directory that was found: where nothing can be made, there is
/// nothing to do.
fn sync_found(parent: &Path) -> io::Result<()> {
    match sync_directory(parent) {
        Err(error) if NOTHING_MADE.contains(&error.kind()) => Ok(()),
        synced => synced,
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads a regular file of at most `bytes_max` bytes; none if there is no such file.
pub(crate) fn read_whole(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open_regular(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max);
    if fits { Ok(Some(bytes)) } else { Err(io::ErrorKind::FileTooLarge.into()) }
}

/// Opens a regular file; none if there is no such file. Whatever else stands there is refused.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    // Opening a pipe would wait for a writer, so the kind is asked for first.
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_file() => File::open(path).map(Some),
        Ok(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

const DRAFT: &str = "draft";
/// What a directory answers that may not be written, or that lies where nothing is synced.
const NOTHING_MADE: [io::ErrorKind; 4] = [
    io::ErrorKind::InvalidInput,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::Unsupported,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"first, and longer").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(read_whole(&path, 6).unwrap(), Some(b"second".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_that_a_crash_left_behind_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x001").join("file.p");
        create_directory(path.parent().unwrap()).unwrap();
        fs::write(folder.path().join("x001/file.p.draft"), b"half a fi").unwrap();
        write_whole(&path, b"whole").unwrap();
        assert_eq!(read_whole(&path, 5).unwrap(), Some(b"whole".to_vec()));
    }

    #[test]
    fn directories_that_went_are_made_again_below_a_root() {
        let folder = tempfile::tempdir().unwrap();
        let (root, mut durable) = (folder.path().join("log"), BTreeSet::new());
        let path = root.join("tile/0/x001");
        for _ in 0..2 {
            create_below(&root, &path, &mut durable).unwrap();
            assert!(path.is_dir());
            let known = ["tile", "tile/0", "tile/0/x001"].map(|path| root.join(path));
            assert!(durable.iter().eq(&known), "{durable:?}");
            fs::remove_dir_all(&root).unwrap();
        }
    }

    #[test]
    fn a_file_one_byte_longer_than_allowed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"seven b").unwrap();
        let refused = read_whole(&path, 6).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_not_a_regular_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_whole(&folder.path().join("nothing"), 6).unwrap(), None);
        let refused = read_whole(folder.path(), 6).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/dev/zero", folder.path().join("link")).unwrap();
            let refused = read_whole(&folder.path().join("link"), 6).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
