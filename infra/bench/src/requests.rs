//! Requests as API Gateway hands them to a function, and the people who make them.

use kernel::{Id, PersonId, SessionId};
use serde_json::{Value, json};
use shell::{Caller, Grant, Role};

use crate::failure::{Explain, Failure};

pub struct Request {
    method: &'static str,
    caller: Option<Caller>,
    body: Value,
    path: Vec<(&'static str, String)>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    /// A body that is sent as it stands, instead of the JSON.
    text: Option<String>,
}

impl Request {
    fn new(method: &'static str, body: Value) -> Self {
        let (path, query, headers) = (Vec::new(), Vec::new(), Vec::new());
        Self { method, caller: None, body, path, query, headers, text: None }
    }

    pub fn get() -> Self {
        Self::new("GET", Value::Null)
    }

    pub fn post(body: Value) -> Self {
        Self::new("POST", body)
    }

    pub fn put(body: Value) -> Self {
        Self::new("PUT", body)
    }

    /// Of what is at this version.
    pub fn patch(body: Value, version: u64) -> Self {
        Self::new("PATCH", body).header("if-match", &format!("\"{version}\""))
    }

    pub fn delete() -> Self {
        Self::new("DELETE", Value::Null)
    }

    /// A body whose bytes count, such as a signed one.
    pub fn post_text(text: String) -> Self {
        Self { text: Some(text), ..Self::post(Value::Null) }
    }

    pub fn by(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self
    }

    /// With a parameter of the path.
    pub fn at(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.path.push((name, value.to_string()));
        self
    }

    pub fn query(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub fn header(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn event(&self) -> Value {
        let path: Vec<(&str, &str)> =
            self.path.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut event = testkit::http_event(self.method, &path, &self.body, self.caller.as_ref());
        for (name, value) in &self.headers {
            event["headers"][*name] = value.as_str().into();
        }
        for (name, value) in &self.query {
            event["queryStringParameters"][*name] = value.as_str().into();
        }
        if let Some(text) = &self.text {
            event["body"] = text.as_str().into();
        }
        event
    }
}

/// The body of a reply that carries out what was asked, where it is JSON; anything else is a failure.
pub fn carried_out(reply: &Value) -> Result<Value, Failure> {
    let body = reply["body"].as_str().unwrap_or_default();
    if !matches!(reply["statusCode"].as_u64(), Some(200..=299)) {
        return Err(Failure(format!("answered {}: {body}", reply["statusCode"])));
    }
    let kind = reply["headers"]["content-type"].as_str().unwrap_or_default();
    if body.is_empty() || !kind.starts_with("application/json") {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).explain("a reply is no JSON")
}

/// What a saga, a state machine or an operator invokes a step with.
pub fn step(mut command: Value) -> Value {
    command["correlation_id"] = json!("bench");
    command
}

pub fn student_id(number: usize) -> PersonId {
    PersonId::derived_from(&format!("student {number}"))
}

pub fn student(number: usize) -> Caller {
    student_of(student_id(number))
}

pub fn student_of(person: PersonId) -> Caller {
    holder(person, Role::Student)
}

/// Somebody who is known to us, without any role.
pub fn person(person: PersonId) -> Caller {
    Caller { grants: Vec::new(), ..holder(person, Role::Student) }
}

pub fn administrator() -> Caller {
    holder(PersonId::derived_from("administrator"), Role::Administrator)
}

/// Somebody who has logged in, as if they were an administrator.
pub fn as_administrator(caller: &Caller) -> Caller {
    Caller { grants: administrator().grants, ..*caller }
}

pub fn registrar() -> Caller {
    holder(PersonId::derived_from("registrar"), Role::Registrar)
}

pub fn bursar() -> Caller {
    holder(PersonId::derived_from("bursar"), Role::Bursar)
}

/// Who decides what the bursar has asked for.
pub fn second_bursar() -> Caller {
    holder(PersonId::derived_from("second bursar"), Role::Bursar)
}

fn holder(person: PersonId, role: Role) -> Caller {
    let session = SessionId::derived_from(&person.to_string());
    Caller { person, session, grants: vec![Grant { role, department: None }] }
}
