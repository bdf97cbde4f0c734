use std::fmt;

/// A place before or after a call of a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Failpoint {
    call: &'static str,
    side: Side,
}

/// Where a failpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a call took effect or it did not")]
pub enum Side {
    /// The call took effect, and its answer was not given yet.
    After,
    /// The call was not made yet.
    Before,
}

/// What a failpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "tests go through all of them")]
pub enum Action {
    /// The process ends at once.
    Abort,
    /// The call fails: `Unavailable` before, `Indeterminate` after it took effect. A spawner
    /// forgets the task, an engine fails or sees no way.
    Error,
    /// The call never returns. One that blocks its thread returns late; a task starts late.
    Hang,
    /// The call panics.
    Panic,
}

/// On which sides a call can say that it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fails {
    Before,
    Both,
    Never,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Abort, Self::Error, Self::Hang, Self::Panic];
}

impl Failpoint {
    /// Every failpoint.
    pub fn all() -> impl Iterator<Item = Self> {
        let both = |(call, _): &(&'static str, Fails)| {
            [Side::Before, Side::After].map(|side| Self { call, side })
        };
        CALLS.iter().flat_map(both)
    }

    /// The failpoint of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|point| point.to_string() == name)
    }

    /// The call, such as `store.commit`.
    #[must_use]
    pub const fn call(self) -> &'static str {
        self.call
    }

    /// On which side of the call it is.
    #[must_use]
    pub const fn side(self) -> Side {
        self.side
    }

    /// Whether the call can do this: some have no way to say that they failed.
    #[must_use]
    pub fn knows(self, action: Action) -> bool {
        let fails = CALLS.iter().find(|(call, _)| *call == self.call).map(|(_, fails)| *fails);
        match fails {
            Some(_) if action != Action::Error => true,
            Some(Fails::Before) => self.side == Side::Before,
            Some(Fails::Both) => true,
            Some(Fails::Never) | None => false,
        }
    }

    pub(super) fn of(call: &'static str, side: Side) -> Self {
        assert!(CALLS.iter().any(|(name, _)| *name == call), "no failpoint is called {call}");
        Self { call, side }
    }
}

impl fmt::Display for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::After => "after",
            Side::Before => "before",
        };
        write!(f, "{}.{side}", self.call)
    }
}

/// Every call that a custodian makes of a seam or of a handler. What came later stands at the end:
/// inputs of fuzz targets name failpoints by their places.
const CALLS: [(&str, Fails); 43] = [
    ("anchor.advance", Fails::Both),
    ("anchor.load", Fails::Both),
    ("backend.derive", Fails::Both),
    ("backend.extended_public_key", Fails::Both),
    ("backend.generate", Fails::Both),
    ("backend.generate_seed", Fails::Both),
    ("backend.reseal_key", Fails::Both),
    ("backend.reseal_seed", Fails::Both),
    ("backend.signer", Fails::Both),
    ("clock.monotonic", Fails::Never),
    ("clock.now", Fails::Never),
    ("clock.sleep_until", Fails::Never),
    ("compiler.compile", Fails::Both),
    ("decoder.account", Fails::Never),
    ("decoder.assemble", Fails::Both),
    ("decoder.decode", Fails::Both),
    ("decoder.reads", Fails::Never),
    ("engine.judge", Fails::Both),
    ("engine.missing", Fails::Both),
    ("entropy.fill", Fails::Both),
    ("kek.unwrap", Fails::Both),
    ("kek.wrap", Fails::Both),
    ("log.has_signer", Fails::Never),
    ("log.head", Fails::Both),
    ("log.includes", Fails::Both),
    ("log.public_key", Fails::Never),
    ("log.receipt", Fails::Both),
    ("log.rotate", Fails::Both),
    ("log.seal", Fails::Both),
    ("signer.sign", Fails::Both),
    ("spawner.spawn", Fails::Before),
    ("store.commit", Fails::Both),
    ("store.events", Fails::Both),
    ("store.get", Fails::Both),
    ("store.head", Fails::Both),
    ("store.scan", Fails::Both),
    ("decoder.check", Fails::Both),
    ("handler.accepts", Fails::Never),
    ("handler.run", Fails::Both),
    ("switch.cancel_destroy", Fails::Both),
    ("switch.destroy", Fails::Both),
    ("switch.disable", Fails::Both),
    ("switch.enable", Fails::Both),
];
