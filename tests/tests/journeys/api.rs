//! The API as its callers see it: a call with a token, a language, a key; and the reply with its problem document.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::cloud;

/// Longer than the gateway waits for a function, and than two hundred callers at once take on two busy cores.
const ANSWER_MAX: Duration = Duration::from_mins(3);
/// A refusal that says "try again" is tried again so often; then it is the reply.
const TRIES_MAX: u32 = 6;

/// Somebody's way into the API.
#[derive(Debug, Clone, Default)]
pub struct Api {
    token: Option<String>,
}

/// One call, before it is sent.
#[derive(Debug, Clone)]
pub struct Call {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    tries: u32,
}

#[derive(Debug, Clone)]
pub struct Reply {
    call: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Api {
    /// Nobody has logged in.
    pub fn anonymous() -> Self {
        Self::default()
    }

    pub fn with_token(token: &str) -> Self {
        Self { token: Some(token.to_owned()) }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("somebody has logged in")
    }

    pub fn call(&self, method: &'static str, path: &str) -> Call {
        let call = Call {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            tries: TRIES_MAX,
        };
        let call = call.header("accept-language", "en");
        match &self.token {
            Some(token) => call.header("authorization", &format!("Bearer {token}")),
            None => call,
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path).send()
    }

    /// With an idempotency key of its own.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with_key(path, &unique("key"), body)
    }

    pub fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Reply {
        self.call("POST", path).key(key).json(body).send()
    }

    /// In the place of what is at this version; 0 where there is nothing yet.
    pub fn replace(&self, path: &str, version: u64, body: &Value) -> Reply {
        let call = self.call("PUT", path).header("if-match", &format!("\"{version}\""));
        call.json(body).send()
    }

    /// Every item of a list, page by page.
    pub fn list(&self, path: &str) -> Vec<Value> {
        const PAGES_MAX: u32 = 50;
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.get(&format!("{path}{joint}limit=100{cursor}")).expect(200);
            items.extend(page.body["items"].as_array().expect("a list has items").iter().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
        panic!("GET {path} has more than {PAGES_MAX} pages");
    }
}

impl Call {
    /// In place of a header of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn language(self, language: &str) -> Self {
        self.header("accept-language", language)
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    pub fn text(self, content_type: &str, body: &str) -> Self {
        self.bytes(content_type, body.as_bytes())
    }

    pub fn bytes(mut self, content_type: &str, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", content_type)
    }

    /// The first reply counts, whatever it is.
    pub fn once(mut self) -> Self {
        self.tries = 1;
        self
    }

    /// As a patient caller does: asks again where it is told to, and where the gateway alone answers, which does not
    /// know what became of the call. The key makes that safe.
    pub fn send(&self) -> Reply {
        const WAIT: Duration = Duration::from_millis(300);
        for attempt in 1.. {
            let reply = self.send_once();
            if attempt >= self.tries || !reply.says_try_again() {
                return reply;
            }
            thread::sleep(WAIT * attempt);
        }
        unreachable!("the last try is the reply")
    }

    pub fn send_once(&self) -> Reply {
        let call = format!("{} {}", self.method, self.path);
        let mut request = Request::builder().method(self.method).uri(format!(
            "{}{}",
            cloud::api_url(),
            self.path
        ));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body.clone()).expect("the call can be written");
        let began = Instant::now();
        let response =
            agent().run(request).unwrap_or_else(|error| panic!("{call} got no answer: {error}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().read_to_vec();
        let bytes = bytes.unwrap_or_else(|error| panic!("{call}: the answer broke off: {error}"));
        note(self.method, &self.path, status, began.elapsed());
        // A document need not be text.
        let body = serde_json::from_slice(&bytes);
        let body = body.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Reply { call, status, headers, body }
    }
}

impl Reply {
    /// 429 and 503 say so; a 5xx without a problem document is the gateway's own.
    pub fn says_try_again(&self) -> bool {
        let is_ours = self.header("content-type") == "application/problem+json";
        matches!(self.status, 429 | 503) || (self.status >= 500 && !is_ours)
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}", self.call, self.body);
        self
    }

    /// Refused, in the form of every refusal: a problem document with this code.
    #[track_caller]
    pub fn expect_refusal(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        let content_type = reply.header("content-type");
        assert_eq!(content_type, "application/problem+json", "{}: {}", reply.call, reply.body);
        assert_eq!(reply.body["code"], code, "{}: {}", reply.call, reply.body);
        assert_eq!(reply.body["status"], status, "{}: {}", reply.call, reply.body);
        assert!(!reply.text("/title").is_empty());
        assert_eq!(reply.header("x-correlation-id"), reply.text("/correlation_id"));
        reply
    }

    /// A text in the body, by its JSON pointer: `/bundles/0/bundle`.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{}: no text at {pointer} in {}", self.call, self.body))
            .to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

const CALLS: &str = "MATRICULA_CALLS";

/// Whether a bench wants to know how long things take.
pub fn is_noted() -> bool {
    std::env::var_os(CALLS).is_some()
}

/// For `cargo matricula bench gateway`, which names the file: one line for each call.
pub fn note(method: &str, path: &str, status: u16, took: Duration) {
    let Some(file) = std::env::var_os(CALLS) else { return };
    let mut file = OpenOptions::new().append(true).open(file).expect("the bench has made the file");
    let microseconds = took.as_micros();
    writeln!(file, "{method} {path} {status} {microseconds}").expect("a call can be noted");
}

/// No proxy: the cloud is on this machine. A refusal is an answer, not an error.
pub fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_MAX))
            .proxy(None)
            .build()
            .into()
    })
}

/// Never the same twice, whatever else runs or ran against the same cloud.
pub fn unique(word: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{word}-{}-{}-{count}", shell::now().as_millisecond(), std::process::id())
}
