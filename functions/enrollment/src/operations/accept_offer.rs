//! A student takes the seat that is held for them: judged once more, then as if they had submitted it.

use kernel::WaitlistEntryId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Fault, Route};

use super::leave_waitlist::of_caller;
use super::list_waitlist_entries::Item;
use super::submit;
use crate::Ctx;
use crate::domain::{Door, Refusal};
use crate::line::serving;
use crate::store::Cause;

pub const ROUTE: Route = Route::act(
    "accept-offer",
    "/waitlist-entries/{entry}/acceptance",
    submit::ACCESS,
    "Take the seat that is offered",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub entry: WaitlistEntryId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Item, Failure> {
    let stored = of_caller(ctx, call, call.command.entry).await?;
    if !stored.value.state.is_open() {
        return Err(Refusal::WaitlistEntryEnded.into());
    }
    let pool = stored.value.standing_offer(call.now)?.pool.clone();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let door = Door::Offer { pool: pool.as_deref() };
    let turn = serving::turn(ctx, &stored.value, door, cause).await?;
    if turn.planned.is_err() {
        let unsaid = || Fault::defect(format!("{} is refused without a word", stored.value.id));
        return Err(turn.refusal.ok_or_else(unsaid)?.into());
    }
    let mut transaction = ctx.table.transaction();
    let version = stored.version + 1;
    let by = call.person().to_string();
    let entry = serving::write_registration(ctx, &mut transaction, stored, turn, (&by, cause))?;
    let reply = Item::of(&entry, version, None);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{SagaRequested, WaitlistMode, WaitlistState};
    use testkit::{TestTable, person};

    use super::super::join_waitlist::tests::{entry, full, join, serve};
    use super::super::{confirm, place_hold, submit, sweep_waitlists};
    use super::*;
    use crate::domain::{HoldKind, RegistrationState};
    use crate::fixtures::{
        by, cart, code, offer, offer_again, registrations, seats_agree, section, taken, told,
    };
    use crate::operations::OfBundle;

    /// Ada, to whom the only seat is offered, with Bob behind her.
    async fn offered(ctx: &Ctx) -> [WaitlistEntryId; 2] {
        let section = offer(&ctx.table, "a", full(WaitlistMode::Confirmation, 0)).await;
        let entries = [join(ctx, "ada", section).await, join(ctx, "bob", section).await];
        offer_again(&ctx.table, "a", 2, full(WaitlistMode::Confirmation, 1)).await;
        serve(ctx).await;
        entries
    }

    #[tokio::test]
    async fn an_offer_is_taken_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let [ada, _] = offered(&Ctx::new(table.clone())).await;
                testkit::call(Command { entry: ada })
            },
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let taken_up = entry(&ctx, call.command.entry).await;
                assert_eq!(taken_up.state, WaitlistState::Registered);
                assert_eq!(taken(table, section("a")).await, 1);
                seats_agree(table, section("a"), &[person("ada")]).await;
                let requests: Vec<SagaRequested> = told(table).await;
                assert_eq!(requests.len(), 1);
                let SagaRequested { submission, bundle, attempt, .. } = requests[0];
                let step = testkit::step(OfBundle { submission, bundle, attempt });
                confirm::handle(&ctx, &step).await.expect("confirms");
                let registration = registrations(table, person("ada")).await.remove(0);
                assert_eq!(registration.state, RegistrationState::Registered);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_seat_is_held_for_that_student_until_the_offer_expires() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [ada, bob] = offered(&ctx).await;
        assert_eq!(taken(&test.table, section("a")).await, 1, "it is held");
        let others = submit::handle(&ctx, &by("cyd", cart(&[section("a")]))).await;
        assert_eq!(code(others), "CLOSED");
        let accept = |student, entry, now: &str| {
            let now = now.parse().expect("a timestamp");
            Call { now, ..by(student, testkit::call(Command { entry })) }
        };
        let early = accept("bob", bob, testkit::NOW);
        assert_eq!(code(handle(&ctx, &early).await), "NOTHING_OFFERED");
        let late = accept("ada", ada, "2027-01-16T08:30:00Z");
        assert_eq!(code(handle(&ctx, &late).await), "OFFER_EXPIRED", "a day is over");
        let tick = |now: &str| shell::Tick {
            now: now.parse().expect("a timestamp"),
            correlation_id: "test".into(),
        };
        sweep_waitlists::handle(&ctx, &tick("2027-01-16T08:29:59Z")).await.expect("sweeps");
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Offered);
        sweep_waitlists::handle(&ctx, &tick("2027-01-16T08:30:00Z")).await.expect("sweeps");
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::OfferExpired);
        assert_eq!(taken(&test.table, section("a")).await, 0);
        serve(&ctx).await;
        assert_eq!(entry(&ctx, bob).await.state, WaitlistState::Offered, "the next one's");
        let taken_up = accept("bob", bob, "2027-01-16T08:00:00Z");
        handle(&ctx, &taken_up).await.expect("within the day");
    }

    #[tokio::test]
    async fn whoever_may_not_register_any_more_does_not_by_an_offer() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [ada, _] = offered(&ctx).await;
        let hold = place_hold::tests::on("ada", HoldKind::Academic);
        let hold = place_hold::tests::office(shell::Role::Registrar, hold);
        place_hold::handle(&ctx, &hold).await.expect("held");
        let accept = testkit::call(Command { entry: ada });
        assert_eq!(code(handle(&ctx, &accept).await), "HOLD");
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Offered, "until it expires");
        assert_eq!(told::<SagaRequested>(&test.table).await, []);
    }
}
