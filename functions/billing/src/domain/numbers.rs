//! Numbers of issued documents: one after the other without a gap, per entity, fiscal year and series.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// The legal entity that issues; a second one would have series of its own.
const ENTITY: &str = "MAT";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    Invoices,
    CreditNotes,
}

impl Series {
    /// What the numbers of the fiscal year at `now` begin with. The fiscal year is the calendar year in UTC.
    pub fn prefix(self, now: Timestamp) -> String {
        let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
        match self {
            Self::Invoices => format!("{ENTITY}-{year}"),
            Self::CreditNotes => format!("{ENTITY}-CN-{year}"),
        }
    }
}

/// The last number given in a series. It moves in the transaction that issues the document, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberCounter {
    pub prefix: String,
    pub last: u64,
}

impl NumberCounter {
    pub fn new(prefix: String) -> Self {
        Self { prefix, last: 0 }
    }

    /// Takes the next number: `MAT-2027-000001`.
    pub fn take(&mut self) -> String {
        self.last += 1;
        format!("{}-{:06}", self.prefix, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_and_each_year_begins_at_one() {
        let at = |text: &str| text.parse().expect("a timestamp");
        let number = |series: Series, now| NumberCounter::new(series.prefix(now)).take();
        assert_eq!(number(Series::Invoices, at("2027-12-31T23:59:59Z")), "MAT-2027-000001");
        assert_eq!(number(Series::Invoices, at("2028-01-01T00:00:00Z")), "MAT-2028-000001");
        assert_eq!(number(Series::CreditNotes, at("2027-06-01T00:00:00Z")), "MAT-CN-2027-000001");
    }
}
