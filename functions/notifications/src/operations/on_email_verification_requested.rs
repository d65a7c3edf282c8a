//! Queues the message that brings the verification code to an address. The code itself is computed when it is sent.

use events::EmailVerificationRequested;
use kernel::MessageId;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::{Content, Message};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let EmailVerificationRequested { account, email, locale, requested_at, .. } =
        delivery.event()?;
    let id: MessageId = delivery.derived_id();
    if ctx.table.get(&store::message_key(id)).await?.is_some() {
        return Ok(());
    }
    let content = Content::VerifyEmail { account, requested_at };
    let message = Message::to_address(id, email, locale, content, delivery.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &delivery.envelope.correlation_id);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, MessageQueued};

    use super::*;

    fn requested() -> Delivery {
        let event = EmailVerificationRequested::example();
        testkit::delivery("on-email-verification-requested", event)
    }

    #[tokio::test]
    async fn a_request_queues_one_message_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| requested(),
            async |table, delivery| handle(&Ctx { table: table.clone() }, delivery).await,
            async |table, delivery| {
                let key = store::message_key(delivery.derived_id());
                let message = table.get(&key).await.expect("reads").expect("a message").value;
                let asked = EmailVerificationRequested::example();
                assert_eq!((message.to, message.locale), (asked.email, asked.locale));
                assert_eq!(message.person, None);
                let (account, requested_at) = (asked.account, asked.requested_at);
                assert_eq!(message.content, Content::VerifyEmail { account, requested_at });
                let events = testkit::published(table).await;
                assert_eq!(events.len(), 1);
                assert_eq!(events[0].name, MessageQueued::NAME);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn each_request_is_a_message_of_its_own_and_a_repeated_one_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let mut second = requested();
        second.envelope.id.push_str("-again");
        for delivery in [&requested(), &second, &requested()] {
            handle(&ctx, delivery).await.expect("it is taken in");
        }
        assert_eq!(testkit::published(&test.table).await.len(), 2);
    }
}
