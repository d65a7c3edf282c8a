//! A Moodle site: where it is, who and what belongs into it, and what things are called there.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Reachable, Role};

use super::naming::unknown_field;
use super::{Closed, Refusal, Registrations};

/// Short name of a site: `academics`, `finance`, `hr`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct SiteCode(
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z][a-z0-9-]*$"))] pub String,
);

impl std::fmt::Display for SiteCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A site as its administrator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    #[schemars(length(min = 1, max = 100))]
    pub title: String,
    /// Base address, which anybody can reach: `https`; where it is tried out, `http` on this machine.
    #[schemars(length(min = 8, max = 200))]
    pub url: String,
    /// Last part of the name of the secret that holds the web service token: `moodle/<it>`. It is the site's own code:
    /// no token goes to another site's address.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub token_secret: String,
    /// Whether anything is sent. A site that is not active keeps its work until it is.
    pub is_active: bool,
    /// Whoever holds one of these roles has an account here.
    #[schemars(length(max = 6))]
    pub people: Vec<Role>,
    pub courses: CourseRule,
    /// Ids of the site's own roles.
    pub roles: MoodleRoles,
    pub naming: Naming,
    /// Cohorts that are kept.
    #[schemars(length(max = 3))]
    pub cohorts: Vec<CohortRule>,
    #[serde(default)]
    pub groups: GroupRule,
    #[serde(default)]
    pub hidden_courses: HiddenCourses,
    /// How often the site is asked at most, on average; what was not asked within a second may follow at once.
    #[serde(default = "SiteSettings::requests_per_second")]
    #[schemars(range(min = 1, max = 200))]
    pub requests_per_second: u32,
    /// Moodle's way to log in: `manual` (Moodle makes a password and mails it), `oauth2`, …
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z][a-z0-9_]*$"))]
    pub auth: String,
}

/// Which sections are courses here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CourseRule {
    None,
    All,
    Departments {
        #[schemars(length(min = 1, max = 100))]
        departments: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoodleRoles {
    #[schemars(range(min = 1))]
    pub student: i64,
    /// Absent where teachers are put into courses by hand.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub teacher: Option<i64>,
}

impl MoodleRoles {
    /// Those that we give.
    pub fn ours(&self) -> impl Iterator<Item = i64> {
        std::iter::once(self.student).chain(self.teacher)
    }
}

/// Templates with fields in braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// Of `{email}`, `{person}`. Made fit for Moodle; set when the account is made, and never after.
    #[schemars(length(min = 1, max = 100))]
    pub username: String,
    /// Of `{course_title}`, `{course_code}`, `{section_code}`, `{term_code}`, `{department}`.
    #[schemars(length(min = 1, max = 200))]
    pub course_full_name: String,
    #[schemars(length(min = 1, max = 100))]
    pub course_short_name: String,
    /// Categories from the outermost in; the same fields.
    #[schemars(length(min = 1, max = 4))]
    pub categories: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CohortRule {
    /// One for each department in which somebody holds a role that belongs here.
    Department,
    /// `owing`, `plan` and `clear`, by what a student owes and whether it is paid by instalments.
    Balance,
    /// `hold`, of students whom an office stops.
    Hold,
}

impl CohortRule {
    /// Whether a cohort's id number is one that this rule gives.
    pub fn names(self, id_number: &str) -> bool {
        match self {
            Self::Department => id_number.starts_with("department:"),
            Self::Balance => id_number.starts_with("balance:"),
            Self::Hold => id_number == "hold",
        }
    }
}

/// Which courses students no longer see. They are shown again when the section is offered again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HiddenCourses {
    #[default]
    None,
    Cancelled,
    CancelledAndSuspended,
}

impl HiddenCourses {
    pub fn includes(self, closed: Option<Closed>) -> bool {
        match closed {
            Some(Closed::Cancelled) => self != Self::None,
            Some(Closed::Suspended) => self == Self::CancelledAndSuspended,
            None => false,
        }
    }
}

/// Which groups are kept in courses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupRule {
    #[default]
    None,
    /// One for each section that is linked with the course's, of who takes both.
    LinkedSections,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub code: SiteCode,
    pub settings: SiteSettings,
    pub changed_at: Timestamp,
}

pub const USER_FIELDS: [&str; 2] = ["email", "person"];
pub const COURSE_FIELDS: [&str; 5] =
    ["course_title", "course_code", "section_code", "term_code", "department"];

impl SiteSettings {
    /// What a Moodle on two cores answers with room for its own users.
    pub fn requests_per_second() -> u32 {
        20
    }

    /// Whether a person is in a section's course for what they are in the section now.
    pub fn is_enrolled(&self, known: &Registrations) -> bool {
        known.is_active() || (known.teaches && self.roles.teacher.is_some())
    }

    /// What the schema cannot say.
    pub fn check(&self, code: &SiteCode, reachable: Reachable) -> Result<(), Refusal> {
        self.check_place(code, reachable)?;
        let course = [&self.naming.course_full_name, &self.naming.course_short_name];
        let course = course.into_iter().chain(&self.naming.categories);
        let unknown = course
            .map(|template| (template, COURSE_FIELDS.as_slice()))
            .chain([(&self.naming.username, USER_FIELDS.as_slice())])
            .find_map(|(template, fields)| unknown_field(template, fields));
        match unknown {
            Some(field) => Err(Refusal::TemplateFieldUnknown { field }),
            None => Ok(()),
        }
    }

    /// Whether the token may be sent to the address: it is the site's own, and the address is none of ours.
    pub fn check_place(&self, code: &SiteCode, reachable: Reachable) -> Result<(), Refusal> {
        // Beside each token lies the secret of the site's webhooks.
        if self.token_secret != code.0 || self.token_secret.ends_with("-webhook") {
            return Err(Refusal::SiteSecretForeign);
        }
        let is_bare = !self.url.contains(['?', '#', '@', ' ', '\\']);
        reachable.url(&self.url).filter(|_| is_bare).map(drop).ok_or(Refusal::SiteAddressWrong)
    }
}

impl CourseRule {
    pub fn includes(&self, department: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Departments { departments } => departments.iter().any(|one| one == department),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn settings(url: &str) -> SiteSettings {
        SiteSettings {
            title: "Academics".into(),
            url: url.into(),
            token_secret: "academics".into(),
            is_active: true,
            people: vec![Role::Student, Role::Teacher],
            courses: CourseRule::All,
            roles: MoodleRoles { student: 5, teacher: Some(3) },
            naming: Naming {
                username: "{email}".into(),
                course_full_name: "{course_title} ({section_code})".into(),
                course_short_name: "{section_code} {term_code}".into(),
                categories: vec!["{term_code}".into(), "{department}".into()],
            },
            cohorts: Vec::new(),
            groups: GroupRule::None,
            hidden_courses: HiddenCourses::Cancelled,
            requests_per_second: 200,
            auth: "manual".into(),
        }
    }

    #[test]
    fn an_address_must_be_safe_and_a_template_must_know_its_fields() {
        let check = |change: &dyn Fn(&mut SiteSettings)| {
            let mut settings = settings("https://moodle.university.example/moodle");
            change(&mut settings);
            settings.check(&SiteCode("academics".into()), Reachable::PublicOnly)
        };
        assert_eq!(check(&|_| ()), Ok(()));
        for wrong in [
            "http://moodle.university.example",
            "https://",
            "https://me@moodle.university.example",
            "https://moodle.university.example/?token=1",
            "ftp://moodle.university.example",
            "http://127.0.0.1:8080",
            "https://127.0.0.1",
            "https://10.0.0.7/moodle",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost",
        ] {
            let found = check(&|settings| settings.url = wrong.into());
            assert_eq!(found, Err(Refusal::SiteAddressWrong), "{wrong}");
        }
        let found = check(&|settings| settings.naming.username = "{phone}".into());
        assert_eq!(found, Err(Refusal::TemplateFieldUnknown { field: "phone".into() }));
        let found = check(&|settings| settings.naming.categories.push("{room".into()));
        assert_eq!(found, Err(Refusal::TemplateFieldUnknown { field: "room".into() }));
    }

    #[test]
    fn a_token_goes_to_its_own_site_alone_and_never_into_our_own_network() {
        let check = |code: &str, secret: &str, url: &str| {
            let settings = SiteSettings { token_secret: secret.into(), ..settings(url) };
            settings.check(&SiteCode(code.into()), Reachable::PublicOnly)
        };
        let url = "https://moodle.example";
        assert_eq!(check("library", "library", url), Ok(()));
        let foreign = Err(Refusal::SiteSecretForeign);
        assert_eq!(check("library", "academics", "https://evil.example"), foreign);
        assert_eq!(check("academics-webhook", "academics-webhook", url), foreign);
        let here = SiteSettings { url: "http://127.0.0.1:8080".into(), ..settings(url) };
        let academics = SiteCode("academics".into());
        assert_eq!(here.check(&academics, Reachable::WithThisMachine), Ok(()), "tried out");
        assert_eq!(here.check(&academics, Reachable::PublicOnly), Err(Refusal::SiteAddressWrong));
    }
}
