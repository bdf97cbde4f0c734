//! The Bitcoin networks, by their CAIP-2 names.
//!
//! Invariant: a network is named by the hash of its first block, and by nothing in a payload.

use bitcoin::{Address, Network, Script};
use custody_core::caip::{AccountId, AssetId, CaipError, ChainId};

/// The network of a chain; none if the chain is no Bitcoin network.
pub(crate) fn of(chain: &ChainId) -> Option<Network> {
    let reference = chain.reference();
    let known = NETWORKS.iter().find(|(genesis, _)| *genesis == reference);
    known.filter(|_| chain.namespace() == "bip122").map(|(_, network)| *network)
}

/// The native asset of a chain: coin type 0 on the main network and 1 on all others (SLIP-44).
pub(super) fn asset(chain: &ChainId, network: Network) -> Result<AssetId, CaipError> {
    let coin = if network == Network::Bitcoin { "0" } else { "1" };
    AssetId::parse(&format!("{chain}/slip44:{coin}"))
}

/// The account of a script; none if it has no address.
pub(super) fn account(
    chain: &ChainId,
    network: Network,
    script: &Script,
) -> Result<Option<AccountId>, CaipError> {
    let address = Address::from_script(script, network).ok();
    address.map(|address| AccountId::new(chain, &address.to_string())).transpose()
}

/// The first 32 hex digits of the hash of the first block (CAIP-4), and the network.
const NETWORKS: [(&str, Network); 5] = [
    ("000000000019d6689c085ae165831e93", Network::Bitcoin),
    ("000000000933ea01ad0ee984209779ba", Network::Testnet),
    ("00000000da84f2bafbbc53dee25a72ae", Network::Testnet4),
    ("00000008819873e925422c1ff0f99f7c", Network::Signet),
    ("0f9188f13cb7b2c71f2a335e3a4fc328", Network::Regtest),
];

#[cfg(test)]
mod tests {
    use bitcoin::constants::genesis_block;

    use super::*;

    #[test]
    fn each_network_is_named_by_its_first_block() {
        for (reference, network) in NETWORKS {
            let hash = genesis_block(network).block_hash().to_string();
            assert!(hash.starts_with(reference), "{network}");
            let chain = ChainId::parse(&format!("bip122:{reference}")).unwrap();
            assert_eq!(of(&chain), Some(network));
        }
    }

    #[test]
    fn other_chains_are_no_network() {
        for text in [
            "eip155:1",
            "bip122:000000000019d6689c085ae165831e94",
            "bip122:000000000019D6689C085AE165831E93",
            "other:000000000019d6689c085ae165831e93",
            "bip122:0",
        ] {
            assert_eq!(of(&ChainId::parse(text).unwrap()), None, "{text}");
        }
    }
}
