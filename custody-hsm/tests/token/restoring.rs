//! Keys that come back from a backup, held against what is verified of keys that are made.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::KekId;
use custody_core::seam::{ErrorKind, Exportability, KeyBackend as _, KeyRecord};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, Observer, Provenance};
use pollster::block_on;

use crate::softhsm::{self, Tokens};
use crate::{sign, somebody};

/// `secp256k1`.
const CURVE: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];

/// A key of the token "one", wrapped, and another token that has the key that it is wrapped under.
struct Backup {
    two: HsmBackend,
    record: KeyRecord,
    wrapped: Vec<u8>,
    /// The bytes of another key, wrapped.
    other: Vec<u8>,
}

impl Backup {
    fn new(tokens: &Tokens, destroyable: bool) -> Self {
        let open = |label| {
            let mut config = tokens.config(label);
            (config.wrapping, config.destroyable) = (true, destroyable);
            let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
            let key = Secret::new((100..132).collect());
            block_on(backend.import_wrapping_key(&under(), key)).unwrap();
            backend
        };
        let (one, two) = (open("one"), open("two"));
        let wrapped = |name| {
            let algorithm = Algorithm::EcdsaSecp256k1;
            let request = softhsm::keys::request(name, algorithm, Exportability::Wrapped);
            let record = block_on(softhsm::keys::record(&one, request));
            let wrapped = block_on(one.wrapping().unwrap().wrap(&record, &under())).unwrap();
            (record, wrapped)
        };
        let ((record, wrapped), (_, other)) = (wrapped("key"), wrapped("other"));
        Self { two, record, wrapped, other }
    }

    /// Brings it back into the other token.
    fn restored(&self, wrapped: &[u8]) -> Result<KeyRecord, ErrorKind> {
        let restoring = self.two.wrapping().unwrap();
        let back = block_on(restoring.unwrap(&self.record, wrapped, &under()));
        let handle = back.map_err(|error| error.kind())?;
        Ok(KeyRecord { handle, ..self.record.clone() })
    }

    /// Whether it comes back and signs.
    fn assert_works(&self) {
        let record = self.restored(&self.wrapped).unwrap();
        let signed = block_on(async { sign(&self.two.signer(&record).await.unwrap()).await });
        assert_eq!(signed, Ok(()));
    }

    fn id(&self) -> Attribute {
        let KeyRecord { custodian, key, .. } = &self.record;
        let parts = [custodian.digest().as_bytes().as_slice(), key.as_str().as_bytes()];
        Attribute::Id(Digest::tagged("custody/hsm/key/v1", &parts).as_bytes().to_vec())
    }
}

fn under() -> KekId {
    KekId::parse("recovery").unwrap()
}

/// What lies in a token.
fn stored(session: &Session, class: ObjectClass) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Token(true), Attribute::Class(class)]).unwrap()
}

/// A field of a wrapped key.
fn field(wrapped: &[u8], name: &str) -> String {
    let document: serde_json::Value = serde_json::from_slice(wrapped).unwrap();
    document.get(name).unwrap().as_str().unwrap().to_owned()
}

/// What a restored key is asked to be, but for one attribute.
fn template(id: Attribute, but: Option<&Attribute>) -> Vec<Attribute> {
    let usual = [
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    let mut template = vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::EC),
        Attribute::Token(true),
        id,
    ];
    let kind = but.map(Attribute::attribute_type);
    template.extend(usual.into_iter().filter(|one| Some(one.attribute_type()) != kind));
    template.extend(but.cloned());
    template
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_comes_back_says_what_a_key_says_that_was_made() {
    for destroyable in [false, true] {
        let tokens = Tokens::new(&["one", "two"]);
        let backup = Backup::new(&tokens, destroyable);
        let record = backup.restored(&backup.wrapped).unwrap();
        let told = Provenance::of(&record).unwrap();
        assert!(told.sensitive && told.extractable && !told.local, "{told:?}");
        assert_eq!(told.destroyable, Some(destroyable));
        let (_client, session) = somebody(&tokens, "two");
        let [private] = stored(&session, ObjectClass::PRIVATE_KEY)[..] else { panic!("one key") };
        for wanted in [
            Attribute::Copyable(false),
            Attribute::Decrypt(false),
            Attribute::Derive(false),
            Attribute::Destroyable(destroyable),
            Attribute::Extractable(true),
            backup.id(),
            Attribute::Label(b"custody cold key ecdsa-secp256k1".to_vec()),
            Attribute::Modifiable(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Sign(true),
            Attribute::SignRecover(false),
            Attribute::Unwrap(false),
        ] {
            let told = session.get_attributes(private, &[wanted.attribute_type()]).unwrap();
            assert_eq!(told, [wanted]);
        }
        assert!(session.update_attributes(private, &[Attribute::Derive(true)]).is_err());
        assert!(session.copy_object(private, &[Attribute::Derive(true)]).is_err());
        backup.assert_works();
        assert_eq!(session.destroy_object(private).is_ok(), destroyable);
    }
}

/// A key that a token does not let go again must not get there.
#[test]
#[ignore = "needs SoftHSM"]
fn bytes_that_are_another_key_put_nothing_into_the_token() {
    let tokens = Tokens::new(&["one", "two"]);
    let backup = Backup::new(&tokens, false);
    let sum_of_none = serde_json::to_string(&Digest::of(&[])).unwrap();
    let text = String::from_utf8(backup.wrapped.clone()).unwrap();
    let text = text
        .replace(&field(&backup.wrapped, "wrapped"), &field(&backup.other, "wrapped"))
        .replace(&format!("\"{}\"", field(&backup.wrapped, "sum")), &sum_of_none);
    let sum = Digest::tagged("custody/hsm/wrapped/v1", &[text.as_bytes()]);
    let forged = text.replace(&sum_of_none, &serde_json::to_string(&sum).unwrap());
    let (_client, session) = somebody(&tokens, "two");
    for _ in 0..2 {
        let refused = backup.restored(forged.as_bytes()).map(drop);
        assert_eq!(refused, Err(ErrorKind::Corrupt));
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            assert!(stored(&session, class).is_empty(), "{class:?}");
        }
    }
    backup.assert_works();
}

#[test]
#[ignore = "needs SoftHSM"]
fn another_public_key_in_its_place_keeps_a_restored_key_out() {
    let tokens = Tokens::new(&["one", "two"]);
    let backup = Backup::new(&tokens, false);
    let (_client, session) = somebody(&tokens, "two");
    let curve = Attribute::EcParams(CURVE.to_vec());
    let of_the_session = Attribute::Token(false);
    let (other, _private) = session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[of_the_session.clone(), curve.clone()],
            &[of_the_session],
        )
        .unwrap();
    let mut planted = session.get_attributes(other, &[AttributeType::EcPoint]).unwrap();
    planted.extend([
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::EC),
        Attribute::Token(true),
        Attribute::Private(false),
        curve,
        backup.id(),
    ]);
    let planted = session.create_object(&planted).unwrap();
    let refused = backup.restored(&backup.wrapped).map(drop);
    assert_eq!(refused, Err(ErrorKind::Corrupt));
    assert!(stored(&session, ObjectClass::PRIVATE_KEY).is_empty());
    session.destroy_object(planted).unwrap();
    backup.assert_works();
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_may_do_more_is_not_taken_for_the_one_that_comes_back() {
    let tokens = Tokens::new(&["one", "two"]);
    let backup = Backup::new(&tokens, true);
    let (_client, session) = somebody(&tokens, "two");
    let [wrapping] = stored(&session, ObjectClass::SECRET_KEY)[..] else { panic!("one key") };
    let bytes = hex::decode(field(&backup.wrapped, "wrapped")).unwrap();
    let plant = |but: Option<&Attribute>| {
        let template = template(backup.id(), but);
        session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &bytes, &template).unwrap()
    };
    for more in [
        Attribute::Decrypt(true),
        Attribute::Derive(true),
        Attribute::Extractable(false),
        Attribute::Private(false),
        Attribute::Sensitive(false),
        Attribute::Sign(false),
        Attribute::Unwrap(true),
    ] {
        let planted = plant(Some(&more));
        let refused = backup.restored(&backup.wrapped).map(drop);
        assert_eq!(refused, Err(ErrorKind::Refused), "{more:?}");
        assert_eq!(stored(&session, ObjectClass::PRIVATE_KEY), [planted], "it stays");
        session.destroy_object(planted).unwrap();
    }
    let two = [plant(None), plant(None)];
    let refused = backup.restored(&backup.wrapped).map(drop);
    assert_eq!(refused, Err(ErrorKind::Corrupt), "two of one id");
    for planted in two {
        session.destroy_object(planted).unwrap();
    }
    backup.assert_works();
}
