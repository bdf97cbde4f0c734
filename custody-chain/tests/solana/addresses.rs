//! Addresses: strict reading, keys and accounts.

use custody_chain::{SolanaAddress, SolanaAddressError};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::Algorithm;
use custody_testkit::key::TestKey;

use crate::support::{CHAIN, SYSTEM, TOKEN, address_of, keys};

fn chain() -> ChainId {
    ChainId::parse(CHAIN).unwrap()
}

#[test]
fn an_address_is_read_written_and_found_from_its_key() {
    for key in keys() {
        let text = address_of(&key).to_string();
        let address = SolanaAddress::parse(&chain(), &text).unwrap();
        assert_eq!((address.as_str(), address.to_string()), (text.as_str(), text.clone()));
        assert_eq!(*address.account(), AccountId::parse(&format!("{CHAIN}:{text}")).unwrap());
        assert_eq!(SolanaAddress::of_account(address.account()).unwrap(), address);
        assert_eq!(SolanaAddress::of_key(&chain(), key.public_key()).unwrap(), address);
    }
    for text in [TOKEN, SYSTEM.to_string().as_str()] {
        assert_eq!(SolanaAddress::parse(&chain(), text).unwrap().as_str(), text);
    }
}

#[test]
fn a_text_that_is_not_the_one_text_of_32_bytes_is_refused() {
    let longer = bs58::encode([7; 33]).into_string();
    let shorter = bs58::encode([7; 31]).into_string();
    for text in [
        "",
        "1",
        &"1".repeat(31),
        &format!("1{SYSTEM}"),
        &format!("1{TOKEN}"),
        &format!(" {TOKEN}"),
        &format!("{TOKEN}\n"),
        TOKEN.trim_end_matches('A'),
        &TOKEN.replace('T', "0"),
        &TOKEN.replace('T', "Т"),
        &longer,
        &shorter,
        &"1".repeat(10_000),
    ] {
        let refused = SolanaAddress::parse(&chain(), text);
        assert_eq!(refused, Err(SolanaAddressError::Text), "{text:.60?}");
    }
}

#[test]
fn an_address_is_on_solana_and_of_an_ed25519_key() {
    let [key, _] = keys();
    for chain in ["eip155:1", "bip122:000000000019d6689c085ae165831e93"] {
        let other = ChainId::parse(chain).unwrap();
        assert_eq!(SolanaAddress::parse(&other, TOKEN), Err(SolanaAddressError::Chain), "{chain}");
        let refused = SolanaAddress::of_key(&other, key.public_key());
        assert_eq!(refused, Err(SolanaAddressError::Chain), "{chain}");
        let account = AccountId::new(&other, TOKEN).unwrap();
        assert!(SolanaAddress::of_account(&account).is_err(), "{chain}");
    }
    for algorithm in Algorithm::ALL.into_iter().filter(|one| *one != Algorithm::Ed25519) {
        let key = TestKey::seeded(algorithm, 1);
        let refused = SolanaAddress::of_key(&chain(), key.public_key());
        assert_eq!(refused, Err(SolanaAddressError::Key), "{algorithm}");
    }
}
