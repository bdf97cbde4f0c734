//! New shares of the same secret, and other holders.

use custody_core::custodian::{Custodian, Outcome};
use custody_core::document::{Hold, V1};
use custody_core::secret::Secret;
use custody_recovery::ceremony::{
    CeremonyCommand, CeremonyRecord, Confirmations, Purpose, Refusal, Replace, Rotate,
    SetReference, Sets, Split, Standing, Step,
};
use custody_recovery::slip39::combine;
use custody_recovery::{CommitmentError, Commitments, Distribution, Group, Holder};

use crate::house::{House, holder, holders, share, split, two_of, two_of_three};

/// A house with a set in force.
pub(crate) async fn settled(house: &House) -> (Custodian, CeremonyRecord) {
    let custodian = house.create().await;
    let record = house.made(&custodian, &split()).await;
    house.confirm_all(&custodian, &record).await;
    (custodian, record)
}

pub(crate) fn rotate(from: &CeremonyRecord) -> Rotate {
    Rotate {
        v: V1,
        from: from.reference(),
        distribution: two_of_three(),
        confirmations: Confirmations::Every,
    }
}

/// Fay, of cyd's organisation, comes in cyd's place.
pub(crate) fn replace(from: &CeremonyRecord, holders: Vec<Holder>) -> Replace {
    Replace {
        v: V1,
        from: from.reference(),
        leaving: "cyd".parse().unwrap(),
        distribution: two_of(holders).unwrap(),
        confirmations: Confirmations::Every,
    }
}

pub(crate) fn with_fay() -> Vec<Holder> {
    let mut holders = holders();
    holders[2] = holder("fay", "law", "bern");
    holders
}

pub(crate) fn standings(house: &House, custodian: &Custodian) -> Vec<Standing> {
    house.transcript(custodian.id()).sets().all().iter().map(|state| state.standing()).collect()
}

pub(crate) fn last_refusal(house: &House, custodian: &Custodian) -> Refusal {
    house.transcript(custodian.id()).sets().refused().last().unwrap().refusal.clone()
}

/// The sets after the log's steps, the last of which is another: what a handler would never do.
pub(crate) fn refolded(
    house: &House,
    custodian: &Custodian,
    change: impl FnOnce(&mut Step),
) -> Sets {
    let transcript = house.transcript(custodian.id());
    let steps = transcript.entries().iter().map(|entry| entry.step.clone());
    let mut steps: Vec<_> = steps.collect();
    change(steps.last_mut().unwrap());
    Sets::fold(custodian.id(), &steps)
}

pub(crate) fn refused_last(sets: &Sets) -> Refusal {
    sets.refused().last().unwrap().refusal.clone()
}

pub(crate) const FAILED: Outcome = Outcome::Failed { reason: Hold::BackendRefused };

/// The outcome of a ceremony's order of tara's.
pub(crate) async fn outcome(
    house: &House,
    custodian: &Custodian,
    document: &impl CeremonyCommand,
) -> Outcome {
    let request = house.request(custodian, "tara", document.to_command().unwrap());
    house.done(custodian, request).await.unwrap().outcome
}

#[test]
fn a_rotation_voids_the_old_shares_once_the_new_ones_are_confirmed() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 2]);
        let new = house.made(&custodian, &rotate(&old)).await;
        assert_eq!((new.public_key, new.from), (old.public_key, Some(old.set)));
        let purpose = Purpose::Reshare { order: new.order.clone() };
        assert_eq!(house.drawer.purposes(), [purpose]);
        assert_eq!(standings(&house, &custodian), [Standing::InForce, Standing::Waiting]);
        house.confirm_all(&custodian, &new).await;
        assert_eq!(standings(&house, &custodian), [Standing::Void, Standing::InForce]);

        // The secret is the same, and old and new shares do not mix.
        let empty = Secret::new(Vec::new());
        let mixed = [house.share(old.set, share(0)), house.share(new.set, share(1))];
        assert!(combine(&mixed, &empty).is_err());
        let secret = |record: &CeremonyRecord| {
            let shares = [0, 1].map(|member| house.share(record.set, share(member)));
            combine(&shares, &empty).unwrap().expose().to_vec()
        };
        assert_eq!(secret(&old), secret(&new));

        // What is void is confirmed no more.
        let confirm = house.confirmation(&custodian, &old, share(0));
        house.ordered(&custodian, "ann", &confirm).await;
        assert_eq!(last_refusal(&house, &custodian), Refusal::Void { set: old.set });
    });
}

#[test]
fn a_holder_is_replaced_by_one_other() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 1]);
        let new = house.made(&custodian, &replace(&old, with_fay())).await;
        house.confirm_all(&custodian, &new).await;
        assert_eq!(standings(&house, &custodian), [Standing::Void, Standing::InForce]);
        let confirm = house.confirmation(&custodian, &new, share(2));
        house.ordered(&custodian, "cyd", &confirm).await;
        let holder = house.people.get("fay").id().clone();
        let refusal = Refusal::NotTheHolder { share: share(2), holder };
        assert_eq!(last_refusal(&house, &custodian), refusal);
    });
}

#[test]
fn a_replacement_changes_nothing_else() {
    let mut two_leave = with_fay();
    two_leave[1] = holder("eve", "bank", "rome");
    let mut moved = with_fay();
    moved[0] = holder("ann", "acme", "lima");
    let mut four = with_fay();
    four.push(holder("eve", "other", "lima"));
    for (name, holders) in [
        ("two leave", two_leave),
        ("another moves", moved),
        ("one more holds", four),
        ("nobody comes", holders()),
    ] {
        let house = House::new();
        house.run(async {
            let (custodian, old) = settled(&house).await;
            house.bring(&old, &[0, 1]);
            let document = replace(&old, holders.clone());
            let handed = house.drawer.calls();
            assert_eq!(outcome(&house, &custodian, &document).await, FAILED, "{name}");
            assert_eq!(house.drawer.calls(), handed, "{name}");
            assert_eq!(standings(&house, &custodian), [Standing::InForce], "{name}");
            // Nor does it count if the shares went out.
            let distribution = two_of(holders).unwrap();
            house.made(&custodian, &Rotate { distribution, ..rotate(&old) }).await;
            let sets = refolded(&house, &custodian, |step| {
                step.command = Replace::NAME.parse().unwrap();
                step.document = serde_json::to_vec(&document).unwrap();
            });
            assert_eq!(refused_last(&sets), Refusal::MoreThanOneHolder, "{name}");
            assert_eq!(sets.all().len(), 1, "{name}");
        });
    }
}

#[test]
fn one_other_person_takes_all_shares_of_whoever_leaves() {
    let three_of = |first: Holder, second: Holder| {
        let holders = vec![first, second, holders()[1].clone(), holders()[2].clone()];
        Distribution::new(1, vec![Group { threshold: 3, holders }]).unwrap()
    };
    let of = |name| (holder(name, "acme", "oslo"), holder(name, "acme", "lima"));
    let (ann, other_ann) = of("ann");
    let (dan, other_dan) = of("dan");
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let distribution = three_of(ann, other_ann.clone());
        let old = house.made(&custodian, &Split { distribution, ..split() }).await;
        house.confirm_all(&custodian, &old).await;
        house.bring(&old, &[0, 1, 3]);
        let document = |first: &Holder, second: &Holder| Replace {
            leaving: "ann".parse().unwrap(),
            distribution: three_of(first.clone(), second.clone()),
            ..replace(&old, with_fay())
        };
        let gus = holder("gus", "acme", "lima");
        for second in [&gus, &other_ann] {
            assert_eq!(outcome(&house, &custodian, &document(&dan, second)).await, FAILED);
        }
        let new = house.made(&custodian, &document(&dan, &other_dan)).await;
        house.confirm_all(&custodian, &new).await;
        assert_eq!(standings(&house, &custodian), [Standing::Void, Standing::InForce]);
    });
}

#[test]
fn whoever_does_not_hold_a_share_cannot_be_replaced() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        house.bring(&old, &[0, 1]);
        let document = Replace { leaving: "dan".parse().unwrap(), ..replace(&old, with_fay()) };
        assert_eq!(outcome(&house, &custodian, &document).await, FAILED);
    });
}

#[test]
fn a_rotation_takes_no_other_shares_and_hands_out_none() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        let other = house.made(&custodian, &split()).await;
        let handed = house.drawer.calls();
        let words = |record: &CeremonyRecord, member| {
            house.drawer.words(record.set, share(member)).unwrap()
        };
        for (name, brought) in [
            ("none", Vec::new()),
            ("too few", vec![words(&old, 0)]),
            ("one twice", vec![words(&old, 0), words(&old, 0)]),
            ("one of another set", vec![words(&old, 0), words(&other, 1)]),
            ("another set", vec![words(&other, 0), words(&other, 1)]),
        ] {
            house.drawer.bring(brought);
            assert_eq!(outcome(&house, &custodian, &rotate(&old)).await, FAILED, "{name}");
        }
        assert_eq!(house.drawer.calls(), handed);
        assert_eq!(standings(&house, &custodian), [Standing::InForce, Standing::Waiting]);
    });
}

#[test]
fn the_wrong_share_that_was_brought_is_named() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        let other = house.made(&custodian, &split()).await;
        let words = |record: &CeremonyRecord, n| house.drawer.words(record.set, share(n)).unwrap();
        house.drawer.bring(vec![words(&old, 0), words(&other, 2)]);
        let handlers = house.ceremonies().handlers().unwrap();
        let mut handlers = handlers.iter();
        let handler = handlers.find(|handler| handler.name().as_str() == Rotate::NAME).unwrap();
        let document = serde_json::to_vec(&rotate(&old)).unwrap();
        let (id, order) = (custodian.id(), "x".parse().unwrap());
        let error = handler.run(&id, &order, &document).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let unknown = CommitmentError::Unknown { claimed: share(2) };
        assert_eq!(source.downcast_ref(), Some(&unknown));
        assert_eq!(
            source.to_string(),
            "what says to be share 3 of group 1 is no share of this set"
        );
    });
}

#[test]
fn a_rotation_that_describes_the_old_set_otherwise_fails() {
    let house = House::new();
    house.run(async {
        let (custodian, old) = settled(&house).await;
        let other = house.made(&custodian, &split()).await;
        house.bring(&old, &[0, 1]);
        let from = old.reference();
        let some: Vec<_> = [0, 1].map(|n| *from.commitments.get(share(n)).unwrap()).to_vec();
        let fewer = Commitments::new(vec![some]).unwrap();
        let commitments = other.commitments.clone();
        let wrong = [
            ("key", SetReference { public_key: other.public_key, ..from.clone() }),
            ("commitments", SetReference { commitments, ..from.clone() }),
            ("fewer commitments", SetReference { commitments: fewer, ..from.clone() }),
        ];
        let handed = house.drawer.calls();
        for (name, from) in &wrong {
            let document = Rotate { from: from.clone(), ..rotate(&old) };
            assert_eq!(outcome(&house, &custodian, &document).await, FAILED, "{name}");
        }
        assert_eq!(house.drawer.calls(), handed);
        house.made(&custodian, &rotate(&old)).await;
        for (name, from) in wrong {
            let document = serde_json::to_vec(&Rotate { from, ..rotate(&old) }).unwrap();
            let sets = refolded(&house, &custodian, |step| step.document = document);
            assert_eq!(refused_last(&sets), Refusal::OtherReference { set: old.set }, "{name}");
        }
    });
}

#[test]
fn only_the_set_in_force_is_rotated() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let waiting = house.made(&custodian, &split()).await;
        house.bring(&waiting, &[0, 1]);
        house.ordered(&custodian, "tara", &rotate(&waiting)).await;
        let refusal = Refusal::NotInForce { set: waiting.set };
        assert_eq!(last_refusal(&house, &custodian), refusal);

        // Its shares are out, and are of no set.
        let transcript = house.transcript(custodian.id());
        let entry = transcript.entries().last().unwrap();
        assert_eq!(transcript.stray(), std::slice::from_ref(&entry.step.order));
        assert!(entry.to_string().ends_with("is not in force; its shares may be out"), "{entry}");
    });
}
