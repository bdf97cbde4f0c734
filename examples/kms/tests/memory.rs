//! Nothing of a key that was open lies in memory once it is let go of, with the system's allocator. What
//! KMS answered is another matter: see `memory_wiped`.

#[path = "memory/life.rs"]
mod life;
#[expect(dead_code, reason = "more than is needed here")]
#[path = "../../../custody-kms/tests/world/proxy.rs"]
mod proxy;
#[path = "memory/scan.rs"]
mod scan;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_key_that_was_used_and_dropped_lies_nowhere() {
    let Some(found) = life::findings("a_key_that_was_used_and_dropped_lies_nowhere") else {
        return;
    };
    // Whoever looks finds what is there.
    for name in ["the private key as reversed", "the data key of KMS as bytes"] {
        assert!(found.open.contains(name), "{found:?}");
    }
    let answered = "the data key of KMS as base64";
    println!("{answered} lies in freed memory: {}", found.dropped.contains(answered));
    let left: Vec<_> = found.dropped.iter().filter(|name| *name != answered).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn each_half_of_a_secret_is_found_in_each_form() {
    let secret: [u8; 32] = std::array::from_fn(|at| 7 * u8::try_from(at).unwrap());
    let reversed: Vec<_> = secret.iter().rev().copied().collect();
    let (hex, base64) = (hex::encode(secret).into_bytes(), STANDARD.encode(secret));
    let needles = scan::needles("it", &secret);
    for (form, text) in [
        ("bytes", secret.to_vec()),
        ("reversed", reversed),
        ("hex", hex),
        ("base64", base64.trim_end_matches('=').into()),
    ] {
        let name = format!("it as {form}");
        let is_found = |haystack: &[u8]| {
            needles.iter().any(|needle| needle.name() == name && needle.is_in(haystack))
        };
        let (first, second) = text.split_at(text.len() / 2);
        for half in [first, second] {
            assert!(is_found(&[b"before", half, b"behind"].concat()), "{name}");
            assert!(!is_found(&[b"before", &half[..half.len() - 2], b"behind"].concat()), "{name}");
        }
        assert!(scan::found(&needles).contains(name.as_str()), "{name} lies here");
    }
}
