use std::time::Duration;

/// What a failure on a seam means for the caller.
///
/// The two that matter most are [`Self::Unavailable`] (nothing happened) and
/// [`Self::Indeterminate`] (it may have happened). An implementation must never guess between
/// them: what is not known to have left nothing behind is `Indeterminate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another writer was first, or the thing exists already. Nothing happened.
    Conflict,
    /// What was read contradicts its own record, digest or key. Nothing may be built on it.
    Corrupt,
    /// It may have happened.
    Indeterminate,
    /// The thing does not exist. Nothing happened.
    NotFound,
    /// The call was understood and refused (permission, state, authentication). Nothing happened.
    Refused,
    /// Too many calls. Nothing happened.
    Throttled {
        /// When to come back, if the other side said so.
        retry_after: Option<Duration>,
    },
    /// The other side cannot be reached or is not able. Nothing happened.
    Unavailable,
    /// The other side cannot do this at all. Nothing happened.
    Unsupported,
}

impl ErrorKind {
    /// Whether it is certain that nothing happened.
    #[must_use]
    pub const fn nothing_happened(self) -> bool {
        !matches!(self, Self::Corrupt | Self::Indeterminate)
    }
}

macro_rules! seam_error {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            kind: $crate::seam::ErrorKind,
            operation: &'static str,
            source: Option<Box<dyn std::error::Error + Send + Sync>>,
        }

        impl $name {
            /// An error of this kind in `operation`.
            #[must_use]
            pub const fn new(kind: $crate::seam::ErrorKind, operation: &'static str) -> Self {
                Self { kind, operation, source: None }
            }

            /// Names the cause. It must not hold input bytes or secrets.
            #[must_use]
            pub fn with_source(
                mut self,
                source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
            ) -> Self {
                self.source = Some(source.into());
                self
            }

            /// What the failure means for the caller.
            #[must_use]
            pub const fn kind(&self) -> $crate::seam::ErrorKind {
                self.kind
            }

            /// The operation that failed.
            #[must_use]
            pub const fn operation(&self) -> &'static str {
                self.operation
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($what, " failed to {}: {:?}"), self.operation, self.kind)
            }
        }

        impl std::error::Error for $name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.source.as_deref().map(|source| source as _)
            }
        }
    };
}

pub(super) use seam_error;
