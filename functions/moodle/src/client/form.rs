//! Parameters as a form in PHP's nested names: `users[0][email]`, booleans as 1 and 0, nothing for what is absent.

use serde::Serialize;
use serde_json::Value;

pub fn fields(parameters: &impl Serialize) -> Vec<(String, String)> {
    let parameters = serde_json::to_value(parameters).expect("parameters are JSON");
    let mut fields = Vec::new();
    flatten(String::new(), &parameters, &mut fields);
    fields
}

fn flatten(name: String, value: &Value, fields: &mut Vec<(String, String)>) {
    let below = |part: &str| {
        if name.is_empty() { part.to_owned() } else { format!("{name}[{part}]") }
    };
    match value {
        Value::Null => {}
        Value::Bool(flag) => fields.push((name, u8::from(*flag).to_string())),
        Value::Number(number) => fields.push((name, number.to_string())),
        Value::String(text) => fields.push((name, text.clone())),
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                flatten(below(&position.to_string()), item, fields);
            }
        }
        Value::Object(members) => {
            for (part, member) in members {
                flatten(below(part), member, fields);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_booleans_are_written_as_php_reads_them() {
        let parameters = json!({
            "users": [{ "email": "a@b.c", "suspended": true, "lang": null }],
            "field": "id",
        });
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut found = fields(&parameters);
        found.sort();
        assert_eq!(
            found,
            [
                pair("field", "id"),
                pair("users[0][email]", "a@b.c"),
                pair("users[0][suspended]", "1")
            ]
        );
    }
}
