//! Money that we send back: recorded first, then asked for under the refund's own id. Over the counter it is gone;
//! through the provider it is on its way until the webhook tells what came of it.

use kernel::{Id, Money, RefundId};
use serde::Serialize;
use shell::{Call, Failure};
use table::{Noted, Stored, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::conclusion;
use crate::domain::{
    Decided, Payment, Refund, RefundState, RefundWord, SuspenseItem, begin_refund,
};
use crate::operations::refund_payment;
use crate::provider::Answer;
use crate::returning::{self, Found};
use crate::store::{self, Cause};

/// What is to go back, and what an earlier run of the same call has recorded of it.
#[derive(Debug)]
pub struct Order {
    id: RefundId,
    pub begun: Option<Stored<Refund>>,
}

impl Order {
    pub async fn of<C>(ctx: &Ctx, call: &Call<C>, found: &Found) -> Result<Self, Failure> {
        let id = match &call.idempotency_key {
            Some(key) => RefundId::derived_from(&key.scope),
            None => call.new_id(),
        };
        Ok(Self { id, begun: ctx.table.get(&store::refund_key(found.origin(), id)).await? })
    }
}

/// Sends so much of the money back, or goes on with what was begun.
pub async fn send_back<C, R: Serialize>(
    ctx: &Ctx,
    call: &Call<C>,
    (order, mut found): (Order, Found),
    (amount, reason): (Money, &str),
    reply: impl Fn(&Found) -> R,
) -> Result<R, Failure> {
    let mut transaction = ctx.table.transaction();
    let begin = Begin { id: order.id, amount, reason };
    let mut refund = match order.begun {
        Some(refund) => refund,
        None if found.came_through_provider() => {
            let mut first = ctx.table.transaction();
            let refund = begin.record(ctx, call, &mut first, &mut found).await?;
            first.commit().await?;
            refund
        }
        None => begin.record(ctx, call, &mut transaction, &mut found).await?,
    };
    if refund.value.state == RefundState::Initiated {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        ask(ctx, &mut transaction, (&mut refund, &mut found), cause).await?;
    }
    let reply = reply(&found);
    call.keep_reply(&mut transaction, &reply);
    if !transaction.is_empty() {
        transaction.commit().await?;
    }
    Ok(reply)
}

struct Begin<'a> {
    id: RefundId,
    amount: Money,
    reason: &'a str,
}

impl Begin<'_> {
    /// Takes the money from where it lies.
    async fn record<C>(
        &self,
        ctx: &Ctx,
        call: &Call<C>,
        transaction: &mut Transaction<'_>,
        found: &mut Found,
    ) -> Result<Stored<Refund>, Failure> {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        match found {
            Found::Payment(payment) => self.of_payment(ctx, transaction, payment, cause).await?,
            Found::Suspense(item) => {
                let reason = self.reason.to_owned();
                let decided = Decided { by: call.person(), at: call.now, reason };
                self.of_suspense(ctx, transaction, (item, decided), cause).await?;
            }
        }
        let is_gone = !found.came_through_provider();
        let refund = Refund {
            id: self.id,
            of: found.origin(),
            payment_ref: found.provider_ref().filter(|_| !is_gone),
            amount: self.amount,
            unplaced: 0,
            reason: self.reason.to_owned(),
            state: if is_gone { RefundState::Paid } else { RefundState::Initiated },
            provider_ref: None,
            failure_reason: None,
            refunded_by: Some(call.person()),
            refunded_at: call.now,
            asked_at: call.now,
            concluded_at: is_gone.then_some(call.now),
        };
        transaction.create(&refund);
        if let Found::Payment(payment) = found {
            let trail = ctx.table.trail(payment.value.student).await?;
            let noted = Noted::change(format!("refund/{}", self.id)).fields_of(None, &refund);
            trail.append(transaction, &call.deed(refund_payment::ROUTE.operation), noted);
        }
        Ok(Stored { value: refund, version: 1 })
    }

    async fn of_payment(
        &self,
        ctx: &Ctx,
        transaction: &mut Transaction<'_>,
        payment: &mut Stored<Payment>,
        cause: Cause<'_>,
    ) -> Result<(), Failure> {
        let wanted = Wanted { now: cause.now, series: &[], invoices: &[] };
        let (student, currency) = (payment.value.student, payment.value.amount.currency);
        let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
        let booking = books.booking_today(cause.now);
        let (id, account) = (self.id.to_string(), &mut books.account.value);
        let turn = begin_refund(&mut payment.value, self.amount, &id, account, booking)?;
        books.write(transaction, &[turn], cause);
        transaction.update(payment);
        payment.version += 1;
        Ok(())
    }

    async fn of_suspense(
        &self,
        ctx: &Ctx,
        transaction: &mut Transaction<'_>,
        (item, decided): (&mut Stored<SuspenseItem>, Decided),
        cause: Cause<'_>,
    ) -> Result<(), Failure> {
        let booking = conclusion::book_for_nobody(ctx, transaction, cause).await?;
        let entry = item.value.begin_return(&self.id.to_string(), booking)?;
        item.value.decided = Some(decided);
        store::write_entry(transaction, &entry);
        transaction.update(item);
        item.version += 1;
        Ok(())
    }
}

/// Asks the provider and writes down what it said. That it will pay is no news: the webhook is the truth.
async fn ask(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (refund, found): (&mut Stored<Refund>, &mut Found),
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let payment_ref = refund.value.payment_ref.clone().unwrap_or_default();
    let answer = ctx.provider.refund(&refund.value, &payment_ref).await;
    let (word, provider_ref) = match answer {
        Ok(Answer::Report(report)) => {
            let word = match report.word {
                RefundWord::Paid => RefundWord::Undecided,
                other => other,
            };
            (word, Some(report.provider_ref))
        }
        Ok(Answer::Refused { reason }) => (RefundWord::Failed { reason }, None),
        Ok(Answer::Unknown) => (RefundWord::Failed { reason: "provider_unknown".into() }, None),
        Err(fault) => {
            // Unknown is not failed: the schedule asks again.
            tracing::warn!(
                correlation_id = cause.correlation_id,
                refund = %refund.value.id,
                error = fault.chain(),
                "it is not known what the payment provider did"
            );
            (RefundWord::Undecided, None)
        }
    };
    let told = (&word, provider_ref.as_deref());
    returning::follow_in(ctx, transaction, (refund, found), told, cause).await
}
