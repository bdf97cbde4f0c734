//! Scopes and uses that are refused.

use super::*;

#[test]
fn policies_that_make_no_sense_are_refused() {
    use Use::{Administration, Audit, Creation, Rotation, Sealing, Signing};
    let set = |uses: &[Use]| uses.iter().copied().collect::<BTreeSet<_>>();
    for (uses, error) in [
        (&[][..], IamError::Empty),
        (&[Sealing], IamError::NoSealingKeys { one: Sealing }),
        (&[Rotation], IamError::NoSealingKeys { one: Rotation }),
        (&[Administration, Signing], IamError::Excluded { one: Administration, other: Signing }),
    ] {
        assert_eq!(identity_policy(&tagged(), &set(uses)), Err(error), "{uses:?}");
    }
    for (uses, error) in [
        (&[][..], IamError::Unmanaged),
        (&[Signing], IamError::Unmanaged),
        (&[Administration, Creation, Sealing], IamError::Mixed { one: Creation, other: Sealing }),
        (&[Administration, Rotation, Signing], IamError::Mixed { one: Signing, other: Rotation }),
    ] {
        assert_eq!(key_policy(&scope(), &set(uses)), Err(error), "{uses:?}");
    }
    let nobody = key_policy(&tagged(), &set(&[Administration, Audit]));
    assert_eq!(nobody, Err(IamError::NoPrincipal { one: Administration }));
}

#[test]
fn a_policy_that_is_too_long_for_aws_is_refused() {
    let with = |count: usize| {
        let arn = |index| format!("\"arn:aws:kms:eu-central-1:111122223333:key/{index:036}\"");
        let keys: Vec<_> = (0..count).map(arn).collect();
        let text = format!("signing_keys = [{}]\n{TAGGED}", keys.join(", "));
        identity_policy(&IamScope::parse(&text).unwrap(), &BTreeSet::from([Use::Signing]))
    };
    let length =
        |policy: &Policy| policy.to_json().chars().filter(|one| !one.is_whitespace()).count();
    let fits = (1..400).take_while(|count| with(*count).is_ok()).last().unwrap();
    assert!((10_100..=10_240).contains(&length(&with(fits).unwrap())), "{fits} keys fit");
    let Err(IamError::TooLong { length, limit: 10_240 }) = with(fits.saturating_add(1)) else {
        panic!("one more does not fit");
    };
    assert!(length > 10_240, "{length}");
}

#[test]
fn each_partition_has_its_own_names() {
    for (region, partition) in [
        ("eu-central-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let text = TAGGED.replace("eu-central-1", region);
        let text = identity(&IamScope::parse(&text).unwrap(), &[Use::Signing]).to_json();
        let arn = format!("arn:{partition}:kms:{region}:111122223333:key/*");
        assert!(text.contains(&arn), "{text}");
    }
}

#[test]
fn a_scope_that_is_malformed_is_named_by_its_field() {
    let field = |field| IamScopeError::Field { field };
    let malformed = |line, name: &str| IamScopeError::Malformed { line, field: name.to_owned() };
    let more = |text: &str| format!("{text}\n{TAGGED}");
    let cn = "arn:aws-cn:iam::111122223333:role/custody";
    for (text, error) in [
        (String::new(), IamScopeError::Missing { field: "account" }),
        (TAGGED.replace("account", "owner"), malformed(1, "owner")),
        (TAGGED.replace("\"111122223333\"", "7"), malformed(1, "account")),
        (TAGGED.replace("111122223333", "11112222333"), field("account")),
        (TAGGED.replace("111122223333", "s3cret-input"), field("account")),
        (TAGGED.replace("regions", "#"), IamScopeError::Missing { field: "regions" }),
        (TAGGED.replace("\"eu-central-1\"", ""), field("regions")),
        (TAGGED.replace("eu-central-1", "EU"), field("regions")),
        (TAGGED.replace("\"eu-central-1\"", "\"eu-west-1\", \"eu-west-1\""), field("regions")),
        (TAGGED.replace("\"eu-central-1\"", "\"eu-west-1\", \"cn-north-1\""), field("regions")),
        (TAGGED.replace("custodian", "#"), IamScopeError::Missing { field: "custodian" }),
        (TAGGED.replace("cccc", "CCCC"), field("custodian")),
        (more("algorithms = [\"s3cret-input\"]"), malformed(1, "algorithms")),
        (more("algorithms = []"), field("algorithms")),
        (more("algorithms = [\"bip340\"]"), field("algorithms")),
        (more("deletion_days = 6"), field("deletion_days")),
        (more("deletion_days = 31"), field("deletion_days")),
        (more("deletion_days = 300"), malformed(1, "deletion_days")),
        (more("rotation_days = 89"), field("rotation_days")),
        (more("rotation_days = 2561"), field("rotation_days")),
        (more("multi_region = \"s3cret-input\""), malformed(1, "multi_region")),
        (more("signing_keys = [\"alias/custody/s3cret-input\"]"), field("signing_keys")),
        (
            more("signing_keys = [\"arn:aws:kms:eu-west-1:111122223333:key/12\"]"),
            field("signing_keys"),
        ),
        (
            more("sealing_keys = [\"arn:aws:kms:eu-central-1:444455556666:key/12\"]"),
            field("sealing_keys"),
        ),
        (
            more("sealing_keys = [\"arn:aws-cn:kms:eu-central-1:111122223333:key/12\"]"),
            field("sealing_keys"),
        ),
        (
            SCOPE.replace(
                "1234abcd-12ab-34cd-56ef-1234567890ab",
                "mrk-1234abcd12ab34cd56ef1234567890ab",
            ),
            field("sealing_keys"),
        ),
        (SCOPE.replace("alias/custody-wallets", "custody-wallets"), field("sealing_aliases")),
        (SCOPE.replace("alias/custody-wallets", "alias/"), field("sealing_aliases")),
        (SCOPE.replace("alias/custody-wallets", "alias/custody/1"), field("sealing_aliases")),
        (SCOPE.replace("alias/custody-wallets", "alias/aws/ebs"), field("sealing_aliases")),
        (SCOPE.replace("alias/custody-wallets", "alias/s3cret-input*"), field("sealing_aliases")),
        (more("sealing_aliases = [\"alias/of-no-key\"]"), field("sealing_aliases")),
        (SCOPE.replace("sign = [", "s3cret-input = ["), field("principals")),
        (SCOPE.replace("role/auditor", "*"), field("principals")),
        (SCOPE.replace("arn:aws:iam::111122223333:role/auditor", cn), field("principals")),
        ("s3cret-input".to_owned(), malformed(1, "")),
        (format!("{TAGGED}account = \"444455556666\""), malformed(4, "account")),
    ] {
        let found = IamScope::parse(&text).unwrap_err();
        assert_eq!(found, error, "{text}");
        assert!(!format!("{found} {found:?}").contains("s3cret-input"), "{found}");
    }
    for (text, days) in [("deletion_days = 7", 7), ("deletion_days = 30", 30)] {
        assert!(IamScope::parse(&more(text)).is_ok(), "{days}");
    }
}

#[test]
fn every_use_has_a_name_that_is_read_back() {
    for one in Use::ALL {
        assert_eq!(Use::parse(one.as_str()), Some(one));
    }
    for text in ["", "Sign", "signing", "all", "*"] {
        assert_eq!(Use::parse(text), None, "{text}");
    }
}
