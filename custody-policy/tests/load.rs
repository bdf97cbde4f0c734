#![expect(clippy::unwrap_used, reason = "tests")]
use custody_core::id::{RoleId, TierId};
use custody_core::seam::PolicyDocument;
use custody_policy::{CedarCompiler, CedarEngine};
#[test]
fn treasury() {
    let d = PolicyDocument {
        v: 1,
        roles: ["operator", "treasurer", "administrator"]
            .iter()
            .map(|r| RoleId::parse(r).unwrap())
            .collect(),
        tiers: ["hot", "warm", "cold"].iter().map(|r| TierId::parse(r).unwrap()).collect(),
        rules: include_str!("../../examples/policies/treasury.cedar").into(),
    };
    match CedarEngine::new(&d) {
        Ok(_) => {}
        Err(e) => {
            for f in &e.findings {
                println!("{f}");
            }
            panic!()
        }
    }
    for w in CedarCompiler::new().unwrap().warnings(&d).unwrap() {
        println!("{w}");
    }
    println!("{}", CedarCompiler::new().unwrap().schema(&d));
    println!("{:?}", custody_core::seam::PolicyCompiler::engine(&CedarCompiler::new().unwrap()));
}
