//! Ceremonies: how a recovery secret is made, handed out, confirmed, rotated and used. Each step is
//! an order on the one flow, with the rules, approvals and log of every other order.
//!
//! | command | what it does | answered with |
//! |---|---|---|
//! | [`Split`], `recovery/split` | makes a secret and hands out its shares | [`CeremonyRecord`] |
//! | [`Confirm`], `recovery/confirm` | proves that a holder has a share | [`Confirmed`] |
//! | [`Rotate`], `recovery/rotate` | makes new shares of the same secret | [`CeremonyRecord`] |
//! | [`Replace`], `recovery/replace` | the same, with one other holder | [`CeremonyRecord`] |
//! | [`Recover`], `recovery/recover` | says what shares may be combined for | [`Permit`] |
//!
//! [`Ceremonies`] gives a custodian the handlers. Shares leave over a [`ShareDesk`] and nowhere
//! else. What became of it all is not kept anywhere: [`Sets`] follows from the orders and their
//! answers, and [`Transcript`] reads them from a log, offline.
//!
//! **Invariant:** no share, no word of one and no secret stands in a document, an answer, an event,
//! an error or a log line.

mod desk;
mod document;
mod handler;
mod journal;
mod packet;
mod plan;
mod sealed;
mod sets;
mod transcript;

pub use self::desk::{Begun, Journal, ShareDesk, SharePlace};
pub use self::document::{
    CeremonyCommand, CeremonyRecord, Confirm, Confirmations, Confirmed, Permit, Purpose, Recover,
    Replace, Rotate, SetReference, Split,
};
pub use self::handler::Ceremonies;
pub use self::journal::FolderJournal;
pub use self::packet::{Address, Packet, PacketError};
pub use self::sealed::{PacketPost, SealedDesk};
pub use self::sets::{
    Overdue, Refusal, RefusedStep, SetFacts, SetState, Sets, Standing, Step, StepApproval,
};
pub use self::transcript::{Transcript, TranscriptEntry, TranscriptError};
