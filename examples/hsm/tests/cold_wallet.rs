//! The example ends as it says, and each of its steps holds: nothing is signed for one person, what is
//! signed is what was asked for, and no key comes out of the token.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

#[path = "../cold_wallet/bitcoin_payment.rs"]
mod bitcoin_payment;
#[path = "../cold_wallet/ethereum_payment.rs"]
mod ethereum_payment;
#[path = "../cold_wallet/export.rs"]
mod export;
#[path = "softhsm/program.rs"]
mod program;
#[path = "softhsm/stage.rs"]
mod stage;
#[path = "../cold_wallet/steps.rs"]
mod steps;
#[path = "../cold_wallet/wallets.rs"]
mod wallets;

use std::path::Path;
use std::sync::Arc;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass};
use custody_core::custodian::{Answer, Outcome};
use custody_core::id::WalletId;
use custody_core::seam::Payload;
use custody_hsm::HsmBackend;
use custody_testkit::backend::{BackendCall, FailingBackend};
use examples_hsm::bare::Bare;
use examples_hsm::house::House;
use examples_hsm::tokens::Tokens;
use examples_start::transactions::sender;
use stage::with_tokens;
use steps::TOKEN;

/// A house whose wallets' keys are in the token, and what counts how they are used.
struct World {
    house: House,
    counter: FailingBackend,
    token: Arc<HsmBackend>,
}

impl World {
    async fn new(directory: &Path, tokens: &Tokens) -> Self {
        let token = tokens.open(TOKEN).await.unwrap();
        let counter = FailingBackend::new(Arc::<HsmBackend>::clone(&token));
        let keys = Arc::new(counter.clone());
        let parts = wallets::parts(keys, Arc::<HsmBackend>::clone(&token));
        let house = wallets::create(directory, parts).await.unwrap();
        Self { house, counter, token }
    }

    fn sign_calls(&self) -> usize {
        self.counter.plan().count(BackendCall::Sign)
    }

    /// Both payments, each with its wallet.
    fn payments(&self) -> [(&'static str, WalletId, Payload); 2] {
        let ether = ethereum_payment::payload(0).unwrap();
        let coins = bitcoin_payment::payload(&self.house).unwrap();
        [("ether", wallets::ether().unwrap(), ether), ("coins", wallets::coins().unwrap(), coins)]
    }
}

#[track_caller]
fn assert_pending(answer: &Answer, name: &str) {
    assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{name}: {answer:?}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn each_step_ends_as_it_says() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let told = steps::run(directory, tokens).await.unwrap();
        let payment = |what: &'static str| {
            [
                what,
                "  approved by theo: pending, missing 1 more of treasurer",
                "  approved by theo again: pending, missing 1 more of treasurer",
                "  approved by tara: released, receipt at entry ",
            ]
        };
        let mut starts = vec![
            "token cold: SoftHSM v2, firmware 2.",
            "cold wallet cold-ether: 0x",
            "cold wallet cold-coins: bcrt1q",
        ];
        starts.extend(payment("2 ETH: pending, missing 2 more of treasurer"));
        starts.push("  118 bytes, recover to 0x");
        starts.extend(payment("0.5 coins: pending, missing 2 more of treasurer"));
        starts.extend(["  transaction ", "  with one satoshi changed: invalid"]);
        // The keys of the two wallets, and that of the log.
        for _ in 0..3 {
            starts.push("somebody with the PIN wants the key \"custody ");
            starts.extend(EXPORT.map(|(what, _)| what));
        }
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for (line, start) in told.iter().zip(starts) {
            assert!(line.trim_start().starts_with(start.trim_start()), "{line}: {start}");
        }
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn one_person_is_not_enough_however_often() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let world = World::new(directory, tokens).await;
        let house = &world.house;
        let [theo, tara] = &house.treasurers;
        for (signed, (name, wallet, payload)) in (1..).zip(world.payments()) {
            let asked = house.submit(name, &wallet, payload).await.unwrap();
            assert_pending(&asked, name);
            for _ in 0..3 {
                assert_pending(&house.approve(theo, &asked.order).await.unwrap(), name);
            }
            assert!(house.approve(&house.operator, &asked.order).await.is_err(), "{name}");
            assert_pending(&house.custodian.order(&asked.order).await.unwrap(), name);
            assert_eq!(world.sign_calls(), signed - 1, "{name}: signed for one person");
            let answer = house.approve(tara, &asked.order).await.unwrap();
            assert!(matches!(answer.outcome, Outcome::Released(_)), "{name}: {answer:?}");
            assert_eq!(world.sign_calls(), signed, "{name}");
        }
        world.house.close().await.unwrap();
    });
}

/// What both treasurers approve.
async fn approved(house: &House, name: &str, wallet: &WalletId, payload: Payload) -> Vec<u8> {
    let mut answer = house.submit(name, wallet, payload).await.unwrap();
    for treasurer in &house.treasurers {
        assert_pending(&answer, name);
        answer = house.approve(treasurer, &answer.order).await.unwrap();
    }
    let Outcome::Released(release) = answer.outcome else { panic!("{name}: {answer:?}") };
    release.signed.unwrap()
}

#[test]
#[ignore = "needs SoftHSM"]
fn what_is_signed_is_what_was_asked_for() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let world = World::new(directory, tokens).await;
        let [(_, ether, payload), (_, coins, psbt)] = world.payments();
        let house = &world.house;
        let raw = approved(house, "ether", &ether, payload).await;
        ethereum_payment::check(house, &raw).unwrap();
        let own = sender(&raw).unwrap();
        // With any byte changed it is not by us.
        for position in 0..raw.len() {
            let mut changed = raw.clone();
            changed[position] ^= 1;
            let by_us = sender(&changed).is_ok_and(|sender| sender == own);
            assert!(!by_us, "byte {position}");
        }
        let signed = approved(house, "coins", &coins, psbt).await;
        bitcoin_payment::check(house, &signed).unwrap();
        // Another transaction of the same wallet is another order.
        let other = ethereum_payment::payload(1).unwrap();
        assert_pending(&house.submit("other", &ether, other).await.unwrap(), "other");
        assert_eq!(world.sign_calls(), 2);
        world.house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_receiver_that_nobody_registered_is_denied() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let world = World::new(directory, tokens).await;
        let known: Vec<u8> = hex::decode("70997970c51812dc3a010c7d01b50e0d17dc79c8").unwrap();
        let mut payload = ethereum_payment::payload(0).unwrap();
        let at = payload.bytes.windows(20).position(|bytes| bytes == known).unwrap();
        payload.bytes[at] ^= 1;
        let ether = wallets::ether().unwrap();
        let answer = world.house.submit("stranger", &ether, payload).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
        assert_eq!(world.sign_calls(), 0);
        world.house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_house_that_is_opened_again_has_its_keys() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let world = World::new(directory, tokens).await;
        let [(_, ether, payload), _] = world.payments();
        let id = world.house.custodian.id();
        let told = wallets::tell(&world.house).unwrap();
        world.house.close().await.unwrap();
        drop((world.counter, world.token));

        let token = tokens.open(TOKEN).await.unwrap();
        let log = Arc::<HsmBackend>::clone(&token);
        let house = House::open(directory, wallets::parts(token, log), id).await.unwrap();
        assert_eq!(wallets::tell(&house).unwrap(), told);
        let raw = approved(&house, "ether", &ether, payload).await;
        ethereum_payment::check(&house, &raw).unwrap();
        house.close().await.unwrap();
    });
}

/// What is tried, and what SoftHSM answers.
const EXPORT: [(&str, &str); 8] = [
    ("ask for CKA_VALUE", "CKR_ATTRIBUTE_SENSITIVE"),
    ("read CKA_VALUE", "nothing"),
    ("set CKA_EXTRACTABLE", "CKR_ACTION_PROHIBITED"),
    ("set CKA_SENSITIVE to false", "CKR_ACTION_PROHIBITED"),
    ("copy with CKA_EXTRACTABLE", "CKR_ACTION_PROHIBITED"),
    ("wrap with CKM_AES_KEY_WRAP_PAD", "CKR_KEY_UNEXTRACTABLE"),
    ("wrap with CKM_AES_KEY_WRAP", "CKR_KEY_UNEXTRACTABLE"),
    ("wrap with CKM_AES_CBC_PAD", "CKR_MECHANISM_INVALID"),
];

fn tried(bare: &Bare, key: cryptoki::object::ObjectHandle) -> Vec<(&'static str, String, bool)> {
    let attempts = examples_hsm::export::attempts(bare.session(), key);
    attempts.into_iter().map(|one| (one.what, one.answer, one.is_refused)).collect()
}

#[test]
#[ignore = "needs SoftHSM"]
fn no_key_of_a_wallet_comes_out_of_the_token() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let world = World::new(directory, tokens).await;
        world.house.close().await.unwrap();
        let bare = tokens.bare(TOKEN).unwrap();
        let session = bare.session();
        let private = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
        let keys = session.find_objects(&private).unwrap();
        assert_eq!(keys.len(), 3);
        for key in keys {
            let wanted = EXPORT.map(|(what, answer)| (what, answer.to_owned(), true));
            assert_eq!(tried(&bare, key), wanted);
            // The same without our own words for it.
            let value = [AttributeType::Value];
            let told = session.get_attribute_info(key, &value).unwrap();
            assert!(matches!(told.as_slice(), [AttributeInfo::Sensitive]), "{told:?}");
            assert_eq!(session.get_attributes(key, &value).unwrap(), []);
            assert!(session.update_attributes(key, &[Attribute::Extractable(true)]).is_err());
        }
    });
}

/// The attempts are real ones: they succeed where a key may leave.
#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_may_leave_comes_out() {
    with_tokens(&[TOKEN], async |_directory, tokens| {
        let token = tokens.open(TOKEN).await.unwrap();
        let bare = tokens.bare(TOKEN).unwrap();
        let public = [
            Attribute::Token(false),
            Attribute::EcParams(vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]),
        ];
        let private = [
            Attribute::Token(false),
            Attribute::KeyType(KeyType::EC),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let made =
            bare.session().generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
        let answers = tried(&bare, made.1);
        for (answer, (what, usual)) in answers.into_iter().zip(EXPORT) {
            // SoftHSM wraps nothing with this one.
            let is_refused = usual == "CKR_MECHANISM_INVALID";
            assert_eq!((answer.0, answer.2), (what, is_refused), "{}", answer.1);
        }
        drop(bare);
        drop(token);
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn the_program_tells_it_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = program::run("cold_wallet", &[], &[("TMPDIR", place.path())]);
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && errors.is_empty(), "{text}\n{errors}");
    assert_eq!(text.matches("CKR_KEY_UNEXTRACTABLE").count(), 6, "{text}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn the_program_takes_no_directory_of_others() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().to_str().unwrap();
    let output = program::run("cold_wallet", &[directory], &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("takes no arguments"));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
