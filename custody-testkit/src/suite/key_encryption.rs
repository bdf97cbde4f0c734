//! The checks of [`KeyEncryption`]. Opens secrets, of tests only.

use std::fmt;
use std::sync::Arc;

use custody_core::seam::{BackendError, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;
use futures::future::{BoxFuture, join_all};

use super::Guard;

/// Makes every check of a key encryption a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields a [`KeyEncryptionFixture`]. Put
/// each use in a module of its own.
///
/// What needs a device or a service says so: `key_encryption_suite!(ignore = "needs …"; $make)` gives each
/// test the attribute `#[ignore]` with this reason.
#[macro_export]
macro_rules! key_encryption_suite {
    (ignore = $reason:literal; $make:expr) => {
        $crate::key_encryption_suite! { @checks [ignore = $reason] $make }
    };
    ($make:expr) => {
        $crate::key_encryption_suite! { @checks [] $make }
    };
    (@checks [$($attribute:meta)?] $make:expr) => {
        $crate::key_encryption_suite! { @tests [$($attribute)?] $make;
            a_changed_byte_is_refused
            a_changed_context_is_refused
            a_data_key_comes_back
            a_longer_or_shorter_wrapping_is_refused
            another_key_has_another_id
            another_key_refuses
            concurrent_calls_do_not_mix
            foreign_bytes_are_refused
            the_data_key_does_not_show
            the_id_is_stable
            two_wrappings_of_one_data_key_differ
            wrappings_open_after_a_reopen
        }
    };
    (@tests $attribute:tt $make:expr; $($check:ident)*) => {$(
        $crate::key_encryption_suite! { @test $attribute $make; $check }
    )*};
    (@test [$($attribute:meta)?] $make:expr; $check:ident) => {
        #[test]
        $(#[$attribute])?
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::key_encryption::$check($make).await
            });
        }
    };
}

/// What the key-encryption suite needs: a key encryption, another one of the same kind under
/// another key, and the first one opened again.
pub struct KeyEncryptionFixture {
    kek: Arc<dyn KeyEncryption>,
    other: Arc<dyn KeyEncryption>,
    reopen: Option<Reopen>,
    guard: Option<Guard>,
}

type Reopen = Box<dyn FnMut() -> BoxFuture<'static, Arc<dyn KeyEncryption>> + Send>;

impl KeyEncryptionFixture {
    /// A key encryption, and another one that must not open what the first has wrapped.
    #[must_use]
    pub fn new(kek: Arc<dyn KeyEncryption>, other: Arc<dyn KeyEncryption>) -> Self {
        Self { kek, other, reopen: None, guard: None }
    }

    /// How to open the same key encryption again, as after a restart. Without it the suite uses
    /// the one that is open.
    #[must_use]
    pub fn with_reopen(
        mut self,
        reopen: impl FnMut() -> BoxFuture<'static, Arc<dyn KeyEncryption>> + Send + 'static,
    ) -> Self {
        self.reopen = Some(Box::new(reopen));
        self
    }

    /// Keeps something alive as long as the fixture.
    #[must_use]
    pub fn with_guard(mut self, guard: impl std::any::Any + Send) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }
}

impl fmt::Debug for KeyEncryptionFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEncryptionFixture").field("kek", &self.kek).finish_non_exhaustive()
    }
}

const CONTEXT: &[&[u8]] = &[b"custodian", b"wallet", b"key"];

/// What was wrapped is unwrapped under the same context, for any context.
pub async fn a_data_key_comes_back(fixture: KeyEncryptionFixture) {
    let long = [7_u8; 300];
    let contexts: [&[&[u8]]; 5] = [CONTEXT, &[], &[b""], &[&[0, 255, 128]], &[&long, b"x"]];
    for context in contexts {
        for fill in [0, 1, 0xff] {
            let wrapped = wrap(&*fixture.kek, fill, context).await;
            let opened = fixture.kek.unwrap(&wrapped, context).await.expect("it unwraps");
            assert!(opened.expose() == [fill; 32], "another data key came back");
        }
    }
}

/// A context with a field added, removed, changed, moved or cut elsewhere does not unwrap.
pub async fn a_changed_context_is_refused(fixture: KeyEncryptionFixture) {
    let wrapped = wrap(&*fixture.kek, 7, CONTEXT).await;
    let changed: [(&str, &[&[u8]]); 10] = [
        ("none", &[]),
        ("a field fewer", &[b"custodian", b"wallet"]),
        ("the first field fewer", &[b"wallet", b"key"]),
        ("a field more", &[b"custodian", b"wallet", b"key", b"x"]),
        ("an empty field more", &[b"custodian", b"wallet", b"key", b""]),
        ("a field changed", &[b"custodian", b"wallet", b"kez"]),
        ("another case", &[b"custodian", b"Wallet", b"key"]),
        ("fields swapped", &[b"wallet", b"custodian", b"key"]),
        ("a byte moved", &[b"custodianw", b"allet", b"key"]),
        ("fields joined", &[b"custodianwalletkey"]),
    ];
    for (case, context) in changed {
        assert_refused(fixture.kek.unwrap(&wrapped, context).await, case);
    }
    let wrapped = wrap(&*fixture.kek, 7, &[]).await;
    assert_refused(fixture.kek.unwrap(&wrapped, CONTEXT).await, "a context where none was");
    assert_refused(fixture.kek.unwrap(&wrapped, &[b""]).await, "an empty field where none was");
}

/// A wrapping with one bit of any byte changed does not unwrap.
pub async fn a_changed_byte_is_refused(fixture: KeyEncryptionFixture) {
    let wrapped = wrap(&*fixture.kek, 7, CONTEXT).await;
    for position in 0..wrapped.len() {
        for bit in [0x01, 0x80] {
            let mut changed = wrapped.clone();
            changed[position] ^= bit;
            let case = format!("byte {position} of {} changed", wrapped.len());
            assert_refused(fixture.kek.unwrap(&changed, CONTEXT).await, &case);
        }
    }
}

/// A wrapping cut anywhere, or with bytes before or behind it, does not unwrap.
pub async fn a_longer_or_shorter_wrapping_is_refused(fixture: KeyEncryptionFixture) {
    let wrapped = wrap(&*fixture.kek, 7, CONTEXT).await;
    for length in 0..wrapped.len() {
        let case = format!("cut to {length} of {} bytes", wrapped.len());
        assert_refused(fixture.kek.unwrap(&wrapped[..length], CONTEXT).await, &case);
    }
    let behind = [&wrapped[..], &[0]].concat();
    let before = [&[0], &wrapped[..]].concat();
    let twice = [&wrapped[..], &wrapped[..]].concat();
    for (case, bytes) in [("behind", behind), ("before", before), ("twice", twice)] {
        assert_refused(fixture.kek.unwrap(&bytes, CONTEXT).await, case);
    }
}

/// Bytes that nobody wrapped do not unwrap.
pub async fn foreign_bytes_are_refused(fixture: KeyEncryptionFixture) {
    for length in [0, 1, 12, 28, 29, 32, 61, 64, 1_024, 16 * 1_024] {
        for fill in [0, 1, 0xff] {
            let case = format!("{length} times {fill}");
            assert_refused(fixture.kek.unwrap(&vec![fill; length], CONTEXT).await, &case);
        }
    }
}

/// Two wrappings of one data key under one context differ, and both unwrap.
pub async fn two_wrappings_of_one_data_key_differ(fixture: KeyEncryptionFixture) {
    let first = wrap(&*fixture.kek, 7, CONTEXT).await;
    let second = wrap(&*fixture.kek, 7, CONTEXT).await;
    assert!(first != second, "two wrappings are the same bytes");
    for wrapped in [first, second] {
        assert!(fixture.kek.unwrap(&wrapped, CONTEXT).await.unwrap().expose() == [7; 32]);
    }
}

/// The wrapped bytes do not hold the data key, nor a quarter of it.
pub async fn the_data_key_does_not_show(fixture: KeyEncryptionFixture) {
    let data_key: Vec<u8> = (0..32).map(|n| n * 7 + 1).collect();
    let secret = Secret::new(data_key.clone());
    let wrapped = fixture.kek.wrap(&secret, CONTEXT).await.unwrap();
    for quarter in data_key.chunks(8) {
        let shows = wrapped.windows(8).any(|window| window == quarter);
        assert!(!shows, "a part of the data key stands in the wrapped bytes");
    }
}

/// The id is the same before and after use.
pub async fn the_id_is_stable(fixture: KeyEncryptionFixture) {
    let before = fixture.kek.id().clone();
    let wrapped = wrap(&*fixture.kek, 7, CONTEXT).await;
    drop(fixture.kek.unwrap(&wrapped, CONTEXT).await.unwrap());
    assert!(fixture.kek.unwrap(&wrapped, &[]).await.is_err());
    assert_eq!(*fixture.kek.id(), before);
    if let Some(mut reopen) = fixture.reopen {
        assert_eq!(*reopen().await.id(), before, "the id after a reopen");
    }
}

/// A key encryption under another key has another id.
pub async fn another_key_has_another_id(fixture: KeyEncryptionFixture) {
    assert_ne!(fixture.kek.id(), fixture.other.id());
}

/// A key encryption under another key does not unwrap.
pub async fn another_key_refuses(fixture: KeyEncryptionFixture) {
    let wrapped = wrap(&*fixture.kek, 7, CONTEXT).await;
    assert_refused(fixture.other.unwrap(&wrapped, CONTEXT).await, "the other key");
    let wrapped = wrap(&*fixture.other, 7, CONTEXT).await;
    assert_refused(fixture.kek.unwrap(&wrapped, CONTEXT).await, "the first key");
}

/// Sixteen calls at once each get their own data key back.
pub async fn concurrent_calls_do_not_mix(fixture: KeyEncryptionFixture) {
    let tasks = (0..16_u8).map(|caller| {
        let kek = Arc::clone(&fixture.kek);
        tokio::spawn(async move {
            let context: [&[u8]; 1] = [&[caller]];
            let wrapped = wrap(&*kek, caller, &context).await;
            let opened = kek.unwrap(&wrapped, &context).await.unwrap();
            assert!(opened.expose() == [caller; 32], "caller {caller} got another data key");
            assert_refused(kek.unwrap(&wrapped, &[&[caller + 1]]).await, "another's context");
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
}

/// What was wrapped before a reopen is unwrapped after it.
pub async fn wrappings_open_after_a_reopen(fixture: KeyEncryptionFixture) {
    let wrapped = wrap(&*fixture.kek, 7, CONTEXT).await;
    let kek = match fixture.reopen {
        Some(mut reopen) => reopen().await,
        None => fixture.kek,
    };
    assert!(kek.unwrap(&wrapped, CONTEXT).await.unwrap().expose() == [7; 32]);
}

async fn wrap(kek: &dyn KeyEncryption, fill: u8, context: &[&[u8]]) -> Vec<u8> {
    kek.wrap(&Secret::new(vec![fill; 32]), context).await.expect("a data key is wrapped")
}

fn assert_refused(answer: Result<Secret, BackendError>, case: &str) {
    match answer {
        Ok(_) => panic!("unwrapped all the same: {case}"),
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Refused),
            "{case}: {error}"
        ),
    }
}
