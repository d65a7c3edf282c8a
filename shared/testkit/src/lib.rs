//! For tests and benches: an embedded DynamoDB engine, faults on the wire, calls and events made by hand, a payment
//! provider, a Moodle site, a made-up university, and a Runtime API that runs real bootstraps.

#[cfg(test)]
mod audit_trail;
mod engine;
mod engine_items;
mod fault_walk;
mod faults;
mod fixtures;
#[cfg(test)]
mod front_door;
mod in_process;
mod limits;
mod mobile_money;
mod moodle_recordings;
mod moodle_site;
mod payment_provider;
mod runtime_api;
mod step_functions;
#[cfg(test)]
mod table_on_the_wire;
mod units;
mod university;

pub use engine::{Engine, TestTable, secret_not_put};
pub use engine_items::EngineItem;
pub use fault_walk::{under_every_fault, under_every_fault_anew};
pub use faults::{Fault, Faults};
pub use fixtures::{
    NOW, call, delivery, http_event, now, operations_noted, person, published, sqs_batch, step,
    trail_of,
};
pub use limits::Limited;
pub use moodle_recordings::{
    MoodleRecording, MoodleReplay, NOT_RECORDED, moodle_recording, moodle_recordings,
};
pub use moodle_site::{MoodleAsked, MoodleFault, MoodleSite, MoodleSiteSettings};
pub use payment_provider::{
    PaymentProvider, PaymentProviderSettings, webhook_body, webhook_body_of, webhook_signature,
};
pub use runtime_api::{Bootstrap, RuntimeApi};
pub use step_functions::StepFunctions;
pub use units::Units;
pub use university::{ImportedStudent, University, UniversitySettings, university};
