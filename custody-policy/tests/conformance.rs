//! The Cedar engine passes the conformance suite of policy engines.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::sync::Arc;

use custody_core::effect::Action;
use custody_core::id::{RoleId, TierId};
use custody_core::seam::PolicyDocument;
use custody_policy::CedarCompiler;
use custody_testkit::suite::policy_engine::{PolicyEngineFixture, SampleSets};

/// Changes only together with the engine's name.
const PIN: &str = "cedar/4.14.1+language/4.6.0+custody-policy/0.1.0+rules/4 a504b6173b06efa7e5b951768dc29fa861793fa1e3a57105dec8906d3b1911dc";

mod cedar {
    custody_testkit::policy_engine_suite!(super::fixture());
}

fn fixture() -> PolicyEngineFixture {
    let transfers = "@id(\"transfers\")\n\
        permit (principal, action == Action::\"transfer\", resource);";
    let needing = "@id(\"needing\")\n\
        permit (principal, action == Action::\"transfer\", resource)\n\
        when { context.approvals.treasurer >= 2 };";
    // The sum of a count and the largest Long overflows, which is an error when it is evaluated.
    let failing = "@id(\"failing\")\n\
        forbid (principal, action == Action::\"transfer\", resource)\n\
        when { context.order.count + 9223372036854775807 < 0 };";
    let unparsed = "@id(\"broken\") permit (principal";
    let unknown = "@id(\"unknown\")\n\
        permit (principal in Role::\"tresurer\", action == Action::\"transfer\", resource);";
    let sets = SampleSets {
        permissive: set(&permissive()),
        transfers: set(transfers),
        needing: (set(needing), RoleId::parse("treasurer").unwrap(), 2),
        failing: set(&format!("{}\n{failing}", permissive())),
        broken: vec![set(unparsed), set(unknown)],
    };
    let compiler = CedarCompiler::new().unwrap();
    PolicyEngineFixture::new(Arc::new(compiler), sets).with_pin(PIN)
}

/// Permits whatever may be permitted at all; opaque payloads for one wallet by name.
fn permissive() -> String {
    let actions: Vec<_> = Action::ALL
        .iter()
        .filter(|action| **action != Action::SignOpaque)
        .map(|action| format!("Action::\"{action}\""))
        .collect();
    format!(
        "@id(\"all\")\npermit (principal, action in [{}], resource);\n\
         @id(\"opaque\")\npermit (principal, action == Action::\"sign_opaque\", \
         resource == Wallet::\"wallet-1\");",
        actions.join(", ")
    )
}

fn set(rules: &str) -> PolicyDocument {
    PolicyDocument {
        v: 1,
        roles: ["operator", "treasurer"].map(|role| RoleId::parse(role).unwrap()).to_vec(),
        tiers: ["hot", "cold"].map(|tier| TierId::parse(tier).unwrap()).to_vec(),
        rules: rules.to_owned(),
    }
}
