//! What hosts and operators write about AWS KMS: ARNs, names, configurations and scopes of policies. A
//! text is written as it was read, a configuration is one that can be, and a policy never has a
//! wildcard for what it allows.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use custody_kms::iam::{IamScope, IamScopeError, PrincipalArn, Use, identity_policy, key_policy};
use custody_kms::{
    Account, HouseName, KeyArn, KmsConfig, KmsConfigError, RegionName, is_usual_policy,
};
use serde_json::Value;

use crate::Seed;
use crate::input::{choose, chosen};

const PARTS: [&str; 8] =
    ["account", "arn", "configuration", "house", "key policy", "principal", "region", "scope"];
/// What no error repeats.
pub(crate) const WORD: &str = "s3cret-input";

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, bytes) = choose(&PARTS, bytes)?;
    let text = std::str::from_utf8(bytes).ok()?;
    let taken = match *part {
        "account" => same(text, Account::parse(text).map(|it| it.as_str().to_owned())),
        "arn" => arn(text),
        "configuration" => configuration(text),
        "house" => same(text, HouseName::parse(text).map(|it| it.as_str().to_owned())),
        "key policy" => usual_policy(text),
        "principal" => same(text, PrincipalArn::parse(text).map(|it| it.as_str().to_owned())),
        "region" => same(text, RegionName::parse(text).map(|it| it.as_str().to_owned())),
        _ => scope(text),
    };
    taken.then_some(*part)
}

/// Whether a text is taken; then it is written as it was read.
pub(crate) fn same<E: std::error::Error>(text: &str, read: Result<String, E>) -> bool {
    match read {
        Ok(written) => {
            assert_eq!(written, text);
            assert!(text.len() <= 600 && text.bytes().all(|byte| byte.is_ascii_graphic()));
            true
        }
        Err(error) => {
            says_nothing(&error);
            false
        }
    }
}

/// An error has no word of what was read.
pub(crate) fn says_nothing(error: &dyn std::error::Error) {
    let said = format!("{error} {error:?}");
    assert!(!said.contains(WORD), "an error repeats what was read");
    assert!(said.len() < 1_000 && !said.contains(['\r', '\n']), "an error is one short line");
}

fn arn(text: &str) -> bool {
    let read = KeyArn::parse(text);
    if let Ok(arn) = &read {
        assert_eq!(arn.to_string(), text);
        assert!(Account::parse(arn.account()).is_ok() && !arn.id().is_empty());
        assert_eq!(arn.in_region(arn.region()).as_ref(), Some(arn));
        assert_eq!(arn.is_multi_region(), arn.id().starts_with("mrk-"));
        let other = RegionName::parse("other-1").unwrap();
        match arn.in_region(&other) {
            Some(replica) => {
                assert_eq!(replica.region(), &other);
                assert_eq!((replica.account(), replica.id()), (arn.account(), arn.id()));
                assert_eq!(replica.in_region(arn.region()).as_ref(), Some(arn));
            }
            None => assert!(!arn.is_multi_region()),
        }
    }
    same(text, read.map(|arn| arn.as_str().to_owned()))
}

/// A configuration is written as TOML that reads as the same one.
fn configuration(text: &str) -> bool {
    let config = match KmsConfig::parse(text) {
        Ok(config) => config,
        Err(KmsConfigError::Malformed { field, .. }) => {
            is_plain_name(&field);
            return false;
        }
        Err(error) => {
            says_nothing(&error);
            return false;
        }
    };
    assert!(!config.regions.is_empty() && !config.algorithms.is_empty());
    assert!((7..=30).contains(&config.deletion_days.get()));
    let limits = &config.limits;
    assert!(!limits.connect.is_zero() && limits.connect <= limits.attempt);
    assert!(limits.attempt <= limits.operation);
    let is_local = |url: &str| {
        let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let host = host.unwrap_or_default();
        ["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|local| host.starts_with(local))
    };
    let endpoint = config.endpoint.as_deref();
    assert!(endpoint.is_none_or(|url| url.starts_with("https://") || is_local(url)));
    assert_eq!(KmsConfig::parse(&written(&config)).as_ref(), Ok(&config));
    true
}

fn written(config: &KmsConfig) -> String {
    let texts = |list: Vec<&str>| list.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "id = {}\naccount = {}\nregions = [{}]\nalgorithms = [{}]\nmulti_region = {}\n\
         deletion_days = {}\n",
        quoted(config.id.as_str()),
        quoted(config.account.as_str()),
        texts(config.regions.iter().map(RegionName::as_str).collect()),
        texts(config.algorithms.iter().map(|algorithm| algorithm.as_str()).collect()),
        config.multi_region,
        config.deletion_days,
    );
    if let Some(house) = &config.house {
        writeln!(text, "house = {}", quoted(house.as_str())).unwrap();
    }
    if let Some(url) = &config.endpoint {
        writeln!(text, "endpoint = {}", quoted(url)).unwrap();
    }
    let (limits, keys) = (&config.limits, &config.data_keys);
    write!(
        text,
        "[limits]\nconnect_ms = {}\nattempt_ms = {}\noperation_ms = {}\nattempts = {}\n\
         wait_ms = {}\nsign_per_second = {}\nsymmetric_per_second = {}\nlook_per_second = {}\n\
         manage_per_second = {}\n[data_keys]\nkeys = {}\nage_ms = {}\nuses = {}\n",
        limits.connect.as_millis(),
        limits.attempt.as_millis(),
        limits.operation.as_millis(),
        limits.attempts,
        limits.wait.as_millis(),
        limits.sign_per_second,
        limits.symmetric_per_second,
        limits.look_per_second,
        limits.manage_per_second,
        keys.keys,
        keys.age.as_millis(),
        keys.uses,
    )
    .unwrap();
    text
}

/// A text of TOML: as in JSON, but for one character.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\x7f', "\\u007f")
}

/// A scope reads the same with a comment behind it, and what is written of it is JSON that allows
/// nothing to everybody.
fn scope(text: &str) -> bool {
    let scope = match IamScope::parse(text) {
        Ok(scope) => scope,
        Err(error) => {
            if let IamScopeError::Malformed { field, .. } = &error {
                is_plain_name(field);
            } else {
                says_nothing(&error);
            }
            return false;
        }
    };
    let again = IamScope::parse(&format!("{text}\n# the end")).unwrap();
    assert_eq!(format!("{again:?}"), format!("{scope:?}"));
    let all: BTreeSet<Use> = Use::ALL.into_iter().collect();
    let sets = Use::ALL.into_iter().map(|one| BTreeSet::from([one])).chain([all, BTreeSet::new()]);
    for uses in sets {
        let administered = uses.iter().copied().chain([Use::Administration]).collect();
        let policies = [identity_policy(&scope, &uses), key_policy(&scope, &administered)];
        policies.iter().flatten().for_each(|policy| allows_no_wildcard(&policy.to_json()));
    }
    true
}

/// A key that was found is taken for one of ours only if its policy is the one that KMS gives by
/// itself, of the key's own account: read as JSON, it has that one statement and nothing else.
fn usual_policy(text: &str) -> bool {
    let arn = KeyArn::parse(arns()[0].1).unwrap();
    if !is_usual_policy(text, &arn) {
        return false;
    }
    assert!(crate::json::has_unique_keys(text.as_bytes()));
    let mut policy: Value = serde_json::from_str(text).unwrap();
    let rest = policy.as_object_mut().unwrap();
    let Some(Value::Array(statements)) = rest.remove("Statement") else { panic!("a list") };
    names_only(rest, ["Version", "Id"]);
    let [Value::Object(statement)] = &statements[..] else { panic!("one statement") };
    let mut statement = statement.clone();
    for (field, only) in [
        ("Effect", Value::from("Allow")),
        ("Principal", serde_json::json!({ "AWS": "arn:aws:iam::111122223333:root" })),
        ("Action", Value::from("kms:*")),
        ("Resource", Value::from("*")),
    ] {
        assert_eq!(statement.remove(field), Some(only), "{field}");
    }
    names_only(&statement, ["Sid", "Sid"]);
    for (own, other) in [("111122223333", "444455556666"), ("arn:aws:", "arn:aws-cn:")] {
        let other = KeyArn::parse(&arn.as_str().replacen(own, other, 1)).unwrap();
        assert!(!is_usual_policy(text, &other), "it is that of another account");
    }
    true
}

/// Names let nobody in.
fn names_only(fields: &serde_json::Map<String, Value>, names: [&str; 2]) {
    for (name, value) in fields {
        assert!(names.contains(&name.as_str()) && (value.is_string() || value.is_null()), "{name}");
    }
}

fn allows_no_wildcard(json: &str) {
    assert!(crate::json::has_unique_keys(json.as_bytes()));
    let policy: Value = serde_json::from_str(json).unwrap();
    for statement in policy["Statement"].as_array().unwrap() {
        if statement["Effect"] == "Allow" {
            for named in ["Action", "Principal"] {
                assert!(!statement[named].to_string().contains('*'), "{named} of {statement}");
            }
        }
    }
}

/// The one thing that an error may tell of a TOML text: a plain name.
pub(crate) fn is_plain_name(name: &str) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    assert!(name.len() <= 64 && name.bytes().all(is_part));
}

pub(crate) fn arns() -> [(&'static str, &'static str); 7] {
    [
        ("key", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("several", "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"),
        ("other-partition", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd"),
        ("alias", "arn:aws:kms:eu-central-1:111122223333:alias/house"),
        ("no-region", "arn:aws:kms::111122223333:key/1234"),
        ("short-account", "arn:aws:kms:eu-central-1:11112222333:key/1234"),
        ("word", "arn:aws:kms:eu-central-1:111122223333:key/s3cret-input/1"),
    ]
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |part: &str, name: &str, text: &str| {
        let number = PARTS.iter().position(|known| *known == part).unwrap();
        seeds.push((format!("{part}-{name}").replace(' ', "-"), chosen(number, text.as_bytes())));
    };
    arns().iter().for_each(|(name, text)| add("arn", name, text));
    for (part, good, bad) in [
        ("account", "111122223333", "11112222333x"),
        ("house", "house-1", "House"),
        ("principal", "arn:aws:iam::111122223333:role/custody", "arn:aws:iam::111122223333:root"),
        ("principal", "arn:aws:iam::111122223333:user/path/a.b+c=d,e@f", "arn:aws:iam::1:role/*"),
        ("region", "eu-central-1", "s3cret-input!"),
    ] {
        add(part, &good.replace([':', '/', ',', '='], "-"), good);
        add(part, &format!("no-{}", bad.replace([':', '/', '*'], "-")), bad);
    }
    for (name, from, to) in [
        ("whole", "", ""),
        ("https", "http://127.0.0.1:4566", "https://kms.example/\\u007f?\\\"\\\\"),
        ("plain-http", "http://127.0.0.1:4566", "http://kms.example:80"),
        ("local-name", "http://127.0.0.1:4566", "http://localhost:1.s3cret-input"),
        ("no-time", "connect_ms = 1500", "connect_ms = 0"),
        ("too-often", "uses = 1000000", "uses = 4294967296"),
        ("unknown", "attempts = 3", "s3cret-input = 3"),
        ("twice", "attempts = 3", "attempts = 3\nattempts = 3"),
        ("algorithm", "ecdsa-p256", "ed25519"),
        ("no-algorithm", "ecdsa-p256", "bip340"),
    ] {
        add("configuration", name, &CONFIGURATION.replacen(from, to, 1));
    }
    add("configuration", "least", "id='aws'\naccount='111122223333'\nregions=['eu-central-1']");
    for (name, from, to) in [
        ("whole", "", ""),
        ("several", "multi_region = false", "multi_region = true"),
        ("china", "eu-", "cn-"),
        ("two-partitions", "eu-west-1", "cn-north-1"),
        ("other-account", "kms:eu-central-1:1111", "kms:eu-central-1:2222"),
        ("short", "deletion_days = 30", "deletion_days = 6"),
        ("wildcard", "role/custody\"", "role/*\""),
        ("unknown", "rotation_days", "s3cret-input"),
        ("no-name", "rotation_days =", "s3cret input ="),
    ] {
        add("scope", name, &SCOPE.replacen(from, to, 1));
    }
    for (name, from, to) in [
        ("usual", "", ""),
        ("no-id", r#""Id":"key-default-1","#, ""),
        ("other-account", "111122223333", "444455556666"),
        ("user", ":root", ":user/s3cret-input"),
        ("everybody", r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, r#""*""#),
        ("twice", r#""Action":"#, r#""Action":"kms:Sign","Action":"#),
        ("condition", r#""Resource":"*""#, r#""Resource":"*","Condition":{}"#),
        ("list", r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, ROOT_IN_A_LIST),
        ("second", r#"}]}"#, r#"},{"Effect":"Allow","Principal":"*","Action":"*"}]}"#),
    ] {
        add("key policy", name, &KEY_POLICY.replacen(from, to, 1));
    }
    seeds
}

/// As KMS gives it by itself (KMS developer guide, "Default key policy").
const KEY_POLICY: &str = r#"{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":
"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},
"Action":"kms:*","Resource":"*"}]}"#;

const ROOT_IN_A_LIST: &str = r#"["arn:aws:iam::111122223333:root"]"#;

const CONFIGURATION: &str = r#"id = "aws"
account = "111122223333"
regions = ["eu-central-1", "eu-west-1"]
algorithms = ["ecdsa-secp256k1", "ecdsa-p256"]
multi_region = false
deletion_days = 30
house = "house-1"
endpoint = "http://127.0.0.1:4566"
[limits]
connect_ms = 1500
attempt_ms = 4000
operation_ms = 10000
attempts = 3
wait_ms = 1000
sign_per_second = 300
symmetric_per_second = 5000
look_per_second = 200
manage_per_second = 10
[data_keys]
keys = 1024
age_ms = 600000
uses = 1000000
"#;

const SCOPE: &str = r#"account = "111122223333"
regions = ["eu-central-1", "eu-west-1"]
custodian = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
algorithms = ["ecdsa-secp256k1", "ecdsa-p256"]
multi_region = false
deletion_days = 30
rotation_days = 365
signing_keys = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd"]
sealing_keys = ["arn:aws:kms:eu-central-1:111122223333:key/mrk-12"]
[principals]
sign = ["arn:aws:iam::111122223333:role/custody"]
sealed = ["arn:aws:iam::111122223333:role/custody"]
admin = ["arn:aws:iam::111122223333:role/custody-admin"]
"#;
