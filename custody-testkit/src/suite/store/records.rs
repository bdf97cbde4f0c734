use custody_core::seam::RecordKey;

use super::{StoreFixture, key, puts, record, scan, value, write};

/// Values of any bytes and lengths come back as they were written.
pub async fn a_record_is_read_back_verbatim(fixture: StoreFixture) {
    let store = fixture.store;
    let every_byte: Vec<u8> = (0..=255).collect();
    let cases: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("every-byte", every_byte.clone()),
        ("zeros", vec![0; 100]),
        ("not-utf-8", vec![0xff, 0xfe, 0xc3]),
        ("megabyte", every_byte.repeat(4_096)),
    ];
    for (name, bytes) in &cases {
        write(&*store, puts(vec![record(name, bytes)])).await;
    }
    for (name, bytes) in &cases {
        assert!(value(&*store, name).await.as_ref() == Some(bytes), "the value {name} changed");
        let scanned = store.scan(&key(name), None, 1).await.unwrap();
        assert!(scanned[0].value == *bytes, "the scanned value {name} changed");
    }
}

/// A key that was never written has no record, though it is a prefix or a longer form of one.
pub async fn an_absent_record_is_none(fixture: StoreFixture) {
    let store = fixture.store;
    write(&*store, puts(vec![record("order/1", b"x")])).await;
    for name in ["order/", "order/11", "order", "order/2", "x"] {
        assert_eq!(value(&*store, name).await, None, "{name}");
    }
}

/// Keys of 1 to 512 bytes with every allowed character are kept apart.
pub async fn keys_of_every_length_are_kept(fixture: StoreFixture) {
    let store = fixture.store;
    let alphabet: String = ('!'..='~').collect();
    let mut names = vec!["a".repeat(512), "a".repeat(511), alphabet.clone()];
    names.extend(alphabet.chars().map(String::from).filter(|name| name != "a"));
    let records = names.iter().enumerate().map(|(n, name)| record(name, &[n as u8])).collect();
    write(&*store, puts(records)).await;
    for (n, name) in names.iter().enumerate() {
        assert_eq!(value(&*store, name).await, Some(vec![n as u8]), "{name}");
    }
}

/// Keys are compared as bytes: upper and lower case are two keys.
pub async fn keys_differ_in_case(fixture: StoreFixture) {
    let store = fixture.store;
    write(&*store, puts(vec![record("Case", b"upper"), record("case", b"lower")])).await;
    assert_eq!(value(&*store, "Case").await.unwrap(), b"upper");
    assert_eq!(value(&*store, "case").await.unwrap(), b"lower");
    assert_eq!(value(&*store, "CASE").await, None);
    assert_eq!(scan(&*store, "case", None, 10).await, ["case"]);
}

/// A scan is in byte order of its keys, whatever the order of writing.
pub async fn a_scan_is_in_byte_order_of_keys(fixture: StoreFixture) {
    let store = fixture.store;
    let names = ["k/b", "k/~", "k/a", "k/!", "k/B", "k/aa", "k/10", "k/9", "k/_", "k/"];
    for name in names {
        write(&*store, puts(vec![record(name, name.as_bytes())])).await;
    }
    let mut expected = names.map(String::from).to_vec();
    expected.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(scan(&*store, "k/", None, 100).await, expected);
}

/// A scan returns all keys that begin with its prefix and no others.
pub async fn a_scan_returns_its_prefix_only(fixture: StoreFixture) {
    let store = fixture.store;
    let names = ["a", "a%", "a%b", "a*", "a_", "a_b", "a~", "a~~", "aab", "axb", "b", "B", "%"];
    write(&*store, puts(names.iter().map(|name| record(name, b"x")).collect())).await;
    for prefix in names.into_iter().chain(["aa", "c", "a~~~", "~"]) {
        let mut expected: Vec<&str> = names.to_vec();
        expected.retain(|name| name.starts_with(prefix));
        expected.sort_unstable();
        assert_eq!(scan(&*store, prefix, None, 100).await, expected, "prefix {prefix}");
    }
}

/// A scan returns at most as many records as its limit, and the first ones.
pub async fn a_scan_returns_at_most_its_limit(fixture: StoreFixture) {
    let store = fixture.store;
    let names: Vec<String> = (0..5).map(|n| format!("l/{n}")).collect();
    write(&*store, puts(names.iter().map(|name| record(name, b"x")).collect())).await;
    for limit in 0..7_u16 {
        let expected = &names[..usize::from(limit).min(5)];
        assert_eq!(scan(&*store, "l/", None, limit).await, expected, "limit {limit}");
    }
    assert_eq!(scan(&*store, "l/", None, u16::MAX).await, names);
}

/// Pages that each begin after the last key of the one before are the whole, once.
pub async fn a_scan_pages_through_everything_once(fixture: StoreFixture) {
    let store = fixture.store;
    let names: Vec<String> = (0..103).map(|n| format!("p/{n:03}")).collect();
    write(&*store, puts(names.iter().map(|name| record(name, b"x")).collect())).await;
    write(&*store, puts(vec![record("o", b"x"), record("q", b"x")])).await;
    let mut found: Vec<String> = Vec::new();
    for _ in 0..12 {
        let after = found.last().cloned();
        found.extend(scan(&*store, "p/", after.as_deref(), 10).await);
    }
    assert_eq!(found, names);
}

/// `after` need not exist, and may lie before or behind the prefix.
pub async fn a_scan_starts_after_a_key_that_does_not_exist(fixture: StoreFixture) {
    let store = fixture.store;
    let names = ["m/1", "m/3", "m/5"];
    write(&*store, puts(names.iter().map(|name| record(name, b"x")).collect())).await;
    for (after, expected) in [
        ("a", &names[..]),
        ("m/", &names[..]),
        ("m/1", &names[1..]),
        ("m/2", &names[1..]),
        ("m/30", &names[2..]),
        ("m/5", &names[3..]),
        ("z", &names[3..]),
    ] {
        assert_eq!(scan(&*store, "m/", Some(after), 10).await, expected, "after {after}");
    }
    let longest = RecordKey::parse(&"~".repeat(512)).unwrap();
    assert_eq!(store.scan(&longest, Some(&longest), 10).await.unwrap(), []);
}
