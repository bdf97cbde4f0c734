//! Keys that bear our tags or our alias, and that others were let in to.

use aws_sdk_kms::types::GrantOperation;
use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, KeyBackend as _};
use custody_kms::{KmsBackend, KmsReason, aws_sdk_kms};

use crate::account::{HOME, record, request};
use crate::proxy::{Fault, Times};
use crate::{Behind, arn, reason};

const K1: Algorithm = Algorithm::EcdsaSecp256k1;

/// How somebody is let in to a key.
#[derive(Clone, Copy, Debug)]
enum Way {
    Grant,
    Policy,
}

impl Way {
    const ALL: [Self; 2] = [Self::Grant, Self::Policy];

    /// Lets somebody in. The answer is the id of a grant.
    async fn open(self, behind: &Behind, key: &str) -> Option<String> {
        let sdk = behind.account.sdk(HOME);
        let (root, other) = (person(behind, "root"), person(behind, "role/other"));
        match self {
            Self::Grant => {
                let made = sdk.create_grant().key_id(key).grantee_principal(&other);
                made.operations(GrantOperation::Sign).send().await.unwrap().grant_id
            }
            Self::Policy => {
                let both = policy(&format!("[\"{root}\",\"{other}\"]"));
                sdk.put_key_policy().key_id(key).policy(both).send().await.unwrap();
                None
            }
        }
    }

    /// Takes it back.
    async fn close(self, behind: &Behind, key: &str, grant: Option<String>) {
        let sdk = behind.account.sdk(HOME);
        match self {
            Self::Grant => {
                let taken = sdk.revoke_grant().key_id(key).grant_id(grant.unwrap());
                taken.send().await.unwrap();
            }
            Self::Policy => {
                let usual = policy(&format!("\"{}\"", person(behind, "root")));
                sdk.put_key_policy().key_id(key).policy(usual).send().await.unwrap();
            }
        }
    }
}

fn person(behind: &Behind, name: &str) -> String {
    format!("arn:aws:iam::{}:{name}", behind.account.number)
}

fn policy(principals: &str) -> String {
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\
         \"Principal\":{{\"AWS\":{principals}}},\"Action\":\"kms:*\",\"Resource\":\"*\"}}]}}"
    )
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_named_key_that_others_were_let_in_to_is_not_ours() {
    for way in Way::ALL {
        let behind = Behind::new();
        let made = record(&behind.backend(), &request("key", K1)).await;
        let grant = way.open(&behind, &arn(&made)).await;
        let error = behind.backend().generate(&request("key", K1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{way:?}");
        way.close(&behind, &arn(&made), grant).await;
        let again = record(&behind.backend(), &request("key", K1)).await;
        assert_eq!(again.public_key, made.public_key, "{way:?}");
        assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_tagged_key_that_others_were_let_in_to_is_passed_over() {
    for way in Way::ALL {
        let behind = Behind::new();
        behind.deny("CreateAlias");
        behind.backend().generate(&request("key", K1)).await.unwrap_err();
        behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
        let keys = behind.account.sdk(HOME).list_keys().send().await.unwrap();
        let planted = keys.keys()[0].key_arn.clone().unwrap();
        way.open(&behind, &planted).await;
        let made = record(&behind.backend(), &request("key", K1)).await;
        assert_ne!(arn(&made), planted, "{way:?}");
        assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (2, 2));
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_may_not_be_looked_at_is_neither_taken_nor_made_again() {
    for operation in ["GetKeyPolicy", "ListGrants"] {
        let behind = Behind::new();
        record(&behind.backend(), &request("named", K1)).await;
        behind.deny("CreateAlias");
        behind.backend().generate(&request("tagged", K1)).await.unwrap_err();
        behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
        behind.deny(operation);
        for key in ["named", "tagged"] {
            let error = behind.backend().generate(&request(key, K1)).await.unwrap_err();
            let told = (error.kind(), reason(&error));
            assert_eq!(told, (ErrorKind::Refused, KmsReason::AccessDenied), "{operation} {key}");
        }
        assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (2, 2));
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_lives_in_another_region_too_is_not_ours() {
    let behind = Behind::new();
    let mut config = behind.config();
    config.multi_region = true;
    let backend = || KmsBackend::new(behind.kms_with(config.clone())).unwrap();
    let made = record(&backend(), &request("key", K1)).await;
    record(&backend(), &request("key", K1)).await;
    // Keys of this house are in one region now.
    let error = behind.backend().generate(&request("key", K1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let replica = behind.account.sdk(HOME).replicate_key().key_id(arn(&made));
    replica.replica_region("us-west-2").send().await.unwrap();
    let error = backend().generate(&request("key", K1)).await.unwrap_err();
    assert_eq!((error.kind(), behind.proxy.calls("CreateKey")), (ErrorKind::Corrupt, 1));
}
