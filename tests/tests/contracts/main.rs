//! What the outside relies on: events, the API, who may use it, sentences, and a sample call of every
//! operation. It is
//! generated from the code, checked in, and compared here; `UPDATE=1` rewrites it.

mod access;
mod archive;
mod events;
mod example;
mod openapi;
mod requests;
mod samples;
mod sentences;
