//! One function by itself: what it logged, and calling it without the API.
use std::collections::HashSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::checkout::{Checkout, shown};
use crate::cloud::Cloud;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::narration::{self, line};
use crate::services::current;
use crate::state;

/// How far back `logs` looks.
const HISTORY_S: u64 = 3_600;
/// A line may come later than one that was written after it.
const LATE_MAX_MS: u64 = 5_000;
const PAGES_MAX: usize = 20;
const FOLLOW_POLL: Duration = Duration::from_millis(500);

/// `logs`: the last hour of a function's log, then, if wished, whatever comes.
pub fn logs(checkout: &Checkout, function: &str, follows: bool) -> Result<(), Failure> {
    let cloud = current(checkout)?;
    let mut from_ms = state::now().saturating_sub(HISTORY_S) * 1_000;
    let mut seen = HashSet::new();
    let mut is_first = true;
    loop {
        let events = read_events(&cloud, function, from_ms)?;
        for event in events.iter().filter(|event| seen.insert(identity(event))) {
            let at_ms = event["timestamp"].as_u64().unwrap_or_default();
            from_ms = from_ms.max(at_ms.saturating_sub(LATE_MAX_MS));
            let message = event["message"].as_str().unwrap_or_default().trim_end();
            if !line(&format!("{} {message}", clock(at_ms))) {
                return Ok(());
            }
        }
        if is_first && seen.is_empty() {
            line(&format!("  {function} has logged nothing in the last hour"));
        }
        if !follows {
            return Ok(());
        }
        is_first = false;
        thread::sleep(FOLLOW_POLL);
    }
}

fn read_events(cloud: &Cloud, function: &str, from_ms: u64) -> Result<Vec<Value>, Failure> {
    let mut events = Vec::new();
    let mut request =
        json!({ "logGroupName": format!("/aws/lambda/{function}"), "startTime": from_ms });
    for _ in 0..PAGES_MAX {
        let mut page =
            cloud.endpoint.json_call("logs", "Logs_20140328.FilterLogEvents", &request)?;
        if let Value::Array(more) = page["events"].take() {
            events.extend(more);
        }
        match page["nextToken"].take() {
            Value::String(token) => request["nextToken"] = token.into(),
            _ => break,
        }
    }
    Ok(events)
}

/// The local cloud may give events no id; stream, time and text together do as well.
fn identity(event: &Value) -> String {
    event["eventId"].as_str().map_or_else(|| event.to_string(), str::to_owned)
}

/// `12:07:31.042`, in UTC.
fn clock(at_ms: u64) -> String {
    let seconds = at_ms / 1_000;
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:03}", at_ms % 1_000)
}

/// `invoke`: calls a function with a file as its event, and shows what it answers.
pub fn invoke(checkout: &Checkout, function: &str, event: Option<&Path>) -> Result<(), Failure> {
    let cloud = current(checkout)?;
    let sample = checkout.path(&format!("events/samples/{function}.json"));
    let file = event.or_else(|| sample.exists().then_some(sample.as_path()));
    let payload = match file {
        Some(file) => std::fs::read_to_string(file)
            .explain(|| format!("{} cannot be read", file.display()), CHECK_FILES)?,
        None => "{}".to_owned(),
    };
    let with = file
        .map_or_else(|| "with an empty event".to_owned(), |file| format!("with {}", shown(file)));
    let reply = narration::step(function, |progress| {
        progress.detail(with);
        cloud.endpoint.invoke(function, payload)
    })?;
    line(&format!("{reply:#}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_from_milliseconds_since_1970() {
        assert_eq!(clock(1_763_899_651_042), "12:07:31.042");
        assert_eq!(clock(0), "00:00:00.000");
    }

    #[test]
    fn an_event_without_an_id_is_known_by_what_it_says() {
        let first = json!({ "timestamp": 1, "message": "a" });
        let second = json!({ "timestamp": 1, "message": "b" });
        assert_ne!(identity(&first), identity(&second));
        assert_eq!(identity(&json!({ "eventId": "7" })), "7");
    }
}
