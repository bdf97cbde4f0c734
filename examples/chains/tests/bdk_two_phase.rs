//! The example ends as it says, with addresses of both kinds.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../bdk_two_phase/steps.rs"]
mod steps;

use custody_chain::AddressKind;

async fn ends_as_it_says(kind: AddressKind, prefix: &str) {
    let directory = tempfile::tempdir().unwrap();
    let told = steps::run(directory.path(), kind).await.unwrap();
    let starts = [
        prefix,
        "0.2 coins: released, receipt at entry ",
        "  transfer 20000000 bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1 to bcrt1qs758ursh4",
        "  pay a fee of ",
        "  with one satoshi changed: invalid",
        "  as it was signed: valid",
        "0.7 coins: pending",
        "0.7 coins, approved: the same call gives the transaction, valid",
        "0.9 coins: denied by too-large",
    ];
    assert_eq!(told.len(), starts.len(), "{told:?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[tokio::test]
async fn payments_from_p2wpkh_are_signed_approved_and_denied() {
    ends_as_it_says(AddressKind::WitnessKeyHash, "bcrt1q").await;
}

#[tokio::test]
async fn payments_from_p2tr_are_signed_approved_and_denied() {
    ends_as_it_says(AddressKind::Taproot, "bcrt1p").await;
}
