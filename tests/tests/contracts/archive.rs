//! What operations archives is what a projection can be rebuilt from: every section as enrollment knows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Uri};
use bucket::Bucket;
use enrollment::domain::SectionSeats;
use events::{CrossListing, Envelope, Event, SectionOffered};
use kernel::{CrossListId, Id, SectionId};
use operations::bus::{Bus, Outboxes};
use operations::machine::Machine;
use operations::operations::archive_events;
use serde_json::{Value, json};
use table::{Key, Stored, Table};
use testkit::{Engine, TestTable};
use tokio::time::Instant;

/// Objects by path, as S3 keeps them.
type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

async fn put(State(objects): State<Objects>, method: Method, uri: Uri, body: Bytes) {
    assert_eq!(method, Method::PUT, "the archive only writes");
    objects.lock().expect("no test panics here").insert(uri.path().to_owned(), body.to_vec());
}

/// What the archive keeps of these events; the second delivery of each changes nothing.
async fn archived(events: &[Envelope]) -> BTreeMap<String, Vec<u8>> {
    let objects = Objects::default();
    let router = Router::new().fallback(put).with_state(Arc::clone(&objects));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
    let engine = Engine::start().await;
    let config = engine.sdk_config().into_builder().endpoint_url(url).build();
    let ctx = operations::Ctx {
        table: engine.table("operations").await,
        bus: Bus::from_environment(),
        outboxes: Outboxes::from_environment(),
        events: Bucket::at(&config, "archive"),
        imports: Bucket::from_environment("IMPORTS_BUCKET"),
        import_machine: Machine::from_environment("IMPORT_STATE_MACHINE_ARN"),
    };
    for batch in [testkit::sqs_batch(events), testkit::sqs_batch(&events[..1])] {
        let handle = archive_events::handle;
        let answer = shell::consume_batch("archive-events", &ctx, &handle, &batch, soon()).await;
        assert_eq!(answer, taken_in());
    }
    let objects = objects.lock().expect("no test panics here").clone();
    assert_eq!(objects.len(), events.len());
    objects
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn taken_in() -> Value {
    json!({ "batchItemFailures": [] })
}

fn section(name: &str) -> SectionId {
    SectionId::derived_from(name)
}

/// The section by this version: `capacity` seats, in a cross-list or in none.
fn offered(name: &str, version: u64, capacity: u32, list: Option<&str>) -> Envelope {
    let cross_listing =
        list.map(|list| CrossListing { cross_list: CrossListId::derived_from(list), capacity: 40 });
    let (section, section_version) = (section(name), version);
    let example = SectionOffered::example();
    let event = SectionOffered { section, section_version, capacity, cross_listing, ..example };
    let mut envelope = testkit::delivery("", event).envelope;
    envelope.id = format!("{}:{section}:{version}", SectionOffered::NAME);
    envelope
}

/// Enrollment takes the events in, in this order.
async fn project(table: &Table, events: &[Envelope]) {
    let ctx = enrollment::Ctx::new(table.clone());
    let handle = enrollment::operations::on_section_offered::handle;
    let batch = testkit::sqs_batch(events);
    let answer = shell::consume_batch("on-section-offered", &ctx, &handle, &batch, soon()).await;
    assert_eq!(answer, taken_in());
}

async fn sections(table: &Table) -> Vec<Stored<SectionSeats>> {
    let mut found = Vec::new();
    for name in ["a", "b"] {
        let key = Key::new(format!("SECTION#{}", section(name)), "SEATS");
        found.push(table.get(&key).await.expect("reads").expect("is there"));
    }
    found
}

fn values(sections: Vec<Stored<SectionSeats>>) -> Vec<SectionSeats> {
    sections.into_iter().map(|stored| stored.value).collect()
}

#[tokio::test]
async fn a_projection_is_rebuilt_from_what_was_archived_and_twice_the_same() {
    let events = [
        offered("a", 1, 30, None),
        offered("b", 1, 20, Some("x")),
        offered("a", 2, 25, Some("x")),
        offered("b", 2, 22, None),
    ];
    let live = TestTable::new().await;
    project(&live.table, &events).await;

    let kept = archived(&events).await;
    let read = |body: &Vec<u8>| serde_json::from_slice::<Envelope>(body).expect("an envelope");
    let kept: Vec<Envelope> = kept.values().map(read).collect();
    let rebuilt = TestTable::new().await;
    project(&rebuilt.table, &kept).await;
    let once = sections(&rebuilt.table).await;
    assert_eq!(values(once.clone()), values(sections(&live.table).await));
    assert_eq!(once[0].value.capacity, 25);

    project(&rebuilt.table, &kept).await;
    assert_eq!(sections(&rebuilt.table).await, once, "what is known already changes nothing");

    // Whichever way they are read.
    let backwards: Vec<Envelope> = kept.iter().rev().cloned().collect();
    let another = TestTable::new().await;
    project(&another.table, &backwards).await;
    assert_eq!(values(sections(&another.table).await), values(once));
}
