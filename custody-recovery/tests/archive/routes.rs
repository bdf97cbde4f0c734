//! The ways to an archive's key: each opens, and nothing else does. Opens secrets, of tests only.

use std::sync::Arc;

use async_trait::async_trait;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KekId, OrderId, PrincipalId};
use custody_core::seam::{BackendError, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;
use custody_recovery::archive::{ArchiveId, Header, LockedArchive, ReadError};
use custody_recovery::{
    OfficerKey, Opener, Recipient, RecoveryKey, RouteError, RouteKind, Routes, RoutesError, SetId,
    X25519KeyError, X25519PublicKey, X25519SecretKey,
};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;

use crate::support::{SMALL, custodian, draft, entropy, key, small, write_with};

/// One of each, and two officers.
struct World {
    kek: MemoryKeyEncryption,
    secrets: [X25519SecretKey; 2],
    officers: [OfficerKey; 2],
    set: RecoveryKey,
    secret: Secret,
}

fn set_id(text: &str) -> SetId {
    SetId::of(&custodian(), &OrderId::parse(text).unwrap())
}

impl World {
    fn new() -> Self {
        let entropy = entropy(20);
        let secrets = [(); 2].map(|()| X25519SecretKey::generate(&*entropy).unwrap());
        let names = ["ann", "bob"].map(|name| PrincipalId::parse(name).unwrap());
        let [ann, bob] = names;
        let officers = [
            OfficerKey { officer: ann, public_key: secrets[0].public_key() },
            OfficerKey { officer: bob, public_key: secrets[1].public_key() },
        ];
        let secret = Secret::new(vec![42; 32]);
        let set = RecoveryKey::of(set_id("set-1"), &secret).unwrap();
        Self { kek: MemoryKeyEncryption::seeded(1), secrets, officers, set, secret }
    }

    fn recipients(&self) -> Vec<Recipient<'_>> {
        vec![
            Recipient::Kek(&self.kek),
            Recipient::Officer(&self.officers[0]),
            Recipient::Officer(&self.officers[1]),
            Recipient::Set(&self.set),
        ]
    }

    fn openers(&self) -> Vec<Opener<'_>> {
        vec![
            Opener::Kek(&self.kek),
            Opener::Officer(&self.secrets[0]),
            Opener::Officer(&self.secrets[1]),
            Opener::Set(&self.secret),
        ]
    }
}

fn wrap(recipients: &[Recipient<'_>]) -> Result<Routes, RouteError> {
    block_on(Routes::wrap(&key(), &archive(), &custodian(), recipients, &*entropy(30)))
}

fn archive() -> ArchiveId {
    ArchiveId::new([1; 32])
}

/// Whether the opener leads to the key.
fn opens(routes: &Routes, opener: Opener<'_>) -> bool {
    block_on(routes.open(&archive(), &custodian(), opener)).is_ok_and(|found| {
        let header = Header::new(draft(SMALL), &key(), routes.clone()).unwrap();
        write_with(&found, &header, &small()).is_ok()
    })
}

#[test]
fn any_one_route_opens_and_losing_any_others_loses_nothing() {
    let world = World::new();
    for (recipient, opener) in world.recipients().into_iter().zip(world.openers()) {
        assert!(opens(&wrap(&world.recipients()).unwrap(), opener), "{opener:?}");
        let alone = wrap(&[recipient]).unwrap();
        for other in world.openers() {
            let same = format!("{other:?}") == format!("{opener:?}");
            assert!(opens(&alone, other) <= same, "{other:?} opens what is of {opener:?}");
        }
        assert!(opens(&alone, opener), "{opener:?} alone");
    }
}

#[test]
fn each_wrong_opener_gets_the_same_clear_error() {
    let world = World::new();
    let routes = wrap(&world.recipients()).unwrap();
    let (kek, officer) =
        (MemoryKeyEncryption::seeded(2), X25519SecretKey::generate(&*entropy(21)).unwrap());
    let (passphrase, short) = (Secret::new(vec![43; 32]), Secret::new(vec![42; 15]));
    let wrong = [
        (Opener::Kek(&kek), RouteKind::Kek),
        (Opener::Officer(&officer), RouteKind::Officer),
        (Opener::Set(&passphrase), RouteKind::Set),
        (Opener::Set(&short), RouteKind::Set),
    ];
    for (opener, kind) in wrong {
        let refused = block_on(routes.open(&archive(), &custodian(), opener)).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("officer ann, officer bob, set"), "{text}");
        assert!(text.contains(world.kek.id().as_str()) && text.contains("SLIP-39"), "{text}");
        let RouteError::WrongRoute { tried, offered } = refused else { panic!("{text}") };
        assert_eq!((tried, offered.0), (kind, routes.ids()));
    }
}

#[test]
fn a_route_that_an_archive_lacks_is_the_same_error() {
    let world = World::new();
    let routes = wrap(&world.recipients()[..1]).unwrap();
    for opener in &world.openers()[1..] {
        let refused = block_on(routes.open(&archive(), &custodian(), *opener));
        assert!(matches!(refused, Err(RouteError::WrongRoute { .. })), "{opener:?}");
    }
}

#[test]
fn a_route_of_another_archive_or_custodian_does_not_open() {
    let world = World::new();
    let routes = wrap(&world.recipients()).unwrap();
    let (other, elsewhere) =
        (ArchiveId::new([2; 32]), CustodianId::new(Digest::of(b"other custodian")));
    for opener in world.openers() {
        for (archive, custodian) in [(other, custodian()), (archive(), elsewhere)] {
            let refused = block_on(routes.open(&archive, &custodian, opener));
            assert!(matches!(refused, Err(RouteError::WrongRoute { .. })), "{opener:?}");
        }
    }
}

#[test]
fn one_officers_or_sets_box_is_of_no_use_under_another_name() {
    let world = World::new();
    let routes = wrap(&world.recipients()).unwrap();
    let text = serde_json::to_string(&routes).unwrap();
    let renamed = text.replace("\"officer\":\"ann\"", "\"officer\":\"eve\"");
    let renamed = renamed.replace(&set_id("set-1").to_string(), &set_id("set-2").to_string());
    assert_ne!(renamed, text);
    let renamed: Routes = serde_json::from_str(&renamed).unwrap();
    assert!(!opens(&renamed, Opener::Officer(&world.secrets[0])));
    assert!(!opens(&renamed, Opener::Set(&world.secret)));
    assert!(opens(&renamed, Opener::Officer(&world.secrets[1])));
}

#[test]
fn an_archive_has_at_least_one_route_and_none_twice() {
    let world = World::new();
    let refused = |recipients: &[Recipient<'_>]| match wrap(recipients) {
        Err(RouteError::Routes(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[]), RoutesError::Count { count: 0 });
    let twice = [world.recipients()[1], world.recipients()[0], world.recipients()[1]];
    assert!(
        matches!(refused(&twice), RoutesError::Twice { id } if id.to_string() == "officer ann")
    );
    let officers: Vec<_> = (0..33)
        .map(|number| OfficerKey {
            officer: PrincipalId::parse(&format!("officer-{number}")).unwrap(),
            public_key: world.officers[0].public_key,
        })
        .collect();
    let many: Vec<_> = officers.iter().map(Recipient::Officer).collect();
    assert_eq!(refused(&many), RoutesError::Count { count: 33 });
    assert!(wrap(&many[..32]).is_ok());
}

#[test]
fn a_box_of_another_length_is_no_route() {
    let world = World::new();
    let text = serde_json::to_string(&wrap(&world.recipients()).unwrap()).unwrap();
    let header = |routes: &str| {
        let routes = serde_json::from_str(routes).unwrap();
        Header::new(draft(SMALL), &key(), routes)
    };
    assert!(header(&text).is_ok());
    for field in ["\"encapsulated\":\"", "\"sealed\":\""] {
        let longer = text.replacen(field, &format!("{field}00"), 1);
        assert!(header(&longer).is_err(), "{field}");
    }
    assert!(serde_json::from_str::<Routes>(&text.replacen("key\":\"", "key\":\"00", 1)).is_err());
}

#[test]
fn what_is_sealed_to_a_point_of_small_order_is_refused() {
    let officer = PrincipalId::parse("ann").unwrap();
    for point in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let bad = OfficerKey { officer: officer.clone(), public_key: X25519PublicKey::new(point) };
        let refused = wrap(&[Recipient::Officer(&bad)]);
        assert!(matches!(refused, Err(RouteError::PublicKey(X25519KeyError::NoPublicKey))));
    }
}

#[test]
fn nothing_is_sealed_without_entropy() {
    let world = World::new();
    let failing = TestEntropy::failing();
    let wrapped = block_on(Routes::wrap(
        &key(),
        &archive(),
        &custodian(),
        &world.recipients()[1..],
        &failing,
    ));
    assert!(matches!(wrapped, Err(RouteError::Entropy(_))));
}

/// A key encryption that fails in one way.
#[derive(Debug)]
struct Failing(KekId, ErrorKind);

#[async_trait]
impl KeyEncryption for Failing {
    fn id(&self) -> &KekId {
        &self.0
    }

    fn in_process(&self) -> bool {
        false
    }

    async fn wrap(&self, _: &Secret, _: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        Err(BackendError::new(self.1, "wrap"))
    }

    async fn unwrap(&self, _: &[u8], _: &[&[u8]]) -> Result<Secret, BackendError> {
        Err(BackendError::new(self.1, "unwrap"))
    }
}

#[test]
fn a_key_encryption_that_cannot_be_asked_is_not_a_wrong_one() {
    let world = World::new();
    let routes = wrap(&world.recipients()).unwrap();
    for (kind, is_wrong) in [
        (ErrorKind::Corrupt, true),
        (ErrorKind::NotFound, true),
        (ErrorKind::Refused, true),
        (ErrorKind::Unavailable, false),
        (ErrorKind::Indeterminate, false),
        (ErrorKind::Throttled { retry_after: None }, false),
    ] {
        let failing = Failing(world.kek.id().clone(), kind);
        let refused =
            block_on(routes.open(&archive(), &custodian(), Opener::Kek(&failing))).unwrap_err();
        assert_eq!(matches!(refused, RouteError::WrongRoute { .. }), is_wrong, "{kind:?}");
        assert_eq!(matches!(refused, RouteError::Backend(_)), !is_wrong, "{kind:?}");
    }
    let failing = Failing(world.kek.id().clone(), ErrorKind::Unavailable);
    assert!(matches!(wrap(&[Recipient::Kek(&failing)]), Err(RouteError::Backend(_))));
}

#[test]
fn a_locked_archive_opens_by_its_routes() {
    let world = World::new();
    let routes = wrap(&world.recipients()).unwrap();
    let header = Header::new(draft(SMALL), &key(), routes).unwrap();
    let (bytes, _) = write_with(&key(), &header, &small()).unwrap();
    for opener in world.openers() {
        block_on(async {
            let locked = LockedArchive::peek(bytes.as_slice()).await.unwrap();
            let key = locked.open_route(opener).await.unwrap();
            let reader = locked.unlock(&key).unwrap();
            assert_eq!(*reader.header().custodian(), custodian());
            reader.check().await.unwrap();
        });
    }
}

#[test]
fn a_changed_route_is_noticed_even_where_another_one_opens() {
    let world = World::new();
    let header = Header::new(draft(SMALL), &key(), wrap(&world.recipients()).unwrap()).unwrap();
    let (mut bytes, _) = write_with(&key(), &header, &small()).unwrap();
    let text = String::from_utf8_lossy(&bytes[21..]).into_owned();
    let at = 21 + text.find("\"officer\":\"ann\"").unwrap() + 11;
    bytes[at..at + 3].copy_from_slice(b"eve");
    block_on(async {
        let locked = LockedArchive::peek(bytes.as_slice()).await.unwrap();
        let key = locked.open_route(Opener::Kek(&world.kek)).await.unwrap();
        assert!(matches!(locked.unlock(&key), Err(ReadError::HeaderChanged)));
    });
}

#[test]
fn the_key_of_a_recovery_set_follows_from_its_secret() {
    let one = RecoveryKey::of(set_id("set-1"), &Secret::new(vec![42; 32])).unwrap();
    let pinned = hex::encode(one.public_key().as_bytes());
    assert_eq!(pinned, RECOVERY_KEY);
    let other = RecoveryKey::of(set_id("set-1"), &Secret::new(vec![43; 32])).unwrap();
    assert_ne!(one.public_key(), other.public_key());
    assert!(RecoveryKey::of(set_id("set-1"), &Secret::new(vec![42; 16])).is_ok());
    let refused = RecoveryKey::of(set_id("set-1"), &Secret::new(vec![42; 15]));
    assert_eq!(refused.unwrap_err(), X25519KeyError::Length { length: 15 });
}

#[test]
fn an_officers_key_is_kept_and_read_again() {
    let made = X25519SecretKey::generate(&*entropy(1)).unwrap();
    let read = X25519SecretKey::new(&made.to_secret()).unwrap();
    assert_eq!(made.public_key(), read.public_key());
    for length in [0, 31, 33] {
        let refused = X25519SecretKey::new(&Secret::new(vec![1; length]));
        assert_eq!(refused.unwrap_err(), X25519KeyError::Length { length });
    }
    // RFC 7748, section 6.1: Alice's keys.
    let private = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let alice = X25519SecretKey::new(&Secret::new(hex::decode(private).unwrap())).unwrap();
    assert_eq!(hex::encode(alice.public_key().as_bytes()), public);
}

#[test]
fn no_debug_shows_a_key() {
    let world = World::new();
    let secret = Secret::new(vec![0xab; 32]);
    let key = X25519SecretKey::new(&secret).unwrap();
    let texts = [
        format!("{key:?}"),
        format!("{:?}", crate::support::key()),
        format!("{:?}", Opener::Set(&secret)),
        format!("{:?}", Opener::Officer(&key)),
        format!("{:?}", world.openers()),
    ];
    for text in texts {
        let lower = text.to_lowercase();
        assert!(!lower.contains("abab") && !lower.contains("171, 171"), "{text}");
        assert!(!lower.contains("0707") && !lower.contains("7, 7"), "{text}");
    }
}

#[test]
fn two_wraps_of_one_key_share_no_bytes_that_could_be_compared() {
    let world = World::new();
    let shared: Arc<dyn custody_core::seam::Entropy> = entropy(31);
    let wrap = || {
        let recipients = world.recipients();
        let wrapped =
            block_on(Routes::wrap(&key(), &archive(), &custodian(), &recipients, &*shared));
        serde_json::to_value(wrapped.unwrap()).unwrap()
    };
    let (one, other) = (wrap(), wrap());
    for number in 0..4 {
        for field in ["wrapped", "encapsulated", "sealed"] {
            let (one, other) = (&one[number][field], &other[number][field]);
            assert!(one.is_null() || one != other, "{number} {field}");
        }
    }
}

const RECOVERY_KEY: &str = "0b77b7ee9aecbb4ff504f5eedfa475908fde17cd474fa18ec0dd0e6b584c5a1e";
