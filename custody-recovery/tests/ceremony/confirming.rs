//! What is no confirmation.

use std::time::Duration;

use custody_core::custodian::Custodian;
use custody_core::seam::Clock as _;
use custody_recovery::ceremony::{
    CeremonyCommand as _, CeremonyRecord, Confirm, Refusal, Standing,
};
use custody_recovery::{
    Challenge, ChallengeNonce, CommitmentError, Commitments, SetId, ShareKey, SharePosition,
};

use crate::house::{House, share, split};

/// A house with a set that waits for its confirmations.
async fn begun(house: &House) -> (Custodian, CeremonyRecord) {
    let custodian = house.create().await;
    let record = house.made(&custodian, &split()).await;
    (custodian, record)
}

/// The refusals of what was executed, in the order of the log.
fn refusals(house: &House, custodian: &Custodian) -> Vec<Refusal> {
    let transcript = house.transcript(custodian.id());
    transcript.sets().refused().iter().map(|refused| refused.refusal.clone()).collect()
}

fn nonce(byte: u8) -> ChallengeNonce {
    serde_json::from_str(&format!("\"{}\"", hex_of(byte))).unwrap()
}

fn hex_of(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

#[test]
fn only_the_holder_confirms() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let confirm = house.confirmation(&custodian, &record, share(0));
        for other in ["tara", "bob", "dan"] {
            house.ordered(&custodian, other, &confirm).await;
        }
        let holder = house.people.get("ann").id().clone();
        let refusal = Refusal::NotTheHolder { share: share(0), holder };
        assert_eq!(refusals(&house, &custodian), vec![refusal; 3]);
    });
}

#[test]
fn a_confirmation_that_its_holder_did_not_sign_does_not_count() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let confirm = house.confirmation(&custodian, &record, share(0));
        let request = house.unsigned("ann", confirm.to_command().unwrap());
        let done = house.done(&custodian, request).await.unwrap();
        assert!(matches!(done.outcome, custody_core::custodian::Outcome::Released(_)));
        assert_eq!(refusals(&house, &custodian), [Refusal::Unsigned]);
    });
}

#[test]
fn each_field_of_a_challenge_is_signed() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let good = house.confirmation(&custodian, &record, share(0));
        let later = good.expires.after(Duration::from_millis(1));
        let other = SetId::of(&custodian.id(), &"x".parse().unwrap());
        let changed = [
            ("set", Confirm { set: other, ..good.clone() }),
            ("share", Confirm { share: share(1), ..good.clone() }),
            ("group", Confirm { share: SharePosition { group: 1, member: 0 }, ..good.clone() }),
            ("nonce", Confirm { nonce: nonce(1), ..good.clone() }),
            ("expires", Confirm { expires: later, ..good.clone() }),
            (
                "commitment",
                Confirm { commitment: *record.commitments.get(share(1)).unwrap(), ..good.clone() },
            ),
        ];
        for (name, confirm) in changed {
            let request = house.request(&custodian, "ann", confirm.to_command().unwrap());
            let answer = house.done(&custodian, request).await.unwrap();
            let failed = custody_core::custodian::Outcome::Failed {
                reason: custody_core::document::Hold::BackendRefused,
            };
            assert_eq!(answer.outcome, failed, "{name}");
        }
        house.ordered(&custodian, "ann", &good).await;
        assert_eq!(refusals(&house, &custodian), []);
    });
}

#[test]
fn a_proof_for_another_custodian_is_none() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let other = custody_core::id::CustodianId::new(*record.set.digest());
        let challenge = house.challenge(other, record.set, share(0));
        let key = ShareKey::of(&house.share(record.set, share(0))).unwrap();
        let proof = key.prove(&challenge);
        assert_eq!(key.commitment().verify(&challenge, &proof), Ok(()));
        let ours = Challenge { custodian: custodian.id(), ..challenge };
        assert_eq!(key.commitment().verify(&ours, &proof), Err(CommitmentError::Possession));
    });
}

#[test]
fn a_wrong_share_is_named() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        // Ann was given cyd's share, and answers with it.
        let challenge = house.challenge(custodian.id(), record.set, share(0));
        let wrong = house.share(record.set, share(2));
        let confirm = Confirm::answer(&challenge, &ShareKey::of(&wrong).unwrap());
        house.ordered(&custodian, "ann", &confirm).await;
        let refusal = Refusal::Commitment { share: share(0), found: Some(share(2)) };
        assert_eq!(refusals(&house, &custodian), [refusal]);
        let other = CommitmentError::Other { expected: share(0), found: share(2) };
        assert_eq!(record.commitments.check(share(0), &wrong), Err(other));

        // A share of another set is none of this one, whatever it says of itself.
        let second = house.made(&custodian, &split()).await;
        let foreign = house.share(second.set, share(0));
        let challenge = house.challenge(custodian.id(), record.set, share(0));
        let confirm = Confirm::answer(&challenge, &ShareKey::of(&foreign).unwrap());
        house.ordered(&custodian, "ann", &confirm).await;
        let refusal = Refusal::Commitment { share: share(0), found: None };
        assert_eq!(refusals(&house, &custodian).last(), Some(&refusal));
        let unknown = CommitmentError::Unknown { claimed: share(0) };
        assert_eq!(record.commitments.check(share(0), &foreign), Err(unknown));
    });
}

#[test]
fn an_answer_counts_once() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let confirm = house.confirmation(&custodian, &record, share(0));
        house.ordered(&custodian, "ann", &confirm).await;
        house.clock.advance(Duration::from_secs(60));
        house.ordered(&custodian, "ann", &confirm).await;
        assert_eq!(refusals(&house, &custodian), [Refusal::Replayed]);
        let again = house.confirmation(&custodian, &record, share(0));
        house.ordered(&custodian, "ann", &again).await;
        assert_eq!(refusals(&house, &custodian).len(), 1);
    });
}

#[test]
fn the_latest_confirmation_counts_whenever_it_was_approved() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let mut pending = Vec::new();
        for _ in 0..2 {
            house.clock.advance(Duration::from_secs(60));
            let confirm = house.confirmation(&custodian, &record, share(0));
            let request = house.request(&custodian, "ann", confirm.to_command().unwrap());
            pending.push(custodian.submit(request).await.unwrap());
        }
        let latest = house.clock.now();
        house.clock.advance(Duration::from_secs(60));
        for order in pending.iter().rev() {
            let done = house.approved(&custodian, order).await.unwrap();
            assert!(matches!(done.outcome, custody_core::custodian::Outcome::Released(_)));
        }
        assert_eq!(refusals(&house, &custodian), []);
        let transcript = house.transcript(custodian.id());
        assert_eq!(transcript.sets().all()[0].confirmed().get(&share(0)), Some(&latest));
    });
}

#[test]
fn a_challenge_counts_until_it_expires_and_lives_seven_days_at_most() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let key = ShareKey::of(&house.share(record.set, share(0))).unwrap();
        let now = house.clock.now();
        let week = Duration::from_secs(7 * 86_400);
        for (number, expires) in (1..).zip([
            now,
            now.after(week),
            now.after(week + Duration::from_millis(1)),
            custody_core::time::Timestamp::from_millis(now.as_millis() - 1),
        ]) {
            let challenge = Challenge {
                custodian: custodian.id(),
                set: record.set,
                share: share(0),
                nonce: nonce(number),
                expires,
            };
            house.ordered(&custodian, "ann", &Confirm::answer(&challenge, &key)).await;
        }
        assert_eq!(refusals(&house, &custodian), [Refusal::TooLong, Refusal::Expired]);
    });
}

#[test]
fn what_is_no_share_of_a_set_is_not_confirmed() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        let key = ShareKey::of(&house.share(record.set, share(0))).unwrap();
        let unknown = SetId::of(&custodian.id(), &"x".parse().unwrap());
        let nowhere = SharePosition { group: 0, member: 3 };
        for (set, position) in [(unknown, share(0)), (record.set, nowhere)] {
            let challenge = house.challenge(custodian.id(), set, position);
            house.ordered(&custodian, "ann", &Confirm::answer(&challenge, &key)).await;
        }
        let expected =
            [Refusal::UnknownSet { set: unknown }, Refusal::NoSuchShare { share: nowhere }];
        assert_eq!(refusals(&house, &custodian), expected);
    });
}

#[test]
fn a_holder_of_another_organisation_than_recorded_does_not_confirm() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let mut holders = crate::house::holders();
        // Dan belongs to acme, whatever this distribution says.
        holders[0] = crate::house::holder("dan", "other", "oslo");
        let distribution = crate::house::two_of(holders).unwrap();
        let document = custody_recovery::ceremony::Split { distribution, ..split() };
        let record = house.made(&custodian, &document).await;
        let confirm = house.confirmation(&custodian, &record, share(0));
        house.ordered(&custodian, "dan", &confirm).await;
        let holder = house.people.get("dan").id().clone();
        assert_eq!(refusals(&house, &custodian), [Refusal::OtherOrganisation { holder }]);
    });
}

#[test]
fn a_set_stays_waiting_whatever_was_refused() {
    let house = House::new();
    house.run(async {
        let (custodian, record) = begun(&house).await;
        for (member, name) in [(0, "bob"), (1, "cyd"), (2, "ann")] {
            let confirm = house.confirmation(&custodian, &record, share(member));
            house.ordered(&custodian, name, &confirm).await;
        }
        let transcript = house.transcript(custodian.id());
        let state = &transcript.sets().all()[0];
        assert_eq!((state.standing(), state.confirmed().len()), (Standing::Waiting, 0));
    });
}

#[test]
fn commitments_in_which_one_stands_twice_are_refused() {
    let house = House::new();
    house.run(async {
        let (_, record) = begun(&house).await;
        let one = *record.commitments.get(share(0)).unwrap();
        assert_eq!(Commitments::new(vec![vec![one], vec![one]]), Err(CommitmentError::Twice));
        let text = serde_json::to_string(&[[one, one]]).unwrap();
        assert!(serde_json::from_str::<Commitments>(&text).is_err());
    });
}
