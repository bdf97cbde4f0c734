use std::io;

use super::document::AnchorFileError;

/// Why an anchor cannot be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryAnchorError {
    /// The directory lies in one that the anchor must be apart from.
    #[error("the anchor lies in a directory of the store or of the log")]
    Apart,
    /// There is an anchor already.
    #[error("there is an anchor in the directory already")]
    Exists,
    /// The file of the anchor cannot be believed.
    #[error("the file of the anchor cannot be believed")]
    File(#[from] AnchorFileError),
    /// The directory holds something else than an anchor, and so may be that of a store or a log.
    #[error("the directory of the anchor holds something else")]
    Foreign,
    /// Another anchor has the directory open, in this process or another.
    #[error("the anchor is in use by another process or another anchor in this one")]
    InUse,
    /// The operating system refused to make, read, write or lock a file or to start a thread.
    #[error("the operating system failed to open the anchor")]
    Io(#[source] io::Error),
    /// There is no anchor in the directory.
    #[error("there is no anchor in the directory")]
    Missing,
}
