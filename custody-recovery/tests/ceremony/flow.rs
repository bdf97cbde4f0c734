//! Splitting, confirming and permitting.

use std::time::Duration;

use custody_core::custodian::{Error, Outcome};
use custody_core::document::V1;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::Clock as _;
use custody_core::secret::Secret;
use custody_recovery::ceremony::{
    CeremonyCommand as _, Confirmations, Permit, Purpose, Recover, Refusal, Rotate, Sets, Split,
    Standing,
};
use custody_recovery::slip39::combine;
use custody_recovery::{GeographyError, Party, SharePosition};

use crate::house::{House, holder, holders, share, split, two_of, two_of_three};

#[test]
fn a_set_is_in_force_once_every_holder_has_confirmed() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        assert_eq!(record.distribution, two_of_three());
        for (member, name) in (0..).zip(["ann", "bob", "cyd"]) {
            let standing = house.transcript(custodian.id()).sets().all()[0].standing();
            assert_eq!(standing, Standing::Waiting, "before {name}");
            let confirm = house.confirmation(&custodian, &record, share(member));
            house.ordered(&custodian, name, &confirm).await;
        }
        let transcript = house.transcript(custodian.id());
        assert_eq!(transcript.sets().in_force().unwrap().record(), &record);
        assert_eq!(transcript.sets().refused(), []);
    });
}

#[test]
fn a_configured_number_of_confirmations_is_enough_if_it_recovers() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let document = Split { confirmations: Confirmations::AtLeast(1), ..split() };
        let record = house.made(&custodian, &document).await;
        for (member, name, standing) in
            [(2, "cyd", Standing::Waiting), (0, "ann", Standing::InForce)]
        {
            let confirm = house.confirmation(&custodian, &record, share(member));
            house.ordered(&custodian, name, &confirm).await;
            let transcript = house.transcript(custodian.id());
            assert_eq!(transcript.sets().all()[0].standing(), standing, "after {name}");
        }
    });
}

#[test]
fn the_transcript_says_who_asked_and_approved_with_which_credentials() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        let confirm = house.confirmation(&custodian, &record, share(1));
        house.ordered(&custodian, "bob", &confirm).await;
        let transcript = house.transcript(custodian.id());
        let lines: Vec<_> = transcript.entries().iter().map(ToString::to_string).collect();
        for (line, words) in lines.iter().zip([
            "recovery/split by tara (signed with tara-key), approved by olga as officer (signed \
             with olga-key), order ",
            "recovery/confirm by bob (signed with bob-key), approved by olga as officer (signed \
             with olga-key), order ",
        ]) {
            assert!(line.contains(words), "{line}");
            assert!(line.ends_with(": counts"), "{line}");
        }
        assert_eq!(lines.len(), 2);
    });
}

#[test]
fn the_shares_that_were_handed_out_have_the_secret_of_the_record() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        for members in [[0, 1], [0, 2], [1, 2]] {
            let shares = members.map(|member| house.share(record.set, share(member)));
            let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
            assert_eq!(secret.len(), 32, "{members:?}");
        }
        for member in 0..3 {
            let held = house.share(record.set, share(member));
            assert_eq!(record.commitments.locate(&held), Ok(share(member)));
            assert_eq!(held.identifier(), record.identifier);
        }
    });
}

#[test]
fn no_share_leaves_before_the_order_is_approved() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let request = house.request(&custodian, "tara", split().to_command().unwrap());
        let pending = custodian.submit(request).await.unwrap();
        assert!(matches!(pending.outcome, Outcome::Pending { .. }));
        assert_eq!(house.drawer.calls(), 0);
        assert_eq!(house.journal.of(custodian.id(), &pending.order), None);
    });
}

#[test]
fn a_ceremony_that_nobody_signed_for_does_not_count() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let request = house.unsigned("tara", split().to_command().unwrap());
        let answer = house.done(&custodian, request).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Released(_)));
        let transcript = house.transcript(custodian.id());
        assert_eq!(transcript.sets().all(), []);
        assert_eq!(transcript.entries()[0].refusal, Some(Refusal::Unsigned));
    });
}

#[test]
fn a_set_that_one_party_could_recover_is_refused() {
    let mut one_organisation = holders();
    one_organisation[1].organisation = one_organisation[0].organisation.clone();
    let mut one_site = holders();
    one_site[2].site = one_site[0].site.clone();
    let one_person = vec![
        holder("ann", "acme", "oslo"),
        holder("ann", "acme", "rome"),
        holder("cyd", "law", "bern"),
    ];
    for (name, holders) in
        [("organisation", one_organisation), ("site", one_site), ("person", one_person)]
    {
        match two_of(holders) {
            Err(GeographyError::Alone { party }) => {
                let named = match party {
                    Party::Organisation(_) => "organisation",
                    Party::Person(_) => "person",
                    Party::Site(_) => "site",
                    _ => "another",
                };
                // One person is one organisation too, which is named first.
                assert!(named == name || name == "person", "{name}: {named}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_document_whose_set_is_in_too_few_hands_is_no_order() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let good = String::from_utf8(serde_json::to_vec(&split()).unwrap()).unwrap();
        let request = |text: &str| {
            let name = Split::NAME.parse().unwrap();
            let document = custody_core::bytes::HexBytes::new(text.as_bytes().to_vec());
            let command = custody_core::command::Command::Extension { name, document };
            house.request(&custodian, "tara", command)
        };
        for (name, text) in [
            ("one organisation", good.replace("\"bank\"", "\"acme\"")),
            ("one site", good.replace("\"rome\"", "\"oslo\"")),
            ("one person", good.replace("bob", "ann").replace("bank", "acme")),
            ("another version", good.replace("\"v\":1", "\"v\":2")),
            ("a field too many", good.replace("{\"v\":1", "{\"v\":1,\"w\":1")),
            ("a field twice", good.replace("{\"v\":1", "{\"v\":1,\"v\":1")),
            ("threshold none", good.replace("\"threshold\":2", "\"threshold\":0")),
            ("threshold too high", good.replace("\"threshold\":2", "\"threshold\":4")),
            ("somebody out of reach", good.replace("bob", "nobody")),
        ] {
            assert_ne!(text, good, "{name}");
            let refused = custodian.submit(request(&text)).await;
            assert!(matches!(refused, Err(Error::Command(_))), "{name}: {refused:?}");
        }
        assert!(custodian.submit(request(&good)).await.is_ok());
        assert_eq!(house.drawer.calls(), 0);
    });
}

fn recover(set: custody_recovery::SetId, purpose: Purpose, house: &House) -> Recover {
    Recover { v: V1, set, purpose, until: house.clock.now().after(Duration::from_secs(3_600)) }
}

#[test]
fn shares_may_be_combined_for_what_an_order_says() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        house.confirm_all(&custodian, &record).await;
        let (wallet, seed) = (WalletId::parse("hot").unwrap(), KeyId::parse("seed").unwrap());
        let purposes = [
            Purpose::Custodian {},
            Purpose::Wallet { wallet: wallet.clone() },
            Purpose::Words { wallet, seed },
        ];
        for purpose in &purposes {
            let document = recover(record.set, purpose.clone(), &house);
            let permit = Permit::read(&house.ordered(&custodian, "tara", &document).await).unwrap();
            assert_eq!((permit.set, &permit.purpose), (record.set, purpose));
        }
        let permitted = || -> Vec<_> {
            let transcript = house.transcript(custodian.id());
            transcript.sets().permits().iter().map(|permit| permit.purpose.clone()).collect()
        };
        assert_eq!(permitted(), purposes);
        // Shares that are void are combined for nothing.
        house.bring(&record, &[0, 1]);
        let Split { distribution, confirmations, .. } = split();
        let rotate = Rotate { v: V1, from: record.reference(), distribution, confirmations };
        let new = house.made(&custodian, &rotate).await;
        assert_eq!(permitted(), purposes);
        house.confirm_all(&custodian, &new).await;
        assert_eq!(permitted(), []);
    });
}

#[test]
fn what_no_set_in_force_stands_behind_is_not_permitted() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        let waiting = recover(record.set, Purpose::Custodian {}, &house);
        house.ordered(&custodian, "tara", &waiting).await;
        house.confirm_all(&custodian, &record).await;
        let before = Recover { until: house.clock.now(), ..waiting.clone() };
        let month = house.clock.now().after(Duration::from_secs(31 * 86_400));
        let long = Recover { until: month.after(Duration::from_millis(1)), ..waiting.clone() };
        house.ordered(&custodian, "tara", &long).await;
        house.clock.advance(Duration::from_secs(1));
        house.ordered(&custodian, "tara", &before).await;
        let other = custody_recovery::SetId::of(&custodian.id(), &"x".parse().unwrap());
        house.ordered(&custodian, "tara", &recover(other, Purpose::Custodian {}, &house)).await;
        let transcript = house.transcript(custodian.id());
        let refusals: Vec<_> =
            transcript.sets().refused().iter().map(|refused| refused.refusal.clone()).collect();
        let expected = [
            Refusal::NotInForce { set: record.set },
            Refusal::LongPermit,
            Refusal::Expired,
            Refusal::UnknownSet { set: other },
        ];
        assert_eq!(refusals, expected);
        assert_eq!(transcript.sets().permits(), []);
    });
}

#[test]
fn shares_are_never_permitted_to_be_made_anew_by_a_recovery() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let set = custody_recovery::SetId::of(&custodian.id(), &"x".parse().unwrap());
        let command = recover(set, Purpose::Reshare { order: "o".parse().unwrap() }, &house)
            .to_command()
            .unwrap();
        let request = house.request(&custodian, "tara", command);
        assert!(custodian.submit(request).await.is_err());
    });
}

#[test]
fn a_confirmation_is_overdue_once_the_time_has_passed() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        let every = Duration::from_secs(86_400 * 90);
        let facts = |house: &House, after: Duration| {
            let now = house.clock.now().after(after);
            house.transcript(custodian.id()).sets().facts(now, every)
        };
        assert_eq!(facts(&house, Duration::ZERO).in_force, None);
        assert_eq!(facts(&house, every).overdue, []);
        let missing = facts(&house, every + Duration::from_secs(60)).overdue;
        let missing: Vec<_> = missing.iter().map(|overdue| (overdue.share, overdue.last)).collect();
        assert_eq!(missing, [(share(0), None), (share(1), None), (share(2), None)]);

        house.confirm_all(&custodian, &record).await;
        let first = facts(&house, Duration::ZERO).last_confirmed.unwrap();
        house.clock.advance(Duration::from_secs(3_600));
        let confirm = house.confirmation(&custodian, &record, share(0));
        house.ordered(&custodian, "ann", &confirm).await;
        let now = facts(&house, Duration::ZERO);
        assert_eq!((now.in_force, now.last_confirmed), (Some(record.set), Some(first)));
        assert_eq!(now.overdue, []);
        let late = facts(&house, every - Duration::from_secs(1_800)).overdue;
        let late: Vec<_> = late.iter().map(|overdue| overdue.holder.as_str().to_owned()).collect();
        assert_eq!(late, ["bob", "cyd"]);
    });
}

#[test]
fn folding_the_steps_again_gives_the_same_sets() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        house.confirm_all(&custodian, &record).await;
        let transcript = house.transcript(custodian.id());
        let steps: Vec<_> = transcript.entries().iter().map(|entry| &entry.step).collect();
        assert_eq!(&Sets::fold(custodian.id(), steps.iter().copied()), transcript.sets());
        let twice = Sets::fold(custodian.id(), steps.iter().chain(&steps).copied());
        assert_eq!(twice.all().len(), 1);
        assert_eq!(twice.refused().len(), steps.len());
    });
}

#[test]
fn a_position_is_told_in_words_from_one_on() {
    let position = SharePosition { group: 1, member: 4 };
    assert_eq!(position.to_string(), "share 5 of group 2");
}
