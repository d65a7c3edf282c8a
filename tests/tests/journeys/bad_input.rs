//! What nobody should send: every mistake gets its own answer, with a code, a sentence in the caller's
//! language, and never
//! a 5xx.

use kernel::Id;
use serde_json::{Value, json};

use crate::api::{Api, Reply, unique};
use crate::cloud;
use crate::courses::Term;
use crate::patience::{LIMIT, eventually};
use crate::people::{newcomer, staff};
use crate::sagas::{await_payment, francs, invoice, start_payment, submit_one};

const LANGUAGES: [&str; 3] = ["en", "fr", "es"];
/// Largest body that an operation reads, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// One bad request and the answer to it.
struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: String,
    status: u16,
    code: &'static str,
}

impl Case {
    /// A POST of a cart; what is different follows.
    fn cart(name: &'static str, body: &str, status: u16, code: &'static str) -> Self {
        let (method, path, content_type) = ("POST", "/submissions", "application/json");
        Self { name, method, path, content_type, body: body.to_owned(), status, code }
    }

    fn get(name: &'static str, path: &'static str, status: u16, code: &'static str) -> Self {
        Self { method: "GET", path, ..Self::cart(name, "", status, code) }
    }
}

fn cases() -> Vec<Case> {
    let huge = format!("{{\"term\": \"{}\"}}", "x".repeat(BODY_MAX));
    let deep = "[".repeat(5_000);
    let cart = Case::cart;
    vec![
        cart("half a document", "{\"term\": \"ter", 400, "MALFORMED_JSON"),
        cart("two documents", "{} {}", 400, "MALFORMED_JSON"),
        cart("a very deep document", &deep, 400, "MALFORMED_JSON"),
        cart("a number that is none", "{\"term\": NaN}", 400, "MALFORMED_JSON"),
        cart("a list", "[]", 422, "INVALID_INPUT"),
        cart("a word", "\"cart\"", 422, "INVALID_INPUT"),
        cart("nothing", "", 422, "INVALID_INPUT"),
        cart("a member twice", TERM_SAID_TWICE, 422, "INVALID_INPUT"),
        cart("half a surrogate", "{\"term\": \"\\ud800\"}", 400, "MALFORMED_JSON"),
        cart("a cart without end", &huge, 413, "BODY_TOO_LARGE"),
        Case {
            content_type: "text/plain",
            ..cart("plain text", "{}", 415, "CONTENT_TYPE_UNSUPPORTED")
        },
        Case {
            content_type: "application/x-www-form-urlencoded",
            ..cart("a form", "term=1", 415, "CONTENT_TYPE_UNSUPPORTED")
        },
        Case::get("a cursor of nobody's", "/terms?cursor=bm90aGluZw", 400, "CURSOR_INVALID"),
        Case::get("a cursor of one letter", "/courses?cursor=!", 400, "CURSOR_INVALID"),
        Case::get("a page of nothing", "/terms?limit=0", 422, "INVALID_INPUT"),
        Case::get("a page without end", "/terms?limit=100000", 422, "INVALID_INPUT"),
        Case::get("a page of a word", "/terms?limit=many", 422, "INVALID_INPUT"),
        Case::get("an unknown question", "/terms?colour=blue", 422, "INVALID_INPUT"),
        Case::get("a list without its term", "/sections", 422, "INVALID_INPUT"),
        Case::get("an id of another kind", "/terms/sec_123", 422, "INVALID_INPUT"),
        Case::get("an id with a blank", "/terms/ter%20123", 422, "INVALID_INPUT"),
        Case::get("an id of a thousand letters", LONG_ID, 422, "INVALID_INPUT"),
        Case::get("a question that names the path's own field", TERM_TWICE, 422, "INVALID_INPUT"),
        Case {
            path: CART_WITH_TERM,
            ..cart("a question that names the body's own field", WHOLE_CART, 422, "INVALID_INPUT")
        },
        Case::get("no such address", "/no/such/address", 404, "NOT_FOUND"),
        Case { method: "DELETE", ..Case::get("no such method", "/terms", 404, "NOT_FOUND") },
        Case { method: "PUT", ..cart("no such act", "{}", 404, "NOT_FOUND") },
    ]
}

const TERM_TWICE: &str =
    "/terms/trm_01a20000000070008000000000000000?term=trm_01a20000000070008000000000000001";
const CART_WITH_TERM: &str = "/submissions?term=trm_01a20000000070008000000000000001";
const TERM_SAID_TWICE: &str = r#"{
    "term": "trm_01a20000000070008000000000000000",
    "term": "trm_01a20000000070008000000000000001",
    "sections": ["sec_01a20000000070008000000000000000"]
}"#;
const WHOLE_CART: &str = r#"{
    "term": "trm_01a20000000070008000000000000000",
    "sections": ["sec_01a20000000070008000000000000000"]
}"#;
const LONG_ID: &str = concat!(
    "/courses/",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
);

#[test]
fn every_mistake_in_a_request_has_its_own_answer_in_three_languages() {
    let student = newcomer("Basil");
    let mut wrong = Vec::new();
    for case in cases() {
        let call = student.api.call(case.method, case.path).key(&unique("bad"));
        let call = if case.body.is_empty() && case.method != "POST" {
            call
        } else {
            call.text(case.content_type, &case.body)
        };
        let replies = LANGUAGES.map(|language| call.clone().language(language).once().send());
        if let Some(reply) = replies
            .iter()
            .find(|reply| reply.status != case.status || reply.body["code"] != case.code)
        {
            let Case { name, status, code, .. } = case;
            wrong.push(format!("{name}: not {status} {code} but {} {}", reply.status, reply.body));
        } else {
            assert_three_languages(&replies, case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bytes_that_are_no_utf_8_are_refused_as_such() {
    let student = newcomer("Ulf");
    let call = student.api.call("POST", "/submissions").key(&unique("bad"));
    // Gateways that take these for text hand on what replaces them, which is no JSON.
    let call = call.bytes("application/json", &[0xff, 0xfe]).once();
    let replies = LANGUAGES.map(|language| call.clone().language(language).send());
    assert_three_languages(&replies, "bytes");
    for reply in replies {
        let reply = reply.expect(400);
        let code = reply.text("/code");
        assert!(["NOT_UTF8", "MALFORMED_JSON"].contains(&code.as_str()), "{code}");
    }
}

#[test]
fn a_member_that_is_said_twice_is_told_by_its_path() {
    let student = newcomer("Tilda");
    let call = student.api.call("POST", "/submissions").key(&unique("twice"));
    let reply = call.text("application/json", TERM_SAID_TWICE).send();
    let reply = reply.expect_refusal(422, "INVALID_INPUT");
    let error = &reply.body["errors"][0];
    assert_eq!((&error["field"], &error["code"]), (&json!("/term"), &json!("REPEATED")));
}

/// The same refusal three times, each in the language that was asked for.
fn assert_three_languages(replies: &[Reply; 3], what: &str) {
    for (reply, language) in replies.iter().zip(LANGUAGES) {
        assert_eq!(reply.header("content-language"), language, "{what}");
        assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
    }
    let sentences: Vec<String> = replies.iter().map(|reply| reply.text("/title")).collect();
    assert!(sentences[0] != sentences[1] && sentences[1] != sentences[2], "{what}: {sentences:?}");
    assert_ne!(sentences[0], sentences[2], "{what}");
}

#[test]
fn all_wrong_fields_are_told_at_once() {
    let course = json!({
        "code": "analysis one",
        "title": "",
        "credits_hundredths": "450",
        "department": 7,
        "corequisites": ["crs_1", "crs_1"],
        "colour": "blue",
    });
    let call = staff().registrar.api.call("POST", "/courses").key(&unique("fields")).json(&course);
    let replies = LANGUAGES.map(|language| call.clone().language(language).send());
    assert_three_languages(&replies, "wrong fields");
    for reply in replies {
        let reply = reply.expect_refusal(422, "INVALID_INPUT");
        let errors = reply.body["errors"].as_array().expect("errors");
        let fields: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
        for field in ["/code", "/title", "/credits_hundredths", "/department", "/colour"] {
            assert!(fields.contains(&field), "{field} is not in {errors:?}");
        }
        assert!(fields.iter().any(|field| field.starts_with("/corequisites")), "{errors:?}");
        let spoken = |error: &Value| error["message"].as_str().is_some_and(|text| text.len() > 5);
        assert!(errors.iter().all(spoken), "{errors:?}");
    }
}

#[test]
fn a_cursor_belongs_to_its_list_and_is_not_to_be_changed() {
    let registrar = &staff().registrar.api;
    for _ in 0..2 {
        Term::open();
    }
    let page = registrar.get("/terms?limit=1").expect(200);
    let cursor = page.text("/next_cursor");
    let next = registrar.get(&format!("/terms?limit=1&cursor={cursor}")).expect(200);
    assert_ne!(next.body["items"][0]["id"], page.body["items"][0]["id"]);
    let elsewhere = registrar.get(&format!("/courses?cursor={cursor}"));
    elsewhere.expect_refusal(400, "CURSOR_INVALID");
    let mut forged = cursor.into_bytes();
    forged[5] = if forged[5] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("a cursor is ASCII");
    registrar.get(&format!("/terms?cursor={forged}")).expect_refusal(400, "CURSOR_INVALID");
}

#[test]
fn a_token_that_nobody_signed_opens_nothing() {
    let student = newcomer("Tom");
    let token = student.api.token();
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "an access token is a JWT");
    // {"alg":"none"}, and a payload that expired in 1970.
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let expired = format!("{}.eyJzdWIiOiJwZXJfMSIsImV4cCI6MX0.{}", parts[0], parts[2]);
    let cut = &token[..token.len() - 4];
    let long = format!("{token}{}", "A".repeat(6_000));
    for forged in [unsigned.as_str(), &expired, cut, &long, "nonsense", "..", "a.b.c"] {
        let call = Api::with_token(forged).call("GET", "/me");
        let replies = LANGUAGES.map(|language| call.clone().language(language).send());
        assert_three_languages(&replies, forged);
        for reply in replies {
            let reply = reply.expect_refusal(401, "TOKEN_INVALID");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    for header in [format!("Basic {token}"), token.to_owned(), "Bearer".to_owned()] {
        let reply = Api::anonymous().call("GET", "/me").header("authorization", &header).send();
        assert_eq!(reply.status, 401, "{header}: {reply:?}");
    }
    assert_eq!(Api::anonymous().get("/me").status, 401);
    student.api.get("/me").expect(200);
    // A public door asks nobody, not even with a bad token.
    Api::with_token("nonsense").get("/healthz").expect(200);
}

#[test]
fn what_belongs_to_another_student_is_not_there() {
    let (term, owner, other) = (Term::open(), newcomer("Olivia"), newcomer("Moritz"));
    let bundle = submit_one(&owner, &term, &term.plain_section());
    let invoice = bundle.await_invoice();
    let payment = start_payment(&owner, &invoice, "pm_card_visa");
    await_payment(&owner, &payment, "succeeded");
    bundle.await_state("confirmed");
    let hidden = [
        (format!("/submissions/{}", bundle.submission), "SUBMISSION_UNKNOWN"),
        (format!("/registrations/{}", bundle.registration), "REGISTRATION_UNKNOWN"),
        (format!("/invoices/{invoice}"), "INVOICE_UNKNOWN"),
        (format!("/payments/{payment}"), "PAYMENT_UNKNOWN"),
    ];
    for (path, code) in hidden {
        owner.api.get(&path).expect(200);
        let replies =
            LANGUAGES.map(|language| other.api.call("GET", &path).language(language).send());
        assert_three_languages(&replies, &path);
        for reply in replies {
            reply.expect_refusal(404, code);
        }
    }
    let drop = format!("/registrations/{}/drop", bundle.registration);
    other.api.post(&drop, &json!({})).expect_refusal(404, "REGISTRATION_UNKNOWN");
    let pay = json!({ "invoice": invoice, "payment_method": "pm_card_visa" });
    other.api.post("/payments", &pay).expect_refusal(404, "INVOICE_UNKNOWN");
    for list in ["/registrations", "/invoices"] {
        assert_eq!(other.api.list(&format!("{list}?student={}", owner.id)), Vec::<Value>::new());
        assert_eq!(staff().registrar.api.list(&format!("{list}?student={}", owner.id)).len(), 1);
    }
    assert_eq!(bundle.registration_state(), "registered");
}

#[test]
fn a_webhook_that_the_provider_did_not_sign_is_refused() {
    let body = testkit::webhook_body(&intent("pay_1", 500));
    let now = shell::now().as_second();
    let good = webhook_secret();
    let refused = |signature: &str, body: &str, code: &str| {
        let call =
            Api::anonymous().call("POST", "/webhooks/payments").text("application/json", body);
        let call = call.header("stripe-signature", signature);
        let replies = LANGUAGES.map(|language| call.clone().language(language).send());
        assert_three_languages(&replies, code);
        for reply in replies {
            reply.expect_refusal(400, code);
        }
    };
    let signed = |secret: &str, at: i64| testkit::webhook_signature(secret, at, &body);
    refused("", &body, "WEBHOOK_SIGNATURE_INVALID");
    refused("t=now,v1=zz", &body, "WEBHOOK_SIGNATURE_INVALID");
    refused(&signed("guessed", now), &body, "WEBHOOK_SIGNATURE_INVALID");
    refused(&signed(&good, now), &body.replace("500", "501"), "WEBHOOK_SIGNATURE_INVALID");
    refused(&signed(&good, now - 3_600), &body, "WEBHOOK_TIMESTAMP_OLD");
    refused(&signed(&good, now + 3_600), &body, "WEBHOOK_TIMESTAMP_OLD");
    let nonsense = "{\"type\": 7}";
    let signature = testkit::webhook_signature(&good, now, nonsense);
    refused(&signature, nonsense, "WEBHOOK_MALFORMED");
}

#[test]
fn money_that_nobody_can_place_waits_for_the_bursar() {
    // Of a payment that we never heard of.
    let stranger = intent(&kernel::PaymentId::derived_from(&unique("stranger")).to_string(), 777);
    let body = testkit::webhook_body(&stranger);
    for _ in 0..2 {
        let now = shell::now().as_second();
        let signature = testkit::webhook_signature(&webhook_secret(), now, &body);
        let call = Api::anonymous().call("POST", "/webhooks/payments");
        let call = call.text("application/json", &body).header("stripe-signature", &signature);
        assert_eq!(call.send().expect(200).body, json!({ "received": true }));
    }
    let reference = stranger["id"].as_str().expect("an id");
    let items = suspense(|item| item["provider_ref"] == reference);
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["reason"], "payment_unknown");
    assert_eq!(francs(&items[0]["amount"]), 777);

    // Of another amount than was asked for.
    let (term, student) = (Term::open(), newcomer("Wanda"));
    let bundle = submit_one(&student, &term, &term.plain_section());
    let id = bundle.await_invoice();
    let payment = start_payment(&student, &id, "pm_sim_wrong_amount");
    let failed = await_payment(&student, &payment, "failed");
    assert_eq!(failed["failure_reason"], "amount_differs");
    let items = suspense(|item| item["payment"] == payment.as_str());
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["reason"], "amount_differs");
    assert_eq!(francs(&items[0]["amount"]), francs(&failed["amount"]) + 1);
    let open = invoice(&student, &id);
    assert_eq!((&open["state"], &open["open"]), (&json!("issued"), &open["total"]));
    bundle.pay();
}

/// The bursar's suspense items that are meant, once there is one.
fn suspense(is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
    eventually("a suspense item", LIMIT, || {
        let mut items = staff().bursar.api.list("/suspense-items");
        items.retain(|item| is_meant(item));
        if items.is_empty() { Err("none".to_owned()) } else { Ok(items) }
    })
}

fn intent(payment: &str, amount: i64) -> Value {
    json!({
        "id": unique("pi"),
        "object": "payment_intent",
        "amount": amount,
        "amount_received": amount,
        "currency": "xaf",
        "status": "succeeded",
        "metadata": { "payment": payment },
        "created": shell::now().as_second(),
        "last_payment_error": null,
    })
}

/// As the provider knows it; the operator reads it where the functions do.
fn webhook_secret() -> String {
    cloud::secret("matricula/dev/payment-webhook-secret")
}
