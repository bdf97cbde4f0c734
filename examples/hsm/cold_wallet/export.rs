//! Somebody who has the PIN tries to take the keys out of the token.

use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use examples_hsm::Failure;
use examples_hsm::export::attempts;
use examples_hsm::tokens::Tokens;

use crate::steps::TOKEN;

/// What the token answers for each of its private keys; an error if it lets one out.
pub(crate) fn refusals(tokens: &Tokens) -> Result<Vec<String>, Failure> {
    let bare = tokens.bare(TOKEN)?;
    let session = bare.session();
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
    if keys.is_empty() {
        return Err("the token has no private key".into());
    }
    let mut told = Vec::new();
    for key in keys {
        let label = session.get_attributes(key, &[AttributeType::Label])?;
        let [Attribute::Label(label)] = label.as_slice() else {
            return Err("a key has no label".into());
        };
        let label = String::from_utf8_lossy(label);
        told.push(format!("somebody with the PIN wants the key \"{label}\""));
        for attempt in attempts(session, key) {
            if !attempt.is_refused {
                return Err(format!("{label}: {}: {}", attempt.what, attempt.answer).into());
            }
            told.push(format!("  {}: {}", attempt.what, attempt.answer));
        }
    }
    Ok(told)
}
