//! A student's schedule as a calendar (RFC 5545), for whoever knows its secret address. One that was revoked is as
//! unknown as one that never was.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Document, Failure, Route};

use crate::Ctx;
use crate::domain::{Almanac, Refusal, calendar_text};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-schedule-feed",
    "/schedule-feeds/{secret}/schedule.ics",
    Access::Public,
    "Read the calendar at a secret address",
)
.document("text/calendar; charset=utf-8");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(min = 1, max = 100))]
    pub secret: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Document, Failure> {
    let digest = shell::digest_of(&call.command.secret);
    let address = ctx.table.get(&store::feed_address_key(&digest)).await?;
    let student = address.ok_or(Refusal::ScheduleFeedUnknown)?.value.student;
    let (scheduled, calendar) = store::schedule(&ctx.table, student, |_| true).await?;
    let almanac = Almanac {
        calendar: &calendar.calendar,
        calendar_version: calendar.calendar_version,
        zone: ctx.time_zone(),
    };
    let content = calendar_text(&scheduled, almanac, call.now).into_bytes();
    Ok(Document { file_name: "schedule.ics".to_owned(), content })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use calcard::common::timezone::Tz;
    use calcard::icalendar::{
        ICalendar, ICalendarComponentType, ICalendarProperty, ICalendarValue,
    };
    use kernel::{RegistrationId, Timestamp};
    use serde_json::Value;
    use shell::http::Door;
    use testkit::TestTable;
    use tokio::time::Instant;

    use super::super::issue_schedule_feed::tests::{issued, secret};
    use super::super::join_waitlist::tests::{dropped, registered};
    use super::super::read_schedule::tests::{cancelled, day, holidays, meeting, on_fridays, time};
    use super::super::{confirm, submit};
    use super::*;
    use crate::fixtures::{cart, of_bundle, offer, offer_again};

    pub async fn read(ctx: &Ctx, secret: &str) -> Result<Document, Failure> {
        handle(ctx, &testkit::call(Command { secret: secret.to_owned() })).await
    }

    /// An event as a parser that is not ours reads it.
    #[derive(Debug, PartialEq)]
    struct Parsed {
        status: String,
        sequence: i64,
        summary: String,
        location: Option<String>,
        /// When it takes place, with its repetitions.
        starts: Vec<String>,
    }

    /// By their UIDs.
    fn parsed(text: &str) -> BTreeMap<String, Parsed> {
        let calendar = ICalendar::parse(text);
        let calendar = calendar.unwrap_or_else(|found| panic!("{found:?} is no calendar: {text}"));
        for component in &calendar.components {
            let kind = &component.component_type;
            assert!(!matches!(kind, ICalendarComponentType::Other(_)), "{kind:?}");
            for entry in &component.entries {
                let is_known = !matches!(entry.name, ICalendarProperty::Other(_));
                assert!(is_known && !entry.values.is_empty(), "{entry:?}");
            }
        }
        let expanded = calendar.expand_dates(Tz::Floating, 10_000);
        assert_eq!(expanded.errors, []);
        let mut events = BTreeMap::new();
        for (at, component) in calendar.components.iter().enumerate() {
            if !component.component_type.is_event() {
                continue;
            }
            let value = |property| component.property(&property).and_then(|it| it.values.first());
            let text = |property| value(property).and_then(|it| it.as_text()).map(str::to_owned);
            let is_of_it = |comp_id: u32| usize::try_from(comp_id) == Ok(at);
            let of_it = expanded.events.iter().filter(|event| is_of_it(event.comp_id));
            let mut starts: Vec<i64> = of_it.map(|event| event.timestamps().0).collect();
            starts.sort_unstable();
            let moment = |second| Timestamp::from_second(second).expect("in time").to_string();
            let event = Parsed {
                status: text(ICalendarProperty::Status).expect("a status"),
                sequence: value(ICalendarProperty::Sequence)
                    .and_then(ICalendarValue::as_integer)
                    .expect("a sequence"),
                summary: text(ICalendarProperty::Summary).expect("a summary"),
                location: text(ICalendarProperty::Location),
                starts: starts.into_iter().map(moment).collect(),
            };
            let uid = component.uid().expect("a uid").to_owned();
            assert!(events.insert(uid, event).is_none(), "a uid is one event's");
        }
        events
    }

    /// Ada has an address.
    async fn subscribed(test: &TestTable) -> (Ctx, String) {
        let ctx = Ctx::new(test.table.clone()).in_time_zone("Europe/Zurich");
        let secret = secret(&issued(&ctx, "ada").await);
        (ctx, secret)
    }

    fn text(calendar: Document) -> String {
        String::from_utf8(calendar.content).expect("UTF-8")
    }

    async fn events(ctx: &Ctx, secret: &str) -> BTreeMap<String, Parsed> {
        parsed(&text(read(ctx, secret).await.expect("reads")))
    }

    fn uid(registration: RegistrationId, number: usize) -> String {
        format!("{registration}-{number}@matricula")
    }

    #[tokio::test]
    async fn another_s_parser_reads_every_meeting_without_the_holidays_and_across_the_clocks() {
        let test = TestTable::new().await;
        let (ctx, secret) = subscribed(&test).await;
        let titled = |event: &mut events::SectionOffered| {
            meeting(event);
            event.meetings[0].last_day = day("2027-04-07");
            event.course.title =
                "Topologie; ensembles, limites\net continuité \\ suites à l'infini, un cours \
                pour tous les étudiants de deuxième année"
                    .into();
        };
        let section = offer(&test.table, "a", titled).await;
        let registration = registered(&ctx, "ada", section).await;
        holidays(&ctx, 1, &[("2027-02-15", "2027-02-19"), ("2027-03-29", "2027-03-29")]).await;
        let text = text(read(&ctx, &secret).await.expect("reads"));
        for line in text.split("\r\n") {
            assert!(line.len() <= 75 && !line.contains('\n'), "{line}");
        }
        assert!(text.contains("TZID:Europe/Zurich"), "{text}");
        assert!(text.contains("BEGIN:DAYLIGHT\r\nDTSTART:20270328T020000"), "{text}");
        let events = parsed(&text);
        let event = &events[&uid(registration, 0)];
        assert_eq!(events.len(), 1);
        assert_eq!(event.status, "CONFIRMED");
        assert!(
            event.summary.starts_with("Topologie; ensembles, limites\net continuité \\ suites")
        );
        assert_eq!(event.location.as_deref(), Some("North/1.04"));
        let starts: Vec<&str> = event.starts.iter().map(String::as_str).collect();
        let winter = [
            "02-01", "02-03", "02-08", "02-10", "02-22", "02-24", "03-01", "03-03", "03-08",
            "03-10", "03-15", "03-17", "03-22", "03-24",
        ];
        let winter = winter.iter().map(|day| format!("2027-{day}T08:00:00Z"));
        let summer = ["03-31", "04-05", "04-07"];
        let summer = summer.iter().map(|day| format!("2027-{day}T07:00:00Z"));
        assert_eq!(starts, winter.chain(summer).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_uid_stays_and_its_sequence_rises_with_every_change() {
        let test = TestTable::new().await;
        let (ctx, secret) = subscribed(&test).await;
        let section = offer(&test.table, "a", on_fridays).await;
        let held = submit::handle(&ctx, &cart(&[section])).await.expect("a seat is held");
        let registration = held.bundles[0].registrations[0].registration;
        let mut last: Option<BTreeMap<String, Parsed>> = None;
        let mut changed = async |statuses: [&str; 2]| {
            let now = events(&ctx, &secret).await;
            let uids = [uid(registration, 0), uid(registration, 1)];
            assert_eq!(now.keys().collect::<Vec<_>>(), uids.iter().collect::<Vec<_>>());
            for (uid, status) in uids.iter().zip(statuses) {
                assert_eq!(now[uid].status, status);
                if let Some(last) = &last {
                    assert!(last[uid].sequence < now[uid].sequence, "{uid} has changed");
                }
            }
            last = Some(now);
        };
        changed(["TENTATIVE", "TENTATIVE"]).await;
        confirm::handle(&ctx, &of_bundle(&held)).await.expect("confirms");
        changed(["CONFIRMED", "CONFIRMED"]).await;
        offer_again(&test.table, "a", 2, |event| {
            on_fridays(event);
            event.meetings[0].starts_at = time("13:00");
        })
        .await;
        changed(["CONFIRMED", "CONFIRMED"]).await;
        holidays(&ctx, 1, &[("2027-02-05", "2027-02-05")]).await;
        changed(["CONFIRMED", "CONFIRMED"]).await;
        holidays(&ctx, 2, &[("2027-02-03", "2027-02-05")]).await;
        changed(["CONFIRMED", "CANCELLED"]).await;
        holidays(&ctx, 3, &[]).await;
        offer_again(&test.table, "a", 3, |event| {
            on_fridays(event);
            event.meetings.truncate(1);
        })
        .await;
        changed(["CONFIRMED", "CANCELLED"]).await;
        offer_again(&test.table, "a", 4, on_fridays).await;
        changed(["CONFIRMED", "CONFIRMED"]).await;
        cancelled(&ctx, section, 5).await;
        changed(["CANCELLED", "CANCELLED"]).await;
    }

    #[tokio::test]
    async fn what_was_dropped_is_cancelled_and_what_is_taken_again_is_another_event() {
        let test = TestTable::new().await;
        let (ctx, secret) = subscribed(&test).await;
        let section = offer(&test.table, "a", meeting).await;
        let first = registered(&ctx, "ada", section).await;
        let before = events(&ctx, &secret).await;
        dropped(&ctx, "ada", first).await;
        let second = registered(&ctx, "ada", section).await;
        let after = events(&ctx, &secret).await;
        assert_eq!(after[&uid(first, 0)].status, "CANCELLED");
        assert!(before[&uid(first, 0)].sequence < after[&uid(first, 0)].sequence);
        assert_eq!(after[&uid(second, 0)].status, "CONFIRMED");
    }

    #[tokio::test]
    async fn nothing_of_others_and_nothing_that_is_long_past_is_in_it() {
        let test = TestTable::new().await;
        let (ctx, secret) = subscribed(&test).await;
        let section = offer(&test.table, "a", meeting).await;
        registered(&ctx, "bob", section).await;
        let empty = text(read(&ctx, &secret).await.expect("reads"));
        assert_eq!(parsed(&empty).len(), 0);
        assert!(empty.contains("BEGIN:VTIMEZONE"), "a calendar is never without a component");
        registered(&ctx, "ada", section).await;
        let at = async |now: &str| {
            let now = now.parse().expect("a timestamp");
            let call = testkit::call(Command { secret: secret.clone() });
            let read = handle(&ctx, &Call { now, ..call }).await.expect("reads");
            parsed(&text(read)).len()
        };
        assert_eq!(at("2027-12-27T12:00:00Z").await, 1, "half a year after the 30th of June");
        assert_eq!(at("2027-12-28T12:00:00Z").await, 0);
    }

    #[tokio::test]
    async fn over_http_it_is_a_calendar_that_is_sent_again_only_when_it_has_changed() {
        let test = TestTable::new().await;
        let (ctx, secret) = subscribed(&test).await;
        let door = Door::<Command>::new(&ROUTE);
        let ask = async |secret: &str, tag: Option<&str>| {
            let mut event = testkit::http_event("GET", &[("secret", secret)], &Value::Null, None);
            if let Some(tag) = tag {
                event["headers"]["if-none-match"] = tag.into();
            }
            let deadline = Instant::now() + Duration::from_secs(30);
            door.answer(&ctx, &handle, &event, deadline).await
        };
        let first = ask(&secret, None).await;
        assert_eq!(first["statusCode"], 200);
        assert_eq!(first["headers"]["content-type"], "text/calendar; charset=utf-8");
        assert_eq!(first["headers"]["cache-control"], "no-store");
        let tag = first["headers"]["etag"].as_str().expect("a tag").to_owned();
        let weak = format!("\"other\", W/{tag}");
        for known in [&tag, &weak] {
            let again = ask(&secret, Some(known.as_str())).await;
            assert_eq!(again["statusCode"], 304);
            assert_eq!(again["body"], "");
            assert_eq!(again["headers"]["etag"], tag.as_str());
        }
        let section = offer(&test.table, "a", meeting).await;
        registered(&ctx, "ada", section).await;
        let changed = ask(&secret, Some(tag.as_str())).await;
        assert_eq!(changed["statusCode"], 200);
        let body = BASE64.decode(changed["body"].as_str().expect("a text")).expect("base64");
        assert_eq!(parsed(&String::from_utf8(body).expect("UTF-8")).len(), 1);
        let unknown = ask("guessed", Some(tag.as_str())).await;
        assert_eq!(unknown["statusCode"], 404);
        assert_eq!(unknown["headers"]["content-type"], "application/problem+json");
    }
}
