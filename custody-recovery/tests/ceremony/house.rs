//! A house whose shares lie in a drawer, and whose people ask, approve and confirm.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use custody_core::command::Command;
use custody_core::custodian::{Answer, Custodian, Error, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::document::V1;
use custody_core::id::{CustodianId, OrganisationId, PrincipalId, RequestId, RoleId};
use custody_core::principal::{Statement, SubmissionSignature, Verb};
use custody_core::replay::Documents;
use custody_core::seam::Clock as _;
use custody_core::secret::Secret;
use custody_core::time::Timestamp;
use custody_recovery::ceremony::{
    Ceremonies, CeremonyCommand, CeremonyRecord, Confirm, Confirmations, Split, Transcript,
    TranscriptError,
};
use custody_recovery::slip39::Share;
use custody_recovery::{
    Challenge, Distribution, GeographyError, Group, Holder, SetId, ShareKey, SharePosition, SiteId,
};
use custody_testkit::audit::MemoryLog;
use custody_testkit::backend::MemoryBackend;
use custody_testkit::key::TestKey;
use custody_testkit::people::{People, TestPerson};
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::MemoryStore;

use crate::doubles::{Drawer, Notes};

/// What outlives a custodian: its store, log, drawer and journal.
pub(crate) struct House {
    pub(crate) clock: TestClock,
    pub(crate) store: MemoryStore,
    pub(crate) drawer: Drawer,
    pub(crate) journal: Notes,
    pub(crate) people: People,
    log: MemoryLog,
    executor: TestExecutor,
    lives: Cell<u64>,
    requests: Cell<u64>,
}

impl House {
    pub(crate) fn new() -> Self {
        let (clock, store) = (TestClock::new(), MemoryStore::new());
        let key = TestKey::seeded(custody_core::crypto::Algorithm::Ed25519, 99);
        let holders = [
            ("ann", "acme"),
            ("bob", "bank"),
            ("cyd", "law"),
            ("dan", "acme"),
            ("eve", "bank"),
            ("fay", "law"),
        ];
        let people = People::new(&[("tara", &["treasurer"]), ("olga", &["officer"])]);
        let people = holders.iter().fold(people, |people, (name, organisation)| {
            people.with(TestPerson::new(name, &["holder"]).of(organisation))
        });
        Self {
            log: MemoryLog::new(Arc::new(store.clone()), vec![key]),
            executor: TestExecutor::new(clock.clone()),
            drawer: Drawer::default(),
            journal: Notes::default(),
            lives: Cell::new(0),
            requests: Cell::new(0),
            people,
            clock,
            store,
        }
    }

    /// Runs a test while virtual time passes.
    pub(crate) fn run<T>(&self, test: impl Future<Output = T>) -> T {
        self.executor.run(test)
    }

    /// The house after its process has died: nothing that was under way goes on.
    pub(crate) fn crashed(self) -> Self {
        Self { executor: TestExecutor::new(self.clock.clone()), ..self }
    }

    pub(crate) fn ceremonies(&self) -> Ceremonies {
        self.lives.set(self.lives.get() + 1);
        let (desk, journal) = (Arc::new(self.drawer.clone()), Arc::new(self.journal.clone()));
        Ceremonies::new(desk, journal, Arc::new(TestEntropy::seeded(self.lives.get())))
    }

    fn builder(&self) -> custody_core::custodian::CustodianBuilder {
        let handlers = self.ceremonies().handlers().unwrap();
        let builder = Custodian::builder()
            .store(Arc::new(self.store.clone()))
            .audit(Arc::new(self.log.clone()))
            .backend(Arc::new(MemoryBackend::seeded("memory", 7)))
            .policy(Arc::new(TestRules::new()))
            .entropy(Arc::new(TestEntropy::seeded(1_000 + self.lives.get())))
            .spawner(Arc::new(self.executor.clone()))
            .clock(Arc::new(self.clock.clone()));
        handlers.into_iter().fold(builder, |builder, handler| builder.extension(handler))
    }

    pub(crate) async fn create(&self) -> Custodian {
        let genesis = Genesis {
            policy: TestRules::document(
                &["treasurer", "officer", "holder"],
                "need officer 1\nallow resolve_order",
            ),
            principals: self.people.principals(),
            assets: Vec::new(),
        };
        self.builder().create(genesis).await.unwrap()
    }

    pub(crate) async fn open(&self, custodian: CustodianId) -> Custodian {
        self.builder().open(custodian).await.unwrap()
    }

    /// Somebody's request, signed.
    pub(crate) fn request(&self, custodian: &Custodian, by: &str, command: Command) -> Request {
        let mut request = self.unsigned(by, command);
        let digest = custodian.submission_digest(&request).unwrap();
        let person = self.people.get(by);
        let (credential, signature) = (person.credential_id().clone(), person.sign(&digest));
        request.signature = Some(SubmissionSignature { credential, signature });
        request
    }

    pub(crate) fn unsigned(&self, by: &str, command: Command) -> Request {
        self.requests.set(self.requests.get() + 1);
        let id = RequestId::parse(&format!("request-{}", self.requests.get())).unwrap();
        Request::command(PrincipalId::parse(by).unwrap(), id, command)
    }

    /// Has a request done: submitted, and approved by olga.
    pub(crate) async fn done(
        &self,
        custodian: &Custodian,
        request: Request,
    ) -> Result<Answer, Error> {
        let answer = custodian.submit(request).await?;
        self.approved(custodian, &answer).await
    }

    pub(crate) async fn approved(
        &self,
        custodian: &Custodian,
        pending: &Answer,
    ) -> Result<Answer, Error> {
        let olga = self.people.get("olga");
        let statement = Statement {
            verb: Verb::Approve,
            order: pending.order.clone(),
            digest: pending.digest,
            principal: olga.id().clone(),
            credential: olga.credential_id().clone(),
            role: RoleId::parse("officer").unwrap(),
            valid_until: Timestamp::MAX,
        };
        custodian.approve(olga.say(&custodian.id(), statement)).await
    }

    /// Has a ceremony's order of somebody done and gives its answer.
    pub(crate) async fn ordered(
        &self,
        custodian: &Custodian,
        by: &str,
        document: &impl CeremonyCommand,
    ) -> Vec<u8> {
        let request = self.request(custodian, by, document.to_command().unwrap());
        released(&self.done(custodian, request).await)
    }

    /// Has a set made by an order of tara's.
    pub(crate) async fn made(
        &self,
        custodian: &Custodian,
        document: &impl CeremonyCommand,
    ) -> CeremonyRecord {
        CeremonyRecord::read(&self.ordered(custodian, "tara", document).await).unwrap()
    }

    /// What the holder of a share has.
    pub(crate) fn share(&self, set: SetId, share: SharePosition) -> Share {
        let words = self.drawer.words(set, share).unwrap_or_else(|| panic!("no {share}"));
        Share::parse(&Secret::new(words)).unwrap()
    }

    /// A holder's confirmation of the share that it was given.
    pub(crate) fn confirmation(
        &self,
        custodian: &Custodian,
        record: &CeremonyRecord,
        share: SharePosition,
    ) -> Confirm {
        let challenge = self.challenge(custodian.id(), record.set, share);
        Confirm::answer(&challenge, &ShareKey::of(&self.share(record.set, share)).unwrap())
    }

    pub(crate) fn challenge(
        &self,
        custodian: CustodianId,
        set: SetId,
        share: SharePosition,
    ) -> Challenge {
        self.requests.set(self.requests.get() + 1);
        let entropy = TestEntropy::seeded(50_000 + self.requests.get());
        let expires = self.clock.now().after(std::time::Duration::from_secs(86_400));
        Challenge::ask(custodian, set, share, expires, &entropy).unwrap()
    }

    /// Has every holder of a set confirm.
    pub(crate) async fn confirm_all(&self, custodian: &Custodian, record: &CeremonyRecord) {
        for (share, holder) in record.distribution.holders() {
            let confirm = self.confirmation(custodian, record, share);
            self.ordered(custodian, holder.principal.as_str(), &confirm).await;
        }
    }

    /// Brings shares back to the desk.
    pub(crate) fn bring(&self, record: &CeremonyRecord, members: &[u8]) {
        let brought = members.iter().map(|member| {
            let share = SharePosition { group: 0, member: *member };
            self.drawer.words(record.set, share).unwrap()
        });
        self.drawer.bring(brought.collect());
    }

    /// The transcript of what is durable.
    pub(crate) fn transcript(&self, custodian: CustodianId) -> Transcript {
        self.read_transcript(custodian).unwrap()
    }

    pub(crate) fn read_transcript(
        &self,
        custodian: CustodianId,
    ) -> Result<Transcript, TranscriptError> {
        let snapshot = self.store.snapshot();
        let documents = Records(snapshot.records().into_iter().map(|record| record.value));
        let documents: BTreeMap<Digest, Vec<u8>> = documents.collect();
        let mut transcript = Transcript::new(custodian);
        for event in snapshot.events() {
            transcript.event(event, &documents as &dyn Documents)?;
        }
        Ok(transcript)
    }
}

/// Records by their digests: a document is found whatever its key.
struct Records<I>(I);

impl<I: Iterator<Item = Vec<u8>>> Records<I> {
    fn collect(self) -> BTreeMap<Digest, Vec<u8>> {
        self.0.map(|value| (Digest::of(&value), value)).collect()
    }
}

/// The answer of a handler whose order was released.
#[track_caller]
pub(crate) fn released(answer: &Result<Answer, Error>) -> Vec<u8> {
    let outcome = &answer.as_ref().unwrap().outcome;
    let Outcome::Released(release) = outcome else { panic!("not released: {outcome:?}") };
    release.extension.clone().unwrap()
}

pub(crate) const fn share(member: u8) -> SharePosition {
    SharePosition { group: 0, member }
}

pub(crate) fn holder(name: &str, organisation: &str, site: &str) -> Holder {
    Holder {
        principal: PrincipalId::parse(name).unwrap(),
        organisation: OrganisationId::parse(organisation).unwrap(),
        site: SiteId::parse(site).unwrap(),
        recipient: None,
    }
}

/// Ann, bob and cyd, of three organisations at three sites.
pub(crate) fn holders() -> Vec<Holder> {
    vec![holder("ann", "acme", "oslo"), holder("bob", "bank", "rome"), holder("cyd", "law", "bern")]
}

/// Two of these.
pub(crate) fn two_of(holders: Vec<Holder>) -> Result<Distribution, GeographyError> {
    Distribution::new(1, vec![Group { threshold: 2, holders }])
}

/// Two of ann, bob and cyd.
pub(crate) fn two_of_three() -> Distribution {
    two_of(holders()).unwrap()
}

pub(crate) fn split() -> Split {
    Split { v: V1, distribution: two_of_three(), confirmations: Confirmations::Every }
}
