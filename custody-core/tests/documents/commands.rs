//! One command of every kind.

use custody_core::amount::Asset;
use custody_core::bytes::HexBytes;
use custody_core::command::{Command, FreezeScope, KeyStart, Resolution};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::id::{BackendId, BackendIdentity, BookId, CredentialId, ExtensionName, TierId};
use custody_core::principal::{Credential, rotation_signing_digest};
use custody_core::seam::{DerivationPath, Exportability, WalletDescriptor};
use custody_testkit::key::TestKey;

use crate::fixtures::{
    account, asset, chain, credential_key, custodian, key_id, order_id, policy, principal,
    signature_set, wallet,
};

/// One command of every kind, and both forms of those that have two.
pub(crate) fn commands() -> Vec<Command> {
    let mut commands = key_commands();
    commands.extend(people());
    commands.extend(house());
    commands
}

fn key_commands() -> Vec<Command> {
    let key = key_id();
    vec![
        Command::ActivateKey { key: key.clone() },
        Command::CancelDestroy { key: key.clone() },
        Command::CompromiseKey { key: key.clone() },
        Command::CreateKey {
            wallet: wallet(),
            key: key.clone(),
            algorithm: Algorithm::Ed25519,
            exportability: Exportability::Wrapped,
            start: KeyStart::PreActivation,
        },
        Command::CreateWallet {
            wallet: wallet(),
            chain: chain(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: Some(key.clone()),
        },
        Command::DeactivateKey { key: key.clone() },
        Command::DeriveAccount {
            wallet: wallet(),
            key: key.clone(),
            path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        },
        Command::DestroyKey { key: key.clone(), wait_ms: 86_400_000 },
        Command::ResealKeys { wallet: wallet(), after: None, limit: Command::RESEAL_MAX },
        Command::ResealKeys { wallet: wallet(), after: Some(key.clone()), limit: 1 },
        Command::ResumeKey { key: key.clone() },
        Command::SuspendKey { key },
    ]
}

fn people() -> Vec<Command> {
    let person = principal();
    let credential = CredentialId::parse("theo-token").unwrap();
    let key = Credential::new(credential_key().public_key().clone()).unwrap();
    vec![
        Command::EnrollCredential {
            principal: person.id.clone(),
            credential: credential.clone(),
            key,
        },
        Command::EnrollPrincipal { principal: person.clone() },
        Command::RemoveCredential { principal: person.id.clone(), credential },
        Command::RemovePrincipal { principal: person.id },
    ]
}

fn house() -> Vec<Command> {
    let book = BookId::parse("contracts").unwrap();
    let text = String::from_utf8(policy().to_bytes().unwrap()).unwrap();
    let resolve = |resolution| Command::ResolveOrder { order: order_id(), resolution };
    vec![
        Command::AddAddress { book: book.clone(), account: account() },
        Command::ConfirmClock {},
        Command::Extension {
            name: ExtensionName::parse("recovery/split").unwrap(),
            document: HexBytes::new(vec![1, 2, 255]),
        },
        Command::Freeze { scope: FreezeScope::House },
        Command::Freeze { scope: FreezeScope::Wallet(wallet()) },
        Command::RegisterAsset { asset: Asset::new(asset(), 18) },
        Command::RegisterDescriptor {
            wallet: wallet(),
            descriptor: WalletDescriptor::parse("wpkh(xpub/<0;1>/*)#00000000").unwrap(),
        },
        Command::RegisterBackend {
            backend: BackendId::parse("software").unwrap(),
            identity: BackendIdentity::parse("kek:0123").unwrap(),
        },
        Command::RemoveAddress { book, account: account() },
        resolve(Resolution::Failed { reason: "the token was wiped".to_owned() }),
        resolve(Resolution::Signed { signatures: signature_set().signatures }),
        rotation(),
        Command::Thaw { scope: FreezeScope::House },
        Command::Thaw { scope: FreezeScope::Wallet(wallet()) },
        Command::UpdatePolicy { policy: text },
    ]
}

fn rotation() -> Command {
    let (old, new) =
        (TestKey::seeded(Algorithm::Ed25519, 9), TestKey::seeded(Algorithm::Ed25519, 10));
    let digest = rotation_signing_digest(&custodian(), old.public_key(), new.public_key());
    let input = SignInput::Message(digest.as_bytes());
    Command::RotateLogKey {
        next: new.public_key().clone(),
        old_signature: old.sign(input).unwrap(),
        new_signature: new.sign(input).unwrap(),
    }
}
