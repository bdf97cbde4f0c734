//! What failures of a module mean.
//!
//! Invariant: a call that may have had its effect is never told as one that had none. Return values
//! do not name causes (modules differ), so only those that the standard gives before anything is
//! done count as refusals.

#![expect(clippy::wildcard_enum_match_arm, reason = "there are ninety answers; few mean more")]

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use custody_core::seam::{BackendError, ErrorKind};

/// Why a job on a token failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The token is not in any slot.
    #[error("the token is not there")]
    Absent,
    /// A call of the module failed.
    #[error("the module failed")]
    Call {
        /// What the module answered.
        #[source]
        error: Error,
        /// Whether the call, or one before it, may have had an effect.
        effect: Effect,
    },
    /// A call failed after something had been made, of which nobody knows how it is.
    #[error("something was made, and the module failed before it could be looked at")]
    Made {
        /// What the module answered.
        #[source]
        error: Error,
    },
    /// The PIN was refused before; it is not tried again.
    #[error("the PIN was refused; it is not tried again until the backend is opened anew")]
    Pin,
    /// A finding of our own.
    #[error("{what}")]
    Found {
        /// What it means.
        kind: ErrorKind,
        /// What was found.
        what: &'static str,
    },
}

/// Whether a call changes something outside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing that matters.
    None,
    /// It makes a signature, a key or another object.
    Some,
}

/// What a failed call leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// Nothing: the failure is the answer.
    None,
    /// Another session, with the key looked up again.
    Session,
    /// The module initialised again, and then another session.
    Module,
}

impl Fault {
    pub(crate) const fn found(kind: ErrorKind, what: &'static str) -> Self {
        Self::Found { kind, what }
    }

    pub(crate) const fn read(error: Error) -> Self {
        Self::Call { error, effect: Effect::None }
    }

    pub(crate) const fn act(error: Error) -> Self {
        Self::Call { error, effect: Effect::Some }
    }

    /// The same, once something was made.
    pub(crate) fn once_made(self) -> Self {
        match self {
            Self::Call { error, .. } => Self::Made { error },
            other => other,
        }
    }

    /// What it means for whoever asked.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent => ErrorKind::Unavailable,
            Self::Call { error, effect } => kind(error, *effect),
            Self::Found { kind, .. } => *kind,
            Self::Made { .. } => ErrorKind::Indeterminate,
            Self::Pin => ErrorKind::Refused,
        }
    }

    /// What the module answered, if it did.
    pub(crate) const fn answer(&self) -> Option<RvError> {
        match self {
            Self::Call { error: Error::Pkcs11(answer, _), .. } => Some(*answer),
            Self::Absent
            | Self::Call { .. }
            | Self::Found { .. }
            | Self::Made { .. }
            | Self::Pin => None,
        }
    }

    pub(crate) fn into_error(self, operation: &'static str) -> BackendError {
        BackendError::new(self.kind(), operation).with_source(self)
    }
}

/// What may be tried after a signature failed, if it is certain that none was made. Once the module
/// was asked to sign nothing is: something on the way may have asked twice. A login is never
/// repeated: what failed may have been the PIN.
pub(crate) fn cure(error: &Error) -> Cure {
    let Error::Pkcs11(answer, function) = error else { return Cure::None };
    if matches!(function, Function::Sign | Function::Login) {
        return Cure::None;
    }
    match answer {
        RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::OperationActive
        | RvError::OperationNotInitialized
        | RvError::SessionHandleInvalid
        | RvError::UserNotLoggedIn => Cure::Session,
        RvError::CryptokiNotInitialized => Cure::Module,
        RvError::DeviceError
        | RvError::DeviceRemoved
        | RvError::FunctionFailed
        | RvError::GeneralError
        | RvError::SessionClosed
        | RvError::TokenNotPresent
            if matches!(function, Function::SignInit) =>
        {
            Cure::Module
        }
        _ => Cure::None,
    }
}

/// What may be tried after a call failed that changes nothing.
pub(crate) fn cure_of_reading(error: &Error) -> Cure {
    match error {
        Error::Pkcs11(_, Function::Login) => Cure::None,
        Error::Pkcs11(
            RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::FunctionFailed
            | RvError::GeneralError
            | RvError::SessionClosed
            | RvError::SlotIdInvalid
            | RvError::TokenNotPresent,
            _,
        ) => Cure::Module,
        _ => cure(error),
    }
}

fn kind(error: &Error, effect: Effect) -> ErrorKind {
    let unknown = match effect {
        Effect::None => ErrorKind::Unavailable,
        Effect::Some => ErrorKind::Indeterminate,
    };
    match error {
        // Making the signature ready makes none.
        Error::Pkcs11(answer, Function::SignInit) => {
            before(*answer).unwrap_or(ErrorKind::Unavailable)
        }
        // What a module says about the input it says first.
        Error::Pkcs11(answer, Function::Sign) if effect == Effect::Some => match answer {
            RvError::ArgumentsBad | RvError::DataInvalid | RvError::DataLenRange => {
                ErrorKind::Unsupported
            }
            _ => ErrorKind::Indeterminate,
        },
        Error::Pkcs11(answer, _) => before(*answer).unwrap_or(unknown),
        Error::NotSupported | Error::NullFunctionPointer | Error::MissingSymbol(_) => {
            ErrorKind::Unsupported
        }
        Error::LibraryLoading(_) | Error::PinNotSet => ErrorKind::Unavailable,
        _ => match effect {
            Effect::None => ErrorKind::Corrupt,
            Effect::Some => ErrorKind::Indeterminate,
        },
    }
}

/// What an answer means that a module gives before it does anything (PKCS #11 3.0, section 5.1).
fn before(answer: RvError) -> Option<ErrorKind> {
    Some(match answer {
        RvError::EncryptedDataInvalid
        | RvError::EncryptedDataLenRange
        | RvError::WrappedKeyInvalid
        | RvError::WrappedKeyLenRange => ErrorKind::Corrupt,
        RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::UnwrappingKeyHandleInvalid
        | RvError::WrappingKeyHandleInvalid => ErrorKind::NotFound,
        RvError::ActionProhibited
        | RvError::ArgumentsBad
        | RvError::AttributeReadOnly
        | RvError::AttributeSensitive
        | RvError::AttributeValueInvalid
        | RvError::FunctionRejected
        | RvError::KeyFunctionNotPermitted
        | RvError::KeyNotWrappable
        | RvError::KeyUnextractable
        | RvError::PinExpired
        | RvError::PinIncorrect
        | RvError::PinInvalid
        | RvError::PinLenRange
        | RvError::PinLocked
        | RvError::SessionReadOnly
        | RvError::TemplateIncomplete
        | RvError::TemplateInconsistent
        | RvError::TokenWriteProtected
        | RvError::UserPinNotInitialized => ErrorKind::Refused,
        RvError::SessionCount => ErrorKind::Throttled { retry_after: None },
        RvError::CantLock
        | RvError::CryptokiNotInitialized
        | RvError::OperationActive
        | RvError::OperationNotInitialized
        | RvError::SessionHandleInvalid
        | RvError::SlotIdInvalid
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::UserNotLoggedIn => ErrorKind::Unavailable,
        RvError::AttributeTypeInvalid
        | RvError::CurveNotSupported
        | RvError::DataInvalid
        | RvError::DataLenRange
        | RvError::DomainParamsInvalid
        | RvError::FunctionNotSupported
        | RvError::KeySizeRange
        | RvError::KeyTypeInconsistent
        | RvError::MechanismInvalid
        | RvError::MechanismParamInvalid => ErrorKind::Unsupported,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(answer: RvError, function: Function) -> Error {
        Error::Pkcs11(answer, function)
    }

    #[test]
    fn what_may_have_been_signed_is_indeterminate_and_not_tried_again() {
        for answer in [
            RvError::DeviceError,
            RvError::DeviceRemoved,
            RvError::FunctionCanceled,
            RvError::FunctionFailed,
            RvError::GeneralError,
            RvError::HostMemory,
            RvError::KeyHandleInvalid,
            RvError::ObjectHandleInvalid,
            RvError::OperationNotInitialized,
            RvError::SessionClosed,
            RvError::SessionHandleInvalid,
            RvError::UserNotLoggedIn,
            RvError::VendorDefined(0x8000_0001),
        ] {
            let error = of(answer, Function::Sign);
            assert_eq!(cure(&error), Cure::None, "{answer:?}");
            assert_eq!(Fault::act(error).kind(), ErrorKind::Indeterminate, "{answer:?}");
            let ready = Fault::act(of(answer, Function::SignInit)).kind();
            assert_ne!(ready, ErrorKind::Indeterminate, "{answer:?}");
        }
    }

    #[test]
    fn a_wrong_pin_is_refused_and_never_cured() {
        for answer in [RvError::PinIncorrect, RvError::PinLocked, RvError::PinExpired] {
            let error = of(answer, Function::Login);
            assert_eq!(cure(&error), Cure::None);
            assert_eq!(cure_of_reading(&of(RvError::GeneralError, Function::Login)), Cure::None);
            assert_eq!(Fault::read(error).kind(), ErrorKind::Refused);
        }
        assert_eq!(Fault::Pin.kind(), ErrorKind::Refused);
    }

    #[test]
    fn a_lost_session_is_replaced_and_a_lost_module_initialised_again() {
        for answer in [
            RvError::KeyHandleInvalid,
            RvError::ObjectHandleInvalid,
            RvError::SessionHandleInvalid,
            RvError::UserNotLoggedIn,
        ] {
            assert_eq!(cure(&of(answer, Function::SignInit)), Cure::Session);
        }
        let gone = RvError::CryptokiNotInitialized;
        assert_eq!(cure(&of(gone, Function::SignInit)), Cure::Module);
        assert_eq!(cure(&of(RvError::DeviceError, Function::SignInit)), Cure::Module);
        assert_eq!(cure(&of(RvError::MechanismInvalid, Function::SignInit)), Cure::None);
    }
}
