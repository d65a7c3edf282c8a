//! Schedule: asks the provider about refunds of which it has told nothing for a minute; the one of which it was asked
//! longest ago comes first.

use kernel::{RefundId, Timestamp};
use shell::{Failure, Fault, Tick};

use crate::Ctx;
use crate::domain::{Refund, RefundReport, RefundWord};
use crate::inquiry::{self, Reply, UnderWay};
use crate::provider::Answer;
use crate::returning::{self, Found};
use crate::store::{self, Cause};

const OPERATION: &str = "query-pending-refunds";

impl UnderWay for Refund {
    type Id = RefundId;

    fn id(&self) -> RefundId {
        self.id
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_overdue(now)
    }
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let list = (OPERATION, store::refunds_under_way());
    inquiry::ask_all(ctx, tick, list, async |refund| ask(ctx, refund, tick).await).await
}

async fn ask(ctx: &Ctx, refund: &Refund, tick: &Tick) -> Result<(), Failure> {
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let answer = answer_about(ctx, refund, tick).await?;
    let reason = match answer {
        Answer::Report(report) => {
            let report = RefundReport { refund: Some(refund.id), ..report };
            return returning::conclude_refund(ctx, &report, cause).await;
        }
        Answer::Refused { reason } => reason,
        Answer::Unknown => "provider_unknown".to_owned(),
    };
    let stored = ctx.table.get(&store::refund_key(refund.of, refund.id)).await?;
    let stored = stored.ok_or_else(|| store::missing("refund", refund.id))?;
    let found = Found::of(ctx, refund.of).await?;
    returning::follow(ctx, stored, found, (&RefundWord::Failed { reason }, None), cause).await
}

async fn answer_about(
    ctx: &Ctx,
    refund: &Refund,
    tick: &Tick,
) -> Result<Answer<RefundReport>, Fault> {
    let payment_ref = refund.payment_ref.as_deref().unwrap_or_default();
    match &refund.provider_ref {
        Some(provider_ref) => ctx.provider.look_up_refund(provider_ref).await,
        None if !refund.is_forgotten(tick.now) => ctx.provider.refund(refund, payment_ref).await,
        // Its key is forgotten, its name is not: what is not among the refunds of the payment was never made.
        None => Ok(match ctx.provider.refunds_of(payment_ref).await? {
            Answer::Report(reports) => {
                let own = reports.into_iter().find(|report| report.refund == Some(refund.id));
                own.map_or(Answer::Unknown, Answer::Report)
            }
            Answer::Refused { reason } => Answer::Refused { reason },
            Answer::Unknown => Answer::Unknown,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use events::{Event, PaymentRefunded};
    use shell::Call;
    use table::deadline;

    use super::super::{list_refunds, refund_payment};
    use super::*;
    use crate::domain::RefundState;
    use crate::fixtures::{count, ctx, ctx_with, francs, give_by_card, provider};
    use crate::inquiry::QUESTION_MAX;

    #[tokio::test]
    async fn many_refunds_that_hang_do_not_starve_the_younger_ones() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let heard = ctx_with(&test.table, &provider);
        let payment = give_by_card(&heard, &provider, "pm_card_visa").await;
        let deaf = ctx(&test.table);
        for at in 0..12 {
            let command =
                refund_payment::Command { payment, amount: francs(100), reason: "left".into() };
            let now = testkit::now() + jiff::SignedDuration::from_secs(at);
            let call = Call { now, ..testkit::call(command) };
            refund_payment::handle(&deaf, &call).await.expect("begun");
        }
        let now = testkit::now() + jiff::SignedDuration::from_mins(10);
        let tick = Tick { now, correlation_id: "test".into() };
        // So much time as for the first questions, each of which nobody answers.
        let mut asked = 0;
        for _ in 0..RUNS_MAX {
            let ends_at = tokio::time::Instant::now() + QUESTION_MAX + Duration::from_millis(50);
            let reply = deadline::within(ends_at, handle(&deaf, &tick)).await.expect("asks");
            assert_eq!(reply.asked, reply.unanswered);
            asked += reply.asked;
            let left_off = deaf.table.get(&store::left_off_key(OPERATION)).await.expect("reads");
            if asked > 0 && left_off.is_none_or(|left_off| left_off.value.after.is_none()) {
                break;
            }
        }
        assert_eq!(asked, 12, "each of them once before any a second time");
    }

    const RUNS_MAX: usize = 200;

    #[tokio::test]
    async fn what_the_webhook_did_not_tell_is_asked_and_booked_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        let now = testkit::now() + jiff::SignedDuration::from_mins(10);
        let tick = Tick { now, correlation_id: "test".into() };
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx_with(table, &provider);
                let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
                let (amount, reason) = (francs(150_000), "left".into());
                let call = testkit::call(refund_payment::Command { payment, amount, reason });
                refund_payment::handle(&ctx, &call).await.expect("asked for");
                payment
            },
            async |table, _| {
                let reply = handle(&ctx_with(table, &provider), &tick).await?;
                if reply.unanswered == 0 {
                    Ok(())
                } else {
                    Err(Fault::outside("the next tick asks again", "one fault").into())
                }
            },
            async |table, payment| {
                let ctx = ctx(table);
                let call = testkit::call(list_refunds::Command { payment: *payment });
                let refunds = list_refunds::handle(&ctx, &call).await.expect("lists").items;
                let states: Vec<_> = refunds.iter().map(|refund| refund.status).collect();
                assert_eq!(states, [RefundState::Paid]);
                assert_eq!(count(&ctx, PaymentRefunded::NAME).await, 1);
                assert_eq!(provider.refunds_of(*payment).len(), 1);
            },
        )
        .await;
    }
}
