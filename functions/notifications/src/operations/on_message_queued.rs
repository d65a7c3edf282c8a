//! Sends a queued message. At least once: SES knows no idempotency key, so that a message which SES took, and
//! which the
//! table could then not be told of, goes out again.

use events::{LinkPurpose, MessageQueued, link_token, verification_code};
use kernel::{AccountId, MessageId, Timestamp};
use shell::{Delivery, Failure, Fault};
use table::Stored;

use crate::SendingCtx;
use crate::domain::{Attempt, Content, FailureReason, Message, Refusal};
use crate::store;
use crate::templates::{self, Rendered, Sending};

/// A sent mail cannot be called back: what came of it is worth telling the table more than once.
const RECORDINGS_MAX: u32 = 4;

pub async fn handle(ctx: &SendingCtx, delivery: &Delivery) -> Result<(), Failure> {
    let MessageQueued { message: id } = delivery.event()?;
    let message = load(ctx, id).await?;
    if !message.value.is_queued() {
        return Ok(());
    }
    let mail = render(ctx, &message.value).await?;
    let (attempt, fault) = match ctx.mail.send(&message.value.to, &mail).await {
        Ok(attempt) => (attempt, None),
        Err(fault) => (Attempt::Undecided, Some(fault)),
    };
    let recorded = record(ctx, delivery, message, &attempt).await;
    if let (Attempt::Refused(reason), Ok(())) = (&attempt, &recorded) {
        shell::telemetry::count("messages_failed", 1, ("reason", name(*reason)));
    }
    let Some(fault) = fault else { return recorded };
    Err(match recorded {
        Ok(()) => fault.into(),
        // The log then tells of both.
        Err(Failure::Fault(unrecorded)) => Fault::outside(unrecorded.chain(), fault).into(),
        Err(failure) => failure,
    })
}

async fn load(ctx: &SendingCtx, id: MessageId) -> Result<Stored<Message>, Failure> {
    Ok(ctx.table.get(&store::message_key(id)).await?.ok_or(Refusal::MessageUnknown)?)
}

async fn render(ctx: &SendingCtx, message: &Message) -> Result<Rendered, Fault> {
    let mut code = String::new();
    let mut link = ctx.portal_url.clone();
    match &message.content {
        Content::VerifyEmail { account, requested_at } => {
            let key = ctx.verification_secret().await?;
            code = verification_code(key.as_bytes(), *account, *requested_at);
        }
        Content::ResetPassword { account, requested_at } => {
            link = page(ctx, LinkPurpose::ResetPassword, *account, *requested_at).await?;
        }
        Content::Invitation { account, requested_at, .. } => {
            link = page(ctx, LinkPurpose::AcceptInvitation, *account, *requested_at).await?;
        }
        Content::Invoice { invoice, .. } => {
            link = format!("{}/invoices/{invoice}", ctx.portal_url);
        }
        Content::Registered { .. }
        | Content::Released { .. }
        | Content::Dropped { .. }
        | Content::Withdrawn { .. }
        | Content::Waitlist { .. }
        | Content::PrerequisiteBroken { .. }
        | Content::SessionRevoked { .. }
        | Content::NewDevice { .. }
        | Content::PasswordChanged { .. }
        | Content::SecondFactorConfirmed { .. }
        | Content::SecondFactorRemoved { .. }
        | Content::SecondFactorReset { .. }
        | Content::RoleGiven { .. }
        | Content::PaymentOverdue { .. } => {}
    }
    let sending = Sending { portal_url: &ctx.portal_url, code: &code, link: &link };
    templates::render(&message.content, message.locale, sending)
}

/// A page of the portal, with what opens it. It stands behind a `#`, so that no server on the way logs it.
async fn page(
    ctx: &SendingCtx,
    purpose: LinkPurpose,
    account: AccountId,
    requested_at: Timestamp,
) -> Result<String, Fault> {
    let page = match purpose {
        LinkPurpose::ResetPassword => "reset-password",
        LinkPurpose::AcceptInvitation => "accept-invitation",
    };
    let key = ctx.verification_secret().await?;
    let token = link_token(key.as_bytes(), purpose, account, requested_at);
    Ok(format!("{}/{page}#account={account}&token={token}", ctx.portal_url))
}

/// Writes down what the attempt came to. From here on nothing may run again from the top: that would send again.
async fn record(
    ctx: &SendingCtx,
    delivery: &Delivery,
    mut message: Stored<Message>,
    attempt: &Attempt,
) -> Result<(), Failure> {
    let mut recording = 1;
    loop {
        let failure = match try_record(ctx, delivery, &mut message, attempt).await {
            Ok(()) | Err(Failure::DoneBefore) => return Ok(()),
            Err(failure) => failure,
        };
        if recording == RECORDINGS_MAX || table::deadline::back_off(recording).await.is_none() {
            return Err(match failure {
                Failure::Conflict { .. } => {
                    Fault::outside("what came of a message is not written", "others write to it")
                        .into()
                }
                failure => failure,
            });
        }
        recording += 1;
        message = match load(ctx, message.value.id).await {
            Ok(message) => message,
            // The next recording fails as this read did, unless the table answers again.
            Err(Failure::Fault(_)) => message,
            Err(failure) => return Err(failure),
        };
    }
}

async fn try_record(
    ctx: &SendingCtx,
    delivery: &Delivery,
    message: &mut Stored<Message>,
    attempt: &Attempt,
) -> Result<(), Failure> {
    let mut recorded = message.clone();
    if !recorded.value.record(attempt, delivery.now) {
        return Ok(());
    }
    let mut transaction = ctx.table.transaction();
    transaction.update(&recorded);
    if !recorded.value.is_queued() {
        delivery.mark_seen(&mut transaction);
    }
    Ok(transaction.commit().await?)
}

fn name(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::MessageRejected => "message_rejected",
        FailureReason::AddressRefused => "address_refused",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::Id;
    use shell::Refuse;
    use table::Table;
    use tokio::sync::OnceCell;

    use super::*;
    use crate::domain::tests::{contact, content};
    use crate::domain::{Kind, State};
    use crate::mail::Mail;
    use crate::post_office::{Answer, PostOffice};

    const SECRET: &str = "a secret for tests";

    fn ctx(table: &Table, office: &PostOffice) -> SendingCtx {
        SendingCtx {
            table: table.clone(),
            mail: Mail::new(office.client(), "no-reply@matricula.example", "matricula-test"),
            portal_url: "https://portal.matricula.example".to_owned(),
            verification_secret: OnceCell::new_with(Some(Arc::from(SECRET))),
        }
    }

    /// A queued message of this kind, and the event that has it sent.
    async fn queued(table: &Table, kind: Kind) -> Delivery {
        let (id, ada) = (MessageId::derived_from("one"), contact(testkit::person("ada"), 1));
        let message = Message::to_contact(id, &ada, content(kind), testkit::now());
        let mut transaction = table.transaction();
        store::queue(&mut transaction, &message, "test");
        transaction.commit().await.expect("a message is queued");
        testkit::delivery("on-message-queued", MessageQueued { message: id })
    }

    async fn message(table: &Table) -> Message {
        let key = store::message_key(MessageId::derived_from("one"));
        table.get(&key).await.expect("reads").expect("a message").value
    }

    fn sent(provider_message_id: &str) -> State {
        let provider_message_id = provider_message_id.to_owned();
        State::Sent { sent_at: testkit::now(), provider_message_id }
    }

    #[tokio::test]
    async fn a_message_goes_out_once_whatever_happens_on_the_way_to_the_table() {
        testkit::under_every_fault_anew(
            async |table| {
                (queued(table, Kind::Registered).await, PostOffice::open(Answer::Accept).await)
            },
            async |table, (delivery, office)| handle(&ctx(table, office), delivery).await,
            async |table, (_, office)| {
                assert_eq!(office.mails().len(), 1);
                let message = message(table).await;
                assert_eq!((message.state, message.attempts), (sent("ses-1"), 1));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_mail_says_who_sends_it_to_whom_and_what() {
        let test = testkit::TestTable::new().await;
        let office = PostOffice::open(Answer::Accept).await;
        let delivery = queued(&test.table, Kind::Registered).await;
        handle(&ctx(&test.table, &office), &delivery).await.expect("it is sent");
        let mail = &office.mails()[0];
        assert_eq!(mail["FromEmailAddress"], "no-reply@matricula.example");
        assert_eq!(mail["ConfigurationSetName"], "matricula-test");
        assert_eq!(mail["Destination"]["ToAddresses"][0], "ada+1@example.edu");
        let simple = &mail["Content"]["Simple"];
        assert_eq!(simple["Subject"]["Data"], "Votre inscription pour 2027S est confirmée");
        for part in [&simple["Subject"], &simple["Body"]["Text"], &simple["Body"]["Html"]] {
            assert_eq!(part["Charset"], "UTF-8");
        }
        assert!(simple["Body"]["Text"]["Data"].as_str().expect("a text").contains("MATH101-A"));
    }

    #[tokio::test]
    async fn a_message_that_is_sent_is_not_sent_again() {
        let test = testkit::TestTable::new().await;
        let office = PostOffice::open(Answer::Accept).await;
        let delivery = queued(&test.table, Kind::Dropped).await;
        for _ in 0..3 {
            handle(&ctx(&test.table, &office), &delivery).await.expect("it is settled");
        }
        assert_eq!(office.mails().len(), 1);
    }

    #[tokio::test]
    async fn the_verification_code_is_in_the_mail_and_nowhere_in_the_table() {
        let test = testkit::TestTable::new().await;
        let office = PostOffice::open(Answer::Accept).await;
        let delivery = queued(&test.table, Kind::VerifyEmail).await;
        handle(&ctx(&test.table, &office), &delivery).await.expect("it is sent");
        let ada = AccountId::derived_from("ada");
        let code = verification_code(SECRET.as_bytes(), ada, testkit::now());
        assert!(office.mails()[0].to_string().contains(&code));
        let stored = serde_json::to_string(&message(&test.table).await).expect("JSON");
        assert!(!stored.contains(&code));
        let events = serde_json::to_string(&testkit::published(&test.table).await).expect("JSON");
        assert!(!events.contains(&code));
    }

    #[tokio::test]
    async fn what_a_link_opens_is_in_the_mail_and_nowhere_in_the_table() {
        for (kind, purpose, page) in [
            (Kind::ResetPassword, LinkPurpose::ResetPassword, "reset-password"),
            (Kind::Invitation, LinkPurpose::AcceptInvitation, "accept-invitation"),
        ] {
            let test = testkit::TestTable::new().await;
            let office = PostOffice::open(Answer::Accept).await;
            let delivery = queued(&test.table, kind).await;
            handle(&ctx(&test.table, &office), &delivery).await.expect("it is sent");
            let ada = AccountId::derived_from("ada");
            let token = link_token(SECRET.as_bytes(), purpose, ada, testkit::now());
            let link =
                format!("https://portal.matricula.example/{page}#account={ada}&token={token}");
            let text = &office.mails()[0]["Content"]["Simple"]["Body"]["Text"]["Data"];
            assert!(text.as_str().expect("a text").contains(&link), "{text}");
            let stored = serde_json::to_string(&message(&test.table).await).expect("JSON");
            assert!(!stored.contains(&token));
        }
    }

    #[tokio::test]
    async fn what_ses_refuses_for_good_fails_visibly_and_is_not_tried_again() {
        for (answer, reason) in [
            (Answer::Reject, FailureReason::MessageRejected),
            (Answer::BadAddress, FailureReason::AddressRefused),
        ] {
            let test = testkit::TestTable::new().await;
            let office = PostOffice::open(answer).await;
            let delivery = queued(&test.table, Kind::Released).await;
            for _ in 0..2 {
                handle(&ctx(&test.table, &office), &delivery).await.expect("it is settled");
            }
            let message = message(&test.table).await;
            assert_eq!(message.state, State::Failed { failed_at: testkit::now(), reason });
            assert_eq!(office.mails().len(), 1);
        }
    }

    #[tokio::test]
    async fn when_ses_is_down_the_message_stays_queued_and_is_sent_later() {
        for down in [Answer::Broken, Answer::Paused] {
            let test = testkit::TestTable::new().await;
            let office = PostOffice::open(down).await;
            let ctx = ctx(&test.table, &office);
            let delivery = queued(&test.table, Kind::Registered).await;
            let result = handle(&ctx, &delivery).await;
            assert!(matches!(result, Err(Failure::Fault(fault)) if fault.retryable));
            let waiting = message(&test.table).await;
            assert_eq!((waiting.state, waiting.attempts), (State::Queued, 1));
            office.answers(Answer::Accept);
            handle(&ctx, &delivery).await.expect("it is sent");
            let message = message(&test.table).await;
            assert!(matches!(message.state, State::Sent { .. }));
            assert_eq!(message.attempts, 2);
        }
    }

    #[tokio::test]
    async fn an_attempt_that_came_to_nothing_is_no_sent_message_whatever_the_table_does() {
        testkit::under_every_fault_anew(
            async |table| {
                (queued(table, Kind::Registered).await, PostOffice::open(Answer::Broken).await)
            },
            async |table, (delivery, office)| {
                let result = handle(&ctx(table, office), delivery).await;
                assert!(matches!(&result, Err(Failure::Fault(fault)) if fault.retryable));
                Ok(())
            },
            async |table, _| assert!(message(table).await.is_queued()),
        )
        .await;
    }

    #[tokio::test]
    async fn a_message_that_does_not_exist_is_refused() {
        let test = testkit::TestTable::new().await;
        let office = PostOffice::open(Answer::Accept).await;
        let event = MessageQueued { message: MessageId::derived_from("nothing") };
        let delivery = testkit::delivery("on-message-queued", event);
        let result = handle(&ctx(&test.table, &office), &delivery).await;
        let unknown = Refusal::MessageUnknown.code();
        assert!(matches!(result, Err(Failure::Refused(refusal)) if refusal.code() == unknown));
        assert!(office.mails().is_empty());
    }
}
