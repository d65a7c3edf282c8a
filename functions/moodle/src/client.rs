//! A Moodle site's web services: how a function is called, and every function that we call, with its types.

mod answer;
mod form;
mod functions;
mod shapes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

pub use answer::{CallFailure, Remedy};
pub use functions::{UserField, needed};
pub use shapes::{
    Category, Cohort, CohortMember, CohortMembers, CompletionStatus, Course, CourseChange, Created,
    Criterion, EnrolledUser, Enrolment, GradeItem, Group, GroupMember, GroupMembers, NewCategory,
    NewCohort, NewCourse, NewGroup, NewUser, RoleAssignment, SiteInfo, User, UserChange,
    UserGrades, UserSuspension, Warning, Warnings,
};

/// Requests to one site that are under way at once.
pub const CONNECTIONS_MAX: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The slowest measured answer took 3 s; behind this bound nobody knows what the site did.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(20);

/// Talks to one site. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Arc<str>,
    connections: Arc<Semaphore>,
    requests: Arc<AtomicU64>,
}

impl std::fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.url)
    }
}

/// The one HTTP client of all sites: its connections outlive an invocation.
pub fn http(reply_timeout: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(reply_timeout)
        // A redirect would carry the form, and with it the token, to another address.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client with time-outs can be built")
}

impl Client {
    pub fn new(http: reqwest::Client, url: &str, token: Arc<str>) -> Self {
        Self {
            http,
            url: format!("{}/webservice/rest/server.php", url.trim_end_matches('/')),
            token,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            requests: Arc::default(),
        }
    }

    /// Requests that were sent.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn call<R: DeserializeOwned>(
        &self,
        function: &str,
        parameters: &impl Serialize,
    ) -> Result<R, CallFailure> {
        let fields = form::fields(parameters);
        self.send(function, &fields).await
    }

    /// Calls a function with the fields of its form as PHP names them. Token and all go into the body: an address is
    /// written into logs.
    async fn send<R: DeserializeOwned>(
        &self,
        function: &str,
        fields: &[(String, String)],
    ) -> Result<R, CallFailure> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("wstoken", &self.token)
            .append_pair("wsfunction", function)
            .append_pair("moodlewsrestformat", "json")
            // Without it names come back with `&amp;`, and look changed for ever.
            .append_pair("moodlewssettingraw", "1")
            .extend_pairs(fields);
        let permit = self.connections.acquire().await.expect("the semaphore is never closed");
        self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(body.finish())
            .send()
            .await
            .map_err(|error| CallFailure::silence(function, &error))?;
        let status = reply.status().as_u16();
        let retry_after_s = reply
            .headers()
            .get("retry-after")
            .and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
        let text = reply.text().await.map_err(|error| CallFailure::silence(function, &error))?;
        drop(permit);
        answer::judge(function, status, retry_after_s, &text)
    }
}

#[cfg(test)]
mod tests;
