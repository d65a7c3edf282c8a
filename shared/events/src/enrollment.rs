//! Events of the enrollment context.

use kernel::{
    ApprovalId, BundleId, CourseId, Date, HoldId, Id, OverrideId, PersonId, RegistrationId,
    SectionId, SubmissionId, TermId, TermWithdrawalId, Timestamp, WaitlistEntryId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// The step at which the saga of a bundle is entered: the first of a new one, the recorded one of a restarted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enter {
    Approve,
    Charge,
    Notify,
    Undo,
}

/// A registration as billing charges it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeableRegistration {
    pub registration: RegistrationId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub credits_hundredths: u32,
    pub price_group: String,
}

/// The seats of a bundle are held (or its saga has to go on): start an execution named `<bundle>-<attempt>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SagaRequested {
    pub bundle: BundleId,
    pub attempt: u32,
    pub enter: Enter,
    pub submission: SubmissionId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub approval_required: bool,
    pub registrations: Vec<ChargeableRegistration>,
    /// When the step it is entered at began: that step's time-out counts from here, however often the saga starts.
    pub waiting_since: Timestamp,
    /// Why the bundle is undone; only when entered at the undo.
    pub reason: Option<ReleaseReason>,
}

impl Event for SagaRequested {
    const NAME: &'static str = "enrollment.saga.requested";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.bundle.to_string()
    }

    fn example() -> Self {
        Self {
            bundle: BundleId::derived_from("example"),
            attempt: 1,
            enter: Enter::Approve,
            submission: SubmissionId::derived_from("example"),
            student: PersonId::derived_from("example"),
            term: TermId::derived_from("example"),
            term_code: "2027S".into(),
            approval_required: true,
            registrations: vec![ChargeableRegistration {
                registration: RegistrationId::derived_from("example"),
                section: SectionId::derived_from("example"),
                section_code: "MATH101-A".into(),
                course_title: "Calculus I".into(),
                credits_hundredths: 600,
                price_group: "standard".into(),
            }],
            waiting_since: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
            reason: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequested {
    pub approval: ApprovalId,
    pub bundle: BundleId,
    pub student: PersonId,
    /// Whose head is asked.
    pub department: String,
}

impl Event for ApprovalRequested {
    const NAME: &'static str = "enrollment.approval.requested";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.approval.to_string()
    }

    fn example() -> Self {
        Self {
            approval: ApprovalId::derived_from("example"),
            bundle: BundleId::derived_from("example"),
            student: PersonId::derived_from("example"),
            department: "MATH".into(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approve,
    Reject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDecided {
    pub approval: ApprovalId,
    pub bundle: BundleId,
    pub decision: Decision,
    pub decided_by: PersonId,
    pub reason: Option<String>,
}

impl Event for ApprovalDecided {
    const NAME: &'static str = "enrollment.approval.decided";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.approval.to_string()
    }

    fn example() -> Self {
        Self {
            approval: ApprovalId::derived_from("example"),
            bundle: BundleId::derived_from("example"),
            decision: Decision::Approve,
            decided_by: PersonId::derived_from("head"),
            reason: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationConfirmed {
    pub registration: RegistrationId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub section: SectionId,
    pub term: TermId,
}

impl Event for RegistrationConfirmed {
    const NAME: &'static str = "enrollment.registration.confirmed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.registration.to_string()
    }

    fn example() -> Self {
        Self {
            registration: RegistrationId::derived_from("example"),
            bundle: BundleId::derived_from("example"),
            student: PersonId::derived_from("example"),
            section: SectionId::derived_from("example"),
            term: TermId::derived_from("example"),
        }
    }
}

/// Why a registration that was never confirmed lost its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    ApprovalRejected,
    ApprovalTimedOut,
    ChargeRefused,
    PaymentTimedOut,
    StudentCancelled,
    /// One of its sections does not take place.
    SectionCancelled,
    SagaFailed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationReleased {
    pub registration: RegistrationId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub section: SectionId,
    pub term: TermId,
    pub reason: ReleaseReason,
}

impl Event for RegistrationReleased {
    const NAME: &'static str = "enrollment.registration.released";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.registration.to_string()
    }

    fn example() -> Self {
        let RegistrationConfirmed { registration, bundle, student, section, term } =
            RegistrationConfirmed::example();
        Self {
            registration,
            bundle,
            student,
            section,
            term,
            reason: ReleaseReason::PaymentTimedOut,
        }
    }
}

/// Why a confirmed registration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The student gave it up; what that gives back follows from the day.
    #[default]
    StudentDropped,
    /// The section does not take place: everything is given back.
    SectionCancelled,
    /// The student withdraws from the whole term, in time to drop: what that gives back is computed for all of it
    /// together, see [`TermWithdrawn`].
    TermWithdrawn,
    /// It rested on a course that was failed after all: everything is given back.
    PrerequisiteBroken,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationDropped {
    pub registration: RegistrationId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub term: TermId,
    pub term_code: String,
    pub dropped_at: Timestamp,
    pub reason: DropReason,
}

impl Event for RegistrationDropped {
    const NAME: &'static str = "enrollment.registration.dropped";
    const VERSION: u32 = 3;

    fn subject(&self) -> String {
        self.registration.to_string()
    }

    fn example() -> Self {
        let RegistrationConfirmed { registration, bundle, student, section, term } =
            RegistrationConfirmed::example();
        let dropped_at = "2027-02-03T10:00:00Z".parse().expect("a timestamp");
        let SagaRequested { term_code, registrations, .. } = SagaRequested::example();
        let ChargeableRegistration { section_code, course_title, .. } = registrations[0].clone();
        Self {
            registration,
            bundle,
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            dropped_at,
            reason: DropReason::StudentDropped,
        }
    }
}

/// A registration was let in by a course that was under way, and whose grade does not meet what it requires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrerequisiteBroken {
    pub registration: RegistrationId,
    pub student: PersonId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub term: TermId,
    pub term_code: String,
    /// What would have to be met, such as `course(MATH101, C)`.
    pub missing: Vec<String>,
    /// After this day the student is taken out of the section, where the institution's policy says so.
    pub drop_on: Option<Date>,
}

impl Event for PrerequisiteBroken {
    const NAME: &'static str = "enrollment.prerequisite.broken";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.registration.to_string()
    }

    fn example() -> Self {
        let RegistrationDropped {
            registration,
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            ..
        } = RegistrationDropped::example();
        Self {
            registration,
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            missing: vec!["course(MATH100, C)".into()],
            drop_on: Some("2027-01-30".parse().expect("a date")),
        }
    }
}

/// A registration was given up too late to be dropped: it stays on the student's record with a W. What that gives back
/// follows from the day, as for a drop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationWithdrawn {
    pub registration: RegistrationId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub term: TermId,
    pub term_code: String,
    pub withdrawn_at: Timestamp,
    /// Where the student, or the registrar's office, has told it.
    pub last_attended_on: Option<Date>,
    /// The withdrawal from the whole term that it is a part of: what is given back is computed for all of it together,
    /// see [`TermWithdrawn`].
    pub term_withdrawal: Option<TermWithdrawalId>,
}

impl Event for RegistrationWithdrawn {
    const NAME: &'static str = "enrollment.registration.withdrawn";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.registration.to_string()
    }

    fn example() -> Self {
        let RegistrationDropped {
            registration,
            bundle,
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            ..
        } = RegistrationDropped::example();
        Self {
            registration,
            bundle,
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            withdrawn_at: "2027-03-15T10:00:00Z".parse().expect("a timestamp"),
            last_attended_on: Some("2027-03-10".parse().expect("a date")),
            term_withdrawal: None,
        }
    }
}

/// A student withdraws from a whole term, and so many pages of what they have in it are ended; it goes on with the
/// next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TermWithdrawalAdvanced {
    pub withdrawal: TermWithdrawalId,
    pub step: u32,
}

impl Event for TermWithdrawalAdvanced {
    const NAME: &'static str = "enrollment.term-withdrawal.advanced";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}/{}", self.withdrawal, self.step)
    }

    fn example() -> Self {
        Self { withdrawal: TermWithdrawalId::derived_from("example"), step: 0 }
    }
}

/// How a registration ended that its student gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GivenUp {
    /// Without a trace on the transcript.
    Dropped,
    /// With a W.
    Withdrawn,
}

/// A registration that ended with the student's withdrawal from its term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedRegistration {
    pub registration: RegistrationId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub ended: GivenUp,
}

/// A student has withdrawn from a whole term: everything they had in it has ended, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TermWithdrawn {
    pub withdrawal: TermWithdrawalId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    /// When it was asked for: what is given back follows from this day.
    pub withdrawn_at: Timestamp,
    pub last_attended_on: Option<Date>,
    pub registrations: Vec<EndedRegistration>,
}

impl Event for TermWithdrawn {
    const NAME: &'static str = "enrollment.term.withdrawn";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.withdrawal.to_string()
    }

    fn example() -> Self {
        let RegistrationWithdrawn {
            registration,
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            withdrawn_at,
            last_attended_on,
            ..
        } = RegistrationWithdrawn::example();
        let ended = GivenUp::Withdrawn;
        Self {
            withdrawal: TermWithdrawalId::derived_from("example"),
            student,
            term,
            term_code,
            withdrawn_at,
            last_attended_on,
            registrations: vec![EndedRegistration {
                registration,
                section,
                section_code,
                course_title,
                ended,
            }],
        }
    }
}

/// A section is cancelled, and so many pages of its students have been taken out of it; it goes on with the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClearanceAdvanced {
    pub section: SectionId,
    pub step: u32,
}

impl Event for ClearanceAdvanced {
    const NAME: &'static str = "enrollment.clearance.advanced";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.section.to_string()
    }

    fn example() -> Self {
        Self { section: SectionId::derived_from("example"), step: 0 }
    }
}

/// A course has said what it now is, and so many pages of its sections follow it; it goes on with the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CourseUpdateAdvanced {
    pub course: CourseId,
    pub step: u32,
}

impl Event for CourseUpdateAdvanced {
    const NAME: &'static str = "enrollment.course-update.advanced";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.course.to_string()
    }

    fn example() -> Self {
        Self { course: CourseId::derived_from("example"), step: 0 }
    }
}

/// An office stops a student: why, is between the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HoldPlaced {
    pub hold: HoldId,
    pub student: PersonId,
    /// Until when, where it ends by itself.
    pub ends_at: Option<Timestamp>,
}

impl Event for HoldPlaced {
    const NAME: &'static str = "enrollment.hold.placed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.hold.to_string()
    }

    fn example() -> Self {
        let HoldLifted { hold, student } = HoldLifted::example();
        Self { hold, student, ends_at: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HoldLifted {
    pub hold: HoldId,
    pub student: PersonId,
}

impl Event for HoldLifted {
    const NAME: &'static str = "enrollment.hold.lifted";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.hold.to_string()
    }

    fn example() -> Self {
        let (hold, student) = (HoldId::derived_from("example"), PersonId::derived_from("example"));
        Self { hold, student }
    }
}

/// Somebody let a student pass one rule in one section: why, is between the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverrideGiven {
    pub r#override: OverrideId,
    pub student: PersonId,
    pub section: SectionId,
    /// The rule that it lifts, such as `CLOSED`.
    pub code: String,
    pub given_by: PersonId,
    pub expires_at: Timestamp,
}

impl Event for OverrideGiven {
    const NAME: &'static str = "enrollment.override.given";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.r#override.to_string()
    }

    fn example() -> Self {
        let OverrideRevoked { r#override, student, section } = OverrideRevoked::example();
        Self {
            r#override,
            student,
            section,
            code: "CLOSED".into(),
            given_by: PersonId::derived_from("head"),
            expires_at: "2027-02-12T22:59:59Z".parse().expect("a timestamp"),
        }
    }
}

/// An override lets its student in no longer; who came in by it stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverrideRevoked {
    pub r#override: OverrideId,
    pub student: PersonId,
    pub section: SectionId,
}

impl Event for OverrideRevoked {
    const NAME: &'static str = "enrollment.override.revoked";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.r#override.to_string()
    }

    fn example() -> Self {
        Self {
            r#override: OverrideId::derived_from("example"),
            student: PersonId::derived_from("example"),
            section: SectionId::derived_from("example"),
        }
    }
}

/// A seat of a section with a waitlist is free, or may be: the first in line who can take it is to have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeatFreed {
    pub section: SectionId,
    /// The registration, the waitlist entry or the change of the section that freed it.
    pub freed_by: String,
    /// Counts how often the line was gone through in pieces.
    pub step: u32,
    /// Who stands at this position has been asked.
    pub after: Option<i64>,
}

impl Event for SeatFreed {
    const NAME: &'static str = "enrollment.seat.freed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}/{}/{}", self.section, self.freed_by, self.step)
    }

    fn example() -> Self {
        let RegistrationConfirmed { registration, section, .. } = RegistrationConfirmed::example();
        Self { section, freed_by: registration.to_string(), step: 0, after: None }
    }
}

/// Somebody had a section's counters set to what was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatsRepaired {
    pub section: SectionId,
    pub taken_before: i64,
    pub taken: i64,
    pub waiting_before: i64,
    pub waiting: i64,
    pub repaired_by: PersonId,
    pub reason: String,
}

impl Event for SeatsRepaired {
    const NAME: &'static str = "enrollment.seats.repaired";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.section.to_string()
    }

    fn example() -> Self {
        Self {
            section: SectionId::derived_from("example"),
            taken_before: 30,
            taken: 29,
            waiting_before: 0,
            waiting: 0,
            repaired_by: PersonId::derived_from("registrar"),
            reason: "Asked for by the faculty.".into(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitlistState {
    Waiting,
    /// A seat is held for this student until the offer expires.
    Offered,
    /// Has a registration, which goes its own way from there.
    Registered,
    OfferExpired,
    Declined,
    Left,
    /// The list was closed, or its section cancelled.
    Closed,
}

impl WaitlistState {
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Offered)
    }
}

/// Somebody stands in line, has come to a seat, or stands in line no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitlistChanged {
    pub entry: WaitlistEntryId,
    pub student: PersonId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub term: TermId,
    pub term_code: String,
    pub state: WaitlistState,
    /// Until when the seat is held, where one is offered.
    pub offered_until: Option<Timestamp>,
}

impl Event for WaitlistChanged {
    const NAME: &'static str = "enrollment.waitlist.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.entry.to_string()
    }

    fn example() -> Self {
        let RegistrationDropped {
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            ..
        } = RegistrationDropped::example();
        Self {
            entry: WaitlistEntryId::derived_from("example"),
            student,
            section,
            section_code,
            course_title,
            term,
            term_code,
            state: WaitlistState::Offered,
            offered_until: Some("2027-01-16T08:30:00Z".parse().expect("a timestamp")),
        }
    }
}

/// An undo kept failing: the bundle waits for an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleParked {
    pub bundle: BundleId,
    pub submission: SubmissionId,
    pub student: PersonId,
    /// The step that could not be undone.
    pub step: String,
    pub error: String,
}

impl Event for BundleParked {
    const NAME: &'static str = "enrollment.bundle.parked";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.bundle.to_string()
    }

    fn example() -> Self {
        Self {
            bundle: BundleId::derived_from("example"),
            submission: SubmissionId::derived_from("example"),
            student: PersonId::derived_from("example"),
            step: "reverse-charge".into(),
            error: "States.Timeout".into(),
        }
    }
}
