//! Event: a bundle was charged, or its charge taken back. The student's bill of that term is brought to what is
//! due: what another band or group makes dearer or cheaper is billed or credited by documents of its own.

use events::{ChargePosted, ChargeReversed, Event};
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::store::{self, Cause, Opened};
use crate::term_desk::{TermDesk, issue_adjustment};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    store::in_line_for_a_number(async || adjust(ctx, delivery).await).await
}

async fn adjust(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let charge = if delivery.envelope.name == ChargePosted::NAME {
        delivery.event::<ChargePosted>()?.charge
    } else {
        delivery.event::<ChargeReversed>()?.charge
    };
    let charge = ctx.table.get(&store::charge_key(charge)).await?;
    let Some(posted) = charge.and_then(|charge| charge.value.posted) else { return Ok(()) };
    let mut desk = TermDesk::read(ctx, posted.student, posted.term, None, &[]).await?;
    let Some(bill) = desk.standing_bill().map(Opened::from) else { return Ok(()) };
    let adjustment = bill.value.adjustment(&desk.rules, &desk.population)?;
    if adjustment.is_empty() {
        return Ok(());
    }
    let cause = Cause { now: delivery.now, correlation_id: &delivery.envelope.correlation_id };
    let mut transaction = ctx.table.transaction();
    let today = ctx.institution().date(cause.now);
    issue_adjustment(ctx, &mut transaction, bill, adjustment, (today, cause)).await?;
    delivery.mark_seen(&mut transaction);
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::domain::{Account, TuitionRule};
    use crate::fixtures::{account, bundle, charge, check_ledger, ctx, francs, invoice, set_rules};

    fn reversed(name: &str) -> Delivery {
        let charge = crate::domain::Charge::id_of(bundle(name));
        let event = ChargeReversed { charge, bundle: bundle(name), ..ChargeReversed::example() };
        testkit::delivery("on-charge-changed", event)
    }

    #[tokio::test]
    async fn a_bill_is_brought_to_what_is_due_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                charge(&ctx, "ada", "one").await;
                set_rules(&ctx, TuitionRule::Flat { amount: francs(1_060) }).await;
            },
            async |table, ()| handle(&ctx(table), &reversed("one")).await,
            async |table, ()| {
                let ctx = ctx(table);
                handle(&ctx, &reversed("one")).await.expect("a duplicate changes nothing");
                let owed = account(&ctx, "ada").await.balance(Account::Receivable);
                assert_eq!(owed, francs(1_060));
                assert_eq!(check_ledger(&ctx).await, 3, "a charge, a note and an invoice");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_cheaper_group_is_credited_after_the_next_charge() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = charge(&ctx, "ada", "one").await;
        set_rules(&ctx, TuitionRule::PerCredit { amount: francs(10) }).await;
        let second = charge(&ctx, "ada", "two").await;
        assert_eq!(second.amount, francs(60));
        let event = ChargePosted { charge: second.charge, ..ChargePosted::example() };
        let posted = testkit::delivery("on-charge-changed", event);
        handle(&ctx, &posted).await.expect("credited");
        assert_eq!(invoice(&ctx, &first).await.open(), francs(60));
        let nobody = ChargePosted { charge: Id::derived_from("nobody"), ..ChargePosted::example() };
        let nobody = testkit::delivery("on-charge-changed", nobody);
        handle(&ctx, &nobody).await.expect("there is nothing to do");
    }
}
