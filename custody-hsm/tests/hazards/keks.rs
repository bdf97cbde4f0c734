//! Keys that encrypt data keys or wrap keys, and somebody else who has the PIN.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use custody_core::id::KekId;
use custody_core::seam::{ErrorKind, KeyEncryption as _};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmKek, Observer};
use pollster::block_on;

use crate::softhsm::Tokens;
use crate::{aes, objects, somebody};

const CONTEXT: &[&[u8]] = &[b"custodian", b"wallet"];

fn data_key() -> Secret {
    Secret::new((60..92).collect())
}

/// A key that is open and may be destroyed, and a data key under it.
fn open(tokens: &Tokens) -> (HsmBackend, HsmKek, Vec<u8>) {
    let mut config = tokens.config("one");
    config.destroyable = true;
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let kek = block_on(backend.key_encryption("store")).unwrap();
    let wrapped = block_on(kek.wrap(&data_key(), CONTEXT)).unwrap();
    (backend, kek, wrapped)
}

/// Takes the one AES key out of the token. Answers its `CKA_ID`.
fn destroyed(session: &Session) -> Attribute {
    let keys = objects(session, ObjectClass::SECRET_KEY);
    assert_eq!(keys.len(), 1);
    let id = session.get_attributes(keys[0], &[AttributeType::Id]).unwrap();
    session.destroy_object(keys[0]).unwrap();
    id[0].clone()
}

/// What a key that encrypts data keys is asked to be, but for one attribute.
fn template(id: &Attribute, but: Option<&Attribute>) -> Vec<Attribute> {
    let kind = but.map(Attribute::attribute_type);
    let mut template = aes::like_ours();
    template.retain(|one| Some(one.attribute_type()) != kind);
    template.push(id.clone());
    template.extend(but.cloned());
    template
}

fn generated(session: &Session, mut template: Vec<Attribute>) -> ObjectHandle {
    template.push(Attribute::ValueLen(32.into()));
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap()
}

fn assert_refused(kek: &HsmKek, wrapped: &[u8], kind: ErrorKind, case: &str) {
    let sealed = block_on(kek.wrap(&data_key(), CONTEXT)).unwrap_err();
    assert_eq!(sealed.kind(), kind, "{case}");
    let opened = block_on(kek.unwrap(wrapped, CONTEXT)).map(drop).unwrap_err();
    assert_eq!(opened.kind(), kind, "{case}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_took_the_place_of_an_open_one_encrypts_and_opens_nothing() {
    let tokens = Tokens::new(&["one"]);
    let (backend, kek, wrapped) = open(&tokens);
    assert!(block_on(kek.unwrap(&wrapped, CONTEXT)).is_ok());
    let session = somebody(&tokens, "one");
    let id = destroyed(&session);
    assert_refused(&kek, &wrapped, ErrorKind::NotFound, "none");

    let like = generated(&session, template(&id, None));
    assert_refused(&kek, &wrapped, ErrorKind::Corrupt, "one that is like it");
    let again = block_on(backend.key_encryption("store")).unwrap();
    assert_ne!(again.id(), kek.id(), "whoever opens it anew is told");
    let another = generated(&session, template(&id, None));
    assert_refused(&kek, &wrapped, ErrorKind::Corrupt, "two");
    for key in [like, another] {
        session.destroy_object(key).unwrap();
    }

    let value = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Value((150..182).collect())];
    let known = session.create_object(&[&value[..], &template(&id, None)].concat()).unwrap();
    assert_refused(&kek, &wrapped, ErrorKind::Refused, "one that somebody knows");
    session.destroy_object(known).unwrap();
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_may_do_more_does_not_take_the_place_of_an_open_one() {
    let tokens = Tokens::new(&["one"]);
    let (_backend, kek, wrapped) = open(&tokens);
    let session = somebody(&tokens, "one");
    let id = destroyed(&session);
    for more in [
        Attribute::Derive(true),
        Attribute::Extractable(true),
        Attribute::Private(false),
        Attribute::Sensitive(false),
        Attribute::Sign(true),
        Attribute::Unwrap(true),
        Attribute::Verify(true),
        Attribute::Wrap(true),
    ] {
        let made = generated(&session, template(&id, Some(&more)));
        assert_refused(&kek, &wrapped, ErrorKind::Refused, &format!("{more:?}"));
        session.destroy_object(made).unwrap();
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_encrypts_or_wraps_says_what_it_does_and_stays_as_it_is() {
    let tokens = Tokens::new(&["one"]);
    let backend = block_on(tokens.open("one"));
    let (made, brought) = (KekId::parse("made").unwrap(), KekId::parse("brought").unwrap());
    let _kek = block_on(backend.key_encryption("store")).unwrap();
    block_on(backend.create_wrapping_key(&made)).unwrap();
    block_on(backend.import_wrapping_key(&brought, data_key())).unwrap();
    let session = somebody(&tokens, "one");
    for (label, encrypts, is_local) in [
        ("custody kek store", true, true),
        ("custody wrapping made", false, true),
        ("custody wrapping brought", false, false),
    ] {
        let label = Attribute::Label(label.as_bytes().to_vec());
        let [key] = session.find_objects(&[label]).unwrap()[..] else { panic!("one key") };
        for wanted in [
            Attribute::Copyable(false),
            Attribute::Decrypt(encrypts),
            Attribute::Derive(false),
            Attribute::Destroyable(false),
            Attribute::Encrypt(encrypts),
            Attribute::Extractable(false),
            Attribute::Local(is_local),
            Attribute::Modifiable(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Sign(false),
            Attribute::Token(true),
            Attribute::Unwrap(!encrypts),
            Attribute::Verify(false),
            Attribute::Wrap(!encrypts),
        ] {
            let told = session.get_attributes(key, &[wanted.attribute_type()]).unwrap();
            assert_eq!(told, [wanted]);
        }
        for more in [Attribute::Derive(true), Attribute::Sign(true), Attribute::Wrap(true)] {
            assert!(session.update_attributes(key, &[more]).is_err());
        }
        assert!(session.copy_object(key, &[Attribute::Derive(true)]).is_err());
        assert!(session.destroy_object(key).is_err());
    }
}
