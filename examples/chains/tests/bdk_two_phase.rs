//! The example ends as it says, with addresses of both kinds.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../bdk_two_phase/steps.rs"]
mod steps;

use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::Network;
use custody_chain::{AdapterError, AddressKind, BitcoinError, bdk_descriptors};
use custody_core::command::Command;
use custody_core::custodian::Error;
use custody_core::seam::WalletDescriptor;
use examples_chains::house::House;
use tempfile::TempDir;

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

/// A house whose wallet has one account, and its descriptor, which is recorded.
async fn house() -> (TempDir, House, WalletDescriptor) {
    let (directory, kind) = (tempfile::tempdir().unwrap(), AddressKind::WitnessKeyHash);
    let house = House::create(directory.path(), steps::plan(kind).unwrap()).await.unwrap();
    let descriptor = steps::account(&house, kind).await.unwrap();
    let (wallet, recorded) = (house.wallet().clone(), descriptor.clone());
    let command = Command::RegisterDescriptor { wallet, descriptor: recorded };
    house.execute("descriptor", command).await.unwrap();
    (directory, house, descriptor)
}

fn watching(descriptor: &WalletDescriptor, network: Network) -> Wallet {
    let params = Wallet::create_from_two_path_descriptor(descriptor.as_str().to_owned());
    params.network(network).create_wallet_no_persist().unwrap()
}

#[tokio::test]
async fn a_wallet_of_another_network_is_refused_before_anything_is_asked() {
    let (_directory, house, descriptor) = house().await;
    let mut own = watching(&descriptor, Network::Regtest);
    let first = own.reveal_next_address(KeychainKind::External).address;
    steps::receive(&mut own, &first).unwrap();
    let asked = steps::build(&mut own, 1_000_000).unwrap();
    for network in [Network::Signet, Network::Testnet, Network::Testnet4] {
        let (mut psbt, other) = (asked.clone(), watching(&descriptor, network));
        let error = house.signer().unwrap().sign_psbt_of(&other, &mut psbt).await.unwrap_err();
        assert!(matches!(error, AdapterError::Unsupported { .. }), "{network}: {error:?}");
        assert_eq!(psbt, asked, "{network}");
    }
    let mut psbt = asked.clone();
    let signed = house.signer().unwrap().sign_psbt_of(&own, &mut psbt).await.unwrap();
    assert!(signed.transaction.is_some());
}

#[tokio::test]
async fn an_address_that_is_no_account_of_the_custodian_is_not_spent() {
    let (_directory, house, descriptor) = house().await;
    let mut wallet = watching(&descriptor, Network::Regtest);
    let _first = wallet.reveal_next_address(KeychainKind::External);
    let second = wallet.reveal_next_address(KeychainKind::External).address;
    steps::receive(&mut wallet, &second).unwrap();
    let mut psbt = steps::build(&mut wallet, 1_000_000).unwrap();
    let error = house.signer().unwrap().sign_psbt_of(&wallet, &mut psbt).await.unwrap_err();
    let AdapterError::Custodian(Error::Decode(refused)) = &error else { panic!("{error:?}") };
    assert_eq!(refused.reason.downcast_ref(), Some(&BitcoinError::NothingOfOurs));
}

#[tokio::test]
async fn the_descriptors_of_a_wallet_are_public_and_one_for_each_branch() {
    let (_directory, _house, descriptor) = house().await;
    let wallet = watching(&descriptor, Network::Regtest);
    let found = bdk_descriptors(&wallet).unwrap();
    let branches = ["/0/*)#", "/1/*)#"];
    assert_eq!(found.len(), branches.len());
    for (descriptor, branch) in found.iter().zip(branches) {
        assert!(descriptor.as_str().contains(branch), "{}", descriptor.as_str());
        assert!(!descriptor.as_str().contains("prv"));
    }
}
