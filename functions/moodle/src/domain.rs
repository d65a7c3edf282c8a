//! What a site is, who and what belongs into it, how what stands there is compared with what should, and when a site
//! is left alone. Pure: states in, states out.

mod breaker;
mod known;
mod naming;
mod refusal;
mod site;
mod wanted;
mod work;

pub use breaker::{Breaker, Health, LastError};
pub use known::{Charge, Charges, HeldRole, HeldRoles, Profile, Registrations, Section, Standing};
pub use refusal::{Refusal, SENTENCES};
#[cfg(test)]
pub use site::tests::settings as tests_settings;
pub use site::{CohortRule, CourseRule, MoodleRoles, Naming, Site, SiteCode, SiteSettings};
pub use wanted::{
    WantedCourse, WantedEnrolment, WantedUser, fingerprint, wanted_course, wanted_enrolment,
    wanted_user,
};
pub use work::{Kind, Lease, Mapping, Replay, Trouble, Work, WorkId};
