use std::io::IsTerminal as _;

use custody_core::custodian::{Answer, Outcome};
use serde_json::{Value, json};

/// Prints answers: short lines for people, or one JSON object each.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, colour: std::io::stdout().is_terminal() }
    }

    /// A line for people only.
    pub(crate) fn say(&self, line: &str) {
        if !self.json {
            println!("{line}");
        }
    }

    /// The heading of a step.
    pub(crate) fn step(&self, number: u8, title: &str) {
        if !self.json {
            let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            println!("\n{bold}{number}. {title}{plain}");
        }
    }

    /// What became of an order.
    pub(crate) fn answer(&self, step: u8, what: &str, answer: &Answer, sender: Option<&str>) {
        let facts = Facts::of(answer);
        if self.json {
            println!("{}", facts.json(step, what, answer, sender));
            return;
        }
        let (colour, plain) = match (self.colour, facts.outcome) {
            (false, _) => ("", ""),
            (true, "released") => ("\x1b[32m", "\x1b[0m"),
            (true, "pending") => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[31m", "\x1b[0m"),
        };
        println!("   {colour}{:8}{plain} {what}{}", facts.outcome, facts.tail());
        if let (Some(signed), Some(sender)) = (&facts.signed, sender) {
            let (head, tail) = (signed.get(..18), signed.len().checked_sub(8));
            let tail = tail.and_then(|start| signed.get(start..)).unwrap_or_default();
            println!("            {}…{tail} signed by {sender}", head.unwrap_or_default());
        }
    }

    /// What the verification found.
    pub(crate) fn verification(&self, what: &str, fields: &Value) {
        if self.json {
            let mut object = json!({ "step": 5, "what": what });
            if let (Some(object), Some(fields)) = (object.as_object_mut(), fields.as_object()) {
                object.extend(fields.clone());
            }
            println!("{object}");
        } else {
            println!("   {what}");
        }
    }
}

/// The fields of an answer.
struct Facts {
    outcome: &'static str,
    rules: Vec<String>,
    missing: Vec<String>,
    signed: Option<String>,
    receipt: Option<(u64, String)>,
}

impl Facts {
    fn of(answer: &Answer) -> Self {
        let mut facts = Self {
            outcome: "failed",
            rules: Vec::new(),
            missing: Vec::new(),
            signed: None,
            receipt: None,
        };
        match &answer.outcome {
            Outcome::Released(release) => {
                facts.outcome = "released";
                facts.signed = release.signed.as_ref().map(|raw| format!("0x{}", hex(raw)));
                let receipt = &release.receipt;
                facts.receipt = Some((receipt.index.value(), receipt.proof.clone()));
            }
            Outcome::Pending { missing } => {
                facts.outcome = "pending";
                facts.missing = missing.iter().map(ToString::to_string).collect();
            }
            Outcome::Denied { rules } => {
                facts.outcome = "denied";
                facts.rules = rules.iter().map(ToString::to_string).collect();
            }
            Outcome::Expired => facts.outcome = "expired",
            Outcome::Cancelled => facts.outcome = "cancelled",
            Outcome::Unknown { .. } => facts.outcome = "unknown",
            Outcome::Failed { .. } | _ => {}
        }
        facts
    }

    fn json(&self, step: u8, what: &str, answer: &Answer, sender: Option<&str>) -> Value {
        json!({
            "step": step,
            "what": what,
            "outcome": self.outcome,
            "order": answer.order,
            "signed_transaction": self.signed,
            "sender": sender,
            "rules": self.rules,
            "missing": self.missing,
            "receipt": self.receipt.as_ref().map(|(_, proof)| proof),
        })
    }

    fn tail(&self) -> String {
        if let Some((index, _)) = &self.receipt {
            return format!("   (receipt: entry {index})");
        }
        if !self.rules.is_empty() {
            return format!("   (rules: {})", self.rules.join(", "));
        }
        if !self.missing.is_empty() {
            return format!("   (missing: {})", self.missing.join(" or "));
        }
        String::new()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
