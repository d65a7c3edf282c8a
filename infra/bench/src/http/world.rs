//! What there must be before operations can be measured: made by real operations, as much of it as there will
//! be calls.

use events::{ChargeableRegistration, Event, PersonRegistered, SectionOffered};
use kernel::{ApprovalId, BundleId, Id, PersonId, RegistrationId, SourceId};
use serde_json::{Value, json};
use shell::Caller;

use crate::failure::{Explain, Failure};
use crate::function::Functions;
use crate::offering::{deliver, section};
use crate::requests::{Request, bursar, carried_out, registrar, step, student, student_id};

pub const DEPARTMENT: &str = "MATH";
pub const PRICE_GROUP: &str = "standard";
/// Rows that an import step takes at once.
const ROWS_MAX: usize = 100;
const SEATS: u32 = 100_000;

/// Ids of what was made; what belongs to a context that is not measured stays empty.
#[derive(Default)]
pub struct World {
    pub people: Vec<PersonId>,
    pub term: String,
    pub course: String,
    pub section: String,
    offered: Option<SectionOffered>,
    pub confirmed: Vec<Held>,
    pub waiting: Vec<Held>,
    pub parked: Vec<Held>,
    pub invoices: Vec<String>,
}

/// A bundle of one registration whose seat was held.
pub struct Held {
    student: usize,
    pub submission: String,
    pub bundle: String,
    pub registration: String,
}

impl Held {
    pub fn student(&self) -> Caller {
        student(self.student)
    }

    pub fn approval(&self) -> ApprovalId {
        ApprovalId::derived_from(&format!("{}#{DEPARTMENT}", self.bundle))
    }
}

impl World {
    pub async fn prepare(
        functions: &mut Functions<'_>,
        contexts: &[String],
        calls: usize,
    ) -> Result<Self, Failure> {
        let mut world = Self::default();
        for context in contexts {
            match context.as_str() {
                "identity" => world.import_people(functions, calls).await?,
                "catalog" => world.make_catalog(functions, calls).await?,
                "enrollment" => world.hold_seats(functions, calls).await?,
                "billing" => world.charge(functions, calls).await?,
                "notifications" => notify(functions, calls).await?,
                _ => {}
            }
        }
        Ok(world)
    }

    /// A cart with the section that has seats for everybody.
    pub fn cart(&self) -> Value {
        cart(self.offered.as_ref().expect("a section was offered"))
    }

    async fn import_people(
        &mut self,
        functions: &mut Functions<'_>,
        calls: usize,
    ) -> Result<(), Failure> {
        let numbers: Vec<usize> = (0..calls).collect();
        for chunk in numbers.chunks(ROWS_MAX) {
            let row = |number: &usize| {
                json!({
                    "row": number, "source": source(*number).0, "given_name": "Ada",
                    "family_name": "Lovelace", "email": format!("ada{number}@matricula.example"),
                    "student_number": format!("S{number}"), "roles": ["student"],
                })
            };
            let rows: Vec<Value> = chunk.iter().map(row).collect();
            functions.invoke("identity", "import-people", step(json!({ "rows": rows }))).await?;
        }
        self.people = numbers.iter().map(|number| source(*number).id()).collect();
        Ok(())
    }

    /// Numbers from `calls` on: those below belong to the calls that are measured.
    async fn make_catalog(
        &mut self,
        functions: &mut Functions<'_>,
        calls: usize,
    ) -> Result<(), Failure> {
        let mut make = async |operation, body| {
            let event = Request::post(body).by(registrar()).event();
            let made = carried_out(&functions.invoke("catalog", operation, event).await?)?;
            text(&made["id"])
        };
        self.term = make("create-term", term(calls)).await?;
        self.course = make("create-course", course(calls)).await?;
        let body = section_of(&self.term, &self.course, calls);
        self.section = make("create-section", body).await?;
        Ok(())
    }

    /// Three kinds of bundles, each by students of their own: confirmed, waiting for approval, parked.
    async fn hold_seats(
        &mut self,
        functions: &mut Functions<'_>,
        calls: usize,
    ) -> Result<(), Failure> {
        let open = section("open", SEATS);
        let guarded = SectionOffered { approval_required: true, ..section("guarded", SEATS) };
        for event in [open.clone(), guarded.clone()] {
            deliver(functions, "enrollment", "on-section-offered", event).await?;
        }
        for number in 0..calls {
            let held = hold(functions, calls + number, &open).await?;
            let Held { submission, bundle, .. } = &held;
            let command = json!({ "submission": submission, "bundle": bundle, "attempt": 1 });
            functions.invoke("enrollment", "confirm", step(command)).await?;
            self.confirmed.push(held);

            let held = hold(functions, 2 * calls + number, &guarded).await?;
            let Held { submission, bundle, .. } = &held;
            let command = json!({
                "submission": submission, "bundle": bundle, "attempt": 1, "task_token": "token",
            });
            functions.invoke("enrollment", "await-approval", step(command)).await?;
            self.waiting.push(held);

            let held = hold(functions, 3 * calls + number, &open).await?;
            let Held { submission, bundle, .. } = &held;
            let command = json!({
                "submission": submission, "bundle": bundle, "attempt": 1,
                "step": "ReverseCharge", "error": "Fault",
            });
            functions.invoke("enrollment", "park", step(command)).await?;
            self.parked.push(held);
        }
        self.offered = Some(open);
        Ok(())
    }

    async fn charge(&mut self, functions: &mut Functions<'_>, calls: usize) -> Result<(), Failure> {
        let price = json!({ "per_credit": { "minor": 5_000, "currency": "EUR" } });
        let price = Request::put(price).at("price_group", &PRICE_GROUP).by(bursar()).event();
        carried_out(&functions.invoke("billing", "set-price-group", price).await?)?;
        let offered = section("open", SEATS);
        for number in 0..calls {
            let bundle = BundleId::derived_from(&number.to_string());
            let registration = ChargeableRegistration {
                registration: RegistrationId::derived_from(&number.to_string()),
                section: offered.section,
                section_code: offered.code.clone(),
                course_title: offered.course.title.clone(),
                credits_hundredths: offered.credits_hundredths,
                price_group: PRICE_GROUP.to_owned(),
            };
            let command = json!({
                "bundle": bundle, "student": student_id(number), "term": offered.term.id,
                "term_code": offered.term.code, "registrations": [registration],
            });
            let charged = functions.invoke("billing", "charge", step(command)).await?;
            self.invoices.push(text(&charged["invoice"])?);
        }
        Ok(())
    }
}

/// Each student is told of one registration.
async fn notify(functions: &mut Functions<'_>, calls: usize) -> Result<(), Failure> {
    for number in 0..calls {
        let person = student_id(number);
        let registered = PersonRegistered { person, ..PersonRegistered::example() };
        deliver(functions, "notifications", "on-person-changed", registered).await?;
        let command = json!({
            "bundle": BundleId::derived_from(&number.to_string()), "student": person,
            "kind": "registered", "term_code": "2027S",
            "items": [{ "section_code": "MATH101-A", "course_title": "Calculus I" }],
        });
        functions.invoke("notifications", "notify", step(command)).await?;
    }
    Ok(())
}

async fn hold(
    functions: &mut Functions<'_>,
    number: usize,
    offered: &SectionOffered,
) -> Result<Held, Failure> {
    let event = Request::post(cart(offered)).by(student(number)).event();
    let reply = carried_out(&functions.invoke("enrollment", "submit", event).await?)?;
    let bundle = &reply["bundles"][0];
    Ok(Held {
        student: number,
        submission: text(&reply["id"])?,
        bundle: text(&bundle["bundle"])?,
        registration: text(&bundle["registrations"][0]["registration"])?,
    })
}

fn cart(offered: &SectionOffered) -> Value {
    json!({ "term": offered.term.id, "sections": [offered.section] })
}

fn source(number: usize) -> SourceId {
    SourceId(format!("person-{number}"))
}

fn text(value: &Value) -> Result<String, Failure> {
    value.as_str().map(str::to_owned).explain("a reply lacks an id")
}

pub fn term(number: usize) -> Value {
    json!({
        "code": format!("T{number}"), "title": "Spring", "first_day": "2027-02-01",
        "last_day": "2027-06-30", "registration_opens_at": "2027-01-04T08:00:00Z",
        "registration_closes_at": "2027-02-12T22:59:59Z",
    })
}

pub fn course(number: usize) -> Value {
    json!({
        "code": format!("C{number}"), "title": "Calculus", "credits_hundredths": 600,
        "department": DEPARTMENT,
    })
}

pub fn section_of(term: &str, course: &str, number: usize) -> Value {
    json!({
        "code": format!("C-{number}"), "term": term, "course": course, "capacity": 30,
        "price_group": PRICE_GROUP,
    })
}
