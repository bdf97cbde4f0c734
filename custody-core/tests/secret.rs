//! `Secret` cannot be printed, copied, compared or serialised: a change that makes it so does not
//! compile. Opens secrets, of tests only.

use std::fmt::{Debug, Display, LowerHex};
use std::hash::Hash;

use custody_core::secret::Secret;
use custody_testkit::runtime::TestEntropy;
use serde::{Deserialize, Serialize};
use static_assertions::{assert_impl_all, assert_not_impl_any};

assert_not_impl_any!(Secret: Clone, Copy);
assert_not_impl_any!(Secret: Debug, Display, LowerHex);
assert_not_impl_any!(Secret: PartialEq, Eq, PartialOrd, Ord, Hash);
assert_not_impl_any!(Secret: Serialize, Deserialize<'static>);
assert_not_impl_any!(Secret: AsRef<[u8]>, AsMut<[u8]>, std::borrow::Borrow<[u8]>);
assert_not_impl_any!(Secret: std::ops::Deref, std::ops::DerefMut, Into<Vec<u8>>, Default);
assert_impl_all!(Secret: Send, Sync);

#[test]
fn a_secret_holds_the_bytes_it_was_given_and_shows_them_through_its_one_door() {
    for length in [0_u8, 1, 32, 200] {
        let bytes: Vec<u8> = (0..length).collect();
        let secret = Secret::new(bytes.clone());
        assert!(secret.expose() == bytes);
        assert_eq!(secret.len(), usize::from(length));
        assert_eq!(secret.is_empty(), length == 0);
    }
}

#[test]
fn spare_capacity_is_not_taken_over() {
    let mut bytes = Vec::with_capacity(1_024);
    bytes.extend_from_slice(&[7; 32]);
    let taken = bytes.as_ptr();
    let secret = Secret::new(bytes);
    assert!(secret.expose() == [7; 32]);
    assert_ne!(secret.expose().as_ptr(), taken, "the vector's own memory");
    assert_eq!(size_of::<Secret>(), size_of::<Box<[u8]>>(), "room for a capacity");
}

#[test]
fn a_secret_is_filled_in_place_to_its_whole_length() {
    let secret = Secret::try_fill(32, |bytes| {
        bytes.fill(9);
        Ok::<_, std::convert::Infallible>(())
    });
    assert!(secret.is_ok_and(|secret| secret.expose() == [9; 32]));
}

#[test]
fn a_failed_filling_gives_no_secret() {
    use custody_core::seam::Entropy as _;
    let entropy = TestEntropy::failing();
    assert!(Secret::try_fill(32, |bytes| entropy.fill(bytes)).is_err());
}
