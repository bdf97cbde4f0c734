//! How large the types are: what is done for them grows with the tree that they are, and with each
//! value of them, not with their text.
//!
//! Invariant: nothing goes deeper into types than there are types, and those are few.

use std::collections::BTreeMap;

use super::shape::{Types, root, wrong};
use crate::evm::EvmError;

/// What may still be done for the values of structs: for each of them its whole type is written
/// down and hashed.
#[derive(Debug)]
pub(super) struct Budget {
    each: usize,
    left: usize,
}

/// Passes types that are few and small enough, none of which contains itself.
pub(super) fn check(types: &Types<'_>, primary: &str) -> Result<(), EvmError> {
    let fields: usize = types.values().map(Vec::len).sum();
    if types.len() > TYPES_MAX || fields > FIELDS_MAX {
        return wrong("it has too many types or fields");
    }
    let lists = |kind: &str| kind.bytes().filter(|byte| *byte == b'[').count();
    if types.values().flatten().any(|field| lists(field.kind) > LISTS_MAX) {
        return wrong("lists are inside of too many lists");
    }
    if nodes(types, primary, &mut BTreeMap::new())? > NODES_MAX {
        return wrong("its types are too large");
    }
    Ok(())
}

/// How many fields a type has with those of the types inside of it, each as often as it is there.
fn nodes<'a>(
    types: &Types<'a>,
    name: &'a str,
    known: &mut BTreeMap<&'a str, Option<usize>>,
) -> Result<usize, EvmError> {
    match known.insert(name, None) {
        Some(Some(nodes)) => {
            known.insert(name, Some(nodes));
            return Ok(nodes);
        }
        Some(None) => return wrong("a type contains itself"),
        None => {}
    }
    let mut all = 1_usize;
    for field in types.get(name).into_iter().flatten() {
        let kind = root(field.kind);
        let inside = if types.contains_key(kind) { nodes(types, kind, known)? } else { 1 };
        all = all.saturating_add(inside);
    }
    known.insert(name, Some(all));
    Ok(all)
}

impl Budget {
    pub(super) fn of(types: &Types<'_>) -> Self {
        let field = |kind: &str, name: &str| kind.len().saturating_add(name.len());
        let length = types.iter().map(|(name, fields)| {
            let inside: usize = fields.iter().map(|it| field(it.kind, it.name)).sum();
            inside.saturating_add(name.len())
        });
        Self { each: length.sum(), left: WORK_MAX }
    }

    /// One more value of a struct.
    pub(super) fn spend(&mut self) -> Result<(), EvmError> {
        match self.left.checked_sub(self.each) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => wrong("it has too many values of structs"),
        }
    }
}

const TYPES_MAX: usize = 64;
const FIELDS_MAX: usize = 256;
/// Brackets behind one another.
const LISTS_MAX: usize = 16;
const NODES_MAX: usize = 4_096;
/// Bytes of types, written down for all values of structs together.
const WORK_MAX: usize = 4 * 1024 * 1024;
