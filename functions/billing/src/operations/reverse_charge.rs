//! Saga step, the undo of charge: takes what is left of a bundle's charge back with a credit note; what was
//! paid of it
//! becomes the student's unapplied cash. A bundle that was never charged is marked, so that it never will be.

use kernel::BundleId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Step};
use table::{Stored, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Charge, ChargeState, Series, everything_of, take_back};
use crate::store::{self, Cause, missing};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub bundle: BundleId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub state: ChargeState,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    store::in_line_for_a_number(async || reverse(ctx, step).await).await
}

async fn reverse(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let bundle = step.command.bundle;
    let mut transaction = ctx.table.transaction();
    match ctx.table.get(&store::charge_key(Charge::id_of(bundle))).await? {
        None => {
            transaction.create(&Charge::never_posted(bundle));
        }
        Some(Stored { value: Charge { state: ChargeState::Reversed, .. }, .. }) => {
            return Ok(Reply { state: ChargeState::Reversed });
        }
        Some(charge) => {
            let cause = Cause { now: step.now, correlation_id: &step.correlation_id };
            credit(ctx, &mut transaction, charge, cause).await?;
        }
    }
    transaction.commit().await?;
    Ok(Reply { state: ChargeState::Reversed })
}

/// Takes back what stands of the bundle's invoice, and takes the bundle off the bill of its term.
async fn credit(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    charge: Stored<Charge>,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let posted = charge.value.standing()?;
    let series = &[Series::CreditNotes];
    let wanted = Wanted { now: cause.now, series, invoices: &[posted.invoice] };
    let currency = posted.amount.currency;
    let mut books = Bookkeeping::open(ctx, posted.student, currency, wanted).await?;
    let bill_key = store::term_bill_key(posted.student, posted.term);
    let mut bill =
        ctx.table.get(&bill_key).await?.ok_or_else(|| missing("term bill", posted.term))?;
    bill.value.undo(charge.value.bundle);
    books.add_charge(charge.into());
    let lines = everything_of(books.invoice(posted.invoice));
    let number = books.take_number(Series::CreditNotes);
    let booking = books.booking_today(cause.now);
    let (account, invoice) = books.account_and_invoice(posted.invoice);
    let (note, turn) = take_back(invoice, account, &lines, &number, booking)?;
    books.take_over(&turn).await?;
    bill.value.follow(books.invoice(posted.invoice));
    transaction.update(&bill);
    books.write(transaction, &[turn], cause);
    books.write_note(transaction, &note, cause);
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{ChargeReversed, Event};

    use super::*;
    use crate::domain::InvoiceState;
    use crate::fixtures::{
        bundle, charge, check_ledger, count, ctx, invoice, provider, unapplied_cash,
    };
    use crate::fixtures::{ctx_with, pay, webhook};
    use crate::operations::receive_webhook;

    fn undo(name: &str) -> Step<Command> {
        testkit::step(Command { bundle: bundle(name) })
    }

    #[tokio::test]
    async fn a_charge_is_taken_back_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| charge(&ctx(table), "ada", "one").await,
            async |table, _| handle(&ctx(table), &undo("one")).await.map(drop),
            async |table, charge| {
                let ctx = ctx(table);
                let again = handle(&ctx, &undo("one")).await.expect("twice changes nothing");
                assert_eq!(again.state, ChargeState::Reversed);
                let invoice = invoice(&ctx, charge).await;
                assert_eq!((invoice.state(), invoice.open().minor), (InvoiceState::Credited, 0));
                assert_eq!(invoice.credits()[0].credit_note_number, "MAT-CN-2027-000001");
                assert_eq!(check_ledger(&ctx).await, 2);
                assert_eq!(count(&ctx, ChargeReversed::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_bundle_never_charged_is_marked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| (),
            async |table, ()| handle(&ctx(table), &undo("one")).await.map(drop),
            async |table, ()| {
                let again = handle(&ctx(table), &undo("one")).await.expect("still marked");
                assert_eq!(again.state, ChargeState::Reversed);
                assert_eq!(testkit::published(table).await.len(), 0);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_paid_becomes_the_student_s_and_pays_for_the_next_charge() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let first = charge(&ctx, "ada", "one").await;
        pay(&ctx, &first, "pm_card_visa").await;
        let told = webhook(&provider.intents()[0]);
        receive_webhook::handle(&ctx, &told).await.expect("paid");
        handle(&ctx, &undo("one")).await.expect("taken back");
        assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
        assert!(charge(&ctx, "ada", "two").await.settled);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 0);
        check_ledger(&ctx).await;
    }
}
