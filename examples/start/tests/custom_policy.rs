//! The engine of the example passes the whole suite, and the example ends as it says.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

#[path = "../custom_policy/policy.rs"]
mod policy;
#[path = "../custom_policy/steps.rs"]
mod steps;

use std::sync::Arc;

use custody_core::id::{EngineId, RoleId, TierId};
use custody_core::seam::{PolicyCompiler as _, PolicyDocument};
use custody_testkit::suite::policy_engine::{PolicyEngineFixture, SampleSets};

mod suite {
    custody_testkit::policy_engine_suite!(super::fixture());
}

fn compiler() -> policy::TableCompiler {
    policy::TableCompiler(EngineId::parse("table/1").unwrap())
}

fn document(rules: &str) -> PolicyDocument {
    PolicyDocument {
        v: 1,
        roles: vec![RoleId::parse("operator").unwrap(), RoleId::parse("treasurer").unwrap()],
        tiers: vec![TierId::parse("hot").unwrap(), TierId::parse("cold").unwrap()],
        rules: rules.to_owned(),
    }
}

fn fixture() -> PolicyEngineFixture {
    let treasurer = RoleId::parse("treasurer").unwrap();
    let needing =
        r#"[{"id": "needing", "action": "transfer", "role": "treasurer", "approvals": 2}]"#;
    let sets = SampleSets {
        permissive: document(r#"[{"id": "all"}]"#),
        transfers: document(r#"[{"id": "transfers", "action": "transfer"}]"#),
        needing: (document(needing), treasurer, 2),
        failing: document(r#"[{"id": "all"}, {"id": "fails", "most": "-1"}]"#),
        broken: vec![
            document("permit"),
            document(r#"[{"id": "strange", "role": "stranger", "approvals": 1}]"#),
            document(r#"[{"id": "half", "role": "treasurer"}]"#),
            document(r#"[{"id": "half", "most": "1"}]"#),
            document(r#"[{"id": "twice"}, {"id": "twice"}]"#),
            document(r#"[{"id": "more", "unless": "monday"}]"#),
        ],
    };
    PolicyEngineFixture::new(Arc::new(compiler()), sets)
        .with_pin("table/1 1d6d079aee64919285a4d41249cf825d32b5910d079cb16ffff179bdd014cf64")
}

#[test]
fn a_broken_table_is_refused_by_the_line_or_the_row() {
    let unknown = document("[\n{\"id\": \"a\", \"unless\": 1}]");
    let refused = compiler().compile(&unknown).unwrap_err();
    assert_eq!(refused.findings.first().unwrap().line, 2);
    let twice = document(r#"[{"id": "twice"}, {"id": "twice"}]"#);
    let refused = compiler().compile(&twice).unwrap_err();
    assert_eq!(refused.findings.first().unwrap().rule.as_ref().unwrap().as_str(), "twice");
}

#[tokio::test]
async fn the_example_signs_waits_and_denies_as_its_table_says() {
    let directory = tempfile::tempdir().unwrap();
    let told = steps::run(directory.path()).await.unwrap();
    let starts = [
        "released: 0x",
        "signed by 0x",
        "receipt: entry ",
        "waits for 2 more of treasurer",
        "released: 0x",
        "signed by 0x",
        "receipt: entry ",
        "denied by no-permit",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}
