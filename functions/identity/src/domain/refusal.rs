//! What this context refuses, and how it says so.

use kernel::Locale;
use serde_json::{Map, Value};
use shell::{Refuse, Sentences};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    AccountUnknown,
    PersonUnknown,
    PersonNotNamed,
    EmailTaken,
    EmailInvalid,
    NameInvalid,
    NumberInvalid,
    StudentNumberTaken,
    StaffNumberTaken,
    PasswordTooCommon,
    PasswordIsEmail,
    PasswordOfOwnWords,
    VerificationCodeWrong,
    VerificationCodeExpired,
    VerificationTriesExhausted,
    RegistrationClosed,
    LoginFailed,
    EmailNotVerified,
    TooManyAttempts { wait_s: u64 },
    RefreshTokenInvalid,
    DepartmentRequired,
    DepartmentNotExpected,
    TooManyRoles,
    ResetLinkInvalid,
    ResetLinkExpired,
    InvitationInvalid,
    InvitationExpired,
    PasswordWrong,
    SessionUnknown,
    SecondFactorNeeded,
    SecondFactorWrong,
    SecondFactorUnknown,
    SecondFactorEnrolled,
    OwnSecondFactor,
    NotAStudent,
    RoleNotYours,
    OwnRole,
    RoleUnknown,
    RoleBegun,
    ValidityInvalid,
    OwnAdministration,
    ClientUnknown,
    ClientEnded,
    ClientExpiryInvalid,
    ClientSecretEndInvalid,
    ClientSecretsStanding,
    ProviderUnknown,
    ProviderAddressWrong,
    ProviderAddressFixed,
    ProviderSecretOfAnother,
    ProviderIdsOfAnother,
    SignInInvalid,
    SignInRefused,
    SignInPersonUnknown,
    PersonNotYours,
    TooManyNames,
    BirthDateInvalid,
    EmailProven,
    EmailOfStaff,
    ExternalIdInvalid,
    ExternalIdTaken,
    ExternalIdHeld,
    ExternalIdUnknown,
    ExternalIdOfImport,
    SignInIdNotYours,
    TooManyExternalIds,
    CriterionNeeded,
    SamePerson,
    TooManyDistinctions,
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::AccountUnknown => ("ACCOUNT_UNKNOWN", 404),
            Self::PersonUnknown => ("PERSON_UNKNOWN", 404),
            Self::PersonNotNamed => ("PERSON_NOT_NAMED", 422),
            Self::EmailTaken => ("EMAIL_TAKEN", 409),
            Self::EmailInvalid => ("EMAIL_INVALID", 422),
            Self::NameInvalid => ("NAME_INVALID", 422),
            Self::NumberInvalid => ("NUMBER_INVALID", 422),
            Self::StudentNumberTaken => ("STUDENT_NUMBER_TAKEN", 409),
            Self::StaffNumberTaken => ("STAFF_NUMBER_TAKEN", 409),
            Self::PasswordTooCommon => ("PASSWORD_TOO_COMMON", 422),
            Self::PasswordIsEmail => ("PASSWORD_IS_EMAIL", 422),
            Self::PasswordOfOwnWords => ("PASSWORD_OF_OWN_WORDS", 422),
            Self::VerificationCodeWrong => ("VERIFICATION_CODE_WRONG", 422),
            Self::VerificationCodeExpired => ("VERIFICATION_CODE_EXPIRED", 422),
            Self::VerificationTriesExhausted => ("VERIFICATION_TRIES_EXHAUSTED", 422),
            Self::RegistrationClosed => ("REGISTRATION_CLOSED", 403),
            Self::LoginFailed => ("LOGIN_FAILED", 401),
            Self::EmailNotVerified => ("EMAIL_NOT_VERIFIED", 403),
            Self::TooManyAttempts { .. } => ("TOO_MANY_ATTEMPTS", 429),
            Self::RefreshTokenInvalid => ("REFRESH_TOKEN_INVALID", 401),
            Self::DepartmentRequired => ("DEPARTMENT_REQUIRED", 422),
            Self::DepartmentNotExpected => ("DEPARTMENT_NOT_EXPECTED", 422),
            Self::TooManyRoles => ("TOO_MANY_ROLES", 422),
            Self::ResetLinkInvalid => ("RESET_LINK_INVALID", 410),
            Self::ResetLinkExpired => ("RESET_LINK_EXPIRED", 410),
            Self::InvitationInvalid => ("INVITATION_INVALID", 410),
            Self::InvitationExpired => ("INVITATION_EXPIRED", 410),
            Self::PasswordWrong => ("PASSWORD_WRONG", 403),
            Self::SessionUnknown => ("SESSION_UNKNOWN", 404),
            Self::SecondFactorNeeded => ("SECOND_FACTOR_NEEDED", 401),
            Self::SecondFactorWrong => ("SECOND_FACTOR_WRONG", 401),
            Self::SecondFactorUnknown => ("SECOND_FACTOR_UNKNOWN", 404),
            Self::SecondFactorEnrolled => ("SECOND_FACTOR_ENROLLED", 409),
            Self::OwnSecondFactor => ("OWN_SECOND_FACTOR", 409),
            Self::NotAStudent => ("NOT_A_STUDENT", 403),
            Self::RoleNotYours => ("ROLE_NOT_YOURS", 403),
            Self::OwnRole => ("OWN_ROLE", 409),
            Self::RoleUnknown => ("ROLE_UNKNOWN", 404),
            Self::RoleBegun => ("ROLE_BEGUN", 409),
            Self::ValidityInvalid => ("VALIDITY_INVALID", 422),
            Self::OwnAdministration => ("OWN_ADMINISTRATION", 409),
            Self::ClientUnknown => ("CLIENT_UNKNOWN", 404),
            Self::ClientEnded => ("CLIENT_ENDED", 409),
            Self::ClientExpiryInvalid => ("CLIENT_EXPIRY_INVALID", 422),
            Self::ClientSecretEndInvalid => ("CLIENT_SECRET_END_INVALID", 422),
            Self::ClientSecretsStanding => ("CLIENT_SECRETS_STANDING", 409),
            Self::ProviderUnknown => ("PROVIDER_UNKNOWN", 404),
            Self::ProviderAddressWrong => ("PROVIDER_ADDRESS_WRONG", 422),
            Self::ProviderAddressFixed => ("PROVIDER_ADDRESS_FIXED", 409),
            Self::ProviderSecretOfAnother => ("PROVIDER_SECRET_OF_ANOTHER", 422),
            Self::ProviderIdsOfAnother => ("PROVIDER_IDS_OF_ANOTHER", 422),
            Self::SignInInvalid => ("SIGN_IN_INVALID", 410),
            Self::SignInRefused => ("SIGN_IN_REFUSED", 401),
            Self::SignInPersonUnknown => ("SIGN_IN_PERSON_UNKNOWN", 403),
            Self::PersonNotYours => ("PERSON_NOT_YOURS", 403),
            Self::TooManyNames => ("TOO_MANY_NAMES", 422),
            Self::BirthDateInvalid => ("BIRTH_DATE_INVALID", 422),
            Self::EmailProven => ("EMAIL_PROVEN", 409),
            Self::EmailOfStaff => ("EMAIL_OF_STAFF", 403),
            Self::ExternalIdInvalid => ("EXTERNAL_ID_INVALID", 422),
            Self::ExternalIdTaken => ("EXTERNAL_ID_TAKEN", 409),
            Self::ExternalIdHeld => ("EXTERNAL_ID_HELD", 409),
            Self::ExternalIdUnknown => ("EXTERNAL_ID_UNKNOWN", 404),
            Self::ExternalIdOfImport => ("EXTERNAL_ID_OF_IMPORT", 409),
            Self::SignInIdNotYours => ("SIGN_IN_ID_NOT_YOURS", 403),
            Self::TooManyExternalIds => ("TOO_MANY_EXTERNAL_IDS", 422),
            Self::CriterionNeeded => ("CRITERION_NEEDED", 422),
            Self::SamePerson => ("SAME_PERSON", 422),
            Self::TooManyDistinctions => ("TOO_MANY_DISTINCTIONS", 422),
        }
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::TooManyAttempts { wait_s } => vec![("seconds", wait_s.to_string())],
            _ => Vec::new(),
        }
    }

    fn extensions(&self, _locale: Locale) -> Map<String, Value> {
        match self {
            Self::TooManyAttempts { wait_s } => {
                Map::from_iter([("retry_after_s".to_owned(), (*wait_s).into())])
            }
            _ => Map::new(),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
