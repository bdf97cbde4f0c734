//! What is durable, printed or answered holds no secret.

use std::error::Error as _;

use custody_core::document::V1;
use custody_core::secret::Secret;
use custody_recovery::ceremony::{Confirmations, Rotate};
use custody_recovery::slip39::combine;
use custody_recovery::{Commitment, ShareKey};

use crate::house::{House, share, split, two_of_three};

/// What must not be found: the words of a share, parts of them, its value, and the secret, raw and
/// in hex.
fn secrets(house: &House, secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = forms("secret", secret);
    for (number, words) in house.drawer.all().into_iter().enumerate() {
        let text = String::from_utf8(words).unwrap();
        let words: Vec<_> = text.split(' ').collect();
        // The first four words say which share it is, and are no secret.
        for start in 4..words.len() - 2 {
            let run = words[start..start + 3].join(" ");
            found.push((format!("words of {number}"), run.into_bytes()));
        }
        found.extend(forms(&format!("value of {number}"), &value(&words)));
    }
    found
}

fn forms(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let hex = hex::encode(bytes);
    let list = format!("{bytes:?}");
    vec![
        (format!("{name}, raw"), bytes.to_vec()),
        (format!("{name}, in hex"), hex.clone().into_bytes()),
        (format!("{name}, in part"), hex.as_bytes()[..16].to_vec()),
        (format!("{name}, in upper case"), hex.to_uppercase().into_bytes()),
        (format!("{name}, as a list"), list.trim_matches(['[', ']']).as_bytes().to_vec()),
    ]
}

/// The value of a share of 256 bits: 26 words of ten bits, of which the first four bits are
/// padding.
fn value(words: &[&str]) -> Vec<u8> {
    let list: Vec<_> = include_str!("../../src/slip39/words.txt").lines().collect();
    let mut bits = Vec::new();
    for word in &words[4..30] {
        let index = list.iter().position(|other| other == word).unwrap();
        bits.extend((0..10).rev().map(|bit| u8::from(index >> bit & 1 == 1)));
    }
    let bytes = bits[4..].chunks(8);
    bytes.map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | *bit)).collect()
}

fn assert_clean(secrets: &[(String, Vec<u8>)], place: &str, bytes: &[u8]) {
    for (name, secret) in secrets {
        let is_in = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!is_in, "{name} stands in {place}");
    }
}

#[test]
fn a_whole_ceremony_leaves_no_secret_anywhere() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let old = house.made(&custodian, &split()).await;
        house.confirm_all(&custodian, &old).await;
        house.bring(&old, &[0, 1]);
        let rotate = Rotate {
            v: V1,
            from: old.reference(),
            distribution: two_of_three(),
            confirmations: Confirmations::Every,
        };
        let new = house.made(&custodian, &rotate).await;
        house.confirm_all(&custodian, &new).await;
        // And one that fails, with a share of the wrong set among those that were brought.
        house.drawer.bring(vec![
            house.drawer.words(old.set, share(0)).unwrap(),
            house.drawer.words(new.set, share(1)).unwrap(),
        ]);
        let again = Rotate { from: new.reference(), ..rotate };
        let document = custody_recovery::ceremony::CeremonyCommand::to_command(&again).unwrap();
        let request = house.request(&custodian, "tara", document);
        let failed = format!("{:?}", house.done(&custodian, request).await);

        let shares = [0, 1].map(|member| house.share(new.set, share(member)));
        let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
        let secrets = secrets(&house, secret.expose());
        assert_eq!(house.drawer.all().len(), 6);

        let snapshot = house.store.snapshot();
        for (number, event) in snapshot.events().iter().enumerate() {
            assert_clean(&secrets, &format!("event {number}"), event);
        }
        for record in snapshot.records() {
            assert_clean(&secrets, record.key.as_str(), &record.value);
        }
        let transcript = house.transcript(custodian.id());
        let printed = [
            ("the failed answer", failed),
            ("the transcript", format!("{transcript:?}")),
            ("the ceremonies", format!("{:?}", house.ceremonies())),
            ("the custodian", format!("{custodian:?}")),
            ("a share", format!("{:?}", shares[0])),
            ("a share's key", format!("{:?}", ShareKey::of(&shares[0]).unwrap())),
        ];
        for (name, text) in printed {
            assert_clean(&secrets, name, text.as_bytes());
        }
    });
}

#[test]
fn no_error_shows_a_share() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        let other = house.made(&custodian, &split()).await;
        let foreign = house.share(other.set, share(1));
        let secrets = secrets(&house, &[0xee; 32]);
        let unknown = record.commitments.locate(&foreign).unwrap_err();
        let mixed = [house.share(record.set, share(0)), foreign];
        let uncombined = combine(&mixed, &Secret::new(Vec::new())).map(drop).unwrap_err();
        for text in [unknown.to_string(), format!("{unknown:?}"), format!("{uncombined:?}")] {
            assert_clean(&secrets, "an error", text.as_bytes());
        }
        assert!(unknown.source().is_none());
    });
}

#[test]
fn a_commitment_follows_from_every_field_of_a_share() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        let record = house.made(&custodian, &split()).await;
        let same = Commitment::of(&house.share(record.set, share(0))).unwrap();
        assert_eq!(record.commitments.get(share(0)), Some(&same));
        let all: std::collections::BTreeSet<_> =
            (0..3).map(|n| *record.commitments.get(share(n)).unwrap()).collect();
        assert_eq!(all.len(), 3);
    });
}
