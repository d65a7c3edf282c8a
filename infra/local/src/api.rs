//! The API as the demo's people use it: calls with their token, waiting, and their mail.
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::cloud::Cloud;
use crate::endpoint::{agent, header, parsed};
use crate::failure::Failure;
use crate::narration;

const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const SEE_LOGS: &str = "Look into its log with `cargo matricula logs <function>`; \
    `cargo matricula status` shows what runs.";

const SEE_MAIL_LOGS: &str = "Look into `cargo matricula logs notifications-on-message-queued`.";

/// One person's way into the API, or that of somebody who has not logged in.
pub struct Api<'a> {
    cloud: &'a Cloud,
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// What the API answered.
#[derive(Debug)]
pub struct Reply {
    pub call: String,
    pub status: u16,
    pub correlation_id: Option<String>,
    pub body: Value,
    pub took: Duration,
}

/// A message that the local cloud has kept instead of sending it.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
}

impl<'a> Api<'a> {
    pub fn of(cloud: &'a Cloud) -> Result<Self, Failure> {
        Ok(Self { cloud, agent: agent(TIMEOUT), url: cloud.api_url()?, token: None })
    }

    /// The same API for somebody who has logged in.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            cloud: self.cloud,
            agent: self.agent.clone(),
            url: self.url.clone(),
            token: Some(token.to_owned()),
        }
    }

    pub fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.call("GET", path, None, None)
    }

    /// In the place of what is at this version; 0 where there is nothing yet.
    pub fn replace(&self, path: &str, version: u64, body: &Value) -> Result<Reply, Failure> {
        let if_match = format!("\"{version}\"");
        self.call("PUT", path, Some(("If-Match", &if_match)), Some(body))
    }

    /// With an idempotency key of its own.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.post_with_key(path, &new_idempotency_key(), body)
    }

    /// For showing that the same key gives the same reply.
    pub fn post_with_key(
        &self,
        path: &str,
        idempotency_key: &str,
        body: &Value,
    ) -> Result<Reply, Failure> {
        self.call("POST", path, Some(("Idempotency-Key", idempotency_key)), Some(body))
    }

    /// Waits until what a path answers is as wished, and says that it does.
    pub fn wait_for(
        &self,
        path: &str,
        limit: Duration,
        wished: impl Fn(&Value) -> bool,
    ) -> Result<Reply, Failure> {
        waiting(&format!("waiting for {path}"), |still| {
            self.watch(path, limit, |body| {
                still();
                wished(body)
            })
        })
    }

    /// Reads a path again and again until what it answers is as wished.
    pub fn watch(
        &self,
        path: &str,
        limit: Duration,
        wished: impl Fn(&Value) -> bool,
    ) -> Result<Reply, Failure> {
        let started = Instant::now();
        loop {
            let mut reply = self.get(path)?.expect_status(200)?;
            if wished(&reply.body) {
                reply.took = started.elapsed();
                return Ok(reply);
            }
            if started.elapsed() > limit {
                let waited = narration::seconds(limit);
                let what =
                    format!("GET {path} is not as awaited after {waited}; it says {}", reply.body);
                return Err(Failure::new(what, SEE_LOGS));
            }
            thread::sleep(POLL);
        }
    }

    /// How many messages were sent so far.
    pub fn mails_sent(&self) -> Result<usize, Failure> {
        Ok(inbox(self.cloud)?.len())
    }

    /// Waits for a message to somebody whose subject contains these words, sent after the first `sent_before`.
    pub fn wait_for_mail(
        &self,
        to: &str,
        words: &str,
        sent_before: usize,
        limit: Duration,
    ) -> Result<Mail, Failure> {
        let started = Instant::now();
        let fits =
            |mail: &&Mail| mail.subject.contains(words) && mail.to.iter().any(|one| one == to);
        waiting(&format!("waiting for a mail to {to}"), |still| {
            loop {
                let inbox = inbox(self.cloud)?;
                if let Some(mail) = inbox.iter().skip(sent_before).find(fits) {
                    return Ok(mail.clone());
                }
                if started.elapsed() > limit {
                    let (waited, sent) = (narration::seconds(limit), inbox.len());
                    let what = format!(
                        "{to} got no mail about {words:?} in {waited}; {sent} were sent in all"
                    );
                    return Err(Failure::new(what, SEE_MAIL_LOGS));
                }
                still();
                thread::sleep(POLL);
            }
        })
    }

    /// Puts a file to an address that the API has signed.
    pub fn upload(&self, address: &str, content_type: &str, file: &[u8]) -> Result<(), Failure> {
        let refused = |why: String| Failure::new(format!("the upload failed: {why}"), SEE_LOGS);
        let answer = self.agent.put(address).header("Content-Type", content_type).send(file);
        let answer = answer.map_err(|error| refused(error.to_string()))?;
        if answer.status() == 200 { Ok(()) } else { Err(refused(answer.status().to_string())) }
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let started = Instant::now();
        let call = format!("{method} {path}");
        let failed = |why: String| Failure::new(format!("{call} got no answer: {why}"), SEE_LOGS);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        request = request.header("Accept", "application/json").header("Accept-Language", "en");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let request = request.body(body.map_or_else(String::new, Value::to_string));
        let request = request.map_err(|error| failed(error.to_string()))?;
        let response = self.agent.run(request).map_err(|error| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let correlation_id = self::header(&response, "x-correlation-id");
        let text =
            response.into_body().read_to_string().map_err(|error| failed(error.to_string()))?;
        Ok(Reply { status, correlation_id, body: parsed(text), took: started.elapsed(), call })
    }
}

impl Reply {
    /// The reply, if it has the status that belongs here.
    pub fn expect_status(self, status: u16) -> Result<Self, Failure> {
        if self.status == status {
            return Ok(self);
        }
        let correlation =
            self.correlation_id.as_deref().map_or_else(String::new, |id| format!(" ({id})"));
        let what = format!(
            "{} answered {} instead of {status}{correlation}: {:#}",
            self.call, self.status, self.body
        );
        Err(Failure::new(what, SEE_LOGS))
    }

    /// A text in the body, by its JSON pointer: `/registrations/0/id`.
    pub fn text(&self, pointer: &str) -> Result<&str, Failure> {
        self.body.pointer(pointer).and_then(Value::as_str).ok_or_else(|| {
            let what =
                format!("{} answered without a text at {pointer}: {:#}", self.call, self.body);
            Failure::new(what, SEE_LOGS)
        })
    }

    /// Says what was done, with the ids or states that matter, and how long it took.
    pub fn tell(self, label: &str, detail: &str) -> Self {
        narration::told(label, detail, self.took);
        self
    }
}

/// `act` calls what it is given as long as it has nothing yet, so that whoever watches sees it wait.
fn waiting<T>(
    label: &str,
    act: impl FnOnce(&dyn Fn()) -> Result<T, Failure>,
) -> Result<T, Failure> {
    narration::waiting(label, |progress| act(&|| progress.note("the local cloud is still at it")))
}

/// Where a local cloud keeps the messages that it was to send, and how they are read.
pub struct Mailbox {
    pub path: &'static str,
    read: fn(&Value) -> Vec<Mail>,
}

/// MiniStack's, then LocalStack's.
static MAILBOXES: [Mailbox; 2] = [
    Mailbox { path: "/_ministack/ses/messages", read: mails_of_ministack },
    Mailbox { path: "/_aws/ses", read: mails_of_localstack },
];

/// The one that this local cloud has, with what is in it.
fn opened(cloud: &Cloud) -> Result<(&'static Mailbox, Value), Failure> {
    for mailbox in &MAILBOXES {
        let answer = cloud.endpoint.rest_call("GET", "ses", mailbox.path, String::new())?;
        if answer.status == 200 && !answer.body["messages"].is_null() {
            return Ok((mailbox, answer.body));
        }
    }
    let what = format!("the local cloud at {} keeps no mail", cloud.endpoint.url());
    Err(Failure::new(what, "Use MiniStack, which `cargo matricula up` starts, or LocalStack."))
}

pub fn mailbox(cloud: &Cloud) -> Result<&'static Mailbox, Failure> {
    opened(cloud).map(|(mailbox, _)| mailbox)
}

/// Every message sent so far, the oldest first.
pub fn inbox(cloud: &Cloud) -> Result<Vec<Mail>, Failure> {
    opened(cloud).map(|(mailbox, body)| (mailbox.read)(&body))
}

/// By account.
fn mails_of_ministack(body: &Value) -> Vec<Mail> {
    let accounts = body["messages"].as_object().into_iter().flatten();
    let mails = accounts.filter_map(|(_, mails)| mails.as_array()).flatten();
    mails.map(|it| mail(&it["To"], &it["Subject"], &it["BodyText"])).collect()
}

fn mails_of_localstack(body: &Value) -> Vec<Mail> {
    let mails = body["messages"].as_array().into_iter().flatten();
    let read = |it: &Value| {
        mail(&it["Destination"]["ToAddresses"], &it["Subject"], &it["Body"]["text_part"])
    };
    mails.map(read).collect()
}

fn mail(to: &Value, subject: &Value, text: &Value) -> Mail {
    let to = to.as_array().into_iter().flatten();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Mail { to: to.map(text_of).collect(), subject: text_of(subject), text: text_of(text) }
}

/// Never the same twice on this machine; the API wants nothing more of it.
pub fn new_idempotency_key() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("demo-{}-{}-{count}", crate::state::now(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(status: u16, body: Value) -> Reply {
        Reply {
            call: "POST /submissions".into(),
            status,
            correlation_id: None,
            body,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn an_unexpected_status_is_told_with_the_problem() {
        let problem = json!({ "code": "section_full" });
        let failure = reply(409, problem).expect_status(201).expect_err("a refusal");
        assert!(
            failure.what.starts_with("POST /submissions answered 409 instead of 201"),
            "{}",
            failure.what
        );
        assert!(failure.what.contains("section_full"));
    }

    #[test]
    fn a_text_is_found_by_its_pointer_or_missed_by_name() {
        let reply = reply(201, json!({ "registrations": [{ "id": "reg_1" }] }));
        assert_eq!(reply.text("/registrations/0/id").expect("is there"), "reg_1");
        assert!(reply.text("/id").expect_err("is not there").what.contains("/id"));
    }

    #[test]
    fn idempotency_keys_differ() {
        assert_ne!(new_idempotency_key(), new_idempotency_key());
    }

    #[test]
    fn a_kept_message_is_read_whichever_local_cloud_keeps_it() {
        let ministack = json!({ "messages": { "000000000000": [
            { "To": ["ada@example.org"], "Subject": "Welcome", "BodyText": "Dear Ada" },
        ] } });
        let localstack = json!({ "messages": [{
            "Destination": { "ToAddresses": ["ada@example.org"] },
            "Subject": "Welcome",
            "Body": { "text_part": "Dear Ada", "html_part": null },
        }] });
        for (mailbox, kept) in MAILBOXES.iter().zip([ministack, localstack]) {
            let mails = (mailbox.read)(&kept);
            let [mail] = &mails[..] else { panic!("{} gives {mails:?}", mailbox.path) };
            assert_eq!(mail.to, ["ada@example.org"]);
            assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("Welcome", "Dear Ada"));
        }
    }
}
