//! Findings: what is wrong with a rule set, and where.
//!
//! Invariant: a finding names rules, lines and what Cedar says about the text; it never holds a
//! fact about an order.

use std::collections::BTreeMap;

use custody_core::id::RuleId;
use custody_core::seam::Finding;
use miette::Diagnostic;

/// The text of a rule set with its line breaks.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// A finding at a byte of the text.
    pub(crate) fn finding(&self, rule: Option<&RuleId>, at: usize, message: String) -> Finding {
        let (line, column) = self.position(at);
        Finding { rule: rule.cloned(), line, column, message }
    }

    /// A finding of Cedar's own.
    pub(crate) fn diagnostic(&self, rule: Option<&RuleId>, diagnostic: &dyn Diagnostic) -> Finding {
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        let mut message = diagnostic.to_string();
        if let Some(text) = label.as_ref().and_then(|label| label.label()) {
            message = format!("{message}: {text}");
        }
        if let Some(help) = diagnostic.help() {
            message = format!("{message} ({help})");
        }
        match label {
            Some(label) => self.finding(rule, label.offset(), message),
            None => Finding { rule: rule.cloned(), line: 0, column: 0, message },
        }
    }

    /// Where `snippet` stands in the text, not before `from`.
    pub(crate) fn find(&self, snippet: &str, from: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or("");
        rest.find(snippet).map_or(from, |at| from.saturating_add(at))
    }

    fn position(&self, at: usize) -> (u32, u32) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let column = before.get(line_start..).unwrap_or("").chars().count().saturating_add(1);
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// The findings in the order of the text, one for each place: an expression that is wrong for
/// twenty actions is one finding.
pub(crate) fn grouped(findings: Vec<Finding>) -> Vec<Finding> {
    let mut places: BTreeMap<(u32, u32, Option<RuleId>), Vec<Finding>> = BTreeMap::new();
    for finding in findings {
        let place = (finding.line, finding.column, finding.rule.clone());
        let same = places.entry(place).or_default();
        if !same.contains(&finding) {
            same.push(finding);
        }
    }
    places.into_values().flat_map(one_or_few).collect()
}

fn one_or_few(mut same: Vec<Finding>) -> Vec<Finding> {
    same.sort_by(|one, other| one.message.cmp(&other.message));
    let more = same.len().saturating_sub(FEW);
    same.truncate(FEW);
    if more > 0
        && let Some(last) = same.last_mut()
    {
        last.message = format!("{} (and {more} more here)", last.message);
    }
    same
}

/// How many findings one place may have.
const FEW: usize = 3;
