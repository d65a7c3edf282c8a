//! A student stands in line no longer, or declines the seat that is held for them: it goes to the next. Leaving twice
//! changes nothing.

use events::WaitlistState;
use kernel::WaitlistEntryId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Stored;

use super::STUDENT_OR_REGISTRAR;
use super::list_waitlist_entries::Item;
use crate::Ctx;
use crate::domain::{Refusal, WaitlistEntry};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "leave-waitlist",
    "/waitlist-entries/{entry}/leaving",
    STUDENT_OR_REGISTRAR,
    "Stand in line no longer, or decline what is offered",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub entry: WaitlistEntryId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Item, Failure> {
    let stored = of_caller(ctx, call, call.command.entry).await?;
    let version = stored.version;
    let to = match stored.value.state {
        WaitlistState::Waiting => WaitlistState::Left,
        WaitlistState::Offered => WaitlistState::Declined,
        WaitlistState::Left | WaitlistState::Declined => {
            return Ok(Item::of(&stored.value, version, None));
        }
        WaitlistState::Registered | WaitlistState::OfferExpired | WaitlistState::Closed => {
            return Err(Refusal::WaitlistEntryEnded.into());
        }
    };
    let in_line = store::in_line(&ctx.table, stored).await?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let by = call.person().to_string();
    let left = store::write_end(&mut transaction, in_line, to, &by, cause);
    let reply = Item::of(&left, version + 1, None);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// The entry, where it is within the caller's reach; to others it does not exist.
pub(super) async fn of_caller<C>(
    ctx: &Ctx,
    call: &Call<C>,
    id: WaitlistEntryId,
) -> Result<Stored<WaitlistEntry>, Failure> {
    let stored = ctx.table.get(&store::waitlist_entry_key(id)).await?;
    let within = stored.filter(|stored| call.may_touch(stored.value.student, &[]));
    Ok(within.ok_or(Refusal::WaitlistEntryUnknown)?)
}

#[cfg(test)]
mod tests {
    use events::WaitlistMode;
    use testkit::{TestTable, person};

    use super::super::join_waitlist::tests::{
        dropped, entry, full, join, joining, registered, serve,
    };
    use super::super::{accept_offer, join_waitlist, submit, swap_registration};
    use super::*;
    use crate::fixtures::{by, cart, code, offer, offer_again, seats_agree, taken};

    #[tokio::test]
    async fn somebody_leaves_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                let section = offer(table, "a", full(WaitlistMode::Automatic, 1)).await;
                registered(&ctx, "bob", section).await;
                testkit::call(Command { entry: join(&ctx, "ada", section).await })
            },
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let left = entry(&ctx, call.command.entry).await;
                assert_eq!(left.state, WaitlistState::Left);
                let again = testkit::call(call.command.clone());
                handle(&ctx, &again).await.expect("leaving twice changes nothing");
                let joined = join_waitlist::handle(&ctx, &joining("ada", left.section)).await;
                assert_eq!(joined.expect("at the end of the line").position, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn whoever_waits_leaves_the_line_before_registering_otherwise() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Confirmation, 0)).await;
        let other = offer(&test.table, "b", |_| ()).await;
        let registration = registered(&ctx, "ada", other).await;
        let ada = join(&ctx, "ada", section).await;
        offer_again(&test.table, "a", 2, full(WaitlistMode::Confirmation, 2)).await;
        serve(&ctx).await;
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Offered);
        let submitted = submit::handle(&ctx, &cart(&[section])).await;
        assert_eq!(code(submitted), "WAITING_ALREADY", "another seat is free");
        let (sections, with_linked) = (vec![section], false);
        let swap = swap_registration::Command { registration, sections, with_linked };
        let swapped = swap_registration::handle(&ctx, &testkit::call(swap)).await;
        assert_eq!(code(swapped), "WAITING_ALREADY");
        handle(&ctx, &testkit::call(Command { entry: ada })).await.expect("declined");
        let registration = registered(&ctx, "ada", section).await;
        dropped(&ctx, "ada", registration).await;
        serve(&ctx).await;
        seats_agree(&test.table, section, &[person("ada")]).await;
        assert_eq!(taken(&test.table, section).await, 0, "nobody is seated once more");
    }

    #[tokio::test]
    async fn a_declined_seat_goes_to_the_next() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Confirmation, 0)).await;
        let (ada, bob) = (join(&ctx, "ada", section).await, join(&ctx, "bob", section).await);
        offer_again(&test.table, "a", 2, full(WaitlistMode::Confirmation, 1)).await;
        serve(&ctx).await;
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Offered);
        let strange = by("bob", testkit::call(Command { entry: ada }));
        assert_eq!(code(handle(&ctx, &strange).await), "WAITLIST_ENTRY_UNKNOWN");
        handle(&ctx, &testkit::call(Command { entry: ada })).await.expect("declined");
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Declined);
        let late = testkit::call(accept_offer::Command { entry: ada });
        assert_eq!(code(accept_offer::handle(&ctx, &late).await), "WAITLIST_ENTRY_ENDED");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, bob).await.state, WaitlistState::Offered);
        let accept = by("bob", testkit::call(accept_offer::Command { entry: bob }));
        accept_offer::handle(&ctx, &accept).await.expect("accepted");
        seats_agree(&test.table, section, &["ada", "bob"].map(person)).await;
    }
}
