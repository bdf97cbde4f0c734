//! Nothing of a key that was open lies in memory once it is let go of, and nothing of what KMS answered
//! either: with an allocator that wipes what it frees. The SDK's own buffers are freed and not wiped, and
//! a data key comes in them as text.

#[path = "memory/life.rs"]
mod life;
#[expect(dead_code, reason = "more than is needed here")]
#[path = "../../../custody-kms/tests/world/proxy.rs"]
mod proxy;
#[path = "memory/scan.rs"]
mod scan;

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

#[test]
#[ignore = "needs a stand-in for KMS"]
fn neither_a_key_nor_what_kms_answered_lies_anywhere() {
    let Some(found) = life::findings("neither_a_key_nor_what_kms_answered_lies_anywhere") else {
        return;
    };
    for name in ["the private key as reversed", "the data key of KMS as bytes"] {
        assert!(found.open.contains(name), "whoever looks finds what is there: {found:?}");
    }
    assert!(found.dropped.is_empty(), "{:?}", found.dropped);
}
