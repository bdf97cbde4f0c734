//! What literals must not be: other spellings of what orders say.
//!
//! Invariant: an entity in a rule, and a text that a rule compares with a fact of a closed form, is
//! spelt as ids of its kind are written. Cedar compares byte by byte: another spelling never
//! matches, so that a forbid with one would forbid nothing.
//!
//! `context.arguments` is left out: its texts are free, as contracts and messages have them.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's syntax tree is open: what is not named here holds no literal"
)]

use cedar_policy::pst::{
    BinaryOp, Clause, EntityOrSlot, EntityUID, Expr, Literal, PatternElem, PrincipalConstraint,
    ResourceConstraint, Template,
};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{DecodeFact, MessageKind, Selector};
use custody_core::id::{BookId, ExtensionName, OrganisationId, PrincipalId, WalletId};

use crate::leaf::{self, Leaf, Target};

/// What is wrong with the rule's literals.
pub(crate) fn errors(rule: &Template) -> Vec<String> {
    let mut messages: Vec<String> = named(rule).filter_map(entity).collect();
    for clause in rule.clauses() {
        let (Clause::When(expression) | Clause::Unless(expression)) = clause;
        check(expression, &mut messages);
    }
    messages
}

/// The entities that the scope names, without actions.
fn named(rule: &Template) -> impl Iterator<Item = &EntityUID> {
    let principal = match &rule.principal {
        PrincipalConstraint::Eq(named)
        | PrincipalConstraint::In(named)
        | PrincipalConstraint::IsIn(_, named) => Some(named),
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
    };
    let resource = match &rule.resource {
        ResourceConstraint::Eq(named)
        | ResourceConstraint::In(named)
        | ResourceConstraint::IsIn(_, named) => Some(named),
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
    };
    [principal, resource].into_iter().flatten().filter_map(|named| match named {
        EntityOrSlot::Entity(entity) => Some(entity),
        EntityOrSlot::Slot(_) => None,
    })
}

fn check(expression: &Expr, messages: &mut Vec<String>) {
    match expression {
        Expr::Literal(Literal::EntityUID(uid)) => messages.extend(entity(uid)),
        Expr::BinaryOp { op, left, right } => {
            if compares(*op) {
                messages.extend(Operands::of(left, right).errors());
            }
            check(left, messages);
            check(right, messages);
        }
        Expr::Like { expr, pattern } => {
            messages.extend(Form::of(expr).and_then(|form| form.pattern(pattern)));
            check(expr, messages);
        }
        Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::HasAttr { expr, .. } => {
            check(expr, messages);
        }
        Expr::Is { expr, in_expr, .. } => {
            check(expr, messages);
            if let Some(group) = in_expr {
                check(group, messages);
            }
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            check(cond, messages);
            check(then_expr, messages);
            check(else_expr, messages);
        }
        Expr::Set(members) => members.iter().for_each(|member| check(member, messages)),
        Expr::Record(fields) => fields.values().for_each(|field| check(field, messages)),
        _ => {}
    }
}

/// What is wrong with an entity that no order can have.
fn entity(uid: &EntityUID) -> Option<String> {
    let id = uid.eid.as_str();
    let spelt = match uid.ty.to_string().as_str() {
        "Address" => spelling(AccountId::parse(id)).and_then(whole_account),
        "AddressBook" => spelling(BookId::parse(id)),
        "Asset" => spelling(AssetId::parse(id)).and_then(whole_asset),
        "Org" => spelling(OrganisationId::parse(id)),
        "User" => spelling(PrincipalId::parse(id)),
        "Wallet" => spelling(WalletId::parse(id)),
        // The schema lists each of them, so that Cedar refuses any other.
        "Action" | "House" | "Role" | "Tier" => return None,
        _ => Err("no id is of this type".to_owned()),
    };
    correction(id, spelt).map(|why| format!("`{uid}` never matches: {why}"))
}

const fn compares(operator: BinaryOp) -> bool {
    matches!(
        operator,
        BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Contains
            | BinaryOp::ContainsAll
            | BinaryOp::ContainsAny
    )
}

/// What the two sides of a comparison can be, members of sets included.
#[derive(Debug, Default)]
struct Operands<'a> {
    facts: Vec<Form>,
    texts: Vec<&'a str>,
}

impl<'a> Operands<'a> {
    fn of(left: &'a Expr, right: &'a Expr) -> Self {
        let mut operands = Self::default();
        operands.add(left);
        operands.add(right);
        operands
    }

    fn add(&mut self, side: &'a Expr) {
        match side {
            Expr::Literal(Literal::String(text)) => self.texts.push(text.as_str()),
            Expr::IfThenElse { then_expr, else_expr, .. } => {
                self.add(then_expr);
                self.add(else_expr);
            }
            Expr::Set(members) => members.iter().for_each(|member| self.add(member)),
            other => self.facts.extend(Form::of(other)),
        }
    }

    fn errors(&self) -> Vec<String> {
        self.facts
            .iter()
            .flat_map(|form| self.texts.iter().filter_map(move |text| form.text(text)))
            .collect()
    }
}

/// A fact whose texts have a closed form.
#[derive(Clone, Copy, Debug)]
enum Form {
    Chain,
    Facts,
    Kind,
    Name,
    Selector,
}

impl Form {
    fn of(expression: &Expr) -> Option<Self> {
        if let Expr::GetAttr { attr, .. } = expression
            && attr.as_str() == "chain"
        {
            return Some(Self::Chain);
        }
        match leaf::target(&leaf::path(expression)?, &[]) {
            Target::Leaf(Leaf::Facts) => Some(Self::Facts),
            Target::Leaf(Leaf::Kind) => Some(Self::Kind),
            Target::Leaf(Leaf::Name) => Some(Self::Name),
            Target::Leaf(Leaf::Selector) => Some(Self::Selector),
            _ => None,
        }
    }

    const fn fact(self) -> &'static str {
        match self {
            Self::Chain => "resource.chain",
            Self::Facts => "context.facts",
            Self::Kind => "context.kind",
            Self::Name => "context.name",
            Self::Selector => "context.selector",
        }
    }

    /// What is wrong with a text that the fact never is.
    fn text(self, text: &str) -> Option<String> {
        let spelt = match self {
            Self::Chain => spelling(ChainId::parse(text)),
            Self::Facts => spelling(DecodeFact::parse(text).map(|fact| fact.as_str().to_owned())),
            Self::Kind => spelling(MessageKind::parse(text).map(|kind| kind.as_str().to_owned())),
            Self::Name => spelling(ExtensionName::parse(text)),
            Self::Selector => spelling(Selector::parse(text).map(|own| lower_hex(own.as_str()))),
        };
        self.never(text, spelt)
    }

    /// The same of a pattern, as far as its beginning tells.
    fn pattern(self, pattern: &[PatternElem]) -> Option<String> {
        let letter = |part: &PatternElem| match part {
            PatternElem::Char(letter) => *letter,
            PatternElem::Wildcard => '*',
        };
        let text: String = pattern.iter().map(letter).collect();
        let spelt = match self {
            Self::Chain => {
                let namespace = text.split([':', '*']).next().unwrap_or("");
                text.replacen(namespace, &namespace.to_ascii_lowercase(), 1)
            }
            Self::Selector => lower_hex(&text),
            Self::Facts | Self::Kind | Self::Name => return None,
        };
        self.never(&text, Ok(spelt))
    }

    fn never(self, text: &str, spelt: Result<String, String>) -> Option<String> {
        let (fact, shown) = (self.fact(), text.escape_default());
        correction(text, spelt).map(|why| format!("`\"{shown}\"` never matches `{fact}`: {why}"))
    }
}

/// How an id is written, or why there is none.
fn spelling<T: ToString, E: ToString>(parsed: Result<T, E>) -> Result<String, String> {
    parsed.map(|id| id.to_string()).map_err(|error| error.to_string())
}

/// The account, unless nobody can have it: on a chain of the EVM an address is 20 bytes.
fn whole_account(account: String) -> Result<String, String> {
    let address = account.rsplit(':').next().unwrap_or("");
    if !account.starts_with(EVM) || is_evm_address(address) { Ok(account) } else { not_whole() }
}

/// The asset, unless no contract can have its tokens.
fn whole_asset(asset: String) -> Result<String, String> {
    let is_whole = match asset.split_once("/erc").and_then(|(_, token)| token.split_once(':')) {
        Some((_, contract)) if asset.starts_with(EVM) => is_evm_address(contract),
        _ => true,
    };
    if is_whole { Ok(asset) } else { not_whole() }
}

fn is_evm_address(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or("");
    digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn not_whole() -> Result<String, String> {
    Err("on `eip155` chains an address is 0x and 40 hexadecimal digits".to_owned())
}

/// What to do about a literal that is spelt in another way than the id.
fn correction(literal: &str, spelt: Result<String, String>) -> Option<String> {
    match spelt {
        Ok(own) if own == literal => None,
        Ok(own) => Some(format!("write `\"{}\"`", own.escape_default())),
        Err(why) => Some(why),
    }
}

/// Hex in lower case, as decoders write it; a selector of another form keeps its letters.
fn lower_hex(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'*';
    let is_hex = lower.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(is_digit));
    if is_hex { lower } else { text.to_owned() }
}

const EVM: &str = "eip155:";
