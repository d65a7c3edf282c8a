//! The rules of registration: pure functions of the state, the input and the time.

mod balance_hold;
mod bundle;
mod clearance;
mod course_update;
mod hold;
mod link;
mod overrides;
mod refusal;
mod registration;
mod seats;
mod student;
mod submission;
mod term;
mod waitlist;

pub use balance_hold::{BalanceHold, balance};
pub use bundle::{Approval, ApprovalState, Bundle, BundleState, Parked, Verdict};
pub use clearance::Clearance;
pub use course_update::CourseUpdate;
pub use hold::{Hold, HoldKind, Lifted, Office, may_keep};
pub use link::{Incomplete, Link, SectionLinks};
pub use overrides::{Giver, Override, Revoked, UsedOverride, may_lift};
pub use refusal::{ItemCode, ItemRefusal, Refusal, SENTENCES, StoppedBy};
pub use registration::{Registration, RegistrationState, Transition};
pub use seats::{SectionSeats, SectionStatus, SharedSeats, Turn};
pub use student::{KnownStudent, StudentRecord, StudentStatus};
pub use submission::{
    AcademicBackground, Background, CREDITS_MAX_HUNDREDTHS, Cart, Decision, Door, Entry,
    EntryState, FailedItem, History, PlannedBundle, StudentTerm, Submission, decide, entry,
    populations,
};
pub use term::TermFacts;
pub use waitlist::{
    Line, Place, SeatOffer, Skipped, WAITLISTED_CREDITS_MAX_HUNDREDTHS, WaitingFor, WaitlistEntry,
    WaitlistTransition,
};
