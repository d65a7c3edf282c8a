//! Other systems that call in their own name: they get a token with a secret, see what they are allowed, and nothing
//! more.

use std::time::Duration;

use serde_json::{Value, json};
use shell::ClientScope;

use crate::api::{Api, Reply};
use crate::patience::eventually;
use crate::people::{newcomer, staff};

/// The gateway and the authorizer each remember for a while, together for less than this.
const ENDED_WITHIN: Duration = Duration::from_mins(1);

pub fn everything() -> Vec<&'static str> {
    ClientScope::ALL.iter().map(|scope| scope.name()).collect()
}

/// The client's id and its secret.
fn made(scopes: &[&str]) -> (String, String) {
    let now = shell::now().as_second();
    let expires_at = kernel::Timestamp::from_second(now + 3_600).expect("a time in our century");
    let settings = json!({ "name": "A journey's", "scopes": scopes, "expires_at": expires_at });
    let order = json!({ "settings": settings });
    let made = staff().administrator.api.post("/service-clients", &order).expect(201);
    (made.text("/client/id"), made.text("/secret"))
}

fn ask(id: &str, secret: &str, more: &str) -> Reply {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}{more}");
    let call = Api::anonymous().call("POST", "/oauth/token");
    call.text("application/x-www-form-urlencoded", &form).send()
}

/// The token of a new client that is allowed this.
pub fn token(scopes: &[&str]) -> String {
    let (id, secret) = made(scopes);
    ask(&id, &secret, "").expect(200).text("/access_token")
}

#[test]
fn another_system_sees_what_it_is_allowed_until_it_is_ended() {
    let (id, secret) = made(&["enrollment:read", "catalog:read"]);
    let reply = ask(&id, &secret, "").expect(200);
    assert_eq!(
        (&reply.body["token_type"], &reply.body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    let system = Api::with_token(&reply.text("/access_token"));
    let student = newcomer("Silje");
    system.get("/terms").expect(200);
    system.get(&format!("/students/{}/record", student.id)).expect(200);
    system.get("/registrations").expect_refusal(422, "INVALID_INPUT");
    system.get(&format!("/account?student={}", student.id)).expect_refusal(403, "FORBIDDEN");
    system.get("/me").expect_refusal(403, "FORBIDDEN");
    let administrator = &staff().administrator.api;
    let path = format!("/service-clients/{id}");
    let shown = administrator.get(&path).expect(200);
    assert!(shown.body["last_used_at"].is_string(), "{shown:?}");
    assert!(!shown.body.to_string().contains(&secret));
    administrator.call("DELETE", &path).send().expect(204);
    assert_eq!(ask(&id, &secret, "").expect(401).body["error"], "invalid_client");
    eventually("its token is no good any more", ENDED_WITHIN, || {
        let reply = system.get("/terms");
        if reply.body["code"] == "SESSION_ENDED" { Ok(()) } else { Err(format!("{reply:?}")) }
    });
}

#[test]
fn a_token_endpoint_refuses_as_the_standard_has_it_and_takes_two_secrets_for_a_while() {
    let (id, secret) = made(&["catalog:read"]);
    let error = |reply: Reply, status: u16| -> Value {
        assert_eq!(reply.header("content-type"), "application/json");
        reply.expect(status).body["error"].clone()
    };
    assert_eq!(error(ask(&id, "wrong", ""), 401), "invalid_client");
    assert_eq!(error(ask("cli_nobody", &secret, ""), 401), "invalid_client");
    assert_eq!(error(ask(&id, &secret, "&scope=billing:read"), 400), "invalid_scope");
    assert_eq!(error(ask(&id, &secret, "&client_id=again"), 400), "invalid_request");
    ask(&id, &secret, "").expect(200);
    let path = format!("/service-clients/{id}/secrets");
    let next = staff().administrator.api.post(&path, &json!({})).expect(200).text("/secret");
    for good in [&secret, &next] {
        ask(&id, good, "").expect(200);
    }
    let now = json!({ "old_ends_at": "2020-01-01T00:00:00Z" });
    let last = staff().administrator.api.post(&path, &now).expect(200).text("/secret");
    for over in [&secret, &next] {
        assert_eq!(error(ask(&id, over, ""), 401), "invalid_client");
    }
    ask(&id, &last, "").expect(200);
}
