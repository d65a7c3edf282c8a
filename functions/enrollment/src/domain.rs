//! The rules of registration: pure functions of the state, the input and the time.

mod balance_hold;
mod broken_prerequisite;
mod bundle;
mod census;
mod clearance;
mod course_update;
mod deputy;
mod history;
mod hold;
mod icalendar;
mod kept_cart;
mod link;
mod overrides;
mod refusal;
mod registration;
mod schedule;
mod schedule_feed;
mod seat_count;
mod seats;
mod student;
mod submission;
mod term;
mod term_withdrawal;
mod waitlist;

pub use balance_hold::{BalanceHold, balance};
pub use broken_prerequisite::{BrokenPrerequisite, OnBrokenPrerequisite, RegistrationPolicy};
pub use bundle::{Approval, ApprovalState, Bundle, BundleState, Parked, Verdict};
pub use census::{Census, CensusEntry, Load};
pub use clearance::Clearance;
pub use course_update::CourseUpdate;
pub use deputy::Deputy;
pub use history::{ATTEMPTS_MAX, AcademicBackground, History, PastResult};
pub use hold::{Hold, HoldKind, Lifted, Office, may_keep};
pub use icalendar::zone_name;
pub use kept_cart::{KeptCart, KeptItem};
pub use link::{Incomplete, Link, SectionLinks};
pub use overrides::{Giver, Override, Revoked, UsedOverride, may_lift};
pub use refusal::{ItemCode, ItemRefusal, Refusal, SENTENCES, StoppedBy};
pub use registration::{Deadlines, GivingUp, Registration, RegistrationState, Transition};
pub use schedule::{Scheduled, ScheduledMeeting, ScheduledState, meetings_on, week_of};
pub use schedule_feed::{Almanac, FeedAddress, ScheduleFeed, calendar_text};
pub use seat_count::{SeatCount, SeatDifference, SharedCount};
pub use seats::{SectionSeats, SectionStatus, SharedSeats, Turn};
pub use student::{KnownStudent, StudentRecord, StudentStatus};
pub use submission::{
    Background, CREDITS_MAX_HUNDREDTHS, Cart, Decision, Door, Entry, EntryState, FailedItem,
    PlannedBundle, StudentTerm, Submission, decide, entry, populations, prove_again,
};
pub use term::{TermFacts, end_of};
pub use term_withdrawal::{
    TermWithdrawal, TermWithdrawalState, WithdrawalItem, WithdrawalProgress,
};
pub use waitlist::{
    Line, Place, SeatOffer, Skipped, WAITLISTED_CREDITS_MAX_HUNDREDTHS, WaitingFor, WaitlistEntry,
    WaitlistTransition,
};
