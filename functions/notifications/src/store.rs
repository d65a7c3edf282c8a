//! The items of notifications: how they lie in the table, and the transactions that write them with their events.

use events::MessageQueued;
use kernel::{MessageId, PersonId};
use table::{Key, Partition, Record, Transaction};

use crate::domain::{Contact, Message};

impl Record for Contact {
    const KIND: &'static str = "contact";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        contact_key(self.person)
    }
}

impl Record for Message {
    const KIND: &'static str = "message";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        message_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        // Written to the nanosecond: a time with fewer digits would sort behind a later one.
        let at =
            |person| (format!("MESSAGES#{person}"), format!("{:.9}#{}", self.queued_at, self.id));
        self.person.map(at)
    }
}

pub fn contact_key(person: PersonId) -> Key<Contact> {
    Key::new(format!("CONTACT#{person}"), "CONTACT")
}

pub fn message_key(id: MessageId) -> Key<Message> {
    Key::new(format!("MESSAGE#{id}"), "MESSAGE")
}

/// A person's messages, the newest first.
pub fn messages_of(person: PersonId) -> Partition<Message> {
    Partition::in_index(format!("MESSAGES#{person}"), "").newest_first()
}

/// A new message together with the event that has it sent.
pub fn queue(transaction: &mut Transaction<'_>, message: &Message, correlation_id: &str) {
    transaction.create(message);
    transaction.event(MessageQueued { message: message.id }, 1, message.queued_at, correlation_id);
}
