//! Ends a payment plan, with a reason: what it covered is due as its invoices say.

use events::PaymentPlanCancelled;
use kernel::{Currency, PaymentPlanId, PersonId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::read_payment_plans::Plan;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Decided, Refusal};
use crate::store::Cause;

pub const ROUTE: Route = Route::act(
    "cancel-payment-plan",
    "/payment-plans/{payment_plan}/cancellation",
    BURSAR,
    "End a payment plan: what it covered is due as its invoices say",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub payment_plan: PaymentPlanId,
    /// Whose it is.
    pub student: PersonId,
    pub currency: Currency,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub type Reply = Plan;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { payment_plan, student, currency, reason } = call.command.clone();
    let wanted = Wanted { now: call.now, series: &[], invoices: &[] };
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
    let account = &mut books.account.value;
    let decided = Decided { by: call.person(), at: call.now, reason };
    let is_news = account.cancel_plan(payment_plan, decided)?;
    let plan = account.plans().iter().find(|plan| plan.id == payment_plan);
    let plan = plan.ok_or(Refusal::PlanUnknown)?;
    let reply = Plan::of(plan, account);
    if !is_news {
        return Ok(reply);
    }
    let term_code = plan.term_code.clone();
    let event = PaymentPlanCancelled { plan: payment_plan, student, term_code };
    books.follow().await?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    books.write(&mut transaction, &[], cause);
    transaction.event(event, 2, cause.now, cause.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::super::begin_payment_plan::{
        self,
        tests::{choose, offer},
    };
    use super::*;
    use crate::domain::PlanState;
    use crate::fixtures::{charge, code, count, ctx, francs, give};

    fn cancel(payment_plan: PaymentPlanId) -> Call<Command> {
        let (student, currency) = (testkit::person("ada"), francs(0).currency);
        let reason = "Not kept.".to_owned();
        testkit::call(Command { payment_plan, student, currency, reason })
    }

    #[tokio::test]
    async fn a_plan_ends_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                offer(&ctx, true).await;
                charge(&ctx, "ada", "one").await;
                cancel(begin_payment_plan::handle(&ctx, &choose()).await.expect("begins").id)
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                let again = handle(&ctx, call).await.expect("a double click is harmless");
                assert_eq!(again.status, PlanState::Cancelled);
                assert_eq!(count(&ctx, PaymentPlanCancelled::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_plan_that_is_unknown_or_paid_is_not_ended() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &cancel(nowhere)).await), "PLAN_UNKNOWN");
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        let plan = begin_payment_plan::handle(&ctx, &choose()).await.expect("begins").id;
        give(&ctx, "ada", 150_000).await;
        assert_eq!(code(handle(&ctx, &cancel(plan)).await), "PLAN_COMPLETED");
    }
}
