//! JSON in which every key of an object is there once.
//!
//! JSON allows twins and leaves their meaning open; a reader that takes the last one would drop
//! a part of what the caller sent without a word.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Refuses text that is not JSON or has a key twice in one object.
pub fn check(text: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Strict.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|e| e.to_string())
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys: HashSet<std::borrow::Cow<'de, str>> = HashSet::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if let Some(twin) = keys.get(&key) {
                let shown: String = twin.chars().take(60).collect();
                return Err(A::Error::custom(format!("the key {shown:?} is there twice in one object")));
            }
            keys.insert(key);
            map.next_value_seed(Strict)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn twins_are_refused_wherever_they_are() {
        for good in ["1", "{}", r#"{"a":{"b":1},"b":[{"a":1},{"a":2}]}"#] {
            check(good.as_bytes()).unwrap();
        }
        for bad in [r#"{"a":1,"a":1}"#, r#"{"x":[{"b":1,"a":2,"b":3}]}"#, "{", "1 1", r#"{"\u0061":1,"a":2}"#]
        {
            check(bad.as_bytes()).unwrap_err();
        }
    }
}
