//! What the contexts say of themselves: the routes of their HTTP operations and the inputs of their steps.

use schemars::{JsonSchema, Schema, schema_for};
use shell::{Failure, HttpOperation, Sentences, Step};

/// The HTTP operations of every context.
pub fn http_operations() -> Vec<HttpOperation> {
    [
        identity::http_operations(),
        catalog::http_operations(),
        enrollment::http_operations(),
        billing::http_operations(),
        moodle::http_operations(),
        notifications::http_operations(),
        operations::http_operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the shell and every context refuse with.
pub fn sentences() -> Vec<&'static Sentences> {
    vec![
        &shell::SENTENCES,
        &identity::domain::SENTENCES,
        &catalog::domain::SENTENCES,
        &enrollment::domain::SENTENCES,
        &billing::domain::SENTENCES,
        &moodle::domain::SENTENCES,
        &notifications::domain::SENTENCES,
        &operations::domain::SENTENCES,
    ]
}

/// Every step with the schema of its input; build.rs finds them.
pub fn steps() -> Vec<(&'static str, Schema)> {
    include!(concat!(env!("OUT_DIR"), "/steps.rs"))
}

fn input_of<X, C: JsonSchema, R>(
    _step: impl AsyncFn(&X, &Step<C>) -> Result<R, Failure>,
) -> Schema {
    schema_for!(C)
}
