//! A week of a student's schedule in a term: what meets when and where, by the institution's clock.

use kernel::{Date, Holiday, PersonId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};

use super::STUDENT_OR_REGISTRAR;
use crate::Ctx;
use crate::domain::{Refusal, ScheduledMeeting, meetings_on, week_of, zone_name};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-schedule",
    "/schedules/{term}",
    STUDENT_OR_REGISTRAR,
    "Read a week of a student's schedule",
)
.for_clients(ClientScope::EnrollmentRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// Any day of the week; today's where it is not given, and the first of the term until that has begun.
    pub week: Option<Date>,
    /// Whose; the caller's own where it is not given.
    pub student: Option<PersonId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub student: PersonId,
    pub term: TermId,
    /// By whose clock it meets, such as `Africa/Douala`.
    pub time_zone: String,
    /// A Monday.
    pub first_day: Date,
    pub last_day: Date,
    /// On which nothing meets.
    pub holidays: Vec<Holiday>,
    /// The first first.
    pub meetings: Vec<ScheduledMeeting>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, week, student } = call.command;
    let student = call.whose(student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let of_term = store::schedule(&ctx.table, student, |registration| registration.term == term);
    let terms = ctx.terms([term].into(), call.now);
    let (of_term, terms) = tokio::join!(of_term, terms);
    let ((scheduled, calendar), terms) = (of_term?, terms?);
    let today = ctx.date(call.now);
    let begins = terms.get(&term).map_or(today, |facts| facts.first_day);
    let days = week_of(week.unwrap_or(today.max(begins)));
    let (first_day, last_day) = (days[0], days[days.len() - 1]);
    let calendar = calendar.calendar;
    let meetings = meetings_on(&days, &scheduled, (&calendar, ctx.time_zone()));
    let mut holidays = calendar.holidays;
    holidays.retain(|holiday| holiday.first_day <= last_day && first_day <= holiday.last_day);
    let time_zone = zone_name(ctx.time_zone()).to_owned();
    Ok(Reply { student, term, time_zone, first_day, last_day, holidays, meetings })
}

#[cfg(test)]
pub(super) mod tests {
    use events::{CalendarChanged, Event, SectionCancelled, SectionOffered};
    use kernel::{Calendar, Room, SectionId};
    use testkit::{TestTable, person};

    use super::super::join_waitlist::tests::{dropped, registered};
    use super::super::place_hold::tests::office;
    use super::super::withdraw_registration::tests::term_is_known;
    use super::super::{on_calendar_changed, on_section_withdrawn, submit};
    use super::*;
    use crate::domain::ScheduledState;
    use crate::fixtures::{by, cart, code, offer, term};

    /// Mondays and Wednesdays from nine to half past ten, from February to June 2027.
    pub fn meeting(event: &mut SectionOffered) {
        event.meetings = SectionOffered::example().meetings;
        event.meetings[0].room = Some(Room { building: "North".into(), name: "1.04".into() });
        event.teachers = vec![person("tom")];
    }

    /// Fridays at two, and the 3rd of February at eight.
    pub fn on_fridays(event: &mut SectionOffered) {
        meeting(event);
        let mut fridays = event.meetings.remove(0);
        fridays.weekdays = vec![kernel::Weekday::Friday];
        (fridays.starts_at, fridays.ends_at) = (time("14:00"), time("16:00"));
        let mut once = kernel::Meeting { weekdays: Vec::new(), ..fridays.clone() };
        once.dates = vec![day("2027-02-03")];
        (once.starts_at, once.ends_at) = (time("08:00"), time("08:45"));
        event.meetings = vec![fridays, once];
    }

    pub fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    pub fn time(text: &str) -> kernel::Time {
        text.parse().expect("a time")
    }

    /// Nothing meets from the first of these days to the last.
    pub async fn holidays(ctx: &Ctx, version: u64, days: &[(&str, &str)]) {
        let holiday = |(first, last): &(&str, &str)| Holiday {
            title: "Holiday".into(),
            first_day: day(first),
            last_day: day(last),
        };
        let calendar = Calendar { holidays: days.iter().map(holiday).collect(), ways: Vec::new() };
        let event = CalendarChanged { calendar_version: version, calendar };
        let mut delivery = testkit::delivery("on-calendar-changed", event);
        delivery.envelope.id = format!("calendar {version}");
        on_calendar_changed::handle(ctx, &delivery).await.expect("taken in");
    }

    pub async fn cancelled(ctx: &Ctx, section: SectionId, version: u64) {
        let event = SectionCancelled { section, section_version: version, ..Event::example() };
        let delivery = testkit::delivery("on-section-withdrawn", event);
        on_section_withdrawn::handle(ctx, &delivery).await.expect("cancelled");
    }

    fn week(of: &str) -> Call<Command> {
        let week = Some(day(of));
        testkit::call(Command { term: term(), week, student: None })
    }

    /// Day, hour, course and state of each.
    fn shown(reply: &Reply) -> Vec<String> {
        let shown = |meeting: &ScheduledMeeting| {
            let ScheduledMeeting { day, from, section_code, state, .. } = meeting;
            format!("{day} {} {section_code} {state:?}", from.strftime("%H:%M"))
        };
        reply.meetings.iter().map(shown).collect()
    }

    #[tokio::test]
    async fn a_week_shows_what_meets_in_it_by_the_institution_s_clock() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone()).in_time_zone("Europe/Zurich");
        let (a, b) =
            (offer(&test.table, "a", meeting).await, offer(&test.table, "b", on_fridays).await);
        registered(&ctx, "ada", a).await;
        submit::handle(&ctx, &cart(&[b])).await.expect("a seat is held");
        let reply = handle(&ctx, &week("2027-02-06")).await.expect("reads");
        assert_eq!((reply.first_day, reply.last_day), (day("2027-02-01"), day("2027-02-07")));
        assert_eq!(reply.time_zone, "Europe/Zurich");
        let expected = [
            "2027-02-01 09:00 A Registered",
            "2027-02-03 08:00 B Held",
            "2027-02-03 09:00 A Registered",
            "2027-02-05 14:00 B Held",
        ];
        assert_eq!(shown(&reply), expected);
        let first = &reply.meetings[0];
        assert_eq!(first.starts_at.to_string(), "2027-02-01T08:00:00Z");
        assert_eq!(first.ends_at.to_string(), "2027-02-01T09:30:00Z");
        assert_eq!(first.room.as_ref().map(Room::to_string).as_deref(), Some("North/1.04"));
        assert_eq!(first.teachers, [person("tom")]);
        let in_summer = handle(&ctx, &week("2027-03-29")).await.expect("reads");
        assert_eq!(in_summer.meetings[0].starts_at.to_string(), "2027-03-29T07:00:00Z");
        let before = handle(&ctx, &week("2027-01-31")).await.expect("reads");
        assert_eq!(before.meetings, [], "the Sunday before belongs to the week before");
    }

    #[tokio::test]
    async fn holidays_are_left_out_and_what_is_cancelled_is_shown_as_such() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (a, b) =
            (offer(&test.table, "a", meeting).await, offer(&test.table, "b", on_fridays).await);
        registered(&ctx, "ada", a).await;
        let given_up = registered(&ctx, "ada", b).await;
        holidays(&ctx, 1, &[("2027-02-03", "2027-02-04"), ("2027-12-25", "2027-12-25")]).await;
        let reply = handle(&ctx, &week("2027-02-01")).await.expect("reads");
        let expected = ["2027-02-01 09:00 A Registered", "2027-02-05 14:00 B Registered"];
        assert_eq!(shown(&reply), expected);
        assert_eq!(reply.holidays.len(), 1, "only those of the week");
        dropped(&ctx, "ada", given_up).await;
        cancelled(&ctx, a, 2).await;
        let reply = handle(&ctx, &week("2027-02-01")).await.expect("reads");
        assert_eq!(shown(&reply), ["2027-02-01 09:00 A Cancelled"]);
        assert_eq!(reply.meetings[0].state, ScheduledState::Cancelled);
    }

    #[tokio::test]
    async fn without_a_week_it_is_this_one_or_the_first_of_the_term() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        term_is_known(&ctx).await;
        let at = async |now: &str| {
            let now = now.parse().expect("a timestamp");
            let command = Command { term: term(), week: None, student: None };
            let call = Call { now, ..testkit::call(command) };
            handle(&ctx, &call).await.expect("reads").first_day
        };
        assert_eq!(at(testkit::NOW).await, day("2027-02-01"), "the term has not begun");
        assert_eq!(at("2027-03-14T12:00:00Z").await, day("2027-03-08"));
    }

    #[tokio::test]
    async fn a_student_reads_their_own_and_the_registrar_s_office_anybody_s() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", meeting).await;
        registered(&ctx, "ada", section).await;
        let mut of_ada = week("2027-02-01");
        of_ada.command.student = Some(person("ada"));
        let strange = handle(&ctx, &by("bob", of_ada.clone())).await;
        assert_eq!(code(strange), "STUDENT_UNKNOWN");
        let by_office = office(shell::Role::Registrar, of_ada.command.clone());
        assert_eq!(handle(&ctx, &by_office).await.expect("reads").meetings.len(), 2);
        let own = handle(&ctx, &by("bob", week("2027-02-01"))).await.expect("reads");
        assert_eq!(own.meetings, []);
        let mut other_term = week("2027-02-01");
        other_term.command.term = kernel::Id::derived_from("other");
        assert_eq!(handle(&ctx, &other_term).await.expect("reads").meetings, []);
    }
}
