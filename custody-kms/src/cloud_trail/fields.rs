//! Fields of JSON objects, read one by one, so that an error names the field and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldFault {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It stands there twice.
    #[error("stands there twice")]
    Twice,
    /// It is of another type.
    #[error("is of another type")]
    Type,
    /// It has a value that it cannot have.
    #[error("has a value that it cannot have")]
    Value,
}

/// A field and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) field: &'static str,
    pub(super) fault: FieldFault,
}

impl FieldError {
    pub(super) const fn new(field: &'static str, fault: FieldFault) -> Self {
        Self { field, fault }
    }
}

/// An object whose fields are not looked into yet. A field is named by its path, such as
/// `userIdentity.arn`; what it is called in its object is the last part.
#[derive(Debug)]
pub(super) struct Object<'a> {
    fields: BTreeMap<String, &'a RawValue>,
    twice: BTreeSet<String>,
}

impl<'a> Object<'a> {
    /// Reads the object at `path`.
    pub(super) fn parse(raw: &'a RawValue, path: &'static str) -> Result<Self, FieldError> {
        serde_json::from_str(raw.get()).map_err(|_| FieldError::new(path, FieldFault::Type))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The text of a field; none if it is not there or null.
    pub(super) fn text(&self, path: &'static str) -> Result<Option<String>, FieldError> {
        self.read(path)
    }

    pub(super) fn object(&self, path: &'static str) -> Result<Option<Self>, FieldError> {
        self.raw(path)?.map(|raw| Self::parse(raw, path)).transpose()
    }

    pub(super) fn list(&self, path: &'static str) -> Result<Option<Vec<&'a RawValue>>, FieldError> {
        self.read(path)
    }

    /// A text that must be there, as what it is parsed to.
    pub(super) fn parsed<T>(
        &self,
        path: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, FieldError> {
        let parsed = self.parsed_if_any(path, parse)?;
        parsed.ok_or(FieldError::new(path, FieldFault::Missing))
    }

    /// A text that may be there, as what it is parsed to.
    pub(super) fn parsed_if_any<T>(
        &self,
        path: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let text = self.text(path)?;
        let wrong = FieldError::new(path, FieldFault::Value);
        text.map(|text| parse(&text).ok_or(wrong)).transpose()
    }

    fn read<T: Deserialize<'a>>(&self, path: &'static str) -> Result<Option<T>, FieldError> {
        let wrong = |_| FieldError::new(path, FieldFault::Type);
        self.raw(path)?.map(|raw| serde_json::from_str(raw.get()).map_err(wrong)).transpose()
    }

    fn raw(&self, path: &'static str) -> Result<Option<&'a RawValue>, FieldError> {
        let name = path.rsplit('.').next().unwrap_or(path);
        if self.twice.contains(name) {
            return Err(FieldError::new(path, FieldFault::Twice));
        }
        Ok(self.fields.get(name).copied().filter(|raw| raw.get() != "null"))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut object = Object { fields: BTreeMap::new(), twice: BTreeSet::new() };
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if object.fields.insert(name.clone(), value).is_some() {
                        object.twice.insert(name);
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
