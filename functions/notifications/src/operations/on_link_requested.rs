//! Queues the message that brings a link to an address: to a new password, or to an account that somebody is invited
//! to. What opens it is computed when it is sent.

use events::{Event, InvitationSent, PasswordResetRequested};
use kernel::{Email, Locale, MessageId};
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::domain::{Content, Message};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let (email, locale, content) = link_of(delivery)?;
    let id: MessageId = delivery.derived_id();
    if ctx.table.get(&store::message_key(id)).await?.is_some() {
        return Ok(());
    }
    let message = Message::to_address(id, email, locale, content, delivery.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &delivery.envelope.correlation_id);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

fn link_of(delivery: &Delivery) -> Result<(Email, Locale, Content), Failure> {
    match delivery.envelope.name.as_str() {
        PasswordResetRequested::NAME => {
            let PasswordResetRequested { account, email, locale, requested_at } =
                delivery.event()?;
            Ok((email, locale, Content::ResetPassword { account, requested_at }))
        }
        InvitationSent::NAME => {
            let InvitationSent { account, email, locale, name, invited_at, .. } =
                delivery.event()?;
            let (given_name, requested_at) = (name.given, invited_at);
            Ok((email, locale, Content::Invitation { given_name, account, requested_at }))
        }
        other => Err(Fault::defect(format!("{other} asks for no link")).into()),
    }
}

#[cfg(test)]
mod tests {
    use events::MessageQueued;

    use super::*;

    fn reset() -> Delivery {
        testkit::delivery("on-link-requested", PasswordResetRequested::example())
    }

    #[tokio::test]
    async fn a_request_queues_one_message_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| reset(),
            async |table, delivery| handle(&Ctx { table: table.clone() }, delivery).await,
            async |table, delivery| {
                let key = store::message_key(delivery.derived_id());
                let message = table.get(&key).await.expect("reads").expect("a message").value;
                let asked = PasswordResetRequested::example();
                assert_eq!((message.to, message.locale), (asked.email, asked.locale));
                let (account, requested_at) = (asked.account, asked.requested_at);
                assert_eq!(message.content, Content::ResetPassword { account, requested_at });
                assert_eq!(testkit::published(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_invitation_calls_the_person_by_name() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let delivery = testkit::delivery("on-link-requested", InvitationSent::example());
        handle(&ctx, &delivery).await.expect("it is taken in");
        let key = store::message_key(delivery.derived_id());
        let message = test.table.get(&key).await.expect("reads").expect("a message").value;
        let Content::Invitation { given_name, .. } = message.content else {
            panic!("no invitation: {message:?}")
        };
        assert_eq!(given_name, "Amina");
    }

    #[tokio::test]
    async fn an_event_of_another_kind_is_a_defect() {
        let test = testkit::TestTable::new().await;
        let delivery = testkit::delivery("on-link-requested", MessageQueued::example());
        let result = handle(&Ctx { table: test.table.clone() }, &delivery).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if !fault.retryable));
    }
}
