//! A log of which one entry, or one document that an entry names, was forged by somebody who holds
//! every file: the replay refuses it, or an oracle that counts by itself finds nothing wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use custody_core::digest::Digest;
use custody_core::document::{
    Conclusion, DocumentReference, EventBody, EventDocument, OrderDocument, SignatureSet, parse,
    size_of_bytes,
};
use custody_core::id::{EngineId, PolicyId};
use custody_core::seam::{PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError};
use custody_policy::CedarCompiler;
use custody_testkit::oracle::{Breach, Invariant, Oracle, Promises};

use crate::Seed;
use crate::input::{Input, flip, patched};
use crate::kept;
use crate::payloads;
use crate::record::Record;

const PARTS: [&str; 4] = ["entry", "changed entry", "order document", "signature set"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, number) = (*input.pick(&PARTS), usize::from(input.byte()));
    let record = Record::shared();
    let Forgery { at, entry, document } = match part {
        "entry" => Forgery { entry: input.rest().to_vec(), ..Forgery::none(number) },
        "changed entry" => {
            let at = number % record.events.len();
            Forgery { entry: patched(&record.events[at], input.rest()), ..Forgery::none(number) }
        }
        "order document" => Forgery::of(number, input.rest(), order_document)?,
        _ => Forgery::of(number, input.rest(), signature_set)?,
    };
    let mut documents = record.documents.clone();
    documents.extend(document.iter().map(|(_, bytes)| (Digest::of(bytes), bytes.clone())));
    let is_taken = replay(at, &entry, &documents);
    if let Some((before, after)) = document.filter(|_| is_taken) {
        says_the_same(&record.documents[&before], &after);
    }
    if at == 0 || entry == record.events[at] {
        assert_eq!(is_taken, entry == record.events[at], "the genesis is another, or the log");
    }
    is_taken.then_some(part)
}

/// One entry in the place of the true one, and a document that it names.
struct Forgery {
    at: usize,
    entry: Vec<u8>,
    /// The document, and the digest of the one in whose place it stands.
    document: Option<(Digest, Vec<u8>)>,
}

/// Puts a document into an entry; what it was before.
type Forge = fn(&mut EventDocument, DocumentReference) -> Option<DocumentReference>;

impl Forgery {
    fn none(number: usize) -> Self {
        let at = number % Record::shared().events.len();
        Self { at, entry: Vec::new(), document: None }
    }

    /// The `number`-th entry that names such a document, with another one: its changes if they
    /// begin with a zero, else all of it.
    fn of(number: usize, bytes: &[u8], forge: Forge) -> Option<Self> {
        let record = Record::shared();
        let nowhere = DocumentReference { sha256: Digest::of(b""), size: 0 };
        let names =
            |(_, event): &(usize, EventDocument)| forge(&mut event.clone(), nowhere).is_some();
        let named: Vec<_> = record.read().into_iter().enumerate().filter(names).collect();
        let (at, mut event) = named[number % named.len()].clone();
        let before = forge(&mut event, nowhere)?;
        let document = match bytes.split_first() {
            Some((0, changes)) => patched(&record.documents[&before.sha256], changes),
            _ => bytes.to_vec(),
        };
        let size = size_of_bytes(&document);
        forge(&mut event, DocumentReference { sha256: Digest::of(&document), size });
        let entry = event.to_bytes().ok()?;
        Some(Self { at, entry, document: Some((before.sha256, document)) })
    }
}

fn order_document(event: &mut EventDocument, new: DocumentReference) -> Option<DocumentReference> {
    let EventBody::OrderSubmitted(submitted) = &mut event.event else { return None };
    Some(std::mem::replace(&mut submitted.document, new))
}

fn signature_set(event: &mut EventDocument, new: DocumentReference) -> Option<DocumentReference> {
    let EventBody::OrderConcluded(concluded) = &mut event.event else { return None };
    let Conclusion::Signed { signatures } = &mut concluded.outcome else { return None };
    Some(std::mem::replace(signatures, new))
}

/// Whether the log with the forged entry is replayed up to and with it.
///
/// # Panics
/// If the replay takes what breaks an invariant, there or later.
fn replay(at: usize, entry: &[u8], documents: &BTreeMap<Digest, Vec<u8>>) -> bool {
    let record = Record::shared();
    let compiler: Arc<dyn PolicyCompiler> = Arc::clone(&*COMPILER) as Arc<dyn PolicyCompiler>;
    let decoders = payloads::decoders();
    let mut oracle = Oracle::new(record.custodian, compiler, decoders, Promises::default());
    for event in &record.events[..at] {
        oracle.event(event, documents).unwrap();
    }
    if refused(oracle.event(entry, documents)) {
        return false;
    }
    assert_eq!(oracle.report().events, at as u64 + 1);
    let ledger = oracle.ledger().unwrap();
    let read = kept::read(&kept::lines(ledger), ledger.began());
    assert_eq!(read.as_ref(), Some(ledger), "the state can be kept");
    for event in &record.events[at + 1..] {
        if refused(oracle.event(event, documents)) {
            break;
        }
    }
    true
}

/// Whether an event does not replay.
fn refused(taken: Result<(), Breach>) -> bool {
    match taken {
        Ok(()) => false,
        Err(breach) => {
            let by_replay = [Invariant::Replay, Invariant::Signatures];
            assert!(by_replay.contains(&breach.invariant()), "the replay takes a breach: {breach}");
            true
        }
    }
}

/// A document that is taken in the place of another says the same about what is decoded and
/// signed: effects, tasks and facts of the same work, and the bytes of each signature.
fn says_the_same(before: &[u8], after: &[u8]) {
    if let (Ok(before), Ok(after)) = (parse::<OrderDocument>(before), parse::<OrderDocument>(after))
        && before.work == after.work
    {
        assert_eq!(before.effects, after.effects, "other effects of the same work");
        assert_eq!(before.tasks, after.tasks, "other tasks of the same work");
        assert_eq!(before.facts, after.facts, "other facts of the same work");
    }
    if let (Ok(before), Ok(after)) = (parse::<SignatureSet>(before), parse::<SignatureSet>(after)) {
        let bytes = |set: &SignatureSet| {
            let each = set.signatures.iter().map(|task| *task.signature.as_bytes());
            each.collect::<Vec<_>>()
        };
        assert_eq!(bytes(&before), bytes(&after), "forged signatures");
    }
}

/// Compiles each rule set once for a process.
#[derive(Debug)]
struct Remembering {
    compiler: CedarCompiler,
    engines: Mutex<BTreeMap<PolicyId, Arc<dyn PolicyEngine>>>,
}

impl PolicyCompiler for Remembering {
    fn engine(&self) -> &EngineId {
        self.compiler.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let id = rules.to_bytes().map(|bytes| PolicyDocument::id_of(&bytes));
        let Ok(id) = id else { return self.compiler.compile(rules) };
        if let Some(engine) = self.engines.lock().unwrap().get(&id) {
            return Ok(Arc::clone(engine));
        }
        let engine = self.compiler.compile(rules)?;
        self.engines.lock().unwrap().insert(id, Arc::clone(&engine));
        Ok(engine)
    }
}

static COMPILER: LazyLock<Arc<Remembering>> = LazyLock::new(|| {
    let compiler = CedarCompiler::new().unwrap();
    Arc::new(Remembering { compiler, engines: Mutex::default() })
});

pub(crate) fn seeds() -> Vec<Seed> {
    let record = Record::shared();
    let mut seeds = Vec::new();
    for (at, event) in record.events.iter().enumerate() {
        let number = at as u8;
        if at % 3 == 0 {
            seeds.push((format!("entry-{at}"), [&[0, number], &event[..]].concat()));
            let next = &record.events[(at + 1) % record.events.len()];
            seeds.push((format!("entry-{at}-next"), [&[0, number], &next[..]].concat()));
        }
        seeds.push((format!("changed-{at}-same"), vec![1, number]));
        let middle = (event.len() / 2) as u16;
        seeds
            .push((format!("changed-{at}-flipped"), [&[1, number][..], &flip(middle, 1)].concat()));
        // The last digit of the time, which is believed.
        let later = [&[1, number][..], &flip(19, 1)].concat();
        seeds.push((format!("changed-{at}-time"), later));
    }
    for number in 0..6_u8 {
        for (part, name) in [(2, "order"), (3, "signatures")] {
            seeds.push((format!("{name}-{number}-same"), vec![part, number, 0]));
            for at in [20, 120, 300] {
                let flipped = [&[part, number, 0][..], &flip(at, 1)].concat();
                seeds.push((format!("{name}-{number}-flipped-{at}"), flipped));
            }
        }
    }
    let documents = record.documents_by_kind();
    for (part, kind) in [(2_u8, "order"), (3, "signature set")] {
        for (number, document) in documents[kind].iter().enumerate().take(3) {
            let bytes = [&[part, 1], &document[..]].concat();
            seeds.push((format!("{}-whole-{number}", kind.replace(' ', "-")), bytes));
        }
    }
    seeds
}
