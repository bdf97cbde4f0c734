//! Bounds on the document itself, checked before anything parses it.
//!
//! Invariant: no later step meets a text that is larger, or a rule that is nested deeper, than
//! what is allowed here; the parser and every walk over a rule recurse.

use std::collections::BTreeSet;

use custody_core::seam::{Finding, PolicyDocument};

use crate::finding::Source;

/// What is wrong with the document.
pub(crate) fn findings(document: &PolicyDocument) -> Vec<Finding> {
    let mut messages = Vec::new();
    if document.v != VERSION {
        messages.push(format!("the document has version {}, known is {VERSION}", document.v));
    }
    if document.rules.len() > PolicyDocument::MAX {
        let (size, most) = (document.rules.len(), PolicyDocument::MAX);
        messages.push(format!("the rules have {size} bytes, allowed are {most}"));
    }
    let roles = document.roles.iter().map(|role| role.as_str());
    messages.extend(twice(roles).into_iter().map(|role| format!("role `{role}` is named twice")));
    let tiers = document.tiers.iter().map(|tier| tier.as_str());
    messages.extend(twice(tiers).into_iter().map(|tier| format!("tier `{tier}` is named twice")));
    let nowhere = |message| Finding { rule: None, line: 0, column: 0, message };
    let mut findings: Vec<Finding> = messages.into_iter().map(nowhere).collect();
    if findings.is_empty() {
        findings.extend(outgrown(&document.rules));
    }
    findings
}

fn twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// The first rule that is too long, has too many operators, or is nested too deeply.
fn outgrown(text: &str) -> Option<Finding> {
    let mut measure = Measure::default();
    let mut place = Place::Code;
    for (at, byte) in text.bytes().enumerate() {
        place = place.after(byte);
        if place == Place::Code {
            measure.take(byte);
        }
        measure.length = measure.length.saturating_add(1);
        if let Some(message) = measure.excess() {
            return Some(Source::new(text).finding(None, at, message));
        }
    }
    None
}

/// Where the scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Code,
    Comment,
    Escape,
    Slash,
    Text,
}

impl Place {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Escape, _) => Self::Text,
            (Self::Text, b'\\') => Self::Escape,
            (Self::Text, b'"') | (Self::Comment, b'\n') => Self::Code,
            (Self::Text, _) => Self::Text,
            (Self::Slash, b'/') | (Self::Comment, _) => Self::Comment,
            (Self::Code | Self::Slash, b'"') => Self::Text,
            (Self::Code, b'/') => Self::Slash,
            (Self::Code | Self::Slash, _) => Self::Code,
        }
    }
}

/// The size of one rule.
#[derive(Debug, Default)]
struct Measure {
    length: usize,
    /// What can make the syntax tree deeper by one: operators, clauses, `if`.
    operators: usize,
    depth: usize,
    /// The last three bytes.
    recent: [u8; 3],
}

impl Measure {
    fn take(&mut self, byte: u8) {
        match byte {
            b';' => *self = Self::default(),
            b'(' | b'[' => self.depth = self.depth.saturating_add(1),
            b'{' => {
                self.depth = self.depth.saturating_add(1);
                self.operators = self.operators.saturating_add(1);
            }
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'.' | b'&' | b'|' | b'+' | b'-' | b'*' | b'!' => {
                self.operators = self.operators.saturating_add(1);
            }
            _ => {}
        }
        let [before, first, second] = self.recent;
        if [first, second] == *b"if" && !is_word(before) && !is_word(byte) {
            self.operators = self.operators.saturating_add(1);
        }
        self.recent = [first, second, byte];
    }

    fn excess(&self) -> Option<String> {
        if self.length > LENGTH {
            return Some(format!("a rule has at most {LENGTH} bytes"));
        }
        if self.operators > OPERATORS {
            return Some(format!("a rule has at most {OPERATORS} operators"));
        }
        (self.depth > DEPTH).then(|| format!("a rule is nested at most {DEPTH} deep"))
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The one version of the document.
const VERSION: u8 = 1;
/// Bytes of a rule with the comments before it.
const LENGTH: usize = 32 * 1024;
/// Each costs the parser and the validator about four kilobytes of stack.
const OPERATORS: usize = 256;
/// Brackets within brackets; each costs about fifteen kilobytes of stack.
const DEPTH: usize = 32;
