//! What registration refuses, and in which words.

use kernel::{Locale, Proof, SectionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shell::{Refuse, Sentences, sentence};

use super::{FailedItem, HoldKind, Incomplete};

/// Why an item of a cart cannot be registered, in the order of the checks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ItemCode {
    SectionUnknown,
    TermClosed,
    WindowNotOpen,
    SectionNotOffered,
    Hold,
    StatusIneligible,
    TermWithdrawn,
    DuplicateSection,
    DuplicateCourse,
    RestrictionLevel,
    RestrictionProgramme,
    RestrictionAttribute,
    PrereqNotMet,
    TestScore,
    CoreqRequired,
    LinkRequired,
    InstructorPermission,
    TimeConflict,
    MaxCredits,
    RepeatLimit,
    WaitingAlready,
    ReservedClosed,
    Closed,
    WaitlistFull,
    WaitlistOnly,
    MaxWaitlistedCredits,
    CartTooLarge,
}

impl ItemCode {
    pub fn code(self) -> &'static str {
        match self {
            Self::SectionUnknown => "SECTION_UNKNOWN",
            Self::TermClosed => "TERM_CLOSED",
            Self::WindowNotOpen => "WINDOW_NOT_OPEN",
            Self::SectionNotOffered => "SECTION_NOT_OFFERED",
            Self::Hold => "HOLD",
            Self::StatusIneligible => "STATUS_INELIGIBLE",
            Self::TermWithdrawn => "TERM_WITHDRAWN",
            Self::DuplicateSection => "DUPLICATE_SECTION",
            Self::DuplicateCourse => "DUPLICATE_COURSE",
            Self::RestrictionLevel => "RESTRICTION_LEVEL",
            Self::RestrictionProgramme => "RESTRICTION_PROGRAMME",
            Self::RestrictionAttribute => "RESTRICTION_ATTRIBUTE",
            Self::PrereqNotMet => "PREREQ_NOT_MET",
            Self::TestScore => "TEST_SCORE",
            Self::CoreqRequired => "COREQ_REQUIRED",
            Self::LinkRequired => "LINK_REQUIRED",
            Self::InstructorPermission => "INSTRUCTOR_PERMISSION",
            Self::TimeConflict => "TIME_CONFLICT",
            Self::MaxCredits => "MAX_CREDITS",
            Self::RepeatLimit => "REPEAT_LIMIT",
            Self::WaitingAlready => "WAITING_ALREADY",
            Self::ReservedClosed => "RESERVED_CLOSED",
            Self::Closed => "CLOSED",
            Self::WaitlistFull => "WAITLIST_FULL",
            Self::WaitlistOnly => "WAITLIST_ONLY",
            Self::MaxWaitlistedCredits => "MAX_WAITLISTED_CREDITS",
            Self::CartTooLarge => "CART_TOO_LARGE",
        }
    }
}

/// A hold as the student who is stopped sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoppedBy {
    pub kind: HoldKind,
    pub reason: String,
}

/// One failing code of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRefusal {
    pub code: ItemCode,
    /// The section it clashes with, the section of the same course, or the bundle's other section.
    pub with: Option<SectionId>,
    /// Of a prerequisite or a restriction: what became of each of its branches.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// What holds the student.
    #[serde(default)]
    pub holds: Vec<StoppedBy>,
    /// Of a linked section: what is lacking of each choice.
    #[serde(default)]
    pub choices: Vec<Incomplete>,
}

impl ItemRefusal {
    pub fn new(code: ItemCode) -> Self {
        Self { code, with: None, proof: None, holds: Vec::new(), choices: Vec::new() }
    }

    pub fn with(code: ItemCode, section: SectionId) -> Self {
        Self { with: Some(section), ..Self::new(code) }
    }

    pub fn unproven(code: ItemCode, proof: Proof) -> Self {
        Self { proof: Some(proof), ..Self::new(code) }
    }

    pub fn unlinked(choices: Vec<Incomplete>) -> Self {
        Self { choices, ..Self::new(ItemCode::LinkRequired) }
    }

    pub fn held(holds: Vec<StoppedBy>) -> Self {
        Self { holds, ..Self::new(ItemCode::Hold) }
    }

    /// The fewest requirements that would have to be met besides.
    pub fn missing(&self) -> Vec<String> {
        let missing = self.proof.iter().flat_map(Proof::missing);
        missing.map(|proof| proof.requirement.to_string()).collect()
    }

    /// What is the matter.
    pub fn message(&self, locale: Locale) -> String {
        let missing = [("missing", self.missing().join(" + "))];
        sentence(&SENTENCES, locale, self.code.code(), &missing)
    }

    /// What the student can do about it.
    pub fn remedy(&self, locale: Locale) -> String {
        sentence(&SENTENCES, locale, &format!("{}_REMEDY", self.code.code()), &[])
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// No item of the cart can be registered.
    NothingRegistered(Vec<FailedItem>),
    SubmissionUnknown,
    RegistrationUnknown,
    ApprovalUnknown,
    ApprovalDecided,
    BundleUnknown,
    BundleNotParked,
    BundleUndone,
    ExecutionSuperseded,
    RegistrationNotConfirmed,
    RegistrationEnded,
    DropDeadlinePassed,
    DropBreaksCorequisite,
    DepartmentRequired,
    SectionUnknown,
    StudentUnknown,
    HoldUnknown,
    HoldOfAnotherOffice,
    HoldEndsBeforeItBegins,
    SectionCancelled,
    OverrideUnknown,
    OverrideOutOfReach,
    OverrideEndsBeforeItBegins,
    WaitlistEntryUnknown,
    WaitlistEntryEnded,
    WaitingAlready,
    NoWaitlist,
    SeatIsFree,
    NothingOffered,
    OfferExpired,
    OfferedAlready,
    SwapImpossible,
    SwapBreaksLink,
    DropInstead,
    WithdrawDeadlinePassed,
    CannotDropLast,
    LastAttendedInFuture,
    NothingToWithdraw,
    TermWithdrawalUnknown,
    SeatsAgree,
    DepartmentOutOfReach,
    DeputyEndsBeforeItBegins,
    DeputyOfOneself,
    ScheduleFeedUnknown,
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::NothingRegistered(items) => {
                let first =
                    items.iter().flat_map(|item| &item.refusals).map(|refusal| refusal.code).min();
                (first.unwrap_or(ItemCode::Closed).code(), 409)
            }
            Self::SubmissionUnknown => ("SUBMISSION_UNKNOWN", 404),
            Self::RegistrationUnknown => ("REGISTRATION_UNKNOWN", 404),
            Self::ApprovalUnknown => ("APPROVAL_UNKNOWN", 404),
            Self::ApprovalDecided => ("APPROVAL_DECIDED", 409),
            Self::BundleUnknown => ("BUNDLE_UNKNOWN", 404),
            Self::BundleNotParked => ("BUNDLE_NOT_PARKED", 409),
            Self::BundleUndone => ("BUNDLE_UNDONE", 409),
            Self::ExecutionSuperseded => ("EXECUTION_SUPERSEDED", 409),
            Self::RegistrationNotConfirmed => ("REGISTRATION_NOT_CONFIRMED", 409),
            Self::RegistrationEnded => ("REGISTRATION_ENDED", 409),
            Self::DropDeadlinePassed => ("DROP_DEADLINE_PASSED", 409),
            Self::DropBreaksCorequisite => ("DROP_BREAKS_COREQUISITE", 409),
            Self::DepartmentRequired => ("DEPARTMENT_REQUIRED", 422),
            Self::SectionUnknown => ("SECTION_UNKNOWN", 404),
            Self::StudentUnknown => ("STUDENT_UNKNOWN", 404),
            Self::HoldUnknown => ("HOLD_UNKNOWN", 404),
            Self::HoldOfAnotherOffice => ("HOLD_OF_ANOTHER_OFFICE", 409),
            Self::HoldEndsBeforeItBegins => ("HOLD_ENDS_BEFORE_IT_BEGINS", 422),
            Self::SectionCancelled => ("SECTION_CANCELLED", 409),
            Self::OverrideUnknown => ("OVERRIDE_UNKNOWN", 404),
            Self::OverrideOutOfReach => ("OVERRIDE_OUT_OF_REACH", 409),
            Self::OverrideEndsBeforeItBegins => ("OVERRIDE_ENDS_BEFORE_IT_BEGINS", 422),
            Self::WaitlistEntryUnknown => ("WAITLIST_ENTRY_UNKNOWN", 404),
            Self::WaitlistEntryEnded => ("WAITLIST_ENTRY_ENDED", 409),
            Self::WaitingAlready => ("WAITING_ALREADY", 409),
            Self::NoWaitlist => ("NO_WAITLIST", 409),
            Self::SeatIsFree => ("SEAT_IS_FREE", 409),
            Self::NothingOffered => ("NOTHING_OFFERED", 409),
            Self::OfferExpired => ("OFFER_EXPIRED", 409),
            Self::OfferedAlready => ("OFFERED_ALREADY", 409),
            Self::SwapImpossible => ("SWAP_IMPOSSIBLE", 409),
            Self::SwapBreaksLink => ("SWAP_BREAKS_LINK", 409),
            Self::DropInstead => ("DROP_INSTEAD", 409),
            Self::WithdrawDeadlinePassed => ("WITHDRAW_DEADLINE_PASSED", 409),
            Self::CannotDropLast => ("CANNOT_DROP_LAST", 409),
            Self::LastAttendedInFuture => ("LAST_ATTENDED_IN_FUTURE", 422),
            Self::NothingToWithdraw => ("NOTHING_TO_WITHDRAW", 409),
            Self::TermWithdrawalUnknown => ("TERM_WITHDRAWAL_UNKNOWN", 404),
            Self::SeatsAgree => ("SEATS_AGREE", 409),
            Self::DepartmentOutOfReach => ("DEPARTMENT_OUT_OF_REACH", 403),
            Self::DeputyEndsBeforeItBegins => ("DEPUTY_ENDS_BEFORE_IT_BEGINS", 422),
            Self::DeputyOfOneself => ("DEPUTY_OF_ONESELF", 422),
            Self::ScheduleFeedUnknown => ("SCHEDULE_FEED_UNKNOWN", 404),
        }
    }

    fn extensions(&self, locale: Locale) -> Map<String, Value> {
        let Self::NothingRegistered(items) = self else { return Map::new() };
        let errors = items.iter().flat_map(|item| {
            item.refusals.iter().map(|refusal| {
                json!({
                    "section": item.section,
                    "code": refusal.code.code(),
                    "with": refusal.with,
                    "message": refusal.message(locale),
                    "remedy": refusal.remedy(locale),
                    "missing": refusal.missing(),
                    "proof": refusal.proof,
                    "holds": refusal.holds,
                    "choices": refusal.choices,
                })
            })
        });
        Map::from_iter([("errors".to_owned(), errors.collect())])
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
