//! What is to be looked at in a site, what stands there of ours, and who is at it.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SiteCode;

/// What an entity is in Moodle. In the order in which they are dealt with: who is enrolled must be there.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Course,
    User,
    Enrolment,
    Category,
    Cohort,
    /// The groups of a section's course.
    Groups,
    /// What students have come to in a course: read there, never written.
    Reading,
}

impl Kind {
    /// Those that are marked; the others are made on the way.
    pub const MARKED: [Self; 5] =
        [Self::Course, Self::User, Self::Enrolment, Self::Groups, Self::Reading];

    pub fn name(self) -> &'static str {
        match self {
            Self::Course => "course",
            Self::User => "user",
            Self::Enrolment => "enrolment",
            Self::Category => "category",
            Self::Cohort => "cohort",
            Self::Groups => "groups",
            Self::Reading => "reading",
        }
    }
}

/// One entity in one site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId {
    pub site: SiteCode,
    pub kind: Kind,
    /// A section's or a person's id, or both with a `/` between them.
    pub entity: String,
}

/// Why an entity is not in step, in words that somebody at the site can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// Of the sentence.
    pub code: String,
    /// What Moodle called it.
    pub moodle_code: Option<String>,
}

impl Trouble {
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), moodle_code: None }
    }
}

/// An entity that was marked: what should stand there may differ from what does.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are told apart by name, and none follows from another"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub site: SiteCode,
    pub kind: Kind,
    pub entity: String,
    /// Since when it waits; kept while it is marked again.
    pub marked_at: Timestamp,
    pub due_at: Timestamp,
    /// Times that it was put off since it was marked.
    pub attempts: u32,
    pub trouble: Option<Trouble>,
    /// Asked in vain: it waits for a change, or for somebody to ask for it again.
    pub is_stuck: bool,
    /// Whether something may have been sent of which nothing is recorded yet. Kept while it is marked again.
    #[serde(default)]
    pub was_begun: bool,
    /// Sent even where it is what was sent last: somebody may have changed it there.
    #[serde(default)]
    pub sends_anyway: bool,
    /// What stands there is looked at, and mended where it differs.
    #[serde(default)]
    pub looks_there: bool,
    pub correlation_id: String,
}

impl Work {
    const ATTEMPTS_MAX: u32 = 20;
    /// Waiting counts no further: so many doublings of the first wait are the longest one.
    const WAITING_MAX: u32 = 9;
    const SETTLING: SignedDuration = SignedDuration::from_secs(5);
    const WAIT_FIRST: SignedDuration = SignedDuration::from_secs(2);
    const WAIT_MAX: SignedDuration = SignedDuration::from_mins(10);

    pub fn id(&self) -> WorkId {
        WorkId { site: self.site.clone(), kind: self.kind, entity: self.entity.clone() }
    }

    /// Marked, for the first time or again.
    pub fn marked(
        id: &WorkId,
        before: Option<&Self>,
        now: Timestamp,
        correlation_id: &str,
    ) -> Self {
        Self {
            site: id.site.clone(),
            kind: id.kind,
            entity: id.entity.clone(),
            marked_at: before.map_or(now, |before| before.marked_at),
            due_at: Self::due_after_mark(id.kind, before, now),
            attempts: 0,
            trouble: None,
            is_stuck: false,
            was_begun: before.is_some_and(|before| before.was_begun),
            sends_anyway: before.is_some_and(|before| before.sends_anyway),
            looks_there: before.is_some_and(|before| before.looks_there),
            correlation_id: correlation_id.to_owned(),
        }
    }

    /// At once; but who belongs into a group is found in an index, which may be a moment behind. Marked again
    /// meanwhile, they are not put off further: a rush must not keep them waiting.
    fn due_after_mark(kind: Kind, before: Option<&Self>, now: Timestamp) -> Timestamp {
        if kind != Kind::Groups {
            return now;
        }
        let is_soon = |before: &&Self| before.attempts == 0 && before.due_at > now;
        before.filter(is_soon).map_or(now + Self::SETTLING, |before| before.due_at)
    }

    /// Tried again later, and later each time; in the end it is stuck.
    #[must_use]
    pub fn put_off(&self, trouble: Trouble, now: Timestamp) -> Self {
        let attempts = self.attempts + 1;
        let doubled = Self::WAIT_FIRST.checked_mul(1 << attempts.min(10)).unwrap_or(Self::WAIT_MAX);
        Self {
            due_at: now + doubled.min(Self::WAIT_MAX),
            attempts,
            trouble: Some(trouble),
            is_stuck: attempts >= Self::ATTEMPTS_MAX,
            ..self.clone()
        }
    }

    /// Put off until something else is there, however long that takes: that something says what it is stuck at.
    #[must_use]
    pub fn waiting(&self, trouble: Trouble, now: Timestamp) -> Self {
        let put_off = self.put_off(trouble, now);
        Self { is_stuck: false, attempts: put_off.attempts.min(Self::WAITING_MAX), ..put_off }
    }

    /// Whether it waits for something else of ours, which waits itself.
    pub fn waits_for_another(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.code.starts_with("WAITS_FOR"))
    }

    #[must_use]
    pub fn stuck(&self, trouble: Trouble) -> Self {
        Self { trouble: Some(trouble), is_stuck: true, ..self.clone() }
    }
}

/// What stands in Moodle of ours, and what was last sent of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    pub site: SiteCode,
    pub kind: Kind,
    pub entity: String,
    /// 0 for an enrolment, which has no id that we are told.
    pub moodle_id: i64,
    pub fingerprint: String,
    /// Of an enrolment.
    pub role: Option<i64>,
    /// Of an enrolment or an account; of a course, whether it was hidden.
    pub is_suspended: bool,
    /// Of an account.
    pub cohorts: BTreeSet<String>,
    pub sent_at: Timestamp,
}

impl Mapping {
    pub fn new(id: &WorkId, moodle_id: i64, fingerprint: String, now: Timestamp) -> Self {
        Self {
            site: id.site.clone(),
            kind: id.kind,
            entity: id.entity.clone(),
            moodle_id,
            fingerprint,
            role: None,
            is_suspended: false,
            cohorts: BTreeSet::new(),
            sent_at: now,
        }
    }
}

/// Who works at a site now. One at a time: creates of one kind never meet, and an entity is in one hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub site: SiteCode,
    pub holder: String,
    pub held_until: Timestamp,
}

impl Lease {
    /// Longer than two requests may take.
    pub const HELD: SignedDuration = SignedDuration::from_secs(90);

    pub fn is_free(&self, now: Timestamp) -> bool {
        self.held_until <= now
    }
}

/// Everything known is marked again, page by page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub site: SiteCode,
    pub kind: Kind,
    /// Section whose enrolments are gone through.
    pub section: Option<String>,
    pub after: Option<String>,
    pub marked: u64,
    /// Whether everything is sent, or only what differs from what was sent last.
    #[serde(default)]
    pub sends_anyway: bool,
    pub asked_at: Timestamp,
}
