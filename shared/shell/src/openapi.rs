//! OpenAPI 3.1 from the routes and the schemas of the Rust types.

use kernel::Locale;
use serde_json::{Map, Value, json};

use crate::{Access, Body, ClientScope, HttpOperation, Method, Route, Scope, Sentences, sentence};

/// The whole API as one document, with every code that a context can refuse with.
pub fn document(operations: &[HttpOperation], sentences: &[&Sentences]) -> Value {
    let mut components = Components::default();
    let mut paths = Map::new();
    for operation in operations {
        let entry = paths.entry(operation.route.path).or_insert_with(|| json!({}));
        entry[operation.route.method.name().to_ascii_lowercase()] =
            described(operation, &mut components);
    }
    components.schemas.insert("Problem".to_owned(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Matricula",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One place where a student registers, is billed, is graded and is told.",
        },
        "paths": paths,
        "x-problems": problems(sentences),
        "components": {
            "schemas": components.schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A person's access token. Where roles are listed one of them is needed, and it \
                        reaches as far as is said behind it.",
                },
                "client": {
                    "type": "oauth2",
                    "description": "The access token of another system.",
                    "flows": { "clientCredentials": { "tokenUrl": "/oauth/token", "scopes": client_scopes() } },
                },
            },
        },
    })
}

/// Codes with their English sentences; those of fields and of import lines among them.
fn problems(sentences: &[&Sentences]) -> Vec<Value> {
    let of = |sentences: &&Sentences| {
        let codes = sentences.codes(Locale::En);
        let spoken = codes.into_iter().map(|id| id.to_uppercase().replace('-', "_")).map(|code| {
            let title = sentence(sentences, Locale::En, &code, &[]);
            json!({ "code": code, "title": title })
        });
        spoken.collect::<Vec<_>>()
    };
    sentences.iter().flat_map(of).collect()
}

fn described(operation: &HttpOperation, components: &mut Components) -> Value {
    let route = &operation.route;
    let (parameters, body) =
        split(route, components.adopt(operation.context, operation.input.as_value()));
    let reply = operation
        .reply
        .as_ref()
        .map(|schema| components.adopt(operation.context, schema.as_value()));
    let mut described = json!({
        "operationId": format!("{}-{}", operation.context, route.operation),
        "tags": [operation.context],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, reply),
        "security": security(route),
    });
    if let Some(schema) = body {
        let media_type = route.body.media_type();
        let mut content = json!({ media_type: { "schema": schema } });
        if route.also_form {
            content[Body::Form.media_type()] = content[media_type].clone();
        }
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

fn responses(route: &Route, reply: Option<Value>) -> Value {
    let problem = json!({
        "description": "A refusal, with its code.",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let carried_out = match reply {
        Some(schema) if schema["type"] == "null" => json!({ "description": "Carried out." }),
        Some(schema) => {
            json!({ "description": "Carried out.", "content": { "application/json": { "schema": schema } } })
        }
        None => match route.document {
            Some(media_type) => {
                json!({ "description": "The document.", "content": { media_type: {} } })
            }
            None => json!({ "description": "The document." }),
        },
    };
    let status = if carried_out.get("content").is_none() && route.method == Method::Delete {
        204
    } else {
        route.status
    };
    json!({ status.to_string(): carried_out, "default": problem })
}

/// Who may use the operation; nobody who is not listed.
fn security(route: &Route) -> Vec<Value> {
    let person = match route.access {
        Access::Public => return Vec::new(),
        Access::LoggedIn => vec![Scope::Own.name().to_owned()],
        // As OpenAPI 3.1 lets a bearer scheme name them.
        Access::Roles(allows) => allows
            .iter()
            .map(|allow| format!("{}:{}", allow.role.name(), allow.scope.name()))
            .collect(),
    };
    let client = route.client_scope.map(|scope| json!({ "client": [scope.name()] }));
    std::iter::once(json!({ "bearer": person })).chain(client).collect()
}

fn client_scopes() -> Map<String, Value> {
    let what = |scope: ClientScope| match scope {
        ClientScope::CatalogRead => "Reads terms, courses, programs and sections.",
        ClientScope::EnrollmentRead => "Reads students' records, registrations and holds.",
        ClientScope::BillingRead => "Reads prices, invoices, payments and what students owe.",
        ClientScope::IdentityRead => "Reads the roles that people hold.",
        ClientScope::ImportsWrite => "Brings files to import and reads their reports.",
    };
    ClientScope::ALL.iter().map(|scope| (scope.name().to_owned(), what(*scope).into())).collect()
}

/// The fields of the input, divided into those of the path, of the query and of the body.
fn split(route: &Route, mut input: Value) -> (Vec<Value>, Option<Value>) {
    let in_query = matches!(route.method, Method::Get | Method::Delete);
    let required: Vec<String> = input["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let mut parameters = Vec::new();
    let mut left = Map::new();
    let path_names: Vec<&str> = route.path_parameters().collect();
    for (name, schema) in input["properties"].as_object().cloned().unwrap_or_default() {
        let in_path = path_names.contains(&name.as_str());
        if in_path || in_query {
            parameters.push(json!({
                "name": name,
                "in": if in_path { "path" } else { "query" },
                "required": in_path || required.contains(&name),
                "schema": schema,
            }));
        } else {
            left.insert(name, schema);
        }
    }
    let header = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "header",
            "required": true,
            "schema": { "type": "string" },
            "description": description,
        })
    };
    if route.idempotent_by_key {
        parameters.push(header("Idempotency-Key", "The same key and input give the same reply."));
    }
    if route.edits {
        parameters.push(header("If-Match", "The ETag last read."));
    }
    if route.paged {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100 });
        parameters.push(json!({ "name": "limit", "in": "query", "schema": limit }));
        parameters.push(json!({ "name": "cursor", "in": "query", "schema": { "type": "string" } }));
    }
    if in_query || left.is_empty() {
        return (parameters, None);
    }
    let required: Vec<String> =
        required.into_iter().filter(|name| left.contains_key(name)).collect();
    input["properties"] = left.into();
    input["required"] = required.into();
    (parameters, Some(input))
}

/// Schemas that several operations name, gathered in one place.
#[derive(Default)]
struct Components {
    schemas: Map<String, Value>,
}

impl Components {
    /// Moves a schema's definitions here. Where two contexts mean different things by one name, both keep their own.
    fn adopt(&mut self, context: &str, schema: &Value) -> Value {
        let mut schema = schema.clone();
        let definitions = schema.as_object_mut().and_then(|fields| fields.remove("$defs"));
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$schema");
            fields.remove("title");
        }
        let mut renamed = Vec::new();
        let definitions =
            definitions.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, definition) in definitions {
            let definition = relocated(definition, &[]);
            let taken = self.schemas.get(&name).is_some_and(|standing| *standing != definition);
            let own = if taken { format!("{context}.{name}") } else { name.clone() };
            if taken {
                renamed.push((name, own.clone()));
            }
            self.schemas.insert(own, definition);
        }
        relocated(schema, &renamed)
    }
}

fn relocated(value: Value, renamed: &[(String, String)]) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                match (name.as_str(), value.as_str().and_then(|at| at.strip_prefix("#/$defs/"))) {
                    ("$ref", Some(target)) => {
                        let own = renamed
                            .iter()
                            .find(|(old, _)| old == target)
                            .map_or(target, |(_, own)| own);
                        (name, format!("#/components/schemas/{own}").into())
                    }
                    _ => (name, relocated(value, renamed)),
                }
            })
            .collect(),
        Value::Array(values) => values.into_iter().map(|value| relocated(value, renamed)).collect(),
        other => other,
    }
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "code", "instance", "correlation_id"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string", "description": "A sentence in the caller's language." },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "Stable; decide by it." },
            "instance": { "type": "string", "format": "uri" },
            "correlation_id": { "type": "string" },
            "errors": {
                "type": "array",
                "items": { "type": "object" },
                "description": "Everything that is wrong, at once.",
            },
        },
    })
}
