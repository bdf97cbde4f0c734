//! The example ends as it says, and each of its steps holds: what is denied or waits reaches no key, a
//! key in KMS is asked for each signature, and keys that are sealed under KMS sign without it while
//! they are open.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

#[path = "../hot_wallet_kms/payments.rs"]
mod payments;
#[path = "../../hsm/tests/softhsm/program.rs"]
mod program;
#[expect(dead_code, reason = "more than is needed here")]
#[path = "../../../custody-kms/tests/world/proxy.rs"]
mod proxy;
#[path = "../hot_wallet_kms/resealing.rs"]
mod resealing;
#[path = "../hot_wallet_kms/steps.rs"]
mod steps;
#[path = "../hot_wallet_kms/wallets.rs"]
mod wallets;

use std::path::Path;

use custody_core::custodian::{self, Outcome};
use custody_core::id::CustodianId;
use examples_kms::account::{Account, VARIABLE};
use examples_kms::house::House;
use examples_start::reseal::Passage;
use examples_start::transactions::bundled;
use proxy::{Answer, Fault, Proxy, Times};
use serde_json::Value;
use steps::{FIRST, NEXT};
use tokio::runtime::Runtime;
use wallets::{NATIVE, SEALED};

/// A house behind a proxy that counts what KMS is asked.
struct World {
    account: Account,
    house: House,
    proxy: Proxy,
}

impl World {
    async fn new(directory: &Path) -> Self {
        let account = Account::of_environment().unwrap();
        account.symmetric_key(FIRST).await.unwrap();
        let proxy = Proxy::before(account.endpoint());
        let parts = steps::parts(&account.at(&proxy.url()), FIRST, None).await.unwrap();
        let house = House::create(directory, parts).await.unwrap();
        wallets::create(&house).await.unwrap();
        Self { account, house, proxy }
    }

    /// The ARNs of the keys with which KMS was asked to sign transactions. What signs the heads of the
    /// log is of another kind.
    fn signed_with(&self) -> Vec<String> {
        let asked = self.proxy.bodies("Sign").into_iter();
        let asked = asked.map(|body| serde_json::from_str::<Value>(&body).unwrap());
        let asked = asked.filter(|asked| asked["SigningAlgorithm"] == "ECDSA_SHA_256");
        asked.map(|asked| asked["KeyId"].as_str().unwrap().to_owned()).collect()
    }

    fn data_key_calls(&self) -> usize {
        self.proxy.calls("Decrypt") + self.proxy.calls("GenerateDataKey")
    }

    async fn submit(&self, name: &str, wallet: &str, text: &str) -> custodian::Answer {
        self.house.submit(name, wallet, text).await.unwrap()
    }
}

#[track_caller]
fn assert_failed(answer: &custodian::Answer) {
    assert!(matches!(answer.outcome, Outcome::Failed { .. }), "{:?}", answer.outcome);
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn each_step_ends_as_it_says() {
    let place = tempfile::tempdir().unwrap();
    let account = Account::of_environment().unwrap();
    let told = steps::run(&place.path().join("house"), &account).unwrap();
    let payments = |wallet: &str| {
        [
            format!("0.5 ETH from {wallet}"),
            "  released: 0x02".to_owned(),
            "  signed by 0x".to_owned(),
            "  receipt: entry ".to_owned(),
            format!("  verified: recovers to {wallet}, 0x"),
            format!("25 ETH from {wallet}"),
            "  waits for ".to_owned(),
            format!("25 ETH from {wallet}, approved by theo"),
            "  waits for ".to_owned(),
            format!("25 ETH from {wallet}, approved by tara"),
            "  released: 0x02".to_owned(),
            "  signed by 0x".to_owned(),
            "  receipt: entry ".to_owned(),
            format!("  verified: recovers to {wallet}, 0x"),
            format!("an allowance without limit from {wallet}"),
            "  denied by unlimited-allowance".to_owned(),
        ]
    };
    let wallets =
        ["wallet native: 0x", "wallet sealed: 0x", "  the seed and the keys below it are"];
    let mut starts: Vec<_> = wallets.map(str::to_owned).into();
    starts.extend(payments(NATIVE));
    starts.extend(payments(SEALED));
    let moved = [
        "wallet sealed moves to arn:aws:kms:",
        "  order 1: 8 sealed anew, and others follow",
        "  order 2: 16 sealed anew, and others follow",
        "  order 3: 21 sealed anew, which is all",
        "  its 20 addresses are the same",
        "arn:aws:kms:",
    ];
    starts.extend(moved.map(str::to_owned));
    for wallet in [NATIVE, SEALED] {
        starts.extend([
            format!("0.25 ETH from {wallet}"),
            "  released: 0xf8".to_owned(),
            "  signed by 0x".to_owned(),
            "  receipt: entry ".to_owned(),
            format!("  verified: recovers to {wallet}, 0x"),
        ]);
    }
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(&start), "{line}: {start}");
    }
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn the_program_pays_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = program::run("hot_wallet_kms", &[], &[("TMPDIR", place.path())]);
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && errors.is_empty(), "{text}\n{errors}");
    assert_eq!(text.matches("verified: recovers to").count(), 6, "{text}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn without_a_place_to_go_the_program_says_which_variable_is_missing() {
    let output = program::run("hot_wallet_kms", &[], &[(VARIABLE, Path::new(""))]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains(VARIABLE), "{errors}");
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn what_waits_or_is_denied_reaches_no_key() {
    let place = tempfile::tempdir().unwrap();
    Runtime::new().unwrap().block_on(async {
        let world = World::new(place.path()).await;
        let before = world.data_key_calls();
        for wallet in [NATIVE, SEALED] {
            let asked = world.submit(&format!("{wallet}-large"), wallet, bundled::LARGE).await;
            assert!(matches!(asked.outcome, Outcome::Pending { .. }), "{asked:?}");
            for (number, text) in
                [bundled::ALLOWANCE, bundled::UNKNOWN_CALL, bundled::FEE_EATER].iter().enumerate()
            {
                let answer = world.submit(&format!("{wallet}-never-{number}"), wallet, text).await;
                assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
            }
        }
        assert_eq!((world.signed_with().len(), world.data_key_calls()), (0, before));
        world.house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_native_key_is_asked_once_a_signature_and_a_sealed_one_asks_kms_for_nothing() {
    let place = tempfile::tempdir().unwrap();
    Runtime::new().unwrap().block_on(async {
        let world = World::new(place.path()).await;
        let before = world.data_key_calls();
        payments::all(&world.house, NATIVE).await.unwrap();
        let signed = world.signed_with();
        assert!(signed.len() == 2 && signed[0] == signed[1], "{signed:?}");
        payments::all(&world.house, SEALED).await.unwrap();
        assert_eq!((world.signed_with().len(), world.data_key_calls()), (2, before));
        world.house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_signature_over_another_transaction_is_not_taken() {
    let place = tempfile::tempdir().unwrap();
    Runtime::new().unwrap().block_on(async {
        let world = World::new(place.path()).await;
        for wallet in [NATIVE, SEALED] {
            let answer = world.submit(wallet, wallet, bundled::SMALL).await;
            payments::check(&world.house, wallet, &answer, bundled::SMALL).unwrap();
            payments::check(&world.house, wallet, &answer, bundled::LARGE).unwrap_err();
        }
        // Each wallet's signature is its own.
        let answer = world.submit("legacy", SEALED, bundled::SMALL_LEGACY).await;
        payments::check(&world.house, NATIVE, &answer, bundled::SMALL_LEGACY).unwrap_err();
        world.house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn keys_that_kms_has_disabled_sign_nothing_and_sign_again_once_they_are_enabled() {
    let place = tempfile::tempdir().unwrap();
    let (account, id) = Runtime::new().unwrap().block_on(async {
        let world = World::new(place.path()).await;
        let first = world.submit("first", NATIVE, bundled::SMALL).await;
        payments::check(&world.house, NATIVE, &first, bundled::SMALL).unwrap();
        let (sdk, native) = (world.account.sdk(), world.signed_with().remove(0));
        sdk.disable_key().key_id(&native).send().await.unwrap();
        assert_failed(&world.submit("off", NATIVE, bundled::SMALL_LEGACY).await);
        sdk.enable_key().key_id(&native).send().await.unwrap();
        let again = world.submit("on", NATIVE, bundled::SMALL_LEGACY).await;
        payments::check(&world.house, NATIVE, &again, bundled::SMALL_LEGACY).unwrap();
        let id = world.house.custodian().id();
        world.house.close().await.unwrap();
        (world.account, id)
    });
    Runtime::new().unwrap().block_on(async {
        // A house that was opened again has no key open.
        let (sdk, arn) = (account.sdk(), account.kek(FIRST).await.unwrap().arn().to_string());
        let parts = steps::parts(&account, FIRST, None).await.unwrap();
        sdk.disable_key().key_id(&arn).send().await.unwrap();
        let house = House::open(place.path(), parts, id).await.unwrap();
        assert_failed(&house.submit("sealed-off", SEALED, bundled::SMALL).await.unwrap());
        sdk.enable_key().key_id(&arn).send().await.unwrap();
        let again = house.submit("sealed-on", SEALED, bundled::SMALL_LEGACY).await.unwrap();
        payments::check(&house, SEALED, &again, bundled::SMALL_LEGACY).unwrap();
        house.close().await.unwrap();
    });
}

/// A house that has paid from its sealed wallet, and is closed.
fn closed(directory: &Path) -> (Account, CustodianId, Proxy) {
    Runtime::new().unwrap().block_on(async {
        let world = World::new(directory).await;
        payments::at_once(&world.house, ("0.5 ETH", SEALED), bundled::SMALL).await.unwrap();
        world.account.symmetric_key(NEXT).await.unwrap();
        let id = world.house.custodian().id();
        world.house.close().await.unwrap();
        (world.account.at(&world.proxy.url()), id, world.proxy)
    })
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_wallet_moves_to_another_key_with_one_call_of_each() {
    let place = tempfile::tempdir().unwrap();
    let (account, id, proxy) = closed(place.path());
    let calls = || ["Decrypt", "GenerateDataKey"].map(|operation| proxy.calls(operation));
    let [decrypt, generate] = calls();
    Runtime::new().unwrap().block_on(async {
        let house = resealing::open(place.path(), &account, id).await.unwrap();
        let passage = house.reseal("move", (SEALED, 128), |_| ()).await.unwrap();
        assert!(matches!(passage, Passage::Done), "{passage:?}");
        // Whoever asks again under the same name is told what was done.
        let passage = house.reseal("move", (SEALED, 128), |_| ()).await.unwrap();
        assert!(matches!(passage, Passage::Done), "{passage:?}");
        house.close().await.unwrap();
    });
    assert_eq!(calls(), [decrypt + 1, generate + 1], "the new data key is open already");
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_move_that_kms_refuses_changes_nothing_and_is_gone_on_with_later() {
    let place = tempfile::tempdir().unwrap();
    let (account, id, proxy) = closed(place.path());
    Runtime::new().unwrap().block_on(async {
        let house = resealing::open(place.path(), &account, id).await.unwrap();
        let denied = Answer::error(400, "AccessDeniedException");
        proxy.rule("GenerateDataKey", Times::Always, denied);
        let passage = house.reseal("move", (SEALED, 8), |_| ()).await.unwrap();
        assert!(matches!(passage, Passage::Stopped(_)), "{passage:?}");
        payments::at_once(&house, ("0.25 ETH", SEALED), bundled::SMALL_LEGACY).await.unwrap();
        proxy.rule("GenerateDataKey", Times::Always, Fault::Pass);
        let passage = house.reseal("again", (SEALED, 8), |_| ()).await.unwrap();
        assert!(matches!(passage, Passage::Done), "{passage:?}");
        house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_wallet_that_did_not_move_does_not_sign_without_its_first_key() {
    let place = tempfile::tempdir().unwrap();
    let (account, id, _proxy) = closed(place.path());
    Runtime::new().unwrap().block_on(async {
        let house = resealing::open(place.path(), &account, id).await.unwrap();
        house.close().await.unwrap();
    });
    Runtime::new().unwrap().block_on(async {
        let parts = steps::parts(&account, NEXT, None).await.unwrap();
        let house = House::open(place.path(), parts, id).await.unwrap();
        assert_failed(&house.submit("later", SEALED, bundled::SMALL_LEGACY).await.unwrap());
        house.close().await.unwrap();
    });
}
