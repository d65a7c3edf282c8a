//! A form as PHP reads it: `users[0][email]` becomes nested objects, and what is beyond `max_input_vars` is lost.

use serde_json::{Map, Value};

pub fn read(body: &[u8], max_input_vars: usize) -> Value {
    let pairs = form_urlencoded::parse(body).take(max_input_vars);
    nested(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))
}

/// Lists become objects whose names are the positions.
pub fn nested(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    let mut form = Value::Object(Map::new());
    for (name, value) in pairs {
        let mut place = &mut form;
        for part in name.split('[') {
            let part = part.trim_end_matches(']');
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[part];
        }
        *place = Value::String(value);
    }
    form
}

/// The items of a list in the order of their positions.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(items) => {
            let mut items: Vec<(u64, &Value)> = items
                .iter()
                .filter_map(|(position, item)| Some((position.parse().ok()?, item)))
                .collect();
            items.sort_by_key(|(position, _)| *position);
            items.into_iter().map(|(_, item)| item).collect()
        }
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether a text like that stands anywhere in a form.
pub fn holds(value: &Value, is_meant: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_meant(text),
        Value::Array(items) => items.iter().any(|item| holds(item, is_meant)),
        Value::Object(members) => members.values().any(|member| holds(member, is_meant)),
        _ => false,
    }
}

pub fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value[name].as_str()
}

/// A whole number, whether it came in a form or by hand.
pub fn number(value: &Value, name: &str) -> Option<i64> {
    value[name].as_i64().or_else(|| value[name].as_str()?.parse().ok())
}
