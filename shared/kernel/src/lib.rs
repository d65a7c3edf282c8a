//! The words every context shares: ids, money, names, terms and meetings. Pure types: no async, no AWS, no clock.

mod id;
mod meeting;
mod money;
mod person;

pub use id::{
    AccountId, ApprovalId, BundleId, ChargeId, CourseId, Id, ImportId, InvoiceId, JournalEntryId,
    MessageId, PaymentId, PersonId, RegistrationId, RoleAssignmentId, SectionId, SessionId,
    SourceId, SubmissionId, SuspenseItemId, TermId, TuitionRunId, WrongId,
};
pub use meeting::{Meeting, Weekday};
pub use money::{Currency, Money, MoneyError};
pub use person::{Email, Locale, PersonName, WrongEmail};

pub use jiff::Timestamp;
pub use jiff::civil::{Date, Time};
