//! AES keys that no backend made.

use cryptoki::object::{Attribute, KeyType};

/// What a key that encrypts data keys is asked to be, so that a token says of it what it says of one
/// of ours.
pub(crate) fn like_ours() -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::KeyType(KeyType::AES),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}
