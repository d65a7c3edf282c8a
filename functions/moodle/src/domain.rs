//! What a site is, who and what belongs into it, how what stands there is compared with what should, and when a site
//! is left alone. Pure: states in, states out.

mod breaker;
mod drift;
mod known;
mod naming;
mod refusal;
mod result;
mod site;
mod wanted;
mod webhook;
mod work;

pub use breaker::{Breaker, Health, LastError};
pub use drift::{
    Difference, DriftCheck, DriftReport, DriftStep, DriftTally, Finding, Listed, Repair, Stopped,
    enrolment_difference,
};
pub use known::{
    Balance, Charge, Charges, Closed, Closure, HeldRole, HeldRoles, Holds, LinkedSections, Links,
    Profile, Registrations, Section, Standing,
};
pub use refusal::{Refusal, SENTENCES};
pub use result::{Completion, CourseResult, Found, GradeFound, GradesLost};
#[cfg(test)]
pub use site::tests::settings as tests_settings;
pub use site::{
    CohortRule, CourseRule, GroupRule, HiddenCourses, MoodleRoles, Naming, Site, SiteCode,
    SiteSettings,
};
pub use wanted::{
    Standings, WantedCourse, WantedEnrolment, WantedUser, fingerprint, wanted_course,
    wanted_enrolment, wanted_user,
};
pub use webhook::{HeardOf, WebhookMinute, heard_of};
pub use work::{Kind, Lease, Mapping, Replay, Trouble, Work, WorkId};
