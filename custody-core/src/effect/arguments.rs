use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EffectTextError;

/// What a call or a message says, by name: arguments of a function, fields of typed data.
///
/// Rules see each as one text, `name=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Arguments(BTreeMap<Box<str>, Box<str>>);

impl Arguments {
    /// Most arguments of one effect.
    pub const MAX: usize = 128;
    /// Longest name, in bytes.
    pub const NAME_MAX: usize = 128;
    /// Longest value, in bytes. A decoder puts the digest of a longer one in its place.
    pub const VALUE_MAX: usize = 256;

    /// No arguments.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds an argument.
    ///
    /// # Errors
    /// Fails if there is one of this name already, if there are too many, if the name is empty or
    /// has a `=`, and if a text is too long or has control characters.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), EffectTextError> {
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let is_name = !name.is_empty() && !name.contains('=') && is_plain(name);
        if !is_name || name.len() > Self::NAME_MAX {
            return Err(EffectTextError { what: "a name is 1 to 128 bytes of plain text" });
        }
        if !is_plain(value) || value.len() > Self::VALUE_MAX {
            return Err(EffectTextError { what: "a value is at most 256 bytes of plain text" });
        }
        if self.0.len() >= Self::MAX {
            return Err(EffectTextError { what: "an effect has at most 128 arguments" });
        }
        match self.0.insert(name.into(), value.into()) {
            None => Ok(()),
            Some(_) => Err(EffectTextError { what: "two arguments have one name" }),
        }
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts: BTreeMap<String, String> = crate::document::unique_keys(deserializer)?;
        let mut arguments = Self::new();
        for (name, value) in &texts {
            arguments.insert(name, value).map_err(serde::de::Error::custom)?;
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_limits_and_names_of_their_own() {
        let mut arguments = Arguments::new();
        arguments.insert("to", "0x00").unwrap();
        let name = "n".repeat(Arguments::NAME_MAX);
        arguments.insert(&name, &"v".repeat(Arguments::VALUE_MAX)).unwrap();
        for (name, value) in [
            ("to", "0x01"),
            ("", "0x00"),
            ("a=b", "0x00"),
            ("a\n", "0x00"),
            ("a", "\u{7f}"),
            (&format!("{name}n"), ""),
            ("a", &"v".repeat(Arguments::VALUE_MAX + 1)),
        ] {
            assert!(arguments.clone().insert(name, value).is_err(), "{name:?} {value:?}");
        }
        for number in 2..Arguments::MAX {
            arguments.insert(&number.to_string(), "").unwrap();
        }
        assert!(arguments.clone().insert("last", "").is_err());
        assert_eq!((arguments.get("to"), arguments.get("from")), (Some("0x00"), None));
        let text = serde_json::to_string(&arguments).unwrap();
        assert_eq!(serde_json::from_str::<Arguments>(&text).unwrap(), arguments);
        assert!(serde_json::from_str::<Arguments>(r#"{"a":"1","a":"1"}"#).is_err());
        assert!(serde_json::from_str::<Arguments>(r#"{"":"1"}"#).is_err());
    }
}
