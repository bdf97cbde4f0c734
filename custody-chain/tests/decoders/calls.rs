//! What calls do: tokens, known contracts, batches, administration.

use alloy_primitives::{Address, Bytes, U160, U256, address};
use alloy_sol_types::{SolCall, sol};
use custody_chain::EvmError;
use custody_core::amount::Units;
use custody_core::effect::{Action, Effect};

use crate::effects::transferCall;
use crate::rlp::{eip1559, number, string, typed, with};
use crate::support::{MAINNET, decode};

const TOKEN: Address = Address::repeat_byte(0x35);
const BOB: Address = Address::repeat_byte(0xb0);
const EVE: Address = Address::repeat_byte(0xee);
const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
const WETH: Address = address!("C02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2");

sol! {
    function increaseAllowance(address spender, uint256 added);
    function permit(
        address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s
    );
    function setApprovalForAll(address operator, bool approved);
    function transferWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
        bytes32 nonce, uint8 v, bytes32 r, bytes32 s
    );
    function deposit();
    function withdraw(uint256 amount);
    function multicall(bytes[] data);
    function transferOwnership(address newOwner);
    function upgradeToAndCall(address newImplementation, bytes data);
    function grantRole(bytes32 role, address account);

    struct Details { address token; uint160 amount; uint48 expiration; uint48 nonce; }
    struct Batch { Details[] details; address spender; uint256 sigDeadline; }
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Call3Value { address target; bool allowFailure; uint256 value; bytes callData; }

    interface Uniswap {
        function approve(address token, address spender, uint160 amount, uint48 expiration);
        function permit(address owner, Batch permitBatch, bytes signature);
        function aggregate3(Call3[] calls);
        function aggregate3Value(Call3Value[] calls);
    }

    interface Erc721 {
        function safeTransferFrom(address from, address to, uint256 tokenId);
    }

    interface Erc1155 {
        function safeTransferFrom(
            address from, address to, uint256 id, uint256 value, bytes data
        );
        function safeBatchTransferFrom(
            address from, address to, uint256[] ids, uint256[] values, bytes data
        );
    }
}

/// What a transaction with this call does, but for the fee.
pub(crate) fn told(to: Address, value: u128, data: &[u8]) -> Result<Vec<String>, EvmError> {
    let items = with(eip1559(), 5, string(to.as_slice()));
    let items = with(with(items, 6, number(value)), 7, string(data));
    let intent = decode(&typed(&items))?;
    let (fee, rest) = intent.effects.split_last().unwrap();
    assert_eq!(fee.action(), Action::PayFee);
    assert_eq!(intent.summary.len(), intent.effects.len());
    Ok(rest.iter().map(words).collect())
}

/// An effect in a few words; addresses by their first byte.
pub(crate) fn words(effect: &Effect) -> String {
    let short =
        |account: &custody_core::caip::AccountId| account.address().get(2..4).unwrap().to_owned();
    let asset = |asset: &custody_core::caip::AssetId| {
        let text = asset.as_str().strip_prefix(MAINNET).unwrap();
        text.get(..text.find("0x").map_or(text.len(), |at| at + 4)).unwrap().to_owned()
    };
    match effect {
        Effect::Transfer { amount, from, to } => {
            let (from, to, asset) = (short(from), short(to), asset(amount.asset()));
            format!("{from} pays {to} {} {asset}", amount.units())
        }
        Effect::Approve { amount, spender } => {
            let all = if amount.units() == Units::MAX {
                "all".to_owned()
            } else {
                amount.units().to_string()
            };
            format!("{} may take {all} {}", short(spender), asset(amount.asset()))
        }
        Effect::Call { contract, selector, arguments }
        | Effect::DelegateCall { contract, selector, arguments }
        | Effect::Administer { contract, selector, arguments } => {
            let said: Vec<_> =
                arguments.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let said = said.concat().replace(&"00".repeat(32), "0");
            format!("{} {} {}{said}", effect.action(), short(contract), selector.as_str())
        }
        Effect::SignMessage { kind, .. } => format!("sign {}", kind.as_str()),
        Effect::SignOpaque { kind } => format!("sign opaque {}", kind.as_str()),
        Effect::Deploy | Effect::Govern { .. } | Effect::PayFee { .. } | _ => {
            effect.action().to_string()
        }
    }
}

fn transfer(to: Address, amount: u64) -> Vec<u8> {
    transferCall { to, amount: U256::from(amount) }.abi_encode()
}

const fn number_of(value: u64) -> U256 {
    U256::from_limbs([value, 0, 0, 0])
}

fn token_rows() -> Vec<(&'static str, Address, Vec<u8>, Vec<&'static str>)> {
    let permit = permitCall {
        owner: BOB,
        spender: EVE,
        value: number_of(7),
        deadline: U256::MAX,
        v: 27,
        r: Default::default(),
        s: Default::default(),
    };
    let authorized = transferWithAuthorizationCall {
        from: BOB,
        to: EVE,
        value: number_of(9),
        validAfter: U256::ZERO,
        validBefore: U256::MAX,
        nonce: Default::default(),
        v: 27,
        r: Default::default(),
        s: Default::default(),
    };
    let all = |approved| setApprovalForAllCall { operator: EVE, approved }.abi_encode();
    let one = Erc721::safeTransferFromCall { from: BOB, to: EVE, tokenId: number_of(5) };
    let some = Erc1155::safeTransferFromCall {
        from: BOB,
        to: EVE,
        id: number_of(1),
        value: number_of(3),
        data: Bytes::new(),
    };
    let many = |ids: &[u64], values: &[u64]| {
        let list = |numbers: &[u64]| numbers.iter().map(|number| number_of(*number)).collect();
        let (ids, values, data) = (list(ids), list(values), Bytes::new());
        Erc1155::safeBatchTransferFromCall { from: BOB, to: EVE, ids, values, data }.abi_encode()
    };
    let increase = increaseAllowanceCall { spender: EVE, added: number_of(4) };
    vec![
        ("increase", TOKEN, increase.abi_encode(), vec!["ee may take 4 /erc20:0x35"]),
        ("EIP-2612", TOKEN, permit.abi_encode(), vec!["ee may take 7 /erc20:0x35"]),
        ("EIP-3009", TOKEN, authorized.abi_encode(), vec!["b0 pays ee 9 /erc20:0x35"]),
        ("for all", TOKEN, all(true), vec!["ee may take all /erc721:0x35"]),
        ("for none", TOKEN, all(false), vec!["ee may take 0 /erc721:0x35"]),
        ("ERC-721", TOKEN, one.abi_encode(), vec!["b0 pays ee 1 /erc721:0x35"]),
        ("ERC-1155", TOKEN, some.abi_encode(), vec!["b0 pays ee 3 /erc1155:0x35"]),
        (
            "ERC-1155 batch",
            TOKEN,
            many(&[1, 2], &[3, 4]),
            vec!["b0 pays ee 3 /erc1155:0x35", "b0 pays ee 4 /erc1155:0x35"],
        ),
        ("an empty batch", TOKEN, many(&[], &[]), vec!["call 35 0x2eb2c2d6"]),
        ("a lopsided batch", TOKEN, many(&[1, 2], &[3]), vec!["call 35 0x2eb2c2d6"]),
    ]
}

#[test]
fn calls_of_tokens_are_spends() {
    for (name, to, data, expected) in token_rows() {
        assert_eq!(told(to, 0, &data).unwrap(), expected, "{name}");
        // Whatever is not exactly that is a call of unknown meaning.
        let call = format!("call 35 0x{}", hex::encode(&data[..4]));
        assert_eq!(
            told(to, 0, &[data.clone(), vec![0]].concat()).unwrap(),
            std::slice::from_ref(&call)
        );
        assert_eq!(told(to, 0, &data[..data.len() - 1]).unwrap(), [call], "{name}");
    }
}

#[test]
fn permit2_and_wrapped_coins_are_believed_at_their_own_addresses_only() {
    let approve = Uniswap::approveCall {
        token: TOKEN,
        spender: EVE,
        amount: U160::from(8),
        expiration: Default::default(),
    };
    let details = |amount: u64| Details {
        token: TOKEN,
        amount: U160::from(amount),
        expiration: Default::default(),
        nonce: Default::default(),
    };
    let batch = |details| Uniswap::permitCall {
        owner: BOB,
        permitBatch: Batch { details, spender: EVE, sigDeadline: U256::MAX },
        signature: Bytes::new(),
    };
    let withdraw = withdrawCall { amount: number_of(6) }.abi_encode();
    let both = vec!["ee may take 1 /erc20:0x35", "ee may take 2 /erc20:0x35"];
    for (name, to, value, data, expected) in [
        ("approve", PERMIT2, 0, approve.abi_encode(), vec!["ee may take 8 /erc20:0x35"]),
        ("approve elsewhere", BOB, 0, approve.abi_encode(), vec!["call b0 0x87517c45"]),
        ("batch", PERMIT2, 0, batch(vec![details(1), details(2)]).abi_encode(), both),
        ("empty", PERMIT2, 0, batch(vec![]).abi_encode(), vec!["call 00 0x2a2d80d1"]),
        ("wrap", WETH, 5, depositCall {}.abi_encode(), vec!["9d pays c0 5 /slip44:60"]),
        ("wrap nothing", WETH, 0, depositCall {}.abi_encode(), vec!["9d pays c0 0 /slip44:60"]),
        ("unwrap", WETH, 0, withdraw.clone(), vec!["9d pays c0 6 /erc20:0xc0"]),
        ("elsewhere", BOB, 0, withdraw, vec!["call b0 0x2e1a7d4d"]),
    ] {
        assert_eq!(told(to, value, &data).unwrap(), expected, "{name}");
    }
}

fn call3(data: Vec<u8>) -> Call3 {
    Call3 { target: TOKEN, allowFailure: true, callData: data.into() }
}

/// A batch of Multicall3.
fn batch(calls: Vec<Call3>) -> Vec<u8> {
    Uniswap::aggregate3Call { calls }.abi_encode()
}

/// A batch of a contract itself.
fn own(data: &[Vec<u8>]) -> Vec<u8> {
    let data = data.iter().map(|data| Bytes::copy_from_slice(data)).collect();
    multicallCall { data }.abi_encode()
}

#[test]
fn calls_in_a_batch_are_told_one_by_one() {
    let two = batch(vec![call3(transfer(BOB, 1)), call3(transfer(EVE, 2))]);
    assert_eq!(
        told(MULTICALL3, 0, &two).unwrap(),
        ["ca pays b0 1 /erc20:0x35", "ca pays ee 2 /erc20:0x35"]
    );
    assert_eq!(
        told(TOKEN, 0, &own(&[transfer(BOB, 1), transfer(EVE, 2)])).unwrap(),
        ["call 35 0xac9650d8", "9d pays b0 1 /erc20:0x35", "9d pays ee 2 /erc20:0x35"]
    );
    let valued = |value, data: Vec<u8>| Call3Value {
        target: BOB,
        allowFailure: false,
        value: number_of(value),
        callData: data.into(),
    };
    let values = vec![valued(1, vec![]), valued(2, vec![1, 2, 3, 4])];
    let values = Uniswap::aggregate3ValueCall { calls: values }.abi_encode();
    assert_eq!(
        told(MULTICALL3, 0, &values).unwrap(),
        ["ca pays b0 1 /slip44:60", "ca pays b0 2 /slip44:60", "call b0 0x01020304"]
    );
}

#[test]
fn an_empty_list_of_recipients_is_the_call_that_it_is() {
    assert_eq!(told(MULTICALL3, 0, &batch(vec![])).unwrap(), ["call ca 0x82ad56cb"]);
    assert_eq!(told(BOB, 0, &batch(vec![])).unwrap(), ["call b0 0x82ad56cb"]);
    assert_eq!(told(TOKEN, 0, &own(&[])).unwrap(), ["call 35 0xac9650d8"]);
}

#[test]
fn a_batch_with_one_bad_item_tells_of_it_as_an_unknown_call() {
    let bad = vec![0xa9, 0x05, 0x9c, 0xbb, 1];
    let data = batch(vec![call3(transfer(BOB, 1)), call3(bad)]);
    assert_eq!(
        told(MULTICALL3, 0, &data).unwrap(),
        ["ca pays b0 1 /erc20:0x35", "call 35 0xa9059cbb"]
    );
}

#[test]
fn a_batch_three_levels_deep_is_told_to_its_end() {
    assert_eq!(
        told(TOKEN, 0, &own(&[own(&[own(&[transfer(BOB, 7)])])])).unwrap(),
        [
            "call 35 0xac9650d8",
            "call 35 0xac9650d8",
            "call 35 0xac9650d8",
            "9d pays b0 7 /erc20:0x35"
        ]
    );
}

#[test]
fn batches_have_a_depth_and_a_length_and_one_more_is_refused() {
    let nested = |levels| (0..levels).fold(transfer(BOB, 7), |data, _| own(&[data]));
    assert_eq!(told(TOKEN, 0, &nested(8)).unwrap().len(), 9);
    assert_eq!(told(TOKEN, 0, &nested(9)), Err(EvmError::Depth { limit: 8 }));
    let many = |count| batch((0..count).map(|_| call3(vec![])).collect());
    assert_eq!(told(MULTICALL3, 0, &many(1_023)).unwrap().len(), 1_023);
    assert_eq!(told(MULTICALL3, 0, &many(1_024)), Err(EvmError::Effects { limit: 1_024 }));
}

#[test]
fn a_call_with_100_kilobytes_is_told() {
    let data = [vec![1, 2, 3, 4], vec![7; 100 * 1_024]].concat();
    assert_eq!(told(TOKEN, 0, &data).unwrap(), ["call 35 0x01020304"]);
}

#[test]
fn whoever_changes_owner_code_or_roles_administers() {
    let role = [0x11; 32];
    let owner = transferOwnershipCall { newOwner: EVE }.abi_encode();
    let upgrade = upgradeToAndCallCall { newImplementation: EVE, data: vec![1, 2].into() };
    let granted = grantRoleCall { role: role.into(), account: EVE }.abi_encode();
    let eve = "ee".repeat(20);
    for (data, expected) in [
        (owner.clone(), format!("administer 35 0xf2fde38b newOwner=0x{eve}")),
        (
            upgrade.abi_encode(),
            format!("administer 35 0x4f1ef286 data=0x0102 newImplementation=0x{eve}"),
        ),
        (granted, format!("administer 35 0x2f2ff15d account=0x{eve} role=0x{}", "11".repeat(32))),
        // The selector alone does it.
        (owner[..10].to_vec(), "administer 35 0xf2fde38b".to_owned()),
        ([owner.clone(), vec![0]].concat(), "administer 35 0xf2fde38b".to_owned()),
    ] {
        assert_eq!(told(TOKEN, 0, &data).unwrap(), [expected]);
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Calldata in which `many` offsets point to the one element that stands there.
fn aliased(selector: [u8; 4], head: &[u64], many: u64, element: &[u8]) -> Vec<u8> {
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let head: Vec<u8> = head.iter().flat_map(|number| word(*number)).collect();
    let offsets = word(many * 32).repeat(usize::try_from(many).unwrap());
    [&selector[..], &head, &word(many), &offsets, element].concat()
}

#[test]
fn data_that_is_told_more_often_than_it_is_there_takes_no_memory() {
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    // 4,000 times the same 120 KiB: 480 MiB.
    let text = [&word(120 * 1_024)[..], &vec![7; 120 * 1_024]].concat();
    let calls = aliased([0xac, 0x96, 0x50, 0xd8], &[32], 4_000, &text);
    // 3,900 times the same facet with its 3,900 selectors: fifteen million words.
    let selectors = [&word(3_900)[..], &word(0).repeat(3_900)].concat();
    let facet = [&word(1)[..], &word(0), &word(96), &selectors, &word(0)].concat();
    let facets = aliased([0x1f, 0x93, 0x1c, 0x1c], &[96, 0, 32 * 7_808], 3_900, &facet);
    let before = peak();
    let unread = ["call 35 0xac9650d8", "sign opaque evm/unread-calls"];
    for (data, expected) in [(calls, &unread[..]), (facets, &["administer 35 0x1f931c1c"])] {
        assert_eq!(told(TOKEN, 0, &data).unwrap(), expected, "{} bytes", data.len());
    }
    let grown = peak() - before;
    assert!(grown < 64 * 1_024, "it took {grown} KiB");
}
