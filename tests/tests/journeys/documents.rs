//! What the API says of itself, and the events that are kept for good.

use serde_json::{Value, json};
use tests::contexts::http_operations;

use crate::api::Api;
use crate::cloud;
use crate::courses::Term;
use crate::patience::{LIMIT, eventually};
use crate::people::newcomer;
use crate::sagas::submit_one;

#[test]
fn the_api_says_that_it_answers_and_what_it_can_do() {
    let anybody = Api::anonymous();
    assert_eq!(anybody.get("/healthz").expect(200).body, json!({ "status": "ok" }));
    assert_eq!(anybody.get("/readyz").expect(200).body, json!({ "status": "ready" }));
    let document = anybody.get("/openapi.json").expect(200);
    assert!(document.header("content-type").starts_with("application/json"));
    assert!(document.text("/openapi").starts_with("3.1"));
    for operation in http_operations() {
        let (method, path) = (operation.route.method.name(), operation.route.path);
        if path.starts_with('/') {
            let pointer = format!("/paths/{}/{}", path.replace('/', "~1"), method.to_lowercase());
            assert!(document.body.pointer(&pointer).is_some(), "{method} {path} is not described");
        }
    }
    let page = anybody.get("/docs").expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    let html = page.body.as_str().expect("a page");
    assert!(html.contains("/submissions") && html.contains("<html"), "{html:.200}");
}

#[test]
fn invoice_and_statement_come_as_a_pdf_in_the_language_asked_for() {
    let (term, student) = (Term::open(), newcomer("Agnes"));
    let invoice = submit_one(&student, &term, &term.plain_section()).await_invoice();
    for path in [format!("/invoices/{invoice}/document"), "/statement".to_owned()] {
        let file = |language| {
            let reply = student.api.get(&format!("{path}?language={language}")).expect(200);
            assert_eq!(reply.header("content-type"), "application/pdf", "{path}");
            assert!(reply.header("content-disposition").ends_with(".pdf\""), "{path}");
            let bytes = reply.body.as_str().expect("bytes").to_owned();
            assert!(bytes.starts_with("%PDF-"), "{path}: {bytes:.20}");
            bytes
        };
        assert_eq!(file("en"), file("en"), "{path}: the same file, asked for twice");
        assert_ne!(file("en"), file("fr"), "{path}");
    }
}

#[test]
fn every_event_of_a_registration_is_kept_in_the_bucket() {
    let (term, student) = (Term::open(), newcomer("Elsa"));
    let bundle = submit_one(&student, &term, &term.plain_section());
    bundle.pay();
    let bucket = cloud::setting("MATRICULA_EVENTS_BUCKET");
    for context in ["identity", "catalog", "enrollment", "billing", "notifications"] {
        let prefix = format!("events/{context}/");
        let keys = eventually(&format!("events below {prefix}"), LIMIT, || {
            let keys = cloud::object_keys(&bucket, &prefix);
            if keys.is_empty() { Err("nothing".to_owned()) } else { Ok(keys) }
        });
        let text = cloud::object(&bucket, &keys[0]);
        let event: Value = serde_json::from_str(&text).expect("an event is JSON");
        let name = event["name"].as_str().expect("an event has a name");
        assert!(name.starts_with(&format!("{context}.")), "{name} below {prefix}");
    }
    let path = format!("/registrations/{}", bundle.registration);
    let history = student.api.get(&path).expect(200);
    let day = |pointer: &str| history.text(pointer)[..10].replace('-', "/");
    let own = [
        format!("{}/enrollment.saga.requested!3A{}", day("/history/0/at"), bundle.id),
        format!(
            "{}/enrollment.registration.confirmed!3A{}",
            day("/history/1/at"),
            bundle.registration
        ),
    ];
    for event in own {
        eventually(&format!("{event} is kept"), LIMIT, || {
            let keys = cloud::object_keys(&bucket, &format!("events/enrollment/{event}"));
            if keys.len() == 1 { Ok(()) } else { Err(format!("{keys:?}")) }
        });
    }
}
