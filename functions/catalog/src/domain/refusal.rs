//! What the catalog refuses, and in which words.

use kernel::Locale;
use serde_json::{Map, Value, json};
use shell::{Refuse, Sentences, sentence};

use super::Clash;

/// What is wrong with the days of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateProblem {
    TermEndsBeforeItBegins,
    RegistrationClosesBeforeItOpens,
    PartOutsideParent,
    WindowPopulationTwice,
    DatesOutOfOrder,
    DateOutsideTerm,
    RefundsOutOfOrder,
}

impl DateProblem {
    fn code(self) -> &'static str {
        match self {
            Self::TermEndsBeforeItBegins => "TERM_ENDS_BEFORE_IT_BEGINS",
            Self::RegistrationClosesBeforeItOpens => "REGISTRATION_CLOSES_BEFORE_IT_OPENS",
            Self::PartOutsideParent => "PART_OUTSIDE_PARENT",
            Self::WindowPopulationTwice => "WINDOW_POPULATION_TWICE",
            Self::DatesOutOfOrder => "DATES_OUT_OF_ORDER",
            Self::DateOutsideTerm => "DATE_OUTSIDE_TERM",
            Self::RefundsOutOfOrder => "REFUNDS_OUT_OF_ORDER",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    TermUnknown,
    CourseUnknown,
    SectionUnknown,
    ProgramUnknown,
    RegistrationGroupUnknown,
    CrossListUnknown,
    RolloverUnknown,
    TermCodeTaken,
    CourseCodeTaken,
    SectionCodeTaken,
    ProgramCodeTaken,
    RegistrationGroupCodeTaken,
    CrossListCodeTaken,
    CorequisiteUnknown,
    /// Prerequisites, equivalents or cross-listed courses name these, which nobody knows.
    CourseCodesUnknown(Vec<String>),
    /// The way round, from a course back to itself.
    PrerequisiteCycle(Vec<String>),
    PrerequisitesTooMany,
    /// `at` counts characters from 1; `expected` are words of the grammar.
    RequirementMalformed {
        field: String,
        at: usize,
        expected: &'static str,
    },
    CreditsMaxBelowMin,
    CourseVersionsTooMany,
    CourseRetired,
    TermDatesWrong(Vec<DateProblem>),
    ParentTermIsPart,
    TermStateNotReachable,
    TermNotEditable,
    SectionStateNotReachable,
    SectionIsCancelled,
    MeetingEndsBeforeItBegins,
    MeetingDatesOutside,
    MeetingNeverMeets,
    MeetingsClash,
    PoolPopulationTwice,
    PoolPriorityTwice,
    /// Rooms or teachers that are taken.
    TimetableClash(Vec<Clash>),
    ResourcesTooMany,
    GroupSectionsApart,
    GroupComponentTwice,
    GroupSectionsClash,
    GroupIsCancelled,
    CrossListSectionsApart,
    SectionCrossListed,
    HolidayEndsBeforeItBegins,
    WayTwice,
    RolloverIntoItself,
    RolloverTargetNotPlanned,
    RolloverDone,
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::TermUnknown => ("TERM_UNKNOWN", 404),
            Self::CourseUnknown => ("COURSE_UNKNOWN", 404),
            Self::SectionUnknown => ("SECTION_UNKNOWN", 404),
            Self::ProgramUnknown => ("PROGRAM_UNKNOWN", 404),
            Self::RegistrationGroupUnknown => ("REGISTRATION_GROUP_UNKNOWN", 404),
            Self::CrossListUnknown => ("CROSS_LIST_UNKNOWN", 404),
            Self::RolloverUnknown => ("ROLLOVER_UNKNOWN", 404),
            Self::TermCodeTaken => ("TERM_CODE_TAKEN", 409),
            Self::CourseCodeTaken => ("COURSE_CODE_TAKEN", 409),
            Self::SectionCodeTaken => ("SECTION_CODE_TAKEN", 409),
            Self::ProgramCodeTaken => ("PROGRAM_CODE_TAKEN", 409),
            Self::RegistrationGroupCodeTaken => ("REGISTRATION_GROUP_CODE_TAKEN", 409),
            Self::CrossListCodeTaken => ("CROSS_LIST_CODE_TAKEN", 409),
            Self::CorequisiteUnknown => ("COREQUISITE_UNKNOWN", 422),
            Self::CourseCodesUnknown(_) => ("COURSE_CODES_UNKNOWN", 422),
            Self::PrerequisiteCycle(_) => ("PREREQUISITE_CYCLE", 422),
            Self::PrerequisitesTooMany => ("PREREQUISITES_TOO_MANY", 422),
            Self::RequirementMalformed { .. } => ("REQUIREMENT_MALFORMED", 422),
            Self::CreditsMaxBelowMin => ("CREDITS_MAX_BELOW_MIN", 422),
            Self::CourseVersionsTooMany => ("COURSE_VERSIONS_TOO_MANY", 409),
            Self::CourseRetired => ("COURSE_RETIRED", 409),
            Self::TermDatesWrong(problems) => {
                (problems.first().map_or("DATES_OUT_OF_ORDER", |problem| problem.code()), 422)
            }
            Self::ParentTermIsPart => ("PARENT_TERM_IS_PART", 422),
            Self::TermStateNotReachable => ("TERM_STATE_NOT_REACHABLE", 409),
            Self::TermNotEditable => ("TERM_NOT_EDITABLE", 409),
            Self::SectionStateNotReachable => ("SECTION_STATE_NOT_REACHABLE", 409),
            Self::SectionIsCancelled => ("SECTION_IS_CANCELLED", 409),
            Self::MeetingEndsBeforeItBegins => ("MEETING_ENDS_BEFORE_IT_BEGINS", 422),
            Self::MeetingDatesOutside => ("MEETING_DATES_OUTSIDE", 422),
            Self::MeetingNeverMeets => ("MEETING_NEVER_MEETS", 422),
            Self::MeetingsClash => ("MEETINGS_CLASH", 422),
            Self::PoolPopulationTwice => ("POOL_POPULATION_TWICE", 422),
            Self::PoolPriorityTwice => ("POOL_PRIORITY_TWICE", 422),
            Self::TimetableClash(_) => ("TIMETABLE_CLASH", 409),
            Self::ResourcesTooMany => ("RESOURCES_TOO_MANY", 422),
            Self::GroupSectionsApart => ("GROUP_SECTIONS_APART", 422),
            Self::GroupComponentTwice => ("GROUP_COMPONENT_TWICE", 422),
            Self::GroupSectionsClash => ("GROUP_SECTIONS_CLASH", 422),
            Self::GroupIsCancelled => ("GROUP_IS_CANCELLED", 409),
            Self::CrossListSectionsApart => ("CROSS_LIST_SECTIONS_APART", 422),
            Self::SectionCrossListed => ("SECTION_CROSS_LISTED", 409),
            Self::HolidayEndsBeforeItBegins => ("HOLIDAY_ENDS_BEFORE_IT_BEGINS", 422),
            Self::WayTwice => ("WAY_TWICE", 422),
            Self::RolloverIntoItself => ("ROLLOVER_INTO_ITSELF", 422),
            Self::RolloverTargetNotPlanned => ("ROLLOVER_TARGET_NOT_PLANNED", 409),
            Self::RolloverDone => ("ROLLOVER_DONE", 409),
        }
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::CourseCodesUnknown(codes) => vec![("codes", codes.join(", "))],
            Self::PrerequisiteCycle(way) => vec![("way", way.join(" → "))],
            Self::RequirementMalformed { at, expected, .. } => {
                vec![("at", at.to_string()), ("expected", (*expected).to_owned())]
            }
            _ => Vec::new(),
        }
    }

    fn extensions(&self, locale: Locale) -> Map<String, Value> {
        let errors: Vec<Value> = match self {
            Self::TermDatesWrong(problems) => problems
                .iter()
                .map(|problem| {
                    let message = sentence(&SENTENCES, locale, problem.code(), &[]);
                    json!({ "code": problem.code(), "message": message })
                })
                .collect(),
            Self::TimetableClash(clashes) => clashes.iter().map(|clash| json!(clash)).collect(),
            Self::RequirementMalformed { field, at, expected } => {
                vec![json!({ "field": field, "at": at, "expected": expected })]
            }
            _ => return Map::new(),
        };
        Map::from_iter([("errors".to_owned(), errors.into())])
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
