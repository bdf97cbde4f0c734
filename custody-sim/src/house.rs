//! The house that is simulated: its people, rules, wallets and what they ask for.

use std::sync::Arc;

use custody_core::amount::{Amount, Asset, Units};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::Genesis;
use custody_core::effect::Effect;
use custody_core::id::EngineId;
use custody_core::id::{
    BackendId, KeyId, OrderId, PolicyId, PrincipalId, RequestId, TierId, WalletId,
};
use custody_core::principal::Principal;
use custody_core::seam::{
    Exportability, Facts, Judgement, Missing, Payload, PolicyCompiler, PolicyDocument,
    PolicyEngine, PolicyError,
};
use custody_testkit::decoder::TestTransfer;
use custody_testkit::people::TestPerson;
use custody_testkit::policy::TestRules;

/// A rule set, and what it says about payments.
#[derive(Clone, Debug)]
pub(crate) struct RuleSet {
    pub(crate) document: PolicyDocument,
    pub(crate) id: PolicyId,
    /// Treasurers who must approve a payment.
    pub(crate) approvals: usize,
    /// What may leave a wallet in 24 hours.
    pub(crate) day_max: u128,
    /// What one payment may be.
    pub(crate) order_max: u128,
}

/// The people: operators pay, treasurers approve, the administrator governs.
#[derive(Clone, Debug)]
pub(crate) struct People {
    pub(crate) all: Vec<TestPerson>,
}

impl People {
    pub(crate) fn new() -> Self {
        let all = [
            ("olivia", &["operator", "treasurer"][..]),
            ("otto", &["operator"]),
            ("theo", &["treasurer"]),
            ("tara", &["treasurer"]),
            ("tom", &["treasurer"]),
            ("adam", &["administrator"]),
        ];
        Self { all: all.iter().map(|(name, roles)| TestPerson::new(name, roles)).collect() }
    }

    pub(crate) fn named(&self, name: &str) -> &TestPerson {
        self.all.iter().find(|person| person.id().as_str() == name).unwrap()
    }

    pub(crate) fn principals(&self) -> Vec<Principal> {
        self.all.iter().map(TestPerson::principal).collect()
    }
}

impl RuleSet {
    /// All rule sets that the house ever has; the first is in force from the start.
    pub(crate) fn all() -> Vec<Self> {
        [(1, 1_500, 500), (2, 3_000, 700), (0, 900, 500), (1, 600, 300)]
            .map(|(approvals, day, order)| Self::of(approvals, day, order))
            .to_vec()
    }

    fn of(approvals: usize, day_max: u128, order_max: u128) -> Self {
        let payments = match approvals {
            0 => "allow transfer".to_owned(),
            count => format!("need treasurer {count} transfer"),
        };
        let mut rules = format!("{payments}\nrole operator transfer\n");
        rules.push_str(&format!("limit-order {order_max}\nlimit-day {day_max}\n"));
        for action in STOPPING {
            rules.push_str(&format!("allow {action}\n"));
        }
        for action in GOVERNED {
            rules.push_str(&format!("need treasurer 1 {action}\n"));
        }
        let document = TestRules::document(&["administrator", "operator", "treasurer"], &rules);
        let id = PolicyDocument::id_of(&document.to_bytes().unwrap());
        Self { document, id, approvals, day_max, order_max }
    }
}

/// Who may do what, from the start.
pub(crate) fn genesis(people: &People) -> Genesis {
    Genesis {
        policy: RuleSet::all().swap_remove(0).document,
        principals: people.principals(),
        assets: vec![Asset::new(TestTransfer::coin(), 2)],
    }
}

/// The wallets of the house.
pub(crate) const WALLETS: [&str; 2] = ["hot", "cold"];

pub(crate) fn wallet(name: &str) -> WalletId {
    WalletId::parse(name).unwrap()
}

pub(crate) fn key(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}

pub(crate) fn request_id(name: &str) -> RequestId {
    RequestId::parse(name).unwrap()
}

pub(crate) fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).unwrap()
}

/// The commands that make the wallets and their keys.
pub(crate) fn furniture() -> Vec<Command> {
    let mut commands = Vec::new();
    for name in WALLETS {
        commands.push(Command::CreateWallet {
            wallet: wallet(name),
            chain: TestTransfer::chain(),
            tier: TierId::parse(name).unwrap(),
            backend: BackendId::parse("vault").unwrap(),
            seed: None,
        });
        for number in 0..3 {
            commands.push(create_key(name, number));
        }
    }
    commands
}

/// The command that makes a key of a wallet.
pub(crate) fn create_key(name: &str, number: u64) -> Command {
    Command::CreateKey {
        wallet: wallet(name),
        key: key(&format!("{name}.{number}")),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

/// A payment of so many units, which these keys sign.
pub(crate) fn payment(units: u64, signers: Vec<KeyId>, nonce: u64) -> Payload {
    let effect = Effect::Transfer {
        amount: Amount::new(TestTransfer::coin(), Units::from(units)),
        from: TestTransfer::account("own"),
        to: TestTransfer::account("friend"),
    };
    TestTransfer { effects: vec![effect], signers, facts: Default::default(), nonce }.payload()
}

/// The end of an order's id, by which a trace names it.
pub(crate) fn short(order: &OrderId) -> &str {
    order.as_str().get(order.as_str().len() - 6..).unwrap_or_default()
}

/// A compiler whose engines allow everything, under the name of the honest one.
#[derive(Clone, Debug)]
pub(crate) struct LaxCompiler(pub(crate) TestRules);

#[derive(Debug)]
struct LaxEngine(Arc<dyn PolicyEngine>);

impl PolicyCompiler for LaxCompiler {
    fn engine(&self) -> &EngineId {
        self.0.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        Ok(Arc::new(LaxEngine(self.0.compile(rules)?)))
    }
}

impl PolicyEngine for LaxEngine {
    fn id(&self) -> PolicyId {
        self.0.id()
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        Judgement { allowed: true, errors: Vec::new(), ..self.0.judge(facts) }
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        self.0.missing(facts)
    }
}

/// What one person may do: it only takes rights away.
const STOPPING: [&str; 3] = ["freeze", "suspend_key", "remove_principal"];
/// What a treasurer must approve.
const GOVERNED: [&str; 14] = [
    "add_address",
    "compromise_key",
    "confirm_clock",
    "create_key",
    "create_wallet",
    "deactivate_key",
    "destroy_key",
    "cancel_destroy",
    "enroll_principal",
    "resolve_order",
    "resume_key",
    "rotate_log_key",
    "thaw",
    "update_policy",
];
