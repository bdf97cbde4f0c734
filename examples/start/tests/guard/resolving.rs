//! An order of unknown outcome stays spent until a quorum settles it, to `signed` only with its
//! signatures.

use std::sync::Arc;

use custody_chain::EvmDecoder;
use custody_core::command::{Command, Resolution};
use custody_core::crypto::{SignInput, Signature};
use custody_core::custodian::{Answer, Error, Outcome, RequestedWork};
use custody_core::digest::Digest;
use custody_core::document::Hold;
use custody_core::id::{KeyId, WalletId};
use custody_core::ledger::CommandRefusal;
use custody_core::seam::{ErrorKind, KeyHandle, KeyRecord, RecordKey, Store, TaskSignature};
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::store::StoreCall;

use crate::assert_pending;
use crate::doubles::{EffectDecoder, effects, transfer};
use crate::world::work::{ETH, command};
use crate::world::{Kind, Setup, World};

/// A world with an order of half an ether whose backend may have signed.
async fn lost() -> (World, Answer, Digest) {
    let setup = Setup {
        decoders: vec![Arc::new(EvmDecoder::new()), Arc::new(EffectDecoder::new())],
        ..Setup::new(Kind::Memory)
    };
    let world = World::with(setup).await;
    world.backend.plan().next(BackendCall::Sign, Fault::fail_after(ErrorKind::Indeterminate));
    let request = effects(&world.people.olivia, "lost", &[transfer(ETH / 2)]);
    let RequestedWork::Payload { payload, .. } = &request.work else { panic!("no payload") };
    let input = Digest::of(&payload.bytes);
    let answer = world.submit(request).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Unknown { reason: Hold::BackendIndeterminate });
    (world, answer, input)
}

fn resolve(answer: &Answer, resolution: Resolution) -> Command {
    Command::ResolveOrder { order: answer.order.clone(), resolution }
}

/// What the wallet's key makes of a digest, outside the custodian.
async fn signature(world: &World, digest: &Digest) -> Signature {
    let key = KeyId::parse("hot.0").unwrap();
    let handle = RecordKey::parse("handle/hot.0").unwrap();
    let handle = world.store.get(&handle).await.unwrap().unwrap().value;
    let record = KeyRecord {
        custodian: world.custodian.id(),
        wallet: WalletId::parse("hot").unwrap(),
        public_key: world.custodian.key(&key).unwrap().public_key().clone(),
        key,
        handle: KeyHandle::new(handle),
    };
    let signer = world.setup.keys.signer(&record).await.unwrap();
    let input = SignInput::Prehash(digest.as_bytes());
    signer.sign(input).await.unwrap().checked(&record.public_key, input).unwrap()
}

#[tokio::test]
async fn an_unknown_order_is_settled_as_failed_by_a_quorum_with_a_reason() {
    let (world, lost, _) = lost().await;
    let failed = |reason: &str| resolve(&lost, Resolution::Failed { reason: reason.to_owned() });
    let refused = world.govern("no-reason", failed("")).await;
    let expected = CommandRefusal::Malformed { what: "resolution" };
    assert!(matches!(&refused, Err(Error::Command(refusal)) if *refusal == expected));
    let request = command(&world.people.olivia, "resolve", failed("the token kept nothing"));
    let alone = world.submit(request).await.unwrap();
    assert_pending(&alone);
    assert_eq!(world.order(&lost.order).await.unwrap().outcome, lost.outcome);
    crate::assert_released(&world.approve_all(alone).await.unwrap());
    let settled = world.order(&lost.order).await.unwrap();
    assert_eq!(settled.outcome, Outcome::Failed { reason: Hold::Resolved });
    let twice = world.govern("twice", failed("again")).await;
    assert!(matches!(twice, Err(Error::Command(CommandRefusal::NotFound { .. }))), "{twice:?}");
    world.verify().await;
}

/// The second one is made ready while the first one is being committed.
#[tokio::test]
async fn of_two_resolutions_at_once_one_counts_and_the_log_replays() {
    let (world, lost, _) = lost().await;
    let failed = || resolve(&lost, Resolution::Failed { reason: "nothing there".to_owned() });
    let first = world.submit(command(&world.people.olivia, "one", failed())).await.unwrap();
    assert_pending(&first);
    let gate = Gate::new();
    world.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
    let second = async {
        gate.reached_by(1).await;
        let opens = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            gate.open();
        };
        let second = world.submit(command(&world.people.olivia, "two", failed()));
        tokio::join!(second, opens).0
    };
    let (settled, refused) = tokio::join!(world.approve(&world.people.theo, &first), second);
    crate::assert_released(&settled.unwrap());
    assert!(matches!(refused, Err(Error::Command(_))), "{refused:?}");
    assert!(world.order_of("two").await.is_none(), "an order about nothing was made");
    world.verify().await;
}

#[tokio::test]
async fn an_unknown_order_is_settled_as_signed_with_its_own_signatures_only() {
    let (world, lost, input) = lost().await;
    let key = |text| KeyId::parse(text).unwrap();
    let right = TaskSignature { key: key("hot.0"), signature: signature(&world, &input).await };
    let other = signature(&world, &Digest::of(b"other bytes")).await;
    for (name, signatures) in [
        ("none", Vec::new()),
        ("over other bytes", vec![TaskSignature { key: key("hot.0"), signature: other }]),
        ("of another key", vec![TaskSignature { key: key("hot.1"), ..right.clone() }]),
        ("one too many", vec![right.clone(), right.clone()]),
    ] {
        let refused = world.govern(name.split(' ').next().unwrap(), {
            resolve(&lost, Resolution::Signed { signatures })
        });
        let refused = refused.await;
        assert!(matches!(refused, Err(Error::Command(_))), "{name}: {refused:?}");
    }
    let resolution = Resolution::Signed { signatures: vec![right.clone()] };
    world.done("resolve", resolve(&lost, resolution)).await;
    let settled = world.order(&lost.order).await.unwrap();
    let Outcome::Released(release) = &settled.outcome else { panic!("{settled:?}") };
    assert_eq!(release.signatures, [right]);
    world.verify().await;
}

#[tokio::test]
async fn what_is_unknown_stays_spent_until_it_is_settled() {
    let (world, lost, _) = lost().await;
    // The limit of a day is sixty ether: half of one is gone, so that sixty do not pass.
    let sixty = || [transfer(60 * ETH)];
    let first = world.submit(effects(&world.people.olivia, "first", &sixty())).await.unwrap();
    assert!(matches!(first.outcome, Outcome::Denied { .. }), "{first:?}");
    let reason = "the token kept nothing".to_owned();
    world.done("resolve", resolve(&lost, Resolution::Failed { reason })).await;
    let second = world.submit(effects(&world.people.olivia, "second", &sixty())).await.unwrap();
    assert_pending(&second);
    crate::assert_released(&world.approve_all(second).await.unwrap());
    world.verify().await;
}
