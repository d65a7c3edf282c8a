//! Saga step, the undo of charge: takes what is left of a bundle's charge back with a credit note, and what a
//! later calculation put in its place; what was paid of it becomes the student's unapplied cash. A bundle that was
//! never charged is marked, so that it never will be.

use kernel::BundleId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Step};
use table::{Stored, Transaction};

use crate::Ctx;
use crate::domain::{Charge, ChargeState};
use crate::store::{self, Cause, Opened, missing};
use crate::term_desk::{TermDesk, issue_undo};

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

/// Takes the bundle off the bill of its term, and brings that to what is due without it.
async fn credit(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    charge: Stored<Charge>,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let posted = charge.value.standing()?;
    let mut desk = TermDesk::read(ctx, posted.student, posted.term, None, &[]).await?;
    let bill = desk.standing_bill().ok_or_else(|| missing("term bill", posted.term))?;
    let mut bill = Opened::from(bill);
    let (bundle, rules, population) = (charge.value.bundle, &desk.rules, &desk.population);
    let adjustment = bill.value.undo(bundle, posted.invoice, rules, population)?;
    issue_undo(ctx, transaction, bill, adjustment, (charge, cause)).await
}

#[cfg(test)]
mod tests {
    use events::{ChargeReversed, ChargeSettled, Event};

    use super::*;
    use crate::domain::{Account, InvoiceState};
    use crate::fixtures::{
        account, band_rules, bundle, charge, check_ledger, count, ctx, francs, give, invoice,
        provider, unapplied_cash,
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
    async fn what_an_undone_bundle_paid_for_all_is_billed_to_the_rest_whatever_happens() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                band_rules(&ctx).await;
                let first = charge(&ctx, "ada", "one").await;
                let second = charge(&ctx, "ada", "two").await;
                assert_eq!((first.amount, second.amount), (francs(1_060), francs(60)));
            },
            async |table, ()| handle(&ctx(table), &undo("one")).await.map(drop),
            async |table, ()| {
                let ctx = ctx(table);
                let owed = account(&ctx, "ada").await.balance(Account::Receivable);
                assert_eq!(owed, francs(1_060), "six credits and the flat part");
                assert_eq!(check_ledger(&ctx).await, 4);
                give(&ctx, "ada", 60).await;
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 0, "the flat part is open");
                give(&ctx, "ada", 1_000).await;
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn money_of_several_payments_that_is_freed_pays_for_one_other_invoice() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        for minor in [60_000, 50_000, 40_000] {
            give(&ctx, "ada", minor).await;
        }
        let other = charge(&ctx, "ada", "two").await;
        assert!(!other.settled);
        handle(&ctx, &undo("one")).await.expect("three funds, two lines, one invoice");
        assert_eq!(invoice(&ctx, &other).await.state(), InvoiceState::Paid);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 0);
        check_ledger(&ctx).await;
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
