//! Documents as a whole: what is no rule set, what is too large, and what may be left out or called
//! as it likes.

use super::*;

#[test]
fn a_document_that_is_not_a_rule_set_does_not_load() {
    let refused = |change: fn(&mut PolicyDocument), message: &str| {
        let mut changed = document("");
        change(&mut changed);
        let error = CedarEngine::new(&changed).unwrap_err();
        assert!(error.findings[0].message.contains(message), "{error:?}");
    };
    refused(|document| document.v = 2, "version 2");
    refused(|document| document.v = 0, "version 0");
    refused(|document| document.roles.push(document.roles[0].clone()), "role `operator`");
    refused(|document| document.tiers.push(document.tiers[0].clone()), "tier `hot`");
    refused(
        |document| document.rules = " ".repeat(PolicyDocument::MAX + 1),
        "the rules have 1048577 bytes",
    );
}

#[test]
fn a_rule_too_large_to_walk_is_refused_before_it_is_parsed() {
    let rule = |condition: &str| {
        format!("@id(\"r\") forbid (principal, action, resource) when {{ {condition} }};")
    };
    for (condition, message) in [
        (format!("{}true{}", "(".repeat(32), ")".repeat(32)), "nested at most 32"),
        (format!("true{}", " && true".repeat(130)), "at most 256 operators"),
        (format!("true{}", " || true".repeat(20_000)), "operators"),
        (format!("{}false", "if true then true else ".repeat(257)), "operators"),
        (format!("true }} {}when {{ true", "when { true } ".repeat(260)), "operators"),
        (format!("\"{}\" == \"\"", "x".repeat(33_000)), "at most 32768 bytes"),
        (format!("{}true", "!".repeat(2_000)), "operators"),
        (format!("context{}", ".a".repeat(2_000)), "operators"),
    ] {
        let found = findings(&rule(&condition));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains(message), "{found:?}");
    }
    // As deep as is allowed.
    let chain = format!("principal.service{}", " || principal.service".repeat(84));
    assert_eq!(findings(&rule(&chain)), []);
    let nested = format!("{}principal.service{}", "(".repeat(31), ")".repeat(31));
    assert_eq!(findings(&rule(&nested)), []);
    let ifs = "if principal.service then true else ".repeat(120);
    assert_eq!(findings(&rule(&format!("{ifs}false"))), []);
    let opened = "principal.service || (".repeat(31);
    let inner = format!("principal.service{}", " || principal.service".repeat(50));
    assert_eq!(findings(&rule(&format!("{opened}{inner}{}", ")".repeat(31)))), []);
    // Brackets in texts and comments are no nesting.
    let text =
        format!("\"{}\\\"{}\" == \"\" // {}\n", "((".repeat(50), "[".repeat(50), "((".repeat(50));
    assert_eq!(findings(&rule(&format!("{text} || principal.service"))), []);
}

#[test]
fn a_house_without_roles_tiers_or_rules_loads_and_knows_no_names() {
    let empty = PolicyDocument { v: 1, roles: vec![], tiers: vec![], rules: String::new() };
    assert!(CedarEngine::new(&empty).is_ok());
    for rules in [
        "@id(\"r\") forbid (principal in Role::\"x\", action, resource);",
        "@id(\"r\") forbid (principal, action, resource in Tier::\"x\");",
    ] {
        let document = PolicyDocument { rules: rules.to_owned(), ..empty.clone() };
        assert!(CedarEngine::new(&document).is_err(), "{rules}");
    }
}

#[test]
fn words_of_the_language_can_be_roles_and_tiers() {
    for word in ["if", "in", "true", "permit", "2nd", "_", "has", "principal"] {
        let rules = format!(
            "@id(\"r\") permit (principal in Role::\"{word}\", action == Action::\"transfer\", \
             resource in Tier::\"{word}\") when {{ context.approvals[\"{word}\"] >= 2 }};"
        );
        let document = PolicyDocument {
            v: 1,
            roles: vec![RoleId::parse(word).unwrap()],
            tiers: vec![TierId::parse(word).unwrap()],
            rules,
        };
        assert!(CedarEngine::new(&document).is_ok(), "{word}");
    }
}
