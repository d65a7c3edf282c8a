//! The bootstrap as Lambda runs it: it asks AWS nothing before its first invocation, and says at once which operation it
//! does not know.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kernel::{Id, SessionId, SubmissionId};
use serde_json::Value;
use shell::{Caller, Grant, Role};
use testkit::{Bootstrap, Engine, RuntimeApi, http_event, person};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_enrollment");
const PATIENCE: Duration = Duration::from_secs(30);
const TABLE: &str = "enrollment";

fn environment(engine: &Engine) -> [(&'static str, &str); 6] {
    [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", engine.url()),
        ("TABLE_NAME", TABLE),
        ("TIME_ZONE", "UTC"),
    ]
}

#[tokio::test]
async fn nothing_is_asked_of_aws_before_the_first_invocation() {
    let (engine, api) = (Engine::start().await, RuntimeApi::start(PATIENCE).await);
    engine.table(TABLE).await;
    let environment = environment(&engine);
    let _process = Bootstrap::spawn(Path::new(BOOTSTRAP), "read-submission", &api, &environment);
    tokio::time::timeout(PATIENCE, api.first_poll()).await.expect("it polls");
    assert_eq!(engine.take_calls(), [].into(), "before anybody has asked anything");
    let (person, session) = (person("ada"), SessionId::derived_from("ada"));
    let grants = vec![Grant { role: Role::Student, department: None }];
    let caller = Caller { person, session, grants };
    let submission = SubmissionId::derived_from("none").to_string();
    let event = http_event("GET", &[("submission", &submission)], &Value::Null, Some(&caller));
    let reply = tokio::time::timeout(PATIENCE, api.invoke(event)).await.expect("it answers");
    assert_eq!(reply.expect("a reply")["statusCode"], 404);
    assert_eq!(engine.take_calls(), [("Query".to_owned(), 1)].into(), "and now it has asked");
}

#[tokio::test]
async fn an_operation_that_there_is_not_ends_the_start_with_its_name() {
    let engine = Engine::start().await;
    let ended = Command::new(BOOTSTRAP)
        .env_clear()
        .envs(environment(&engine))
        .env("_HANDLER", "no-such-operation")
        // Nobody answers there; it must not come so far.
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("enrollment has no operation \"no-such-operation\""), "{said}");
}
