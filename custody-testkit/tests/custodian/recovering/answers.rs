//! What the handler of an extension command answers is kept as a document of its order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use custody_core::bytes::HexBytes;
use custody_core::command::CommandResult;
use custody_core::custodian::CommandHandler;
use custody_core::document::ANSWER_MAX;
use custody_core::id::ExtensionName;
use custody_core::seam::{BackendError, RecordKey};

use super::*;

/// Answers what it is told to.
#[derive(Debug)]
struct Clerk {
    name: ExtensionName,
    answer: Mutex<Vec<u8>>,
    runs: AtomicUsize,
}

#[async_trait]
impl CommandHandler for Clerk {
    fn name(&self) -> &ExtensionName {
        &self.name
    }

    fn accepts(&self, _: &[u8]) -> bool {
        true
    }

    async fn run(&self, _: &CustodianId, _: &OrderId, _: &[u8]) -> Result<Vec<u8>, BackendError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(self.answer.lock().unwrap().clone())
    }
}

fn clerk() -> Arc<Clerk> {
    let name = ExtensionName::parse("test/clerk").unwrap();
    Arc::new(Clerk { name, answer: Mutex::default(), runs: AtomicUsize::new(0) })
}

async fn ask(custodian: &Custodian, clerk: &Clerk, id: &str) -> Answer {
    let document = HexBytes::new(b"ask".to_vec());
    let command = Command::Extension { name: clerk.name.clone(), document };
    govern(custodian, id, command).await.unwrap()
}

fn kept(house: &House, order: &OrderId, answer: &[u8]) -> Option<Vec<u8>> {
    let name = format!("document/{order}/{}", Digest::of(answer));
    let key = RecordKey::parse(&name).unwrap();
    house.store.records().into_iter().find(|record| record.key == key).map(|record| record.value)
}

/// A custodian that asks a clerk, and its house.
async fn asking(house: &House, clerk: &Arc<Clerk>) -> Custodian {
    let builder = house.builder(house.parts()).extension(Arc::<Clerk>::clone(clerk));
    builder.create(genesis()).await.unwrap()
}

#[test]
fn an_answer_is_kept_and_handed_out_as_often_as_it_is_asked_for() {
    let house = House::new();
    house.run(async {
        let clerk = clerk();
        let custodian = asking(&house, &clerk).await;
        for (id, answer) in [
            ("nothing", Vec::new()),
            ("text", b"{\"v\":1}".to_vec()),
            ("largest", vec![b'x'; ANSWER_MAX]),
        ] {
            clerk.answer.lock().unwrap().clone_from(&answer);
            let first = ask(&custodian, &clerk, id).await;
            let Outcome::Released(release) = &first.outcome else { panic!("{id}: {first:?}") };
            let sha256 = Digest::of(&answer);
            assert_eq!(release.result, Some(CommandResult::Extension { sha256 }), "{id}");
            assert_eq!(release.extension.as_ref(), Some(&answer), "{id}");
            assert_eq!(kept(&house, &first.order, &answer), Some(answer), "{id}");
            clerk.answer.lock().unwrap().clear();
            assert_eq!(ask(&custodian, &clerk, id).await, first, "{id}: asked again");
            assert_eq!(custodian.order(&first.order).await.unwrap(), first, "{id}");
        }
        assert_eq!(clerk.runs.load(Ordering::SeqCst), 3);
        custodian.close().await.unwrap();
        let parts = house.parts();
        let custodian = house.builder(parts).open(custodian.id()).await.unwrap();
        clerk.answer.lock().unwrap().clear();
        let again = ask(&custodian, &clerk, "text").await;
        let Outcome::Released(release) = again.outcome else { panic!() };
        assert_eq!(release.extension.as_deref(), Some(&b"{\"v\":1}"[..]), "after a start");
    });
}

#[test]
fn of_an_order_with_an_answer_that_is_too_large_nothing_is_known() {
    let house = House::new();
    house.run(async {
        let clerk = clerk();
        let custodian = asking(&house, &clerk).await;
        let answer = vec![b'x'; ANSWER_MAX + 1];
        clerk.answer.lock().unwrap().clone_from(&answer);
        let lost = ask(&custodian, &clerk, "large").await;
        assert_eq!(
            lost.outcome,
            Outcome::Unknown { reason: custody_core::document::Hold::Corrupt }
        );
        assert_eq!(kept(&house, &lost.order, &answer), None);
        assert_eq!(ask(&custodian, &clerk, "large").await, lost);
        assert_eq!(clerk.runs.load(Ordering::SeqCst), 1, "it is not asked twice");
    });
}

#[test]
fn a_log_whose_answer_is_missing_or_another_does_not_replay() {
    let house = House::new();
    house.run(async {
        let clerk = clerk();
        let custodian = asking(&house, &clerk).await;
        *clerk.answer.lock().unwrap() = b"transcript".to_vec();
        let done = ask(&custodian, &clerk, "ask").await;
        let key = format!("document/{}/{}", done.order, Digest::of(b"transcript"));
        let key = RecordKey::parse(&key).unwrap();
        let replays = async || {
            let rules = Arc::new(TestRules::new());
            let decoders = vec![Arc::new(TestDecoder::new()) as _];
            let mut oracle = Oracle::new(custodian.id(), rules, decoders, Promises::default());
            oracle.follow(&house.store).await
        };
        replays().await.unwrap();
        house.store.replace_record(&key, b"forged".to_vec());
        assert!(replays().await.is_err());
        assert!(custodian.order(&done.order).await.is_err(), "nor is it handed out");
        house.store.replace_record(&key, b"transcript".to_vec());
        replays().await.unwrap();
        house.store.remove_record(&key);
        assert!(replays().await.is_err());
        assert!(custodian.order(&done.order).await.is_err());
    });
}
