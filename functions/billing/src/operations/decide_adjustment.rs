//! A second person approves an adjustment, and it is booked; or rejects it. Nobody decides on their own request.

use kernel::AdjustmentId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Noted;

use super::BURSAR;
use crate::Ctx;
use crate::adjusting;
use crate::domain::{AccountAdjustment, Decided, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "decide-adjustment",
    "/adjustments/{adjustment}/decision",
    BURSAR,
    "Approve or reject what somebody else wants to adjust",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub adjustment: AdjustmentId,
    pub approved: bool,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub type Reply = AccountAdjustment;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    store::in_line_for_a_number(async || decide(ctx, call).await).await
}

async fn decide(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { adjustment, approved, reason } = call.command.clone();
    let stored = ctx.table.get(&store::adjustment_key(adjustment)).await?;
    let mut stored = stored.ok_or(Refusal::AdjustmentUnknown)?;
    let before = stored.value.clone();
    let decided = Decided { by: call.person(), at: call.now, reason };
    if !stored.value.decide(approved, decided)? {
        return Ok(stored.value);
    }
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    if approved {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        adjusting::book(ctx, &mut transaction, &stored.value, cause).await?;
    }
    let trail = ctx.table.trail(before.student).await?;
    let noted =
        Noted::change(format!("adjustment/{adjustment}")).fields_of(Some(&before), &stored.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &stored.value);
    transaction.commit().await?;
    Ok(stored.value)
}

#[cfg(test)]
mod tests {
    use super::super::list_adjustments;
    use super::super::request_adjustment::{self, tests::a_charge, tests::adjust};
    use super::*;
    use crate::domain::{Account, AdjustmentState};
    use crate::fixtures::{account, check_ledger, code, ctx, francs, journal};

    fn by(name: &str, adjustment: AdjustmentId, approved: bool) -> Call<Command> {
        let caller = shell::Caller {
            person: testkit::person(name),
            session: kernel::Id::derived_from(name),
            grants: Vec::new(),
        };
        let command = Command { adjustment, approved, reason: "Seen.".into() };
        Call { caller: Some(caller), ..testkit::call(command) }
    }

    async fn requested(ctx: &Ctx) -> AdjustmentId {
        let call = adjust(a_charge(), 70_000);
        request_adjustment::handle(ctx, &call).await.expect("requested").id
    }

    async fn pending(ctx: &Ctx) -> usize {
        let call = testkit::call(list_adjustments::Command { student: None });
        list_adjustments::handle(ctx, &call).await.expect("lists").items.len()
    }

    #[tokio::test]
    async fn what_a_second_person_approves_is_booked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| by("dean", requested(&ctx(table)).await, true),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                let again = handle(&ctx, &by("dean", call.command.adjustment, true)).await;
                assert_eq!(again.expect("a double click").state, AdjustmentState::Booked);
                let owed = account(&ctx, "ada").await.balance(Account::Receivable);
                assert_eq!(owed, francs(70_000));
                assert_eq!(pending(&ctx).await, 0);
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [request_adjustment::ROUTE.operation, ROUTE.operation]);
                assert_eq!(check_ledger(&ctx).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_approves_their_own_and_what_is_rejected_is_never_booked() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let id = requested(&ctx).await;
        assert_eq!(pending(&ctx).await, 1);
        assert_eq!(code(handle(&ctx, &by("ada", id, true)).await), "SECOND_PERSON_REQUIRED");
        handle(&ctx, &by("dean", id, false)).await.expect("rejected");
        assert_eq!(code(handle(&ctx, &by("rector", id, true)).await), "ADJUSTMENT_DECIDED");
        assert_eq!(journal(&ctx).await.len(), 0);
        let student = Some(testkit::person("ada"));
        let call = testkit::call(list_adjustments::Command { student });
        let listed = list_adjustments::handle(&ctx, &call).await.expect("lists");
        assert_eq!(listed.items[0].state, AdjustmentState::Rejected);
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &by("dean", nowhere, true)).await), "ADJUSTMENT_UNKNOWN");
    }
}
