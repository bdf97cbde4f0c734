//! What was tried, and what came of it.

use custody_core::crypto::Algorithm;
use serde::Serialize;

/// One thing that was tried. Each has all fields in JSON, `null` where one says nothing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What it is about.
    topic: Topic,
    /// The kind of key.
    key: Option<&'static str>,
    /// What was tried.
    what: String,
    /// Whether it is as custody needs it: listed, made, honoured, refused.
    works: bool,
    /// What an attribute was asked to be.
    asked: Option<bool>,
    /// What the token says it is.
    answered: Option<bool>,
    /// The least and the largest size of a mechanism's keys, as the token counts it.
    sizes: Option<[usize; 2]>,
    /// How many a second.
    a_second: Option<u64>,
    /// The rest, in words.
    told: String,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Topic {
    /// The token.
    Token,
    /// A mechanism of its list.
    Mechanism,
    /// A key pair.
    Key,
    /// An attribute of its private key.
    Attribute,
    /// An attempt to get a private key out.
    Export,
    /// Encryption of data keys.
    Encryption,
    /// Backup of keys.
    Wrapping,
    /// A bare loop over one session.
    Rate,
    /// What goes through custody.
    Backend,
    /// What is left in the token.
    Left,
}

impl Row {
    /// A row that says whether something works.
    pub(crate) fn new(topic: Topic, what: &str, works: bool, told: impl Into<String>) -> Self {
        Self {
            topic,
            key: None,
            what: what.to_owned(),
            works,
            asked: None,
            answered: None,
            sizes: None,
            a_second: None,
            told: told.into(),
        }
    }

    /// The row, about a kind of key.
    pub(crate) const fn of(mut self, algorithm: Algorithm) -> Self {
        self.key = Some(algorithm.as_str());
        self
    }

    /// The row, with what an attribute was asked to be and what it is.
    pub(crate) const fn attribute(mut self, asked: Option<bool>, answered: Option<bool>) -> Self {
        self.asked = asked;
        self.answered = answered;
        self
    }

    /// The row, with the sizes of keys.
    pub(crate) const fn sizes(mut self, least: usize, largest: usize) -> Self {
        self.sizes = Some([least, largest]);
        self
    }

    /// The row, with a rate.
    pub(crate) const fn rate(mut self, a_second: Option<u64>) -> Self {
        self.a_second = a_second;
        self
    }

    /// The row of a table.
    pub(crate) fn line(&self) -> String {
        let topic = format!("{:?}", self.topic).to_lowercase();
        let works = if self.works { "yes" } else { "no" };
        let rate = self.a_second.map_or_else(String::new, |rate| format!("{rate}/s"));
        line([&topic, self.key.unwrap_or_default(), &self.what, works, &rate, &self.told])
    }
}

/// The first row of a table.
pub(crate) fn header() -> String {
    line(["topic", "key", "what", "works", "rate", "told"])
}

fn line([topic, key, what, works, rate, told]: [&str; 6]) -> String {
    format!("{topic:<10} {key:<15} {what:<33} {works:<5} {rate:>9}  {told}").trim_end().to_owned()
}
