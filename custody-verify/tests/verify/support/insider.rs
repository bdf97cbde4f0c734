//! Somebody who has the files and the log key, and writes the log anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::MemoryTiles;
use custody_audit::{TileLog, export};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, OrderId};
use custody_core::seam::{AuditLog, Batch, Position, Record, RecordKey, Signer, Store};
use custody_testkit::store::MemoryStore;
use serde_json::Value;

use super::answer::{Answer, Verifier};
use super::house::{House, ORIGIN, verifier_key};
use super::story::Story;

/// A log in the hands of somebody who can sign it.
#[derive(Clone, Debug)]
pub(crate) struct Insider {
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) documents: BTreeMap<Digest, Vec<u8>>,
    pub(crate) genesis: CustodianId,
    pub(crate) signer: Arc<dyn Signer>,
    /// The key that the verifier is told.
    pub(crate) key: VerifierKey,
}

impl Insider {
    pub(crate) fn new(house: &House) -> Self {
        let folder = tempfile::tempdir_in(house.folder.path()).unwrap();
        let exported = house.export_to(&folder.path().join("log"));
        let documents = fs::read_dir(exported.join("documents")).unwrap().map(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            (Digest::of(&bytes), bytes)
        });
        let signer = Arc::clone(&house.log_keys[0]);
        Self {
            events: house.events(),
            documents: documents.collect(),
            genesis: house.custodian.id(),
            key: verifier_key(signer.public_key()),
            signer,
        }
    }

    /// An event as JSON.
    pub(crate) fn event(&self, index: u64) -> Value {
        serde_json::from_slice(&self.events[index as usize]).unwrap()
    }

    /// What an event says, below its kind.
    pub(crate) fn body(&self, index: u64) -> Value {
        let event = self.event(index);
        event["event"].as_object().unwrap().values().next().unwrap().clone()
    }

    /// The index of the first event of this kind about an order.
    #[track_caller]
    pub(crate) fn find(&self, kind: &str, order: &OrderId) -> u64 {
        self.all(kind, order).first().copied().expect("there is such an event")
    }

    /// The indexes of all events of this kind about an order.
    pub(crate) fn all(&self, kind: &str, order: &OrderId) -> Vec<u64> {
        let about = |index: &u64| {
            let event = self.event(*index);
            let body = &event["event"][kind];
            let named = [&body["order"], &body["statement"]["order"]];
            named.iter().any(|name| name.as_str() == Some(order.as_str()))
        };
        (0..self.events.len() as u64).filter(about).collect()
    }

    /// The index of the first event of this kind.
    #[track_caller]
    pub(crate) fn first(&self, kind: &str) -> u64 {
        let of_kind = |index: &u64| !self.event(*index)["event"][kind].is_null();
        (0..self.events.len() as u64).find(of_kind).expect("there is such an event")
    }

    /// Changes one event.
    pub(crate) fn edit(&mut self, index: u64, change: impl FnOnce(&mut Value)) {
        let mut event = self.event(index);
        change(&mut event);
        self.events[index as usize] = serde_json::to_vec(&event).unwrap();
    }

    /// Writes one event in other bytes that say the same.
    pub(crate) fn respell(&mut self, index: u64) {
        self.events[index as usize].push(b' ');
    }

    /// Changes what one event says, below its kind.
    pub(crate) fn edit_body(&mut self, index: u64, change: impl FnOnce(&mut Value)) {
        self.edit(index, |event| {
            let body = event["event"].as_object_mut().unwrap().values_mut().next().unwrap();
            change(body);
        });
    }

    /// Changes an order's document, and the event that names it.
    pub(crate) fn edit_order(&mut self, order: &OrderId, change: impl FnOnce(&mut Value)) -> u64 {
        let index = self.find("order_submitted", order);
        let mut document = self.document(&self.body(index)["document"]);
        change(&mut document);
        let reference = self.add(&document);
        self.edit_body(index, |body| body["document"] = reference);
        index
    }

    /// Changes an order's signatures, and the event that names them.
    pub(crate) fn edit_signatures(
        &mut self,
        order: &OrderId,
        change: impl FnOnce(&mut Value),
    ) -> u64 {
        let index = self.find("order_concluded", order);
        let mut set = self.document(&self.body(index)["outcome"]["signed"]["signatures"]);
        change(&mut set);
        let reference = self.add(&set);
        self.edit_body(index, |body| body["outcome"]["signed"]["signatures"] = reference);
        index
    }

    /// The document of this reference.
    pub(crate) fn document(&self, reference: &Value) -> Value {
        serde_json::from_slice(&self.documents[&digest(&reference["sha256"])]).unwrap()
    }

    /// Adds a document and says how events name it.
    pub(crate) fn add(&mut self, document: &Value) -> Value {
        self.add_bytes(serde_json::to_vec(document).unwrap())
    }

    /// Adds a document and says how events name it.
    pub(crate) fn add_bytes(&mut self, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes);
        let reference = serde_json::json!({ "sha256": digest.to_string(), "size": bytes.len() });
        self.documents.insert(digest, bytes);
        reference
    }

    /// Takes an event out.
    pub(crate) fn remove(&mut self, index: u64) -> Vec<u8> {
        self.events.remove(index as usize)
    }

    /// Puts an event in.
    pub(crate) fn insert(&mut self, index: u64, event: Vec<u8>) {
        self.events.insert(index as usize, event);
    }

    /// Puts an event with this body in, at the time of the event before it.
    pub(crate) fn insert_body(&mut self, index: u64, body: Value) {
        let at = self.event(index - 1)["at"].clone();
        let event = serde_json::json!({ "v": 1, "at": at, "event": body });
        self.insert(index, serde_json::to_vec(&event).unwrap());
    }

    /// Writes the log anew, with all tiles and a signed checkpoint, as `target`.
    pub(crate) fn write(&self, target: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            let puts = self.documents.iter().map(|(digest, bytes)| Record {
                key: RecordKey::parse(&format!("document/x/{digest}")).unwrap(),
                value: bytes.clone(),
            });
            let mut puts = puts.collect::<Vec<_>>();
            for page in self.events.chunks(100) {
                let head = store.head().await.unwrap();
                let puts = std::mem::take(&mut puts);
                let batch = Batch { puts, events: page.to_vec(), ..Batch::default() };
                store.commit(head, batch).await.unwrap();
            }
            let origin = KeyName::parse(ORIGIN).unwrap();
            let tiles = Arc::new(MemoryTiles::default());
            let signers = vec![Arc::clone(&self.signer)];
            let log = TileLog::open(origin, store.clone(), tiles, signers).await.unwrap();
            let size = Position::new(self.events.len() as u64);
            let checkpoint = log.seal(size).await.unwrap();
            export(store.as_ref(), &checkpoint, target).await.unwrap();
        });
    }

    /// Writes the log anew and verifies it.
    pub(crate) fn verify(&self) -> Answer {
        self.verify_with(|verifier| verifier)
    }

    /// Writes the log anew and verifies it with more arguments.
    pub(crate) fn verify_with(&self, more: impl FnOnce(Verifier) -> Verifier) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("log");
        self.write(&target);
        more(Verifier::new(&target, &self.genesis, &self.key)).run()
    }
}

pub(crate) fn digest(text: &Value) -> Digest {
    Digest::parse(text.as_str().unwrap()).unwrap()
}

/// One change that an insider makes.
pub(crate) struct Forgery {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    /// Makes it, and tells the index at which it must be refused.
    pub(crate) make: fn(&Story, &mut Insider) -> u64,
}

/// Each forgery is refused at its index and for its reason.
#[track_caller]
pub(crate) fn assert_refused(forgeries: &[Forgery]) {
    let story = Story::new();
    let honest = story.insider();
    honest.verify().assert_verified();
    let wrong: Vec<_> = forgeries
        .iter()
        .filter_map(|forgery| {
            let mut log = honest.clone();
            let index = (forgery.make)(&story, &mut log);
            let answer = log.verify();
            let start = format!("result: FAILED at entry {index}: ");
            let refused = answer.code == 1
                && answer.result().starts_with(&start)
                && answer.result().contains(forgery.reason);
            let told = format!(
                "{}: wanted {start}{}, got {} {} {}",
                forgery.name,
                forgery.reason,
                answer.code,
                answer.result(),
                answer.errors
            );
            (!refused).then_some(told)
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
