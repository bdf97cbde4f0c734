//! Fixed people, keys and documents: one of every kind, with every field filled.

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

pub(crate) fn event(event: EventBody) -> EventDocument {
    EventDocument { v: V1, at: AT, event }
}

/// One event of every kind, under its name.
pub(crate) fn events() -> Vec<(&'static str, EventDocument)> {
    let submitted = submitted();
    let unsigned = OrderSubmitted {
        signature: None,
        authentication: Authentication::default(),
        ..submitted.clone()
    };
    let mut events = vec![
        ("genesis", EventBody::Genesis(Box::new(genesis()))),
        ("order submitted", EventBody::OrderSubmitted(submitted)),
        ("order submitted, unsigned", EventBody::OrderSubmitted(unsigned)),
        ("approval added", EventBody::ApprovalAdded(statement(Verb::Approve))),
        ("order decided, allowed", EventBody::OrderDecided(decided(Verdict::Allowed))),
        ("order decided, denied", EventBody::OrderDecided(decided(Verdict::Denied))),
        ("key destroyed", EventBody::KeyDestroyed(key_id())),
        ("snapshot", EventBody::Snapshot(reference(digest(0x55)))),
    ];
    for (name, reason) in [
        ("order closed, cancelled", CloseReason::Cancelled(statement(Verb::Cancel))),
        ("order closed, expired", CloseReason::Expired {}),
        ("order closed, recovered", CloseReason::Recovered {}),
        ("order closed, rejected", CloseReason::Rejected(statement(Verb::Reject))),
    ] {
        events.push((name, EventBody::OrderClosed(OrderClosed { order: order_id(), reason })));
    }
    for (name, behind) in [("recovered", None), ("recovered, behind", Some(head(90, 0x9b)))] {
        let recovered = RecoveredEvent { archive: digest(0xa1), restored: head(80, 0x8a), behind };
        events.push((name, EventBody::Recovered(recovered)));
    }
    for (name, outcome) in conclusions() {
        let order = order_id();
        events.push((name, EventBody::OrderConcluded(OrderConcluded { order, outcome })));
    }
    events.into_iter().map(|(name, body)| (name, event(body))).collect()
}

const fn head(size: u64, root: u8) -> HeadReference {
    HeadReference { size: Position::new(size), root: Digest::new([root; 32]) }
}

fn genesis() -> GenesisEvent {
    GenesisEvent {
        nonce: HexBytes::new(vec![0xab; 32]),
        log_key: TestKey::seeded(Algorithm::Ed25519, 9).public_key().clone(),
        engine: EngineId::parse("cedar/4.14.1+custody-policy/0.1.0").unwrap(),
        policy: reference(digest(0x66)),
        principals: vec![principal()],
        assets: vec![Asset::new(asset(), 18)],
        backends: BTreeMap::from([(
            BackendId::parse("software").unwrap(),
            BackendIdentity::parse("kek:0123").unwrap(),
        )]),
    }
}

fn submitted() -> OrderSubmitted {
    OrderSubmitted {
        order: order_id(),
        document: reference(digest(0xdd)),
        requester: requester(),
        request: request(),
        submission: digest(0x77),
        authentication: Authentication {
            factors: 2,
            age_ms: 1_500,
            ip: Some("192.0.2.1".parse().unwrap()),
            signed: true,
        },
        signature: Some(SubmissionSignature {
            credential: CredentialId::parse("olivia-key").unwrap(),
            signature: statement(Verb::Approve).signature,
        }),
    }
}

fn decided(verdict: Verdict) -> OrderDecided {
    let rule = |text: &str| vec![RuleId::parse(text).unwrap()];
    let is_allowed = verdict == Verdict::Allowed;
    let sums = WindowSums {
        h1: Units::from(1_u64),
        h24: Units::from(2_u64),
        d7: Units::from(u64::MAX),
        d30: Units::MAX,
    };
    OrderDecided {
        order: order_id(),
        verdict,
        engine: EngineId::parse("cedar/4.14.1+custody-policy/0.1.0").unwrap(),
        policy: PolicyId::new(digest(0x66)),
        rules: rule("transfer-small"),
        errors: if is_allowed { Vec::new() } else { rule("daily-limit") },
        windows: [
            WindowScope::Destination(account()),
            WindowScope::Requester(requester()),
            WindowScope::Wallet(wallet()),
        ]
        .into_iter()
        .map(|scope| WindowUse {
            window: WindowKey { scope, asset: asset() },
            sums: is_allowed.then_some(sums),
        })
        .collect(),
    }
}

fn conclusions() -> Vec<(&'static str, Conclusion)> {
    let executed = |result| Conclusion::Executed { result };
    let key = CommandResult::Key {
        public_key: wallet_key().public_key().clone(),
        handle: digest(0x88),
        account: Some(account()),
    };
    let resealed = |next| CommandResult::Resealed {
        handles: vec![ResealedKey { key: key_id(), handle: digest(0xcc) }],
        next,
    };
    vec![
        ("order concluded, done", executed(CommandResult::Done {})),
        ("order concluded, extension", executed(CommandResult::Extension { sha256: digest(0x99) })),
        ("order concluded, key", executed(key)),
        ("order concluded, resealed", executed(resealed(Some(key_id())))),
        ("order concluded, resealed to the end", executed(resealed(None))),
        ("order concluded, seed", executed(CommandResult::Seed { handle: digest(0xaa) })),
        ("order concluded, failed", Conclusion::Failed { reason: Hold::BackendRefused }),
        ("order concluded, signed", Conclusion::Signed { signatures: reference(digest(0xbb)) }),
        (
            "order concluded, unknown",
            Conclusion::Unknown { reason: Hold::BadSignature, suspends: Some(key_id()) },
        ),
    ]
}
