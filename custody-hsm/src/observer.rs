//! What a host is told about its tokens besides the answers to its calls.

/// Something that an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HsmEvent {
    /// Calls of the module do not come back; nothing is tried for a while.
    ThreadsLost {
        /// How many.
        lost: u8,
    },
    /// The token is not what it was at the last start.
    TokenChanged {
        /// What changed: `firmware`, `hardware`, `mechanisms`, `model` or `manufacturer`.
        what: Vec<&'static str>,
    },
}

/// Whom to tell. It is called on threads of the backend and must not block.
pub type Observer = custody_core::observer::Observer<HsmEvent>;
