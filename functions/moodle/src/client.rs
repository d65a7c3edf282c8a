//! A Moodle site's web services: how a function is called, and every function that we call, with its types.

mod answer;
mod form;
mod functions;
mod shapes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shell::{PublicAddresses, Reachable};
use tokio::sync::Semaphore;
use tokio::time::Instant;

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
    pace: Arc<Pace>,
    requests: Arc<AtomicU64>,
}

/// Lets so many requests a second through; after a pause, as many as a second's worth at once.
struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    const SAVED_MAX: Duration = Duration::from_secs(1);

    fn of(requests_per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        Self { interval, next: Mutex::new(Self::earliest()) }
    }

    fn earliest() -> Instant {
        let now = Instant::now();
        now.checked_sub(Self::SAVED_MAX).unwrap_or(now)
    }

    async fn turn(&self) {
        let turn = {
            let mut next = self.next.lock().expect("nobody panics with the pace in hand");
            let turn = (*next).max(Self::earliest());
            *next = turn + self.interval;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

impl std::fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.url)
    }
}

/// The one HTTP client of all sites: its connections outlive an invocation.
pub fn http(reply_timeout: Duration, reachable: Reachable) -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(reply_timeout)
        // A redirect would carry the form, and with it the token, to another address.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(PublicAddresses(reachable))
        .build()
        .expect("a client with time-outs can be built")
}

impl Client {
    pub fn new(
        http: reqwest::Client,
        url: &str,
        token: Arc<str>,
        requests_per_second: u32,
    ) -> Self {
        Self {
            http,
            url: format!("{}/webservice/rest/server.php", url.trim_end_matches('/')),
            token,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            pace: Arc::new(Pace::of(requests_per_second)),
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
        self.pace.turn().await;
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
