//! What another system calls a person: the system, which of its ids it is, and the id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// The systems that know people by ids of their own.
pub const SYSTEM_PATTERN: &str =
    r"^(student-number|staff-number|oneroster|(moodle|idp|other):[a-z0-9][a-z0-9-]{0,39})$";
pub const KIND_PATTERN: &str = r"^[a-z][a-z0-9-]{0,31}$";
/// The id by which the system itself knows people, where it has several.
pub const KIND_DEFAULT: &str = "id";

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalId {
    /// `student-number`, `staff-number`, `oneroster`, `moodle:<site>`, `idp:<provider>` or `other:<name>`.
    #[schemars(regex(pattern = SYSTEM_PATTERN))]
    pub system: String,
    /// Which of the system's ids, such as `username`; `id` where it is left out.
    #[serde(rename = "type", default = "kind_default")]
    #[schemars(regex(pattern = KIND_PATTERN))]
    pub kind: String,
    #[schemars(length(min = 1, max = 255))]
    pub value: String,
}

fn kind_default() -> String {
    KIND_DEFAULT.to_owned()
}

/// Personal data does not reach a log.
impl std::fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExternalId({}, …)", self.system)
    }
}

impl ExternalId {
    pub fn new(system: &str, value: &str) -> Self {
        Self { system: system.to_owned(), kind: kind_default(), value: value.to_owned() }
    }

    /// Whether somebody can sign in by it.
    pub fn opens_accounts(&self) -> bool {
        self.system.starts_with("idp:")
    }

    fn is_of_one_kind_with(&self, other: &Self) -> bool {
        (&self.system, &self.kind) == (&other.system, &other.kind)
    }

    /// Whether somebody with these may sign in by it: by one of its kind and no other, since an address may be given to
    /// somebody new.
    pub fn may_open(&self, held: &[Self]) -> bool {
        let of_one_kind = |held: &&Self| held.is_of_one_kind_with(self);
        held.iter().filter(of_one_kind).all(|held| held.folded() == self.folded())
    }

    /// `system:value`, where the system may have a colon of its own.
    pub fn read(text: &str, kind: Option<&str>) -> Result<Self, Refusal> {
        const WITH_A_NAME: [&str; 3] = ["moodle:", "idp:", "other:"];
        let after = WITH_A_NAME.iter().find(|family| text.starts_with(**family));
        let after = after.map_or(0, |family| family.len());
        let colon = text[after..].find(':').ok_or(Refusal::ExternalIdInvalid)? + after;
        let (system, value) = (text[..colon].to_owned(), text[colon + 1..].to_owned());
        let kind = kind.unwrap_or(KIND_DEFAULT).to_owned();
        Self { system, kind, value }.checked()
    }

    /// The id as it is kept: trimmed, and of a form that its system has.
    pub fn checked(mut self) -> Result<Self, Refusal> {
        const VALUE_CHARS_MAX: usize = 255;
        const NUMBER_CHARS_MAX: usize = 64;
        self.value = self.value.trim().into();
        let chars = self.value.chars().count();
        let is_clean = !self.value.chars().any(char::is_control);
        let fits = match (self.system.as_str(), self.kind.as_str()) {
            ("student-number" | "staff-number", KIND_DEFAULT) => chars <= NUMBER_CHARS_MAX,
            ("student-number" | "staff-number", _) => false,
            (system, KIND_DEFAULT) if system.starts_with("moodle:") => {
                let digits = self.value.bytes().all(|byte| byte.is_ascii_digit());
                digits && chars <= 19 && !self.value.starts_with('0')
            }
            _ => true,
        };
        if fits && is_clean && (1..=VALUE_CHARS_MAX).contains(&chars) && self.is_of_a_system() {
            Ok(self)
        } else {
            Err(Refusal::ExternalIdInvalid)
        }
    }

    fn is_of_a_system(&self) -> bool {
        let word = |text: &str, chars_max: usize| {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            (1..=chars_max).contains(&text.len())
                && text.bytes().all(|byte| allowed(byte) || byte == b'-')
                && !text.starts_with('-')
        };
        let is_system = match self.system.split_once(':') {
            None => matches!(self.system.as_str(), "student-number" | "staff-number" | "oneroster"),
            Some((family, name)) => matches!(family, "moodle" | "idp" | "other") && word(name, 40),
        };
        is_system && word(&self.kind, 32) && self.kind.starts_with(|c: char| c.is_ascii_lowercase())
    }

    /// The form that two of them are compared by. Moodle and we ourselves take no notice of case in names and numbers
    /// that people type; to a provider of identities two subjects in other case are two people (OpenID Connect Core,
    /// 2), and so are two of OneRoster's ids.
    pub fn folded(&self) -> String {
        let takes_no_notice =
            self.system.ends_with("-number") || self.system.starts_with("moodle:");
        let value = if takes_no_notice { self.value.to_lowercase() } else { self.value.clone() };
        format!("{}#{}#{value}", self.system, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_may_have_a_colon_and_so_may_a_value() {
        for (text, system, value) in [
            ("moodle:academics:17", "moodle:academics", "17"),
            ("student-number: S-1:b ", "student-number", "S-1:b"),
            ("idp:university:auth0|a:b", "idp:university", "auth0|a:b"),
            ("oneroster:u1", "oneroster", "u1"),
        ] {
            assert_eq!(ExternalId::read(text, None), Ok(ExternalId::new(system, value)), "{text}");
        }
        for wrong in [
            "",
            "moodle",
            "moodle:academics",
            "moodle:academics:",
            "moodle:academics:1x",
            "moodle:academics:017",
            "Moodle:academics:1",
            "moodle:-a:1",
            "payroll:1",
            "oneroster:a\u{0}b",
            "idp::x",
        ] {
            assert_eq!(ExternalId::read(wrong, None), Err(Refusal::ExternalIdInvalid), "{wrong:?}");
        }
        assert!(ExternalId::read("moodle:academics:Ada", Some("username")).is_ok());
        assert!(ExternalId::read("student-number:1", Some("other")).is_err());
        assert!(ExternalId::read("other:payroll:1", Some("No Kind")).is_err());
    }

    #[test]
    fn case_counts_where_the_system_says_so() {
        let folded = |system: &str, value: &str| ExternalId::new(system, value).folded();
        assert_eq!(folded("student-number", "S-1"), folded("student-number", "s-1"));
        assert_eq!(folded("moodle:finance", "ADA"), folded("moodle:finance", "ada"));
        assert_ne!(folded("idp:university", "Ada"), folded("idp:university", "ada"));
        assert_ne!(folded("oneroster", "U1"), folded("oneroster", "u1"));
    }
}
