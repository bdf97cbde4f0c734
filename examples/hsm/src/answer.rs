//! What a module answers, under the names of the standard.

use cryptoki::error::Error;

/// The name of a return value, such as `CKR_KEY_UNEXTRACTABLE`; the text of any other error.
#[must_use]
pub fn name(error: &Error) -> String {
    let Error::Pkcs11(answer, _) = error else { return error.to_string() };
    let mut name = "CKR".to_owned();
    for letter in format!("{answer:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;
    use cryptoki::error::RvError;

    use super::*;

    #[test]
    fn return_values_have_the_names_of_the_standard() {
        for (answer, wanted) in [
            (RvError::KeyUnextractable, "CKR_KEY_UNEXTRACTABLE"),
            (RvError::AttributeReadOnly, "CKR_ATTRIBUTE_READ_ONLY"),
            (RvError::PinIncorrect, "CKR_PIN_INCORRECT"),
        ] {
            assert_eq!(name(&Error::Pkcs11(answer, Function::WrapKey)), wanted);
        }
        assert_eq!(name(&Error::NotSupported), Error::NotSupported.to_string());
    }
}
