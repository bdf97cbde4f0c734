//! Signers of more keys than stay open. It takes long: whoever runs the other tests of a whole
//! custodian often does not wait for it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "custodian/house.rs"]
mod house;

use std::sync::Arc;

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Request, RequestedWork};
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::Exportability;
use custody_testkit::failpoint::{Failpoint, Failpoints};

use house::{House, Parts, create_wallet, govern, payment_from, said};

/// More than a custodian keeps open.
const KEYS: u64 = 1_030;

fn key(number: u64) -> KeyId {
    KeyId::parse(&format!("hot.{number}")).unwrap()
}

fn create_key(number: u64) -> Command {
    Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: key(number),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

/// A payment for which the request itself names the key.
fn payment(number: u64, id: &str) -> Request {
    let mut request = payment_from(&key(number), id);
    if let RequestedWork::Payload { key: named, .. } = &mut request.work {
        *named = Some(key(number));
    }
    request
}

#[test]
fn one_signer_is_put_out_for_one_that_is_opened_and_the_others_stay() {
    let house = House::new();
    let points = Failpoints::new(house.clock.clone());
    let backend = points.backend(Arc::new(house.keys.clone()));
    let point = Failpoint::parse("backend.signer.before").unwrap();
    let opened = || points.reached().get(&point).copied().unwrap_or_default();
    house.run(async {
        let custodian = house.create(Parts { backend, ..house.parts() }).await.unwrap();
        assert_eq!(said(&govern(&custodian, "wallet", create_wallet(None)).await), "released");
        for number in 0..KEYS {
            let made = govern(&custodian, &format!("key-{number}"), create_key(number)).await;
            assert_eq!(said(&made), "released", "{number}");
        }
        for round in 0..2 {
            for number in 0..KEYS {
                let paid = custodian.submit(payment(number, &format!("{round}-{number}"))).await;
                assert_eq!(said(&paid), "released", "{number}");
            }
            if round == 0 {
                assert_eq!(opened(), KEYS);
            }
        }
        let again = opened() - KEYS;
        assert!((1..=KEYS / 20).contains(&again), "{again} signers were opened again");
    });
}
