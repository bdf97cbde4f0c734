//! How a run ends when a step does not end as it should.

use custody_core::caip::AccountId;
use custody_core::command::Command;
use custody_core::custodian::{Outcome, Release, Request};
use custody_core::document::Hold;
use custody_core::id::{BookId, RequestId, RuleId};
use custody_core::seam::{Authentication, Position, Receipt};
use custody_core::secret::Secret;
use examples_start::house::House;
use examples_start::transactions::bundled;

use crate::program::{Kept, PASSPHRASE, Run};
use crate::steps::{Course, Expect};
use crate::{json, texts};

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_otherwise_fails_the_run_and_the_others_go_on() {
    let kept = Kept::new();
    kept.run(PASSPHRASE, &[]).succeeds();
    forget_the_customers(&kept).await;
    let run = kept.run(PASSPHRASE, &["--json"]);
    assert_eq!(run.fails().trim_end(), "a step did not end as it should");
    assert_eq!(run.output.status.code(), Some(1));
    let answers = json(std::str::from_utf8(&run.output.stdout).unwrap());
    for answer in &answers[..2] {
        assert_eq!(answer["outcome"], "pending", "to an unknown address: {answer}");
        assert_eq!(texts(&answer["missing"]), ["2 more of treasurer"]);
    }
    assert_eq!((answers.len(), &answers[15]["outcome"]), (16, &"refused".into()));
    let text = kept.run(PASSPHRASE, &[]).output.stdout;
    assert!(!String::from_utf8(text).unwrap().contains("Every step ended as it should."));
}

#[test]
fn a_transaction_of_ones_own_may_wait_or_be_denied() {
    for (text, outcome) in [(bundled::LARGE, "pending"), (bundled::ALLOWANCE, "denied")] {
        let answers = json(&Run::new(&["--json", "--tx", text]).succeeds());
        assert_eq!(answers[0]["outcome"], outcome, "{}", answers[0]);
        assert_eq!(answers[0]["what"], "your transaction");
    }
}

#[test]
fn each_outcome_is_what_a_step_should_end_with_or_it_is_not() {
    let ours = Course { waited: false, signed_by_us: true };
    let approved = Course { waited: true, ..ours };
    let foreign = Course { signed_by_us: false, ..ours };
    let approved_foreign = Course { waited: true, ..foreign };
    let rules = ["fee-cap", "daily-limit"].map(|rule| RuleId::parse(rule).unwrap()).to_vec();
    let denied = Outcome::Denied { rules };
    let pending = Outcome::Pending { missing: Vec::new() };
    let failed = Outcome::Failed { reason: Hold::BackendUnavailable };
    let unknown = Outcome::Unknown { reason: Hold::BackendIndeterminate };
    // In the columns: released at once, after approvals, denied by `fee-cap`, as the rules say.
    for (name, outcome, course, expected) in [
        ("released", &released(), ours, [true, false, false, true]),
        ("released after approvals", &released(), approved, [false, true, false, true]),
        ("signed by another", &released(), foreign, [false; 4]),
        ("approved, signed by another", &released(), approved_foreign, [false; 4]),
        ("denied", &denied, foreign, [false, false, true, true]),
        (
            "denied without a rule",
            &Outcome::Denied { rules: Vec::new() },
            foreign,
            [false, false, false, true],
        ),
        ("pending", &pending, foreign, [false, false, false, true]),
        ("failed", &failed, foreign, [false; 4]),
        ("unknown", &unknown, foreign, [false; 4]),
        ("expired", &Outcome::Expired, foreign, [false; 4]),
        ("cancelled", &Outcome::Cancelled, foreign, [false; 4]),
    ] {
        let columns = [
            Expect::Released,
            Expect::ReleasedAfterApprovals,
            Expect::Denied("fee-cap"),
            Expect::Ruled,
        ];
        assert_eq!(columns.map(|expect| expect.is_met(outcome, course)), expected, "{name}");
    }
}

/// Takes the known addresses out of their book, as an administrator may do alone.
async fn forget_the_customers(kept: &Kept) {
    let passphrase = Secret::new(PASSPHRASE.trim_end().into());
    let house = House::open(&kept.house(), passphrase).await.unwrap();
    for (number, known) in bundled::KNOWN.iter().enumerate() {
        let book = BookId::parse("customers").unwrap();
        let account = AccountId::parse(known).unwrap();
        let command = Command::RemoveAddress { book, account };
        let id = RequestId::parse(&format!("forget-{number}")).unwrap();
        let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
        let operator = house.operator.id().clone();
        let request = Request::command(operator, id, command).authenticated(login);
        let answer = house.custodian.submit(request).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Released(_)), "{answer:?}");
    }
    house.custodian.close().await.unwrap();
}

fn released() -> Outcome {
    let receipt = Receipt { index: Position::START, proof: String::new() };
    Outcome::Released(Box::new(Release {
        signed: None,
        signatures: Vec::new(),
        result: None,
        extension: None,
        receipt,
    }))
}
