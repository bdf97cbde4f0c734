//! Every command has its preconditions: for each, what holds and what does not.

use custody_core::amount::Asset;
use custody_core::bytes::HexBytes;
use custody_core::command::{Command, CommandResult, FreezeScope, KeyStart, Resolution};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::document::{Conclusion, Hold, Verdict};
use custody_core::effect::Action;
use custody_core::id::{BackendIdentity, BookId, ExtensionName, OrderId, RoleId, TierId};
use custody_core::ledger::CommandRefusal;
use custody_core::principal::rotation_signing_digest;
use custody_core::seam::{DerivationPath, PolicyDocument, TaskSignature, WalletDescriptor};
use custody_testkit::key::TestKey;

use crate::house::{
    House, account, asset, backend, chain, create_key, create_wallet, credential, credential_id,
    custodian, key_id, key_result, newcomer, policy, principal, wallet,
};

type Row = (Command, Result<(), CommandRefusal>);

const fn exists(what: &'static str) -> Result<(), CommandRefusal> {
    Err(CommandRefusal::Exists { what })
}

const fn no(what: &'static str) -> Result<(), CommandRefusal> {
    Err(CommandRefusal::NotFound { what })
}

const fn malformed(what: &'static str) -> Result<(), CommandRefusal> {
    Err(CommandRefusal::Malformed { what })
}

const fn state(what: &'static str) -> Result<(), CommandRefusal> {
    Err(CommandRefusal::State { what })
}

/// One key for each state that a row needs, a wallet with a seed, a book, an unknown order.
fn house() -> (House, OrderId) {
    let mut house = House::new();
    let done = || CommandResult::Done {};
    let handle = Digest::of(b"seed");
    house.execute(create_wallet("seeded", Some("seed-1")), CommandResult::Seed { handle });
    house.execute(derive("seeded", "derived", "m/0"), key_result(21));
    house.create_key("new", 22, KeyStart::PreActivation);
    house.create_key("suspended", 23, KeyStart::Active);
    house.execute(Command::SuspendKey { key: key_id("suspended") }, done());
    house.create_key("leaving", 24, KeyStart::PreActivation);
    house.execute(Command::DestroyKey { key: key_id("leaving"), wait_ms: 1 }, done());
    house.execute(address(true, 7), done());
    house.execute(descriptor("seeded", "a"), done());
    house.execute(Command::Freeze { scope: FreezeScope::Wallet(wallet("seeded")) }, done());
    let order = house.pay(1);
    house.decide(&order, Verdict::Allowed).unwrap();
    let lost = Conclusion::Unknown { reason: Hold::TimedOut, suspends: None };
    house.conclude(&order, lost).unwrap();
    (house, order)
}

fn derive(wallet_name: &str, key: &str, path: &str) -> Command {
    Command::DeriveAccount {
        wallet: wallet(wallet_name),
        key: key_id(key),
        path: DerivationPath::parse(path).unwrap(),
        algorithm: Algorithm::Ed25519,
        start: KeyStart::Active,
    }
}

fn descriptor(id: &str, text: &str) -> Command {
    let descriptor = WalletDescriptor::parse(text).unwrap();
    Command::RegisterDescriptor { wallet: wallet(id), descriptor }
}

fn address(adds: bool, number: u64) -> Command {
    let (book, account) = (BookId::parse("contracts").unwrap(), account(number));
    if adds {
        Command::AddAddress { book, account }
    } else {
        Command::RemoveAddress { book, account }
    }
}

fn key_rows() -> Vec<Row> {
    let key = key_id;
    let in_state = |state| Err(CommandRefusal::KeyState { state });
    use custody_core::key::KeyState::{Active, PreActivation, Suspended};
    vec![
        (Command::ActivateKey { key: key("new") }, Ok(())),
        (Command::ActivateKey { key: key("none") }, no("key")),
        (Command::ActivateKey { key: key("suspended") }, in_state(Suspended)),
        (Command::SuspendKey { key: key("derived") }, Ok(())),
        (Command::SuspendKey { key: key("new") }, in_state(PreActivation)),
        (Command::ResumeKey { key: key("suspended") }, Ok(())),
        (Command::ResumeKey { key: key("new") }, in_state(PreActivation)),
        (Command::ResumeKey { key: key("derived") }, in_state(Active)),
        (Command::DeactivateKey { key: key("suspended") }, Ok(())),
        (Command::DeactivateKey { key: key("new") }, in_state(PreActivation)),
        (
            Command::DeactivateKey { key: key("key-1") },
            Err(CommandRefusal::OpenOrders { count: 1 }),
        ),
        (Command::CompromiseKey { key: key("leaving") }, Ok(())),
        (Command::CompromiseKey { key: key("none") }, no("key")),
        (Command::DestroyKey { key: key("new"), wait_ms: 0 }, Ok(())),
        (Command::DestroyKey { key: key("derived"), wait_ms: 0 }, in_state(Active)),
        (Command::DestroyKey { key: key("leaving"), wait_ms: 0 }, state("key")),
        (Command::CancelDestroy { key: key("leaving") }, Ok(())),
        (Command::CancelDestroy { key: key("new") }, state("key")),
        (Command::CancelDestroy { key: key("none") }, no("key")),
    ]
}

fn creation_rows() -> Vec<Row> {
    let other_tier = Command::CreateWallet {
        wallet: wallet("cold"),
        chain: chain(),
        tier: TierId::parse("cold").unwrap(),
        backend: backend("soft"),
        seed: None,
    };
    let other_backend = Command::CreateWallet {
        wallet: wallet("cold"),
        chain: chain(),
        tier: TierId::parse("hot").unwrap(),
        backend: backend("hsm"),
        seed: None,
    };
    let in_no_wallet = Command::CreateKey {
        wallet: wallet("none"),
        key: key_id("key-9"),
        algorithm: Algorithm::Ed25519,
        exportability: custody_core::seam::Exportability::Never,
        start: KeyStart::Active,
    };
    vec![
        (create_wallet("cold", Some("seed-9")), Ok(())),
        (create_wallet("hot", None), exists("wallet")),
        (create_wallet("cold", Some("seed-1")), exists("key")),
        (create_wallet("cold", Some("key-1")), exists("key")),
        (other_tier, no("tier")),
        (other_backend, no("backend")),
        (create_key("key-9", KeyStart::Active), Ok(())),
        (create_key("key-1", KeyStart::Active), exists("key")),
        (create_key("seed-1", KeyStart::Active), exists("key")),
        (in_no_wallet, no("wallet")),
        (derive("seeded", "key-9", "m/1"), Ok(())),
        (derive("seeded", "key-9", "m/0"), exists("path")),
        (derive("seeded", "derived", "m/1"), exists("key")),
        (derive("hot", "key-9", "m/1"), no("seed")),
        (derive("none", "key-9", "m/1"), no("wallet")),
    ]
}

fn reseal_rows() -> Vec<Row> {
    let reseal = |id, after: Option<&str>, limit| Command::ResealKeys {
        wallet: wallet(id),
        after: after.map(key_id),
        limit,
    };
    let most = Command::RESEAL_MAX;
    vec![
        (reseal("hot", None, 1), Ok(())),
        (reseal("hot", None, most), Ok(())),
        (reseal("hot", None, 0), malformed("limit")),
        (reseal("hot", None, most + 1), malformed("limit")),
        (reseal("none", None, 1), no("wallet")),
        (reseal("hot", Some("key-1"), 1), Ok(())),
        (reseal("hot", Some("leaving"), 1), Ok(())),
        (reseal("hot", Some("none"), 1), no("key of the wallet")),
        (reseal("hot", Some("derived"), 1), no("key of the wallet")),
        (reseal("hot", Some("seed-1"), 1), no("key of the wallet")),
        (reseal("seeded", Some("seed-1"), 1), Ok(())),
    ]
}

fn people_rows() -> Vec<Row> {
    let enroll = |principal| Command::EnrollPrincipal { principal };
    let mut stranger = newcomer("nina", 44);
    stranger.roles.insert(RoleId::parse("janitor").unwrap());
    let add = |name, seed, key| Command::EnrollCredential {
        principal: principal(name),
        credential: credential_id(seed),
        key: credential(key),
    };
    let revoke = |name, seed| Command::RemoveCredential {
        principal: principal(name),
        credential: credential_id(seed),
    };
    vec![
        (enroll(newcomer("nina", 44)), Ok(())),
        (enroll(newcomer("tara", 44)), exists("principal")),
        (enroll(newcomer("nina", 3)), exists("credential")),
        (enroll(stranger), no("role")),
        (Command::RemovePrincipal { principal: principal("tara") }, Ok(())),
        (Command::RemovePrincipal { principal: principal("nina") }, no("principal")),
        (add("tara", 44, 44), Ok(())),
        (add("tara", 3, 44), exists("credential")),
        (add("tara", 44, 4), exists("credential")),
        (add("nina", 44, 44), no("principal")),
        (revoke("tara", 3), Ok(())),
        (revoke("tara", 4), no("credential")),
        (revoke("nina", 3), no("principal")),
    ]
}

fn house_rows(unknown: &OrderId) -> Vec<Row> {
    let scope = |id| FreezeScope::Wallet(wallet(id));
    let name = ExtensionName::parse("a/b").unwrap();
    let identity = BackendIdentity::parse("kek").unwrap();
    let text = |document: &PolicyDocument| String::from_utf8(document.to_bytes().unwrap()).unwrap();
    let update = |policy| Command::UpdatePolicy { policy };
    let frame = text(&policy("")).len();
    let of_size = |size| text(&policy(&" ".repeat(size - frame)));
    let newer = PolicyDocument { v: 2, ..policy("") };
    let mut rows = vec![
        (Command::Freeze { scope: FreezeScope::House }, Ok(())),
        (Command::Freeze { scope: scope("hot") }, Ok(())),
        (Command::Freeze { scope: scope("seeded") }, state("wallet")),
        (Command::Freeze { scope: scope("none") }, no("wallet")),
        (Command::Thaw { scope: scope("seeded") }, Ok(())),
        (Command::Thaw { scope: FreezeScope::House }, state("custodian")),
        (Command::Thaw { scope: scope("hot") }, state("wallet")),
        (address(true, 8), Ok(())),
        (address(true, 7), exists("address")),
        (address(false, 7), Ok(())),
        (address(false, 8), no("address")),
        (Command::RegisterAsset { asset: Asset::new(asset(), 6) }, Ok(())),
        (Command::RegisterBackend { backend: backend("hsm"), identity }, Ok(())),
        (descriptor("hot", "b"), Ok(())),
        (descriptor("seeded", "a"), exists("descriptor")),
        (descriptor("none", "b"), no("wallet")),
        (Command::ConfirmClock {}, Ok(())),
        (Command::Extension { name, document: HexBytes::new(Vec::new()) }, Ok(())),
        (update(text(&policy("// new"))), Ok(())),
        (update(text(&newer)), malformed("rule set")),
        (update("{}".to_owned()), malformed("rule set")),
        (update(of_size(PolicyDocument::MAX)), Ok(())),
        (update(of_size(PolicyDocument::MAX + 1)), malformed("rule set")),
        (rotation(90, 91, 91), Ok(())),
        (rotation(92, 91, 91), malformed("rotation signature")),
        (rotation(90, 91, 92), malformed("rotation signature")),
    ];
    rows.extend(resolutions(unknown));
    rows
}

fn resolutions(unknown: &OrderId) -> Vec<Row> {
    let resolve =
        |order: &OrderId, resolution| Command::ResolveOrder { order: order.clone(), resolution };
    let failed = |reason: &str| Resolution::Failed { reason: reason.to_owned() };
    let signature = TestKey::seeded(Algorithm::Ed25519, 11).sign(SignInput::Message(b"x")).unwrap();
    let signature = TaskSignature { key: key_id("key-1"), signature };
    let none = OrderId::parse("none").unwrap();
    vec![
        (resolve(unknown, failed("the token was wiped")), Ok(())),
        (resolve(unknown, failed(&"x".repeat(500))), Ok(())),
        (resolve(unknown, failed(&"x".repeat(501))), malformed("resolution")),
        (resolve(unknown, failed("")), malformed("resolution")),
        (resolve(unknown, failed("two\nlines")), malformed("resolution")),
        (resolve(unknown, Resolution::Signed { signatures: vec![signature] }), Ok(())),
        (resolve(unknown, Resolution::Signed { signatures: Vec::new() }), malformed("resolution")),
        (resolve(&none, failed("why")), no("order")),
    ]
}

/// A rotation from the key of one seed to the key of another, signed by the first and a third.
fn rotation(old: u64, new: u64, signer: u64) -> Command {
    let key = |seed| TestKey::seeded(Algorithm::Ed25519, seed);
    let digest =
        rotation_signing_digest(&custodian(), key(old).public_key(), key(new).public_key());
    let input = SignInput::Message(digest.as_bytes());
    Command::RotateLogKey {
        next: key(new).public_key().clone(),
        old_signature: key(old).sign(input).unwrap(),
        new_signature: key(signer).sign(input).unwrap(),
    }
}

fn rows(unknown: &OrderId) -> Vec<Row> {
    [key_rows(), creation_rows(), reseal_rows(), people_rows(), house_rows(unknown)].concat()
}

#[test]
fn each_precondition_is_checked() {
    let (house, unknown) = house();
    for (command, expected) in rows(&unknown) {
        let name = command.action();
        assert_eq!(house.ledger.check(&command), expected, "{name}: {command:?}");
    }
}

#[test]
fn every_command_has_a_success_and_all_but_four_a_refusal() {
    const ALWAYS: [Action; 4] =
        [Action::ConfirmClock, Action::Extension, Action::RegisterAsset, Action::RegisterBackend];
    let (_, unknown) = house();
    let rows = rows(&unknown);
    for action in Action::ALL.iter().filter(|action| action.is_governance()) {
        let of = |succeeds| {
            rows.iter().any(|(c, expected)| c.action() == *action && expected.is_ok() == succeeds)
        };
        assert!(of(true), "{action} has no success");
        assert_ne!(of(false), ALWAYS.contains(action), "{action}");
    }
}

#[test]
fn a_command_that_no_longer_holds_does_not_execute() {
    for (command, expected) in [key_rows(), people_rows()].concat() {
        let (mut house, _) = house();
        let name = command.action();
        let result = house.try_execute(command, CommandResult::Done {});
        assert_eq!(result.is_ok(), expected.is_ok(), "{name}: {result:?}");
    }
}

#[test]
fn a_pending_or_reserved_order_is_not_resolved() {
    let mut house = House::new();
    let order = house.pay(1);
    let resolution = Resolution::Failed { reason: "why".to_owned() };
    let command = Command::ResolveOrder { order: order.clone(), resolution };
    assert_eq!(house.ledger.check(&command), state("order"));
    house.decide(&order, Verdict::Allowed).unwrap();
    assert_eq!(house.ledger.check(&command), state("order"));
}
