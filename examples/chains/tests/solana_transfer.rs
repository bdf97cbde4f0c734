//! The example ends as it says, in the virtual machine of Solana.

#[path = "../solana_transfer/steps.rs"]
mod steps;

#[tokio::test]
#[ignore = "needs the Python environment that `cargo xtask test` makes"]
async fn a_payment_is_signed_executed_once_and_refused_when_changed() {
    let directory = tempfile::tempdir().unwrap();
    let told = steps::run(directory.path()).await.unwrap();
    let starts = [
        "wallet hot: ",
        "2 SOL: released, receipt at entry ",
        "with one byte changed: refused, TransactionErrorFieldless.SignatureFailure",
        "as it was signed: executed as ",
        "a second time: refused, TransactionErrorFieldless.AlreadyProcessed",
        "6 SOL: denied by too-large",
        "balance of the receiver: 2000000000 lamports",
        "balance of the wallet: 7999995000 lamports",
    ];
    assert_eq!(told.len(), starts.len());
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}
