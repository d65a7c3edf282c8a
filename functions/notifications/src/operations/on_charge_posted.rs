//! A student was billed: they are led to the invoice. Who was charged nothing is told nothing.

use events::ChargePosted;
use shell::{Delivery, Failure};

use super::on_registration_dropped::tell_student;
use crate::Ctx;
use crate::domain::Content;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let ChargePosted { student, invoice, invoice_number, amount, .. } = delivery.event()?;
    if amount.minor == 0 {
        return Ok(());
    }
    let content = |given_name| Content::Invoice {
        given_name,
        invoice,
        number: invoice_number,
        amount: amount.to_string(),
    };
    tell_student(ctx, delivery, (delivery.derived_id(), student), content).await
}

#[cfg(test)]
mod tests {
    use events::Event;
    use kernel::Money;

    use super::*;
    use crate::domain::tests::contact;
    use crate::store;

    fn posted(minor: i64) -> Delivery {
        let amount = Money::new(minor, "XAF".parse().expect("a currency"));
        testkit::delivery("on-charge-posted", ChargePosted { amount, ..ChargePosted::example() })
    }

    async fn know_the_student(table: &table::Table) {
        let mut transaction = table.transaction();
        transaction.create(&contact(ChargePosted::example().student, 1));
        transaction.commit().await.expect("a contact is stored");
    }

    #[tokio::test]
    async fn an_invoice_is_told_of_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| know_the_student(table).await,
            async |table, ()| handle(&Ctx { table: table.clone() }, &posted(150_000)).await,
            async |table, ()| {
                let key = store::message_key(posted(150_000).derived_id());
                let message = table.get(&key).await.expect("reads").expect("a message").value;
                let Content::Invoice { invoice, number, amount, .. } = message.content else {
                    panic!("another message: {:?}", message.content)
                };
                assert_eq!(invoice, ChargePosted::example().invoice);
                assert_eq!(number, ChargePosted::example().invoice_number);
                assert_eq!(amount, "150000 XAF");
                assert_eq!(testkit::published(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_was_charged_nothing_is_told_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        know_the_student(&test.table).await;
        handle(&ctx, &posted(0)).await.expect("left alone");
        assert_eq!(testkit::published(&test.table).await.len(), 0);
    }
}
