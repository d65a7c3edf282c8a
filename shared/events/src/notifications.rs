//! Events of the notifications context.

use kernel::{Id, MessageId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// A message is ready to be sent. What it says stays in the notifications table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageQueued {
    pub message: MessageId,
}

impl Event for MessageQueued {
    const NAME: &'static str = "notifications.message.queued";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.message.to_string()
    }

    fn example() -> Self {
        Self { message: MessageId::derived_from("example") }
    }
}
