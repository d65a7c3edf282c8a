//! Why a bench has no result: one sentence for whoever started it.

use std::fmt::Display;

#[derive(Debug)]
pub struct Failure(pub String);

/// Says what was being done when something outside broke.
pub trait Explain<T> {
    fn explain(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Display> Explain<T> for Result<T, E> {
    fn explain(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

impl<T> Explain<T> for Option<T> {
    fn explain(self, what: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure(what.to_owned()))
    }
}
