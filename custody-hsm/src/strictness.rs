//! Templates with attributes that some modules do not know.
//!
//! Invariant: nothing is made twice. A module is asked again, with fewer attributes, only if it
//! refused what the first template says, before it made anything.

use cryptoki::error::{Error, RvError};

/// Whether attributes are asked for that some modules do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    All,
    Common,
}

/// Makes something with all attributes that it should have, or, if the module refuses that, with
/// those that all modules know.
pub(crate) fn strictly<T>(make: impl Fn(Strictness) -> Result<T, Error>) -> Result<T, Error> {
    match make(Strictness::All) {
        Err(error) if is_about_template(&error) => {
            let made = make(Strictness::Common)?;
            tracing::warn!("a token does not take all attributes that a key should have");
            Ok(made)
        }
        made => made,
    }
}

/// Whether a module refused what a template says, before it made anything.
pub(crate) const fn is_about_template(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::AttributeReadOnly
                | RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::CurveNotSupported
                | RvError::DomainParamsInvalid
                | RvError::TemplateIncomplete
                | RvError::TemplateInconsistent,
            _
        )
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use cryptoki::context::Function;

    use super::*;

    /// What was asked for, if the module answers the first time like this.
    fn asked(first: RvError) -> (Vec<Strictness>, bool) {
        let asked = RefCell::new(Vec::new());
        let made = strictly(|strictness| {
            asked.borrow_mut().push(strictness);
            match strictness {
                Strictness::All => Err(Error::Pkcs11(first, Function::GenerateKey)),
                Strictness::Common => Ok(()),
            }
        });
        (asked.into_inner(), made.is_ok())
    }

    #[test]
    fn fewer_attributes_are_asked_for_only_if_the_template_was_refused() {
        let both = [Strictness::All, Strictness::Common];
        for refused in [
            RvError::AttributeReadOnly,
            RvError::AttributeTypeInvalid,
            RvError::AttributeValueInvalid,
            RvError::TemplateInconsistent,
        ] {
            assert_eq!(asked(refused), (both.to_vec(), true), "{refused:?}");
        }
        for failed in [
            RvError::DeviceError,
            RvError::FunctionFailed,
            RvError::GeneralError,
            RvError::KeyFunctionNotPermitted,
            RvError::SessionHandleInvalid,
        ] {
            assert_eq!(asked(failed), (vec![Strictness::All], false), "{failed:?}");
        }
    }

    #[test]
    fn what_was_made_at_once_is_not_made_again() {
        let asked = RefCell::new(0);
        let made = strictly(|strictness| {
            *asked.borrow_mut() += 1;
            Ok(strictness)
        });
        assert_eq!((made.unwrap(), asked.into_inner()), (Strictness::All, 1));
    }
}
