//! Journeys: people's ways through Matricula, walked on a deployed stack. `cargo matricula test` starts them
//! on a cloud of
//! their own; each makes its own people, terms and sections, so that all of them can be under way at once.

mod api;
mod cloud;
mod courses;
mod mail;
mod patience;
mod people;
mod sagas;
mod service_clients;

mod access;
mod audit;
mod authorization;
mod bad_input;
mod documents;
mod hot_section;
mod imports;
mod moodle;
mod payments;
mod planning;
mod receipts;
mod register;
mod registration;
mod repetition;
mod restart;
mod saga_laws;
mod scenarios;
mod schedules;
mod sessions;
mod sign_in;
mod stopped_saga;
mod undo;
mod waitlists;
