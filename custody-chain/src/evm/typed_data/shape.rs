//! Whether the document is what its types declare, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::size::{self, Budget};
use super::strict::Document;
use crate::evm::EvmError;

/// Fields by the name of their struct, in the order of their declaration.
pub(super) type Types<'a> = BTreeMap<&'a str, Vec<Field<'a>>>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
}

/// Passes a document in which everything is declared and everything that is declared is used.
pub(super) fn check(document: &Document) -> Result<(), EvmError> {
    let types = types(document)?;
    let primary = document.primary_type.as_str();
    if primary == DOMAIN || !types.contains_key(primary) {
        return wrong("the primary type is not declared");
    }
    size::check(&types, primary)?;
    check_domain(&types, &document.domain)?;
    let mut used = BTreeSet::from([DOMAIN]);
    mark(&types, primary, &mut used);
    if used.len() != types.len() {
        return wrong("a type is declared and not used");
    }
    check_struct(&types, primary, &document.message, &mut Budget::of(&types))
}

fn types(document: &Document) -> Result<Types<'_>, EvmError> {
    let mut types = Types::new();
    for (name, fields) in &document.types {
        if !is_name(name) {
            return wrong("a type has no proper name");
        }
        let Value::Array(fields) = fields else { return wrong("a type is no list of fields") };
        let mut list: Vec<Field<'_>> = Vec::new();
        for field in fields {
            let field = read(field).ok_or(EvmError::TypedData { what: "a field is malformed" })?;
            if list.iter().any(|other| other.name == field.name) {
                return wrong("a field is declared twice");
            }
            list.push(field);
        }
        types.insert(name, list);
    }
    let kinds = types.values().flatten().map(|field| root(field.kind));
    for kind in kinds {
        if !types.contains_key(kind) && !is_builtin(kind) {
            return wrong("a field is of a type that is not declared");
        }
    }
    Ok(types)
}

/// A name and a type, and nothing else.
fn read(field: &Value) -> Option<Field<'_>> {
    let field = field.as_object().filter(|field| field.len() == 2)?;
    let (name, kind) = (field.get("name")?.as_str()?, field.get("type")?.as_str()?);
    is_name(name).then_some(Field { name, kind })
}

/// The domain is declared with the fields that it has, each of its own type, in their order
/// (EIP-712, "Definition of `domainSeparator`").
fn check_domain(types: &Types<'_>, domain: &Map<String, Value>) -> Result<(), EvmError> {
    let Some(declared) = types.get(DOMAIN) else { return wrong("the domain is not declared") };
    let mut known = DOMAIN_FIELDS.iter();
    let in_order = declared
        .iter()
        .all(|field| known.any(|(name, kind)| (field.name, field.kind) == (*name, *kind)));
    let is_whole = declared.len() == domain.len()
        && declared.iter().all(|field| domain.contains_key(field.name));
    if in_order && is_whole { Ok(()) } else { wrong("the domain is not what is declared") }
}

fn mark<'a>(types: &Types<'a>, name: &'a str, used: &mut BTreeSet<&'a str>) {
    if !used.insert(name) {
        return;
    }
    for field in types.get(name).into_iter().flatten() {
        let kind = root(field.kind);
        if types.contains_key(kind) {
            mark(types, kind, used);
        }
    }
}

fn check_struct(
    types: &Types<'_>,
    name: &str,
    value: &Map<String, Value>,
    budget: &mut Budget,
) -> Result<(), EvmError> {
    budget.spend()?;
    let fields = types.get(name).map_or(&[][..], Vec::as_slice);
    if fields.len() != value.len() {
        return wrong("the message is not what is declared");
    }
    for field in fields {
        match value.get(field.name) {
            Some(value) => check_value(types, field.kind, value, budget)?,
            None => return wrong("the message is not what is declared"),
        }
    }
    Ok(())
}

/// Goes down as deep as the value does, which is bounded.
fn check_value(
    types: &Types<'_>,
    kind: &str,
    value: &Value,
    budget: &mut Budget,
) -> Result<(), EvmError> {
    if let Some((inner, _)) = kind.strip_suffix(']').and_then(|kind| kind.rsplit_once('[')) {
        let Value::Array(items) = value else { return wrong("a list is expected") };
        return items.iter().try_for_each(|item| check_value(types, inner, item, budget));
    }
    match (types.contains_key(kind), value) {
        (true, Value::Object(fields)) => check_struct(types, kind, fields, budget),
        (false, Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(()),
        _ => wrong("a value is not of its type"),
    }
}

/// A type without the brackets of lists.
pub(super) fn root(kind: &str) -> &str {
    kind.split_once('[').map_or(kind, |(root, _)| root)
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// The atomic and dynamic types (EIP-712, "Definition of typed structured data").
fn is_builtin(kind: &str) -> bool {
    let sized = |prefix, step, most| {
        kind.strip_prefix(prefix).is_some_and(|digits: &str| {
            let size: Option<u16> = digits.parse().ok();
            size.is_some_and(|size: u16| {
                size > 0 && size <= most && size.is_multiple_of(step) && digits == size.to_string()
            })
        })
    };
    matches!(kind, "address" | "bool" | "bytes" | "string")
        || sized("uint", 8, 256)
        || sized("int", 8, 256)
        || sized("bytes", 1, 32)
}

pub(super) const fn wrong<T>(what: &'static str) -> Result<T, EvmError> {
    Err(EvmError::TypedData { what })
}

const DOMAIN: &str = "EIP712Domain";
const DOMAIN_FIELDS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];
