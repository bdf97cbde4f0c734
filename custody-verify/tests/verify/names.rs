//! Orders whose payloads were read with a host's own names of contracts.

use custody_chain::{AbiRegistry, EvmDecoder};
use custody_core::caip::AccountId;
use custody_core::custodian::Outcome;
use custody_core::seam::Decoder as _;
use serde_json::json;

use crate::support::{ETHER, House, Insider, Verifier, call, released};

const VAULT: [u8; 20] = [0xcc; 20];
const ABI: &str = r#"[{"type": "function", "name": "pull", "stateMutability": "nonpayable",
    "inputs": [{"name": "units", "type": "uint256"}], "outputs": []}]"#;
/// The same function with another name for its argument.
const OTHER_ABI: &str = r#"[{"type": "function", "name": "pull", "stateMutability": "nonpayable",
    "inputs": [{"name": "percent", "type": "uint256"}], "outputs": []}]"#;
const ERC7730: &str = r#"{"context": {"contract": {"deployments": [{"chainId": 1,
    "address": "0xcccccccccccccccccccccccccccccccccccccccc"}]}},
    "display": {"formats": {"pull(uint256 units)": {}}}}"#;

fn vault() -> AccountId {
    AccountId::parse(&format!("eip155:1:0x{}", "cc".repeat(20))).unwrap()
}

/// A house that knows the vault, and was asked to pull from it.
fn house(abis: AbiRegistry) -> House {
    let house = House::with_abis(abis);
    house.wallet("hot-1");
    let pull = [&[0x4d, 0x03, 0x92, 0xa8][..], &[0; 31], &[7]].concat();
    let answer = house.transaction("hot-1", call(1, VAULT, 0, &pull));
    assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    house
}

fn with_abi() -> AbiRegistry {
    let mut abis = AbiRegistry::new();
    abis.add_json_abi(&vault(), ABI).unwrap();
    abis
}

#[test]
fn a_log_is_verified_with_the_names_of_its_custodian_and_refused_with_others() {
    let house = house(with_abi());
    let (log, id, key) = (house.export("log"), house.custodian.id(), house.verifier_key(0));
    let verifier = Verifier::new(&log, &id, &key);
    let abi = |name: &str, text: &str| {
        format!("{}={}", vault().as_str(), house.file(name, text).display())
    };
    verifier.clone().with("--abi", abi("abi", ABI)).run().assert_verified();
    // A descriptor that says the same gives the same names.
    verifier.clone().with("--erc7730", house.file("7730", ERC7730)).run().assert_verified();
    let reason = "decoded by a decoder that is not here";
    verifier.run().assert_failed(reason);
    verifier.clone().with("--abi", abi("other", OTHER_ABI)).run().assert_failed(reason);
    let wrapped =
        verifier.clone().with("--abi", abi("again", ABI)).with("--wrapped", vault().as_str());
    wrapped.run().assert_failed(reason);
}

#[test]
fn what_was_decoded_without_names_is_taken_beside_names_only_if_that_is_asked_for() {
    let house = House::new(10_000);
    house.wallet("hot-1");
    house.know_payee();
    let orders = [4, 8].map(|part| house.transfer("hot-1", ETHER / part));
    for answer in &orders {
        released(answer);
    }
    let decoders = [EvmDecoder::new(), EvmDecoder::new().with_abis(with_abi())];
    let [plain, named] = decoders.map(|decoder| decoder.id().to_string());
    // As if the host had given names to its decoder between the two.
    let mut log = Insider::new(&house);
    let first = log.find("order_submitted", &orders[0].order);
    let second = log.edit_order(&orders[1].order, |order| {
        order["work"]["payload"]["decoder"] = json!(named);
    });

    let abi = format!("{}={}", vault().as_str(), house.file("abi", ABI).display());
    let reason = "decoded by a decoder that is not here";
    log.verify().assert_failed_at(second, reason);
    log.verify_with(|verifier| verifier.flag("--accept-plain")).assert_failed_at(second, reason);
    let with_names = log.verify_with(|verifier| verifier.with("--abi", &abi));
    with_names.assert_failed_at(first, reason);
    let both = |verifier: Verifier| verifier.with("--abi", &abi).flag("--accept-plain");
    let answer = log.verify_with(both);
    answer.assert_verified();
    let told = format!(
        "  1 by {plain}, entries {first} to {first}\n  \
         1 by {named}, entries {second} to {second}\n"
    );
    assert!(answer.text.contains(&told), "{told} in {answer:?}");
    let found = log.verify_with(|verifier| both(verifier).flag("--json")).json();
    let decoders = json!({
        plain: { "orders": 1, "first": first, "last": first },
        named: { "orders": 1, "first": second, "last": second },
    });
    assert_eq!(found["decoders"], decoders);
}

#[test]
fn what_is_no_description_of_a_contract_is_refused() {
    let house = house(AbiRegistry::new());
    let (log, id, key) = (house.export("log"), house.custodian.id(), house.verifier_key(0));
    let verifier = Verifier::new(&log, &id, &key);
    verifier.run().assert_verified();
    let empty = house.file("empty", "[]");
    let answers = [
        verifier.clone().with("--abi", format!("{}={}", vault().as_str(), empty.display())).run(),
        verifier.clone().with("--erc7730", house.file("none", "{}")).run(),
    ];
    for answer in answers {
        answer.assert_failed("describes no contract");
    }
    for (name, value) in [
        ("--abi", "eip155:1"),
        ("--abi", "no account=file"),
        ("--wrapped", "no account"),
        ("--erc7730", "no such file"),
    ] {
        let answer = verifier.clone().with(name, value).run();
        assert_eq!(answer.code, 2, "{name} {value}: {answer:?}");
    }
    verifier.with("--wrapped", "solana:1:abc").run().assert_failed("wrapped coin");
}
