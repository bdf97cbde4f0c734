//! Why something was refused. Nothing here holds a signature, a key or a PIN.

use std::path::PathBuf;

use custody_core::crypto::Algorithm;

/// Why something was not measured, reported or compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The backend cannot sign with the algorithm.
    #[error("backend {backend} has no {algorithm}; it has {has}")]
    Algorithm {
        /// The backend.
        backend: String,
        /// What was asked for.
        algorithm: Algorithm,
        /// What it has.
        has: String,
    },
    /// The backend was not opened, or did not make or open a key.
    #[error("backend {backend} cannot be measured: {reason}")]
    Backend {
        /// The backend.
        backend: String,
        /// What it said.
        reason: String,
    },
    /// A figure of the command line is out of bounds.
    #[error("{option} {reason}")]
    Bounds {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The runs are of different machines.
    #[error("the runs are of different machines ({differences}); --force compares them anyway")]
    DifferentMachines {
        /// What differs.
        differences: String,
    },
    /// A file of a run is not what it must be.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The run was ended before any signature was measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The machine does not give what the harness itself needs.
    #[error("this machine cannot run the harness: {reason}")]
    Machine {
        /// What it does not give.
        reason: String,
    },
    /// The host gave no way to govern.
    #[error("this program measures no governed path")]
    NoGovernor,
    /// The two runs measured nothing that is the same.
    #[error("the runs have no series in common")]
    NothingInCommon,
    /// An option that the backend does not know.
    #[error("backend {backend} has no option {option}; it has {has}")]
    Option {
        /// The backend.
        backend: String,
        /// What was given.
        option: String,
        /// What it has.
        has: String,
    },
    /// The folder for the results cannot be written.
    #[error("the folder {path} cannot be written: {reason}", path = path.display())]
    Output {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Two peers have the same name, as far as letters and digits go.
    #[error("two peers are called {name}: one of them needs another name")]
    SameName {
        /// The name of the second.
        name: String,
    },
    /// Nobody registered such a backend.
    #[error("there is no backend {name}; there are {known}")]
    UnknownBackend {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A signature does not verify: the run says nothing.
    #[error("the run is void: {series}: signature {number} of {checked} does not verify: {reason}")]
    Void {
        /// The series.
        series: String,
        /// Which signature.
        number: u64,
        /// How many the series has.
        checked: usize,
        /// What the verification said.
        reason: String,
    },
}
