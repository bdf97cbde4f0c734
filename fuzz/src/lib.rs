#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "this crate is test support: what does not hold is loud"
)]

pub mod corpus;

mod abis;
mod archives;
mod bench_runs;
mod ceremonies;
mod cloud_trails;
mod custodian_sequences;
mod documents;
mod entries;
mod envelopes;
mod evm_payloads;
mod handles;
mod hsm_texts;
mod http_signers;
mod imports;
mod input;
mod json;
mod kept;
mod keys;
mod kms_handles;
mod kms_texts;
mod ledger_sequences;
mod log_directories;
mod mnemonics;
mod notes;
mod payloads;
mod policies;
mod proofs;
mod psbts;
mod receipts;
mod record;
mod sealed_records;
mod slip39_shares;
mod solana_messages;
mod states;
mod texts;
mod tiles;
mod transactions;
mod world;

/// One fuzz target: what it is called, what it does to bytes, and what it begins with.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the tests and the generator take it apart")]
pub struct Target {
    /// The name, which is also that of the function, of the program and of the corpus.
    pub name: &'static str,
    /// The parts of the code that the bytes can reach, by the names that [`Body`] answers.
    pub parts: fn() -> Vec<&'static str>,
    /// What is done to any bytes.
    pub body: Body,
    /// What a corpus begins with: valid inputs and damaged ones, each with a name.
    pub seeds: fn() -> Vec<Seed>,
}

/// Does something to any bytes, and panics if what must hold does not. Answers the part that took
/// the bytes; none if they were refused.
pub type Body = fn(&[u8]) -> Option<&'static str>;

/// An input with a name.
pub type Seed = (String, Vec<u8>);

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Every target, by name.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            parts: $name::parts,
            body: $name,
            seeds: $name::seeds,
        },)*];

        $(
            $(#[$doc])*
            ///
            /// # Panics
            /// If what must hold for all bytes does not hold for these.
            pub fn $name(bytes: &[u8]) -> Option<&'static str> {
                $name::body(bytes)
            }
        )*
    };
}

targets! {
    /// What hosts say about contracts, and calls whose arguments it names.
    abis;
    /// Archives, changed and forged, their headers, and what is written into them.
    archives;
    /// What a measured run leaves: the run, its samples and its histograms.
    bench_runs;
    /// Packets, records and orders of ceremonies and drills.
    ceremonies;
    /// Records of AWS CloudTrail, plain and compressed, and the file that names the keys.
    cloud_trails;
    /// A whole custodian and its callers: what they do and what fails meanwhile.
    custodian_sequences;
    /// Documents of the core: events, orders, commands, statements and the rest.
    documents;
    /// An entry of a log, or a document that it names, in the place of the true one.
    entries;
    /// The envelope around everything that is sealed.
    envelopes;
    /// What is signed on EVM chains beside plain transactions.
    evm_payloads;
    /// Sealed keys and seeds, and the parameters of a passphrase.
    handles;
    /// Configurations of tokens, handles and wrapped keys, and what tokens say.
    hsm_texts;
    /// Templates of signers that are asked over HTTP, and their answers.
    http_signers;
    /// Private keys, seeds, extended keys and the paths below them.
    imports;
    /// Public keys and signatures in every encoding.
    keys;
    /// Handles of keys of AWS KMS, and wrapped data keys.
    kms_handles;
    /// ARNs, configurations and scopes of AWS KMS.
    kms_texts;
    /// The fold over events, in any order.
    ledger_sequences;
    /// The files of an exported log, of a log that is kept and of an anchor.
    log_directories;
    /// Words and passphrases.
    mnemonics;
    /// Signed notes, their keys and checkpoints.
    notes;
    /// Every decoder with any payload in any context.
    payloads;
    /// Rule sets, and what they answer.
    policies;
    /// Proofs of inclusion and consistency.
    proofs;
    /// Bitcoin: PSBTs, messages and descriptors of wallets.
    psbts;
    /// Receipts.
    receipts;
    /// What a sealed store finds in the store below it.
    sealed_records;
    /// Words of SLIP-39, alone and together.
    slip39_shares;
    /// Solana messages, with and without lookup tables, and off-chain messages.
    solana_messages;
    /// A custodian's state, as a snapshot keeps it.
    states;
    /// Ids, names of chains, accounts and assets, amounts, paths and other short texts.
    texts;
    /// Tiles, their paths, bundles of entries and the edge of a tree.
    tiles;
    /// Ethereum transactions.
    transactions;
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
