//! What a registrar expects, in the registrar's words: the files of `tests/scenarios`, carried out through the API.

use std::collections::BTreeMap;
use std::path::Path;

use gherkin::{Feature, GherkinEnv};
use serde_json::{Value, json};

use crate::api::{Reply, is_noted, unique};
use crate::courses::{Term, seats};
use crate::patience::{LIMIT, eventually};
use crate::people::{DEPARTMENT, Person, newcomer, staff};
use crate::sagas::{Bundle, await_payment, decide, francs, invoice};

const FEATURES: [&str; 3] = ["payment", "registration", "seats"];

#[test]
fn how_a_seat_is_paid_for() {
    carry_out(FEATURES[0]);
}

#[test]
fn what_a_student_can_register_for() {
    carry_out(FEATURES[1]);
}

#[test]
fn who_gets_a_seat() {
    carry_out(FEATURES[2]);
}

/// Its scenarios side by side, for each has a world of its own; one by one where calls are timed.
fn carry_out(name: &str) {
    let feature = read(name);
    let background = feature.background.iter().flat_map(|background| &background.steps);
    let background: Vec<&str> = background.map(|step| step.value.as_str()).collect();
    let at_once = if is_noted() { 1 } else { 2 };
    for scenarios in feature.scenarios.chunks(at_once) {
        std::thread::scope(|scope| {
            for scenario in scenarios {
                let steps = scenario.steps.iter().map(|step| step.value.as_str());
                let steps: Vec<&str> = background.iter().copied().chain(steps).collect();
                scope.spawn(move || play(&scenario.name, &steps));
            }
        });
    }
}

fn read(name: &str) -> Feature {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.feature"));
    let feature = Feature::parse_path(&file, GherkinEnv::default()).expect("a feature");
    assert!(!feature.scenarios.is_empty() && feature.rules.is_empty(), "scenarios without rules");
    feature
}

fn play(scenario: &str, steps: &[&str]) {
    let mut world = World::default();
    for step in steps {
        if let Err(problem) = world.take(step) {
            panic!("{scenario}\n  {step}\n  {problem}");
        }
    }
}

/// What a step came to; where it came out otherwise, what was there instead.
type Outcome = Result<(), String>;

#[derive(Default)]
struct World {
    term: Option<Term>,
    plan_offer: Option<String>,
    courses: BTreeMap<String, Course>,
    sections: BTreeMap<String, String>,
    students: BTreeMap<String, Student>,
    last: Option<Reply>,
}

struct Course {
    id: String,
    code: String,
}

struct Student {
    person: Person,
    hold: Option<String>,
    /// Submission, bundle, and its first registration with its section.
    bundles: Vec<[String; 4]>,
}

/// The words that stand where the pattern has `{}`; nothing where the rest is another.
fn words<'s>(pattern: &str, step: &'s str) -> Option<Vec<&'s str>> {
    let mut parts = pattern.split("{}");
    let mut rest = step.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    for part in parts {
        let at = if part.is_empty() { rest.len() } else { rest.find(part)? };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

/// `Ada, Ben and Cleo`.
fn list(text: &str) -> Vec<&str> {
    text.split(", ").flat_map(|part| part.split(" and ")).collect()
}

fn number(text: &str) -> Result<i64, String> {
    let digits = text.split(' ').next().unwrap_or_default();
    digits.parse().map_err(|_| format!("{text} is no number"))
}

fn same(found: &Value, expected: impl Into<Value>) -> Outcome {
    let expected = expected.into();
    if *found == expected { Ok(()) } else { Err(format!("{found} instead of {expected}")) }
}

type Step = fn(&mut World, &[&str]) -> Outcome;

/// The longer of two that begin alike comes first.
const STEPS: [(&str, Step); 35] = [
    ("a term that is open for registration", |world, _| {
        world.term = Some(Term::open());
        Ok(())
    }),
    ("a course {} of {} that requires {}", |world, w| {
        let needed = format!("course({})", world.course(w[2])?.code);
        world.add_course(w[0], w[1], json!({ "prerequisites": needed }))
    }),
    ("a course {} of {} that is taken together with {}", |world, w| {
        let other = world.course(w[2])?.id.clone();
        world.add_course(w[0], w[1], json!({ "corequisites": [other] }))
    }),
    ("a course {} of {}", |world, w| world.add_course(w[0], w[1], json!({}))),
    ("a section {} of {} with {}", |world, w| world.add_section(w[0], w[1], w[2])),
    ("a plan of {} per cent at once and the rest later", |world, w| world.offer_plan(w[0])),
    ("a student {} for whom {} is waived", |world, w| {
        let waived = world.course(w[1])?.code.clone();
        world.add_student(w[0], Some(json!({ "waived_courses": [waived] })))
    }),
    ("a student {} in year {}", |world, w| {
        world.add_student(w[0], Some(json!({ "standing": number(w[1])? })))
    }),
    ("a student {}", |world, w| world.add_student(w[0], None)),
    ("students {}", |world, w| {
        list(w[0]).into_iter().try_for_each(|name| world.add_student(name, None))
    }),
    ("the registrar's office stops {}", |world, w| world.stop(w[0])),
    ("the registrar's office lets {} go on", |world, w| world.let_go_on(w[0])),
    ("the registrar lets {} pass {} in {}", |world, w| world.override_rule(w[0], w[1], w[2])),
    ("the registrar gives {} {}", |world, w| world.set_capacity(w[0], w[1])),
    ("the bursar lets {} pay later", |world, w| world.defer(w[0])),
    ("the head of department rejects {}'s registration for {}", |world, w| {
        world.reject(w[0], w[1])
    }),
    ("{} submits {}", |world, w| world.submit(w[0], w[1])),
    ("{} chooses the plan", |world, w| world.choose_plan(w[0])),
    ("{} pays {} per cent", |world, w| world.pay_part(w[0], w[1])),
    ("{} pays", |world, w| world.pay(w[0])),
    ("{} drops {}", |world, w| world.give_up(w[0], w[1], "drop", &json!({}))),
    ("{} swaps {} for {}", |world, w| {
        let sections = json!({ "sections": [world.section(w[2])?] });
        world.give_up(w[0], w[1], "swap", &sections)
    }),
    ("{} joins the line for {}", |world, w| world.join(w[0], w[1])),
    ("{} takes the offer for {}", |world, w| world.answer(w[0], w[1], "acceptance")),
    ("{} leaves the line for {}", |world, w| world.answer(w[0], w[1], "leaving")),
    ("nothing is refused", |world, _| {
        let refused = world.refused()?;
        if refused.is_empty() { Ok(()) } else { Err(format!("{refused:?}")) }
    }),
    ("{} is refused with {}", |world, w| {
        let section = world.section(w[0])?;
        let codes = world.refused()?.remove(&section).unwrap_or_default();
        let codes: Vec<&Value> = codes.iter().map(|refusal| &refusal["code"]).collect();
        same(&json!(codes), list(w[1]))
    }),
    ("{} is missing for {}", |world, w| {
        let section = world.section(w[1])?;
        let missing = format!("course({})", world.course(w[0])?.code);
        let refusals = world.refused()?.remove(&section).unwrap_or_default();
        same(&refusals[0]["missing"], vec![missing])
    }),
    ("{} of {} {} taken", |world, w| world.are_taken(w[0], w[1])),
    ("{} is offered a seat in {}", |world, w| world.waits(w[0], w[1], "state", &json!("offered"))),
    ("{} is number {} in the line for {}", |world, w| {
        world.waits(w[0], w[2], "rank", &json!(number(w[1])?))
    }),
    ("{} owes {} per cent", |world, w| world.owes(w[0], w[1])),
    ("{} holds a seat in {}", |world, w| world.stands(w[0], w[1], "seat_held")),
    ("{} is registered for {}", |world, w| world.stands(w[0], w[1], "registered")),
    ("{}'s registration for {} is released", |world, w| world.stands(w[0], w[1], "released")),
];

impl World {
    fn take(&mut self, step: &str) -> Outcome {
        let known = STEPS.iter().find_map(|(pattern, act)| Some((act, words(pattern, step)?)));
        let (act, words) = known.ok_or("nobody knows this step")?;
        act(self, &words)
    }

    fn term(&self) -> Result<&Term, String> {
        self.term.as_ref().ok_or_else(|| "there is no term yet".to_owned())
    }

    fn course(&self, name: &str) -> Result<&Course, String> {
        self.courses.get(name).ok_or_else(|| format!("there is no course {name}"))
    }

    fn section(&self, name: &str) -> Result<String, String> {
        self.sections.get(name).cloned().ok_or_else(|| format!("there is no section {name}"))
    }

    fn student(&self, name: &str) -> Result<&Student, String> {
        self.students.get(name).ok_or_else(|| format!("there is no student {name}"))
    }

    fn add_course(&mut self, name: &str, credits: &str, more: Value) -> Outcome {
        let mut course = json!({
            "code": unique("C"), "title": name, "department": DEPARTMENT,
            "credits_hundredths": number(credits)? * 100,
        });
        course.as_object_mut().expect("an object").extend(fields(more));
        let reply = staff().registrar.api.post("/courses", &course).expect(201);
        let (id, code) = (reply.text("/id"), reply.text("/code"));
        self.courses.insert(name.to_owned(), Course { id, code });
        Ok(())
    }

    fn add_section(&mut self, name: &str, course: &str, seating: &str) -> Outcome {
        let mut section = json!({
            "code": unique("S"), "term": self.term()?.id, "course": self.course(course)?.id,
            "capacity": number(seating)?, "price_group": "standard",
        });
        let (_, rest) = seating.split_once("seat").ok_or("how many seats?")?;
        section.as_object_mut().expect("an object").extend(fields(kind_of_section(rest)?));
        let section = staff().registrar.api.post("/sections", &section).expect(201).text("/id");
        eventually("the section is known to registration", LIMIT, || {
            seats(&section).ok_or_else(|| "nothing".to_owned())
        });
        self.sections.insert(name.to_owned(), section);
        Ok(())
    }

    fn add_student(&mut self, name: &str, record: Option<Value>) -> Outcome {
        if self.students.contains_key(name) {
            return Err(format!("there is a student {name} already"));
        }
        let person = newcomer(name);
        if let Some(record) = record {
            let path = format!("/students/{}/record", person.id);
            let call = staff().registrar.api.call("PUT", &path).json(&json!({ "record": record }));
            call.header("if-match", "\"0\"").send().expect(200);
        }
        self.students.insert(name.to_owned(), Student { person, hold: None, bundles: Vec::new() });
        Ok(())
    }

    fn stop(&mut self, name: &str) -> Outcome {
        let path = format!("/students/{}/holds", self.student(name)?.person.id);
        let hold = json!({ "kind": "administrative", "reason": "Papers are lacking." });
        let hold = staff().registrar.api.post(&path, &hold).expect(201).text("/id");
        self.students.get_mut(name).expect("it was found").hold = Some(hold);
        Ok(())
    }

    fn let_go_on(&mut self, name: &str) -> Outcome {
        let student = self.student(name)?;
        let hold = student.hold.as_ref().ok_or("nobody stopped them")?;
        let path = format!("/students/{}/holds/{hold}/lifting", student.person.id);
        staff().registrar.api.post(&path, &json!({ "reason": "They came." })).expect(200);
        Ok(())
    }

    fn override_rule(&mut self, name: &str, code: &str, section: &str) -> Outcome {
        let path = format!("/students/{}/overrides", self.student(name)?.person.id);
        let leave = json!({
            "section": self.section(section)?, "code": code, "reason": "The dean asked for it.",
            "expires_at": "2120-01-01T00:00:00Z",
        });
        staff().registrar.api.post(&path, &leave).expect(201);
        Ok(())
    }

    fn set_capacity(&mut self, section: &str, seating: &str) -> Outcome {
        let path = format!("/sections/{}", self.section(section)?);
        let registrar = &staff().registrar.api;
        let read = registrar.get(&path).expect(200);
        let edit = json!({ "capacity": number(seating)? });
        let call = registrar.call("PATCH", &path).json(&edit);
        call.header("if-match", read.header("etag")).send().expect(200);
        Ok(())
    }

    fn submit(&mut self, name: &str, sections: &str) -> Outcome {
        let ids = list(sections).into_iter().map(|section| self.section(section));
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        let cart = json!({ "term": self.term()?.id, "sections": ids });
        let reply = self.student(name)?.person.api.post("/submissions", &cart);
        self.note_bundles(name, reply)
    }

    /// Keeps what became of a cart, for who looks at it next.
    fn note_bundles(&mut self, name: &str, reply: Reply) -> Outcome {
        if !matches!(reply.status, 200 | 201 | 409) {
            return Err(reply.body.to_string());
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bundles = reply.body["bundles"].as_array().into_iter().flatten();
        let bundles = bundles.map(|bundle| {
            let first = &bundle["registrations"][0];
            let submission = text(&reply.body["id"]);
            [
                submission,
                text(&bundle["bundle"]),
                text(&first["registration"]),
                text(&first["section"]),
            ]
        });
        let bundles: Vec<_> = bundles.collect();
        self.students.get_mut(name).ok_or("nobody")?.bundles.extend(bundles);
        self.last = Some(reply);
        Ok(())
    }

    fn bundles<'w>(&'w self, name: &str) -> Result<Vec<Bundle<'w>>, String> {
        let student = self.student(name)?;
        let bundle = |known: &[String; 4]| {
            let [submission, id, registration, section] = known.clone();
            Bundle { student: &student.person, submission, id, registration, section }
        };
        Ok(student.bundles.iter().map(bundle).collect())
    }

    fn pay(&mut self, name: &str) -> Outcome {
        for bundle in self.bundles(name)? {
            bundle.pay();
        }
        Ok(())
    }

    fn offer_plan(&mut self, percent: &str) -> Outcome {
        let share = number(percent)? * 100;
        let instalment = |due: &str, share: i64| json!({ "due": due, "share": share });
        let offer = json!({
            "name": "In two parts", "term_code": self.term()?.code,
            "instalments": [instalment("2098-12-01", share), instalment("2099-01-30", 10_000 - share)],
            "is_for_students": true, "is_first_at_once": true,
        });
        let code = unique("plan").to_lowercase();
        staff().bursar.api.replace(&format!("/plan-offers/{code}"), 0, &offer).expect(200);
        self.plan_offer = Some(code);
        Ok(())
    }

    fn choose_plan(&mut self, name: &str) -> Outcome {
        self.invoices(name)?;
        let offer = self.plan_offer.as_ref().ok_or("there is no plan yet")?;
        let plan = json!({ "offer": offer, "currency": "XAF" });
        self.student(name)?.person.api.post("/payment-plans", &plan).expect(201);
        Ok(())
    }

    /// The invoices of all that the student has submitted, once they are there.
    fn invoices(&self, name: &str) -> Result<Vec<String>, String> {
        Ok(self.bundles(name)?.iter().map(Bundle::await_invoice).collect())
    }

    fn pay_part(&mut self, name: &str, percent: &str) -> Outcome {
        let percent = number(percent)?;
        let student = &self.student(name)?.person;
        for id in self.invoices(name)? {
            let part = francs(&invoice(student, &id)["total"]) * percent / 100;
            let payment = json!({
                "invoice": id, "payment_method": "pm_card_visa",
                "amount": { "minor": part, "currency": "XAF" },
            });
            let payment = student.api.post("/payments", &payment).expect(201).text("/id");
            await_payment(student, &payment, "succeeded");
        }
        Ok(())
    }

    fn defer(&mut self, name: &str) -> Outcome {
        for id in self.invoices(name)? {
            let later = json!({ "until": "2099-01-30", "reason": "The scholarship is late." });
            staff().bursar.api.post(&format!("/invoices/{id}/deferral"), &later).expect(200);
        }
        Ok(())
    }

    fn owes(&self, name: &str, percent: &str) -> Outcome {
        let student = &self.student(name)?.person;
        let invoices = student.api.list("/invoices");
        let sum = |field: &str| invoices.iter().map(|one| francs(&one[field])).sum::<i64>();
        same(&json!(sum("open") * 100), sum("total") * number(percent)?)
    }

    fn reject(&mut self, name: &str, section: &str) -> Outcome {
        let section = self.section(section)?;
        let bundles = self.bundles(name)?;
        let bundle = bundles.iter().find(|bundle| bundle.section == section);
        decide(&bundle.ok_or("it was not submitted")?.await_approval(), "reject");
        Ok(())
    }

    fn give_up(&mut self, name: &str, section: &str, how: &str, body: &Value) -> Outcome {
        let registration = self.registration(name, section)?;
        let id = registration["id"].as_str().unwrap_or_default();
        let path = format!("/registrations/{id}/{how}");
        let reply = self.student(name)?.person.api.post(&path, body);
        self.note_bundles(name, reply)
    }

    /// A line is open once registration has heard of it.
    fn join(&mut self, name: &str, section: &str) -> Outcome {
        let place = json!({ "term": self.term()?.id, "section": self.section(section)? });
        let student = &self.student(name)?.person;
        eventually(&format!("{name} is in line"), LIMIT, || {
            let reply = student.api.post("/waitlist-entries", &place);
            if reply.status == 201 { Ok(()) } else { Err(reply.body.to_string()) }
        });
        Ok(())
    }

    fn entry(&self, name: &str, section: &str) -> Result<Value, String> {
        let section = self.section(section)?;
        let entries = self.student(name)?.person.api.list("/waitlist-entries");
        let entry = entries.into_iter().find(|entry| entry["section"] == section.as_str());
        entry.ok_or_else(|| "not in line".to_owned())
    }

    fn answer(&mut self, name: &str, section: &str, how: &str) -> Outcome {
        let entry = self.entry(name, section)?;
        let id = entry["id"].as_str().unwrap_or_default();
        let path = format!("/waitlist-entries/{id}/{how}");
        self.student(name)?.person.api.post(&path, &json!({})).expect(200);
        Ok(())
    }

    fn waits(&self, name: &str, section: &str, field: &str, expected: &Value) -> Outcome {
        self.entry(name, section)?;
        eventually(&format!("{name} waits with {field} {expected}"), LIMIT, || {
            let entry = self.entry(name, section)?;
            if entry[field] == *expected { Ok(()) } else { Err(entry.to_string()) }
        });
        Ok(())
    }

    /// The newest one: somebody may have had an earlier one.
    fn registration(&self, name: &str, section: &str) -> Result<Value, String> {
        let section = self.section(section)?;
        let registrations = self.student(name)?.person.api.list("/registrations");
        let found = registrations.into_iter().find(|one| one["section"] == section.as_str());
        found.ok_or_else(|| "not registered".to_owned())
    }

    fn stands(&self, name: &str, section: &str, state: &str) -> Outcome {
        self.student(name)?;
        self.section(section)?;
        eventually(&format!("{name} is {state} in {section}"), LIMIT, || {
            let registration = self.registration(name, section)?;
            if registration["state"] == state { Ok(()) } else { Err(registration.to_string()) }
        });
        Ok(())
    }

    fn are_taken(&self, count: &str, section: &str) -> Outcome {
        let (expected, section) = (number(count)?, self.section(section)?);
        eventually(&format!("{expected} seats are taken"), LIMIT, || {
            let taken = seats(&section);
            if taken == Some(expected) { Ok(()) } else { Err(format!("{taken:?}")) }
        });
        Ok(())
    }

    /// Why each section of the last cart was refused, in the order of the checks.
    fn refused(&self) -> Result<BTreeMap<String, Vec<Value>>, String> {
        let body = &self.last.as_ref().ok_or("nothing was submitted")?.body;
        let mut refused: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for error in body["errors"].as_array().into_iter().flatten() {
            refused.entry(text(&error["section"])).or_default().push(error.clone());
        }
        for item in body["failed"].as_array().into_iter().flatten() {
            let codes = item["codes"].as_array().cloned().unwrap_or_default();
            refused.insert(text(&item["section"]), codes);
        }
        Ok(refused)
    }
}

fn fields(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(fields) = value else { return serde_json::Map::new() };
    fields
}

/// What else is said of a section, behind its seats.
fn kind_of_section(rest: &str) -> Result<Value, String> {
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let year = |year: &str| format!("standing(>= {year})");
    if let Some(w) = words(" on {} from {} to {}", rest) {
        return Ok(json!({ "meetings": [{
            "weekdays": [w[0]], "starts_at": w[1], "ends_at": w[2],
            "first_day": "2027-02-01", "last_day": "2027-06-30",
        }] }));
    }
    if let Some(w) = words(" for year {} and above", rest) {
        return Ok(json!({ "restrictions": [year(w[0])] }));
    }
    if let Some(w) = words(" of which {} {} kept for year {} and above", rest) {
        let pool = json!({ "population": year(w[2]), "seats": number(w[0])?, "priority": 1 });
        return Ok(json!({ "pools": [pool] }));
    }
    match rest {
        "" => Ok(json!({})),
        " that the teacher lets students into" => Ok(json!({ "permission_required": true })),
        " that the head of department approves" => Ok(json!({ "approval_required": true })),
        " and a line that offers" => {
            Ok(json!({ "waitlist": { "mode": "confirmation", "capacity": 5 } }))
        }
        " and a line that registers" => {
            Ok(json!({ "waitlist": { "mode": "automatic", "capacity": 5 } }))
        }
        _ => Err(format!("nobody knows sections{rest}")),
    }
}

#[test]
fn every_scenario_file_is_carried_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = files
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, FEATURES.map(|name| format!("{name}.feature")), "each has a test above");
}

#[test]
fn no_step_is_known_that_nobody_takes() {
    let features = FEATURES.map(read);
    let steps = features.iter().flat_map(|feature| {
        let background = feature.background.iter().flat_map(|background| &background.steps);
        background.chain(feature.scenarios.iter().flat_map(|scenario| &scenario.steps))
    });
    let taken: Vec<&str> = steps
        .filter_map(|step| STEPS.iter().find(|(pattern, _)| words(pattern, &step.value).is_some()))
        .map(|(pattern, _)| *pattern)
        .collect();
    for (pattern, _) in &STEPS {
        assert!(taken.contains(pattern), "{pattern}");
    }
}
