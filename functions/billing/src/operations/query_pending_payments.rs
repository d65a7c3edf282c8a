//! Schedule: asks the provider about payments of which it has told nothing for a minute, the oldest first, and gives up
//! those that are older than a day.

use kernel::{PaymentId, Timestamp};
use shell::{Failure, Tick};

use crate::Ctx;
use crate::conclusion;
use crate::domain::{Payment, Report, Word};
use crate::inquiry::{self, Reply, UnderWay};
use crate::provider::Answer;
use crate::store::{self, Cause};

const OPERATION: &str = "query-pending-payments";

impl UnderWay for Payment {
    type Id = PaymentId;

    fn id(&self) -> PaymentId {
        self.id
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_overdue(now)
    }
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let list = (OPERATION, store::payments_under_way());
    inquiry::ask_all(ctx, tick, list, async |payment| ask(ctx, payment, tick).await).await
}

async fn ask(ctx: &Ctx, payment: &Payment, tick: &Tick) -> Result<(), Failure> {
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let is_given_up = payment.is_given_up(tick.now);
    let provider = ctx.provider_of(payment.channel);
    let answer = match &payment.provider_ref {
        // Money that may still come in keeps the invoice busy: the provider is to say that it will not.
        Some(provider_ref) if is_given_up => provider.cancel(provider_ref).await?,
        Some(provider_ref) => provider.look_up(provider_ref).await?,
        None if is_given_up => Answer::Unknown,
        // The provider knows the payment's own id: asked again, it takes the money no second time.
        None => provider.request(payment).await?,
    };
    match answer {
        Answer::Report(Report { word: Word::Failed { .. }, .. }) if is_given_up => {
            conclusion::expire(ctx, payment.id, cause).await
        }
        Answer::Report(report) => {
            let report = Report { payment: Some(payment.id), ..report };
            conclusion::conclude(ctx, &report, cause).await
        }
        Answer::Refused { reason } => conclusion::refuse(ctx, payment.id, &reason, cause).await,
        Answer::Unknown if is_given_up => conclusion::expire(ctx, payment.id, cause).await,
        Answer::Unknown => conclusion::refuse(ctx, payment.id, "provider_unknown", cause).await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use events::{Event, PaymentFailed, PaymentSucceeded};
    use jiff::SignedDuration;
    use table::{PageRequest, Position, deadline};

    use super::*;
    use crate::domain::{InvoiceState, PaymentState};
    use crate::fixtures::{charge, check_ledger, count, ctx, ctx_with, invoice, pay, provider};
    use crate::inquiry::{PAGE, QUESTION_MAX};
    use crate::operations::read_payment;
    use crate::store::LeftOff;

    fn tick(after: SignedDuration) -> Tick {
        Tick { now: testkit::now() + after, correlation_id: "test".into() }
    }

    fn minutes(minutes: i64) -> Tick {
        tick(SignedDuration::from_mins(minutes))
    }

    async fn status(ctx: &Ctx, payment: &read_payment::Reply) -> PaymentState {
        let call = testkit::call(read_payment::Command { payment: payment.id });
        read_payment::handle(ctx, &call).await.expect("reads").status
    }

    #[tokio::test]
    async fn what_the_webhook_did_not_tell_is_asked_and_booked_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx_with(table, &provider);
                let charge = charge(&ctx, "ada", "one").await;
                pay(&ctx, &charge, "pm_card_visa").await;
                charge
            },
            async |table, _| {
                let reply = handle(&ctx_with(table, &provider), &minutes(2)).await?;
                if reply.unanswered == 0 {
                    Ok(())
                } else {
                    Err(shell::Fault::outside("the next tick asks again", "one fault").into())
                }
            },
            async |table, charge| {
                let ctx = ctx(table);
                assert_eq!(invoice(&ctx, charge).await.state(), InvoiceState::Paid);
                assert_eq!(check_ledger(&ctx).await, 2);
                assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_payment_of_less_than_a_minute_is_left_to_the_webhook() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let reply = handle(&ctx, &tick(SignedDuration::from_secs(60))).await.expect("waits");
        assert_eq!((reply.asked, provider.asked()), (0, 1));
    }

    #[tokio::test]
    async fn a_payment_whose_request_was_lost_is_asked_for_again_and_paid_once() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let payment = pay(&ctx, &charge, "pm_sim_timeout").await;
        let reply = handle(&ctx, &minutes(2)).await.expect("asks");
        assert_eq!(reply, Reply { asked: 1, unanswered: 0 });
        assert_eq!(status(&ctx, &payment).await, PaymentState::Succeeded);
        assert_eq!(provider.intents().len(), 1);
    }

    #[tokio::test]
    async fn one_that_cannot_be_asked_about_stops_no_other_and_is_given_up_after_a_day() {
        let test = testkit::TestTable::new().await;
        let deaf = ctx(&test.table);
        let first = charge(&deaf, "ada", "one").await;
        let lost = pay(&deaf, &first, "pm_card_visa").await;
        let second = charge(&deaf, "ada", "two").await;
        pay(&deaf, &second, "pm_card_visa").await;
        let reply = handle(&deaf, &minutes(24 * 60)).await.expect("asks");
        assert_eq!(reply, Reply { asked: 2, unanswered: 2 });
        assert_eq!(status(&deaf, &lost).await, PaymentState::Pending, "unknown is not failed");
        handle(&deaf, &minutes(24 * 60 + 1)).await.expect("gives up");
        assert_eq!(status(&deaf, &lost).await, PaymentState::Expired);
        assert_eq!(count(&deaf, PaymentFailed::NAME).await, 2);
        assert_eq!(invoice(&deaf, &first).await.payment_under_way(), None);
    }

    #[tokio::test]
    async fn what_hangs_at_the_provider_is_cancelled_there_before_it_is_given_up() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx_with = ctx_with(&test.table, &provider);
        let first = charge(&ctx_with, "ada", "one").await;
        let payment = pay(&ctx_with, &first, "pm_sim_hangs").await;
        let day_later = minutes(24 * 60 + 1);
        let deaf = ctx(&test.table);
        let reply = handle(&deaf, &day_later).await.expect("nobody answers");
        assert_eq!(reply, Reply { asked: 1, unanswered: 1 });
        assert_eq!(status(&deaf, &payment).await, PaymentState::Pending, "it may still succeed");
        handle(&ctx_with, &day_later).await.expect("cancels");
        assert_eq!(status(&deaf, &payment).await, PaymentState::Expired);
        assert_eq!(provider.intents()[0]["status"], "canceled");
        let second = charge(&ctx_with, "ada", "two").await;
        let paid = pay(&ctx_with, &second, "pm_card_visa").await;
        handle(&ctx_with, &day_later).await.expect("what succeeded cannot be cancelled");
        assert_eq!(status(&deaf, &paid).await, PaymentState::Succeeded);
    }

    #[tokio::test]
    async fn many_that_hang_do_not_starve_those_behind_them() {
        let test = testkit::TestTable::new().await;
        let deaf = ctx(&test.table);
        for at in 0..12 {
            let charge = charge(&deaf, "ada", &at.to_string()).await;
            pay(&deaf, &charge, "pm_card_visa").await;
        }
        let run = async |left| {
            let deadline = tokio::time::Instant::now() + QUESTION_MAX + left;
            deadline::within(deadline, handle(&deaf, &minutes(2))).await.expect("asks").asked
        };
        assert_eq!(run(Duration::ZERO).await, 0, "no time for a question");
        let page = PageRequest { after: None, limit: PAGE };
        let page = deaf.table.query(&store::payments_under_way(), &page).await.expect("reads");
        let last = page.records.last().expect("ten");
        let after = Position::in_index(&last.value);
        assert_eq!(after, page.next);
        let mut transaction = deaf.table.transaction();
        transaction.create(&LeftOff { operation: OPERATION.into(), after });
        transaction.commit().await.expect("an earlier run left off after ten");
        let behind = handle(&deaf, &minutes(2)).await.expect("asks");
        assert_eq!(behind.asked, 2);
        let again = handle(&deaf, &minutes(2)).await.expect("from the front again");
        assert_eq!(again.asked, 12);
    }

    #[tokio::test]
    async fn a_request_that_the_provider_calls_wrong_fails() {
        let test = testkit::TestTable::new().await;
        let deaf = ctx(&test.table);
        let charge = charge(&deaf, "ada", "one").await;
        let payment = pay(&deaf, &charge, "pm_nonsense").await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        assert_eq!(handle(&ctx, &minutes(2)).await.expect("asks").unanswered, 0);
        assert_eq!(status(&ctx, &payment).await, PaymentState::Failed);
    }
}
