//! The API as one document, `docs/openapi.json`, and what makes it a valid OpenAPI 3.1 document.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::checked_in::{self, Files};
use tests::contexts::{http_operations, sentences};

#[test]
fn the_document_is_checked_in() {
    let document = shell::openapi::document(&http_operations(), &sentences());
    let path = "docs/openapi.json";
    let files = Files::from([(path.to_owned(), checked_in::json(&document))]);
    checked_in::check(&files, "docs", |other| other == path);
}

#[test]
fn the_document_is_valid() {
    let document = shell::openapi::document(&http_operations(), &sentences());
    assert_eq!(findings(&document), Vec::<String>::new());
}

/// The API's operations as they are called in the document: `GET /terms`, with what is said of them.
fn described(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| {
                (format!("{} {path}", method.to_uppercase()), operation)
            })
        })
        .collect()
}

fn findings(document: &Value) -> Vec<String> {
    let mut found: Vec<String> = dangling(document);
    let mut ids = BTreeSet::new();
    for (route, operation) in described(document) {
        let text = |name: &str| operation[name].as_str().unwrap_or_default();
        if !ids.insert(text("operationId")) {
            found.push(format!("{route}: operationId {:?} is not unique", text("operationId")));
        }
        if text("summary").trim().is_empty() {
            found.push(format!("{route} has no summary"));
        }
        if operation["responses"].as_object().is_none_or(serde_json::Map::is_empty) {
            found.push(format!("{route} has no responses"));
        }
        let problems = undeclared(&route, operation).into_iter().chain(malformed(operation));
        found.extend(problems.map(|problem| format!("{route}: {problem}")));
    }
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let wrong = schemas.filter(|(_, schema)| !jsonschema::meta::is_valid(schema));
    found.extend(wrong.map(|(name, _)| format!("{name} is no JSON Schema")));
    found
}

/// References to what is not there.
fn dangling(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut values = vec![document];
    while let Some(value) = values.pop() {
        if let Some(target) = value["$ref"].as_str() {
            let inside = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            if inside.is_none() {
                found.push(format!("$ref {target} leads nowhere"));
            }
        }
        values.extend(value.as_array().into_iter().flatten());
        values.extend(value.as_object().into_iter().flatten().map(|(_, value)| value));
    }
    found
}

/// Parameters of the path that are not declared, or declared but not in the path.
fn undeclared(route: &str, operation: &Value) -> Vec<String> {
    let named: BTreeSet<&str> =
        route.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let declared: BTreeSet<&str> = parameters
        .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    named
        .symmetric_difference(&declared)
        .map(|name| format!("the path and its parameters disagree on {name:?}"))
        .collect()
}

/// Parameters and bodies without a valid schema.
fn malformed(operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut schemas: Vec<(&str, &Value)> = parameters
        .map(|parameter| {
            (parameter["name"].as_str().unwrap_or("a parameter"), &parameter["schema"])
        })
        .collect();
    if let Some(body) = operation.get("requestBody") {
        let content = body["content"].as_object().into_iter().flatten().next();
        schemas.push(("the body", content.map_or(&Value::Null, |(_, content)| &content["schema"])));
    }
    schemas
        .into_iter()
        .filter(|(_, schema)| schema.is_null() || !jsonschema::meta::is_valid(schema))
        .map(|(name, _)| format!("{name} has no valid schema"))
        .collect()
}

#[test]
fn what_is_wrong_with_a_document_is_found() {
    let reference = serde_json::json!({ "$ref": "#/components/schemas/Nothing" });
    let document = serde_json::json!({
        "paths": {
            "/terms/{term}": { "get": { "operationId": "a", "summary": "Read", "responses": { "200": {} } } },
            "/terms": { "get": { "operationId": "a", "summary": "", "responses": {},
                "requestBody": { "content": { "application/json": { "schema": reference } } } } },
        },
        "components": { "schemas": { "Odd": { "type": "integr" } } },
    });
    let mut found = findings(&document);
    found.sort();
    assert_eq!(
        found,
        [
            "$ref #/components/schemas/Nothing leads nowhere",
            "GET /terms has no responses",
            "GET /terms has no summary",
            "GET /terms/{term}: operationId \"a\" is not unique",
            "GET /terms/{term}: the path and its parameters disagree on \"term\"",
            "Odd is no JSON Schema",
        ]
    );
}
