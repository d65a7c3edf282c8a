//! The one error of this program: what failed, where its log is, and what to do now.
use std::fmt::Display;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Failure {
    pub what: String,
    pub log: Option<PathBuf>,
    pub advice: String,
}

impl Failure {
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), log: None, advice: advice.into() }
    }

    pub fn with_log(mut self, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self
    }
}

/// Gives an error of the standard library its sentence and its advice.
pub trait Explain<T> {
    fn explain(self, what: impl FnOnce() -> String, advice: &str) -> Result<T, Failure>;
}

impl<T, E: Display> Explain<T> for Result<T, E> {
    fn explain(self, what: impl FnOnce() -> String, advice: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{}: {error}", what()), advice))
    }
}

/// The advice where a file of the checkout cannot be read or written.
pub const CHECK_FILES: &str =
    "See that the checkout is complete, that you may write to it, and that the disk is not full.";
