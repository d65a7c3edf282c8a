//! Drift: where what stands in a site differs from what should, how much of it there is, and when it is too much to
//! be believed.

use std::collections::BTreeSet;

use kernel::{PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, MoodleRoles, SiteCode, WantedEnrolment};

/// How something differs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It should stand there, and does not.
    Missing,
    /// It stands there, and nobody here knows why.
    Extra,
    WrongRole,
    /// Active where it should be suspended, or the other way round.
    WrongStatus,
    /// Names, dates or addresses are others than were sent.
    ChangedThere,
}

impl Difference {
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::WrongRole => "wrong_role",
            Self::WrongStatus => "wrong_status",
            Self::ChangedThere => "changed_there",
        }
    }

    /// Of the sentence.
    pub fn sentence_code(self) -> &'static str {
        match self {
            Self::Missing => "DRIFT_MISSING",
            Self::Extra => "DRIFT_EXTRA",
            Self::WrongRole => "DRIFT_WRONG_ROLE",
            Self::WrongStatus => "DRIFT_WRONG_STATUS",
            Self::ChangedThere => "DRIFT_CHANGED_THERE",
        }
    }

    /// Whether it is ours to mend. What others have put there is only told.
    pub fn is_ours(self) -> bool {
        self != Self::Extra
    }
}

/// One thing that differs, as a check found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub site: SiteCode,
    /// The check that found it: when it was asked for.
    pub check: Timestamp,
    pub kind: Kind,
    /// Ours where it is known here; else what Moodle calls it, such as `sec_…/moodle-17`.
    pub entity: String,
    pub difference: Difference,
    pub moodle_id: Option<i64>,
    pub found_at: Timestamp,
}

/// What a check has counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DriftTally {
    pub courses: u64,
    pub people: u64,
    /// Courses, accounts, enrolments and groups that should stand there.
    pub expected: u64,
    /// Enrolments that nobody could look at, since their course is missing.
    #[serde(default)]
    pub unseen: u64,
    pub missing: u64,
    pub extra: u64,
    pub wrong_role: u64,
    pub wrong_status: u64,
    pub changed_there: u64,
}

impl DriftTally {
    pub fn count(&mut self, difference: Difference) {
        *match difference {
            Difference::Missing => &mut self.missing,
            Difference::Extra => &mut self.extra,
            Difference::WrongRole => &mut self.wrong_role,
            Difference::WrongStatus => &mut self.wrong_status,
            Difference::ChangedThere => &mut self.changed_there,
        } += 1;
    }

    pub fn found(&self) -> u64 {
        self.missing + self.extra + self.wrong_role + self.wrong_status + self.changed_there
    }

    /// Whether so much is missing that the answers are to be doubted: a token that lost a right sees less, and says
    /// nothing. Somebody has to look first.
    pub fn is_shrunken(&self) -> bool {
        is_shrunken(self.missing + self.unseen, self.expected)
    }
}

/// Whether too much is missing of what is expected.
pub(super) fn is_shrunken(missing: u64, expected: u64) -> bool {
    const MISSING_MAX: u64 = 50;
    const MISSING_MAX_PER_CENT: u64 = 10;
    missing > MISSING_MAX || missing * 100 > expected * MISSING_MAX_PER_CENT
}

/// What a check goes through, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftStep {
    Courses,
    People,
}

/// A check under way. It goes on where it stopped, and reports when it has seen everything, or never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftCheck {
    pub site: SiteCode,
    pub asked_at: Timestamp,
    /// Absent where the night asked.
    pub asked_by: Option<PersonId>,
    pub step: DriftStep,
    pub after: Option<String>,
    pub tally: DriftTally,
    /// Why it goes on no more, until somebody asks for another.
    pub stopped: Option<Stopped>,
}

/// Why a check ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    pub at: Timestamp,
    /// Of the sentence.
    pub code: String,
    pub moodle_code: String,
}

impl DriftCheck {
    pub fn asked(site: SiteCode, asked_at: Timestamp, asked_by: Option<PersonId>) -> Self {
        let tally = DriftTally::default();
        let step = DriftStep::Courses;
        Self { site, asked_at, asked_by, step, after: None, tally, stopped: None }
    }

    pub fn is_under_way(&self) -> bool {
        self.stopped.is_none()
    }

    /// The check behind one more page; none where that was the last.
    pub fn behind(&self, next: Option<String>, tally: DriftTally) -> Option<Self> {
        let step = match (next.is_some(), self.step) {
            (true, step) => step,
            (false, DriftStep::Courses) => DriftStep::People,
            (false, DriftStep::People) => return None,
        };
        Some(Self { step, after: next, tally, ..self.clone() })
    }
}

/// What is ours of a report is marked again, page by page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    pub asked_at: Timestamp,
    pub asked_by: PersonId,
    pub after: Option<String>,
    pub marked: u64,
    pub is_finished: bool,
}

/// The last check that has seen everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftReport {
    pub site: SiteCode,
    pub asked_at: Timestamp,
    pub finished_at: Timestamp,
    pub tally: DriftTally,
    pub repair: Option<Repair>,
}

impl DriftReport {
    pub fn of(check: &DriftCheck, tally: DriftTally, finished_at: Timestamp) -> Self {
        let (site, asked_at) = (check.site.clone(), check.asked_at);
        Self { site, asked_at, finished_at, tally, repair: None }
    }
}

/// An enrolment as a course lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub is_active: bool,
    pub roles: BTreeSet<i64>,
    /// 0 where the user never looked into the course.
    pub last_access_s: i64,
}

/// How one enrolment differs. Who should be suspended and is not there at all has no way in: nothing is missing. Of the
/// roles, those count that we give: one of them beside the right one, or left to who is suspended, is a wrong one.
pub fn enrolment_difference(
    roles: &MoodleRoles,
    wanted: Option<WantedEnrolment>,
    listed: Option<&Listed>,
) -> Option<Difference> {
    match (wanted, listed) {
        (Some(wanted), None) => (!wanted.is_suspended).then_some(Difference::Missing),
        (Some(wanted), Some(listed)) if wanted.is_suspended == listed.is_active => {
            Some(Difference::WrongStatus)
        }
        (Some(wanted), Some(listed)) => {
            let lacks = !wanted.is_suspended && !listed.roles.contains(&wanted.role);
            let mut others = roles.ours().filter(|role| *role != wanted.role);
            let is_wrong = lacks || others.any(|role| listed.roles.contains(&role));
            is_wrong.then_some(Difference::WrongRole)
        }
        (None, Some(_)) => Some(Difference::Extra),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_differs_by_being_there_by_its_status_or_by_its_role() {
        let wanted = |is_suspended| Some(WantedEnrolment { role: 5, is_suspended });
        let listed_as = |is_active, roles: &[i64]| {
            let roles = roles.iter().copied().collect();
            Listed { is_active, roles, last_access_s: 0 }
        };
        let listed = |is_active, role| listed_as(is_active, &[role]);
        let roles = MoodleRoles { student: 5, teacher: Some(3) };
        for (wanted, listed, expected) in [
            (wanted(false), None, Some(Difference::Missing)),
            (wanted(true), None, None),
            (wanted(false), Some(listed(true, 5)), None),
            (wanted(false), Some(listed(false, 5)), Some(Difference::WrongStatus)),
            (wanted(true), Some(listed(true, 5)), Some(Difference::WrongStatus)),
            (wanted(true), Some(listed(false, 5)), None),
            (wanted(true), Some(listed(false, 3)), Some(Difference::WrongRole)),
            (wanted(false), Some(listed_as(true, &[3, 5])), Some(Difference::WrongRole)),
            (wanted(false), Some(listed_as(true, &[5, 9])), None),
            (wanted(false), Some(listed(true, 3)), Some(Difference::WrongRole)),
            (None, Some(listed(true, 5)), Some(Difference::Extra)),
            (None, None, None),
        ] {
            let found = enrolment_difference(&roles, wanted, listed.as_ref());
            assert_eq!(found, expected, "{wanted:?} {listed:?}");
        }
    }

    #[test]
    fn what_shrinks_sharply_is_doubted() {
        let tally = |expected, missing| DriftTally { expected, missing, ..DriftTally::default() };
        assert!(!tally(0, 0).is_shrunken());
        assert!(!tally(100, 10).is_shrunken());
        assert!(tally(100, 11).is_shrunken());
        assert!(tally(10_000, 51).is_shrunken());
        assert!(tally(3, 3).is_shrunken(), "an empty answer");
        let hidden = DriftTally { unseen: 10, ..tally(100, 1) };
        assert!(hidden.is_shrunken(), "one course of many, with ten students in it");
    }

    #[test]
    fn a_check_ends_behind_the_last_page_of_people() {
        let site = SiteCode("academics".into());
        let check = DriftCheck::asked(site, testkit::now(), None);
        let tally = DriftTally::default();
        let more = check.behind(Some("x".into()), tally).expect("more courses");
        assert_eq!((more.step, more.after.as_deref()), (DriftStep::Courses, Some("x")));
        let people = more.behind(None, tally).expect("then people");
        assert_eq!((people.step, &people.after), (DriftStep::People, &None));
        assert_eq!(people.behind(None, tally), None);
    }
}
