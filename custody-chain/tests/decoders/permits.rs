//! Typed data that spends: permits, and payments that somebody else may bring.

use alloy_primitives::U256;
use serde_json::{Map, Value, json};

use crate::typed_data::{address, document, permit, told};

const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

fn dai(allowed: bool) -> Value {
    document(
        "Permit",
        &[("Permit", "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed")],
        json!({ "holder": address("0b"), "spender": address("ee"), "nonce": 0, "expiry": 0, "allowed": allowed }),
    )
}

fn paid() -> Value {
    document(
        "TransferWithAuthorization",
        &[(
            "TransferWithAuthorization",
            "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce",
        )],
        json!({
            "from": address("0b"), "to": address("ee"), "value": "3", "validAfter": 0, "validBefore": 9,
            "nonce": format!("0x{}", "01".repeat(32)),
        }),
    )
}

#[test]
fn permits_and_authorisations_spend() {
    let details = "address token,uint160 amount,uint48 expiration,uint48 nonce";
    let detail = |amount: u64| json!({ "token": address("35"), "amount": amount, "expiration": 1, "nonce": 0 });
    let single = document(
        "PermitSingle",
        &[
            ("PermitSingle", "PermitDetails details,address spender,uint256 sigDeadline"),
            ("PermitDetails", details),
        ],
        json!({ "details": detail(5), "spender": address("ee"), "sigDeadline": 9 }),
    );
    let batch = document(
        "PermitBatch",
        &[
            ("PermitBatch", "PermitDetails[] details,address spender,uint256 sigDeadline"),
            ("PermitDetails", details),
        ],
        json!({ "details": [detail(5), detail(6)], "spender": address("ee"), "sigDeadline": 9 }),
    );
    let witness = document(
        "PermitWitnessTransferFrom",
        &[
            (
                "PermitWitnessTransferFrom",
                "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Order witness",
            ),
            ("TokenPermissions", "address token,uint256 amount"),
            ("Order", "string what"),
        ],
        json!({
            "permitted": { "token": address("35"), "amount": "8" }, "spender": address("ee"),
            "nonce": 1, "deadline": 2, "witness": { "what": "swap" },
        }),
    );
    let at_permit2 = |mut document: Value| {
        document["domain"]["verifyingContract"] = json!(PERMIT2);
        document
    };
    for (name, document, expected) in [
        ("EIP-2612", permit(), vec!["ee may take 7 /erc20:0xcc"]),
        ("DAI", dai(true), vec!["ee may take all /erc20:0xcc"]),
        ("DAI, taken back", dai(false), vec!["ee may take 0 /erc20:0xcc"]),
        ("EIP-3009", paid(), vec!["0b pays ee 3 /erc20:0xcc"]),
        ("Permit2", at_permit2(single.clone()), vec!["ee may take 5 /erc20:0x35"]),
        ("not Permit2", single, vec!["sign eip712", "ee may take 5 /erc20:0x35"]),
        (
            "Permit2 batch",
            at_permit2(batch),
            vec!["ee may take 5 /erc20:0x35", "ee may take 6 /erc20:0x35"],
        ),
        ("a witness", at_permit2(witness), vec!["sign eip712", "ee may take 8 /erc20:0x35"]),
    ] {
        assert_eq!(told(&document), expected, "{name}");
    }
}

/// A permit of Permit2, whose one token is USDC without end, with this witness.
fn witnessed(field: &str, types: &[(&str, &str)], witness: Value) -> Value {
    let fields = format!(
        "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,{field}"
    );
    let own = [
        ("PermitWitnessTransferFrom", fields.as_str()),
        ("TokenPermissions", "address token,uint256 amount"),
    ];
    let name = field.split_once(' ').unwrap().1;
    let mut document = document(
        "PermitWitnessTransferFrom",
        &[&own[..], types].concat(),
        json!({
            "permitted": { "token": address("35"), "amount": (U256::MAX).to_string() },
            "spender": address("ee"), "nonce": 1, "deadline": 2, name: witness,
        }),
    );
    document["domain"]["verifyingContract"] = json!(PERMIT2);
    document
}

#[test]
fn a_witness_takes_no_tokens_place_whatever_it_is_called() {
    let expected = ["sign eip712", "ee may take all /erc20:0x35"];
    let harmless = ("Details", "address token,uint256 amount");
    let one = json!({ "token": address("99"), "amount": 1 });
    for (field, types, witness) in [
        ("Details[] details", &[harmless][..], json!([])),
        ("Details[] details", &[harmless][..], json!([one])),
        ("Details details", &[harmless][..], one.clone()),
        ("uint256 details", &[][..], json!(1)),
        ("TokenPermissions details", &[][..], one.clone()),
        ("TokenPermissions[] tokens", &[][..], json!([one])),
    ] {
        assert_eq!(told(&witnessed(field, types, witness)), expected, "{field}");
    }
    // So many fields that they are told by a digest.
    let names: Vec<_> = (0..200).map(|number| format!("f{number:03}")).collect();
    let kind: Vec<_> = names.iter().map(|name| format!("bool {name}")).collect();
    let kind = kind.join(",");
    let values: Map<_, _> = names.iter().map(|name| (name.clone(), json!(true))).collect();
    let many = witnessed("Many details", &[("Many", kind.as_str())], values.into());
    assert_eq!(told(&many), expected);
}

#[test]
fn what_looks_like_a_spend_and_is_none_is_opaque() {
    for (name, kind) in [
        ("PackedUserOperation", "address sender,uint256 nonce,bytes callData"),
        ("UserOperation", "address sender,uint256 nonce,bytes callData"),
        ("SafeOp", "address safe,bytes callData"),
        ("MetaTransaction", "uint256 nonce,address from,bytes functionSignature"),
        ("ForwardRequest", "address from,address to,uint256 value,bytes data"),
        ("OrderComponents", "address offerer,address zone,uint256 counter"),
        ("Order", "address sellToken,address buyToken,uint256 sellAmount"),
        ("BulkOrder", "uint256 tree"),
        ("Delegation", "address delegate,address delegator"),
        ("Permit", "address owner,address spender,uint256 value"),
        ("PermitForAll", "address owner,address operator"),
        ("SafeTx", "address to,uint256 value"),
        ("SafeMessage", "bytes message"),
        ("TransferWithAuthorization", "address from,address to"),
    ] {
        let names: Vec<_> = kind.split(',').map(|pair| pair.split_once(' ').unwrap()).collect();
        let value = |kind: &str| {
            if kind == "address" {
                json!(address("0b"))
            } else if kind == "bytes" {
                json!("0x01")
            } else {
                json!(1)
            }
        };
        let message: Map<_, _> =
            names.iter().map(|(kind, name)| ((*name).to_owned(), value(kind))).collect();
        assert_eq!(
            told(&document(name, &[(name, kind)], message.into())),
            ["sign opaque eip712"],
            "{name}"
        );
    }
}
