//! Every domain event: its Rust type, its name and its version. This is all that contexts share.

mod billing;
mod catalog;
mod enrollment;
mod envelope;
mod grades;
mod identity;
mod moodle;
mod notifications;
mod operations;
mod verification;

pub use billing::{
    AccountUnfinished, BalanceHoldLifted, BalanceHoldPlaced, ChargePosted, ChargeReversed,
    ChargeSecured, ChargeSettled, ChargebackBooked, ChargebackReversed, DunningMeasure,
    DunningStepTaken, InvoiceDeferred, PaymentFailed, PaymentPlanBegun, PaymentPlanCancelled,
    PaymentRefunded, PaymentSucceeded, ReceiptMatched, ReceiptRejected, ReceiptSubmitted,
    RefundFailed,
};
pub use catalog::{
    CalendarChanged, CourseChanged, CourseCreated, CourseVersion, CrossListing, OfferedCourse,
    OfferedTerm, ProgramChanged, RefundStep, RegistrationGroupChanged, RegistrationWindow,
    RolloverAdvanced, SectionCancelled, SectionCapacityChanged, SectionOffered, SectionSuspended,
    TermChanged, TermCreated, TermDates, TermState, WaitlistMode, WaitlistSettings,
};
pub use enrollment::{
    ApprovalDecided, ApprovalRequested, BundleParked, ChargeableRegistration, ClearanceAdvanced,
    CourseUpdateAdvanced, Decision, DropReason, EndedRegistration, Enter, GivenUp, HoldLifted,
    HoldPlaced, OverrideGiven, OverrideRevoked, PrerequisiteBroken, RegistrationConfirmed,
    RegistrationDropped, RegistrationReleased, RegistrationWithdrawn, ReleaseReason, SagaRequested,
    SeatFreed, SeatsRepaired, TermWithdrawalAdvanced, TermWithdrawn, WaitlistChanged,
    WaitlistState,
};
pub use envelope::{Description, Envelope, Event};
pub use grades::GradePosted;
pub use identity::{
    DeviceAdded, EmailVerificationRequested, InvitationSent, PasswordChanged,
    PasswordResetRequested, PersonChanged, PersonRegistered, RefreshTokenReused, RoleAssigned,
    RoleEnded, SecondFactorConfirmed, SecondFactorRemoved, SecondFactorReset,
};
pub use moodle::{GradeRead, ResultRead, WorkMarked};
pub use notifications::MessageQueued;
pub use operations::ImportApplied;
pub use verification::{LinkPurpose, link_token, verification_code};

/// Every event there is, for the schemas in `events/` and for tests that walk them all.
pub fn catalogue() -> Vec<Description> {
    vec![
        Description::of::<PersonRegistered>(),
        Description::of::<PersonChanged>(),
        Description::of::<RoleAssigned>(),
        Description::of::<RoleEnded>(),
        Description::of::<EmailVerificationRequested>(),
        Description::of::<RefreshTokenReused>(),
        Description::of::<DeviceAdded>(),
        Description::of::<PasswordChanged>(),
        Description::of::<SecondFactorConfirmed>(),
        Description::of::<SecondFactorRemoved>(),
        Description::of::<SecondFactorReset>(),
        Description::of::<PasswordResetRequested>(),
        Description::of::<InvitationSent>(),
        Description::of::<TermCreated>(),
        Description::of::<TermChanged>(),
        Description::of::<CalendarChanged>(),
        Description::of::<ProgramChanged>(),
        Description::of::<CourseCreated>(),
        Description::of::<CourseChanged>(),
        Description::of::<SectionOffered>(),
        Description::of::<SectionCapacityChanged>(),
        Description::of::<SectionSuspended>(),
        Description::of::<SectionCancelled>(),
        Description::of::<RegistrationGroupChanged>(),
        Description::of::<RolloverAdvanced>(),
        Description::of::<SagaRequested>(),
        Description::of::<ApprovalRequested>(),
        Description::of::<ApprovalDecided>(),
        Description::of::<RegistrationConfirmed>(),
        Description::of::<RegistrationReleased>(),
        Description::of::<RegistrationDropped>(),
        Description::of::<RegistrationWithdrawn>(),
        Description::of::<TermWithdrawalAdvanced>(),
        Description::of::<TermWithdrawn>(),
        Description::of::<ClearanceAdvanced>(),
        Description::of::<CourseUpdateAdvanced>(),
        Description::of::<HoldPlaced>(),
        Description::of::<HoldLifted>(),
        Description::of::<OverrideGiven>(),
        Description::of::<OverrideRevoked>(),
        Description::of::<SeatFreed>(),
        Description::of::<SeatsRepaired>(),
        Description::of::<WaitlistChanged>(),
        Description::of::<BundleParked>(),
        Description::of::<PrerequisiteBroken>(),
        Description::of::<GradePosted>(),
        Description::of::<ChargePosted>(),
        Description::of::<ChargeSettled>(),
        Description::of::<ChargeSecured>(),
        Description::of::<ChargeReversed>(),
        Description::of::<PaymentSucceeded>(),
        Description::of::<PaymentFailed>(),
        Description::of::<BalanceHoldPlaced>(),
        Description::of::<BalanceHoldLifted>(),
        Description::of::<PaymentRefunded>(),
        Description::of::<RefundFailed>(),
        Description::of::<ChargebackBooked>(),
        Description::of::<ChargebackReversed>(),
        Description::of::<AccountUnfinished>(),
        Description::of::<PaymentPlanBegun>(),
        Description::of::<PaymentPlanCancelled>(),
        Description::of::<InvoiceDeferred>(),
        Description::of::<DunningStepTaken>(),
        Description::of::<ReceiptSubmitted>(),
        Description::of::<ReceiptMatched>(),
        Description::of::<ReceiptRejected>(),
        Description::of::<WorkMarked>(),
        Description::of::<ResultRead>(),
        Description::of::<MessageQueued>(),
        Description::of::<ImportApplied>(),
    ]
}
