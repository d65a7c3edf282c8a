//! Who bills: the legal entity that numbers its documents, and the clock and the year it keeps its books by.

use jiff::tz::TimeZone;
use kernel::{Date, Timestamp};

#[derive(Debug, Clone)]
pub struct Institution {
    /// What the numbers of its documents begin with: `MAT`.
    pub legal_entity: String,
    /// In which days end, and fiscal years with them.
    pub time_zone: TimeZone,
    /// 1 where the fiscal year is the calendar year.
    pub fiscal_year_first_month: i8,
    /// From an invoice's date to the day on which it is due.
    pub payment_terms_days: i32,
}

impl Institution {
    /// The institution's own date at this moment.
    pub fn date(&self, now: Timestamp) -> Date {
        now.to_zoned(self.time_zone.clone()).date()
    }

    /// The day on which an invoice of this moment is due.
    pub fn due(&self, issued_at: Timestamp) -> Date {
        let issued_on = self.date(issued_at);
        issued_on.saturating_add(jiff::Span::new().days(self.payment_terms_days))
    }

    /// One for tests and benches: entity `MAT`, UTC, calendar years, due in a week.
    pub fn example() -> Self {
        Self {
            legal_entity: "MAT".into(),
            time_zone: TimeZone::UTC,
            fiscal_year_first_month: 1,
            payment_terms_days: 7,
        }
    }

    /// The first day of the fiscal year of this date.
    pub fn fiscal_year_of(&self, date: Date) -> Date {
        Date::new(self.fiscal_year(date), self.fiscal_year_first_month, 1)
            .expect("every month has a first day")
    }

    /// The calendar year in which the fiscal year of this date begins.
    pub fn fiscal_year(&self, date: Date) -> i16 {
        if date.month() < self.fiscal_year_first_month { date.year() - 1 } else { date.year() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_fiscal_years_end_where_the_institution_is() {
        let institution = |time_zone: &str, fiscal_year_first_month| Institution {
            time_zone: TimeZone::get(time_zone).expect("a time zone"),
            fiscal_year_first_month,
            ..Institution::example()
        };
        let eve: Timestamp = "2027-12-31T23:30:00Z".parse().expect("a timestamp");
        let year = |institution: &Institution| institution.fiscal_year(institution.date(eve));
        assert_eq!(year(&institution("UTC", 1)), 2027);
        assert_eq!(year(&institution("Africa/Douala", 1)), 2028, "half past midnight there");
        assert_eq!(year(&institution("America/Bogota", 1)), 2027);
        assert_eq!(year(&institution("Africa/Douala", 10)), 2027, "January of 2028 ends 2027");
    }
}
