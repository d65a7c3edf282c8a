//! An account: what somebody logs in with, and the proof that its e-mail address is theirs.

use std::fmt;

use jiff::SignedDuration;
use kernel::{AccountId, Email, Locale, PersonId, PersonName, SessionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// A password as somebody typed it. It is never stored and never printed.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Password(#[schemars(length(min = 1, max = 128))] pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password's Argon2id hash as a PHC string.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    Unverified {
        wrong_codes: u32,
    },
    /// Made by the staff for a person, who has not chosen a password yet.
    Invited {
        person: PersonId,
    },
    Active {
        person: PersonId,
    },
}

/// The newest link by which a forgotten password can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    pub requested_at: Timestamp,
    pub used: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    /// The log-in, compared case-folded.
    pub email: Email,
    pub name: PersonName,
    pub locale: Locale,
    pub password_hash: PasswordHash,
    /// When the code, or the invitation, was asked for.
    pub verification_requested_at: Timestamp,
    pub state: AccountState,
    #[serde(default)]
    pub reset: Option<Reset>,
    /// The session that chose the password; absent where a link did.
    #[serde(default)]
    pub password_chosen_by: Option<SessionId>,
    /// Whether somebody has logged in to it before.
    #[serde(default)]
    pub was_used: bool,
}

/// What a verification code has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The address is proven now.
    Proven,
    /// It was proven before, for this person.
    ProvenBefore(PersonId),
    /// The code is wrong, and the account has counted it.
    Wrong,
}

impl Account {
    /// How long a verification code is valid.
    pub const CODE_VALID: SignedDuration = SignedDuration::from_hours(24);
    /// Wrong codes after which no further one is looked at.
    pub const WRONG_CODES_MAX: u32 = 5;

    /// How long the link of an invitation is good.
    pub const INVITATION_VALID: SignedDuration = SignedDuration::from_hours(14 * 24);
    /// How long the link to a new password is good.
    pub const RESET_VALID: SignedDuration = SignedDuration::from_hours(1);

    pub fn person(&self) -> Option<PersonId> {
        match self.state {
            AccountState::Active { person } => Some(person),
            AccountState::Invited { .. } | AccountState::Unverified { .. } => None,
        }
    }

    /// Whom the staff have made it for, as long as they have not opened it.
    pub fn invited(&self) -> Option<PersonId> {
        match self.state {
            AccountState::Invited { person } => Some(person),
            AccountState::Active { .. } | AccountState::Unverified { .. } => None,
        }
    }

    /// The hash to compare a password with, where a password was ever chosen.
    pub fn password_hash(&self) -> Option<&PasswordHash> {
        let is_chosen =
            !matches!(self.state, AccountState::Invited { .. }) && !self.password_hash.0.is_empty();
        is_chosen.then_some(&self.password_hash)
    }

    /// A new password. Links that were mailed before open nothing any more.
    pub fn change_password(&mut self, hash: PasswordHash, by: SessionId) {
        self.password_hash = hash;
        self.password_chosen_by = Some(by);
        self.reset = None;
    }

    /// A new password by the newest link; `is_right` says whether its token is the one that was mailed. A link that was
    /// used is as good as a wrong one: it must not tell which password was chosen by it.
    pub fn follow_reset(&mut self, is_right: bool, now: Timestamp) -> Result<(), Refusal> {
        let reset = self.reset.as_mut().filter(|reset| is_right && !reset.used);
        let reset = reset.ok_or(Refusal::ResetLinkInvalid)?;
        if now >= reset.requested_at + Self::RESET_VALID {
            return Err(Refusal::ResetLinkExpired);
        }
        reset.used = true;
        self.password_chosen_by = None;
        Ok(())
    }

    /// Judges the link of the invitation, which is good once.
    pub fn follow_invitation(&self, is_right: bool, now: Timestamp) -> Result<(), Refusal> {
        match self.state {
            AccountState::Invited { .. } if is_right => {
                let expires_at = self.verification_requested_at + Self::INVITATION_VALID;
                if now < expires_at { Ok(()) } else { Err(Refusal::InvitationExpired) }
            }
            AccountState::Invited { .. }
            | AccountState::Active { .. }
            | AccountState::Unverified { .. } => Err(Refusal::InvitationInvalid),
        }
    }

    pub fn judge_code(&mut self, is_right: bool, now: Timestamp) -> Result<Verdict, Refusal> {
        let expires_at = self.verification_requested_at + Self::CODE_VALID;
        match &mut self.state {
            AccountState::Active { person } if is_right => Ok(Verdict::ProvenBefore(*person)),
            // Nobody was sent a code for an invitation.
            AccountState::Active { .. } | AccountState::Invited { .. } => {
                Err(Refusal::VerificationCodeWrong)
            }
            AccountState::Unverified { wrong_codes } if *wrong_codes >= Self::WRONG_CODES_MAX => {
                Err(Refusal::VerificationTriesExhausted)
            }
            AccountState::Unverified { .. } if now >= expires_at => {
                Err(Refusal::VerificationCodeExpired)
            }
            AccountState::Unverified { .. } if is_right => Ok(Verdict::Proven),
            AccountState::Unverified { wrong_codes } => {
                *wrong_codes += 1;
                Ok(Verdict::Wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", Password("secret".into())), "Password(…)");
        assert_eq!(format!("{:?}", PasswordHash("secret".into())), "PasswordHash(…)");
    }
}
