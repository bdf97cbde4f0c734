//! The Cedar schema of a house, generated from its roles and tiers.
//!
//! Invariant: each action carries exactly the facts that it has, so that a rule which reads a fact
//! its action lacks is refused when it is loaded; roles and tiers are enumerations, so that a typo
//! is refused too.

use custody_core::effect::Action;
use custody_core::seam::PolicyDocument;

/// The schema's text. The same document always gives the same text.
pub(crate) fn text(document: &PolicyDocument) -> String {
    let roles = document.roles.iter().map(|role| role.as_str());
    let tiers = document.tiers.iter().map(|tier| tier.as_str());
    let counts: Vec<String> =
        document.roles.iter().map(|role| format!("\"{role}\": Long")).collect();
    let mut text = format!(
        "entity Role enum [{}];\nentity Tier enum [{}];\n{ENTITIES}\n\n\
         type Counts = {{ {} }};\n{TYPES}\n{}\naction spend, sign, govern;\n",
        names(roles),
        names(tiers),
        counts.join(", "),
        contexts(),
    );
    for action in Action::ALL {
        text.push_str(&declaration(*action));
    }
    text
}

/// Which facts an action has, besides those that all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A destination, a selector and arguments.
    Call,
    /// Perhaps whether it loosens the rules.
    Command,
    /// A command with a name of its own.
    Extension,
    /// Money without a destination.
    Fee,
    /// What kind of thing is signed, and what it says.
    Message,
    /// Nothing else.
    Plain,
    /// Money and a destination.
    Spend,
}

impl Shape {
    const ALL: [(Self, &'static [&'static str]); 7] = [
        (Self::Call, &[ORDER, DESTINATION, "selector: String", ARGUMENTS]),
        (Self::Command, &[ORDER, "loosens?: Bool"]),
        (Self::Extension, &[ORDER, "loosens?: Bool", "name: String"]),
        (Self::Fee, &[MONEY_ORDER, MONEY, "fee_rate?: Long"]),
        (Self::Message, &[ORDER, "kind: String", ARGUMENTS]),
        (Self::Plain, &[ORDER]),
        (Self::Spend, &[MONEY_ORDER, MONEY, DESTINATION]),
    ];

    /// The shape of `action`. An action that this crate does not know has no facts of its own.
    #[expect(clippy::wildcard_enum_match_arm, reason = "see above")]
    pub(crate) fn of(action: Action) -> Self {
        match action {
            Action::Transfer | Action::Approve => Self::Spend,
            Action::PayFee => Self::Fee,
            Action::Call | Action::DelegateCall | Action::Administer => Self::Call,
            Action::SignMessage | Action::SignOpaque => Self::Message,
            Action::Extension => Self::Extension,
            other if other.is_governance() => Self::Command,
            _ => Self::Plain,
        }
    }

    pub(crate) const fn has_money(self) -> bool {
        matches!(self, Self::Fee | Self::Spend)
    }

    pub(crate) const fn has_destination(self) -> bool {
        matches!(self, Self::Call | Self::Spend)
    }

    /// The group that rules may name instead of the action.
    pub(crate) const fn group(self) -> Option<&'static str> {
        match self {
            Self::Command | Self::Extension => Some("govern"),
            Self::Message => Some("sign"),
            Self::Spend => Some("spend"),
            Self::Call | Self::Fee | Self::Plain => None,
        }
    }
}

fn declaration(action: Action) -> String {
    let shape = Shape::of(action);
    let group = shape.group().map_or_else(String::new, |group| format!(" in [{group}]"));
    let resources = if action.is_governance() { "House, Wallet, AddressBook" } else { "Wallet" };
    format!(
        "action {action}{group} appliesTo {{ principal: [User], resource: [{resources}], \
         context: {shape:?}Context }};\n"
    )
}

/// Records cannot be extended in Cedar, so each repeats what all have.
fn contexts() -> String {
    let context = |(shape, parts): (Shape, &[&str])| {
        format!("type {shape:?}Context = {{\n  {COMMON},\n  {}\n}};\n", parts.join(",\n  "))
    };
    Shape::ALL.into_iter().map(context).collect()
}

/// An enumeration cannot be empty: a house without roles gets a name that no role can have.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    if quoted.is_empty() { "\"-\"".to_owned() } else { quoted.join(", ") }
}

const ENTITIES: &str = r#"entity House enum ["house"];
entity Org;
entity Address;
entity AddressBook;
entity Asset;
entity User in [Role, Org] { service: Bool };
entity Wallet in [Tier] { chain: String };"#;

const TYPES: &str = "type Window = { h1: decimal, h24: decimal, d7: decimal, d30: decimal };
type Spent = { wallet: Window, requester: Window, destination: Window };
type Authn = { factors: Long, age: duration, signed: Bool, ip?: ipaddr };";

const COMMON: &str =
    "approvals: Counts, organisations: Counts, age: duration, drilled: duration, now: datetime,
  weekday: Long, authn: Authn, facts: Set<String>";

const ORDER: &str = "order: { count: Long }";

const MONEY_ORDER: &str = "order: { count: Long, total: decimal }";

const MONEY: &str = "amount: decimal, asset: Asset, value?: decimal, fee: decimal, spent: Spent";

const DESTINATION: &str =
    "destination: Address, books: Set<AddressBook>, known: Bool, cooled: duration,
  self_owned: Bool, resembles: Bool";

/// Each is `name=value`.
const ARGUMENTS: &str = "arguments: Set<String>";
