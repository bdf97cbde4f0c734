//! The entries one after the other: what each does to the custodian, and to the log's own key.
//!
//! Invariant: an entry is taken only if the replay took it; a change of the log key is taken from
//! the replayed state, never from the text of an entry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::verify::KeyHistory;
use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::crypto::PublicKey;
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::{CustodianId, EngineId};
use custody_core::replay::{Depth, Replay, ReplayError, Report};
use custody_core::seam::{Decoder, PolicyCompiler};
use custody_policy::CedarCompiler;

use crate::documents::DocumentFolder;
use crate::failure::{EntryError, Failure};

/// The entries so far.
#[derive(Debug)]
pub(crate) struct Trail {
    replay: Replay,
    documents: DocumentFolder,
    name: KeyName,
    own_engine: EngineId,
    asked: Depth,
    foreign: Option<ForeignDecisions>,
    keys: Option<Keys>,
}

/// Decisions by engines that this verifier does not have.
#[derive(Clone, Debug)]
pub(crate) struct ForeignDecisions {
    /// How many there are.
    pub(crate) count: u64,
    /// The entry of the first one.
    pub(crate) first: u64,
    /// Who made that one.
    pub(crate) engine: EngineId,
}

/// The log keys so far.
#[derive(Debug)]
struct Keys {
    history: KeyHistory,
    genesis: PublicKey,
    current: PublicKey,
    rotations: u64,
}

impl Trail {
    /// No entries yet, of the custodian `genesis`, in a log whose keys are named `name`.
    pub(crate) fn new(
        genesis: CustodianId,
        name: &KeyName,
        documents: DocumentFolder,
        asked: Depth,
    ) -> Result<Self, Failure> {
        let compiler = Arc::new(CedarCompiler::new().map_err(|_| Failure::Engine)?);
        let own_engine = compiler.engine().clone();
        let decoders: Vec<Arc<dyn Decoder>> =
            vec![Arc::new(EvmDecoder::new()), Arc::new(OpaqueDecoder::new())];
        let replay = Replay::new(genesis, asked, Some(compiler), decoders);
        let name = name.clone();
        Ok(Self { replay, documents, name, own_engine, asked, foreign: None, keys: None })
    }

    /// Checks and takes the next entry. A decision of an engine that is not here is noted, and not
    /// judged again.
    pub(crate) fn take(&mut self, index: u64, entry: &[u8]) -> Result<(), EntryError> {
        let foreign = self.foreign_engine(entry);
        self.replay.set_depth(match foreign {
            Some(_) => Depth::WithoutDecisions,
            None => self.asked,
        });
        let replay = AssertUnwindSafe(|| self.replay.event(entry, &self.documents));
        // After a panic the replay is not used again.
        let taken = catch_unwind(replay).map_err(|_| EntryError::Panicked)?;
        taken.map_err(|error| self.explain(error))?;
        if let Some(engine) = foreign {
            let none = ForeignDecisions { count: 0, first: index, engine };
            let foreign = self.foreign.get_or_insert(none);
            foreign.count = foreign.count.saturating_add(1);
        }
        self.follow_key(index)
    }

    /// What was checked so far.
    pub(crate) const fn report(&self) -> &Report {
        self.replay.report()
    }

    /// The engine of this verifier.
    pub(crate) const fn own_engine(&self) -> &EngineId {
        &self.own_engine
    }

    /// The decisions that were to be judged again and were not.
    pub(crate) const fn foreign(&self) -> Option<&ForeignDecisions> {
        self.foreign.as_ref()
    }

    /// The log keys over the entries so far; none before the genesis event.
    pub(crate) fn keys(&self) -> Option<&KeyHistory> {
        self.keys.as_ref().map(|keys| &keys.history)
    }

    /// How often the log key was changed.
    pub(crate) fn rotations(&self) -> u64 {
        self.keys.as_ref().map(|keys| keys.rotations).unwrap_or_default()
    }

    /// Whether this is the log key of the genesis event.
    pub(crate) fn is_genesis_key(&self, key: &PublicKey) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.genesis == *key)
    }

    /// The engine of a decision that was to be judged again, if it is not here.
    fn foreign_engine(&self, entry: &[u8]) -> Option<EngineId> {
        // Most entries are no decisions; those need not be read twice. A decision that hides from
        // this look is refused by the replay.
        let marked = entry.windows(DECIDED.len()).any(|window| window == DECIDED);
        if self.asked != Depth::Full || !marked {
            return None;
        }
        match EventDocument::read(entry).ok()?.event {
            EventBody::OrderDecided(decided) if decided.engine != self.own_engine => {
                Some(decided.engine)
            }
            _ => None,
        }
    }

    fn follow_key(&mut self, index: u64) -> Result<(), EntryError> {
        let Some(state) = self.replay.state() else { return Ok(()) };
        let key = state.log_key();
        match &mut self.keys {
            None => {
                let first = VerifierKey::new(self.name.clone(), key.clone())?;
                self.keys = Some(Keys {
                    history: KeyHistory::new(first),
                    genesis: key.clone(),
                    current: key.clone(),
                    rotations: 0,
                });
            }
            Some(keys) if keys.current != *key => {
                let next = VerifierKey::new(self.name.clone(), key.clone())?;
                keys.history.change(index, next)?;
                keys.current = key.clone();
                keys.rotations = keys.rotations.saturating_add(1);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Names the document where the replay only says that one is at fault.
    fn explain(&self, error: ReplayError) -> EntryError {
        let unreadable = self.documents.failed();
        match (&error, unreadable, self.documents.asked()) {
            (ReplayError::Missing, Some((digest, kind)), _) => {
                EntryError::Unreadable { digest, kind }
            }
            (ReplayError::Missing, None, Some(digest)) => EntryError::NoDocument { digest },
            (ReplayError::Digest, _, Some(digest)) => EntryError::WrongDocument { digest },
            _ => EntryError::Replay(error),
        }
    }
}

const DECIDED: &[u8] = b"\"order_decided\"";
