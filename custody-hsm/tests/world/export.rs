//! Attempts to get keys out of a token, by somebody who has the PIN.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectClass};
use cryptoki::session::Session;

/// Fails if one of the token's private keys, of which there are `count`, can be read, weakened,
/// copied as one that can, or destroyed.
pub(crate) fn assert_keys_stay(session: &Session, count: usize) {
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert_eq!(keys.len(), count);
    for key in keys {
        let value = [AttributeType::Value];
        let told = session.get_attribute_info(key, &value).unwrap();
        assert!(matches!(told.as_slice(), [AttributeInfo::Sensitive]), "{told:?}");
        // cryptoki leaves out what is not told, without an error.
        assert!(session.get_attributes(key, &value).unwrap().is_empty());
        for weaker in [Attribute::Extractable(true), Attribute::Sensitive(false)] {
            assert!(session.update_attributes(key, &[weaker]).is_err());
        }
        assert!(session.copy_object(key, &[Attribute::Extractable(true)]).is_err());
        assert!(session.destroy_object(key).is_err());
    }
}
