//! What a journey registers for: a term of its own, with courses and sections that nobody else touches.

use serde_json::{Value, json};

use crate::api::unique;
use crate::cloud;
use crate::patience::{LIMIT, eventually};
use crate::people::{DEPARTMENT, staff};

const DAY_S: i64 = 24 * 60 * 60;
/// Credits of every course, in hundredths.
pub const CREDITS_HUNDREDTHS: i64 = 450;

#[derive(Debug, Clone)]
pub struct Term {
    pub id: String,
    pub code: String,
}

/// What a section is to be; the rest is the same for all.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub capacity: u32,
    pub price_group: &'a str,
    pub approval_required: bool,
}

impl Offer<'_> {
    pub const PLAIN: Offer<'static> =
        Offer { capacity: 30, price_group: "standard", approval_required: false };
}

impl Term {
    /// A term whose registration is open.
    pub fn open() -> Self {
        let now = shell::now().as_second();
        let at = |second: i64| {
            kernel::Timestamp::from_second(second).expect("a time in our century").to_string()
        };
        let term = json!({
            "code": unique("T"),
            "title": "A journey's term",
            "first_day": "2027-02-01",
            "last_day": "2027-06-30",
            "registration_opens_at": at(now - DAY_S),
            "registration_closes_at": at(now + 30 * DAY_S),
        });
        let reply = staff().registrar.api.post("/terms", &term).expect(201);
        Self { id: reply.text("/id"), code: reply.text("/code") }
    }

    /// A section of a new course of the department of mathematics, once registration knows it.
    pub fn section(&self, offer: Offer<'_>) -> String {
        self.section_of(DEPARTMENT, offer)
    }

    /// The same of another department.
    pub fn section_of(&self, department: &str, offer: Offer<'_>) -> String {
        let section = self.announce(department, offer);
        eventually(&format!("{section} is known to registration"), LIMIT, || {
            seats(&section).ok_or_else(|| "nothing".to_owned())
        });
        section
    }

    pub fn plain_section(&self) -> String {
        self.section(Offer::PLAIN)
    }

    fn announce(&self, department: &str, offer: Offer<'_>) -> String {
        let course = json!({
            "code": unique("C"),
            "title": "Analysis for beginners",
            "credits_hundredths": CREDITS_HUNDREDTHS,
            "department": department,
        });
        let registrar = &staff().registrar.api;
        let course = registrar.post("/courses", &course).expect(201).text("/id");
        let section = json!({
            "code": unique("S"),
            "term": self.id,
            "course": course,
            "capacity": offer.capacity,
            "price_group": offer.price_group,
            "approval_required": offer.approval_required,
        });
        registrar.post("/sections", &section).expect(201).text("/id")
    }
}

/// Seats that are taken in a section; nothing where registration does not know it.
pub fn seats(section: &str) -> Option<i64> {
    let seats = cloud::stored("enrollment", &format!("SECTION#{section}"), "SEATS")?;
    seats.pointer("/taken/N").and_then(Value::as_str)?.parse().ok()
}

#[track_caller]
pub fn assert_taken(section: &str, expected: i64) {
    assert_eq!(seats(section), Some(expected), "seats taken in {section}");
}
