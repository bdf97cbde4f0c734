//! The form of policies.

use super::*;

#[test]
fn policies_are_as_pinned() {
    for (name, policy) in policies() {
        let pinned = std::fs::read_to_string(data(&name)).unwrap_or_default();
        let text = policy.to_json() + "\n";
        assert!(pinned == text, "{name} is not as pinned, but:\n{text}");
    }
}

#[test]
fn nothing_is_pinned_that_is_no_policy() {
    let known: BTreeSet<_> = policies().into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(data("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".toml") || known.contains(&name), "{name}");
    }
}

#[test]
fn the_reason_of_each_statement_is_documented() {
    let documented = include_str!("../../src/iam.rs");
    for (name, policy) in policies() {
        for statement in statements(&policy) {
            let sid = statement["Sid"].as_str().unwrap();
            let stem = ["SigningKeys", "SealingKeys", "Key"]
                .into_iter()
                .find_map(|end| sid.strip_suffix(end))
                .map(|stem| format!("`{stem}…`"));
            let has = |text: &str| documented.contains(text);
            let is_documented = has(&format!("`{sid}`")) || stem.is_some_and(|stem| has(&stem));
            assert!(is_documented, "{name}: {sid}");
        }
    }
}

/// IAM user guide, "Grammar of the IAM JSON policy language".
#[test]
fn policies_keep_the_grammar() {
    const OPERATORS: [&str; 9] = [
        "ArnNotEquals",
        "Bool",
        "BoolIfExists",
        "ForAllValues:StringEquals",
        "Null",
        "NumericGreaterThanEquals",
        "NumericLessThanEqualsIfExists",
        "StringEquals",
        "StringNotEquals",
    ];
    for (name, policy) in policies() {
        let whole: BTreeMap<String, Value> = serde_json::from_str(&policy.to_json()).unwrap();
        assert!(whole.keys().eq(["Statement", "Version"]), "{name}");
        assert_eq!(whole["Version"], "2012-10-17", "{name}");
        let mut sids = BTreeSet::new();
        for statement in statements(&policy) {
            let sid = statement["Sid"].as_str().unwrap().to_owned();
            assert!(sid.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}: {sid}");
            assert!(sids.insert(sid.clone()), "{name}: {sid} twice");
            assert!(["Allow", "Deny"].contains(&statement["Effect"].as_str().unwrap()), "{sid}");
            assert_eq!(statement.get("Principal").is_some(), is_of_key(&name), "{name}: {sid}");
            assert!(!listed(&statement["Action"]).is_empty(), "{name}: {sid}");
            assert!(!listed(&statement["Resource"]).is_empty(), "{name}: {sid}");
            for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
                assert!(OPERATORS.contains(&operator.as_str()), "{name}: {sid}: {operator}");
                for (key, values) in keys.as_object().unwrap() {
                    let is_known = key.starts_with("aws:") || key.starts_with("kms:");
                    assert!(is_known && !listed(values).is_empty(), "{name}: {sid}: {key}");
                }
            }
        }
    }
}

#[test]
fn no_action_has_a_wildcard() {
    for (name, policy) in policies() {
        for effect in ["Allow", "Deny"] {
            for action in actions(&policy, effect) {
                let call = action.strip_prefix("kms:").unwrap_or_default();
                let is_plain = call.bytes().all(|byte| byte.is_ascii_alphabetic());
                assert!(is_plain && !call.is_empty(), "{name}: {action}");
            }
        }
    }
}

#[test]
fn every_resource_is_named_where_aws_takes_a_name() {
    const UNNAMED: [&str; 3] = ["kms:CreateKey", "kms:ListAliases", "kms:ListKeys"];
    for (name, policy) in policies().into_iter().filter(|(name, _)| !is_of_key(name)) {
        for statement in statements(&policy) {
            let resources = listed(&statement["Resource"]);
            let actions = listed(&statement["Action"]);
            let is_unnamed = actions.iter().all(|action| UNNAMED.contains(&action.as_str()));
            assert_eq!(resources == ["*"], is_unnamed, "{name}: {statement}");
            if is_unnamed {
                let region = &statement["Condition"]["StringEquals"]["aws:RequestedRegion"];
                assert!(!listed(region).is_empty(), "{name}: {statement}");
                continue;
            }
            for resource in resources {
                assert!(resource.starts_with("arn:aws:kms:"), "{name}: {resource}");
                assert!(resource.contains(":111122223333:"), "{name}: {resource}");
                let is_wide = resource.contains('*') && statement["Effect"] == "Allow";
                let is_alias = resource.ends_with(":alias/custody/*");
                let tag = "aws:ResourceTag/custody:custodian";
                let has_tag = !statement["Condition"]["StringEquals"][tag].is_null();
                let makes_tag = statement["Sid"] == "TagNewKeys";
                assert!(!is_wide || is_alias || has_tag || makes_tag, "{name}: {statement}");
            }
        }
    }
}
