//! A value for a JSON Schema: one that a reader understands, with the ids and names of the events' examples.

use std::collections::{BTreeMap, VecDeque};

use jsonschema::Validator;
use kernel::{Id, PersonId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Texts for formats; the first that the schema takes is taken.
const TEXTS: &[&str] = &[
    "example",
    "2027-02-01",
    "09:00",
    "MATH101",
    "12345678",
    "123456",
    "2027-01-15T08:30:00Z",
    "a@matricula.example",
    "+237670123456",
    "90ee892e36cc2bc0f3d43cb04922f47e0ace20ebea716a11a499be62f60926f7",
];

/// Values for fields that no event has.
fn words() -> Value {
    json!({
        "actor": "system",
        "chain": "all",
        "family_name": "Ngono",
        "file": "users.csv",
        "file_name": "university.zip",
        "given_name": "Amina",
        "grant_type": "client_credentials",
        "id": "evt_example",
        "kind": "registered",
        "login": "amina.ngono@matricula.example",
        "object": {
            "id": "pi_example",
            "status": "succeeded",
            "amount": 150_000,
            "currency": "xaf",
            "metadata": { "payment": example_id("pay") },
        },
        "password": "a long walk along the Sanaga",
        "payment_method": "pm_card_visa",
        "period": "2027-01",
        "refresh_token": "rt_example",
        "role": "registrar",
        "roles": ["student"],
        "subject": example_id("per"),
        "system": "moodle:academics",
        "token": "0f".repeat(32),
        "task_token": "AQCEAAAAKgAAAAMAAAAAAAAAAexample",
        "system": "idp:university",
        "type": "payment_intent.succeeded",
        "value": "17",
    })
}

pub struct Examples {
    /// Values by the name of their field, each with what it was said of, such as `term`.
    known: BTreeMap<String, Vec<(String, Value)>>,
}

impl Examples {
    /// Examples that take over what the events say.
    pub fn from(events: &BTreeMap<&str, Value>) -> Self {
        let mut known: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
        let mut left = VecDeque::from([(String::new(), words())]);
        for (name, envelope) in events {
            let subject = name.split('.').nth(1).unwrap_or_default();
            left.push_back((subject.to_owned(), envelope["data"].clone()));
        }
        while let Some((subject, value)) = left.pop_front() {
            match value {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        known.entry(name).or_default().push((subject.clone(), value.clone()));
                        left.push_back((subject.clone(), value));
                    }
                }
                Value::Array(values) => {
                    left.extend(values.into_iter().map(|value| (subject.clone(), value)));
                }
                _ => {}
            }
        }
        Self { known }
    }

    /// An example of what the schema describes, said of `topic`: what it requires, and all of it where it requires
    /// nothing.
    pub fn of(&self, topic: &str, schema: &Value) -> Value {
        let root = Root { examples: self, definitions: &schema["$defs"], topic };
        root.object(schema, required(schema).is_empty()).unwrap_or_else(|| root.value("", schema))
    }
}

/// One schema with its definitions.
struct Root<'a> {
    examples: &'a Examples,
    definitions: &'a Value,
    /// What it is about, such as `catalog-create-term`: values said of a term come first.
    topic: &'a str,
}

impl Root<'_> {
    fn value(&self, name: &str, schema: &Value) -> Value {
        if schema["$ref"] == "#/$defs/SourceId" {
            // What an import row is about itself: its kind, and a person where the rows are of one kind.
            let itself = if self.topic.contains('-') { "student" } else { self.topic };
            return format!("sis-{}", if name == "source" { itself } else { name }).into();
        }
        let schema = &self.resolved(schema);
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        let validator = self.validator(schema);
        if let Some(known) = self.known(name, &validator) {
            return known;
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[0].clone();
        }
        if let Some(branch) = branches(schema).first() {
            return self.value(name, branch);
        }
        let kind = &schema["type"];
        match kind.as_str().or(kind[0].as_str()).unwrap_or("string") {
            "object" => self.object(schema, false).unwrap_or_else(|| json!({})),
            "array" => self.array(name, schema),
            "integer" | "number" => schema
                .get("minimum")
                .filter(|least| **least != json!(0))
                .cloned()
                .unwrap_or(json!(1)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => text(schema, &validator),
        }
    }

    fn known(&self, name: &str, validator: &Validator) -> Option<Value> {
        let known = self.examples.known.get(name).into_iter().flatten();
        let mut fitting: Vec<_> =
            known.filter(|(_, value)| !value.is_null() && validator.is_valid(value)).collect();
        // The words above are said of nothing, and win.
        fitting.sort_by_key(|(subject, _)| (!subject.is_empty(), !self.topic.contains(subject)));
        fitting.first().map(|(_, value)| value.clone())
    }

    fn object(&self, schema: &Value, whole: bool) -> Option<Value> {
        let schema = &self.resolved(schema);
        let required = required(schema);
        let properties = schema["properties"].as_object()?.iter();
        let wanted = properties.filter(|(name, _)| whole || required.contains(&name.as_str()));
        let fields: Map<String, Value> =
            wanted.map(|(name, schema)| (name.clone(), self.value(name, schema))).collect();
        Some(fields.into())
    }

    /// One of each kind where the items are of several.
    fn array(&self, name: &str, schema: &Value) -> Value {
        let items = self.resolved(&schema["items"]);
        let singular = name.strip_suffix('s').unwrap_or(name);
        let kinds = branches(&items).into_iter().map(|kind| self.resolved(&kind));
        let kinds: Vec<Value> = kinds.filter(|kind| kind["type"] == "object").collect();
        if kinds.len() < 2 {
            return json!([self.value(singular, &items)]);
        }
        let of_kind = |kind: &Value| {
            let topic = kind["properties"]["kind"]["const"].as_str().unwrap_or(self.topic);
            Root { topic, ..*self }.value(singular, kind)
        };
        kinds.iter().map(of_kind).collect()
    }

    /// The schema with what it refers to beside its own words.
    fn resolved(&self, schema: &Value) -> Value {
        let Some(target) = schema["$ref"].as_str() else { return schema.clone() };
        let name = target.strip_prefix("#/$defs/").expect("a reference leads to a definition");
        let mut whole = self.resolved(&self.definitions[name]);
        let own = schema.as_object().into_iter().flatten().filter(|(name, _)| *name != "$ref");
        for (name, value) in own {
            match (whole.get_mut(name), value) {
                (Some(Value::Object(there)), Value::Object(own)) => there.extend(own.clone()),
                (Some(Value::Array(there)), Value::Array(own)) => there.extend(own.clone()),
                _ => whole[name] = value.clone(),
            }
        }
        whole
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("$defs".to_owned(), self.definitions.clone());
            if self.definitions.is_null() {
                fields.remove("$defs");
            }
        }
        validator(&schema)
    }
}

pub fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .expect("a schema derived from a Rust type is valid")
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What the schema offers to choose from, without "nothing".
fn branches(schema: &Value) -> Vec<Value> {
    let choices = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    let something = choices.into_iter().flatten().filter(|choice| choice["type"] != "null");
    something.cloned().collect()
}

fn text(schema: &Value, validator: &Validator) -> Value {
    let id = schema["pattern"].as_str().and_then(|pattern| {
        Some(example_id(pattern.strip_prefix('^')?.strip_suffix("_[0-9a-f]{32}$")?))
    });
    let texts = TEXTS.iter().map(|text| (*text).to_owned());
    let long = "example ".repeat(8).trim_end().to_owned();
    id.into_iter()
        .chain(texts)
        .chain([long])
        .map(Value::from)
        .find(|text| validator.is_valid(text))
        .unwrap_or_else(|| panic!("add a word to contracts/example.rs that fits {schema}"))
}

/// The id that `derived_from("example")` gives for the prefix.
fn example_id(prefix: &str) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{prefix}:example").as_bytes());
    format!("{prefix}_{}", id.simple())
}

#[test]
fn ids_are_those_of_the_events() {
    assert_eq!(example_id("per"), PersonId::derived_from("example").to_string());
}

#[test]
fn an_example_fits_its_schema() {
    let schema = json!({
        "type": "object",
        "required": ["term", "rows", "page"],
        "properties": {
            "term": { "type": "string", "pattern": "^trm_[0-9a-f]{32}$" },
            "rows": { "type": "array", "items": { "$ref": "#/$defs/Row" } },
            "page": { "type": ["integer", "null"], "minimum": 3 },
            "left_out": { "type": "string" },
        },
        "$defs": {
            "Row": { "oneOf": [
                { "type": "object", "required": ["kind"], "properties": { "kind": { "const": "term" } },
                  "$ref": "#/$defs/Term" },
                { "type": "object", "required": ["kind"], "properties": { "kind": { "const": "course" } } },
            ] },
            "Term": { "type": "object", "required": ["code"], "properties": { "code": { "type": "string" } } },
        },
    });
    let events = BTreeMap::from([
        ("catalog.course.created", json!({ "data": { "code": "MATH101" } })),
        ("catalog.term.created", json!({ "data": { "code": "2027S" } })),
    ]);
    let example = Examples::from(&events).of("catalog-import", &schema);
    assert!(validator(&schema).is_valid(&example), "{example}");
    assert_eq!(example["rows"], json!([{ "kind": "term", "code": "2027S" }, { "kind": "course" }]));
    assert_eq!(example["left_out"], Value::Null);
}
