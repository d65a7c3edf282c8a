//! Every domain event: `events/<name>.v<version>.schema.json` and an example of it in its envelope.

use events::catalogue;
use serde_json::Value;
use tests::checked_in::{self, Files};

#[test]
fn every_event_is_checked_in_with_its_schema_and_an_example() {
    let mut files = Files::new();
    for event in catalogue() {
        let stem = format!("events/{}.v{}", event.name, event.version);
        files.insert(format!("{stem}.schema.json"), checked_in::json(event.schema.as_value()));
        files.insert(format!("{stem}.example.json"), checked_in::json(&event.example));
    }
    let generated = [".schema.json", ".example.json"];
    checked_in::check(&files, "events", |path| generated.iter().any(|end| path.ends_with(end)));
}

#[test]
fn every_example_is_valid_by_its_schema() {
    for event in catalogue() {
        let found = findings(event.schema.as_value(), &event.example);
        assert_eq!(found, Vec::<String>::new(), "{}", event.name);
    }
}

fn findings(schema: &Value, envelope: &Value) -> Vec<String> {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .expect("a schema derived from a Rust type is valid");
    let data = &envelope["data"];
    validator.iter_errors(data).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn an_example_that_lacks_a_field_is_found() {
    let event = catalogue().remove(0);
    let mut envelope = event.example;
    envelope["data"].as_object_mut().expect("data is an object").remove("person");
    assert_eq!(findings(event.schema.as_value(), &envelope).len(), 1);
}
