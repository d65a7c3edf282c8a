//! The load: as many clients as asked for take one student after the other, over HTTP. The same for every service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kernel::{PersonId, SectionId};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::day::{Day, Student};
use crate::client::{self, Answer};
use crate::failure::{Explain, Failure};
use crate::statistics::{milliseconds, percentile, rounded};

pub const SUBMISSIONS: &str = "/submissions";
pub const WAITLIST_ENTRIES: &str = "/waitlist-entries";

/// Every so many students send their cart once more under the same key, as if the reply had been lost.
const REPEATS_EVERY: usize = 50;
/// Sections without a free seat that a student tries to stand in line for.
const LINES_MAX: usize = 2;
/// Whoever has not been served by then breaks the bench off.
const PATIENCE: Duration = Duration::from_mins(20);

/// What a day came to, as its students saw it.
#[derive(Debug, Default)]
pub struct Seen {
    pub took: Duration,
    pub times: Vec<Duration>,
    pub retries: u64,
    /// Who was told that they hold a seat, and where.
    pub held: BTreeSet<(PersonId, SectionId)>,
    pub in_line: BTreeSet<(PersonId, SectionId)>,
    pub refusals: BTreeMap<String, u64>,
    /// What should not have been, by what it was.
    pub wrong: BTreeMap<String, u64>,
}

/// All students of the day, each once.
pub async fn drive(day: &Arc<Day>, url: &str, clients: usize) -> Result<Seen, Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let http = reqwest::Client::builder().pool_max_idle_per_host(clients).build();
    let http = http.explain("there is no HTTP client")?;
    let began = Instant::now();
    let mut work = JoinSet::new();
    for _ in 0..clients {
        let (day, next, http) = (Arc::clone(day), Arc::clone(&next), http.clone());
        let urls = Urls {
            submissions: format!("{url}{SUBMISSIONS}"),
            lines: format!("{url}{WAITLIST_ENTRIES}"),
        };
        work.spawn(async move {
            let mut seen = Seen::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(student) = day.students.get(number) else { return Ok(seen) };
                seen.serve(&day, (number, student), &http, &urls).await?;
            }
        });
    }
    let all = tokio::time::timeout(PATIENCE, work.join_all()).await;
    let mut whole = Seen::default();
    for seen in all.explain("the day does not end")? {
        whole.add(seen?);
    }
    whole.took = began.elapsed();
    Ok(whole)
}

struct Urls {
    submissions: String,
    lines: String,
}

impl Seen {
    async fn serve(
        &mut self,
        day: &Day,
        (number, student): (usize, &Student),
        http: &reqwest::Client,
        urls: &Urls,
    ) -> Result<(), Failure> {
        let cart = json!({ "term": day.term, "sections": student.cart }).to_string();
        let key = format!("cart-{number}");
        let answer = self.post(http, &urls.submissions, (student.id, &key), &cart).await?;
        let full = self.note_submission(student.id, &answer);
        if number.is_multiple_of(REPEATS_EVERY) {
            let again = self.post(http, &urls.submissions, (student.id, &key), &cart).await?;
            if answer.status == 201 && (again.status, &again.body) != (201, &answer.body) {
                self.note_wrong("a repeated command got another reply");
            }
        }
        for section in full.into_iter().take(LINES_MAX) {
            let joining = json!({ "term": day.term, "section": section }).to_string();
            let key = format!("line-{number}-{section}");
            let answer = self.post(http, &urls.lines, (student.id, &key), &joining).await?;
            if answer.status == 201 {
                self.in_line.insert((student.id, section));
            } else {
                self.note_refusals(&answer);
            }
        }
        Ok(())
    }

    async fn post(
        &mut self,
        http: &reqwest::Client,
        url: &str,
        who: (PersonId, &str),
        body: &str,
    ) -> Result<Answer, Failure> {
        let began = Instant::now();
        let answer = client::post(http, url, who, body).await?;
        self.times.push(began.elapsed());
        self.retries += u64::from(answer.retries);
        Ok(answer)
    }

    /// Notes seats and refusals; answers the sections that have no seat.
    fn note_submission(&mut self, student: PersonId, answer: &Answer) -> Vec<SectionId> {
        if answer.status != 201 {
            return self.note_refusals(answer);
        }
        let bundles = list(&answer.body["bundles"]);
        let registrations = bundles.flat_map(|bundle| list(&bundle["registrations"]));
        for registration in registrations {
            match id_of(registration) {
                Some(section) if self.held.insert((student, section)) => {}
                Some(_) => self.note_wrong("a student was told of the same seat twice"),
                None => self.note_wrong("a seat of no section"),
            }
        }
        let mut full = Vec::new();
        for item in list(&answer.body["failed"]) {
            let codes: Vec<&Value> = list(&item["codes"]).collect();
            if codes.is_empty() {
                self.note_wrong("an item failed without a code");
            }
            for code in codes {
                full.extend(self.note_code(&code["code"]).then(|| id_of(item)).flatten());
            }
        }
        full
    }

    /// Of a command of which nothing was carried out.
    fn note_refusals(&mut self, answer: &Answer) -> Vec<SectionId> {
        if answer.status != 409 {
            let code = answer.body["code"].as_str().unwrap_or("no code");
            self.note_wrong(&format!("{} {code}", answer.status));
            return Vec::new();
        }
        let errors: Vec<&Value> = list(&answer.body["errors"]).collect();
        if errors.is_empty() {
            self.note_code(&answer.body["code"]);
        }
        let mut full = Vec::new();
        for error in errors {
            full.extend(self.note_code(&error["code"]).then(|| id_of(error)).flatten());
        }
        full
    }

    /// Whether it says that no seat is free.
    fn note_code(&mut self, code: &Value) -> bool {
        let Some(code) = code.as_str().filter(|code| !code.is_empty()) else {
            self.note_wrong("a refusal without a code");
            return false;
        };
        *self.refusals.entry(code.to_owned()).or_default() += 1;
        matches!(code, "CLOSED" | "WAITLIST_ONLY")
    }

    fn note_wrong(&mut self, what: &str) {
        *self.wrong.entry(what.to_owned()).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.retries += other.retries;
        self.held.extend(other.held);
        self.in_line.extend(other.in_line);
        for (code, times) in other.refusals {
            *self.refusals.entry(code).or_default() += times;
        }
        for (what, times) in other.wrong {
            *self.wrong.entry(what).or_default() += times;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub fn per_second(&self) -> f64 {
        rounded(self.held.len() as f64 / self.took.as_secs_f64())
    }

    /// What a student waits for one answer, with all retries.
    pub fn percentile_ms(&self, per_cent: usize) -> f64 {
        milliseconds(percentile(&self.times, per_cent))
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn id_of(item: &Value) -> Option<SectionId> {
    item["section"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    #[test]
    fn an_answer_is_read_item_by_item() {
        let section = |name: &str| SectionId::derived_from(name);
        let mut seen = Seen::default();
        let body = json!({
            "bundles": [{ "registrations": [{ "section": section("a") }] }],
            "failed": [
                { "section": section("b"), "codes": [{ "code": "CLOSED" }] },
                { "section": section("c"), "codes": [] },
            ],
        });
        let student = PersonId::derived_from("ada");
        let answer = |status, body| Answer { status, body, retries: 0 };
        assert_eq!(seen.note_submission(student, &answer(201, body)), [section("b")]);
        assert_eq!(seen.held.len(), 1);
        let body =
            json!({ "code": "HOLD", "errors": [{ "code": "HOLD" }, { "code": "TIME_CONFLICT" }] });
        assert_eq!(seen.note_submission(student, &answer(409, body)), []);
        assert_eq!(seen.refusals.keys().collect::<Vec<_>>(), ["CLOSED", "HOLD", "TIME_CONFLICT"]);
        seen.note_refusals(&answer(500, json!({})));
        let wrong: Vec<_> = seen.wrong.keys().collect();
        assert_eq!(wrong, ["500 no code", "an item failed without a code"]);
    }
}
