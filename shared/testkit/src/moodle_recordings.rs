//! What a real Moodle 4.5.6 answered, and a replay of it over HTTP that refuses whatever was not recorded.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

/// One request and its answer; debugging was off, as it is on a site that people use.
#[derive(Debug, Clone, Deserialize)]
pub struct MoodleRecording {
    /// `<function>/<what happens>`, or `transport/<what happens>`.
    pub case: String,
    /// `academics`, `finance` or `hr`.
    pub instance: String,
    /// Empty where none was named.
    pub function: String,
    /// The form without token, function and format: PHP's nested names.
    pub form: Vec<(String, String)>,
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<String>,
    pub body: String,
}

impl MoodleRecording {
    /// The answer as JSON; none where it is something else.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// The code by which Moodle names its failure.
    pub fn error_code(&self) -> Option<String> {
        self.json()?["errorcode"].as_str().map(str::to_owned)
    }
}

/// Every recorded answer, in the order of their cases.
pub fn moodle_recordings() -> Vec<MoodleRecording> {
    include_str!("../fixtures/moodle-recordings.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a recording can be read"))
        .collect()
}

/// The recorded answer of one case.
pub fn moodle_recording(case: &str) -> MoodleRecording {
    let mut recordings = moodle_recordings().into_iter();
    recordings.find(|recording| recording.case == case).expect("the case was recorded")
}

/// Serves recordings one at a time. It stops when it is dropped.
pub struct MoodleReplay {
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    playing: Mutex<Option<MoodleRecording>>,
    /// Fields that are not compared.
    left_out: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
}

/// What the replay answers to a request that was not recorded.
pub const NOT_RECORDED: u16 = 501;

impl MoodleReplay {
    /// The token that the replay wants to find in the form.
    pub const TOKEN: &str = "recorded-token";

    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
        Self { url, shared, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on this recording is answered, to its own request only.
    pub fn play(&self, recording: &MoodleRecording) {
        self.play_without(recording, &[]);
    }

    /// As [`play`](Self::play), to a request that has other values for these fields, or none, or has them where none
    /// was recorded: `summary` in any item, or `options[1][value]` alone.
    pub fn play_without(&self, recording: &MoodleRecording, left_out: &[&str]) {
        let left_out = left_out.iter().map(|name| (*name).to_owned()).collect();
        *self.shared.left_out.lock().expect("no test panics here") = left_out;
        *self.shared.playing.lock().expect("no test panics here") = Some(recording.clone());
    }

    /// Why requests were refused, since this was last asked.
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.refused.lock().expect("no test panics here"))
    }
}

impl Drop for MoodleReplay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let playing = shared.playing.lock().expect("no test panics here").clone();
    let refusal = match &playing {
        None => Some("nothing is played".to_owned()),
        Some(recording) => {
            let left_out = shared.left_out.lock().expect("no test panics here").clone();
            objection(recording, &left_out, &method, &uri, &body)
        }
    };
    match (refusal, playing) {
        (None, Some(recording)) => {
            let mut response = Response::builder()
                .status(StatusCode::from_u16(recording.status).expect("a status"))
                .header("content-type", &recording.content_type);
            if let Some(wait) = &recording.retry_after {
                response = response.header("retry-after", wait);
            }
            response.body(Body::from(recording.body)).expect("a response with a body")
        }
        (refusal, _) => {
            let why = refusal.unwrap_or_default();
            shared.refused.lock().expect("no test panics here").push(why.clone());
            Response::builder()
                .status(StatusCode::from_u16(NOT_RECORDED).expect("a status"))
                .body(Body::from(why))
                .expect("a response with a body")
        }
    }
}

/// Why this request is not the recorded one.
fn objection(
    recording: &MoodleRecording,
    left_out: &[String],
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Option<String> {
    if method != Method::POST || uri.path() != "/webservice/rest/server.php" {
        return Some(format!("{method} {} was not recorded", uri.path()));
    }
    if uri.query().is_some() {
        return Some("a query stands in logs: everything belongs into the form".to_owned());
    }
    let mut form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    for (name, expected) in [
        ("wstoken", MoodleReplay::TOKEN),
        ("moodlewsrestformat", "json"),
        ("moodlewssettingraw", "1"),
        ("wsfunction", recording.function.as_str()),
    ] {
        let found = form.iter().position(|(field, _)| field == name).map(|at| form.remove(at).1);
        if found.as_deref() != Some(expected) {
            return Some(format!("{name} is {found:?}, not {expected:?}"));
        }
    }
    let mut recorded = recording.form.clone();
    let is_compared = |(name, _): &(String, String)| {
        let last = name.rsplit('[').next().unwrap_or(name).trim_end_matches(']');
        !left_out.iter().any(|one| one == name || one == last)
    };
    recorded.retain(is_compared);
    form.retain(is_compared);
    recorded.sort();
    form.sort();
    (form != recorded).then(|| format!("{form:?} was not recorded, but {recorded:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(replay: &MoodleReplay, path: &str, form: &str) -> u16 {
        let url = format!("{}{path}", replay.url());
        let request = reqwest::Client::new().post(url).body(form.to_owned());
        request.send().await.expect("it answers").status().as_u16()
    }

    #[tokio::test]
    async fn what_was_not_recorded_is_refused() {
        let replay = MoodleReplay::start().await;
        replay.play(&moodle_recording("core_course_get_courses_by_field/by_idnumber"));
        let form = "wstoken=recorded-token&wsfunction=core_course_get_courses_by_field\
            &moodlewsrestformat=json&moodlewssettingraw=1&field=idnumber&value=CRS-MAT101-2026-1";
        let path = "/webservice/rest/server.php";
        assert_eq!(ask(&replay, path, form).await, 200);
        assert_eq!(replay.take_refused(), Vec::<String>::new());
        for other in [
            form.replace("recorded-token", "another"),
            form.replace("&moodlewsrestformat=json", ""),
            form.replace("MAT101", "MAT102"),
            format!("{form}&more=1"),
        ] {
            assert_eq!(ask(&replay, path, &other).await, NOT_RECORDED, "{other}");
        }
        assert_eq!(ask(&replay, &format!("{path}?wstoken=recorded-token"), form).await, 501);
        assert_eq!(ask(&replay, "/webservice/rest/nope.php", form).await, NOT_RECORDED);
    }

    #[test]
    fn every_recording_is_there() {
        assert_eq!(moodle_recordings().len(), 332);
    }
}
