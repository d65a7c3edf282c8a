//! The local cloud's address, spoken to as AWS: JSON protocol, REST, and its own addresses.
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use crate::failure::Failure;

pub const REGION: &str = "us-east-1";
/// The account that the key `test` belongs to.
pub const ACCOUNT: &str = "000000000000";
/// As long as a function may run.
const TIMEOUT: Duration = Duration::from_mins(15);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// MiniStack's own, then LocalStack's.
const HEALTH_PATHS: [&str; 2] = ["/_ministack/health", "/_localstack/health"];

pub struct Endpoint {
    url: String,
    agent: Agent,
}

/// An answer that came, whatever it says.
pub struct Answer {
    pub status: u16,
    /// Lambda's `X-Amz-Function-Error`.
    pub function_error: Option<String>,
    pub body: Value,
}

impl Endpoint {
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into().trim_end_matches('/').to_owned(), agent: agent(TIMEOUT) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn is_healthy(&self) -> bool {
        let quick = agent(HEALTH_TIMEOUT);
        let answers = |path: &str| {
            quick.get(format!("{}{path}", self.url)).call().is_ok_and(|r| r.status() == 200)
        };
        HEALTH_PATHS.iter().any(|path| answers(path))
    }

    /// One call in AWS's JSON protocol, such as (`logs`, `Logs_20140328.FilterLogEvents`).
    pub fn json_call(&self, service: &str, target: &str, body: &Value) -> Result<Value, Failure> {
        let request = self
            .request("POST", service, "/")
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .body(body.to_string());
        let answer = self.send(request)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let what =
            format!("{target} was refused by the local cloud ({}): {}", answer.status, answer.body);
        Err(Failure::new(
            what,
            "See whether the name is right: `cargo matricula status` shows what is deployed.",
        ))
    }

    /// Calls one function by itself, as an operator does, and gives its reply.
    pub fn invoke(&self, function: &str, event: String) -> Result<Value, Failure> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.rest_call("POST", "lambda", &path, event)?;
        let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
        if let Some(kind) = answer.function_error {
            let error_type = text("errorType").unwrap_or(kind);
            let message = text("errorMessage").unwrap_or_else(|| format!("{:#}", answer.body));
            let advice = format!("See what it logged: `cargo matricula logs {function}`.");
            return Err(Failure::new(
                format!("{function} failed: {error_type}: {message}"),
                advice,
            ));
        }
        if answer.status >= 300 {
            let what = format!("{function} was not invoked ({}): {:#}", answer.status, answer.body);
            let advice = "A function's name is `<context>-<operation>`, as in infra/cdk.";
            return Err(Failure::new(what, advice));
        }
        Ok(answer.body)
    }

    /// One call of a REST service, such as (`GET`, `apigateway`, `/v2/apis/…`).
    pub fn rest_call(
        &self,
        method: &str,
        service: &str,
        path: &str,
        body: String,
    ) -> Result<Answer, Failure> {
        self.send(
            self.request(method, service, path)
                .header("Content-Type", "application/json")
                .body(body),
        )
    }

    /// The local cloud routes by the scope of the signature and checks none for the key `test`.
    fn request(&self, method: &str, service: &str, path: &str) -> ureq::http::request::Builder {
        let credential = format!("test/20260101/{REGION}/{service}/aws4_request");
        Request::builder().method(method).uri(format!("{}{path}", self.url)).header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
        )
    }

    fn send(&self, request: Result<Request<String>, ureq::http::Error>) -> Result<Answer, Failure> {
        let request = request.map_err(|error| self.unreachable(&error.to_string()))?;
        let response =
            self.agent.run(request).map_err(|error| self.unreachable(&error.to_string()))?;
        let function_error = header(&response, "x-amz-function-error");
        let status = response.status().as_u16();
        let text = response
            .into_body()
            .read_to_string()
            .map_err(|error| self.unreachable(&error.to_string()))?;
        Ok(Answer { status, function_error, body: parsed(text) })
    }

    fn unreachable(&self, error: &str) -> Failure {
        Failure::new(
            format!("the local cloud at {} did not answer: {error}", self.url),
            "Run `cargo matricula status` to see what runs, and `cargo matricula up` to start it.",
        )
    }
}

/// No proxy: the local cloud is on this machine. A refusal is an answer, not an error.
pub fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .proxy(None)
        .build()
        .into()
}

/// JSON where it is JSON, else the text itself.
pub fn parsed(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

pub fn header(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}
