//! The example ends as it says, on a node of Ethereum.

#[path = "../alloy_provider/steps.rs"]
mod steps;

#[tokio::test]
#[ignore = "needs the node that `cargo xtask test` installs"]
async fn a_denied_a_waiting_and_a_given_up_payment_never_keep_the_next_from_being_mined() {
    let directory = tempfile::tempdir().unwrap();
    let told = steps::run(&directory.path().join("house")).await.unwrap();
    let starts = [
        "wallet hot: 0x",
        "0.5 ETH, nonce 0: mined in block 1",
        "150 ETH, nonce 1: denied, order ",
        "0.25 ETH, nonce 1: mined in block 2",
        "20 ETH, nonce 2: waits for approvals, order ",
        "the same, approved: mined in block 3",
        "30 ETH, nonce 3: waits for approvals, order ",
        "it is given up; 0.125 ETH, nonce 3: mined in block 4",
        "balance of the known receiver: 875000000000000000 wei",
        "balance of the other receiver: 20000000000000000000 wei",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}
