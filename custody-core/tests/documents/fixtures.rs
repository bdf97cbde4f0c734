//! Fixed people, keys and documents: one of every kind, with every field filled.

mod events;

use std::collections::{BTreeMap, BTreeSet};

use custody_core::amount::{Amount, Asset, Units};
use custody_core::bytes::HexBytes;
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::command::{CommandResult, ResealedKey};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, CommandReference, Conclusion, DocumentReference, EventBody, EventDocument,
    GenesisEvent, HeadReference, Hold, OrderClosed, OrderConcluded, OrderDecided, OrderDocument,
    OrderSubmitted, PayloadReference, RecoveredEvent, SignatureSet, SubmissionDocument,
    TaskReference, V1, Verdict, WindowUse, Work,
};
use custody_core::effect::{
    Action, Arguments, DecodeFact, Effect, GovernanceTarget, MessageKind, Selector,
};
use custody_core::id::{
    BackendId, BackendIdentity, BookId, CredentialId, CustodianId, DecoderId, EngineId,
    ExtensionName, KeyId, OrderId, OrganisationId, PayloadFormat, PolicyId, PrincipalId, RequestId,
    RoleId, RuleId, TierId, WalletId,
};
use custody_core::principal::{
    Credential, Principal, SignedStatement, Statement, SubmissionSignature, Verb,
};
use custody_core::seam::{
    Authentication, ContextAccount, DecodeContext, DerivationPath, PolicyDocument, Position,
    TaskSignature, WalletDescriptor, WindowSums,
};
use custody_core::time::Timestamp;
use custody_core::window::{WindowKey, WindowScope};
use custody_testkit::key::TestKey;

pub(crate) use events::events;

pub(crate) const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

pub(crate) fn custodian() -> CustodianId {
    CustodianId::new(digest(0xcc))
}

pub(crate) fn order_id() -> OrderId {
    OrderId::parse("018bcfe5-6800-7000-8000-000000000001").unwrap()
}

pub(crate) fn key_id() -> KeyId {
    KeyId::parse("key-1").unwrap()
}

pub(crate) fn wallet() -> WalletId {
    WalletId::parse("hot").unwrap()
}

pub(crate) fn chain() -> ChainId {
    ChainId::parse("eip155:1").unwrap()
}

pub(crate) fn asset() -> AssetId {
    AssetId::parse("eip155:1/slip44:60").unwrap()
}

pub(crate) fn account() -> AccountId {
    AccountId::parse("eip155:1:0x70997970c51812dc3a010c7d01b50e0d17dc79c8").unwrap()
}

pub(crate) fn requester() -> PrincipalId {
    PrincipalId::parse("olivia").unwrap()
}

pub(crate) fn request() -> RequestId {
    RequestId::parse("018bcfe5-67ff-7000-8000-0000000000aa").unwrap()
}

pub(crate) fn credential_key() -> TestKey {
    TestKey::seeded(Algorithm::Ed25519, 1)
}

pub(crate) fn wallet_key() -> TestKey {
    TestKey::seeded(Algorithm::EcdsaSecp256k1, 2)
}

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new(asset(), Units::from(units))
}

pub(crate) const fn reference(sha256: Digest) -> DocumentReference {
    DocumentReference { sha256, size: 321 }
}

pub(crate) fn statement(verb: Verb) -> SignedStatement {
    let statement = Statement {
        verb,
        order: order_id(),
        digest: digest(0xdd),
        principal: PrincipalId::parse("theo").unwrap(),
        credential: CredentialId::parse("theo-key").unwrap(),
        role: RoleId::parse("treasurer").unwrap(),
        valid_until: Timestamp::from_millis(1_700_086_400_000),
    };
    let digest = statement.signing_digest(&custodian());
    let signature = credential_key().sign(SignInput::Message(digest.as_bytes())).unwrap();
    statement.signed(signature)
}

pub(crate) fn principal() -> Principal {
    let key = Credential::new(credential_key().public_key().clone()).unwrap();
    let other = TestKey::seeded(Algorithm::EcdsaP256, 3);
    let other = Credential::new(other.public_key().clone()).unwrap();
    Principal {
        id: PrincipalId::parse("theo").unwrap(),
        organisation: OrganisationId::parse("treasury").unwrap(),
        service: false,
        roles: BTreeSet::from([RoleId::parse("treasurer").unwrap()]),
        credentials: BTreeMap::from([
            (CredentialId::parse("theo-key").unwrap(), key),
            (CredentialId::parse("theo-phone").unwrap(), other),
        ]),
    }
}

pub(crate) fn policy() -> PolicyDocument {
    PolicyDocument {
        v: 1,
        roles: vec![RoleId::parse("operator").unwrap(), RoleId::parse("treasurer").unwrap()],
        tiers: vec![TierId::parse("hot").unwrap()],
        rules: "permit (principal, action, resource);\n".to_owned(),
    }
}

pub(crate) fn submission() -> SubmissionDocument {
    SubmissionDocument {
        v: V1,
        requester: requester(),
        request: request(),
        wallet: Some(wallet()),
        key: Some(key_id()),
        format: PayloadFormat::parse("evm/transaction").unwrap(),
        sha256: digest(0x11),
        expires: Some(Timestamp::from_millis(1_700_086_400_000)),
    }
}

pub(crate) fn payload_order() -> OrderDocument {
    OrderDocument {
        v: V1,
        custodian: custodian(),
        order: order_id(),
        requester: requester(),
        request: request(),
        wallet: Some(wallet()),
        chain: Some(chain()),
        submitted: AT,
        expires: Timestamp::from_millis(1_700_086_400_000),
        work: Work::Payload(PayloadReference {
            format: PayloadFormat::parse("evm/transaction").unwrap(),
            size: 42,
            sha256: digest(0x11),
            decoder: DecoderId::parse("evm/1").unwrap(),
            context: reference(digest(0x22)),
        }),
        effects: effects(),
        facts: BTreeSet::from([DecodeFact::parse("replayable").unwrap()]),
        tasks: vec![TaskReference {
            key: key_id(),
            public_key: wallet_key().public_key().clone(),
            algorithm: Algorithm::EcdsaSecp256k1,
            input_sha256: digest(0x33),
        }],
    }
}

pub(crate) fn command_order() -> OrderDocument {
    OrderDocument {
        wallet: None,
        chain: None,
        work: Work::Command(CommandReference {
            action: Action::UpdatePolicy,
            size: 17,
            sha256: digest(0x44),
        }),
        facts: BTreeSet::new(),
        tasks: Vec::new(),
        effects: vec![Effect::Govern {
            action: Action::UpdatePolicy,
            target: GovernanceTarget::House,
            loosens: None,
            extension: None,
        }],
        ..payload_order()
    }
}

fn arguments() -> Arguments {
    let mut arguments = Arguments::new();
    arguments.insert("to", "0x00").unwrap();
    arguments.insert("amount", "5").unwrap();
    arguments
}

/// One effect of every kind.
fn effects() -> Vec<Effect> {
    let contract = account();
    let selector = Selector::parse("0xa9059cbb").unwrap();
    let kind = MessageKind::parse("eip191").unwrap();
    vec![
        Effect::Administer {
            contract: contract.clone(),
            selector: selector.clone(),
            arguments: Arguments::new(),
        },
        Effect::Approve { amount: amount(5), spender: account() },
        Effect::Call {
            contract: contract.clone(),
            selector: selector.clone(),
            arguments: arguments(),
        },
        Effect::DelegateCall { contract, selector, arguments: Arguments::new() },
        Effect::Deploy,
        Effect::Govern {
            action: Action::Extension,
            target: GovernanceTarget::Wallet(wallet()),
            loosens: Some(true),
            extension: Some(ExtensionName::parse("recovery/split").unwrap()),
        },
        Effect::Govern {
            action: Action::AddAddress,
            target: GovernanceTarget::Book(BookId::parse("contracts").unwrap()),
            loosens: None,
            extension: None,
        },
        Effect::PayFee { amount: amount(21_000), rate: Some(1_250) },
        Effect::SignMessage { kind: kind.clone(), arguments: arguments() },
        Effect::SignOpaque { kind },
        Effect::Transfer {
            amount: Amount::new(asset(), Units::MAX),
            from: account(),
            to: account(),
        },
    ]
}

pub(crate) fn signature_set() -> SignatureSet {
    let signer = wallet_key();
    let input = SignInput::Prehash(&[7; 32]);
    let signature = signer.sign(input).unwrap().checked(signer.public_key(), input).unwrap();
    SignatureSet {
        v: V1,
        order: order_id(),
        signatures: vec![TaskSignature { key: key_id(), signature }],
    }
}

pub(crate) fn context() -> DecodeContext {
    DecodeContext {
        v: 1,
        wallet: wallet(),
        chain: chain(),
        accounts: vec![ContextAccount {
            key: key_id(),
            public_key: wallet_key().public_key().clone(),
            path: Some(DerivationPath::parse("m/84'/0'/0'/0/7").unwrap()),
        }],
        descriptors: vec![WalletDescriptor::parse("wpkh(xpub/<0;1>/*)#00000000").unwrap()],
    }
}
