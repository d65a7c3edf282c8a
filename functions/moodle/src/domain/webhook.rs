//! What a site's webhooks are about, and how often they are listened to.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use super::SiteCode;

/// What of ours an event may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeardOf {
    User,
    Course,
    Enrolment,
    /// Who is in which group of a course.
    Groups,
    /// Somebody was taken out of a cohort. Who is put into one is told by a check alone.
    Cohort,
    /// A grade, or the completion of a course.
    Result,
}

/// By the event's name, such as `\core\event\user_graded`; none where it is nothing to us.
pub fn heard_of(event_name: &str) -> Option<HeardOf> {
    Some(match event_name.rsplit('\\').next()? {
        "user_created" | "user_updated" | "user_deleted" => HeardOf::User,
        "course_created" | "course_updated" | "course_deleted" => HeardOf::Course,
        "group_member_added" | "group_member_removed" | "group_deleted" => HeardOf::Groups,
        "cohort_member_removed" => HeardOf::Cohort,
        "user_enrolment_created"
        | "user_enrolment_updated"
        | "user_enrolment_deleted"
        | "role_assigned"
        | "role_unassigned" => HeardOf::Enrolment,
        "user_graded" | "course_completed" | "course_module_completion_updated" => HeardOf::Result,
        _ => return None,
    })
}

/// How many calls of a site came in a minute, guesses at its secret among them. The nightly check finds what is not
/// heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookMinute {
    pub site: SiteCode,
    /// Since 1970.
    pub minute: i64,
    pub calls: u32,
}

impl WebhookMinute {
    pub const CALLS_MAX: u32 = 120;

    /// With one more call; none where there were enough in this minute.
    pub fn counted(site: SiteCode, before: Option<&Self>, now: Timestamp) -> Option<Self> {
        let minute = now.as_second().div_euclid(60);
        let calls = before.filter(|before| before.minute == minute).map_or(0, |one| one.calls);
        (calls < Self::CALLS_MAX).then_some(Self { site, minute, calls: calls + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_by_its_name_whatever_stands_before_it() {
        assert_eq!(heard_of("\\core\\event\\user_graded"), Some(HeardOf::Result));
        assert_eq!(heard_of("user_updated"), Some(HeardOf::User));
        assert_eq!(heard_of("\\core\\event\\cohort_member_removed"), Some(HeardOf::Cohort));
        assert_eq!(heard_of("\\core\\event\\course_viewed"), None);
        assert_eq!(heard_of(""), None);
    }
}
