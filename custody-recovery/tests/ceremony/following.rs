//! What becomes of new shares when other sets come into force, and when records are lost.

use custody_core::seam::ErrorKind;
use custody_recovery::SetId;
use custody_recovery::ceremony::{Confirmations, Refusal, Rotate, SetReference, Split, Standing};

use crate::house::{House, share, split};
use crate::rotating::{
    FAILED, last_refusal, outcome, refolded, refused_last, replace, rotate, settled, standings,
    with_fay,
};

#[test]
fn a_set_that_nobody_knows_is_not_rotated() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 1]);
        let unknown = SetId::of(&custodian.id(), &"x".parse().unwrap());
        let from = SetReference { set: unknown, ..old.reference() };
        let document = Rotate { from, ..rotate(&old) };
        assert_eq!(outcome(&house, &custodian, &document).await, FAILED);
        house.made(&custodian, &rotate(&old)).await;
        let other = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(&old.set.to_string(), &unknown.to_string()).into_bytes()
        };
        let sets = refolded(&house, &custodian, |step| {
            (step.document, step.answer) = (other(&step.document), other(&step.answer));
        });
        assert_eq!(refused_last(&sets), Refusal::UnknownSet { set: unknown });
    });
}

#[test]
fn a_journal_that_was_lost_is_filled_from_the_log_before_new_shares_are_made() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 1]);
        let kept = house.journal.of(custodian.id(), &old.order).unwrap();
        house.journal.forget(&old.set);
        let handed = house.drawer.calls();
        assert_eq!(outcome(&house, &custodian, &rotate(&old)).await, FAILED);
        assert_eq!(house.drawer.calls(), handed);
        let transcript = house.transcript(custodian.id());
        transcript.sets().note_in(&house.journal).await.unwrap();
        assert_eq!(house.journal.of(custodian.id(), &old.order).unwrap(), kept);
        let new = house.made(&custodian, &rotate(&old)).await;
        assert_eq!(new.from, Some(old.set));
    });
}

#[test]
fn a_rotation_that_waits_does_not_undo_a_later_secret() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        let other = house.made(&custodian, &split()).await;
        house.bring(&old, &[0, 1]);
        let rotated = house.made(&custodian, &rotate(&old)).await;
        house.confirm_all(&custodian, &other).await;
        let expected = [Standing::Former, Standing::InForce, Standing::Void];
        assert_eq!(standings(&house, &custodian), expected);
        let confirm = house.confirmation(&custodian, &rotated, share(0));
        house.ordered(&custodian, "ann", &confirm).await;
        assert_eq!(last_refusal(&house, &custodian), Refusal::Void { set: rotated.set });
    });
}

#[test]
fn of_two_rotations_of_a_set_the_one_that_is_confirmed_first_counts() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 1]);
        let first = house.made(&custodian, &rotate(&old)).await;
        let second = house.made(&custodian, &replace(&old, with_fay())).await;
        let secret = house.made(&custodian, &split()).await;
        house.confirm_all(&custodian, &first).await;
        let expected = [Standing::Void, Standing::InForce, Standing::Void, Standing::Waiting];
        assert_eq!(standings(&house, &custodian), expected);
        let confirm = house.confirmation(&custodian, &second, share(0));
        house.ordered(&custodian, "ann", &confirm).await;
        assert_eq!(last_refusal(&house, &custodian), Refusal::Void { set: second.set });
        // A new secret that was made meanwhile still may come into force.
        house.confirm_all(&custodian, &secret).await;
        let expected = [Standing::Void, Standing::Former, Standing::Void, Standing::InForce];
        assert_eq!(standings(&house, &custodian), expected);
    });
}

#[test]
fn a_new_secret_leaves_the_old_set_for_old_archives() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        let document = Split { confirmations: Confirmations::AtLeast(2), ..split() };
        let new = house.made(&custodian, &document).await;
        assert_ne!(new.public_key, old.public_key);
        house.confirm_all(&custodian, &new).await;
        assert_eq!(standings(&house, &custodian), [Standing::Former, Standing::InForce]);
        // It is still confirmed, and never comes back into force.
        house.confirm_all(&custodian, &old).await;
        assert_eq!(standings(&house, &custodian), [Standing::Former, Standing::InForce]);
    });
}

#[test]
fn a_set_that_waits_is_void_once_a_later_one_is_in_force() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let first = house.made(&custodian, &split()).await;
        let second = house.made(&custodian, &split()).await;
        house.confirm_all(&custodian, &second).await;
        assert_eq!(standings(&house, &custodian), [Standing::Void, Standing::InForce]);
        let confirm = house.confirmation(&custodian, &first, share(0));
        house.ordered(&custodian, "ann", &confirm).await;
        assert_eq!(last_refusal(&house, &custodian), Refusal::Void { set: first.set });
    });
}

#[test]
fn a_rotation_that_was_broken_off_stays_so_though_the_old_record_is_lost() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 1]);
        let handlers = house.ceremonies().handlers().unwrap();
        let mut handlers = handlers.iter();
        let handler = handlers.find(|handler| handler.name().as_str() == Rotate::NAME).unwrap();
        let document = serde_json::to_vec(&rotate(&old)).unwrap();
        let run = async |order: &str| {
            let order = order.parse().unwrap();
            handler.run(&custodian.id(), &order, &document).await.map(drop).map_err(|e| e.kind())
        };
        house.drawer.fail(1, ErrorKind::Unavailable);
        assert_eq!(run("one").await, Err(ErrorKind::Indeterminate));
        house.drawer.mend();
        house.journal.forget(&old.set);
        // One of its shares is out, so it never fails as if nothing had happened.
        assert_eq!(run("one").await, Err(ErrorKind::Indeterminate));
        assert_eq!(run("two").await, Err(ErrorKind::Refused));
    });
}
