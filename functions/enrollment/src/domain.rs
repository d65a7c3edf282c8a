//! The rules of registration: pure functions of the state, the input and the time.

mod balance_hold;
mod bundle;
mod clearance;
mod hold;
mod refusal;
mod registration;
mod seats;
mod student;
mod submission;
mod term;

pub use balance_hold::{BalanceHold, balance};
pub use bundle::{Approval, ApprovalState, Bundle, BundleState, Parked, Verdict};
pub use clearance::Clearance;
pub use hold::{Hold, HoldKind, Lifted, Office, may_keep};
pub use refusal::{ItemCode, ItemRefusal, Refusal, SENTENCES, StoppedBy};
pub use registration::{Registration, RegistrationState, Transition};
pub use seats::{SectionSeats, SectionStatus, SharedSeats};
pub use student::{KnownStudent, StudentRecord, StudentStatus};
pub use submission::{
    AcademicBackground, Background, CREDITS_MAX_HUNDREDTHS, Cart, Decision, Entry, EntryState,
    FailedItem, History, PlannedBundle, StudentTerm, Submission, decide, entry,
};
pub use term::TermFacts;
