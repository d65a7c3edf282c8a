//! A registration is given up that can be dropped no longer, with those that it is linked with: it stays on the
//! student's record with a W, its seat is free, and billing gives back what its calendar says. After the last day only
//! the registrar's office lets a student go, on their petition.

use kernel::{Date, RegistrationId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::STUDENT_OR_REGISTRAR;
use super::read_registration::{self, Reply};
use crate::Ctx;
use crate::domain::{GivingUp, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "withdraw-registration",
    "/registrations/{registration}/withdrawal",
    STUDENT_OR_REGISTRAR,
    "Withdraw from a section",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub registration: RegistrationId,
    /// The last day on which the student was there, by the institution's date.
    pub last_attended_on: Option<Date>,
    #[schemars(length(min = 1, max = 500))]
    pub reason: Option<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { registration, last_attended_on, reason } = call.command.clone();
    let stored = read_registration::of_caller(ctx, call, registration).await?;
    let mut departure = store::departure(&ctx.table, stored).await?;
    let today = ctx.date(call.now);
    if last_attended_on.is_some_and(|day| day > today) {
        return Err(Refusal::LastAttendedInFuture.into());
    }
    let giving_up = GivingUp { by: call.person(), at: call.now, reason, last_attended_on };
    let mut withdrawn = Vec::new();
    for registration in &mut departure.registrations {
        let deadlines = registration.value.deadlines(departure.term.as_ref(), ctx.time_zone());
        let petitions = registration.value.student != call.person();
        withdrawn.push(registration.value.withdraw(&giving_up, deadlines, petitions)?);
    }
    let first = &departure.registrations[0];
    let until = first.value.drop_until(departure.term.as_ref(), ctx.time_zone());
    if !withdrawn[0] {
        return Ok(Reply::of(&first.value, first.version, until));
    }
    if departure.student_term.value.is_required(registration) {
        return Err(Refusal::DropBreaksCorequisite.into());
    }
    if departure.leaves_nothing(today) {
        return Err(Refusal::CannotDropLast.into());
    }
    let reply = Reply::of(&first.value, first.version + 1, until);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    departure.write_withdrawal(&mut transaction, None, cause);
    transaction.update(&departure.student_term);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
pub(super) mod tests {
    use events::{Event, RegistrationDropped, RegistrationWithdrawn, TermChanged};
    use kernel::SectionId;
    use testkit::{TestTable, person};

    use super::super::give_override::tests::staff;
    use super::super::join_waitlist::tests::registered;
    use super::super::{drop_registration, on_term_changed, validate_submission};
    use super::*;
    use crate::domain::{ItemCode, RegistrationState};
    use crate::fixtures::{by, code, offer, seats_agree, section, taken, term, told};

    /// The catalog says when the term's days are: one drops until the 26th of February, and withdraws until the 30th of
    /// April.
    pub async fn term_is_known(ctx: &Ctx) {
        let delivery = testkit::delivery("on-term-changed", TermChanged::example());
        on_term_changed::handle(ctx, &delivery).await.expect("taken in");
    }

    /// Ada in two sections.
    async fn two(ctx: &Ctx) -> [RegistrationId; 2] {
        term_is_known(ctx).await;
        let mut registrations = Vec::new();
        for name in ["a", "b"] {
            let section = offer(&ctx.table, name, |_| ()).await;
            registrations.push(registered(ctx, "ada", section).await);
        }
        [registrations[0], registrations[1]]
    }

    fn withdraw(registration: RegistrationId, now: &str) -> Call<Command> {
        let command = Command { registration, last_attended_on: None, reason: None };
        Call { now: now.parse().expect("a timestamp"), ..testkit::call(command) }
    }

    #[tokio::test]
    async fn a_w_is_an_attempt_in_its_own_term_too() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        term_is_known(&ctx).await;
        let once = offer(&ctx.table, "a", |event| event.course.attempts_max = Some(1)).await;
        let other = offer(&ctx.table, "b", |_| ()).await;
        let registration = registered(&ctx, "ada", once).await;
        registered(&ctx, "ada", other).await;
        let call = withdraw(registration, "2027-03-15T10:00:00Z");
        handle(&ctx, &call).await.expect("it is withdrawn");
        let cart = validate_submission::Command { term: term(), sections: vec![once] };
        let cart = Call { now: call.now, ..testkit::call(cart) };
        let told = validate_submission::handle(&ctx, &cart).await.expect("it is judged");
        let codes: Vec<ItemCode> = told.failed[0].codes.iter().map(|it| it.code).collect();
        assert!(codes.contains(&ItemCode::RepeatLimit), "{codes:?}");
    }

    #[tokio::test]
    async fn a_withdrawal_leaves_a_w_and_frees_the_seat_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let [a, _] = two(&Ctx::new(table.clone())).await;
                let mut call = withdraw(a, "2027-03-15T10:00:00Z");
                call.command.last_attended_on = Some("2027-03-10".parse().expect("a date"));
                call
            },
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let again = testkit::call(call.command.clone());
                let again = Call { now: call.now, ..again };
                let reply = handle(&ctx, &again).await.expect("again changes nothing");
                assert_eq!(reply.state, RegistrationState::Withdrawn);
                assert_eq!(taken(table, section("a")).await, 0);
                seats_agree(table, section("a"), &[person("ada")]).await;
                let told: Vec<RegistrationWithdrawn> = told(table).await;
                assert_eq!(told.len(), 1);
                assert_eq!(told[0].last_attended_on, call.command.last_attended_on);
                let key = store::student_term_key(person("ada"), term());
                let student_term = table.get(&key).await.expect("reads").expect("is there").value;
                let withdrawn: Vec<SectionId> =
                    student_term.withdrawn.iter().map(|entry| entry.section).collect();
                assert_eq!(withdrawn, [section("a")], "it stays on the record");
                assert_eq!(student_term.entries.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn one_drops_until_a_day_and_withdraws_until_another_and_petitions_from_then_on() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [a, b] = two(&ctx).await;
        let at = async |now: &str| handle(&ctx, &withdraw(a, now)).await;
        assert_eq!(code(at("2027-02-26T23:59:59Z").await), "DROP_INSTEAD");
        assert_eq!(code(at("2027-05-01T00:00:00Z").await), "WITHDRAW_DEADLINE_PASSED");
        let mut future = withdraw(a, "2027-04-30T23:59:59Z");
        future.command.last_attended_on = Some("2027-05-01".parse().expect("a date"));
        assert_eq!(code(handle(&ctx, &future).await), "LAST_ATTENDED_IN_FUTURE");
        let strange = by("bob", withdraw(a, "2027-04-30T23:59:59Z"));
        assert_eq!(code(handle(&ctx, &strange).await), "REGISTRATION_UNKNOWN");
        let dropping = testkit::call(drop_registration::Command { registration: a });
        let now = "2027-02-27T00:00:00Z".parse().expect("a timestamp");
        let dropped = drop_registration::handle(&ctx, &Call { now, ..dropping }).await;
        assert_eq!(code(dropped), "DROP_DEADLINE_PASSED");
        let command = withdraw(a, "2027-05-01T00:00:00Z").command;
        let by_registrar = staff("registrar", shell::Role::Registrar, None, command);
        let now = "2027-05-01T00:00:00Z".parse().expect("a timestamp");
        let reply = handle(&ctx, &Call { now, ..by_registrar }).await.expect("on petition");
        assert_eq!(reply.state, RegistrationState::Withdrawn);
        let last = handle(&ctx, &withdraw(b, "2027-03-15T10:00:00Z")).await;
        assert_eq!(code(last), "CANNOT_DROP_LAST");
    }

    #[tokio::test]
    async fn the_last_registration_is_not_dropped_once_the_term_has_begun() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [a, b] = two(&ctx).await;
        let drop_at = async |registration, now: &str| {
            let call = testkit::call(drop_registration::Command { registration });
            let call = Call { now: now.parse().expect("a timestamp"), ..call };
            drop_registration::handle(&ctx, &call).await
        };
        drop_at(a, "2027-02-03T10:00:00Z").await.expect("one is left");
        assert_eq!(code(drop_at(b, "2027-02-03T10:00:00Z").await), "CANNOT_DROP_LAST");
        assert_eq!(taken(&test.table, section("b")).await, 1);
        drop_at(b, "2027-01-31T23:59:59Z").await.expect("before the term begins");
        assert_eq!(told::<RegistrationDropped>(&test.table).await.len(), 2);
    }
}
