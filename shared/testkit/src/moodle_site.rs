//! A Moodle site, played: users, categories, courses, enrolments, cohorts and groups behind the web services that
//! Matricula calls. It answers as the recordings do, takes as long as was measured, and fails when it is told to.

mod form;
mod people;
mod results;
mod site;
mod teaching;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::moodle_recording;
use results::{Completion, Grade};
use site::Site;

/// How a site is set up; `Default` is one on a free port that answers at once.
#[derive(Debug, Clone)]
pub struct MoodleSiteSettings {
    pub address: String,
    /// The token that is taken; any where this is empty.
    pub token: String,
    /// Share of the measured latencies that every answer takes, in hundredths; 0 answers at once.
    pub latency_per_cent: u32,
    /// PHP's bound on the variables of a form: what is beyond it is lost without a word.
    pub max_input_vars: usize,
}

impl Default for MoodleSiteSettings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:0".to_owned(),
            token: "moodle-token".to_owned(),
            latency_per_cent: 0,
            max_input_vars: 5_000,
        }
    }
}

/// What can be wrong with a site or on the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoodleFault {
    /// Set by an administrator: Moodle says so in JSON, with status 200.
    Maintenance,
    /// Set on the command line: 503 and a page.
    MaintenancePage,
    /// Moodle says so in JSON, with status 200.
    DatabaseDown,
    /// The web server has nobody behind it: 502 and a page.
    BadGateway,
    Upgrading,
    TokenExpired,
    /// An XML document, as when the form was lost on the way.
    Xml,
    /// The integration user lacks a capability: Moodle says so in JSON, with status 200.
    RightLacking,
    /// A race in the database; nothing was written.
    WriteFailed,
    /// The request is carried out and never answered.
    CarriedOutUnanswered,
    /// The request is carried out, and the answer is a page of the web server.
    CarriedOutBadGateway,
    /// The request is carried out, and the answer is a page of PHP's, with status 200.
    CarriedOutPage,
    /// The request is carried out, and the answer is `null`, which is success where nothing is to be told.
    CarriedOutNull,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    fault: MoodleFault,
    /// Requests that pass before it.
    after: u64,
    times: u64,
    /// Only requests of functions that write are counted and met.
    writes_only: bool,
}

/// What was asked of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoodleAsked {
    /// Requests by function.
    pub requests: BTreeMap<String, u64>,
    /// Items in requests by function: users, courses, enrolments.
    pub items: BTreeMap<String, u64>,
    /// The most requests that were under way at once.
    pub at_once_max: u64,
    /// The most requests that came within a second.
    pub a_second_max: u64,
}

/// A site that answers until it is dropped.
pub struct MoodleSite {
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    settings: MoodleSiteSettings,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    site: Site,
    planned: Option<Planned>,
    asked: MoodleAsked,
    under_way: u64,
    /// When the requests of the last second came.
    came: VecDeque<Instant>,
    token_revoked: bool,
    /// Calls with one of these texts are refused whole.
    not_taken: BTreeSet<String>,
}

/// Longer than anybody waits for an answer.
const NEVER: Duration = Duration::from_mins(10);

impl MoodleSite {
    pub async fn start(settings: MoodleSiteSettings) -> Self {
        let listener = TcpListener::bind(&settings.address).await.expect("the address is free");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let shared = Arc::new(Shared { settings, inner: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
        Self { url, shared, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn token(&self) -> &str {
        &self.shared.settings.token
    }

    /// The next `times` requests after `after` others meet this fault.
    pub fn break_after(&self, after: u64, fault: MoodleFault, times: u64) {
        let planned = Planned { fault, after, times, writes_only: false };
        self.shared.inner().planned = Some(planned);
    }

    /// The next `times` writes after `after` others meet this fault.
    pub fn break_writes_after(&self, after: u64, fault: MoodleFault, times: u64) {
        let planned = Planned { fault, after, times, writes_only: true };
        self.shared.inner().planned = Some(planned);
    }

    /// Refuses every call with this text in it, as Moodle does with a value that its own clean-up would change.
    pub fn refuse_calls_with(&self, text: &str) {
        self.shared.inner().not_taken.insert(text.to_owned());
    }

    /// Somebody leaves a course each time that a page of its list behind the first one is read.
    pub fn move_lists(&self) {
        self.shared.inner().site.moves_lists = true;
    }

    /// Nothing is wrong any more.
    pub fn mend(&self) {
        let mut inner = self.shared.inner();
        inner.planned = None;
        inner.token_revoked = false;
    }

    /// What was asked since this was last taken.
    pub fn take_asked(&self) -> MoodleAsked {
        std::mem::take(&mut self.shared.inner().asked)
    }

    /// Carries out a web service function by hand, as another administrator would.
    pub fn act(&self, function: &str, parameters: &Value) -> Value {
        let now_s = shell::now().as_second();
        self.shared.inner().site.call(function, parameters, false, now_s)
    }

    /// Loses what somebody deleted on the site itself: a user or a course with this id number.
    pub fn delete_by_id_number(&self, id_number: &str) {
        self.shared.inner().site.delete_by_id_number(id_number);
    }

    /// Grades a user in a course as its teacher would, both by id number: the total as it is printed, such as `87.5`.
    pub fn grade(&self, course: &str, user: &str, raw: &str, is_overridden: bool) {
        let mut inner = self.shared.inner();
        let seat = inner.site.seat(course, user).expect("both stand there");
        let raw = Some(raw.parse().expect("a number"));
        let graded_at_s = Some(shell::now().as_second());
        let grade = Grade { raw, graded_at_s, is_overridden, ..Grade::default() };
        inner.site.grades.insert(seat, grade);
    }

    /// Follows the completion of a course, which the user has completed at that second.
    pub fn complete(&self, course: &str, user: &str, at_s: i64) {
        let mut inner = self.shared.inner();
        let seat = inner.site.seat(course, user).expect("both stand there");
        let course = inner.site.courses.get_mut(&seat.0).expect("it stands there");
        course.completion = Completion::Followed;
        inner.site.completions.insert(seat, at_s);
    }

    /// The user looks into the course.
    pub fn access(&self, course: &str, user: &str, at_s: i64) {
        let mut inner = self.shared.inner();
        let seat = inner.site.seat(course, user).expect("both stand there");
        inner.site.enrolments.get_mut(&seat).expect("is enrolled").last_access_s = at_s;
    }

    /// The users as they stand, for tests to look at.
    pub fn users(&self) -> Vec<Value> {
        self.shared.inner().site.all_users()
    }

    /// The courses as they stand.
    pub fn courses(&self) -> Vec<Value> {
        self.shared.inner().site.all_courses()
    }

    /// The enrolments as they stand, with the id numbers of user and course.
    pub fn enrolments(&self) -> Vec<Value> {
        self.shared.inner().site.all_enrolments()
    }

    /// The groups as they stand, with the id numbers of course and members.
    pub fn groups(&self) -> Vec<Value> {
        self.shared.inner().site.all_groups()
    }

    /// Id numbers of the members of a cohort.
    pub fn cohort_members(&self, id_number: &str) -> Vec<String> {
        self.shared.inner().site.cohort_members(id_number)
    }

    /// Serves until the process ends.
    pub async fn served(mut self) {
        let ended = (&mut self.task).await;
        ended.expect("the site serves until it is stopped");
    }
}

impl Drop for MoodleSite {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no handler panics while it holds the site")
    }

    fn answer_of(&self, function: &str, parameters: &Value, token: &str) -> Value {
        let raw = parameters["moodlewssettingraw"].as_str() == Some("1");
        let mut inner = self.inner();
        let is_known = self.settings.token.is_empty() || token == self.settings.token;
        if !is_known || inner.token_revoked {
            return site::failure("invalidtoken", "Invalid token - token not found");
        }
        if form::holds(parameters, &|text| inner.not_taken.contains(text)) {
            return site::invalid_parameter();
        }
        inner.site.call(function, parameters, raw, shell::now().as_second())
    }
}

impl Inner {
    fn count_in_second(&mut self) {
        let now = Instant::now();
        self.came.push_back(now);
        while self.came.front().is_some_and(|came| now - *came >= Duration::from_secs(1)) {
            self.came.pop_front();
        }
        self.asked.a_second_max = self.asked.a_second_max.max(self.came.len() as u64);
    }

    /// The fault that this request meets, if it meets one.
    fn fault(&mut self, function: &str) -> Option<MoodleFault> {
        let planned = self.planned.as_mut()?;
        if planned.writes_only && !site::is_write(function) {
            return None;
        }
        if planned.after > 0 {
            planned.after -= 1;
            return None;
        }
        if planned.times == 0 {
            return None;
        }
        planned.times -= 1;
        Some(planned.fault)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let form = form::read(&body, shared.settings.max_input_vars);
    let text = |name: &str| form[name].as_str().unwrap_or_default().to_owned();
    let (function, token) = (text("wsfunction"), text("wstoken"));
    let (fault, items) = {
        let mut inner = shared.inner();
        let items = site::items(&function, &form);
        *inner.asked.requests.entry(function.clone()).or_default() += 1;
        *inner.asked.items.entry(function.clone()).or_default() += items;
        inner.count_in_second();
        inner.under_way += 1;
        inner.asked.at_once_max = inner.asked.at_once_max.max(inner.under_way);
        (inner.fault(&function), items)
    };
    let latency = site::latency(&function, items) * shared.settings.latency_per_cent / 100;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let response = reply(&shared, fault, &function, &form, &token).await;
    shared.inner().under_way -= 1;
    response
}

async fn reply(
    shared: &Shared,
    fault: Option<MoodleFault>,
    function: &str,
    form: &Value,
    token: &str,
) -> Response {
    match fault {
        None => json_reply(&shared.answer_of(function, form, token)),
        Some(MoodleFault::Maintenance) => recorded("transport/maintenance_ui_mode_write"),
        Some(MoodleFault::MaintenancePage) => recorded("transport/maintenance_cli_mode_write"),
        Some(MoodleFault::DatabaseDown) => recorded("transport/database_down_write"),
        Some(MoodleFault::BadGateway) => recorded("transport/nginx_bad_gateway_502_php_down"),
        Some(MoodleFault::Upgrading) => recorded("transport/upgrade_running"),
        Some(MoodleFault::RightLacking) => recorded("transport/missing_capability_create_courses"),
        Some(MoodleFault::Xml) => recorded("transport/put_method"),
        Some(MoodleFault::WriteFailed) => recorded("core_user_create_users/idnumber_too_long"),
        Some(MoodleFault::TokenExpired) => {
            // Moodle deletes an expired token on its first use: what comes later finds none.
            let first = !std::mem::replace(&mut shared.inner().token_revoked, true);
            let case = if first { "token_expired" } else { "token_expired_second_call" };
            recorded(&format!("transport/{case}"))
        }
        Some(MoodleFault::CarriedOutUnanswered) => {
            drop(shared.answer_of(function, form, token));
            shared.inner().under_way -= 1;
            tokio::time::sleep(NEVER).await;
            shared.inner().under_way += 1;
            recorded("transport/nginx_bad_gateway_502_php_down")
        }
        Some(MoodleFault::CarriedOutPage) => {
            drop(shared.answer_of(function, form, token));
            let page = "<html><body>Fatal error: Allowed memory size exhausted</body></html>";
            Response::new(Body::from(page))
        }
        Some(MoodleFault::CarriedOutNull) => {
            drop(shared.answer_of(function, form, token));
            json_reply(&Value::Null)
        }
        Some(MoodleFault::CarriedOutBadGateway) => {
            drop(shared.answer_of(function, form, token));
            recorded("transport/nginx_bad_gateway_502_php_down")
        }
    }
}

fn recorded(case: &str) -> Response {
    let recording = moodle_recording(case);
    let mut response = Response::builder()
        .status(StatusCode::from_u16(recording.status).expect("a status"))
        .header("content-type", &recording.content_type);
    if let Some(wait) = &recording.retry_after {
        response = response.header("retry-after", wait);
    }
    response.body(Body::from(recording.body)).expect("a response with a body")
}

fn json_reply(body: &Value) -> Response {
    Response::builder()
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a response with a body")
}

#[cfg(test)]
mod tests;
