//! Everything that knows Lambda: how an operation is called over HTTP, as a saga step, with events, by schedule, from a
//! stream or as the authorizer; how its failures become answers; what is logged. Operations themselves know none of it.

mod audit;
pub mod authorizer;
pub mod aws;
mod call;
mod caller;
mod client;
mod clock;
mod cursor;
mod document;
mod events_in;
mod failure;
pub mod http;
mod import;
mod json_document;
mod locales;
pub mod oauth;
pub mod openapi;
mod problem;
mod reachable;
mod remembered;
mod request;
mod route;
mod runtime;
mod secrets;
mod step;
mod stream;
pub mod telemetry;
mod validation;

pub use audit::{
    ProveTrail, TrailAct, TrailChange, TrailEntry, TrailProof, TrailQuestion, TrailWatch,
    answer_trail_question, note_read, prove_trail, read_trail, watch_trail,
};
pub use call::{Call, Listing, Raw};
pub use caller::{Caller, Grant, Role, Scope};
pub use client::{ClientScope, ServiceClient};
pub use clock::now;
pub use document::Document;
pub use events_in::{Delivery, consume_batch, events};
pub use failure::{Failure, Fault, Refuse};
pub use http::{http, http_page, http_raw};
pub use import::{Imported, RefusedRow, RowOutcome, import_rows};
pub use locales::{Sentences, sentence};
pub use oauth::http_oauth;
pub use reachable::{PublicAddresses, Reachable};
pub use remembered::Remembered;
pub use request::{RequestRefusal, SENTENCES};
pub use route::{Access, Allow, Body, HttpOperation, Method, Route};
pub use runtime::{Context, operation, required_environment};
pub use secrets::{digest_of, forget_secret_named, random_text, secret, secret_named};
pub use step::{Step, Tick, run_again, run_step, schedule, step};
pub use stream::{StreamRecord, publish_batch, stream};
