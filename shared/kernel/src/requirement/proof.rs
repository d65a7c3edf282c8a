//! Whether a student meets a requirement, branch by branch, so that a refusal can say what would help.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Requirement;

/// In the order of what they are worth.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    NotMet,
    /// Met if a course that is under way ends well: judged again when its grade is posted.
    Provisional,
    Met,
}

/// Grades from the worst to the best. Grades compare by their place here, never by their letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct GradeScale(pub Vec<String>);

/// On which no grade stands.
static NO_SCALE: GradeScale = GradeScale(Vec::new());

impl GradeScale {
    pub fn rank(&self, grade: &str) -> Option<usize> {
        self.0.iter().position(|other| other == grade)
    }
}

/// What a student has had to do with a course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Attempt {
    Graded {
        grade: String,
        passed: bool,
        /// Which of the record's scales it is a grade of.
        scale: usize,
    },
    /// Taken elsewhere and recognised; the grade, where there is one, is one of the scale that is asked by.
    Transferred {
        grade: Option<String>,
    },
    Waived,
    /// Under way, in this term or an earlier one.
    InProgress,
    /// In the same submission or term as what requires it.
    Together,
}

/// A student, as far as requirements look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct AcademicRecord {
    /// By course code.
    pub courses: BTreeMap<String, Vec<Attempt>>,
    /// Of the schemes by which the courses were graded: a grade compares by its own scheme's alone.
    pub scales: Vec<GradeScale>,
    /// Courses that count for another: by the code of the course that is required.
    pub equivalents: BTreeMap<String, BTreeSet<String>>,
    /// Best score by test, in hundredths.
    pub tests: BTreeMap<String, u32>,
    pub programs: BTreeSet<String>,
    pub credits_earned_hundredths: u32,
    /// Year of study.
    pub standing: u32,
    pub permission: bool,
}

/// What speaks for or against one requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProofReason {
    /// So many of the branches are met, provisionally or for good, and so many are needed.
    Branches {
        met: usize,
        needed: usize,
    },
    Completed {
        course: String,
        grade: String,
    },
    Transferred {
        course: String,
    },
    Waived {
        course: String,
    },
    InProgress {
        course: String,
    },
    TakenTogether {
        course: String,
    },
    /// It is taken together with what requires it, and has to come before.
    NotBefore {
        course: String,
    },
    GradeTooLow {
        course: String,
        grade: String,
        needed: String,
    },
    /// The grade, or the one that is asked for, is not on the scale.
    GradeNotComparable {
        course: String,
        needed: String,
    },
    NotPassed {
        course: String,
        grade: String,
    },
    NotTaken {
        course: String,
    },
    Score {
        hundredths: u32,
    },
    ScoreTooLow {
        hundredths: u32,
    },
    NotTested,
    InProgram,
    NotInProgram,
    CreditsEarned {
        hundredths: u32,
    },
    Standing {
        level: u32,
    },
    Permitted,
    NotPermitted,
}

/// A requirement with what became of it and of each of its branches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    pub verdict: Verdict,
    pub requirement: Requirement,
    pub reason: ProofReason,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Self>,
}

impl Requirement {
    pub fn prove(&self, record: &AcademicRecord, scale: &GradeScale) -> Proof {
        let met = |met: bool| if met { Verdict::Met } else { Verdict::NotMet };
        let (verdict, reason) = match self {
            Self::Any(branches) => return self.of_branches(1, branches, record, scale),
            Self::All(branches) => {
                return self.of_branches(branches.len(), branches, record, scale);
            }
            Self::AtLeast { count, of } => return self.of_branches(*count, of, record, scale),
            Self::Course { code, min_grade, concurrent } => {
                let wanted =
                    Wanted { code, min_grade: min_grade.as_deref(), concurrent: *concurrent };
                wanted.best(record, scale)
            }
            Self::Test { name, min_hundredths } => match record.tests.get(name) {
                Some(score) if score >= min_hundredths => {
                    (Verdict::Met, ProofReason::Score { hundredths: *score })
                }
                Some(score) => (Verdict::NotMet, ProofReason::ScoreTooLow { hundredths: *score }),
                None => (Verdict::NotMet, ProofReason::NotTested),
            },
            Self::Program(code) if record.programs.contains(code) => {
                (Verdict::Met, ProofReason::InProgram)
            }
            Self::Program(_) => (Verdict::NotMet, ProofReason::NotInProgram),
            Self::CreditsEarned(needed) => {
                let hundredths = record.credits_earned_hundredths;
                (met(hundredths >= *needed), ProofReason::CreditsEarned { hundredths })
            }
            Self::Standing(needed) => {
                let level = record.standing;
                (met(level >= *needed), ProofReason::Standing { level })
            }
            Self::Permission if record.permission => (Verdict::Met, ProofReason::Permitted),
            Self::Permission => (Verdict::NotMet, ProofReason::NotPermitted),
        };
        Proof { verdict, requirement: self.clone(), reason, branches: Vec::new() }
    }

    /// With `needed` of the branches: as good as the worst of the best that are needed.
    fn of_branches(
        &self,
        needed: usize,
        branches: &[Self],
        record: &AcademicRecord,
        scale: &GradeScale,
    ) -> Proof {
        let branches: Vec<Proof> =
            branches.iter().map(|branch| branch.prove(record, scale)).collect();
        let mut verdicts: Vec<Verdict> = branches.iter().map(|branch| branch.verdict).collect();
        verdicts.sort_unstable_by(|a, b| b.cmp(a));
        let met = verdicts.iter().filter(|verdict| **verdict != Verdict::NotMet).count();
        let verdict = needed
            .checked_sub(1)
            .map_or(Verdict::Met, |last| verdicts.get(last).copied().unwrap_or(Verdict::NotMet));
        let reason = ProofReason::Branches { met, needed };
        Proof { verdict, requirement: self.clone(), reason, branches }
    }
}

/// A course as a requirement names it.
struct Wanted<'a> {
    code: &'a str,
    min_grade: Option<&'a str>,
    concurrent: bool,
}

impl Wanted<'_> {
    /// The best of all attempts at the course and at what counts for it.
    fn best(&self, record: &AcademicRecord, scale: &GradeScale) -> (Verdict, ProofReason) {
        let counting = record.equivalents.get(self.code).into_iter().flatten().map(String::as_str);
        let attempts = std::iter::once(self.code).chain(counting).flat_map(|code| {
            let attempts = record.courses.get(code).into_iter().flatten();
            attempts.map(move |attempt| (code, attempt))
        });
        // Of two attempts that are worth the same, the first is told.
        let mut best = (Verdict::NotMet, ProofReason::NotTaken { course: self.code.to_owned() });
        let mut any = false;
        for (code, attempt) in attempts {
            let scale = match attempt {
                Attempt::Graded { scale, .. } => record.scales.get(*scale).unwrap_or(&NO_SCALE),
                _ => scale,
            };
            let judged = self.judge(code, attempt, scale);
            if !any || judged.0 > best.0 {
                best = judged;
            }
            any = true;
        }
        best
    }

    fn judge(&self, code: &str, attempt: &Attempt, scale: &GradeScale) -> (Verdict, ProofReason) {
        let course = code.to_owned();
        match attempt {
            Attempt::Waived => (Verdict::Met, ProofReason::Waived { course }),
            Attempt::InProgress => (Verdict::Provisional, ProofReason::InProgress { course }),
            Attempt::Together if self.concurrent => {
                (Verdict::Met, ProofReason::TakenTogether { course })
            }
            Attempt::Together => (Verdict::NotMet, ProofReason::NotBefore { course }),
            Attempt::Transferred { grade: None } => {
                (Verdict::Met, ProofReason::Transferred { course })
            }
            Attempt::Transferred { grade: Some(grade) } => {
                self.too_low(&course, grade, scale).map_or_else(
                    || (Verdict::Met, ProofReason::Transferred { course: course.clone() }),
                    |reason| (Verdict::NotMet, reason),
                )
            }
            Attempt::Graded { grade, passed, .. } => {
                let grade = grade.clone();
                match self.too_low(&course, &grade, scale) {
                    Some(reason) => (Verdict::NotMet, reason),
                    None if self.min_grade.is_none() && !passed => {
                        (Verdict::NotMet, ProofReason::NotPassed { course, grade })
                    }
                    None => (Verdict::Met, ProofReason::Completed { course, grade }),
                }
            }
        }
    }

    /// What speaks against the grade, where one is asked for.
    fn too_low(&self, course: &str, grade: &str, scale: &GradeScale) -> Option<ProofReason> {
        let needed = self.min_grade?;
        let (course, needed_grade) = (course.to_owned(), needed.to_owned());
        match (scale.rank(grade), scale.rank(needed)) {
            (Some(rank), Some(least)) if rank >= least => None,
            (Some(_), Some(_)) => Some(ProofReason::GradeTooLow {
                course,
                grade: grade.to_owned(),
                needed: needed_grade,
            }),
            _ => Some(ProofReason::GradeNotComparable { course, needed: needed_grade }),
        }
    }
}

impl Proof {
    /// The fewest requirements that would have to be met besides: what to tell who was refused.
    pub fn missing(&self) -> Vec<&Self> {
        if self.verdict != Verdict::NotMet {
            return Vec::new();
        }
        let ProofReason::Branches { met, needed } = self.reason else { return vec![self] };
        let failed = self.branches.iter().filter(|branch| branch.verdict == Verdict::NotMet);
        let mut ways: Vec<Vec<&Self>> = failed.map(Self::missing).collect();
        ways.sort_by_key(Vec::len);
        ways.into_iter().take(needed - met).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse::tests::any_requirement;
    use super::*;

    fn scale() -> GradeScale {
        GradeScale(["F", "D", "C-", "C", "C+", "B", "A-", "A", "A+"].map(str::to_owned).into())
    }

    fn record(courses: &[(&str, Attempt)]) -> AcademicRecord {
        let mut record = AcademicRecord { scales: vec![scale()], ..AcademicRecord::default() };
        for (code, attempt) in courses {
            record.courses.entry((*code).to_owned()).or_default().push(attempt.clone());
        }
        record
    }

    fn graded(grade: &str, passed: bool) -> Attempt {
        Attempt::Graded { grade: grade.into(), passed, scale: 0 }
    }

    fn verdict(text: &str, record: &AcademicRecord) -> Verdict {
        text.parse::<Requirement>().expect(text).prove(record, &scale()).verdict
    }

    #[test]
    fn grades_compare_by_rank_and_not_by_letter() {
        let with = |grade| record(&[("MATH101", graded(grade, true))]);
        assert_eq!(verdict("course(MATH101, A-)", &with("A")), Verdict::Met);
        assert_eq!(verdict("course(MATH101, A)", &with("A-")), Verdict::NotMet);
        assert_eq!(verdict("course(MATH101, C)", &with("C+")), Verdict::Met);
        assert_eq!(verdict("course(MATH101, C)", &with("C-")), Verdict::NotMet);
        let proof = "course(MATH101, 12)".parse::<Requirement>().expect("reads");
        let proof = proof.prove(&with("C"), &scale());
        assert!(matches!(proof.reason, ProofReason::GradeNotComparable { .. }), "{proof:?}");
    }

    #[test]
    fn a_grade_compares_by_the_scale_of_its_own_scheme() {
        let mut record = record(&[("A", graded("B", true))]);
        record.scales.push(GradeScale((0..=20).map(|mark| mark.to_string()).collect()));
        let mark = Attempt::Graded { grade: "9".into(), passed: false, scale: 1 };
        record.courses.insert("B".into(), vec![mark]);
        for (requirement, expected) in [
            ("course(A, C)", Verdict::Met),
            ("course(A, A)", Verdict::NotMet),
            ("course(B, 8)", Verdict::Met),
            ("course(B, 10)", Verdict::NotMet),
            ("course(A, 8)", Verdict::NotMet),
            ("course(B, C)", Verdict::NotMet),
        ] {
            assert_eq!(verdict(requirement, &record), expected, "{requirement}");
        }
        record.scales.clear();
        assert_eq!(verdict("course(A, C)", &record), Verdict::NotMet, "of a scale that is gone");
    }

    #[test]
    fn what_counts_for_a_course_counts() {
        let failed = graded("F", false);
        assert_eq!(verdict("course(A)", &record(&[])), Verdict::NotMet);
        assert_eq!(verdict("course(A)", &record(&[("A", failed.clone())])), Verdict::NotMet);
        let again = record(&[("A", failed), ("A", graded("C", true))]);
        assert_eq!(verdict("course(A)", &again), Verdict::Met, "the best attempt counts");
        assert_eq!(verdict("course(A, B)", &record(&[("A", Attempt::Waived)])), Verdict::Met);
        let transferred = |grade: Option<&str>| {
            record(&[("A", Attempt::Transferred { grade: grade.map(str::to_owned) })])
        };
        assert_eq!(verdict("course(A, B)", &transferred(None)), Verdict::Met);
        assert_eq!(verdict("course(A, B)", &transferred(Some("C"))), Verdict::NotMet);
        let mut equivalent = record(&[("OLD", graded("B", true))]);
        assert_eq!(verdict("course(A, C)", &equivalent), Verdict::NotMet);
        equivalent.equivalents.insert("A".into(), BTreeSet::from(["OLD".into()]));
        assert_eq!(verdict("course(A, C)", &equivalent), Verdict::Met);
    }

    #[test]
    fn under_way_is_provisional_and_together_needs_leave() {
        let under_way = record(&[("A", Attempt::InProgress)]);
        assert_eq!(verdict("course(A, B)", &under_way), Verdict::Provisional);
        assert_eq!(verdict("course(A) AND permission", &under_way), Verdict::NotMet);
        assert_eq!(verdict("course(A) OR course(B)", &under_way), Verdict::Provisional);
        let together = record(&[("A", Attempt::Together)]);
        assert_eq!(verdict("course(A, concurrent)", &together), Verdict::Met);
        assert_eq!(verdict("course(A)", &together), Verdict::NotMet);
    }

    #[test]
    fn the_other_requirements_are_looked_up() {
        let mut record = record(&[]);
        record.tests.insert("IELTS".into(), 650);
        record.programs.insert("CS".into());
        record.credits_earned_hundredths = 6_000;
        record.standing = 2;
        for met in ["test(IELTS, 6.5)", "program(CS)", "credits_earned(60)", "standing(>= 2)"] {
            assert_eq!(verdict(met, &record), Verdict::Met, "{met}");
        }
        for not in [
            "test(IELTS, 7)",
            "test(SAT, 1)",
            "program(LAW)",
            "credits_earned(60.5)",
            "standing(3)",
        ] {
            assert_eq!(verdict(not, &record), Verdict::NotMet, "{not}");
        }
        assert_eq!(verdict("n_of(2, program(CS), permission, standing(1))", &record), Verdict::Met);
    }

    #[test]
    fn a_refusal_says_what_would_help() {
        let text = "course(A) AND (course(B) AND course(C) OR test(SAT, 600)) AND n_of(2, course(A), course(D), course(E) AND course(F))";
        let requirement: Requirement = text.parse().expect("reads");
        let proof = requirement.prove(&record(&[("A", graded("C", true))]), &scale());
        let missing: Vec<String> =
            proof.missing().iter().map(|proof| proof.requirement.to_string()).collect();
        assert_eq!(missing, ["test(SAT, 600)", "course(D)"]);
        assert_eq!(proof.branches[0].verdict, Verdict::Met);
        assert_eq!(proof.branches[1].verdict, Verdict::NotMet);
    }

    proptest! {
        /// More can never hurt, and whoever does what is missing is let in.
        #[test]
        fn who_does_what_is_missing_meets_the_requirement(requirement in any_requirement()) {
            let mut record = AcademicRecord::default();
            let proof = requirement.prove(&record, &scale());
            for missing in proof.missing() {
                match &missing.requirement {
                    Requirement::Course { code, .. } => {
                        record.courses.entry(code.clone()).or_default().push(Attempt::Waived);
                    }
                    Requirement::Test { name, min_hundredths } => {
                        let score = record.tests.entry(name.clone()).or_default();
                        *score = (*score).max(*min_hundredths);
                    }
                    Requirement::Program(code) => drop(record.programs.insert(code.clone())),
                    Requirement::CreditsEarned(needed) => {
                        record.credits_earned_hundredths = record.credits_earned_hundredths.max(*needed);
                    }
                    Requirement::Standing(level) => record.standing = record.standing.max(*level),
                    Requirement::Permission => record.permission = true,
                    other => prop_assert!(false, "{other} has branches"),
                }
            }
            let after = requirement.prove(&record, &scale());
            prop_assert_eq!(after.verdict, Verdict::Met);
            prop_assert!(after.verdict >= proof.verdict);
            let read: Requirement = requirement.to_string().parse().expect("reads");
            prop_assert_eq!(read.prove(&record, &scale()).verdict, after.verdict);
        }
    }
}
