use std::net::IpAddr;

use custody_core::seam::{Authentication, Head, Position};
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};

use super::arb_digest;

/// Any position.
pub fn arb_position() -> impl Strategy<Value = Position> {
    prop_oneof![0..64_u64, any::<u64>()].prop_map(Position::new)
}

/// Any head.
pub fn arb_head() -> impl Strategy<Value = Head> {
    (arb_position(), arb_digest()).prop_map(|(size, root)| Head { size, root })
}

/// Any authentication.
pub fn arb_authentication() -> impl Strategy<Value = Authentication> {
    (any::<u8>(), 0..=1_u64 << 53, option::of(any::<IpAddr>()), any::<bool>())
        .prop_map(|(factors, age_ms, ip, signed)| Authentication { factors, age_ms, ip, signed })
}
