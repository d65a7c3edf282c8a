//! A student gives a confirmed registration up, with those that it is linked with: the seats are free again, and
//! billing takes the charge back.

use events::DropReason;
use kernel::RegistrationId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Noted;

use super::STUDENT_OR_REGISTRAR;
use super::read_registration::{self, Reply};
use crate::Ctx;
use crate::domain::Refusal;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "drop-registration",
    "/registrations/{registration}/drop",
    STUDENT_OR_REGISTRAR,
    "Drop a confirmed registration",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub registration: RegistrationId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let registration = read_registration::of_caller(ctx, call, call.command.registration).await?;
    let mut departure = store::departure(&ctx.table, registration).await?;
    let version = departure.registrations[0].version;
    let until =
        departure.registrations[0].value.drop_until(departure.term.as_ref(), ctx.time_zone());
    let mut dropped = Vec::new();
    for registration in &mut departure.registrations {
        let until = registration.value.drop_until(departure.term.as_ref(), ctx.time_zone());
        dropped.push(registration.value.drop_by(call.person(), call.now, until)?);
    }
    let registration = &departure.registrations[0].value;
    if !dropped[0] {
        return Ok(Reply::of(registration, version, until));
    }
    if departure.student_term.value.is_required(registration.id) {
        return Err(Refusal::DropBreaksCorequisite.into());
    }
    if departure.leaves_nothing(ctx.date(call.now)) {
        return Err(Refusal::CannotDropLast.into());
    }
    let reply = Reply::of(registration, version + 1, until);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    departure.write(&mut transaction, DropReason::StudentDropped, cause);
    transaction.update(&departure.student_term);
    let student = departure.student_term.value.student;
    if student != call.person() {
        let trail = ctx.table.trail(student).await?;
        let noted = Noted::change(format!("registration/{}", call.command.registration));
        let noted = noted.field("dropped_at", None, Some(call.now));
        trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    }
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, RegistrationDropped, TermChanged};
    use jiff::SignedDuration;
    use shell::Role;
    use testkit::{TestTable, person};

    use super::*;
    use crate::domain::RegistrationState;
    use crate::fixtures::{by, cart, code, held, of_bundle, offer, seats_agree, section};
    use crate::operations::place_hold::tests::office;
    use crate::operations::{confirm, join_waitlist, list_registrations, on_term_changed, submit};

    async fn registered(table: &table::Table) -> RegistrationId {
        let reply = held(table, |_| ()).await;
        confirm::handle(&Ctx::new(table.clone()), &of_bundle(&reply)).await.expect("confirms");
        reply.bundles[0].registrations[0].registration
    }

    #[tokio::test]
    async fn a_drop_frees_the_seat_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| testkit::call(Command { registration: registered(table).await }),
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let again = testkit::call(call.command.clone());
                let reply = handle(&Ctx::new(table.clone()), &again)
                    .await
                    .expect("dropping twice changes nothing");
                assert_eq!(reply.state, RegistrationState::Dropped);
                seats_agree(table, section("a"), &[person("ada")]).await;
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == RegistrationDropped::NAME).count(),
                    1
                );
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_the_office_drops_for_somebody_is_noted_and_what_they_drop_themselves_is_not() {
        testkit::under_every_fault(
            async |table| {
                let registration = registered(table).await;
                office(Role::Registrar, Command { registration })
            },
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, _| {
                let noted = testkit::operations_noted(table, person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
            },
        )
        .await;
        let test = TestTable::new().await;
        let own = testkit::call(Command { registration: registered(&test.table).await });
        handle(&Ctx::new(test.table.clone()), &own).await.expect("dropped");
        assert!(testkit::operations_noted(&test.table, person("ada")).await.is_empty());
    }

    #[tokio::test]
    async fn only_the_owner_in_time_drops_what_is_confirmed() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply = held(&test.table, |_| ()).await;
        let command = Command { registration: reply.bundles[0].registrations[0].registration };
        assert_eq!(
            code(handle(&ctx, &testkit::call(command.clone())).await),
            "REGISTRATION_NOT_CONFIRMED"
        );
        confirm::handle(&ctx, &of_bundle(&reply)).await.expect("confirms");
        assert_eq!(
            code(handle(&ctx, &by("bob", testkit::call(command.clone()))).await),
            "REGISTRATION_UNKNOWN"
        );
        let late = Call {
            now: "2027-02-13T00:00:00Z".parse().expect("a timestamp"),
            ..testkit::call(command)
        };
        assert_eq!(code(handle(&ctx, &late).await), "DROP_DEADLINE_PASSED");
    }

    #[tokio::test]
    async fn the_term_s_last_word_says_until_when_by_the_institution_s_clock() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone()).in_time_zone("Europe/Zurich");
        let registration = registered(&test.table).await;
        let other = offer(&test.table, "other", |_| ()).await;
        join_waitlist::tests::registered(&ctx, "ada", other).await;
        let day = |version, day: &str| {
            let mut event = TermChanged { term_version: version, ..TermChanged::example() };
            event.dates.drop_until = Some(day.parse().expect("a date"));
            let mut delivery = testkit::delivery("on-term-changed", event);
            delivery.envelope.id = day.to_owned();
            delivery
        };
        let drop_at = async |moment: &str| {
            let now = moment.parse().expect("a timestamp");
            handle(&ctx, &Call { now, ..testkit::call(Command { registration }) }).await
        };
        on_term_changed::handle(&ctx, &day(1, "2027-01-20")).await.expect("taken in");
        assert_eq!(code(drop_at("2027-01-20T23:00:00Z").await), "DROP_DEADLINE_PASSED");
        let read = testkit::call(read_registration::Command { registration });
        let read = read_registration::handle(&ctx, &read).await.expect("reads");
        assert_eq!(read.drop_until.to_string(), "2027-01-20T22:59:59Z");
        on_term_changed::handle(&ctx, &day(2, "2027-03-01")).await.expect("prolonged");
        // What is shown may be half a minute old; what is decided is not.
        let half_a_minute_later = testkit::now() + SignedDuration::from_secs(30);
        let listed = list_registrations::Command { student: None };
        let listed = Call { now: half_a_minute_later, ..testkit::call(listed) };
        let listed = list_registrations::handle(&ctx, &listed).await.expect("lists");
        assert_eq!(listed.items[0].drop_until.to_string(), "2027-03-01T22:59:59Z");
        drop_at("2027-03-01T22:59:59Z").await.expect("in time");
    }

    #[tokio::test]
    async fn a_corequisite_is_not_dropped_from_under_the_course_that_needs_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let lecture = offer(&test.table, "lecture", |_| ()).await;
        let lab = offer(&test.table, "lab", |event| {
            event.course.corequisites = vec![kernel::Id::derived_from("lecture")];
        })
        .await;
        let reply = submit::handle(&ctx, &cart(&[lecture, lab])).await.expect("both are held");
        confirm::handle(&ctx, &of_bundle(&reply)).await.expect("confirms");
        let registration = reply.bundles[0].registrations[0].registration;
        let result = handle(&ctx, &testkit::call(Command { registration })).await;
        assert_eq!(code(result), "DROP_BREAKS_COREQUISITE");
    }
}
