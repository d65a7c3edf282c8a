//! A section that students can register for now, offered by the event that the catalog would send.

use events::{Envelope, Event, OfferedTerm, SectionOffered};
use kernel::{Id, SectionId};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::function::Functions;

/// A section of the example's course whose registration is open for all of our lives.
pub fn section(name: &str, capacity: u32) -> SectionOffered {
    let example = SectionOffered::example();
    let term = OfferedTerm {
        registration_opens_at: "2020-01-01T00:00:00Z".parse().expect("a timestamp"),
        registration_closes_at: "2120-01-01T00:00:00Z".parse().expect("a timestamp"),
        ..example.term.clone()
    };
    SectionOffered { section: SectionId::derived_from(name), capacity, term, ..example }
}

/// Lets a consumer take an event in, as the bus and its queue would.
pub async fn deliver(
    functions: &mut Functions<'_>,
    context: &'static str,
    consumer: &'static str,
    event: impl Event,
) -> Result<(), Failure> {
    let envelope: Envelope = testkit::delivery(consumer, event).envelope;
    let reply = functions.invoke(context, consumer, testkit::sqs_batch(&[envelope])).await?;
    if reply == json!({ "batchItemFailures": Value::Array(Vec::new()) }) {
        return Ok(());
    }
    Err(Failure(format!("{context}-{consumer} did not take the event in: {reply}")))
}
