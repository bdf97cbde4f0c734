use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Older, OpenError, Outcome, Request};
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::Payload;
use examples_recovery::acts::{ACCOUNT, WALLET};
use examples_recovery::house::request_id;
use examples_recovery::{Failure, log};
use examples_start::transactions::{self, bundled};

use crate::world::{World, run};

fn is_rolled_back(error: &Failure) -> bool {
    matches!(error.downcast_ref::<OpenError>(), Some(OpenError::RolledBack { .. }))
}

#[test]
fn an_older_archive_is_refused_where_a_newer_head_is_known() {
    run(async {
        let (world, house) = World::new().await;
        let made = world.archive(&house).await;
        world.pay(&house, bundled::SMALL).await.unwrap();
        let newest = world.head(&house).await;
        world.lose(house).await;
        let (restored, keys) = world.restore(&made).await;
        // The anchor outlived the house, and tells on it.
        let recovery = restored.recovery(&[], Older::Refuse);
        let error = world.recover(keys.clone(), recovery).await.unwrap_err();
        assert!(is_rolled_back(&error), "{error}");
        let error = world.open(keys.clone()).await.unwrap_err();
        assert!(is_rolled_back(&error), "{error}");
        // So does a witness.
        world.lose_anchor();
        let recovery = restored.recovery(&[newest], Older::Refuse);
        let error = world.recover(keys, recovery).await.unwrap_err();
        assert!(is_rolled_back(&error), "{error}");
    });
}

#[test]
fn an_older_archive_that_is_accepted_pays_only_after_a_quorum_thawed_the_house() {
    run(async {
        let (world, house) = World::new().await;
        let made = world.archive(&house).await;
        let at = world.head(&house).await;
        world.pay(&house, bundled::SMALL).await.unwrap();
        let newest = world.head(&house).await;
        world.lose(house).await;
        world.lose_anchor();
        let (restored, keys) = world.restore(&made).await;
        let recovery = restored.recovery(&[newest], Older::Freeze);
        let house = world.recover(keys, recovery).await.unwrap();
        let behind = house.custodian.recovered().unwrap().behind().copied().unwrap();
        assert_eq!(behind.size, newest.size);

        let bytes = transactions::parse(bundled::SMALL_LEGACY).unwrap();
        let format = PayloadFormat::parse("evm/transaction").unwrap();
        let (operator, wallet) = (&world.people.operator, WalletId::parse(WALLET).unwrap());
        let payload = Payload { format, bytes };
        let id = request_id().unwrap();
        let request = Request::payload(operator.id().clone(), id, wallet, payload);
        let answer = house.ask(operator, request).await.unwrap();
        let answer = house.approved(&world.people, answer).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{answer:?}");

        let thaw = Command::Thaw { scope: FreezeScope::House };
        house.execute(&world.people, operator, thaw).await.unwrap();
        let answer = house.custodian.judge_again(&answer.order).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Released(_)), "{answer:?}");
        let account = KeyId::parse(ACCOUNT).unwrap();
        assert_eq!(house.address(&account).unwrap(), world.address);
        let folder = tempfile::tempdir().unwrap();
        log::verify(&house, folder.path(), at).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert!(log::verify(&house, folder.path(), newest).await.is_err(), "that head is lost");
        house.close().await.unwrap();
    });
}

#[test]
fn a_recovery_is_recorded_once_and_then_the_house_opens_as_usual() {
    run(async {
        let (world, house) = World::new().await;
        let made = world.archive(&house).await;
        let newest = world.head(&house).await;
        world.lose(house).await;
        let (restored, keys) = world.restore(&made).await;
        let recovery = restored.recovery(&[newest], Older::Refuse);
        let house = world.recover(keys.clone(), recovery.clone()).await.unwrap();
        let size = world.head(&house).await.size;
        house.close().await.unwrap();
        let house = world.recover(keys.clone(), recovery).await.unwrap();
        assert_eq!(world.head(&house).await.size, size);
        house.close().await.unwrap();
        let house = world.open(keys).await.unwrap();
        assert_eq!(world.head(&house).await.size, size);
        house.close().await.unwrap();
    });
}
