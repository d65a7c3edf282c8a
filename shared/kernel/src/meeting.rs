//! When a section meets, and whether two meetings clash.

use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// A weekly meeting: every named weekday from `first_day` to `last_day`, both included, in the institution's
/// time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meeting {
    #[schemars(length(min = 1, max = 7))]
    pub weekdays: Vec<Weekday>,
    #[schemars(with = "String", regex(pattern = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"))]
    pub starts_at: Time,
    #[schemars(with = "String", regex(pattern = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"))]
    pub ends_at: Time,
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub first_day: Date,
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub last_day: Date,
}

impl Meeting {
    /// Two meetings clash when dates and hours overlap and they share a weekday. Back to back is free.
    pub fn clashes_with(&self, other: &Self) -> bool {
        let dates = self.first_day <= other.last_day && other.first_day <= self.last_day;
        let weekday = self.weekdays.iter().any(|weekday| other.weekdays.contains(weekday));
        let hours = self.starts_at < other.ends_at && other.starts_at < self.ends_at;
        dates && weekday && hours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(hours: (i8, i8), months: (i8, i8), weekdays: &[Weekday]) -> Meeting {
        Meeting {
            weekdays: weekdays.to_vec(),
            starts_at: jiff::civil::time(hours.0, 0, 0, 0),
            ends_at: jiff::civil::time(hours.1, 0, 0, 0),
            first_day: jiff::civil::date(2027, months.0, 1),
            last_day: jiff::civil::date(2027, months.1, 28),
        }
    }

    /// The vectors of the catalog rules, each found missed in another product.
    #[test]
    fn the_published_vectors_hold() {
        use Weekday::{Monday, Tuesday};
        let autumn = (9, 10);
        let clash =
            |a, b| meeting(a, autumn, &[Monday]).clashes_with(&meeting(b, autumn, &[Monday]));
        assert!(clash((9, 11), (9, 10)));
        assert!(clash((9, 11), (10, 12)));
        assert!(!clash((10, 11), (11, 12)), "back to back is free");
        let early = meeting((9, 10), (9, 10), &[Monday]);
        assert!(!early.clashes_with(&meeting((9, 10), (11, 12), &[Monday])), "dates apart");
        assert!(!early.clashes_with(&meeting((9, 10), autumn, &[Tuesday])), "weekdays apart");
    }
}
