//! When and where a section meets.

use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Calendar;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    pub fn of(day: Date) -> Self {
        let from_monday = day.weekday().to_monday_zero_offset();
        Self::ALL[usize::try_from(from_monday).expect("a weekday is 0 to 6 days after Monday")]
    }

    /// The first day from `day` on that is this weekday; none at the end of time.
    pub fn first_from(self, day: Date) -> Option<Date> {
        let ahead = (self as i64 - Self::of(day) as i64).rem_euclid(7);
        day.checked_add(jiff::Span::new().days(ahead)).ok()
    }
}

/// Where a meeting takes place. Rooms are compared by building and name.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Room {
    #[schemars(length(min = 1, max = 40))]
    pub building: String,
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.building, self.name)
    }
}

/// A meeting: every named weekday from `first_day` to `last_day`, both included, and each of `dates`, in the
/// institution's time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meeting {
    #[schemars(length(max = 7))]
    pub weekdays: Vec<Weekday>,
    #[schemars(with = "String", regex(pattern = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"))]
    pub starts_at: Time,
    #[schemars(with = "String", regex(pattern = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"))]
    pub ends_at: Time,
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub first_day: Date,
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub last_day: Date,
    /// Single days on which it meets as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub dates: Vec<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
}

impl Meeting {
    /// On these weekdays between these days, somewhere.
    pub fn weekly(
        weekdays: Vec<Weekday>,
        (starts_at, ends_at): (Time, Time),
        (first_day, last_day): (Date, Date),
    ) -> Self {
        Self { weekdays, starts_at, ends_at, first_day, last_day, dates: Vec::new(), room: None }
    }

    /// Whether it would meet on that day, were it no holiday.
    pub fn meets_on(&self, day: Date) -> bool {
        let weekly = self.first_day <= day
            && day <= self.last_day
            && self.weekdays.contains(&Weekday::of(day));
        weekly || self.dates.contains(&day)
    }

    /// Whether two meetings share a day on which their hours overlap. Back to back is free. Holidays and ways
    /// between buildings are a [`Calendar`]'s.
    pub fn clashes_with(&self, other: &Self) -> bool {
        Calendar::default().clash(self, other).is_some()
    }
}
