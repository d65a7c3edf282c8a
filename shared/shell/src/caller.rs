//! Who calls, and how far each of their roles reaches.

use kernel::{PersonId, SessionId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Student,
    Teacher,
    HeadOfDepartment,
    Registrar,
    Bursar,
    HrOfficer,
    Administrator,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::Student,
        Self::Teacher,
        Self::HeadOfDepartment,
        Self::Registrar,
        Self::Bursar,
        Self::HrOfficer,
        Self::Administrator,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Teacher => "teacher",
            Self::HeadOfDepartment => "head_of_department",
            Self::Registrar => "registrar",
            Self::Bursar => "bursar",
            Self::HrOfficer => "hr_officer",
            Self::Administrator => "administrator",
        }
    }
}

/// Which records a role may touch with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The caller's own.
    Own,
    /// Those of the sections that name the caller as a teacher.
    Section,
    /// Those of the caller's department.
    Department,
    All,
}

impl Scope {
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Section => "section",
            Self::Department => "department",
            Self::All => "all",
        }
    }
}

/// A role that a person holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub role: Role,
    /// For roles that reach as far as a department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
}

/// The authenticated person behind a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub person: PersonId,
    pub session: SessionId,
    pub grants: Vec<Grant>,
}
