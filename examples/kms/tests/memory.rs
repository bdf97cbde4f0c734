//! Nothing of a key that was open lies in memory once it is let go of, with the system's allocator. What
//! KMS answered is another matter: see `memory_wiped`.

#[path = "memory/life.rs"]
mod life;
#[expect(dead_code, reason = "more than is needed here")]
#[path = "../../../custody-kms/tests/world/proxy.rs"]
mod proxy;
#[path = "memory/scan.rs"]
mod scan;

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
    let ours = |name: &&String| *name != "the data key of KMS as base64";
    let left: Vec<_> = found.dropped.iter().filter(ours).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_is_looked_for_is_found_in_each_form() {
    let mut secret = [0; 32];
    custody_core::seam::Entropy::fill(&examples_start::entropy::OsEntropy, &mut secret).unwrap();
    let (mut forms, half) = (Vec::new(), secret[16..].to_vec());
    forms.push(("x as bytes", half));
    forms.push(("x as hex", hex::encode(&secret[..16]).into_bytes()));
    let needles = scan::needles("x", &secret);
    secret.fill(0);
    for (name, text) in &forms {
        assert!(scan::found(&needles).contains(name), "{name}: {} bytes", text.len());
    }
}
