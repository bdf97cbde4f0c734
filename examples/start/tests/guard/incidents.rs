//! Payloads of the kind that emptied others: the right people were asked to sign the wrong bytes.
//! Under the example rules each ends in a denial that no approval can lift, and no key is used.

use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::{SolCall, sol};
use custody_core::caip::AccountId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::id::{BookId, PayloadFormat, RequestId, RuleId, WalletId};
use custody_core::seam::Payload;
use serde_json::{Value, json};

use crate::world::work::{KNOWN, payload};
use crate::world::{Kind, World};

/// The Safe whose owner the wallet is.
const SAFE: Address = address!("1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4");
/// Code that writes into the first storage slot of whoever runs it: the implementation of a proxy.
const TROJAN: Address = address!("96221423681A6d52E184D440a8eFCEbB105C7242");
/// Where a hurried signer thinks the money goes.
const WARM: Address = address!("bDd077f651EBe7f7b3cE16fe5F2b025BE2969516");

sol! {
    function transfer(address to, uint256 amount);
    function transferOwnership(address newOwner);
    function upgradeTo(address newImplementation);
    function execTransaction(
        address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas,
        uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures
    );
}

/// What the owners of a Safe sign.
fn safe_tx(to: Address, data: &[u8], operation: u8) -> Payload {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let document = json!({
        "types": {
            "EIP712Domain": [field("chainId", "uint256"), field("verifyingContract", "address")],
            "SafeTx": [
                field("to", "address"), field("value", "uint256"), field("data", "bytes"),
                field("operation", "uint8"), field("safeTxGas", "uint256"),
                field("baseGas", "uint256"), field("gasPrice", "uint256"),
                field("gasToken", "address"), field("refundReceiver", "address"),
                field("nonce", "uint256"),
            ],
        },
        "primaryType": "SafeTx",
        "domain": { "chainId": 1, "verifyingContract": SAFE },
        "message": {
            "to": to, "value": 0, "data": format!("0x{}", hex::encode(data)),
            "operation": operation, "safeTxGas": 45_746, "baseGas": 0, "gasPrice": 0,
            "gasToken": Address::ZERO, "refundReceiver": Address::ZERO, "nonce": 71,
        },
    });
    typed_data(&document)
}

fn typed_data(document: &Value) -> Payload {
    let format = PayloadFormat::parse("evm/typed-data").unwrap();
    Payload { format, bytes: document.to_string().into_bytes() }
}

/// The same as the transaction that executes it.
fn executed(to: Address, data: &[u8], operation: u8) -> Payload {
    transaction(&execution(to, data, operation))
}

/// The call that it makes of the Safe.
fn execution(to: Address, data: &[u8], operation: u8) -> Vec<u8> {
    let call = execTransactionCall {
        to,
        value: U256::ZERO,
        data: Bytes::copy_from_slice(data),
        operation,
        safeTxGas: U256::from(45_746),
        baseGas: U256::ZERO,
        gasPrice: U256::ZERO,
        gasToken: Address::ZERO,
        refundReceiver: Address::ZERO,
        signatures: Bytes::from(vec![1; 195]),
    };
    call.abi_encode()
}

/// A transaction with this call of the Safe.
fn transaction(data: &[u8]) -> Payload {
    use alloy_consensus::{SignableTransaction as _, TxEip1559};
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce: 9,
        gas_limit: 200_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: SAFE.into(),
        value: U256::ZERO,
        input: Bytes::copy_from_slice(data),
        ..TxEip1559::default()
    };
    let bytes = transaction.encoded_for_signing();
    Payload { format: payload(0, KNOWN, 0).format, bytes }
}

async fn ask(world: &World, id: &str, payload: Payload) -> Answer {
    let (id, wallet) = (RequestId::parse(id).unwrap(), WalletId::parse("hot").unwrap());
    let request = Request::payload(world.people.olivia.id.clone(), id, wallet, payload);
    world.submit(request).await.unwrap()
}

/// The payload is denied by this rule, in the hands of the Safe's owners and of whoever executes.
async fn assert_denied(name: &str, (to, data, operation): (Address, Vec<u8>, u8), rule: &str) {
    let world = World::new(Kind::Memory).await;
    for (kind, payload) in
        [("signed", safe_tx(to, &data, operation)), ("executed", executed(to, &data, operation))]
    {
        let answer = ask(&world, &format!("{name}-{kind}"), payload).await;
        let Outcome::Denied { rules } = &answer.outcome else {
            panic!("{name}, {kind}: {:?}", answer.outcome)
        };
        assert!(rules.iter().any(|named| named.as_str() == rule), "{name}, {kind}: {rules:?}");
        assert!(world.approve_all(answer.clone()).await.is_ok());
        let after = world.order(&answer.order).await.unwrap();
        assert!(matches!(after.outcome, Outcome::Denied { .. }), "{name}, {kind}: {after:?}");
    }
    assert_eq!(world.sign_calls(), 0, "{name}");
    let _oracle = world.verify().await;
}

/// Bybit, February 2025: shown as a transfer to the warm wallet, run as foreign code whose
/// `transfer` wrote the attacker's contract over the code of the Safe.
#[tokio::test]
async fn a_transfer_that_runs_as_foreign_code_is_denied_as_at_bybit() {
    let transfer = transferCall { to: WARM, amount: U256::ZERO }.abi_encode();
    assert_denied("bybit", (TROJAN, transfer, 1), "unknown-call").await;
}

/// `WazirX`, July 2024: signed as a token transfer, executed as code that exchanged the account's
/// implementation.
#[tokio::test]
async fn an_upgrade_behind_a_token_transfer_is_denied_as_at_wazirx() {
    let upgrade = upgradeToCall { newImplementation: TROJAN }.abi_encode();
    assert_denied("wazirx-run", (TROJAN, upgrade.clone(), 1), "unknown-call").await;
    assert_denied("wazirx-upgrade", (SAFE, upgrade, 0), "unknown-call").await;
}

/// Radiant Capital, October 2024: three owners of a Safe signed the transfer of ownership of the
/// lending pools.
#[tokio::test]
async fn a_change_of_ownership_is_denied_as_at_radiant() {
    let pools = address!("091d52CacE1edc5527C99cDCFA6937C1635330E4");
    let own = transferOwnershipCall { newOwner: TROJAN }.abi_encode();
    assert_denied("radiant", (pools, own, 0), "unknown-call").await;
}

/// Address poisoning: the receiver begins and ends as a known one does, and is another.
#[tokio::test]
async fn a_payment_to_a_look_alike_of_a_known_address_is_denied_whoever_approves() {
    let world = World::new(Kind::Memory).await;
    let (start, end) = (KNOWN.split_at(6).0, KNOWN.split_at(KNOWN.len() - 4).1);
    let poisoned = format!("{start}{}{end}", "5".repeat(32));
    let answer = ask(&world, "poisoned", payload(1, &poisoned, 0)).await;
    let Outcome::Denied { rules } = &answer.outcome else { panic!("{:?}", answer.outcome) };
    assert_eq!(rules.iter().map(RuleId::as_str).collect::<Vec<_>>(), ["no-look-alike"]);
    assert!(world.approve_all(answer.clone()).await.is_ok());
    let after = world.order(&answer.order).await.unwrap();
    assert!(matches!(after.outcome, Outcome::Denied { .. }), "{after:?}");
    assert_eq!(world.sign_calls(), 0);
    // The control: one character more that differs, and it is a stranger that people may approve.
    let stranger = format!("{}5{}", KNOWN.split_at(5).0, poisoned.split_at(6).1);
    let answer = ask(&world, "stranger", payload(1, &stranger, 1)).await;
    assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{:?}", answer.outcome);
    let _oracle = world.verify().await;
}

/// The control: what the Safe may do is not denied but waits for people, or for its contract to be
/// listed.
#[tokio::test]
async fn a_plain_transfer_of_the_safe_is_judged_as_a_transfer() {
    let world = World::new(Kind::Memory).await;
    let explained = ask(&world, "plain", safe_tx(WARM, &[], 0)).await;
    let Outcome::Pending { .. } = explained.outcome else { panic!("{:?}", explained.outcome) };
    let answer = world.approve_all(explained).await.unwrap();
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{:?}", answer.outcome);
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

/// A Safe that may be called, and a byte behind what is called: the contract executes it, and what it
/// executes cannot be read.
#[tokio::test]
async fn what_a_listed_safe_executes_is_denied_unless_it_can_be_read() {
    let world = World::new(Kind::Memory).await;
    let book = BookId::parse("contracts").unwrap();
    let account = AccountId::parse(&format!("eip155:1:{SAFE}")).unwrap();
    world.done("listed", Command::AddAddress { book, account }).await;
    let call = execution(WARM, &[], 0);
    // The control: in its one form it is a call of the Safe and a transfer, and waits for people.
    let readable = ask(&world, "readable", transaction(&call)).await;
    assert!(matches!(readable.outcome, Outcome::Pending { .. }), "{:?}", readable.outcome);
    let code = execution(TROJAN, &transferCall { to: WARM, amount: U256::ZERO }.abi_encode(), 1);
    for (name, call) in [("transfer", call), ("code", code)] {
        let answer = ask(&world, name, transaction(&[&call[..], &[0]].concat())).await;
        let Outcome::Denied { rules } = &answer.outcome else { panic!("{:?}", answer.outcome) };
        let rules: Vec<_> = rules.iter().map(RuleId::as_str).collect();
        assert_eq!(rules, ["no-opaque", "no-permit"], "{name}");
        assert!(world.approve_all(answer.clone()).await.is_ok());
        let after = world.order(&answer.order).await.unwrap();
        assert!(matches!(after.outcome, Outcome::Denied { .. }), "{name}: {after:?}");
    }
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}
