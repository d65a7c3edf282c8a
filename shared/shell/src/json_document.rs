//! JSON in which no object says the same thing twice: serde_json alone would keep the last word and drop the first
//! without a sound.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::request::ERRORS_MAX;

/// What a text says, and as a JSON pointer (RFC 6901) each member that stands in it again.
pub(crate) fn read(text: &str) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut repeated = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let place = Place { path: &Path::Root, repeated: &mut repeated };
    let value = place.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, repeated))
}

/// Characters of a member's name that are told again: whoever sends names without end gets no more back.
const NAME_SHOWN_MAX: usize = 200;

/// Where in the document we are; written out only where something is wrong.
enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Element(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) => {
                let name: String = name.chars().take(NAME_SHOWN_MAX).collect();
                write!(to, "{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Element(parent, at) => write!(to, "{parent}/{at}"),
        }
    }
}

struct Place<'p, 'r> {
    path: &'p Path<'p>,
    repeated: &'r mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = &Path::Element(self.path, list.len());
            match elements.next_element_seed(Place { path, repeated: &mut *self.repeated })? {
                Some(element) => list.push(element),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = &Path::Member(self.path, &name);
            let value = members.next_value_seed(Place { path, repeated: &mut *self.repeated })?;
            if object.contains_key(&name) && self.repeated.len() < ERRORS_MAX {
                self.repeated.push(path.to_string());
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_once_reads_as_serde_json_reads_it() {
        let texts = [
            r#"{"a": [1, -2, 3.5, 18446744073709551615, true, null, "t\u00e9xt"], "b": {"a": {}}}"#,
            "7",
            "[[], {}]",
            "1e400",
            "{\"a\": 1} {}",
            "{\"a\": 1,}",
            "\"\\ud800\"",
            "",
        ];
        for text in texts {
            let (ours, serde_s) = (read(text), serde_json::from_str::<Value>(text));
            match serde_s {
                Ok(value) => assert_eq!(ours.expect("reads"), (value, Vec::new()), "{text}"),
                Err(error) => {
                    assert_eq!(ours.expect_err(text).classify(), error.classify(), "{text}");
                }
            }
        }
        assert!(read(&"[".repeat(5_000)).is_err(), "depth has its bound");
    }

    #[test]
    fn whatever_is_said_twice_is_found_however_deep() {
        let text = r#"{"a": {"x": 1, "x": 2}, "b": [0, {"m/n": 1, "~": 1, "m/n": 2, "~": 3}], "a": 4, "a": 5}"#;
        let (value, repeated) = read(text).expect("reads");
        assert_eq!(repeated, ["/a/x", "/b/1/m~1n", "/b/1/~0", "/a", "/a"]);
        assert_eq!(value, json!({ "a": 5, "b": [0, { "m/n": 2, "~": 3 }] }));
    }

    #[test]
    fn a_name_without_end_that_says_much_twice_is_told_in_few_words() {
        let (name, members) = ("n".repeat(100_000), r#""":0,"#.repeat(20_000));
        let (_, repeated) = read(&format!(r#"{{"{name}":{{{members}"":0}}}}"#)).expect("reads");
        assert_eq!(repeated.len(), ERRORS_MAX);
        assert!(repeated.iter().all(|path| path.len() <= NAME_SHOWN_MAX + 2));
    }
}
