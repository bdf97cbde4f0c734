//! Every command through the whole custodian: done with its quorum, and not without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use custody_audit::note::{KeyName, SignedNote, VerifierKey};
use custody_core::amount::Asset;
use custody_core::bytes::HexBytes;
use custody_core::caip::{AccountId, AssetId};
use custody_core::command::{Command, CommandResult, FreezeScope, KeyStart};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::custodian::{CommandHandler, Error, Outcome};
use custody_core::digest::Digest;
use custody_core::document::Hold;
use custody_core::effect::Action;
use custody_core::id::{
    BackendId, BackendIdentity, BookId, CredentialId, CustodianId, ExtensionName, KeyId, OrderId,
    TierId, WalletId,
};
use custody_core::ledger::CommandRefusal;
use custody_core::principal::{Credential, rotation_signing_digest};
use custody_core::seam::{BackendError, DerivationPath, Exportability};
use examples_start::house::{self, ETHER};

use crate::assert_released;
use crate::host::{Host, log_key};
use crate::world::people::Person;
use crate::world::work::{ETH, KNOWN, STRANGER, command};
use crate::world::{Kind, World};

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn wallet(text: &str) -> WalletId {
    WalletId::parse(text).unwrap()
}

fn create_key(id: &str, start: KeyStart) -> Command {
    Command::CreateKey {
        wallet: wallet("hot"),
        key: key(id),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start,
    }
}

fn address(adds: bool) -> Command {
    let book = BookId::parse("contracts").unwrap();
    let account = AccountId::parse(&format!("eip155:1:{STRANGER}")).unwrap();
    if adds {
        Command::AddAddress { book, account }
    } else {
        Command::RemoveAddress { book, account }
    }
}

/// The commands about keys, wallets and addresses, in an order in which all can be done, each with
/// the number of treasurers that the rules of the examples ask for.
fn first_half() -> Vec<(Command, usize)> {
    let create_wallet = Command::CreateWallet {
        wallet: wallet("warm"),
        chain: custody_core::caip::ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("warm").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(key("warm-seed")),
    };
    let derive = Command::DeriveAccount {
        wallet: wallet("warm"),
        key: key("warm.0"),
        path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    };
    vec![
        (create_wallet, 1),
        (derive, 0),
        (Command::ResealKeys { wallet: wallet("warm"), after: None, limit: 2 }, 0),
        (create_key("hot.1", KeyStart::PreActivation), 0),
        (Command::ActivateKey { key: key("hot.1") }, 0),
        (Command::SuspendKey { key: key("hot.1") }, 0),
        (Command::ResumeKey { key: key("hot.1") }, 1),
        (Command::DeactivateKey { key: key("hot.1") }, 1),
        (Command::DestroyKey { key: key("hot.1"), wait_ms: 86_400_000 }, 1),
        (Command::CancelDestroy { key: key("hot.1") }, 1),
        (Command::CompromiseKey { key: key("hot.1") }, 0),
        (address(true), 1),
        (address(false), 0),
        (Command::ConfirmClock {}, 1),
    ]
}

/// The commands about people and the house.
fn second_half() -> Vec<(Command, usize)> {
    let nina = Person::new("nina", &["operator"], Algorithm::Ed25519);
    let phone = Person::new("ninas-phone", &[], Algorithm::EcdsaP256);
    let (principal, credential) = (nina.id.clone(), CredentialId::parse("phone").unwrap());
    let enroll = Command::EnrollCredential {
        principal: principal.clone(),
        credential: credential.clone(),
        key: Credential::new(phone.key.public_key().clone()).unwrap(),
    };
    let mut policy = house::policy().unwrap();
    policy.rules.push_str("// reviewed\n");
    let policy = String::from_utf8(policy.to_bytes().unwrap()).unwrap();
    vec![
        (Command::EnrollPrincipal { principal: nina.enrolment() }, 1),
        (enroll, 1),
        (Command::RemoveCredential { principal: principal.clone(), credential }, 1),
        (Command::RemovePrincipal { principal }, 1),
        (Command::RegisterAsset { asset: Asset::new(AssetId::parse(ETHER).unwrap(), 18) }, 1),
        (
            Command::RegisterBackend {
                backend: BackendId::parse("hsm").unwrap(),
                identity: BackendIdentity::parse("serial:1").unwrap(),
            },
            0,
        ),
        (Command::Freeze { scope: FreezeScope::House }, 0),
        (Command::Thaw { scope: FreezeScope::House }, 1),
        (Command::UpdatePolicy { policy }, 1),
    ]
}

#[tokio::test]
async fn every_command_is_done_with_its_quorum_and_not_before() {
    let world = World::new(Kind::Memory).await;
    let olivia = &world.people.olivia;
    for (index, (work, quorum)) in first_half().into_iter().chain(second_half()).enumerate() {
        let name = work.action();
        let id = format!("command-{index}");
        let mut answer = world.submit(command(olivia, &id, work)).await.unwrap();
        for person in [&world.people.theo, &world.people.tara].into_iter().take(quorum) {
            let is_pending = matches!(answer.outcome, Outcome::Pending { .. });
            assert!(is_pending, "{name} without its quorum: {answer:?}");
            assert!(!world.story(&answer.order).await.contains(&"executed".to_owned()));
            answer = world.approve(person, &answer).await.unwrap();
        }
        assert!(matches!(answer.outcome, Outcome::Released(_)), "{name}: {answer:?}");
    }
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn no_command_is_done_for_somebody_who_may_not_ask() {
    let world = World::new(Kind::Memory).await;
    // An operator who is no administrator may stop things, and needs two treasurers for the rest.
    let otto = &world.people.otto;
    let stops = [Action::Freeze, Action::SuspendKey, Action::CompromiseKey];
    let possible: Vec<_> = first_half()
        .into_iter()
        .chain(second_half())
        .filter(|(work, _)| !stops.contains(&work.action()))
        .collect();
    for (index, (work, _)) in possible.into_iter().enumerate() {
        let name = work.action();
        let id = format!("command-{index}");
        let Ok(answer) = world.submit(command(otto, &id, work)).await else { continue };
        assert!(!matches!(answer.outcome, Outcome::Released(_)), "{name}: {answer:?}");
        if matches!(answer.outcome, Outcome::Pending { .. }) {
            let answer = world.approve(&world.people.theo, &answer).await.unwrap();
            assert!(!matches!(answer.outcome, Outcome::Released(_)), "{name} by one: {answer:?}");
        }
    }
    world.verify().await;
}

#[tokio::test]
async fn a_command_whose_preconditions_went_away_is_not_done() {
    let world = World::new(Kind::Memory).await;
    let olivia = &world.people.olivia;
    let deactivate = || Command::DeactivateKey { key: key("hot.0") };
    let first = world.submit(command(olivia, "first", deactivate())).await.unwrap();
    let second = world.submit(command(olivia, "second", deactivate())).await.unwrap();
    let first = world.approve_all(first).await.unwrap();
    assert!(matches!(first.outcome, Outcome::Released(_)), "{first:?}");
    let second = world.approve_all(second).await.unwrap();
    assert_eq!(second.outcome, Outcome::Failed { reason: Hold::Conflict });
    let third = world.submit(command(olivia, "third", deactivate())).await;
    assert!(matches!(third, Err(Error::Command(CommandRefusal::KeyState { .. }))), "{third:?}");
    world.verify().await;
}

#[tokio::test]
async fn decimals_of_an_asset_change_by_an_order_only() {
    let world = World::new(Kind::Memory).await;
    let asset = Asset::new(AssetId::parse(ETHER).unwrap(), 17);
    let register = Command::RegisterAsset { asset };
    let waits = world.submit(command(&world.people.olivia, "decimals", register)).await.unwrap();
    let before = world.pay(ETH / 2, KNOWN, "before").await.unwrap();
    assert!(matches!(before.outcome, Outcome::Released(_)), "{before:?}");
    assert_released(&world.approve_all(waits).await.unwrap());
    // Half an ether is five units of ten times the size now: too much for one person.
    let after = world.pay(ETH / 2, KNOWN, "after").await.unwrap();
    assert!(matches!(after.outcome, Outcome::Pending { .. }), "{after:?}");
    assert_eq!(world.sign_calls(), 1);
    world.verify().await;
}

/// Counts its runs.
#[derive(Debug)]
struct Counter {
    name: ExtensionName,
    runs: AtomicUsize,
}

#[async_trait]
impl CommandHandler for Counter {
    fn name(&self) -> &ExtensionName {
        &self.name
    }

    fn accepts(&self, document: &[u8]) -> bool {
        assert_ne!(document, b"panic", "a test");
        document == b"count"
    }

    async fn run(&self, _: &CustodianId, _: &OrderId, _: &[u8]) -> Result<Vec<u8>, BackendError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(b"counted".to_vec())
    }
}

#[tokio::test]
async fn an_extension_command_runs_once_for_its_order_and_an_unknown_one_never() {
    let host = Host::new();
    let name = ExtensionName::parse("test/count").unwrap();
    let handler = Arc::new(Counter { name: name.clone(), runs: AtomicUsize::new(0) });
    let keys = host.backend();
    let builder = host.builder().await.backend(keys).extension(Arc::<Counter>::clone(&handler));
    let custodian = builder.create(host.genesis(house::TREASURY)).await.unwrap();
    let extension = |name: &ExtensionName, document: &[u8]| Command::Extension {
        name: name.clone(),
        document: HexBytes::new(document.to_vec()),
    };
    let unknown = extension(&ExtensionName::parse("test/other").unwrap(), b"count");
    let refused = host.govern(&custodian, "unknown", unknown).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    for (id, document) in [("malformed", &b"other"[..]), ("panics", b"panic")] {
        let refused = host.govern(&custodian, id, extension(&name, document)).await;
        assert!(matches!(refused, Err(Error::Command(_))), "{id}: {refused:?}");
    }
    let request = command(&host.people.olivia, "count", extension(&name, b"count"));
    let waits = custodian.submit(request.clone()).await.unwrap();
    assert!(matches!(waits.outcome, Outcome::Pending { .. }), "{waits:?}");
    assert_eq!(handler.runs.load(Ordering::SeqCst), 0);
    let done = host.finish(&custodian, request.clone()).await.unwrap();
    let Outcome::Released(release) = &done.outcome else { panic!("{done:?}") };
    let sha256 = Digest::of(b"counted");
    assert_eq!(release.result, Some(CommandResult::Extension { sha256 }));
    assert_eq!(custodian.submit(request).await.unwrap(), done);
    assert_eq!(handler.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_log_key_is_rotated_by_both_keys_and_a_quorum() {
    let host = Host::new();
    let custodian = host.create().await;
    let rotation = |next: u64, signers: [u64; 2]| {
        let next = log_key(next).public_key().clone();
        let digest = rotation_signing_digest(&custodian.id(), log_key(99).public_key(), &next);
        let sign = |seed| log_key(seed).sign(SignInput::Message(digest.as_bytes())).unwrap();
        let [old_signature, new_signature] = signers.map(sign);
        Command::RotateLogKey { next, old_signature, new_signature }
    };
    for (name, command) in [
        ("the old key did not sign", rotation(98, [98, 98])),
        ("the new key did not sign", rotation(98, [99, 99])),
        ("the log has no such signer", rotation(97, [99, 97])),
    ] {
        let refused = host.govern(&custodian, "wrong", command).await;
        assert!(matches!(refused, Err(Error::Command(_))), "{name}: {refused:?}");
    }
    let request = command(&host.people.olivia, "rotate", rotation(98, [99, 98]));
    let waits = custodian.submit(request.clone()).await.unwrap();
    assert!(matches!(waits.outcome, Outcome::Pending { .. }), "{waits:?}");
    let is_signed = |text: &str, seed| {
        let name = KeyName::parse("example-treasury/custody").unwrap();
        let key = VerifierKey::new(name, log_key(seed).public_key().clone()).unwrap();
        SignedNote::parse(text).is_ok_and(|note| note.verify(&[key]).is_ok())
    };
    let before = custodian.checkpoint().await.unwrap().unwrap();
    assert!(is_signed(&before.note, 99) && !is_signed(&before.note, 98));
    let done = host.finish(&custodian, request).await.unwrap();
    assert!(matches!(done.outcome, Outcome::Released(_)), "{done:?}");
    assert_released(&host.govern(&custodian, "after", Command::ConfirmClock {}).await.unwrap());
    let after = custodian.checkpoint().await.unwrap().unwrap();
    assert!(is_signed(&after.note, 98) && !is_signed(&after.note, 99));
    let id = custodian.id();
    custodian.close().await.unwrap();
    let keys = host.backend();
    let opened = host.builder().await.backend(keys).open(id).await.unwrap();
    assert_released(&host.govern(&opened, "again", Command::ConfirmClock {}).await.unwrap());
    let newest = opened.checkpoint().await.unwrap().unwrap();
    assert!(is_signed(&newest.note, 98) && !is_signed(&newest.note, 99));
}
