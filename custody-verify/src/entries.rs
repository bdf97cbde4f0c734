//! All entries: the stretches of the log side by side, and what they say together.
//!
//! Invariant: what is said about the entries covers exactly the entries before the first wrong one.

use std::collections::HashMap;
use std::thread;

use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::verify::{KeyHistory, LogDirectory};
use custody_core::crypto::PublicKey;
use custody_core::id::EngineId;
use custody_core::replay::Depth;
use custody_core::seam::Head;

use crate::arguments::Arguments;
use crate::decoders::Decoders;
use crate::documents::DocumentFolder;
use crate::failure::{EntryError, Failure};
use crate::findings::{DecodersFound, EntriesFound, LeftFound};
use crate::stretch::Stretch;
use crate::trail::{ForeignDecisions, Trail};

/// What all entries say together.
#[derive(Debug)]
pub(crate) struct Entries {
    /// What was counted.
    pub(crate) found: EntriesFound,
    /// Which decoders the payloads of the orders were read with.
    pub(crate) decoders: DecodersFound,
    /// The orders that have not ended after the last entry, and spend; none if it was not reached.
    pub(crate) left: Option<LeftFound>,
    /// Decisions that were judged again.
    pub(crate) decisions: u64,
    /// The engine of this verifier.
    pub(crate) own_engine: EngineId,
    /// The decisions that were to be judged again and were not.
    pub(crate) foreign: Option<ForeignDecisions>,
    /// The log keys; none before the genesis event.
    pub(crate) keys: Option<Keys>,
    /// The entries that say that the custodian was restored, with the head that each names.
    pub(crate) recoveries: Vec<(u64, Head)>,
    /// What is wrong with the first wrong entry.
    pub(crate) failure: Option<Failure>,
}

/// The log keys.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) history: KeyHistory,
    pub(crate) genesis: PublicKey,
    pub(crate) rotations: u64,
}

/// One stretch, as far as it went.
struct Walked {
    trail: Trail,
    failure: Option<Failure>,
}

impl Entries {
    /// Checks all stretches.
    pub(crate) fn check(
        directory: &LogDirectory,
        stretches: &[Stretch],
        arguments: &Arguments,
    ) -> Result<Self, Failure> {
        let decoders = &Decoders::new(arguments)?;
        let walked: Result<Vec<Walked>, Failure> = thread::scope(|scope| {
            let walk = |stretch: &Stretch| {
                let stretch = *stretch;
                scope.spawn(move || walk(directory, stretch, arguments, decoders))
            };
            let running: Vec<_> = stretches.iter().map(walk).collect();
            running.into_iter().map(|walk| walk.join().unwrap_or(Err(Failure::Stopped))).collect()
        });
        Self::together(walked?, arguments.key.name())
    }

    /// Puts the stretches together, up to the first wrong entry.
    fn together(walked: Vec<Walked>, name: &KeyName) -> Result<Self, Failure> {
        let own_engine = walked.first().map(|first| first.trail.own_engine().clone());
        let mut entries = Self {
            found: EntriesFound::default(),
            decoders: DecodersFound::default(),
            left: None,
            decisions: 0,
            own_engine: own_engine.ok_or(Failure::Empty)?,
            foreign: None,
            keys: None,
            recoveries: Vec::new(),
            failure: None,
        };
        let mut requests = HashMap::new();
        for Walked { trail, failure } in walked {
            entries.add(&trail);
            entries.follow_keys(&trail, name)?;
            entries.recoveries.extend(&trail.found().recoveries);
            let repeated = trail
                .found()
                .requests
                .iter()
                .find_map(|(request, index)| requests.insert(*request, *index).map(|_| *index));
            entries.failure = match (failure, repeated) {
                (Some(failure), Some(index)) if failure.entry() > Some(index) => {
                    Some(repeated_request(index))
                }
                (Some(failure), _) => Some(failure),
                (None, repeated) => repeated.map(repeated_request),
            };
            entries.left = trail.left().filter(|_| entries.failure.is_none());
            if entries.failure.is_some() {
                break;
            }
        }
        Ok(entries)
    }

    fn add(&mut self, trail: &Trail) {
        let report = trail.report();
        // A stretch after the first one begins with the last entry of the one before.
        let twice = u64::from(self.keys.is_some() && report.events > 0);
        let found = &mut self.found;
        for (sum, more) in [
            (&mut found.checked, report.events.saturating_sub(twice)),
            (&mut found.orders, report.orders),
            (&mut found.approvals, report.approvals),
            (&mut found.releases, report.released),
            (&mut found.signatures, report.signatures),
            (&mut found.commands, report.commands),
            (&mut self.decisions, report.decisions),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (decoder, decoded) in trail.found().decoders.each() {
            self.decoders.add(decoder, *decoded);
        }
        match (&mut self.foreign, &trail.found().foreign) {
            (Some(sum), Some(more)) => sum.count = sum.count.saturating_add(more.count),
            (sum @ None, more) => *sum = more.clone(),
            (Some(_), None) => {}
        }
    }

    fn follow_keys(&mut self, trail: &Trail, name: &KeyName) -> Result<(), Failure> {
        let found = trail.found();
        let named = |index, key: &PublicKey| {
            VerifierKey::new(name.clone(), key.clone())
                .map_err(|error| Failure::Entry { index, source: error.into() })
        };
        if let (None, Some(first)) = (&self.keys, &found.first_key) {
            let history = KeyHistory::new(named(0, first)?);
            self.keys = Some(Keys { history, genesis: first.clone(), rotations: 0 });
        }
        let Some(keys) = &mut self.keys else { return Ok(()) };
        for (index, key) in &found.changes {
            let index = *index;
            keys.history
                .change(index, named(index, key)?)
                .map_err(|error| Failure::Entry { index, source: error.into() })?;
            keys.rotations = keys.rotations.saturating_add(1);
        }
        Ok(())
    }
}

fn walk(
    directory: &LogDirectory,
    stretch: Stretch,
    arguments: &Arguments,
    decoders: &Decoders,
) -> Result<Walked, Failure> {
    let depth = if arguments.no_replay { Depth::WithoutDecisions } else { Depth::Full };
    let new = || {
        let documents = DocumentFolder::new(&arguments.directory);
        Trail::new(arguments.genesis, documents, depth, decoders)
    };
    let mut trail = new()?;
    if let Some(start) = stretch.snapshot {
        trail = match trail.starting_at(start) {
            Ok(trail) => trail,
            Err(source) => {
                let failure = Failure::Entry { index: stretch.first, source };
                return Ok(Walked { trail: new()?, failure: Some(failure) });
            }
        };
    }
    let replayed = directory.clone().replay(|index, entry| {
        if (stretch.first..stretch.end).contains(&index) {
            trail.take(index, entry)
        } else {
            Ok(())
        }
    });
    let failure = replayed.err().map(Failure::from);
    Ok(Walked { trail, failure })
}

fn repeated_request(index: u64) -> Failure {
    Failure::Entry { index, source: EntryError::Repeated }
}
