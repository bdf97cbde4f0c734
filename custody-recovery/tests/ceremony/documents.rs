//! The bytes of what is stored. A changed line here is a changed format.

use custody_core::digest::Digest;
use custody_core::document::{V1, parse};
use custody_core::id::{CustodianId, OrderId};
use custody_core::time::Timestamp;
use custody_recovery::ceremony::{
    CeremonyCommand, CeremonyRecord, Confirm, Confirmations, Permit, Purpose, Recover, Replace,
    Rotate, Split,
};
use custody_recovery::slip39::Share;
use custody_recovery::{
    Challenge, Commitments, Distribution, Group, Holder, SetId, ShareKey, SiteId, X25519PublicKey,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::house::two_of_three;

fn custodian() -> CustodianId {
    CustodianId::new(Digest::new([0xc0; 32]))
}

fn order() -> OrderId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
}

/// The first official vector of a share that stands alone (SLIP-39, vector 1).
const WORDS: &str = "duckling enlarge academic academic agency result length solution fridge \
                     kidney coal piece deal husband erode duke ajar critical decision keyboard";

fn key() -> ShareKey {
    let words = custody_core::secret::Secret::new(WORDS.as_bytes().to_vec());
    ShareKey::of(&Share::parse(&words).unwrap()).unwrap()
}

fn challenge() -> Challenge {
    let confirm = format!(
        "{{\"v\":1,\"set\":\"{}\",\"share\":{{\"group\":0,\"member\":0}},\"commitment\":\"{}\",\
         \"nonce\":\"{}\",\"expires\":1767225600000,\"possession\":\"{}\"}}",
        SetId::of(&custodian(), &order()),
        hex::encode(key().commitment().as_bytes()),
        "11".repeat(32),
        "22".repeat(64),
    );
    parse::<Confirm>(confirm.as_bytes()).unwrap().challenge(custodian())
}

#[track_caller]
fn pinned<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: &T, text: &str) {
    assert_eq!(serde_json::to_string(document).unwrap(), text);
    assert_eq!(&parse::<T>(text.as_bytes()).unwrap(), document);
    let wrapped = text.replacen("{\"v\":1,", "{\"v\":1,\"unknown\":0,", 1);
    assert!(parse::<T>(wrapped.as_bytes()).is_err(), "an unknown field was read");
    let later = text.replacen("{\"v\":1,", "{\"v\":2,", 1);
    assert!(parse::<T>(later.as_bytes()).is_err(), "an unknown version was read");
}

const DISTRIBUTION: &str = "{\"group_threshold\":1,\"groups\":[{\"threshold\":2,\"holders\":[\
    {\"principal\":\"ann\",\"organisation\":\"acme\",\"site\":\"oslo\"},\
    {\"principal\":\"bob\",\"organisation\":\"bank\",\"site\":\"rome\"},\
    {\"principal\":\"cyd\",\"organisation\":\"law\",\"site\":\"bern\"}]}]}";

fn record() -> CeremonyRecord {
    CeremonyRecord {
        v: V1,
        custodian: custodian(),
        order: order(),
        set: SetId::of(&custodian(), &order()),
        from: None,
        identifier: 7_945,
        distribution: two_of_three(),
        confirmations: Confirmations::AtLeast(2),
        public_key: X25519PublicKey::new([0x25; 32]),
        commitments: Commitments::new(vec![vec![key().commitment()]]).unwrap(),
    }
}

#[test]
fn the_bytes_of_each_document_are_pinned() {
    let set = SetId::of(&custodian(), &order());
    let commitment = hex::encode(key().commitment().as_bytes());
    let split = Split { v: V1, distribution: two_of_three(), confirmations: Confirmations::Every };
    pinned(
        &split,
        &format!("{{\"v\":1,\"distribution\":{DISTRIBUTION},\"confirmations\":\"every\"}}"),
    );
    let from = format!(
        "{{\"set\":\"{set}\",\"public_key\":\"{}\",\"commitments\":[[\"{commitment}\"]]}}",
        "25".repeat(32)
    );
    let confirmations = Confirmations::AtLeast(2);
    let (distribution, reference) = (two_of_three(), record().reference());
    let rotate = Rotate { v: V1, from: reference.clone(), distribution, confirmations };
    let tail = format!("\"distribution\":{DISTRIBUTION},\"confirmations\":{{\"at_least\":2}}}}");
    pinned(&rotate, &format!("{{\"v\":1,\"from\":{from},{tail}"));
    let replace = Replace {
        v: V1,
        from: reference,
        leaving: "cyd".parse().unwrap(),
        distribution: two_of_three(),
        confirmations,
    };
    pinned(&replace, &format!("{{\"v\":1,\"from\":{from},\"leaving\":\"cyd\",{tail}"));
    let until = Timestamp::from_millis(1_767_225_600_000);
    let purposes = [
        (Purpose::Custodian {}, "{\"custodian\":{}}"),
        (Purpose::Reshare { order: "o".parse().unwrap() }, "{\"reshare\":{\"order\":\"o\"}}"),
        (Purpose::Wallet { wallet: "hot".parse().unwrap() }, "{\"wallet\":{\"wallet\":\"hot\"}}"),
        (
            Purpose::Words { wallet: "hot".parse().unwrap(), seed: "s".parse().unwrap() },
            "{\"words\":{\"wallet\":\"hot\",\"seed\":\"s\"}}",
        ),
    ];
    for (purpose, text) in purposes {
        let recover = Recover { v: V1, set, purpose: purpose.clone(), until };
        let tail = format!("\"set\":\"{set}\",\"purpose\":{text},\"until\":1767225600000}}");
        pinned(&recover, &format!("{{\"v\":1,{tail}"));
        let permit = Permit { v: V1, custodian: custodian(), order: order(), set, purpose, until };
        let head = format!("\"custodian\":\"{}\",\"order\":\"{}\"", custodian(), order());
        pinned(&permit, &format!("{{\"v\":1,{head},{tail}"));
    }
    let head = format!("\"custodian\":\"{}\",\"order\":\"{}\"", custodian(), order());
    pinned(
        &record(),
        &format!(
            "{{\"v\":1,{head},\"set\":\"{set}\",\"identifier\":7945,\"distribution\":\
             {DISTRIBUTION},\"confirmations\":{{\"at_least\":2}},\"public_key\":\"{}\",\
             \"commitments\":[[\"{commitment}\"]]}}",
            "25".repeat(32)
        ),
    );
}

#[test]
fn a_proof_of_possession_is_pinned() {
    let confirm = Confirm::answer(&challenge(), &key());
    assert_eq!(key().commitment().verify(&challenge(), &confirm.possession), Ok(()));
    let digests = [
        SetId::of(&custodian(), &order()).to_string(),
        challenge().digest().to_string(),
        hex::encode(key().commitment().as_bytes()),
        serde_json::to_string(&confirm.possession).unwrap(),
    ];
    assert_eq!(digests, PINNED);
}

/// The set, the challenge, the commitment and the proof.
const PINNED: [&str; 4] = [
    "6f1ba08cc8b0ea12df9878d40afdfe60435cc34a81429bc577deb8776a6243af",
    "5ae7bc6c64a56258e08a4e7e73afe444abf18fe933b13aede4c3e5039a265abf",
    "bb8fe27e30df9c24513495dbe048630e00b86a31498698c604bdbf516a7b6921",
    "\"37082fb2494ecef1791bd281cb71c4fa06e04a9e32490ce6cfd6f139cd070ee2\
     38e37bd1baf3ed2a794f899b55856b164e2d7ec529e29e098d4759e583fde402\"",
];

#[test]
fn a_document_that_is_no_such_document_is_refused() {
    let good = serde_json::to_string(&record()).unwrap();
    let commitment = hex::encode(key().commitment().as_bytes());
    for (name, text) in [
        ("a short commitment", good.replace(&commitment, commitment.trim_start_matches("bb"))),
        ("a commitment in upper case", good.replace(&commitment, &commitment.to_uppercase())),
        ("a commitment that is no key", good.replace(&commitment, &"02".repeat(32))),
        ("a short public key", good.replace(&"25".repeat(32), &"25".repeat(31))),
        ("a person twice", good.replace("\"bob\"", "\"ann\"")),
        ("a group too many", good.replace("\"group_threshold\":1", "\"group_threshold\":2")),
        ("a site of another alphabet", good.replace("\"rome\"", "\"Rome\"")),
        ("a field too many", good.replace("\"threshold\"", "\"unknown\":0,\"threshold\"")),
    ] {
        assert_ne!(text, good, "{name}");
        assert!(CeremonyRecord::read(text.as_bytes()).is_err(), "{name}");
    }
    assert!(serde_json::from_str::<Distribution>(DISTRIBUTION).is_ok());
}

#[test]
fn each_command_has_a_name_of_its_own() {
    let names = [Confirm::name(), Recover::name(), Replace::name(), Rotate::name(), Split::name()];
    let names: Vec<_> = names.into_iter().map(|name| name.unwrap().as_str().to_owned()).collect();
    let expected = ["confirm", "recover", "replace", "rotate", "split"];
    assert_eq!(names, expected.map(|name| format!("recovery/{name}")));
}

#[test]
fn the_largest_set_with_the_longest_names_fits_into_an_order_and_its_answer() {
    let house = crate::house::House::new();
    let name = |text: String| format!("{text:0>64}");
    let holder = |group: u8, member: u8| Holder {
        principal: name(format!("{group}-{member}")).parse().unwrap(),
        organisation: name(member.to_string()).parse().unwrap(),
        site: SiteId::parse(&name(member.to_string())).unwrap(),
        recipient: Some(X25519PublicKey::new([group * 16 + member; 32])),
    };
    let group =
        |group| Group { threshold: 9, holders: (0..16).map(|n| holder(group, n)).collect() };
    let distribution = Distribution::new(9, (0..16).map(group).collect()).unwrap();
    let handlers = house.ceremonies().handlers().unwrap();
    let named = |name| handlers.iter().find(|handler| handler.name().as_str() == name).unwrap();
    let split = Split { v: V1, distribution, confirmations: Confirmations::Every };
    let document = serde_json::to_vec(&split).unwrap();
    let run = async {
        let handler = named(Split::NAME);
        assert!(handler.accepts(&document));
        handler.run(&custodian(), &order(), &document).await.unwrap()
    };
    let answer = house.run(run);
    assert!(answer.len() <= 256 * 1024, "{}", answer.len());
    let record = CeremonyRecord::read(&answer).unwrap();
    let replace = Replace {
        v: V1,
        from: record.reference(),
        leaving: holder(0, 0).principal,
        distribution: split.distribution,
        confirmations: Confirmations::Every,
    };
    let document = serde_json::to_vec(&replace).unwrap();
    assert!(named(Replace::NAME).accepts(&document), "{}", document.len());
    let padded = [document, vec![b' '; 128 * 1024]].concat();
    assert!(!named(Replace::NAME).accepts(&padded));
}
