//! What a student must have or be: prerequisites of a course, populations of a registration window or a seat pool,
//! restrictions of a section. One grammar, printed back in one form, evaluated to a proof.
//!
//! ```text
//! expr := and (OR and)*            and := atom (AND atom)*
//! atom := '(' expr ')' | course(CODE[, GRADE][, concurrent]) | test(NAME, NUMBER) | program(CODE)
//!       | credits_earned(NUMBER) | standing(>= NUMBER) | permission | n_of(NUMBER, expr, …)
//! ```

mod cycle;
mod parse;
mod proof;

pub use cycle::{Graph, cycle_through};
pub use parse::RequirementSyntaxError;
pub use proof::{AcademicRecord, Attempt, GradeScale, Proof, ProofReason, Verdict};

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Written and stored as text, in its one printed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    Any(Vec<Self>),
    All(Vec<Self>),
    AtLeast {
        count: usize,
        of: Vec<Self>,
    },
    Course {
        code: String,
        min_grade: Option<String>,
        /// Taken before, or together with what requires it.
        concurrent: bool,
    },
    Test {
        name: String,
        min_hundredths: u32,
    },
    Program(String),
    /// In hundredths of a credit.
    CreditsEarned(u32),
    /// Year of study.
    Standing(u32),
    /// Somebody's leave, given to one student for one section.
    Permission,
}

impl Requirement {
    /// Longest text that is read.
    pub const LENGTH_MAX: usize = 2_000;

    /// Courses that it names, and whether each may only be taken before (`false`: together is enough everywhere).
    pub fn courses(&self) -> BTreeMap<&str, bool> {
        let mut courses = BTreeMap::new();
        self.gather_courses(&mut courses);
        courses
    }

    fn gather_courses<'a>(&'a self, courses: &mut BTreeMap<&'a str, bool>) {
        match self {
            Self::Any(branches) | Self::All(branches) | Self::AtLeast { of: branches, .. } => {
                for branch in branches {
                    branch.gather_courses(courses);
                }
            }
            Self::Course { code, concurrent, .. } => {
                *courses.entry(code).or_default() |= !concurrent;
            }
            Self::Test { .. }
            | Self::Program(_)
            | Self::CreditsEarned(_)
            | Self::Standing(_)
            | Self::Permission => {}
        }
    }

    /// A branch as it stands inside another: in parentheses where it would be read otherwise.
    fn write_within(&self, f: &mut fmt::Formatter<'_>, within_all: bool) -> fmt::Result {
        let needs_parentheses = matches!(self, Self::Any(_)) && within_all;
        if needs_parentheses { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

/// `450` as `4.5`.
struct Hundredths(u32);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", part / 10),
            _ => write!(f, "{whole}.{part:02}"),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(branches) | Self::All(branches) => {
                let all = matches!(self, Self::All(_));
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        f.write_str(if all { " AND " } else { " OR " })?;
                    }
                    branch.write_within(f, all)?;
                }
                Ok(())
            }
            Self::AtLeast { count, of } => {
                write!(f, "n_of({count}")?;
                for branch in of {
                    write!(f, ", {branch}")?;
                }
                f.write_str(")")
            }
            Self::Course { code, min_grade, concurrent } => {
                write!(f, "course({code}")?;
                if let Some(grade) = min_grade {
                    write!(f, ", {grade}")?;
                }
                f.write_str(if *concurrent { ", concurrent)" } else { ")" })
            }
            Self::Test { name, min_hundredths } => {
                write!(f, "test({name}, {})", Hundredths(*min_hundredths))
            }
            Self::Program(code) => write!(f, "program({code})"),
            Self::CreditsEarned(hundredths) => {
                write!(f, "credits_earned({})", Hundredths(*hundredths))
            }
            Self::Standing(level) => write!(f, "standing(>= {level})"),
            Self::Permission => f.write_str("permission"),
        }
    }
}

impl FromStr for Requirement {
    type Err = RequirementSyntaxError;

    fn from_str(text: &str) -> Result<Self, RequirementSyntaxError> {
        parse::requirement(text)
    }
}

impl Serialize for Requirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Requirement {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Requirement".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": Self::LENGTH_MAX,
            "description": "Such as `course(MATH101, C) AND (test(SAT, 600) OR permission)`.",
        })
    }
}
