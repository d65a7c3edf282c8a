//! The three failures of an operation, because callers do three different things with them.

use std::error::Error;
use std::fmt;

use kernel::Locale;
use serde_json::{Map, Value};
use table::{CommitFailure, ReadFailure};

use crate::Sentences;

/// What the domain says when it says no. Each context has one enum of them.
pub trait Refuse: fmt::Debug + Send + Sync + 'static {
    /// Stable code, in upper snake case, by which clients decide; and the HTTP status.
    fn code_and_status(&self) -> (&'static str, u16);

    fn code(&self) -> &'static str {
        self.code_and_status().0
    }

    fn status(&self) -> u16 {
        self.code_and_status().1
    }

    /// What the sentence for people needs.
    fn arguments(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Further members of the problem document, such as `errors`.
    fn extensions(&self, _locale: Locale) -> Map<String, Value> {
        Map::new()
    }

    /// The context's sentences by code and language.
    fn sentences(&self) -> &'static Sentences;
}

#[derive(Debug)]
pub enum Failure {
    /// The domain said no: shown with its code, never retried.
    Refused(Box<dyn Refuse>),
    /// Someone wrote first: the operation is run again from the top, a bounded number of times.
    Conflict {
        /// A twin of the same command is under way.
        with_twin: bool,
    },
    /// This very command or event has been carried out before: its first reply stands.
    DoneBefore,
    /// The world broke: logged once with its whole chain, hidden from the caller, retried from outside.
    Fault(Fault),
}

/// What broke, and whether asking again can help.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    what: String,
    pub retryable: bool,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// Something outside did not answer, or not as promised; it may do so later.
    pub fn outside(
        what: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), retryable: true, cause: Some(cause.into()) }
    }

    /// A defect of ours: asking again will not help.
    pub fn defect(what: impl Into<String>) -> Self {
        Self { what: what.into(), retryable: false, cause: None }
    }

    /// Lambda is about to end the invocation.
    pub(crate) fn out_of_time() -> Self {
        Self::outside("the deadline passed", "the invocation's time was used up")
    }

    /// The whole chain in one line, for the log.
    pub fn chain(&self) -> String {
        let mut line = self.what.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

impl Failure {
    /// What happened in one line, for the log; personal data is in none of it.
    pub fn line(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.code().to_owned(),
            Self::Conflict { .. } => "others are writing to the same items".to_owned(),
            Self::DoneBefore => "it was done before".to_owned(),
            Self::Fault(fault) => fault.chain(),
        }
    }
}

impl<R: Refuse> From<R> for Failure {
    fn from(refusal: R) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ReadFailure> for Failure {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::WrongPosition => crate::RequestRefusal::CursorInvalid.into(),
            ReadFailure::Throttled | ReadFailure::Fault(_) => {
                Fault::outside("the table could not be read", failure).into()
            }
            ReadFailure::Unreadable { .. } | ReadFailure::Denied(_) => {
                Fault::defect(failure.to_string()).into()
            }
        }
    }
}

impl From<CommitFailure> for Failure {
    fn from(failure: CommitFailure) -> Self {
        match failure {
            CommitFailure::DoneBefore => Self::DoneBefore,
            CommitFailure::ConditionFailed(_) => Self::Conflict { with_twin: false },
            CommitFailure::Conflict { with_twin } => Self::Conflict { with_twin },
            CommitFailure::Throttled | CommitFailure::OutOfTime | CommitFailure::Fault(_) => {
                Fault::outside("the table could not be written", failure).into()
            }
            CommitFailure::Invalid(_) | CommitFailure::Denied(_) => {
                Fault::defect(failure.to_string()).into()
            }
        }
    }
}
