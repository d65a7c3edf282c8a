//! Where somebody picks: the staff hold a free seat for one who stands in line, who then has to take it.

use events::{WaitlistMode, WaitlistState};
use kernel::WaitlistEntryId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Fault, Route};

use super::APPROVERS;
use super::list_waitlist_entries::Item;
use crate::Ctx;
use crate::domain::{Door, Refusal};
use crate::line::serving;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "offer-seat",
    "/waitlist-entries/{entry}/offer",
    APPROVERS,
    "Hold a free seat for one who stands in line",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub entry: WaitlistEntryId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Item, Failure> {
    let stored = ctx.table.get(&store::waitlist_entry_key(call.command.entry)).await?;
    let stored = stored.ok_or(Refusal::WaitlistEntryUnknown)?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let turn = serving::turn(ctx, &stored.value, Door::Line, cause).await?;
    if !call.may_touch(call.person(), std::slice::from_ref(&turn.seats().department)) {
        return Err(Refusal::WaitlistEntryUnknown.into());
    }
    match stored.value.state {
        WaitlistState::Waiting => {}
        WaitlistState::Offered => return Err(Refusal::OfferedAlready.into()),
        _ => return Err(Refusal::WaitlistEntryEnded.into()),
    }
    let seats = turn.seats();
    let is_open = seats.has_waitlist(turn.situation.background.today);
    if seats.waitlist.mode != WaitlistMode::Manual || !is_open {
        return Err(Refusal::NoWaitlist.into());
    }
    let Ok(planned) = &turn.planned else {
        let unsaid = || Fault::defect(format!("{} is refused without a word", stored.value.id));
        return Err(turn.refusal.ok_or_else(unsaid)?.into());
    };
    let version = stored.version + 1;
    let by = call.person().to_string();
    let mut transaction = ctx.table.transaction();
    let entry = serving::write_offer(ctx, &mut transaction, stored, &turn, planned, (&by, cause));
    let reply = Item::of(&entry, version, None);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use shell::Role;
    use testkit::TestTable;

    use super::super::give_override::tests::staff;
    use super::super::join_waitlist::tests::{entry, full, join, serve};
    use super::super::submit;
    use super::*;
    use crate::fixtures::{by, cart, code, offer, offer_again, section, taken};

    /// Two in line, and one seat that nobody gets by himself.
    async fn waiting(ctx: &Ctx) -> [WaitlistEntryId; 2] {
        let section = offer(&ctx.table, "a", full(WaitlistMode::Manual, 0)).await;
        let entries = [join(ctx, "ada", section).await, join(ctx, "bob", section).await];
        offer_again(&ctx.table, "a", 2, full(WaitlistMode::Manual, 1)).await;
        serve(ctx).await;
        entries
    }

    fn pick(department: &str, entry: WaitlistEntryId) -> Call<Command> {
        staff("head", Role::HeadOfDepartment, Some(department), Command { entry })
    }

    #[tokio::test]
    async fn somebody_is_picked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| pick("MATH", waiting(&Ctx::new(table.clone())).await[1]),
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, call| {
                let picked = entry(&Ctx::new(table.clone()), call.command.entry).await;
                assert_eq!(picked.state, WaitlistState::Offered);
                assert_eq!(taken(table, picked.section).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn only_the_section_s_department_picks_and_only_while_a_seat_is_free() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [ada, bob] = waiting(&ctx).await;
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Waiting, "somebody picks");
        let outsider = submit::handle(&ctx, &by("cyd", cart(&[section("a")]))).await;
        assert_eq!(code(outsider), "WAITLIST_ONLY");
        let strange = handle(&ctx, &pick("PHYS", bob)).await;
        assert_eq!(code(strange), "WAITLIST_ENTRY_UNKNOWN");
        handle(&ctx, &pick("MATH", bob)).await.expect("offered");
        assert_eq!(code(handle(&ctx, &pick("MATH", bob)).await), "OFFERED_ALREADY");
        assert_eq!(code(handle(&ctx, &pick("MATH", ada)).await), "CLOSED");
        let other = offer(&test.table, "b", full(WaitlistMode::Automatic, 0)).await;
        let other = join(&ctx, "ada", other).await;
        assert_eq!(code(handle(&ctx, &pick("MATH", other)).await), "NO_WAITLIST");
    }
}
