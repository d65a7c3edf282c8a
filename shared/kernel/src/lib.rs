//! The words every context shares: ids, money, names, meetings and the calendar, requirements. Pure types: no async,
//! no AWS, no clock.

mod calendar;
mod id;
mod meeting;
mod money;
mod person;
mod requirement;
mod seat_pool;

pub use calendar::{Calendar, Holiday, Way};
pub use id::{
    AccountId, AdjustmentId, ApprovalId, BundleId, ChargeId, ClientSecretId, CourseId, CrossListId,
    DeviceId, HoldId, Id, ImportId, InvoiceId, JournalEntryId, MessageId, OverrideId, PaymentId,
    PaymentPlanId, PersonId, ProgramId, ReceiptId, RefundId, RegistrationGroupId, RegistrationId,
    RoleAssignmentId, RolloverId, SectionId, ServiceClientId, SessionId, SignInId, SourceId,
    SubmissionId, SuspenseItemId, TermId, TermWithdrawalId, TuitionRunId, WaitlistEntryId, WrongId,
};
pub use meeting::{Meeting, Room, Weekday};
pub use money::{Currency, Money, MoneyError};
pub use person::{Email, Locale, PersonName, PhoneNumber, WrongEmail, WrongPhoneNumber};
pub use requirement::{
    AcademicRecord, Attempt, GradeScale, Graph, Proof, ProofReason, Requirement,
    RequirementSyntaxError, Verdict, cycle_through,
};
pub use seat_pool::{Seat, SeatPool, Seats};

pub use jiff::Timestamp;
pub use jiff::civil::{Date, Time};
