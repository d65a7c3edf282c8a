//! The rules of registration: pure functions of the state, the input and the time.

mod bundle;
mod clearance;
mod refusal;
mod registration;
mod seats;
mod submission;
mod term;

pub use bundle::{Approval, ApprovalState, Bundle, BundleState, Parked, Verdict};
pub use clearance::Clearance;
pub use refusal::{ItemCode, ItemRefusal, Refusal, SENTENCES};
pub use registration::{Registration, RegistrationState, Transition};
pub use seats::{SectionSeats, SectionStatus};
pub use submission::{
    AcademicBackground, Background, CREDITS_MAX_HUNDREDTHS, Cart, Decision, Entry, EntryState,
    FailedItem, History, PlannedBundle, StudentTerm, Submission, decide, entry,
};
pub use term::TermFacts;
