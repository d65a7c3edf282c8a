//! The API as one page for people: operations by context and the codes of all refusals, from the OpenAPI document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kernel::Locale;
use serde_json::Value;
use shell::{Refuse, RequestRefusal, Sentences};

use crate::domain;

const STYLE: &str = include_str!("page.css");

/// The page. Codes of the other contexts stand in the document under `x-problems`, as `[{"code", "title"}]`.
pub fn of(openapi: &str) -> String {
    let document: Value = serde_json::from_str(openapi).unwrap_or_default();
    let by_context = operations(&document);
    let mut page = Page::default();
    page.add("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    page.add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.add("<title>Matricula API</title><style>");
    page.add(STYLE);
    page.add("</style><header><h1>Matricula API</h1><p>");
    page.text(document["info"]["description"].as_str().unwrap_or("The API of Matricula."));
    page.add(" The same as a document for machines: <a href=\"/openapi.json\">openapi.json</a>.</p></header><nav>");
    for context in by_context.keys() {
        page.link(context);
    }
    page.link("problems");
    page.add("</nav><main>");
    for (context, operations) in &by_context {
        page.heading(context);
        for operation in operations {
            page.operation(operation, &document);
        }
    }
    page.problems(&document);
    page.add("</main></html>\n");
    page.0
}

struct Operation<'d> {
    method: String,
    path: &'d str,
    described: &'d Value,
}

/// Operations by context, each context's by path.
fn operations(document: &Value) -> BTreeMap<&str, Vec<Operation<'_>>> {
    let mut by_context: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, described) in methods.as_object().into_iter().flatten() {
            let context = described["tags"][0].as_str().unwrap_or("other");
            let method = method.to_uppercase();
            by_context.entry(context).or_default().push(Operation { method, path, described });
        }
    }
    by_context
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn add(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Text of anybody's, made harmless.
    fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                other => self.0.push(other),
            }
        }
    }

    fn tagged(&mut self, tag: &str, text: &str) {
        let name = tag.split(' ').next().unwrap_or(tag);
        write!(self.0, "<{tag}>").expect("a string takes everything");
        self.text(text);
        write!(self.0, "</{name}>").expect("a string takes everything");
    }

    fn link(&mut self, anchor: &str) {
        self.tagged(&format!("a href=\"#{anchor}\""), anchor);
    }

    fn heading(&mut self, anchor: &str) {
        self.tagged(&format!("h2 id=\"{anchor}\""), anchor);
    }

    fn operation(&mut self, operation: &Operation<'_>, document: &Value) {
        let Operation { method, path, described } = operation;
        let id = described["operationId"].as_str().unwrap_or_default();
        self.tagged(&format!("article id=\"{id}\""), "");
        // The article stays open until its end below.
        self.0.truncate(self.0.len() - "</article>".len());
        self.add("<h3>");
        self.tagged(&format!("b class=\"{}\"", method.to_lowercase()), method);
        self.tagged("code", path);
        self.add("</h3>");
        self.tagged("p", described["summary"].as_str().unwrap_or_default());
        self.tagged("p class=\"who\"", &who(described));
        let fields = sent(described, document);
        self.fields("Send", &fields);
        self.fields("Get", &received(described, document));
        self.add("</article>");
    }

    fn fields(&mut self, title: &str, fields: &[Field]) {
        if fields.is_empty() {
            return;
        }
        self.add("<table><thead><tr>");
        self.tagged("th", title);
        self.add("<th>Type</th><th>Meaning</th></tr></thead><tbody>");
        for field in fields {
            self.add("<tr><td>");
            self.tagged("code", &field.name);
            if field.required {
                self.add("<abbr title=\"required\">*</abbr>");
            }
            self.add("</td><td>");
            self.text(&field.kind);
            self.add("</td><td>");
            self.text(&field.meaning);
            self.add("</td></tr>");
        }
        self.add("</tbody></table>");
    }

    /// Every code that a refusal can have, with its sentence and an address of its own.
    fn problems(&mut self, document: &Value) {
        self.heading("problems");
        self.add("<p>Every refusal is a problem document (RFC 9457). Decide by its <code>code</code>; its <code>title</code> is a sentence in the caller's language.</p><dl>");
        for (code, sentence) in problems(document) {
            self.tagged(&format!("dt id=\"{code}\""), &code);
            self.tagged("dd", &sentence);
        }
        self.add("</dl>");
    }
}

struct Field {
    name: String,
    required: bool,
    kind: String,
    meaning: String,
}

fn who(described: &Value) -> String {
    let security = described["security"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(first) = security.first() else { return "For everybody.".to_owned() };
    let roles: Vec<String> = first["bearer"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|role| match role.split_once(':') {
            Some((role, scope)) => format!("{} ({scope})", role.replace('_', " ")),
            None => role.to_owned(),
        })
        .collect();
    if roles.is_empty() {
        "For whoever is logged in.".to_owned()
    } else {
        format!("For: {}.", roles.join(", "))
    }
}

/// Parameters and the body's fields.
fn sent(described: &Value, document: &Value) -> Vec<Field> {
    let parameters = described["parameters"].as_array().into_iter().flatten();
    let mut fields: Vec<Field> = parameters
        .map(|parameter| Field {
            name: parameter["name"].as_str().unwrap_or_default().to_owned(),
            required: parameter["required"] == true,
            kind: format!(
                "{}, in {}",
                kind(&parameter["schema"]),
                parameter["in"].as_str().unwrap_or_default()
            ),
            meaning: meaning(parameter, &parameter["schema"]),
        })
        .collect();
    fields.extend(properties(
        &described["requestBody"]["content"]["application/json"]["schema"],
        document,
    ));
    fields
}

fn received(described: &Value, document: &Value) -> Vec<Field> {
    let replies = described["responses"].as_object().into_iter().flatten();
    let reply = replies.into_iter().find(|(status, _)| status.starts_with('2'));
    let Some((_, reply)) = reply else { return Vec::new() };
    properties(&reply["content"]["application/json"]["schema"], document)
}

fn properties(schema: &Value, document: &Value) -> Vec<Field> {
    let schema = resolved(schema, document);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| Field {
            name: name.clone(),
            required: required.contains(&name.as_str()),
            kind: kind(property),
            meaning: meaning(property, property),
        })
        .collect()
}

fn resolved<'d>(schema: &'d Value, document: &'d Value) -> &'d Value {
    let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|target| document.pointer(target)).unwrap_or(schema)
}

fn meaning(described: &Value, schema: &Value) -> String {
    let described = described["description"].as_str().or(schema["description"].as_str());
    described.unwrap_or_default().to_owned()
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        return target.rsplit('/').next().unwrap_or(target).to_owned();
    }
    let alternatives = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    if let Some(alternatives) = alternatives {
        return alternatives.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed = allowed.iter().filter_map(Value::as_str).collect::<Vec<_>>();
        return allowed.join(" | ");
    }
    let own = match &schema["type"] {
        Value::String(own) => own.clone(),
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    if own == "array" { format!("list of {}", kind(&schema["items"])) } else { own }
}

/// Codes with their English sentences: those of every request, ours, and what the document tells of the other
/// contexts.
fn problems(document: &Value) -> BTreeMap<String, String> {
    let mut problems = BTreeMap::new();
    for sentences in [RequestRefusal::NotFound.sentences(), &domain::SENTENCES] {
        problems.extend(told(sentences));
    }
    for problem in document["x-problems"].as_array().into_iter().flatten() {
        if let (Some(code), Some(title)) = (problem["code"].as_str(), problem["title"].as_str()) {
            problems.insert(code.to_owned(), title.to_owned());
        }
    }
    problems
}

fn told(sentences: &Sentences) -> impl Iterator<Item = (String, String)> {
    let own = |id: String| {
        let code = id.to_uppercase().replace('-', "_");
        let sentence = shell::sentence(sentences, Locale::En, &code, &[]);
        (code, sentence.replace("{$", "{").replace('\u{2068}', ""))
    };
    sentences.codes(Locale::En).into_iter().map(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_every_code() {
        let document = shell::openapi::document(&crate::http_operations(), &[]);
        let mut document = document;
        document["x-problems"] =
            serde_json::json!([{ "code": "SECTION_FULL", "title": "No <seat> is left." }]);
        let page = of(&document.to_string());
        for operation in crate::http_operations() {
            let id = format!("<article id=\"operations-{}\">", operation.route.operation);
            assert!(page.contains(&id), "{id}");
            assert!(page.contains(operation.route.path));
        }
        for anchor in ["NOT_FOUND", "IMPORT_UNKNOWN", "DOUBLE_ENCODED", "SECTION_FULL", "problems"]
        {
            assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor}");
        }
        assert!(page.contains("No &lt;seat&gt; is left."));
        assert!(page.contains("registrar (all)"));
        assert!(!page.contains("<script") && !page.contains("http://"), "it needs nothing else");
        assert_eq!(page.matches("<article").count(), page.matches("</article>").count());
    }

    #[test]
    fn a_document_without_operations_is_a_page_too() {
        assert!(of(crate::OPENAPI).contains("id=\"FORBIDDEN\""));
        assert!(of("no JSON").contains("id=\"FORBIDDEN\""));
    }
}
