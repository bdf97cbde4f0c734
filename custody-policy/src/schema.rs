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
        "entity Role enum [{}];\nentity Tier enum [{}];\n{ENTITIES}\ntype Counts = {{ {} }};\n{TYPES}\n",
        names(roles),
        names(tiers),
        counts.join(", "),
    );
    for action in Action::ALL {
        text.push_str(&declaration(*action));
    }
    text
}

/// What the facts of an action are, besides those that all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Amount, asset, value, fee, spent, and the order's total.
    pub(crate) money: bool,
    /// Destination, books, known, cooled, self-owned.
    pub(crate) destination: bool,
    /// The function called.
    pub(crate) selector: bool,
    /// The kind of what is signed.
    pub(crate) kind: bool,
    /// Whether it loosens the rules.
    pub(crate) loosens: bool,
    /// The name of an extension command.
    pub(crate) name: bool,
    /// The group that the action is in.
    pub(crate) group: Option<&'static str>,
}

impl Shape {
    /// The shape of `action`; an action that this crate does not know has no facts of its own.
    pub(crate) fn of(action: Action) -> Self {
        let none = Self {
            money: false,
            destination: false,
            selector: false,
            kind: false,
            loosens: false,
            name: false,
            group: None,
        };
        let called = Self { destination: true, selector: true, ..none };
        let signed = Self { kind: true, group: Some("sign"), ..none };
        match action {
            Action::Transfer | Action::Approve => {
                Self { money: true, destination: true, group: Some("spend"), ..none }
            }
            Action::PayFee => Self { money: true, ..none },
            Action::Call | Action::DelegateCall | Action::Administer => called,
            Action::SignMessage | Action::SignOpaque => signed,
            other if other.is_governance() => Self {
                loosens: true,
                name: other == Action::Extension,
                group: Some("govern"),
                ..none
            },
            _ => none,
        }
    }
}

fn declaration(action: Action) -> String {
    let shape = Shape::of(action);
    let group = shape.group.map_or_else(String::new, |group| format!(" in [{group}]"));
    let resources = if action.is_governance() { "House, Wallet, AddressBook" } else { "Wallet" };
    let order = if shape.money { "MoneyOrder" } else { "Order" };
    let mut context = vec![COMMON.to_owned(), format!("  order: {order}")];
    let parts = [
        (shape.money, MONEY),
        (shape.destination, DESTINATION),
        (shape.selector, "  selector: String"),
        (shape.kind, "  kind: String"),
        (shape.loosens, "  loosens?: Bool"),
        (shape.name, "  name: String"),
    ];
    context.extend(parts.iter().filter(|(has, _)| *has).map(|(_, part)| (*part).to_owned()));
    format!(
        "action {action}{group} appliesTo {{ principal: [User], resource: [{resources}], context: {{\n{}\n}} }};\n",
        context.join(",\n"),
    )
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
type Authn = { factors: Long, age: duration, signed: Bool, ip?: ipaddr };
type Order = { count: Long };
type MoneyOrder = { count: Long, total: decimal };
action spend, sign, govern;";

const COMMON: &str =
    "  approvals: Counts, organisations: Counts, age: duration, now: datetime, weekday: Long,
  authn: Authn, facts: Set<String>";

const MONEY: &str = "  amount: decimal, asset: Asset, value?: decimal, fee: decimal, spent: Spent";

const DESTINATION: &str = "  destination: Address, books: Set<AddressBook>, known: Bool, cooled: duration, self_owned: Bool";
