//! Whether a key that was found, and not seen being made, is as keys are made here.
//!
//! Tags and aliases say what a key is for and not who made it: whoever may make keys in the account could
//! make one that bears them, and let itself in. A key of which the policy is not the one that KMS gives by
//! itself, that has a grant, or that lives in another region too, where it has another policy, is
//! therefore never taken for one of ours.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, MultiRegionKeyType};
use serde::Deserialize;

use super::looking;
use crate::arn::KeyArn;
use crate::backend::KmsBackend;
use crate::config::RegionName;
use crate::fault::KmsFault;

/// A key policy with as much in it as the one that KMS gives by itself; any other does not fit here
/// (KMS developer guide, "Default key policy").
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct KeyPolicy {
    #[serde(rename = "Version")]
    _version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: [Statement; 1],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    principal: Principal,
    action: String,
    resource: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
struct Principal {
    aws: String,
}

impl KmsBackend {
    /// Whether nobody but the account itself was let in to the key.
    pub(super) async fn is_as_made(
        &self,
        home: &RegionName,
        arn: &KeyArn,
        metadata: &KeyMetadata,
    ) -> Result<bool, KmsFault> {
        if !self.is_in_one_place(metadata) {
            return Ok(false);
        }
        let policy = self.kms.call(looking(home), |client: Client| {
            client.get_key_policy().key_id(arn.as_str()).policy_name("default").send()
        });
        let policy = policy.await?;
        if !policy.policy().is_some_and(|text| is_usual_policy(text, arn)) {
            return Ok(false);
        }
        let grants = self.kms.call(looking(home), |client: Client| {
            client.list_grants().key_id(arn.as_str()).limit(1).send()
        });
        let grants = grants.await?;
        Ok(grants.grants().is_empty() && !grants.truncated())
    }

    /// Whether the key is in several regions if ours are, and has no replica yet.
    fn is_in_one_place(&self, metadata: &KeyMetadata) -> bool {
        if metadata.multi_region().unwrap_or_default() != self.kms.config().multi_region {
            return false;
        }
        metadata.multi_region_configuration().is_none_or(|places| {
            places.multi_region_key_type() == Some(&MultiRegionKeyType::Primary)
                && places.replica_keys().is_empty()
        })
    }
}

/// Whether a policy is the one that KMS gives a key that is made without one: the account decides, through
/// IAM, and nobody else.
///
/// Public for the fuzz targets, and no part of the API.
#[must_use]
pub fn is_usual_policy(text: &str, arn: &KeyArn) -> bool {
    // A list is read as an object too, its items as the fields. The only list is that of statements.
    if text.matches('[').count() != 1 {
        return false;
    }
    let Ok(KeyPolicy { statement: [only], .. }) = serde_json::from_str::<KeyPolicy>(text) else {
        return false;
    };
    only.effect == "Allow"
        && only.action == "kms:*"
        && only.resource == "*"
        && only.principal.aws == format!("arn:{}:iam::{}:root", arn.partition(), arn.account())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = r#"{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":
        "Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":
        "arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}]}"#;

    fn is_usual(text: &str) -> bool {
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        super::is_usual_policy(text, &KeyArn::parse(arn).unwrap())
    }

    #[test]
    fn the_policy_that_kms_gives_is_known() {
        assert!(is_usual(USUAL));
        assert!(is_usual(&USUAL.replace(r#""Id":"key-default-1","#, "")));
    }

    #[test]
    fn every_other_policy_is_refused() {
        let statement =
            r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Sign","Resource":"*"}"#;
        let (second, twice) = (
            format!(r#""Resource":"*"}},{statement}]"#),
            format!(r#"],"Statement":[{statement}]}}"#),
        );
        let cases: &[(&str, &str)] = &[
            ("111122223333:root", "111122223333:user/mallory"),
            ("111122223333:root", "444455556666:root"),
            ("arn:aws:iam", "arn:aws-cn:iam"),
            (r#""arn:aws:iam::111122223333:root""#, r#""*""#),
            (r#"{"AWS":"#, r#"{"Federated":"#),
            (r#"{"AWS":"#, r#"{"AWS":"arn:aws:iam::111122223333:root","AWS":"#),
            (r#"{"AWS":"#, r#"{"Service":"events.amazonaws.com","AWS":"#),
            (r#""Effect":"Allow","#, ""),
            (r#""Allow","#, r#""Deny","#),
            (r#""Resource":"*"}"#, r#""Resource":"*","Condition":{}}"#),
            (r#""Principal""#, r#""NotPrincipal""#),
            (r#""Action":"kms:*""#, r#""NotAction":"kms:*""#),
            (r#""Action":"kms:*""#, r#""Action":["kms:*"]"#),
            (r#""Resource":"*"}]"#, &second),
            (r#"]}"#, &twice),
            (
                r#""Principal":"#,
                r#""Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Principal":"#,
            ),
        ];
        for (from, to) in cases {
            let text = USUAL.replace(from, to);
            assert_ne!(text, USUAL, "{from}");
            assert!(!is_usual(&text), "{text}");
        }
        let listed =
            r#"["2012-10-17",null,[["","Allow",["arn:aws:iam::111122223333:root"],"kms:*","*"]]]"#;
        let principal = r#"{"Statement":[{"Effect":"Allow","Action":"kms:*",
            "Resource":"*","Principal":["arn:aws:iam::111122223333:root"]}]}"#;
        for text in [listed, principal, "", "null", "{}", r#"{"Statement":[]}"#, statement] {
            assert!(!is_usual(text), "{text}");
        }
    }
}
