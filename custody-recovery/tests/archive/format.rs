//! The bytes of archives. A change here is another version of the format. Opens secrets, of tests
//! only.

use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::secret::Secret;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::support::{
    SMALL, chunks_at, header, key, small, small_archive, split_chunks, write_with,
};

#[test]
fn the_headers_bytes_are_pinned() {
    let header = header(SMALL);
    let text = std::str::from_utf8(header.bytes()).unwrap();
    assert_eq!(text, HEADER);
    let counts = header.counts();
    assert_eq!((counts.events, header.checkpoint().note.as_str()), (2, "example.org/log\n2\n"));
}

#[test]
fn the_files_bytes_are_pinned() {
    let (bytes, summary) = write_with(&key(), &header(SMALL), &small()).unwrap();
    assert_eq!(summary.sha256, Digest::of(&bytes));
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.archive, *header(SMALL).archive());
    assert_eq!(&bytes[..21], b"custody-archive\n\x01\x00\x00\x03\x04");
    assert_eq!(summary.sha256.to_string(), FILE);
}

/// Reads an archive by the description of its layout alone.
#[test]
fn the_layout_is_what_is_described() {
    let bytes = small_archive();
    let at = chunks_at(&bytes);
    let header = &bytes[21..at - 32];
    let root = Hkdf::<Sha256>::new(Some(&[1; 32]), &[7; 32]);
    let derived = |label: &str, length| {
        let mut bytes = vec![0; length];
        root.expand(label.as_bytes(), &mut bytes).unwrap();
        bytes
    };
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&derived("custody/archive/header/v1", 32)).unwrap();
    mac.update(&bytes[..at - 32]);
    mac.verify_slice(&bytes[at - 32..at]).unwrap();
    let check = hex::encode(derived("custody/archive/key-check/v1", 16));
    assert!(std::str::from_utf8(header).unwrap().contains(&check));

    let payload = Secret::new(derived("custody/archive/payload/v1", 32));
    let mut entries = Vec::new();
    let (_, chunks) = split_chunks(&bytes);
    let digest = Digest::of(header);
    for (number, chunk) in (0_u64..).zip(&chunks) {
        let context: [&[u8]; 4] =
            [b"custody/archive/chunk/v1", digest.as_bytes(), &number.to_be_bytes(), &chunk[..1]];
        let opened = envelope::open(&payload, &context, &chunk[5..]).unwrap();
        entries.extend_from_slice(opened.expose());
    }
    let expected = [
        entry(2, b"\x00\x12document/genesis/1rules"),
        entry(1, b"\0\0\0\0\0\0\0\0{\"first\":1}"),
        entry(2, b"\x00\x0ahandle/hotsealed"),
        entry(2, b"\x00\x0brequest/a/b"),
        entry(1, b"\0\0\0\0\0\0\0\x01{\"second\":2}"),
        entry(3, b"log/checkpoint"),
        entry(4, b"note"),
        entry(5, b"\0\0\0\0\0\0\0\x04"),
        entry(3, b"log/tile/empty"),
        entry(5, &[0; 8]),
        entry(6, b"\x00\x08kek/maincorrect horse battery staple"),
        entry(6, &[&b"\x00\x07log-key"[..], &[9; 32]].concat()),
    ]
    .concat();
    let end = entry(7, Digest::of(&expected).as_bytes());
    assert_eq!(entries, [expected, end].concat());
}

fn entry(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], &(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

const HEADER: &str = concat!(
    r#"{"v":1,"#,
    r#""archive":"0101010101010101010101010101010101010101010101010101010101010101","#,
    r#""custodian":"ce40a8882fd16339c9a7e40c34cde432a73c422ccf4fb2519cb47cd1f504e59e","#,
    r#""log_key":{"algorithm":"ed25519","#,
    r#""bytes":"a5d61d625b2fd5cfc82a6133f805ced8f12ac8329365b30b6efe82abba95faa4"},"#,
    r#""created_at":1767225600000,"#,
    r#""checkpoint":{"size":2,"#,
    r#""root":"4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2","#,
    r#""note":"example.org/log\n2\n"},"#,
    r#""counts":{"events":2,"records":3,"files":2,"secrets":2},"#,
    r#""key_check":"f886374bafe9bebee3ccd807fe146b75","#,
    r#""routes":[{"route":"kek","#,
    r#""kek":"memory:f2756bbdb53acca50112d68454914b37272a50278a1118da539cb9e6e7339f78","#,
    r#""wrapped":"01fe7d170fd143655c5827d22d502f91127d24608d0d99997728fa4e1603ad0b4fe6a281a"#,
    r#"16c8a436798e3caf93499c630fec228a6cbfa210fdeddcb73"}]}"#,
);
const FILE: &str = "4712f1fdf37952bccee7bf9a1c2989bc571aa833e589ae0ba357f3a6770b85ac";
