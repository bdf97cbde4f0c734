//! What tokens and modules are known to do to those who use them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking and tell other processes"
)]

#[path = "world/aes.rs"]
mod aes;
#[path = "hazards/keks.rs"]
mod keks;
#[path = "hazards/processes.rs"]
mod processes;
#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::id::KekId;
use custody_core::seam::{ErrorKind, Exportability, Health, KeyBackend, KeyRecord, Signer};
use custody_hsm::{HsmBackend, HsmEvent, Observer, Provenance};
use futures::future::join_all;
use pollster::block_on;
use softhsm::{PIN, Tokens};

const INPUT: SignInput<'static> = SignInput::Prehash(&[7; 32]);

async fn key(backend: &HsmBackend, name: &str) -> KeyRecord {
    let request = softhsm::keys::request(name, Algorithm::EcdsaSecp256k1, Exportability::Never);
    softhsm::keys::record(backend, request).await
}

async fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let signed = signer.sign(INPUT).await.map_err(|error| error.kind())?;
    signed.checked(signer.public_key(), INPUT).map(drop).map_err(|_| ErrorKind::Corrupt)
}

/// Whether it signs before ten seconds are over.
fn signs_again(signer: &Arc<dyn Signer>) -> bool {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(10) {
        if block_on(sign(signer)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The same module, used by somebody else in this process.
fn somebody(tokens: &Tokens, label: &str) -> Session {
    let client = Pkcs11::new(softhsm::module()).unwrap();
    let slots = client.get_slots_with_token().unwrap();
    let wanted = tokens.label(label);
    let is_it = |slot: &_| client.get_token_info(*slot).unwrap().label() == wanted;
    let session = client.open_rw_session(slots.into_iter().find(is_it).unwrap()).unwrap();
    // Whoever opened the backend has logged in already.
    let _already = session.login(UserType::User, Some(&AuthPin::from(PIN)));
    session
}

fn objects(session: &Session, class: ObjectClass) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Class(class)]).unwrap()
}

#[test]
#[ignore = "needs SoftHSM"]
fn every_attribute_of_a_key_is_said_and_not_left_to_the_module() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    let record = block_on(key(&backend, "key"));
    let session = somebody(&tokens, "one");
    let [private] = objects(&session, ObjectClass::PRIVATE_KEY)[..] else { panic!("one key") };
    let id = custody_core::digest::Digest::tagged(
        "custody/hsm/key/v1",
        &[record.custodian.digest().as_bytes().as_slice(), record.key.as_str().as_bytes()],
    );
    for wanted in [
        Attribute::AlwaysSensitive(true),
        Attribute::Copyable(false),
        Attribute::Decrypt(false),
        Attribute::Derive(false),
        Attribute::Destroyable(false),
        Attribute::Extractable(false),
        Attribute::Id(id.as_bytes().to_vec()),
        Attribute::Label(b"custody cold key ecdsa-secp256k1".to_vec()),
        Attribute::Local(true),
        Attribute::Modifiable(false),
        Attribute::NeverExtractable(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Sign(true),
        Attribute::SignRecover(false),
        Attribute::Token(true),
        Attribute::Unwrap(false),
    ] {
        let told = session.get_attributes(private, &[wanted.attribute_type()]).unwrap();
        assert_eq!(told, [wanted]);
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn what_the_token_says_of_a_key_is_kept_with_it() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    let kept = block_on(key(&backend, "kept"));
    let request = softhsm::keys::request("lent", Algorithm::EcdsaSecp256k1, Exportability::Wrapped);
    let lent = block_on(softhsm::keys::record(&backend, request));
    for (record, stays) in [(&kept, true), (&lent, false)] {
        let told = Provenance::of(record).unwrap();
        assert!(told.sensitive && told.always_sensitive && told.local, "{told:?}");
        assert_eq!((told.never_extractable, told.extractable), (stays, !stays), "{told:?}");
        assert_eq!(told.destroyable, Some(false));
        assert_eq!(told.manufacturer, "SoftHSM project");
    }
    let mixed = KeyRecord { handle: lent.handle, ..kept };
    assert_eq!(Provenance::of(&mixed), None);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_that_is_removed_does_not_sign_until_it_is_back() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    let signer = block_on(async { backend.signer(&key(&backend, "key").await).await.unwrap() });
    block_on(sign(&signer)).unwrap();
    assert_eq!(block_on(backend.health()), Health::Ready);
    let (here, away) = (tokens.folder().join("tokens"), tokens.folder().join("away"));
    std::fs::rename(&here, &away).unwrap();
    for _ in 0..5 {
        let since = Instant::now();
        let kind = block_on(sign(&signer)).unwrap_err();
        assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Unavailable), "{kind:?}");
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert_eq!(block_on(backend.health()), Health::Unavailable);
    }
    std::fs::create_dir_all(&here).unwrap();
    assert!(block_on(sign(&signer)).is_err(), "another token is not this one");
    std::fs::remove_dir_all(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    assert!(signs_again(&signer));
    assert_eq!(block_on(backend.health()), Health::Ready);
}

/// Versions of SoftHSM before 2.7 lose keys that are made while others search.
#[test]
#[ignore = "needs SoftHSM"]
fn keys_are_made_while_others_search_and_sign() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    block_on(async {
        let record = key(&backend, "key").await;
        let making = async {
            for number in 0..40 {
                let made = key(&backend, &format!("key-{number}")).await;
                sign(&backend.signer(&made).await.unwrap()).await.unwrap();
            }
        };
        let searching = join_all((0..7).map(|_| async {
            for _ in 0..60 {
                sign(&backend.signer(&record).await.unwrap()).await.unwrap();
            }
        }));
        futures::future::join(making, searching).await;
    });
    let session = somebody(&tokens, "one");
    assert_eq!(objects(&session, ObjectClass::PRIVATE_KEY).len(), 41);
    assert_eq!(objects(&session, ObjectClass::PUBLIC_KEY).len(), 41);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_is_asked_for_many_times_at_once_is_made_once() {
    let tokens = Tokens::new(&["one"]);
    let (backend, again) = block_on(async { (tokens.open("one").await, tokens.open("one").await) });
    let request = softhsm::keys::request("key", Algorithm::EcdsaSecp256k1, Exportability::Never);
    let asked = (0..16).map(|number| match number % 2 {
        0 => backend.generate(&request),
        _ => again.generate(&request),
    });
    let made = block_on(join_all(asked));
    let keys: Vec<_> = made.into_iter().map(|made| made.unwrap().public_key).collect();
    assert!(keys.windows(2).all(|two| two[0] == two[1]), "{keys:?}");
    let keks = block_on(join_all((0..8).map(|_| backend.key_encryption("store"))));
    assert!(keks.into_iter().all(|kek| kek.is_ok()));
    let session = somebody(&tokens, "one");
    assert_eq!(objects(&session, ObjectClass::PRIVATE_KEY).len(), 1);
    assert_eq!(objects(&session, ObjectClass::SECRET_KEY).len(), 1);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_wraps_and_may_do_more_wraps_nothing() {
    let tokens = Tokens::new(&["one"]);
    let mut config = tokens.config("one");
    (config.wrapping, config.destroyable) = (true, true);
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let under = KekId::parse("recovery").unwrap();
    block_on(backend.create_wrapping_key(&under)).unwrap();
    let request = softhsm::keys::request("key", Algorithm::EcdsaSecp256k1, Exportability::Wrapped);
    let record = block_on(softhsm::keys::record(&backend, request));
    let wrapping = backend.wrapping().unwrap();
    let wrapped = block_on(wrapping.wrap(&record, &under)).unwrap();

    let session = somebody(&tokens, "one");
    let [honest] = objects(&session, ObjectClass::SECRET_KEY)[..] else { panic!("one key") };
    let id = session.get_attributes(honest, &[AttributeType::Id]).unwrap();
    session.destroy_object(honest).unwrap();
    let more = [
        Attribute::Decrypt(true),
        Attribute::Derive(true),
        Attribute::Encrypt(true),
        Attribute::Extractable(true),
        Attribute::Private(false),
        Attribute::Sensitive(false),
        Attribute::Sign(true),
        Attribute::Verify(true),
    ];
    for more in more {
        let mut template = vec![
            Attribute::Token(true),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            id[0].clone(),
        ];
        let least = [
            Attribute::Decrypt(false),
            Attribute::Derive(false),
            Attribute::Encrypt(false),
            Attribute::Extractable(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Sign(false),
            Attribute::Verify(false),
        ];
        let kind = more.attribute_type();
        template.extend(least.into_iter().filter(|one| one.attribute_type() != kind));
        template.push(more);
        let made = session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
        let refused = block_on(wrapping.wrap(&record, &under)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{kind:?}");
        let refused = block_on(wrapping.unwrap(&record, &wrapped, &under)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{kind:?}");
        session.destroy_object(made).unwrap();
    }
}

/// Whoever has the PIN may bring a key in under the name of one that is to be made.
#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_somebody_brought_in_encrypts_nothing() {
    let tokens = Tokens::new(&["one"]);
    let mut config = tokens.config("one");
    config.destroyable = true;
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    drop(block_on(backend.key_encryption("store")).unwrap());
    let session = somebody(&tokens, "one");
    let [honest] = objects(&session, ObjectClass::SECRET_KEY)[..] else { panic!("one key") };
    let id = session.get_attributes(honest, &[AttributeType::Id]).unwrap();
    session.destroy_object(honest).unwrap();
    let brought = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Value((150..182).collect()),
        id[0].clone(),
    ];
    let common = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    let _planted = session.create_object(&[&brought[..], &common].concat()).unwrap();
    let refused = block_on(backend.key_encryption("store")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_with_another_firmware_is_told_once() {
    let tokens = Tokens::new(&["one"]);
    let path = tokens.folder().join("facts.json");
    let events = Arc::new(Mutex::new(Vec::new()));
    let open = || {
        let mut config = tokens.config("one");
        config.facts = Some(path.clone());
        let heard = Arc::clone(&events);
        let observer =
            Observer::new(move |event: &HsmEvent| heard.lock().unwrap().push(event.clone()));
        drop(block_on(HsmBackend::open(config, observer)).unwrap());
        std::mem::take(&mut *events.lock().unwrap())
    };
    assert_eq!(open(), []);
    let mut facts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    facts["firmware"] = "0.1".into();
    std::fs::write(&path, facts.to_string()).unwrap();
    assert_eq!(open(), [HsmEvent::TokenChanged { what: vec!["firmware"] }]);
    assert_eq!(open(), []);
}

#[test]
#[ignore = "needs SoftHSM"]
fn the_report_counts_sessions_and_tells_the_login() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    let before = block_on(backend.report()).unwrap();
    assert!(before.is_logged_in);
    assert_eq!(before.label, tokens.label("one"));
    assert!(before.mechanisms.iter().any(|name| name == "CKM_ECDSA"), "{:?}", before.mechanisms);
    assert_eq!((before.usage.sessions, before.usage.waiting), (4, 0));
    let signer = block_on(async { backend.signer(&key(&backend, "key").await).await.unwrap() });
    let busy = block_on(async {
        let signing = join_all((0..64).map(|_| sign(&signer)));
        // Whatever is asked first has its place before this asks.
        let (signed, report) = futures::future::join(signing, backend.report()).await;
        assert!(signed.into_iter().all(|signed| signed.is_ok()));
        report.unwrap().usage
    });
    assert_eq!(busy.sessions, 4);
    assert!(busy.running <= 4 && (1..=64).contains(&busy.waiting), "{busy:?}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn the_thread_that_tried_a_token_hands_its_session_over_and_ends() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    let signer = block_on(async { backend.signer(&key(&backend, "key").await).await.unwrap() });
    let signed = block_on(join_all((0..64).map(|_| sign(&signer))));
    assert!(signed.into_iter().all(|signed| signed.is_ok()));
    assert_eq!(block_on(backend.report()).unwrap().usage.sessions, 4);
    let until = Instant::now() + Duration::from_secs(10);
    while threads("hsm") != 4 {
        assert!(Instant::now() < until, "{} threads for 4 sessions", threads("hsm"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many threads of this process have the name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.join("comm")).ok());
    names.filter(|comm| comm.trim_end() == name).count()
}
