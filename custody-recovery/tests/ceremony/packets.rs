//! Shares sealed to their holders, and back to the desk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::custodian::CommandHandler;
use custody_core::digest::Digest;
use custody_core::document::V1;
use custody_core::id::{CustodianId, OrderId};
use custody_core::seam::{BackendError, ErrorKind};
use custody_recovery::ceremony::{
    Address, Ceremonies, CeremonyRecord, Confirmations, FolderJournal, Packet, PacketError,
    PacketPost, Purpose, Rotate, SealedDesk, Split,
};
use custody_recovery::{
    Distribution, Holder, SetId, SharePosition, X25519PublicKey, X25519SecretKey,
};
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;

use crate::house::{holders, share, two_of};

/// A post office that anybody may look into.
#[derive(Debug, Default)]
struct Office {
    sent: Mutex<BTreeMap<SharePosition, Vec<u8>>>,
    brought: Mutex<Vec<Packet>>,
}

#[async_trait]
impl PacketPost for Office {
    async fn send(&self, _: &Holder, packet: &Packet) -> Result<(), BackendError> {
        let bytes = packet.to_bytes().unwrap();
        self.sent.lock().unwrap().insert(packet.address().share, bytes);
        Ok(())
    }

    async fn received(&self, _: &SetId, _: &Purpose) -> Result<Vec<Packet>, BackendError> {
        Ok(self.brought.lock().unwrap().clone())
    }
}

/// Three holders with keys, and a desk.
struct House {
    office: Arc<Office>,
    handlers: Vec<Arc<dyn CommandHandler>>,
    desk: X25519PublicKey,
    keys: Vec<X25519SecretKey>,
    folder: tempfile::TempDir,
}

fn custodian() -> CustodianId {
    CustodianId::new(Digest::of(b"custodian"))
}

fn reshare(order: &str) -> Purpose {
    Purpose::Reshare { order: order.parse().unwrap() }
}

fn key(seed: u64) -> X25519SecretKey {
    X25519SecretKey::generate(&TestEntropy::seeded(seed)).unwrap()
}

impl House {
    fn new() -> Self {
        let office = Arc::new(Office::default());
        let folder = tempfile::tempdir().unwrap();
        let entropy = Arc::new(TestEntropy::seeded(1));
        let desk = SealedDesk::new(
            Arc::<Office>::clone(&office),
            key(9),
            Arc::<TestEntropy>::clone(&entropy),
        );
        let public = desk.key();
        let journal = Arc::new(FolderJournal::new(folder.path()));
        let handlers = Ceremonies::new(Arc::new(desk), journal, entropy).handlers().unwrap();
        Self { office, handlers, desk: public, keys: (0..3).map(key).collect(), folder }
    }

    fn distribution(&self) -> Distribution {
        let mut holders = holders();
        for (holder, key) in holders.iter_mut().zip(&self.keys) {
            holder.recipient = Some(key.public_key());
        }
        two_of(holders).unwrap()
    }

    fn handler(&self, name: &str) -> &Arc<dyn CommandHandler> {
        self.handlers.iter().find(|handler| handler.name().as_str() == name).unwrap()
    }

    fn run(&self, name: &str, order: &str, document: &[u8]) -> Result<CeremonyRecord, ErrorKind> {
        let order: OrderId = order.parse().unwrap();
        let answer = block_on(self.handler(name).run(&custodian(), &order, document));
        answer.map(|answer| CeremonyRecord::read(&answer).unwrap()).map_err(|error| error.kind())
    }

    fn split(&self) -> CeremonyRecord {
        let document =
            Split { v: V1, distribution: self.distribution(), confirmations: Confirmations::Every };
        self.run(Split::NAME, "split", &serde_json::to_vec(&document).unwrap()).unwrap()
    }

    fn rotate(&self, old: &CeremonyRecord, order: &str) -> Result<CeremonyRecord, ErrorKind> {
        let document = Rotate {
            v: V1,
            from: old.reference(),
            distribution: self.distribution(),
            confirmations: Confirmations::Every,
        };
        self.run(Rotate::NAME, order, &serde_json::to_vec(&document).unwrap())
    }

    /// As if the order had not been tried.
    fn forget(&self, order: &str) {
        let set = SetId::of(&custodian(), &order.parse().unwrap());
        std::fs::remove_file(self.folder.path().join(format!("{set}.begun"))).unwrap();
    }

    fn packet(&self, member: u8) -> Packet {
        Packet::read(&self.office.sent.lock().unwrap()[&share(member)]).unwrap()
    }

    /// A holder opens the own packet and seals the share to the desk.
    fn brings(&self, member: u8, change: impl Fn(&mut Address)) -> Packet {
        let packet = self.packet(member);
        let opened = packet.open(&self.keys[usize::from(member)]).unwrap();
        let mut address =
            Address { to: self.desk, purpose: Some(reshare("rotate")), ..packet.address().clone() };
        change(&mut address);
        Packet::seal(address, &opened, &TestEntropy::seeded(100 + u64::from(member))).unwrap()
    }
}

#[test]
fn each_holder_opens_the_own_packet_and_no_other() {
    let house = House::new();
    let record = house.split();
    for member in 0..3 {
        for (number, key) in (0..).zip(&house.keys) {
            match house.packet(member).open(key) {
                Ok(opened) => {
                    assert_eq!(number, member);
                    assert_eq!(record.commitments.check(share(member), &opened), Ok(()));
                }
                Err(error) => {
                    assert_ne!(number, member);
                    assert_eq!(error, PacketError::Open);
                }
            }
        }
        assert!(house.packet(member).open(&key(9)).is_err());
    }
}

#[test]
fn the_seal_of_a_packet_covers_all_of_it() {
    let house = House::new();
    let record = house.split();
    let text = String::from_utf8(house.packet(0).to_bytes().unwrap()).unwrap();
    let other = Digest::of(b"other").to_string();
    let to = hex::encode(house.keys[0].public_key().as_bytes());
    let sealed = text.find("\"sealed\":\"").unwrap() + 10;
    let flip = |at: usize| {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    for (name, changed) in [
        ("custodian", text.replace(&custodian().to_string(), &other)),
        ("set", text.replace(&record.set.to_string(), &other)),
        ("group", text.replace("\"group\":0", "\"group\":1")),
        ("member", text.replace("\"member\":0", "\"member\":1")),
        ("recipient", text.replace(&to, &hex::encode(house.keys[1].public_key().as_bytes()))),
        (
            "purpose",
            text.replace("\"to\":\"", "\"purpose\":{\"reshare\":{\"order\":\"o\"}},\"to\":\""),
        ),
        ("first byte", flip(sealed)),
        ("last byte", flip(text.len() - 3)),
        ("encapsulated key", flip(text.find("\"encapsulated\":\"").unwrap() + 16)),
    ] {
        assert_ne!(changed, text, "{name}");
        let packet = Packet::read(changed.as_bytes()).unwrap();
        assert_eq!(packet.open(&house.keys[0]).map(drop), Err(PacketError::Open), "{name}");
    }
}

#[test]
fn what_is_no_packet_is_not_read() {
    let house = House::new();
    house.split();
    let text = String::from_utf8(house.packet(0).to_bytes().unwrap()).unwrap();
    for (name, changed) in [
        ("version", text.replace("\"v\":1", "\"v\":2")),
        ("a field too many", text.replace("\"v\":1", "\"v\":1,\"w\":1")),
        ("a field twice", text.replace("\"v\":1", "\"v\":1,\"v\":1")),
        ("upper case", text.replace("\"sealed\":\"", "\"sealed\":\"AB")),
        ("something behind it", text.clone() + "x"),
    ] {
        assert!(
            matches!(Packet::read(changed.as_bytes()), Err(PacketError::Document(_))),
            "{name}"
        );
    }
    let long = vec![b' '; 64 * 1024 + 1];
    assert_eq!(Packet::read(&long), Err(PacketError::Length { length: long.len() }));
}

#[test]
fn all_packets_are_of_one_length() {
    let house = House::new();
    house.split();
    let lengths: Vec<_> = (0..3).map(|n| house.packet(n).to_bytes().unwrap().len()).collect();
    assert_eq!(lengths, vec![lengths[0]; 3]);
}

#[test]
fn a_holder_without_a_key_gets_no_packet() {
    let house = House::new();
    let mut holders = house.distribution().groups()[0].holders.clone();
    let document = |holders| Split {
        v: V1,
        distribution: two_of(holders).unwrap(),
        confirmations: Confirmations::Every,
    };
    let accepts = |holders| {
        let bytes = serde_json::to_vec(&document(holders)).unwrap();
        house.handler(Split::NAME).accepts(&bytes)
    };
    assert!(accepts(holders.clone()));
    holders[1].recipient = None;
    assert!(!accepts(holders.clone()));
    // Nothing can be sealed to a point of low order (RFC 7748, section 6.1).
    for low in [0, 1] {
        let mut bytes = [0; 32];
        bytes[0] = low;
        holders[1].recipient = Some(X25519PublicKey::new(bytes));
        assert!(!accepts(holders.clone()), "{low}");
    }
}

#[test]
fn shares_that_holders_seal_to_the_desk_are_rotated() {
    let house = House::new();
    let old = house.split();
    let brought = vec![house.brings(0, |_| {}), house.brings(2, |_| {})];
    *house.office.brought.lock().unwrap() = brought;
    let new = house.rotate(&old, "rotate").unwrap();
    assert_eq!((new.public_key, new.from), (old.public_key, Some(old.set)));
    for member in 0..3 {
        let opened = house.packet(member).open(&house.keys[usize::from(member)]).unwrap();
        assert_eq!(new.commitments.check(share(member), &opened), Ok(()));
        assert!(old.commitments.locate(&opened).is_err());
    }
}

/// Changes an address to another set, or another key.
type Change = fn(&mut Address, SetId, X25519PublicKey);

#[test]
fn a_share_that_was_brought_for_something_else_is_not_used() {
    let house = House::new();
    let old = house.split();
    let other = SetId::of(&custodian(), &"other".parse().unwrap());
    let cases: [(&str, Change); 6] = [
        ("another purpose", |address, _, _| address.purpose = Some(Purpose::Custodian {})),
        ("another order", |address, _, _| address.purpose = Some(reshare("other"))),
        ("no purpose", |address, _, _| address.purpose = None),
        ("another set", |address, set, _| address.set = set),
        ("another custodian", |address, set, _| {
            address.custodian = CustodianId::new(*set.digest());
        }),
        ("another desk", |address, _, key| address.to = key),
    ];
    let wrong: Vec<_> = cases
        .into_iter()
        .map(|(name, change)| {
            let elsewhere = house.keys[1].public_key();
            (name, house.brings(2, |address| change(address, other, elsewhere)))
        })
        .collect();
    for (name, wrong) in &wrong {
        *house.office.brought.lock().unwrap() = vec![house.brings(0, |_| {}), wrong.clone()];
        assert_eq!(house.rotate(&old, "rotate"), Err(ErrorKind::Refused), "{name}");
        house.forget("rotate");
    }
    // Nor are such packets, or the same twice, in the way of those that are meant.
    let meant = [0, 2, 0].map(|member| house.brings(member, |_| {}));
    *house.office.brought.lock().unwrap() =
        wrong.into_iter().map(|(_, packet)| packet).chain(meant).collect();
    assert_eq!(house.rotate(&old, "rotate").unwrap().public_key, old.public_key);
}
