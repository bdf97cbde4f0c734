//! Orders that more than one key signs: what one of them has signed is never taken for nothing.

use std::sync::Arc;

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request};
use custody_core::id::{KeyId, RequestId, WalletId};
use custody_core::seam::{ErrorKind, Exportability};
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::fault::Fault;
use custody_testkit::policy::TestRules;

use crate::host::Host;
use crate::liars::{furnish, genesis, replay};
use crate::world::words;

const RULES: &str = "allow create_wallet\nallow create_key\nallow transfer\n\
                     need treasurer 1 update_policy\n";
const KEYS: [&str; 2] = ["hot.0", "hot.1"];

/// A host whose wallet has two keys, over a backend that fails as it is told.
async fn house() -> (Host, Custodian, Arc<FailingBackend>) {
    let mut host = Host::new();
    host.compiler = Arc::new(TestRules::new());
    let backend = Arc::new(FailingBackend::new(host.backend()));
    let builder = host.builder().await.backend(Arc::<FailingBackend>::clone(&backend));
    let builder = builder.decoder(Arc::new(TestDecoder::new()));
    let custodian = builder.create(genesis(&host, RULES)).await.unwrap();
    furnish(&host, &custodian, &TestTransfer::chain()).await;
    let second = Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(KEYS[1]).unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    assert_eq!(words::of(&host.govern(&custodian, "second-key", second).await), "released");
    (host, custodian, backend)
}

/// Has a payment signed by both keys.
async fn pay(host: &Host, custodian: &Custodian, id: &str) -> Result<Answer, Error> {
    let keys = KEYS.map(|key| KeyId::parse(key).unwrap());
    let transfer =
        TestTransfer { signers: keys.to_vec(), ..TestTransfer::of(1, "anybody", &keys[0], 1) };
    let (requester, wallet) = (host.people.olivia.id.clone(), WalletId::parse("hot").unwrap());
    let id = RequestId::parse(id).unwrap();
    custodian.submit(Request::payload(requester, id, wallet, transfer.payload())).await
}

#[tokio::test]
async fn both_keys_sign_and_both_signatures_are_released() {
    let (host, custodian, backend) = house().await;
    let paid = pay(&host, &custodian, "paid").await.unwrap();
    let Outcome::Released(release) = &paid.outcome else { panic!("{paid:?}") };
    let signed: Vec<_> = release.signatures.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(signed, KEYS);
    assert_eq!(backend.plan().count(BackendCall::Sign), 2);
}

#[tokio::test]
async fn a_failure_after_the_first_signature_leaves_the_order_unknown() {
    let kinds = [
        (ErrorKind::Refused, "BackendRefused"),
        (ErrorKind::Unavailable, "BackendUnavailable"),
        (ErrorKind::Indeterminate, "BackendIndeterminate"),
    ];
    for (kind, reason) in kinds {
        for signed_before in [0, 1] {
            let (host, custodian, backend) = house().await;
            backend.plan().at(BackendCall::Sign, signed_before, Fault::fail(kind));
            let heard = words::of(&pay(&host, &custodian, "paid").await);
            let is_failed = signed_before == 0 && kind != ErrorKind::Indeterminate;
            let state = if is_failed { "failed" } else { "unknown" };
            assert_eq!(heard, format!("{state} {reason}"), "{signed_before} signed before");
            assert_eq!(backend.plan().count(BackendCall::Sign), signed_before + 1);
            let (rules, decoder) = (Arc::new(TestRules::new()), Arc::new(TestDecoder::new()));
            let report = replay(&host.store, custodian.id(), rules, vec![decoder]).await.unwrap();
            assert_eq!(report.released, 0, "{kind:?}");
        }
    }
}
