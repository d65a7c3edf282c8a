//! What a term, a course and a section are, and what is refused of them.

use kernel::{CourseId, Date, Meeting, SectionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Refuse, Sentences};

/// A short name that people type: upper case letters, digits, dot, dash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Code(
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[A-Z0-9][A-Z0-9.\-]*$"))] pub String,
);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub id: TermId,
    pub code: Code,
    pub title: String,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

impl Term {
    pub fn check(&self) -> Result<(), Refusal> {
        if self.last_day < self.first_day {
            return Err(Refusal::TermEndsBeforeItBegins);
        }
        if self.registration_closes_at <= self.registration_opens_at {
            return Err(Refusal::RegistrationClosesBeforeItOpens);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    pub id: CourseId,
    pub code: Code,
    pub title: String,
    pub credits_hundredths: u32,
    pub department: Code,
    pub corequisites: Vec<CourseId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub id: SectionId,
    pub code: Code,
    pub term: TermId,
    pub course: CourseId,
    pub course_code: Code,
    pub capacity: u32,
    pub price_group: String,
    pub approval_required: bool,
    pub meetings: Vec<Meeting>,
}

impl Section {
    pub fn check(&self) -> Result<(), Refusal> {
        let backwards = |meeting: &Meeting| {
            meeting.ends_at <= meeting.starts_at || meeting.last_day < meeting.first_day
        };
        if self.meetings.iter().any(backwards) {
            return Err(Refusal::MeetingEndsBeforeItBegins);
        }
        let clash = |(at, meeting): (usize, &Meeting)| {
            self.meetings[..at].iter().any(|earlier| earlier.clashes_with(meeting))
        };
        if self.meetings.iter().enumerate().any(clash) {
            return Err(Refusal::MeetingsClash);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    TermUnknown,
    CourseUnknown,
    SectionUnknown,
    CorequisiteUnknown,
    TermCodeTaken,
    CourseCodeTaken,
    SectionCodeTaken,
    TermEndsBeforeItBegins,
    RegistrationClosesBeforeItOpens,
    MeetingEndsBeforeItBegins,
    MeetingsClash,
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::TermUnknown => ("TERM_UNKNOWN", 404),
            Self::CourseUnknown => ("COURSE_UNKNOWN", 404),
            Self::SectionUnknown => ("SECTION_UNKNOWN", 404),
            Self::CorequisiteUnknown => ("COREQUISITE_UNKNOWN", 422),
            Self::TermCodeTaken => ("TERM_CODE_TAKEN", 409),
            Self::CourseCodeTaken => ("COURSE_CODE_TAKEN", 409),
            Self::SectionCodeTaken => ("SECTION_CODE_TAKEN", 409),
            Self::TermEndsBeforeItBegins => ("TERM_ENDS_BEFORE_IT_BEGINS", 422),
            Self::RegistrationClosesBeforeItOpens => ("REGISTRATION_CLOSES_BEFORE_IT_OPENS", 422),
            Self::MeetingEndsBeforeItBegins => ("MEETING_ENDS_BEFORE_IT_BEGINS", 422),
            Self::MeetingsClash => ("MEETINGS_CLASH", 422),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
