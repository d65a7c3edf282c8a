//! Every event of the bus, kept for good: projections are rebuilt from them. Writing one twice writes the same.

use std::fmt::Write as _;

use events::Envelope;
use jiff::tz::TimeZone;
use shell::{Delivery, Failure};

use crate::Ctx;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let body = serde_json::to_vec(&delivery.envelope).expect("an envelope is JSON");
    ctx.events.put(&key(&delivery.envelope), body).await?;
    Ok(())
}

/// `events/<context>/<yyyy>/<mm>/<dd>/<event id>.json`, by the day on which it happened.
fn key(envelope: &Envelope) -> String {
    let day = envelope.occurred_at.to_zoned(TimeZone::UTC).strftime("%Y/%m/%d").to_string();
    format!("events/{}/{day}/{}.json", safe(envelope.context()), safe(&envelope.id))
}

/// Letters, digits, dot, dash and underscore stay; every other byte becomes `!` and its two hexadecimal digits.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            safe.push(char::from(byte));
        } else {
            write!(safe, "!{byte:02X}").expect("a string takes everything");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use bucket::Bucket;
    use events::{Event, ImportApplied};
    use testkit::TestTable;

    use super::*;
    use crate::stub::{self, Stub};

    #[tokio::test]
    async fn an_event_delivered_twice_is_kept_once_and_reads_back() {
        let (test, stub) = (TestTable::new().await, Stub::start().await);
        let ctx = Ctx { events: Bucket::at(&stub.config(), "archive"), ..stub::ctx(&test.table) };
        let delivery = testkit::delivery("archive-events", ImportApplied::example());
        handle(&ctx, &delivery).await.expect("writes");
        let first = stub.objects();
        handle(&ctx, &delivery).await.expect("writes again");
        assert_eq!(stub.objects(), first);
        let (key, body) = first.into_iter().next().expect("an object");
        assert!(key.starts_with("/archive/events/operations/2027/01/15/operations.import.applied"));
        let kept: Envelope = serde_json::from_slice(&body).expect("an envelope");
        assert_eq!(kept, delivery.envelope);
    }

    #[tokio::test]
    async fn an_event_that_could_not_be_kept_comes_again() {
        let (test, stub) = (TestTable::new().await, Stub::start().await);
        let ctx = Ctx { events: Bucket::at(&stub.config(), "archive"), ..stub::ctx(&test.table) };
        stub.fail("PUT");
        let batch = testkit::sqs_batch(&[testkit::delivery("", ImportApplied::example()).envelope]);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        let answer = shell::consume_batch("archive-events", &ctx, &handle, &batch, deadline).await;
        assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "0");
    }

    #[test]
    fn keys_are_safe_and_tell_ids_apart() {
        assert_eq!(safe("billing.charge.posted:chg_1:1"), "billing.charge.posted!3Achg_1!3A1");
        assert_eq!(safe("a/../b é"), "a!2F..!2Fb!20!C3!A9");
        assert_ne!(safe("a!3A"), safe("a:"));
    }
}
