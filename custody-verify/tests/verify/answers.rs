//! What people and programs read, and the exit codes.

use std::fs;
use std::sync::Arc;

use custody_chain::EvmDecoder;
use custody_core::id::EngineId;
use custody_core::seam::{Decoder as _, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError};
use custody_policy::CedarCompiler;
use serde_json::json;

use crate::support::{Answer, ETHER, House, Insider, Story, Verifier, released};

/// Cedar under another name.
#[derive(Debug)]
struct Renamed(CedarCompiler, EngineId);

impl PolicyCompiler for Renamed {
    fn engine(&self) -> &EngineId {
        &self.1
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        self.0.compile(rules)
    }
}

#[test]
fn a_real_log_is_verified_and_the_answer_says_what_was_checked() {
    let story = Story::new();
    let log = story.house.export("log");
    let id = story.house.custodian.id();
    let key = story.house.verifier_key(0);
    let answer = Verifier::new(&log, &id, &key).run();
    answer.assert_verified();
    let root = answer.line("log:").rsplit(' ').next().unwrap().to_owned();
    let engine = CedarCompiler::new().unwrap().engine().to_string();
    let (decoder, payloads) = (EvmDecoder::new().id().to_string(), payloads(&story.insider()));
    let (first, last) = (payloads[0], payloads[9]);
    assert_eq!(payloads.len(), 10);
    let expected = format!(
        "log: custody.example/log, 51 entries, root {root}\n\
         genesis: entry 0 is {id}\n\
         key: {key} signed, 0 rotations, you trust it\n\
         entries: 51 follow from each other\n\
         orders: 16 decoded again\n\
         \x20 10 by {decoder}, entries {first} to {last}\n\
         approvals: 7 signatures verified\n\
         decisions: 12 judged again with {engine}\n\
         releases: 5 with 5 signatures over payloads decoded again\n\
         commands: 6 executed\n\
         left: 0 orders reserved, 0 unknown\n\
         documents: 56 hashed, 0 files are no part of the log\n\
         completeness: not checked beyond the 51 entries seen; \
         --checkpoint takes one that you got elsewhere\n\
         result: verified\n"
    );
    assert_eq!(answer.text, expected);
}

#[test]
fn the_json_answer_has_the_same_facts() {
    let story = Story::new();
    let log = story.house.export("log");
    let id = story.house.custodian.id();
    let key = story.house.verifier_key(0);
    let kept = story.house.file("kept", &story.older);
    let receipt = story.house.file("receipt", &released(&story.small).receipt.proof);
    fs::write(log.join("notes.txt"), b"hello").unwrap();
    let answer = Verifier::new(&log, &id, &key)
        .with("--checkpoint", &kept)
        .with("--receipt", &receipt)
        .flag("--json")
        .run();
    assert_eq!(answer.text.lines().count(), 1, "{answer:?}");
    let found = answer.json();
    let payloads = payloads(&story.insider());
    let decoder = EvmDecoder::new().id().to_string();
    let expected = json!({
        "result": "verified",
        "log": {
            "origin": "custody.example/log",
            "entries": 51,
            "root": found["log"]["root"].as_str().filter(|root| root.len() == 64).unwrap(),
        },
        "genesis": id.to_string(),
        "entries": {
            "checked": 51,
            "orders": 16,
            "approvals": 7,
            "releases": 5,
            "signatures": 5,
            "commands": 6,
        },
        "decoders": { decoder: { "orders": 10, "first": payloads[0], "last": payloads[9] } },
        "left": { "reserved": 0, "unknown": 0 },
        "decisions": {
            "replayed": true,
            "count": 12,
            "not_replayed": 0,
            "engine": CedarCompiler::new().unwrap().engine().to_string(),
        },
        "key": { "in_force": key.to_string(), "rotations": 0, "trusted": "in_force" },
        "documents": { "hashed": 56, "foreign": 1, "foreign_paths": ["notes.txt"] },
        "checkpoint": { "entries": 26, "covers_all": false },
        "receipts": { "receipts": 1, "beyond": 0 },
        "complete_to": 26,
        "failure": null,
    });
    assert_eq!(found, expected);
    assert_eq!(answer.code, 0);
}

#[test]
fn the_json_answer_of_a_failure_names_the_entry_and_what_was_checked_before_it() {
    let story = Story::new();
    let mut log = story.insider();
    let index = log.find("order_decided", &story.small.order);
    log.edit_body(index, |body| body["rules"] = json!([]));
    let answer = log.verify_with(|verifier| verifier.flag("--json"));
    let found = answer.json();
    assert_eq!((answer.code, &found["result"]), (1, &json!("failed")));
    assert_eq!(found["entries"]["checked"], json!(index));
    assert_eq!(found["log"], json!(null));
    let reason = format!(
        "entry {index} is refused: the decision about {} comes out otherwise when it is judged \
         again",
        story.small.order
    );
    assert_eq!(found["failure"], json!({ "entry": index, "reason": reason }));
}

#[test]
fn the_answer_tells_how_many_orders_are_left_reserved_or_unknown() {
    let story = Story::new();
    let mut log = story.insider();
    let order = &story.late_small.order;
    let concluded = log.find("order_concluded", order);
    log.events.truncate(concluded as usize);
    let answer = log.verify();
    answer.assert_verified();
    assert_eq!(answer.line("left"), "left: 1 orders reserved, 0 unknown");

    let outcome = json!({ "unknown": { "reason": "interrupted" } });
    let lost = json!({ "order_concluded": { "order": order.as_str(), "outcome": outcome } });
    log.insert_body(concluded, lost.clone());
    let found = log.verify_with(|verifier| verifier.flag("--json")).json();
    assert_eq!(found["result"], json!("verified"), "{found}");
    assert_eq!(found["left"], json!({ "reserved": 0, "unknown": 1 }));

    log.insert_body(concluded + 1, lost);
    let found = log.verify_with(|verifier| verifier.flag("--json")).json();
    assert_eq!(found["failure"]["entry"], json!(concluded + 1), "{found}");
    assert_eq!(found["left"], json!(null), "the end was not reached");
}

#[test]
fn without_replay_the_answer_says_so() {
    let house = paying_house();
    let log = house.export("log");
    let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(0));
    let answer = verifier.clone().flag("--no-replay").run();
    answer.assert_verified();
    assert_eq!(answer.line("decisions"), "decisions: decisions not replayed");
    let found = verifier.flag("--no-replay").flag("--json").run().json();
    assert_eq!(found["decisions"]["replayed"], json!(false));
    assert_eq!(found["decisions"]["count"], json!(0));
}

#[test]
fn decisions_of_an_engine_that_is_not_here_are_not_verified() {
    let engine = EngineId::parse("elsewhere/9").unwrap();
    let compiler = Arc::new(Renamed(CedarCompiler::new().unwrap(), engine));
    let house = House::with_compiler(10_000, compiler);
    house.wallet("hot-1");
    house.know_payee();
    released(&house.transfer("hot-1", ETHER / 2));
    let log = house.export("log");
    let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(0));
    let answer = verifier.run();
    let reason = "4 decisions not replayed: the first was made by elsewhere/9, this verifier has";
    answer.assert_failed_at(3, reason);
    assert!(answer.line("decisions").ends_with("; 4 decisions not replayed"), "{answer:?}");
    // All else was checked.
    assert!(answer.line("releases").starts_with("releases: 1 with 1 signatures"), "{answer:?}");
    assert!(answer.line("documents").contains("hashed"), "{answer:?}");
    let found = verifier.clone().flag("--json").run().json();
    assert_eq!(found["decisions"]["not_replayed"], json!(4));
    let answer = verifier.flag("--no-replay").run();
    answer.assert_verified();
    assert_eq!(answer.line("decisions"), "decisions: decisions not replayed");
}

#[test]
fn one_decision_of_another_engine_is_enough_not_to_verify() {
    let story = Story::new();
    let mut log = story.insider();
    let index = log.find("order_decided", &story.small.order);
    log.edit_body(index, |body| {
        body["engine"] = json!("lenient/1");
        body["rules"] = json!(["fee"]);
    });
    let answer = log.verify();
    answer.assert_failed_at(index, "1 decisions not replayed: the first was made by lenient/1");
    // An engine that hides behind another spelling of the same JSON is refused at once.
    let text = String::from_utf8(log.events[index as usize].clone()).unwrap();
    log.events[index as usize] = text.replace("order_decided", "order\\u005fdecided").into_bytes();
    log.verify().assert_failed_at(index, "an engine that is not here");
}

#[test]
fn what_cannot_be_read_is_not_called_wrong() {
    let house = House::new(10_000);
    let log = house.export("log");
    let (id, key) = (house.custodian.id(), house.verifier_key(0));
    let nowhere = house.folder.path().join("nowhere");
    let file = house.file("file", "");
    for verifier in [
        Verifier::new(&nowhere, &id, &key),
        Verifier::new(&file, &id, &key),
        Verifier::new(&log, &id, &key).with("--checkpoint", &nowhere),
        Verifier::new(&log, &id, &key).with("--receipt", &nowhere),
    ] {
        let answer = verifier.run();
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(answer.result().starts_with("result: UNREADABLE"), "{answer:?}");
        let found = verifier.flag("--json").run().json();
        assert_eq!(found["result"], json!("unreadable"));
    }
}

#[test]
fn what_is_no_checkpoint_or_receipt_is_wrong() {
    let house = House::new(10_000);
    let log = house.export("log");
    let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(0));
    let noise = house.folder.path().join("noise");
    for bytes in [&b""[..], b"noise\n", b"\xff\xfe"] {
        fs::write(&noise, bytes).unwrap();
        for name in ["--checkpoint", "--receipt"] {
            let answer = verifier.clone().with(name, &noise).run();
            assert_eq!(answer.code, 1, "{name} {answer:?}");
        }
    }
    fs::write(&noise, vec![b'x'; 600 * 1024]).unwrap();
    assert_ne!(verifier.with("--receipt", &noise).run().code, 0);
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let house = House::new(10_000);
    let id = house.custodian.id().to_string();
    let key = house.verifier_key(0).to_string();
    let log = house.export("log").to_str().unwrap().to_owned();
    let upper = id.to_uppercase();
    for arguments in [
        vec![],
        vec![log.as_str()],
        vec![&log, "--genesis", &id],
        vec![&log, "--key", &key],
        vec!["--genesis", &id, "--key", &key],
        vec![&log, "--genesis", "00", "--key", &key],
        vec![&log, "--genesis", &upper, "--key", &key],
        vec![&log, "--genesis", &id, "--key", "custody.example/log"],
        vec![&log, "--genesis", &id, "--key", &key, "--lenient"],
        vec![&log, &log, "--genesis", &id, "--key", &key],
    ] {
        let answer = Answer::of(&arguments.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!((answer.code, answer.text.as_str()), (2, ""), "{arguments:?}");
        assert!(!answer.errors.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_help_tells_the_exit_codes() {
    let answer = Answer::of(&["--help".into()]);
    assert_eq!(answer.code, 0);
    assert!(answer.text.contains("1  verification failed"), "{answer:?}");
}

/// The entries of the orders that carry a payload.
fn payloads(log: &Insider) -> Vec<u64> {
    let carries = |index: &u64| {
        let event = log.event(*index);
        let submitted = &event["event"]["order_submitted"];
        !submitted.is_null() && !log.document(&submitted["document"])["work"]["payload"].is_null()
    };
    (0..log.events.len() as u64).filter(carries).collect()
}

fn paying_house() -> House {
    let house = House::new(10_000);
    house.wallet("hot-1");
    house.know_payee();
    released(&house.transfer("hot-1", ETHER / 2));
    house
}
