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
    /// Whether it is as custody needs it: made, verified, refused.
    works: bool,
    /// How many a second.
    a_second: Option<u64>,
    /// The rest, in words.
    told: String,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Topic {
    /// The endpoint.
    Endpoint,
    /// A key that signs.
    Key,
    /// Its signatures.
    Sign,
    /// Keys that are disabled, or will be deleted.
    State,
    /// Data keys.
    Encryption,
    /// New backing keys under the same ARN.
    Rotation,
    /// Replicas in another region.
    Region,
    /// Aliases and tags.
    Name,
    /// Lists.
    List,
    /// How fast it is.
    Rate,
    /// What is left there.
    Left,
}

impl Row {
    /// A row that says whether something works.
    pub(crate) fn new(topic: Topic, what: &str, works: bool, told: impl Into<String>) -> Self {
        let (what, told) = (what.to_owned(), told.into());
        Self { topic, key: None, what, works, a_second: None, told }
    }

    /// A row about something that worked, or why it did not.
    pub(crate) fn tried(topic: Topic, what: &str, tried: Result<String, String>) -> Self {
        match tried {
            Ok(told) => Self::new(topic, what, true, told),
            Err(why) => Self::new(topic, what, false, why),
        }
    }

    /// A row about what must be refused, with one of these errors if any are named.
    pub(crate) fn refused<T>(
        topic: Topic,
        what: &str,
        tried: Result<T, String>,
        errors: &[&str],
    ) -> Self {
        match tried {
            Ok(_) => Self::new(topic, what, false, "not refused"),
            Err(error) => {
                let is_named = errors.is_empty() || errors.contains(&error.as_str());
                Self::new(topic, what, is_named, format!("refused: {error}"))
            }
        }
    }

    /// The row, about a kind of key.
    pub(crate) const fn of(mut self, algorithm: Algorithm) -> Self {
        self.key = Some(algorithm.as_str());
        self
    }

    /// The row, with a rate.
    pub(crate) const fn rate(mut self, a_second: u64) -> Self {
        self.a_second = Some(a_second);
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
    format!("{topic:<10} {key:<15} {what:<38} {works:<5} {rate:>8}  {told}").trim_end().to_owned()
}
