//! Events of the identity context.

use kernel::{
    AccountId, DeviceId, Email, Id, Locale, PersonId, PersonName, RoleAssignmentId, SessionId,
    Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersonRegistered {
    pub person: PersonId,
    pub name: PersonName,
    pub email: Email,
    pub locale: Locale,
}

impl Event for PersonRegistered {
    const NAME: &'static str = "identity.person.registered";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.person.to_string()
    }

    fn example() -> Self {
        Self {
            person: PersonId::derived_from("example"),
            name: PersonName { given: "Amina".into(), family: "Ngono".into() },
            email: "amina.ngono@matricula.example".parse().expect("an address"),
            locale: Locale::Fr,
        }
    }
}

/// A person's profile as it now is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersonChanged {
    pub person: PersonId,
    pub name: PersonName,
    pub email: Email,
    pub locale: Locale,
    /// Version of the profile: a consumer that has seen a higher one ignores this event.
    pub profile_version: u64,
}

impl Event for PersonChanged {
    const NAME: &'static str = "identity.person.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.person.to_string()
    }

    fn example() -> Self {
        let PersonRegistered { person, name, email, locale } = PersonRegistered::example();
        Self { person, name, email, locale, profile_version: 2 }
    }
}

/// Somebody holds a role, or will. It is told once more when it begins by its date, and when it gets other dates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleAssigned {
    pub assignment: RoleAssignmentId,
    pub person: PersonId,
    /// `student`, `teacher`, `head_of_department`, `registrar`, `bursar`, `hr_officer` or `administrator`.
    pub role: String,
    pub department: Option<String>,
    /// From when on they hold it; absent where they do from the assignment on.
    pub valid_from: Option<Timestamp>,
    /// Until when they hold it; absent where no end is known.
    pub valid_to: Option<Timestamp>,
    /// Who assigned it; absent for an operator's invocation.
    pub assigned_by: Option<PersonId>,
    /// Rises each time that this assignment is told: the dates of an older word do not count any more.
    #[serde(default)]
    pub assignment_version: u64,
}

impl Event for RoleAssigned {
    const NAME: &'static str = "identity.role.assigned";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.assignment.to_string()
    }

    fn example() -> Self {
        Self {
            assignment: RoleAssignmentId::derived_from("example"),
            person: PersonId::derived_from("example"),
            role: "head_of_department".into(),
            department: Some("MATH".into()),
            valid_from: None,
            valid_to: None,
            assigned_by: Some(PersonId::derived_from("administrator")),
            assignment_version: 1,
        }
    }
}

/// Somebody has to prove an address. The code is not here: see [`crate::verification_code`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailVerificationRequested {
    pub account: AccountId,
    pub email: Email,
    pub name: PersonName,
    pub locale: Locale,
    pub requested_at: Timestamp,
}

impl Event for EmailVerificationRequested {
    const NAME: &'static str = "identity.email-verification.requested";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.account.to_string()
    }

    fn example() -> Self {
        let PersonRegistered { name, email, locale, .. } = PersonRegistered::example();
        Self {
            account: AccountId::derived_from("example"),
            email,
            name,
            locale,
            requested_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
        }
    }
}

/// A refresh token came back that had long been used: somebody else has it too. The session is ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshTokenReused {
    pub session: SessionId,
    pub person: PersonId,
    pub reused_at: Timestamp,
}

impl Event for RefreshTokenReused {
    const NAME: &'static str = "identity.refresh-token.reused";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.session.to_string()
    }

    fn example() -> Self {
        Self {
            session: SessionId::derived_from("example"),
            person: PersonId::derived_from("example"),
            reused_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
        }
    }
}

/// Somebody logged in from a device from which they had not before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceAdded {
    pub device: DeviceId,
    pub person: PersonId,
    pub session: SessionId,
    pub added_at: Timestamp,
}

impl Event for DeviceAdded {
    const NAME: &'static str = "identity.device.added";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.device.to_string()
    }

    fn example() -> Self {
        Self {
            device: DeviceId::derived_from("example"),
            person: PersonId::derived_from("example"),
            session: SessionId::derived_from("example"),
            added_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordChanged {
    pub account: AccountId,
    pub person: PersonId,
    pub changed_at: Timestamp,
}

impl Event for PasswordChanged {
    const NAME: &'static str = "identity.password.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.account.to_string()
    }

    fn example() -> Self {
        Self {
            account: AccountId::derived_from("example"),
            person: PersonId::derived_from("example"),
            changed_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
        }
    }
}

/// From now on every log-in of somebody asks for a second factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecondFactorConfirmed {
    /// The one in which it was confirmed.
    pub session: SessionId,
    pub account: AccountId,
    pub person: PersonId,
    pub confirmed_at: Timestamp,
}

impl Event for SecondFactorConfirmed {
    const NAME: &'static str = "identity.second-factor.confirmed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.session.to_string()
    }

    fn example() -> Self {
        Self {
            session: SessionId::derived_from("example"),
            account: AccountId::derived_from("example"),
            person: PersonId::derived_from("example"),
            confirmed_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
        }
    }
}

/// Somebody took their own second factor away. Their other sessions ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecondFactorRemoved {
    pub account: AccountId,
    pub person: PersonId,
    pub removed_at: Timestamp,
}

impl Event for SecondFactorRemoved {
    const NAME: &'static str = "identity.second-factor.removed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.account.to_string()
    }

    fn example() -> Self {
        Self {
            account: AccountId::derived_from("example"),
            person: PersonId::derived_from("example"),
            removed_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
        }
    }
}

/// The staff took a lost second factor from somebody. Every session of theirs ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecondFactorReset {
    pub account: AccountId,
    pub person: PersonId,
    pub reset_at: Timestamp,
    pub reset_by: PersonId,
}

impl Event for SecondFactorReset {
    const NAME: &'static str = "identity.second-factor.reset";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.account.to_string()
    }

    fn example() -> Self {
        Self {
            account: AccountId::derived_from("example"),
            person: PersonId::derived_from("example"),
            reset_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
            reset_by: PersonId::derived_from("registrar"),
        }
    }
}

/// Somebody wants to choose a new password. What opens the account is not here: see [`crate::link_token`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordResetRequested {
    pub account: AccountId,
    pub email: Email,
    pub locale: Locale,
    pub requested_at: Timestamp,
}

impl Event for PasswordResetRequested {
    const NAME: &'static str = "identity.password-reset.requested";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.account.to_string()
    }

    fn example() -> Self {
        let EmailVerificationRequested { account, email, locale, requested_at, .. } =
            EmailVerificationRequested::example();
        Self { account, email, locale, requested_at }
    }
}

/// Somebody is invited to open an account. What opens it is not here: see [`crate::link_token`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationSent {
    pub account: AccountId,
    pub person: PersonId,
    pub email: Email,
    pub name: PersonName,
    pub locale: Locale,
    pub invited_at: Timestamp,
    pub invited_by: PersonId,
}

impl Event for InvitationSent {
    const NAME: &'static str = "identity.invitation.sent";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.account.to_string()
    }

    fn example() -> Self {
        let EmailVerificationRequested { account, email, name, locale, requested_at } =
            EmailVerificationRequested::example();
        Self {
            account,
            person: PersonId::derived_from("example"),
            email,
            name,
            locale,
            invited_at: requested_at,
            invited_by: PersonId::derived_from("registrar"),
        }
    }
}

/// A person holds a role no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleEnded {
    pub assignment: RoleAssignmentId,
    pub person: PersonId,
    pub role: String,
    pub department: Option<String>,
    pub ended_at: Timestamp,
    /// Absent where it ended by its date.
    pub ended_by: Option<PersonId>,
}

impl Event for RoleEnded {
    const NAME: &'static str = "identity.role.ended";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.assignment.to_string()
    }

    fn example() -> Self {
        let RoleAssigned { assignment, person, role, department, .. } = RoleAssigned::example();
        Self {
            assignment,
            person,
            role,
            department,
            ended_at: "2027-01-15T08:30:00Z".parse().expect("a timestamp"),
            ended_by: Some(PersonId::derived_from("administrator")),
        }
    }
}
