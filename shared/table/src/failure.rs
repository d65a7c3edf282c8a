//! What can go wrong between us and DynamoDB, told apart by what the caller does next.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::Place;

pub(crate) type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    /// DynamoDB asked us to slow down, and the SDK's own retries did not help.
    #[error("DynamoDB throttled the read")]
    Throttled,
    /// The stored item is not what this code can read.
    #[error("a {kind} cannot be read: {why}")]
    Unreadable { kind: &'static str, why: String },
    /// Asking again will not help: we may not, or there is no such table.
    #[error("DynamoDB denies the read: {0}")]
    Denied(String),
    /// The page asked for does not continue the list.
    #[error("the cursor does not belong to this list")]
    WrongPosition,
    #[error("the read could not be carried out")]
    Fault(#[source] Cause),
}

/// Why a transaction did not go through. Nothing of it was written, except perhaps after a [`CommitFailure::Fault`].
#[derive(Debug, thiserror::Error)]
pub enum CommitFailure {
    /// The same command, or the same event, has been carried out before.
    #[error("this was done before")]
    DoneBefore,
    /// These writes found another state than they were decided on.
    #[error("a condition no longer holds")]
    ConditionFailed(Vec<Place>),
    /// Others kept writing to the same items until the deadline.
    #[error("others are writing to the same items")]
    Conflict {
        /// One of the items is the idempotency record: a twin of this command is under way.
        with_twin: bool,
    },
    #[error("DynamoDB throttled the transaction")]
    Throttled,
    /// DynamoDB refuses the transaction as it stands: a defect of ours.
    #[error("DynamoDB refuses the transaction: {0}")]
    Invalid(String),
    /// Asking again will not help: we may not, or there is no such table.
    #[error("DynamoDB denies the transaction: {0}")]
    Denied(String),
    /// The deadline left no time to begin.
    #[error("no time was left to begin the transaction")]
    OutOfTime,
    /// It is not known whether the transaction went through.
    #[error("the transaction's outcome is unknown")]
    Fault(#[source] Cause),
}

/// The codes by which DynamoDB says "slow down".
const THROTTLING: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "ThrottledException",
];

/// The codes by which AWS says that the deployment is at fault, and not the moment.
const DENYING: [&str; 4] = [
    "AccessDeniedException",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
];

/// What AWS says, where it says one of those.
pub(crate) fn denial(error: &impl ProvideErrorMetadata) -> Option<String> {
    let code = error.code().filter(|code| DENYING.contains(code))?;
    Some(format!("{code}: {}", error.message().unwrap_or("no reason given")))
}

pub(crate) fn is_throttling(code: Option<&str>) -> bool {
    code.is_some_and(|code| THROTTLING.contains(&code))
}

pub(crate) fn read_failure<E>(error: SdkError<E>) -> ReadFailure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error.code() {
        code if is_throttling(code) => ReadFailure::Throttled,
        // The only part of a read that a caller can spoil is where it starts.
        Some("ValidationException")
            if error.message().is_some_and(|text| {
                text.contains("ExclusiveStartKey") || text.contains("starting key")
            }) =>
        {
            ReadFailure::WrongPosition
        }
        _ => match denial(&error) {
            Some(denial) => ReadFailure::Denied(denial),
            None => ReadFailure::Fault(Box::new(error)),
        },
    }
}
