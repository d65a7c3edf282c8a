//! Event: more was to be moved on an account than one transaction holds. The next piece is moved, and where there is
//! more, that is told again: what money paid for that has gone is open again in the end, however many lines that are,
//! and every charge follows.

use events::AccountUnfinished;
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{ROWS_MAX, go_on};
use crate::store::{self, Cause};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let AccountUnfinished { student, currency } = delivery.event()?;
    let Some(account) = ctx.table.get(&store::account_key(student, currency)).await? else {
        return Ok(());
    };
    let overdrawn = account.value.overdrawn().next();
    let invoices = match overdrawn {
        Some(payment) => store::invoices_paid_by(&ctx.table, payment, ROWS_MAX).await?,
        None => Vec::new(),
    };
    let cause = Cause { now: delivery.now, correlation_id: &delivery.envelope.correlation_id };
    let wanted = Wanted { now: cause.now, series: &[], invoices: &invoices };
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
    if !books.account.value.is_unfinished() {
        return Ok(());
    }
    let follows = books.account.value.has_unfollowed();
    let booking = books.booking_today(cause.now);
    let (account, mut paid) = books.account_and_invoices();
    let turn = go_on(overdrawn, &mut paid, (account, booking))?;
    if turn.freed.is_empty() && turn.applied.is_empty() && !follows {
        // Told again it would go round for ever.
        let what = format!("nothing can be moved on the unfinished account of {student}");
        return Err(Fault::defect(what).into());
    }
    books.take_over(&turn).await?;
    let mut transaction = ctx.table.transaction();
    books.write(&mut transaction, &[turn], cause);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{ChargeSecured, ChargebackBooked, Event};
    use kernel::PaymentId;
    use serde_json::json;

    use super::super::{
        assign_suspense_item, begin_payment_plan, reallocate_payment, receive_webhook,
    };
    use super::*;
    use crate::domain::{Account, InvoiceState, SuspenseItem};
    use crate::fixtures::{
        account, charge, check_ledger, code, count, ctx, francs, invoice, webhook, webhook_of,
    };
    use crate::operations::charge::Reply as Charged;

    /// Charges of 150,000 francs each, in two lines, and money through the provider that pays for all of them.
    async fn pay_for(ctx: &Ctx, charges: usize) -> (Vec<Charged>, PaymentId) {
        let mut charged = Vec::new();
        for at in 0..charges {
            charged.push(charge(ctx, "ada", &at.to_string()).await);
        }
        let minor = i64::try_from(charges).expect("few") * 150_000;
        let stranger = json!({
            "id": "pi_stranger", "status": "succeeded", "amount": minor, "currency": "xaf",
        });
        receive_webhook::handle(ctx, &webhook(&stranger)).await.expect("in suspense");
        let item = SuspenseItem::id_of("pi_stranger");
        let to_ada = testkit::call(assign_suspense_item::Command {
            suspense_item: item,
            student: testkit::person("ada"),
            invoice: None,
            reason: "It is hers.".into(),
        });
        let assigned = assign_suspense_item::handle(ctx, &to_ada).await.expect("assigned");
        go_on_to_the_end(ctx).await;
        (charged, assigned.assigned.expect("a payment"))
    }

    async fn go_on_to_the_end(ctx: &Ctx) -> usize {
        const STEPS_MAX: usize = 100;
        for step in 0..STEPS_MAX {
            if !account(ctx, "ada").await.is_unfinished() {
                return step;
            }
            handle(ctx, &unfinished()).await.expect("goes on");
        }
        panic!("it comes to no end")
    }

    /// The event, told once more.
    fn unfinished() -> Delivery {
        let (student, currency) = (testkit::person("ada"), francs(0).currency);
        let event = AccountUnfinished { student, currency };
        let mut delivery = testkit::delivery("on-account-unfinished", event);
        delivery.envelope.id = format!("{}#{}", delivery.envelope.id, fastrand::u64(..));
        delivery
    }

    fn charge_back(minor: i64) -> shell::Call<shell::Raw> {
        let dispute = json!({
            "id": "dp_1", "status": "needs_response", "amount": minor, "currency": "xaf",
            "payment_intent": "pi_stranger", "reason": "fraudulent",
        });
        webhook_of(testkit::webhook_body_of("charge.dispute.funds_withdrawn", &dispute))
    }

    async fn opened(ctx: &Ctx, charges: &[Charged]) -> usize {
        let mut open = 0;
        for charge in charges {
            open += usize::from(invoice(ctx, charge).await.state() == InvoiceState::Issued);
        }
        open
    }

    #[tokio::test]
    async fn a_chargeback_of_what_paid_for_many_invoices_is_booked_at_once_and_opens_all_of_them() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (charges, _) = pay_for(&ctx, 35).await;
        assert_eq!(opened(&ctx, &charges).await, 0);
        let all = 35 * 150_000;
        let told = charge_back(all);
        for _ in 0..2 {
            receive_webhook::handle(&ctx, &told).await.expect("booked, whatever the number");
        }
        assert_eq!(count(&ctx, ChargebackBooked::NAME).await, 1);
        let books = account(&ctx, "ada").await;
        assert_eq!(books.balance(Account::ProviderClearing), francs(0), "the money is gone");
        let owed = books.balance(Account::Receivable).minor - books.unapplied_cash().minor;
        assert_eq!(owed, all, "and it is owed from the first");
        assert_eq!(opened(&ctx, &charges).await, 10, "as much as one transaction holds");
        assert_eq!(go_on_to_the_end(&ctx).await, 3);
        let books = account(&ctx, "ada").await;
        assert_eq!(books.balance(Account::Receivable), francs(all));
        assert_eq!(books.unapplied_cash(), francs(0));
        assert_eq!(opened(&ctx, &charges).await, 35);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn every_charge_of_a_plan_is_secured_whatever_their_number() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        begin_payment_plan::tests::offer(&ctx, true).await;
        for at in 0..45 {
            charge(&ctx, "ada", &at.to_string()).await;
        }
        let choice = begin_payment_plan::tests::choose();
        begin_payment_plan::handle(&ctx, &choice).await.expect("begins");
        assert_eq!(count(&ctx, ChargeSecured::NAME).await, ROWS_MAX);
        assert_eq!(go_on_to_the_end(&ctx).await, 2);
        assert_eq!(count(&ctx, ChargeSecured::NAME).await, 45);
        assert_eq!(check_ledger(&ctx).await, 45, "nothing is booked");
    }

    #[tokio::test]
    async fn a_payment_that_pays_for_very_much_is_not_applied_anew_in_part() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (charges, payment) = pay_for(&ctx, 12).await;
        let call = reallocate_payment::Command { payment, invoice: charges[0].invoice };
        let refused = reallocate_payment::handle(&ctx, &testkit::call(call)).await;
        assert_eq!(code(refused), "PAYMENT_TOO_SPREAD");
        assert_eq!(opened(&ctx, &charges).await, 0);
    }

    #[tokio::test]
    async fn a_piece_is_moved_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let (charges, _) = pay_for(&ctx, 12).await;
                receive_webhook::handle(&ctx, &charge_back(12 * 150_000)).await.expect("booked");
                (unfinished(), charges)
            },
            async |table, (told, _)| handle(&ctx(table), told).await,
            async |table, (told, charges)| {
                let ctx = ctx(table);
                handle(&ctx, told).await.expect("a duplicate finds nothing left to do");
                assert_eq!(opened(&ctx, charges).await, 12);
                assert!(!account(&ctx, "ada").await.is_unfinished());
                check_ledger(&ctx).await;
            },
        )
        .await;
    }
}
