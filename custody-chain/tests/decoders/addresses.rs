//! Addresses: strict reading, keys, accounts and paths.

use custody_chain::{EvmAddress, EvmAddressError};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::Algorithm;
use custody_testkit::vectors;
use k256::ecdsa::SigningKey;

use crate::support::{MAINNET, public, public_of};

/// The first example of EIP-55.
const CHECKSUMMED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn mainnet() -> ChainId {
    ChainId::parse(MAINNET).unwrap()
}

#[test]
fn addresses_of_ethers_are_read_written_and_found_from_their_keys() {
    let json = vectors::json("ethereum/ethers/accounts.json.gz");
    let (mut keys, mut lower) = (0, 0);
    for case in json.as_array().unwrap() {
        let text = |field: &str| case[field].as_str().unwrap();
        let (plain, checksummed) = (text("address"), text("checksumAddress"));
        let address = EvmAddress::parse(&mainnet(), checksummed).unwrap();
        assert_eq!(address.to_string(), checksummed);
        assert_eq!(*address.account(), AccountId::parse(&format!("eip155:1:{plain}")).unwrap());
        assert_eq!(EvmAddress::of_account(address.account()).unwrap(), address);
        assert_eq!(EvmAddress::parse_unchecked(&mainnet(), plain).unwrap(), address);
        if plain != checksummed {
            let refused = EvmAddress::parse(&mainnet(), plain);
            assert_eq!(refused, Err(EvmAddressError::Checksum));
            lower += 1;
        }
        if let Some(secret) = case["privateKey"].as_str() {
            let key =
                SigningKey::from_slice(&hex::decode(secret.trim_start_matches("0x")).unwrap())
                    .unwrap();
            assert_eq!(EvmAddress::of_key(&mainnet(), &public(&key)).unwrap(), address);
            keys += 1;
        }
    }
    assert_eq!((json.as_array().unwrap().len(), keys, lower), (703, 697, 700));
}

#[test]
fn an_address_in_another_case_or_form_is_refused() {
    for at in CHECKSUMMED.char_indices().skip(2).filter(|(_, c)| c.is_ascii_alphabetic()) {
        let mut changed = CHECKSUMMED.to_owned().into_bytes();
        changed[at.0] ^= 0x20;
        let changed = String::from_utf8(changed).unwrap();
        let refused = EvmAddress::parse(&mainnet(), &changed);
        assert_eq!(refused, Err(EvmAddressError::Checksum), "{changed}");
    }
    let digits = CHECKSUMMED.trim_start_matches("0x");
    for text in [
        String::new(),
        digits.to_owned(),
        format!("0X{digits}"),
        format!(" {CHECKSUMMED}"),
        format!("{CHECKSUMMED} "),
        format!("{CHECKSUMMED}0"),
        format!("0x0{digits}"),
        CHECKSUMMED.trim_end_matches('d').to_owned(),
        CHECKSUMMED.replace('6', "g"),
        CHECKSUMMED.replace('a', "а"),
    ] {
        let text = text.as_str();
        assert_eq!(EvmAddress::parse(&mainnet(), text), Err(EvmAddressError::Text), "{text:?}");
        let refused = EvmAddress::parse_unchecked(&mainnet(), text);
        assert_eq!(refused, Err(EvmAddressError::Text), "{text:?}");
    }
}

#[test]
fn an_address_is_on_an_evm_chain_and_of_a_secp256k1_key() {
    for chain in ["bip122:000000000019d6689c085ae165831e93", "solana:1", "eip155:01", "eip155:x"] {
        let other = ChainId::parse(chain).unwrap();
        let refused = EvmAddress::parse(&other, CHECKSUMMED);
        assert_eq!(refused, Err(EvmAddressError::Chain), "{chain}");
        let key = public_of(Algorithm::EcdsaSecp256k1);
        assert_eq!(EvmAddress::of_key(&other, &key), Err(EvmAddressError::Chain), "{chain}");
        let account = AccountId::new(&other, &CHECKSUMMED.to_lowercase()).unwrap();
        assert_eq!(EvmAddress::of_account(&account), Err(EvmAddressError::Chain), "{chain}");
    }
    for algorithm in Algorithm::ALL.into_iter().filter(|one| *one != Algorithm::EcdsaSecp256k1) {
        let refused = EvmAddress::of_key(&mainnet(), &public_of(algorithm));
        assert_eq!(refused, Err(EvmAddressError::Key), "{algorithm}");
    }
    let other = ChainId::parse("eip155:10").unwrap();
    let here = EvmAddress::parse(&mainnet(), CHECKSUMMED).unwrap();
    let there = EvmAddress::parse(&other, CHECKSUMMED).unwrap();
    assert_eq!(here.to_string(), there.to_string());
    assert_ne!(here, there);
}

#[test]
fn paths_are_those_of_bip_44() {
    assert_eq!(EvmAddress::path(0, 5).unwrap().to_string(), "m/44'/60'/0'/0/5");
    assert_eq!(EvmAddress::path(1, 0).unwrap().to_string(), "m/44'/60'/1'/0/0");
    let most = (1 << 31) - 1;
    assert!(EvmAddress::path(most, most).is_some());
    assert_eq!(EvmAddress::path(most + 1, 0), None);
    assert_eq!(EvmAddress::path(0, most + 1), None);
}
