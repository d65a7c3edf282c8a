//! What surrounds every event on its way: who it is, when it happened, and what caused it.

use kernel::Timestamp;
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A fact that one context tells the others.
pub trait Event: Serialize + DeserializeOwned + JsonSchema {
    /// `context.thing.happened`, in the past tense; EventBridge's detail type.
    const NAME: &'static str;
    /// Raised when a consumer written for the version before could misread it.
    const VERSION: u32;

    /// The id of what changed.
    fn subject(&self) -> String;

    /// A made-up but valid event, printed into `events/` for those who integrate.
    fn example() -> Self;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T = Value> {
    /// What changed and the version that it became: consumers deduplicate on it.
    pub id: String,
    pub name: String,
    pub version: u32,
    pub occurred_at: Timestamp,
    /// Ties together everything that one request set off.
    pub correlation_id: String,
    pub data: T,
}

impl<T: Event> Envelope<T> {
    /// Wraps `data`; `subject_version` is the version that its subject became by this change.
    pub fn wrap(
        data: T,
        subject_version: u64,
        occurred_at: Timestamp,
        correlation_id: &str,
    ) -> Self {
        Self {
            id: format!("{}:{}:{subject_version}", T::NAME, data.subject()),
            name: T::NAME.to_owned(),
            version: T::VERSION,
            occurred_at,
            correlation_id: correlation_id.to_owned(),
            data,
        }
    }
}

impl Envelope {
    /// The context that told it: the first word of the name.
    pub fn context(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// An event as documentation shows it.
pub struct Description {
    pub name: &'static str,
    pub version: u32,
    pub schema: Schema,
    pub example: Value,
}

impl Description {
    pub(crate) fn of<T: Event>() -> Self {
        let occurred_at = "2027-01-15T08:30:00Z".parse().expect("a timestamp");
        let example =
            Envelope::wrap(T::example(), 1, occurred_at, "0f8fad5b-d9cb-469f-a165-70867728950e");
        Self {
            name: T::NAME,
            version: T::VERSION,
            schema: schema_for!(T),
            example: serde_json::to_value(example).expect("an example is JSON"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue;

    #[test]
    fn names_are_unique_and_follow_the_form() {
        let mut names: Vec<&str> = catalogue().iter().map(|event| event.name).collect();
        for name in &names {
            assert_eq!(name.split('.').count(), 3, "{name} is not context.thing.happened");
        }
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
