//! What stands in the orders of ceremonies and drills and in their answers, and shares on their
//! way: what is read has no unknown field, what is accepted is done as it says, and a packet opens
//! for its recipient and unchanged, or not at all. Opens secrets, of tests only.

mod house;
mod seeds;

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use custody_core::custodian::CommandHandler as _;
use custody_core::digest::Digest;
use custody_core::document::{ANSWER_MAX, V1, parse};
use custody_core::id::CustodianId;
use custody_core::seam::ErrorKind;
use custody_core::time::Timestamp;
use custody_recovery::archive::ArchiveId;
use custody_recovery::ceremony::{
    Address, CeremonyRecord, Confirm, Confirmations, Confirmed, Packet, Permit, Purpose, Recover,
    Replace, Rotate, SetReference, Split,
};
use custody_recovery::drill::{DrillDocument, DrillError, DrillHandler, Driller, Evidence};
use custody_recovery::slip39::Share;
use custody_recovery::{
    Commitment, Distribution, PlaceName, SetId, SharePosition, X25519SecretKey,
};
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::house::{House, MADE, custodian, order, share_of};
pub(crate) use self::seeds::seeds;
use crate::documents::document;
use crate::input::{choose, patched};
use crate::json::with_unknown_field;
use crate::kms_texts::{same, says_nothing};

const PARTS: [&str; 12] = [
    "changed packet",
    "confirm",
    "drill",
    "evidence",
    "given packet",
    "permit",
    "place",
    "record",
    "recover",
    "replace",
    "rotate",
    "split",
];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, bytes) = choose(&PARTS, bytes)?;
    let taken = match *part {
        "changed packet" => packet(&patched(&PACKET.to_bytes().unwrap(), bytes)),
        "confirm" => confirm(bytes),
        "drill" => drill(bytes),
        "evidence" => evidence(bytes),
        "given packet" => packet(bytes),
        "permit" => Permit::read(bytes).is_ok_and(|_| strict::<Permit>(bytes)),
        "place" => std::str::from_utf8(bytes).is_ok_and(place),
        "record" => record(bytes),
        "recover" => recover(bytes),
        "replace" => follow(Replace::NAME, bytes, |order: Replace| {
            (order.from, order.distribution, order.confirmations)
        }),
        "rotate" => follow(Rotate::NAME, bytes, |order: Rotate| {
            (order.from, order.distribution, order.confirmations)
        }),
        _ => split(bytes),
    };
    taken.then_some(*part)
}

/// A document that is written to what reads the same, and has no unknown field at any depth.
fn strict<T>(bytes: &[u8]) -> bool
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let is_read = document::<T>(bytes);
    if is_read {
        for other in with_unknown_field(bytes) {
            assert!(parse::<T>(&other).is_err(), "an unknown field is read");
        }
    }
    is_read
}

/// A packet opens with its key if it says what was sealed, however it is written.
fn packet(bytes: &[u8]) -> bool {
    let packet = match Packet::read(bytes) {
        Ok(packet) => packet,
        Err(error) => {
            says_nothing(&error);
            return false;
        }
    };
    assert!(strict::<Packet>(bytes));
    let written = packet.to_bytes().unwrap();
    assert_eq!(Packet::read(&written).as_ref(), Ok(&packet));
    let is_known = packet == *PACKET;
    let is_for_a_stranger = packet.address().to == key(STRANGER).public_key();
    assert!(is_for_a_stranger || packet.open(&key(STRANGER)).is_err(), "another key opens it");
    match packet.open(&key(HOLDER)) {
        Ok(share) => {
            assert!(is_known, "a forged packet opens");
            assert_eq!(MADE.record.commitments.check(FIRST, &share), Ok(()));
        }
        Err(error) => {
            assert!(!is_known, "a packet does not open");
            says_nothing(&error);
        }
    }
    is_known
}

/// A confirmation counts for the custodian whose challenge it answers, and for no other.
fn confirm(bytes: &[u8]) -> bool {
    let house = House::new(None);
    if !house.accepts(Confirm::NAME, bytes) {
        return false;
    }
    assert!(strict::<Confirm>(bytes));
    let confirm: Confirm = parse(bytes).unwrap();
    let answer = match house.run(Confirm::NAME, bytes) {
        Ok(answer) => answer,
        Err(kind) => {
            assert_eq!(kind, ErrorKind::Refused);
            return false;
        }
    };
    let expected = Confirmed {
        v: V1,
        custodian: custodian(),
        order: order(),
        set: confirm.set,
        share: confirm.share,
        commitment: confirm.commitment,
    };
    assert_eq!(parse::<Confirmed>(&answer).as_ref(), Ok(&expected));
    let foreign = confirm.challenge(CustodianId::new(Digest::of(b"another")));
    assert!(confirm.commitment.verify(&foreign, &confirm.possession).is_err());
    true
}

/// A drill is done with the archive that is asked for, or with any if none is.
fn drill(bytes: &[u8]) -> bool {
    let handler = DrillHandler::new(Arc::new(Shown), Duration::from_secs(60)).unwrap();
    if !handler.accepts(bytes) {
        return false;
    }
    assert!(strict::<DrillDocument>(bytes));
    let asked: DrillDocument = parse(bytes).unwrap();
    let is_shown = asked.archive.is_none_or(|archive| archive == shown().archive);
    match block_on(handler.run(&custodian(), &order(), bytes)) {
        Ok(answer) => {
            assert!(is_shown, "another archive was asked for");
            assert_eq!(Evidence::read(&answer), Ok(shown()));
        }
        Err(error) => {
            assert!(!is_shown, "a drill is refused");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert_eq!(handler.last_failure(), Some(shown()));
        }
    }
    is_shown
}

fn evidence(bytes: &[u8]) -> bool {
    let Ok(evidence) = Evidence::read(bytes) else { return false };
    assert!(strict::<Evidence>(bytes));
    assert_eq!(evidence.is_success(), evidence.unproved.is_empty());
    let written = evidence.to_bytes().unwrap();
    assert_eq!(Evidence::read(&written).as_ref(), Ok(&evidence));
    true
}

fn place(text: &str) -> bool {
    same(text, PlaceName::parse(text).map(|name| name.as_str().to_owned()))
}

/// A record names each share once, whoever asks.
fn record(bytes: &[u8]) -> bool {
    let Ok(record) = CeremonyRecord::read(bytes) else { return false };
    assert!(strict::<CeremonyRecord>(bytes));
    let commitments = &record.commitments;
    for (place, _) in record.distribution.holders() {
        if let Some(commitment) = commitments.get(place) {
            assert_eq!(commitments.position(commitment), Some(place), "it names two shares");
        }
    }
    let own = Commitment::of(&share_of(&MADE.words[0])).unwrap();
    let found = commitments.position(&own);
    assert_eq!(found.and_then(|place| commitments.get(place)), found.map(|_| &own));
    assert_eq!(record.reference().commitments, record.commitments);
    true
}

/// A permit is for what the order says.
fn recover(bytes: &[u8]) -> bool {
    let house = House::new(None);
    if !house.accepts(Recover::NAME, bytes) {
        return false;
    }
    assert!(strict::<Recover>(bytes));
    let Recover { set, purpose, until, .. } = parse(bytes).unwrap();
    assert!(!matches!(purpose, Purpose::Reshare { .. }), "new shares are an order of their own");
    let answer = house.run(Recover::NAME, bytes).unwrap();
    let expected = Permit { v: V1, custodian: custodian(), order: order(), set, purpose, until };
    assert_eq!(Permit::read(&answer).as_ref(), Ok(&expected));
    assert!(house.handed().is_empty());
    true
}

fn split(bytes: &[u8]) -> bool {
    let house = House::new(None);
    if !house.accepts(Split::NAME, bytes) {
        return false;
    }
    assert!(strict::<Split>(bytes));
    let Split { distribution, confirmations, .. } = parse(bytes).unwrap();
    let answer = house.run(Split::NAME, bytes).unwrap();
    assert_eq!(made(&house, &answer, &distribution, confirmations).from, None);
    true
}

/// New shares of a set: only of the one that was made, as it was made, and of the same secret.
fn follow<T>(
    name: &str,
    bytes: &[u8],
    take: fn(T) -> (SetReference, Distribution, Confirmations),
) -> bool
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let (house, old) = (House::new(Some(&MADE)), &MADE.record);
    if !house.accepts(name, bytes) {
        return false;
    }
    assert!(strict::<T>(bytes));
    let (from, distribution, confirmations) = take(parse(bytes).unwrap());
    let is_of_old = from == old.reference();
    match house.run(name, bytes) {
        Ok(answer) => {
            assert!(is_of_old, "another set is followed");
            let new = made(&house, &answer, &distribution, confirmations);
            assert_eq!((new.public_key, new.from), (old.public_key, Some(old.set)));
            let is_old = |share: &Share| old.commitments.locate(share).is_ok();
            assert!(!house.handed().iter().any(|(_, share)| is_old(share)), "a share stays");
            true
        }
        Err(kind) => {
            assert!(!is_of_old || name == Replace::NAME, "a rotation is refused");
            assert_eq!((kind, house.handed().len()), (ErrorKind::Refused, 0));
            false
        }
    }
}

/// The record of a set that was made: each holder has the share that it tells of.
fn made(
    house: &House,
    answer: &[u8],
    distribution: &Distribution,
    confirmations: Confirmations,
) -> CeremonyRecord {
    assert!(answer.len() <= ANSWER_MAX);
    let record = CeremonyRecord::read(answer).unwrap();
    assert_eq!((&record.distribution, record.confirmations), (distribution, confirmations));
    assert_eq!((record.custodian, &record.order), (custodian(), &order()));
    assert_eq!(record.set, SetId::of(&custodian(), &order()));
    let handed = house.handed();
    let places: Vec<_> = distribution.holders().map(|(place, _)| place).collect();
    assert_eq!(handed.iter().map(|(place, _)| *place).collect::<Vec<_>>(), places);
    for (place, share) in &handed {
        assert_eq!(record.commitments.check(*place, share), Ok(()));
    }
    record
}

/// Shows always the same.
struct Shown;

#[async_trait]
impl Driller for Shown {
    async fn drill(&self, _: Option<&ArchiveId>) -> Result<Evidence, DrillError> {
        Ok(shown())
    }
}

fn shown() -> Evidence {
    Evidence {
        v: V1,
        archive: ArchiveId::new([1; 32]),
        custodian: custodian(),
        archived_at: Timestamp::from_millis(1_000),
        root: Digest::of(b"root"),
        size: 9,
        events: 9,
        orders: 3,
        keys: 2,
        seeds: 1,
        unproved: Vec::new(),
        began_at: Timestamp::from_millis(2_000),
        took_ms: 5,
    }
}

/// The first share of the set, sealed to its holder; always the same bytes.
static PACKET: LazyLock<Packet> = LazyLock::new(|| {
    let (custodian, set, to) = (custodian(), MADE.record.set, key(HOLDER).public_key());
    let address = Address { custodian, set, share: FIRST, to, purpose: None };
    Packet::seal(address, &share_of(&MADE.words[0]), &TestEntropy::seeded(3)).unwrap()
});

fn key(seed: u64) -> X25519SecretKey {
    X25519SecretKey::generate(&TestEntropy::seeded(seed)).unwrap()
}

const FIRST: SharePosition = SharePosition { group: 0, member: 0 };
/// Seeds of keys.
const HOLDER: u64 = 1;
const STRANGER: u64 = 2;
