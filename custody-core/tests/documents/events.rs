//! One event of every kind.

use super::*;

fn event(event: EventBody) -> EventDocument {
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
