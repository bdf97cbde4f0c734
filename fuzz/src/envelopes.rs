//! The envelope: it opens under its own key and context, unchanged, and never otherwise.

use custody_core::envelope::{OVERHEAD, open, seal};
use custody_core::secret::Secret;
use custody_testkit::runtime::TestEntropy;

use crate::Seed;
use crate::input::{Input, cut, flip, named, patched};

const CONTEXT: [&[u8]; 3] = [b"record", b"0001", b"name"];

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["given", "made"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    match input.byte() % 2 {
        0 => given(input.rest()).then_some("given"),
        _ => made(input).then_some("made"),
    }
}

/// Bytes that claim to be an envelope: only those that the key has made are one.
fn given(bytes: &[u8]) -> bool {
    let opened = open(&key(1), &CONTEXT, bytes);
    let known = known();
    let own = known.iter().find(|(envelope, _)| envelope == bytes);
    match (opened, own) {
        (Ok(opened), Some((_, plain))) => {
            assert_eq!(opened.expose(), plain);
            true
        }
        (Err(_), None) => false,
        (Ok(_), None) => panic!("a forged envelope opens"),
        (Err(error), Some(_)) => panic!("an envelope does not open: {error}"),
    }
}

/// Seals, changes and opens.
fn made(mut input: Input<'_>) -> bool {
    let fields: Vec<&[u8]> = (0..input.byte() % 4).map(|_| input.field()).collect();
    let plain = input.field();
    let sealed = sealed(&fields, plain, 9);
    assert_eq!(sealed.len(), plain.len() + OVERHEAD);
    assert_eq!(open(&key(1), &fields, &sealed).unwrap().expose(), plain);
    assert!(open(&key(2), &fields, &sealed).is_err(), "another key");
    assert!(open(&key(1), &[&fields[..], &[b""]].concat(), &sealed).is_err(), "one field more");
    if fields.len() > 1 {
        assert!(open(&key(1), &[&fields.concat()[..]], &sealed).is_err(), "joined fields");
    }
    let changed = patched(&sealed, input.rest());
    let same = changed == sealed;
    assert_eq!(open(&key(1), &fields, &changed).is_ok(), same, "a changed envelope opens");
    same
}

fn sealed(fields: &[&[u8]], plain: &[u8], seed: u64) -> Vec<u8> {
    let plain = Secret::new(plain.to_vec());
    seal(&key(1), fields, &plain, &TestEntropy::seeded(seed)).unwrap()
}

fn known() -> Vec<(Vec<u8>, Vec<u8>)> {
    let plains = [Vec::new(), b"a data key of thirty-two bytes..".to_vec(), vec![5; 300]];
    (0..).zip(plains).map(|(seed, plain)| (sealed(&CONTEXT, &plain, seed), plain)).collect()
}

fn key(byte: u8) -> Secret {
    Secret::new(vec![byte; 32])
}

pub(crate) fn seeds() -> Vec<Seed> {
    let fields = [&[1, 2, 2][..], b"ab", &[1], b"c", &[4], b"text"].concat();
    let known: Vec<_> = known().into_iter().map(|(envelope, _)| envelope).collect();
    let given = |bytes: &[u8]| [&[0], bytes].concat();
    named([
        ("given-empty", given(&known[0])),
        ("given-key", given(&known[1])),
        ("given-long", given(&known[2])),
        ("given-cut", given(&known[1][..40])),
        ("given-another-version", given(&patched(&known[1], &flip(0, 3)))),
        ("given-another-tag", given(&patched(&known[1], &flip(60, 1)))),
        ("made-empty", vec![1]),
        ("made-fields", fields.clone()),
        ("made-flipped", [&fields[..], &flip(20, 0x80)].concat()),
        ("made-cut", [&fields[..], &cut(16)].concat()),
        ("made-flipped-back", [&fields[..], &flip(3, 7), &flip(3, 7)].concat()),
    ])
}
