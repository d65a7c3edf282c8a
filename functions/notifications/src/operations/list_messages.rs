//! The caller's messages, the newest first.

use kernel::{Locale, MessageId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Listing, Route};

use crate::Ctx;
use crate::domain::{FailureReason, Kind, Message, State};
use crate::{store, templates};

pub const ROUTE: Route =
    Route::list("list-messages", "/messages", Access::LoggedIn, "List your messages, newest first");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ListedMessage {
    pub id: MessageId,
    pub kind: Kind,
    /// Language of the message.
    pub locale: Locale,
    pub subject: String,
    pub state: ListedState,
    /// How often it was handed to the mail provider.
    pub attempts: u32,
    pub queued_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// Why it will never be sent; only of a failed one.
    pub failure_reason: Option<FailureReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListedState {
    Queued,
    Sent,
    Failed,
}

impl ListedMessage {
    fn of(message: &Message) -> Result<Self, Failure> {
        let (state, sent_at, failure_reason) = match &message.state {
            State::Queued => (ListedState::Queued, None, None),
            State::Sent { sent_at, .. } => (ListedState::Sent, Some(*sent_at), None),
            State::Failed { reason, .. } => (ListedState::Failed, None, Some(*reason)),
        };
        let Message { id, locale, content, attempts, queued_at, .. } = message;
        Ok(Self {
            id: *id,
            kind: content.kind(),
            locale: *locale,
            subject: templates::subject(content, *locale)?,
            state,
            attempts: *attempts,
            queued_at: *queued_at,
            sent_at,
            failure_reason,
        })
    }
}

pub type Reply = Listing<ListedMessage>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::messages_of(call.person()), &call.page).await?;
    let messages = page.records.iter().map(|message| ListedMessage::of(&message.value));
    Ok(Listing { items: messages.collect::<Result<_, _>>()?, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use kernel::Id;
    use table::{PageRequest, Table};

    use super::*;
    use crate::domain::Attempt;
    use crate::domain::tests::{contact, content};

    /// A message to a person, queued so many milliseconds after the others began.
    fn message(person: &str, name: &str, after_ms: i64) -> Message {
        let queued_at = Timestamp::from_millisecond(testkit::now().as_millisecond() + after_ms);
        let contact = contact(testkit::person(person), 1);
        let content = content(Kind::Registered);
        let id = MessageId::derived_from(name);
        Message::to_contact(id, &contact, content, queued_at.expect("in range"))
    }

    async fn stored(table: &Table, message: &Message) {
        let mut transaction = table.transaction();
        transaction.create(message);
        transaction.commit().await.expect("a message is stored");
    }

    #[tokio::test]
    async fn pages_run_from_the_newest_to_the_oldest_without_gap_or_repeat() {
        let test = testkit::TestTable::new().await;
        // Times with and without fractions of a second: their text must sort as they do.
        let after_ms = [0, 1, 500, 999, 1_000, 1_250, 2_000];
        for after_ms in after_ms {
            stored(&test.table, &message("ada", &after_ms.to_string(), after_ms)).await;
        }
        let ctx = Ctx { table: test.table.clone() };
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let call = Call { page: PageRequest { after, limit: 3 }, ..testkit::call(Command {}) };
            let reply = handle(&ctx, &call).await.expect("a page");
            assert!(reply.items.len() <= 3);
            seen.extend(reply.items.into_iter().map(|message| message.id));
            match reply.next_cursor {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let newest_first = after_ms.iter().rev().map(|ms| MessageId::derived_from(&ms.to_string()));
        assert_eq!(seen, newest_first.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn another_persons_messages_are_not_there() {
        let test = testkit::TestTable::new().await;
        stored(&test.table, &message("bob", "for bob", 0)).await;
        let ctx = Ctx { table: test.table.clone() };
        let reply = handle(&ctx, &testkit::call(Command {})).await.expect("a page");
        assert_eq!(reply.items, []);
    }

    #[tokio::test]
    async fn a_cursor_into_another_persons_messages_is_refused() {
        let test = testkit::TestTable::new().await;
        for name in ["one", "two"] {
            stored(&test.table, &message("bob", name, 0)).await;
        }
        let page = PageRequest { after: None, limit: 1 };
        let of_bob = store::messages_of(testkit::person("bob"));
        let after = test.table.query(&of_bob, &page).await.expect("a page").next;
        assert!(after.is_some());
        let call = Call { page: PageRequest { after, limit: 1 }, ..testkit::call(Command {}) };
        let result = handle(&Ctx { table: test.table.clone() }, &call).await;
        assert!(
            matches!(result, Err(Failure::Refused(refusal)) if refusal.code() == "CURSOR_INVALID")
        );
    }

    #[tokio::test]
    async fn what_became_of_a_message_is_told() {
        let test = testkit::TestTable::new().await;
        let attempts = [
            Attempt::Undecided,
            Attempt::Accepted { provider_message_id: "ses-1".into() },
            Attempt::Refused(FailureReason::AddressRefused),
        ];
        for (at, attempt) in (0..).zip(&attempts) {
            let mut message = message("ada", &at.to_string(), at);
            assert!(message.record(attempt, testkit::now()));
            stored(&test.table, &message).await;
        }
        let ctx = Ctx { table: test.table.clone() };
        let items = handle(&ctx, &testkit::call(Command {})).await.expect("a page").items;
        let told = items.iter().map(|item| (item.state, item.sent_at, item.failure_reason));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (ListedState::Failed, None, Some(FailureReason::AddressRefused)),
                (ListedState::Sent, Some(testkit::now()), None),
                (ListedState::Queued, None, None),
            ]
        );
        assert_eq!(items[0].subject, "Votre inscription pour 2027S est confirmée");
        assert!(items.iter().all(|item| item.attempts == 1));
    }
}
