//! The seams: what a host or a sibling crate implements, and what this crate asks of it.
//!
//! Invariant: a seam is small and dyn-safe, and only calls that leave the process are async. Each
//! "must" in these docs has one named check in the conformance suites of `custody-testkit`.

mod audit;
mod backend;
mod decoder;
mod error;
mod key;
mod policy;
mod runtime;
mod store;

pub use audit::{AnchorError, AuditError, AuditLog, Checkpoint, Head, HeadAnchor, Receipt};
pub use backend::{
    Attestation, BackendError, Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport,
    KeyResealing, KeySwitch, KeyWrapping, Signer,
};
pub use decoder::{
    ContextAccount, DecodeContext, DecodeError, Decoder, DescriptorError, DescriptorReader, Intent,
    Payload, SigningTask, TaskInput, TaskSignature, WalletDescriptor, WalletDescriptorError,
};
pub use error::ErrorKind;
pub use key::{
    DerivationPath, DerivationPathError, Exportability, ExtendedPublicKey, KeyHandle, KeyRecord,
    KeyRequest, NewKey, NewSeed, SeedRecord, SeedRequest,
};
pub use policy::{
    ApprovalFacts, Authentication, DestinationFacts, EffectFacts, Facts, Finding, Judgement,
    Missing, MoneyFacts, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError, Requester,
    Requirement, RoleFacts, Spent, Subject, WindowSums,
};
pub use runtime::{Clock, Entropy, EntropyError, Monotonic, Spawner};
pub use store::{Batch, Event, Position, Record, RecordKey, RecordKeyError, Store, StoreError};
