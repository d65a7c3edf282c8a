//! Saga step: tell a student what became of a bundle. It has no undo, and needs none: what is queued a second time is
//! the same message. A student whose contact has not arrived yet is asked for again by the saga.

use events::ReleaseReason;
use kernel::{BundleId, Id, MessageId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Fault, Step};

use crate::Ctx;
use crate::domain::{Contact, Content, Item, Kind, Message};
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub bundle: BundleId,
    pub student: PersonId,
    pub kind: NoticeKind,
    /// Why the seats were given back; only of a release.
    pub reason: Option<ReleaseReason>,
    #[schemars(length(min = 1, max = 100))]
    pub term_code: String,
    #[schemars(length(min = 1, max = 100))]
    pub items: Vec<Item>,
}

/// What a saga has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    Registered,
    Released,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub message: MessageId,
}

impl Command {
    fn message_id(&self) -> MessageId {
        let kind = match self.kind {
            NoticeKind::Registered => Kind::Registered,
            NoticeKind::Released => Kind::Released,
        };
        MessageId::derived_from(&format!("{}#{}", self.bundle, kind.name()))
    }

    fn content(&self, contact: &Contact) -> Content {
        let Self { kind, reason, term_code, items, .. } = self.clone();
        let given_name = contact.name.given.clone();
        match kind {
            NoticeKind::Registered => Content::Registered { given_name, term_code, items },
            NoticeKind::Released => Content::Released { given_name, term_code, items, reason },
        }
    }
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let id = step.command.message_id();
    let (message_key, contact_key) =
        (store::message_key(id), store::contact_key(step.command.student));
    let keys = vec![(&message_key).into(), (&contact_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    if batch.take(&message_key)?.is_some() {
        return Ok(Reply { message: id });
    }
    let contact = batch.take(&contact_key)?.ok_or_else(|| {
        Fault::outside("the student cannot be written to", "their contact has not arrived yet")
    })?;
    let content = step.command.content(&contact.value);
    let message = Message::to_contact(id, &contact.value, content, step.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &step.correlation_id);
    transaction.commit().await?;
    Ok(Reply { message: id })
}

#[cfg(test)]
mod tests {
    use events::{Event, MessageQueued};
    use kernel::Locale;
    use table::Table;

    use super::*;
    use crate::domain::tests::contact;

    fn registered() -> Command {
        Command {
            bundle: BundleId::derived_from("one"),
            student: testkit::person("ada"),
            kind: NoticeKind::Registered,
            reason: None,
            term_code: "2027S".into(),
            items: vec![Item {
                section_code: "MATH101-A".into(),
                course_title: "Calculus I".into(),
            }],
        }
    }

    async fn know_ada(table: &Table) {
        let mut transaction = table.transaction();
        transaction.create(&contact(testkit::person("ada"), 1));
        transaction.commit().await.expect("a contact is stored");
    }

    #[tokio::test]
    async fn a_repeated_step_queues_one_message_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                know_ada(table).await;
                testkit::step(registered())
            },
            async |table, step| handle(&Ctx { table: table.clone() }, step).await.map(drop),
            async |table, step| {
                let ctx = Ctx { table: table.clone() };
                let reply = handle(&ctx, step).await.expect("the same message");
                let message = table.get(&store::message_key(reply.message)).await.expect("reads");
                let message = message.expect("it is there");
                assert_eq!((message.version, message.value.is_queued()), (1, true));
                let events = testkit::published(table).await;
                assert_eq!(events.len(), 1);
                assert_eq!(events[0].name, MessageQueued::NAME);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_message_goes_to_the_contacts_address_in_their_language() {
        let test = testkit::TestTable::new().await;
        know_ada(&test.table).await;
        let ctx = Ctx { table: test.table.clone() };
        let reason = Some(ReleaseReason::PaymentTimedOut);
        let command = Command { kind: NoticeKind::Released, reason, ..registered() };
        let reply = handle(&ctx, &testkit::step(command)).await.expect("queued");
        let stored = test.table.get(&store::message_key(reply.message)).await.expect("reads");
        let message = stored.expect("it is there").value;
        let ada = contact(testkit::person("ada"), 1);
        assert_eq!((message.person, message.to), (Some(ada.person), ada.email));
        assert_eq!(message.locale, Locale::Fr);
        assert!(matches!(
            message.content,
            Content::Released { given_name, reason: Some(ReleaseReason::PaymentTimedOut), .. }
                if given_name == "Ada"
        ));
    }

    #[tokio::test]
    async fn each_kind_is_a_message_of_its_own() {
        let test = testkit::TestTable::new().await;
        know_ada(&test.table).await;
        let ctx = Ctx { table: test.table.clone() };
        let mut ids = std::collections::BTreeSet::new();
        for kind in [NoticeKind::Registered, NoticeKind::Released] {
            let step = testkit::step(Command { kind, ..registered() });
            ids.insert(handle(&ctx, &step).await.expect("queued").message);
        }
        assert_eq!(ids.len(), 2);
        assert_eq!(testkit::published(&test.table).await.len(), 2);
    }

    #[tokio::test]
    async fn a_student_whose_contact_is_late_is_asked_for_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let step = testkit::step(registered());
        let result = handle(&ctx, &step).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if fault.retryable));
        assert_eq!(testkit::published(&test.table).await, []);
        know_ada(&test.table).await;
        handle(&ctx, &step).await.expect("now it is queued");
    }

    #[test]
    fn what_a_saga_sends_is_understood() {
        let command: Command = serde_json::from_value(serde_json::json!({
            "bundle": BundleId::derived_from("one"), "student": testkit::person("ada"),
            "kind": "released", "reason": "charge_refused", "term_code": "2027S",
            "items": [{ "section_code": "MATH101-A", "course_title": "Calculus I" }],
        }))
        .expect("a command");
        assert_eq!(command.reason, Some(ReleaseReason::ChargeRefused));
        let without_reason = serde_json::json!({
            "bundle": BundleId::derived_from("one"), "student": testkit::person("ada"),
            "kind": "registered", "term_code": "2027S", "items": [],
        });
        serde_json::from_value::<Command>(without_reason).expect("a command");
    }
}
