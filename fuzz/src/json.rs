//! Whether JSON has an object in which a key stands twice: a second reader beside the one that
//! refuses it. And JSON with a field that no document has.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Whether no key stands twice in an object of `bytes`, which are JSON.
pub(crate) fn has_unique_keys(bytes: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Unique.deserialize(&mut deserializer).is_ok()
}

/// The JSON in `bytes` once for each of its objects, in which that one has a field more.
pub(crate) fn with_unknown_field(bytes: &[u8]) -> Vec<Vec<u8>> {
    let value: Value = serde_json::from_slice(bytes).unwrap();
    let changed = |number: usize| {
        let (mut value, mut before) = (value.clone(), number);
        let is_changed = add_field(&mut value, &mut before);
        is_changed.then(|| serde_json::to_vec(&value).unwrap())
    };
    (0..).map_while(changed).collect()
}

/// Adds a field to an object that so many others come before; whether there is one.
fn add_field(value: &mut Value, before: &mut usize) -> bool {
    match value {
        Value::Object(fields) if *before == 0 => {
            fields.insert("unknown_to_all".to_owned(), Value::from(1));
            true
        }
        Value::Object(fields) => {
            *before -= 1;
            fields.values_mut().any(|value| add_field(value, before))
        }
        Value::Array(items) => items.iter_mut().any(|value| add_field(value, before)),
        _ => false,
    }
}

#[derive(Clone, Copy)]
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_at_every_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":null,"\u0061":"x"}}]"#] {
            assert!(!has_unique_keys(text.as_bytes()), "{text}");
        }
        for text in ["1", r#"[{"a":1},{"a":1}]"#, r#"{"a":{"a":[true,-1,0.5,"x",null]},"b":1}"#] {
            assert!(has_unique_keys(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn each_object_gets_a_field_of_its_own() {
        let changed = with_unknown_field(br#"{"a":[{},1],"b":{}}"#);
        let texts: Vec<_> =
            changed.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
        let expected = [
            r#"{"a":[{},1],"b":{},"unknown_to_all":1}"#,
            r#"{"a":[{"unknown_to_all":1},1],"b":{}}"#,
            r#"{"a":[{},1],"b":{"unknown_to_all":1}}"#,
        ];
        assert_eq!(texts, expected);
        assert!(with_unknown_field(b"[1]").is_empty());
    }
}
