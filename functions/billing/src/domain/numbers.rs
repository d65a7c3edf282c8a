//! Numbers of issued documents: one after the other without a gap, per entity, fiscal year and series.

use kernel::{InvoiceId, Money, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Institution;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    Invoices,
    CreditNotes,
}

impl Series {
    /// What the numbers of the legal entity's fiscal year at `now` begin with.
    pub fn prefix(self, institution: &Institution, now: Timestamp) -> String {
        let entity = &institution.legal_entity;
        let year = institution.fiscal_year(institution.date(now));
        match self {
            Self::Invoices => format!("{entity}-{year}"),
            Self::CreditNotes => format!("{entity}-CN-{year}"),
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
        number(&self.prefix, self.last)
    }
}

fn number(prefix: &str, ordinal: u64) -> String {
    format!("{prefix}-{ordinal:06}")
}

/// One line of a series' register: which document bears the number. It is written when the number is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRow {
    pub prefix: String,
    pub ordinal: u64,
    /// The invoice that is numbered, or that the credit note is for.
    pub invoice: InvoiceId,
    pub student: PersonId,
    /// Negative for a credit note.
    pub total: Money,
    pub issued_at: Timestamp,
}

impl RegisterRow {
    /// As it stands on the document.
    pub fn number(&self) -> String {
        number(&self.prefix, self.ordinal)
    }

    /// The row of a document with a number that a counter gave.
    pub fn of(
        number: &str,
        invoice: InvoiceId,
        student: PersonId,
        total: Money,
        issued_at: Timestamp,
    ) -> Self {
        let (prefix, ordinal) = number.rsplit_once('-').expect("a counter gives a number its form");
        let ordinal = ordinal.parse().expect("a counter gives a number its form");
        Self { prefix: prefix.to_owned(), ordinal, invoice, student, total, issued_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_and_each_year_begins_at_one() {
        let at = |text: &str| text.parse().expect("a timestamp");
        let institution = Institution::example();
        let number =
            |series: Series, now| NumberCounter::new(series.prefix(&institution, now)).take();
        assert_eq!(number(Series::Invoices, at("2027-12-31T23:59:59Z")), "MAT-2027-000001");
        assert_eq!(number(Series::Invoices, at("2028-01-01T00:00:00Z")), "MAT-2028-000001");
        assert_eq!(number(Series::CreditNotes, at("2027-06-01T00:00:00Z")), "MAT-CN-2027-000001");
    }
}
