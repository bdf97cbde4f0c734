//! The worst-case fee.

use crate::support::{
    BUDGET, Ix, address_of, decode, ix, keys, me, message, other, parts, pay, told,
};

fn limit(units: u32) -> Ix {
    ix(BUDGET, &[], &[&[2][..], &units.to_le_bytes()].concat())
}

fn price(micro: u64) -> Ix {
    ix(BUDGET, &[], &[&[3][..], &micro.to_le_bytes()].concat())
}

fn precompile(program: &str, count: u8) -> Ix {
    ix(program, &[], &[count, 0])
}

const ED25519: &str = "Ed25519SigVerify111111111111111111111111111";
const SECP256K1: &str = "KeccakSecp256k11111111111111111111111111111";
const SECP256R1: &str = "Secp256r1SigVerify1111111111111111111111111";

#[test]
fn the_fee_is_the_worst_case() {
    let pays = pay(me(), other(1), 1);
    for (name, list, expected) in [
        ("no budget", vec![pays.clone()], 5_000),
        ("a limit without a price", vec![limit(1_000), pays.clone()], 5_000),
        ("price and limit", vec![limit(1_000), price(2_000_000), pays.clone()], 7_000),
        ("rounded up", vec![limit(1), price(1), pays.clone()], 5_001),
        ("exactly one lamport", vec![limit(1), price(1_000_000), pays.clone()], 5_001),
        ("one above", vec![limit(1), price(1_000_001), pays.clone()], 5_002),
        ("the default limit", vec![price(1_000_000), pays.clone()], 5_000 + 203_000),
        ("two of them", vec![price(1_000_000), pays.clone(), pays.clone()], 5_000 + 403_000),
        ("the largest limit", vec![limit(1_400_000), price(1_000_000), pays.clone()], 1_405_000),
        ("above it", vec![limit(u32::MAX), price(1_000_000), pays.clone()], 1_405_000),
        ("behind the payment", vec![pays.clone(), price(1_000_000), limit(7)], 5_007),
        ("no signature verified", vec![precompile(ED25519, 0), pays.clone()], 5_000),
        ("three of Ed25519", vec![precompile(ED25519, 3), pays.clone()], 20_000),
        ("two of secp256k1", vec![precompile(SECP256K1, 2), pays.clone()], 15_000),
        ("one of P-256", vec![precompile(SECP256R1, 1), pays.clone()], 10_000),
        (
            "the largest price",
            vec![limit(1_400_000), price(u64::MAX), pays.clone()],
            5_000 + u128::from(u64::MAX),
        ),
    ] {
        let lines = told(&decode(&message(&list)).unwrap());
        assert_eq!(lines.last().unwrap(), &format!("fee {expected}"), "{name}");
    }
}

#[test]
fn more_default_limits_than_a_transaction_has_cost_no_more() {
    let list = [vec![price(1_000_000)], vec![pay(me(), other(1), 1); 9]].concat();
    let lines = told(&decode(&message(&list)).unwrap());
    assert_eq!(lines.last().unwrap(), "fee 1405000");
}

#[test]
fn every_signer_costs() {
    let signers = [me(), address_of(&keys()[1]), other(7)];
    let bytes = parts(&signers, &[], &[pay(me(), other(1), 1)]).bytes();
    assert_eq!(told(&decode(&bytes).unwrap()).last().unwrap(), "fee 15000");
}

#[test]
fn a_budget_that_the_network_refuses_is_refused() {
    let pays = pay(me(), other(1), 1);
    let again = custody_chain::SolanaError::ComputeBudget { instruction: 1 };
    for (name, list) in [
        ("two limits", vec![limit(1), limit(1), pays.clone()]),
        ("two prices", vec![price(1), price(2), pays.clone()]),
        ("a byte more", vec![pays.clone(), ix(BUDGET, &[], &[2, 1, 0, 0, 0, 0])]),
        ("a byte less", vec![pays.clone(), ix(BUDGET, &[], &[2, 1, 0, 0])]),
        ("no data", vec![pays.clone(), ix(BUDGET, &[], &[])]),
        ("the unused number", vec![pays.clone(), ix(BUDGET, &[], &[0])]),
        ("an unknown number", vec![pays.clone(), ix(BUDGET, &[], &[9, 0, 0, 0, 0])]),
    ] {
        assert_eq!(decode(&message(&list)).unwrap_err(), again, "{name}");
    }
}
