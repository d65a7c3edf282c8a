//! What there must be before operations can be measured: made by real operations, as much of it as there will be calls.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use events::{
    ChargeableRegistration, Event, LinkPurpose, OfferedCourse, PersonRegistered, SectionOffered,
    WaitlistMode, WaitlistSettings,
};
use kernel::{
    AccountId, ApprovalId, BundleId, CourseId, Id, PersonId, RegistrationId, SourceId, TermId,
    Timestamp,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shell::Caller;
use testkit::{
    MoodleSite, MoodleSiteSettings, PaymentProvider, PaymentProviderSettings, secret_not_put,
};

use crate::engine_process::table_at;
use crate::failure::{Explain, Failure};
use crate::function::{
    Functions, PAYMENT_PROVIDER_SECRET, PAYMENT_WEBHOOK_SECRET, VERIFICATION_SECRET,
};
use crate::offering::{deliver, section};
use crate::requests::{Request, bursar, carried_out, person, registrar, step, student, student_id};

pub const DEPARTMENT: &str = "MATH";
const PRICE_GROUP: &str = "standard";
pub const PASSWORD: &str = "a long walk along the Sanaga";
pub const NEW_PASSWORD: &str = "a longer walk along the Wouri";
/// Whose accounts come from where: what their addresses begin with.
pub const SELF_REGISTERED: &str = "amina";
pub const INVITED: &str = "ngono";
/// Rows that an import step takes at once.
const ROWS_MAX: usize = 100;
const SEATS: u32 = 100_000;

/// Ids of what was made; what belongs to a context that is not measured stays empty.
pub struct World {
    /// Of each operation.
    pub calls: usize,
    pub people: Vec<PersonId>,
    pub term: String,
    pub course: String,
    pub confirmed: Vec<Held>,
    pub waiting: Vec<Held>,
    pub parked: Vec<Held>,
    pub invoices: Vec<String>,
    pub payment_provider: PaymentProvider,
    pub moodle: MoodleSite,
    /// Bodies of replies, by the operation's label and the call's number.
    made: HashMap<&'static str, Vec<Value>>,
    /// What was published last of each account, by the event's name.
    heard: HashMap<(String, AccountId), Value>,
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
    pub async fn new(calls: usize) -> Self {
        let payment_provider = PaymentProvider::start(PaymentProviderSettings {
            api_key: secret_not_put(PAYMENT_PROVIDER_SECRET),
            ..PaymentProviderSettings::default()
        });
        let moodle = MoodleSite::start(MoodleSiteSettings {
            // Of whichever site.
            token: String::new(),
            ..MoodleSiteSettings::default()
        });
        Self {
            calls,
            people: Vec::new(),
            term: String::new(),
            course: String::new(),
            confirmed: Vec::new(),
            waiting: Vec::new(),
            parked: Vec::new(),
            invoices: Vec::new(),
            payment_provider: payment_provider.await,
            moodle: moodle.await,
            made: HashMap::new(),
            heard: HashMap::new(),
        }
    }

    pub async fn prepare(
        &mut self,
        functions: &mut Functions<'_>,
        contexts: &[String],
    ) -> Result<(), Failure> {
        let calls = self.calls;
        for context in contexts {
            match context.as_str() {
                "identity" => self.import_people(functions, calls).await?,
                "catalog" => self.make_catalog(functions, calls).await?,
                "enrollment" => self.hold_seats(functions, calls).await?,
                "billing" => self.charge(functions, calls).await?,
                "moodle" => meet_people(functions, calls).await?,
                "notifications" => notify(functions, calls).await?,
                _ => {}
            }
        }
        Ok(())
    }

    pub fn keep(&mut self, label: &'static str, reply: Value) {
        self.made.entry(label).or_default().push(reply);
    }

    /// Takes note of the codes and links that would have been mailed by now.
    pub async fn hear(&mut self, engine_url: &str) {
        for envelope in testkit::published(&table_at(engine_url, "identity")).await {
            if let Ok(account) = serde_json::from_value(envelope.data["account"].clone()) {
                self.heard.insert((envelope.name, account), envelope.data);
            }
        }
    }

    pub fn text(&self, label: &str, number: usize, field: &str) -> String {
        let reply = &self.made[label][number];
        reply[field].as_str().unwrap_or_else(|| panic!("no {field} in {reply}")).to_owned()
    }

    pub fn id(&self, label: &str, number: usize) -> String {
        self.text(label, number, "id")
    }

    pub fn version(&self, label: &str, number: usize) -> u64 {
        self.made[label][number]["version"].as_u64().expect("a version")
    }

    /// Whoever has logged in by this call, in the session that began then.
    pub fn logged_in(&self, label: &str, number: usize) -> Caller {
        let token = self.text(label, number, "access_token");
        let claims = token.split('.').nth(1).expect("a token has three parts");
        let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).expect("claims are in base 64");
        let claims: Value = serde_json::from_slice(&claims).expect("claims are JSON");
        let person = person(parsed(&self.made[label][number]["person"]));
        Caller { session: parsed(&claims["sid"]), ..person }
    }

    /// Whose account a call has made, and what stands in this field of an event that told of it.
    fn told(&self, label: &str, number: usize, event: &str, field: &str) -> (AccountId, Timestamp) {
        let account = parsed(&self.made[label][number]["account"]);
        (account, parsed(&self.heard[&(event.to_owned(), account)][field]))
    }

    pub fn verification_code(&self, number: usize) -> String {
        const ASKED: &str = "identity.email-verification.requested";
        let (account, at) = self.told("register-account", number, ASKED, "requested_at");
        events::verification_code(secret_not_put(VERIFICATION_SECRET).as_bytes(), account, at)
    }

    pub fn invitation(&self, number: usize) -> String {
        let sent = self.told("invite-person", number, "identity.invitation.sent", "invited_at");
        link(LinkPurpose::AcceptInvitation, sent)
    }

    pub fn password_reset(&self, number: usize) -> String {
        const ASKED: &str = "identity.password-reset.requested";
        let asked = self.told("invite-person", number, ASKED, "requested_at");
        link(LinkPurpose::ResetPassword, asked)
    }

    /// In the address of a student's calendar.
    pub fn feed_secret(&self, number: usize) -> String {
        let address = self.text("issue-schedule-feed", number, "address");
        address.rsplit('/').nth(1).expect("it stands before the file's name").to_owned()
    }

    pub fn service_client(&self, number: usize) -> String {
        let made = &self.made["create-service-client"][number];
        made["client"]["id"].as_str().expect("a client has an id").to_owned()
    }

    /// The form by which a service client gets a token.
    pub fn client_grant(&self, number: usize) -> String {
        let (id, secret) =
            (self.service_client(number), self.text("create-service-client", number, "secret"));
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")
    }

    /// As an app shows it now (RFC 6238).
    pub fn one_time_password(&self, number: usize) -> String {
        const STEP_S: i64 = 30;
        let seed = self.text("enroll-second-factor", number, "seed");
        let seed = BASE32_NOPAD.decode(seed.as_bytes()).expect("a seed is in base 32");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &seed);
        let tag = hmac::sign(&key, &(shell::now().as_second() / STEP_S).to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 0xf);
        let bytes = tag.as_ref()[at..at + 4].try_into().expect("four bytes");
        format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000)
    }

    /// The provider tells that a payment which was started has succeeded.
    pub fn webhook(&self, number: usize) -> Request {
        let payment = self.id("start-payment", number);
        let intents = self.payment_provider.intents();
        let intent = intents.iter().find(|intent| intent["metadata"]["payment"] == *payment);
        let body = testkit::webhook_body(intent.expect("the provider knows the payment"));
        let now_s = shell::now().as_second();
        let signature =
            testkit::webhook_signature(&secret_not_put(PAYMENT_WEBHOOK_SECRET), now_s, &body);
        Request::post_text(body).header("stripe-signature", &signature)
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
        Ok(())
    }

    /// Three kinds of bundles, each by students of their own: confirmed, waiting for approval, parked.
    async fn hold_seats(
        &mut self,
        functions: &mut Functions<'_>,
        calls: usize,
    ) -> Result<(), Failure> {
        let open = offered();
        let guarded = SectionOffered { approval_required: true, ..section("guarded", SEATS) };
        for event in [open.clone(), guarded.clone(), waitlisted()] {
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
        Ok(())
    }

    async fn charge(&mut self, functions: &mut Functions<'_>, calls: usize) -> Result<(), Failure> {
        let price = json!({ "per_credit": francs(5_000) });
        let price =
            Request::put(price).header("if-match", &"\"0\"").at("price_group", &PRICE_GROUP);
        let price = price.by(bursar()).event();
        carried_out(&functions.invoke("billing", "set-price-group", price).await?)?;
        let offered = offered();
        deliver(functions, "billing", "on-section-offered", offered.clone()).await?;
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

async fn meet_people(functions: &mut Functions<'_>, calls: usize) -> Result<(), Failure> {
    for number in 0..calls {
        let person = student_id(number);
        let registered = PersonRegistered { person, ..PersonRegistered::example() };
        deliver(functions, "moodle", "on-person-changed", registered).await?;
    }
    deliver(functions, "moodle", "on-section-offered", offered()).await
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

pub fn cart(offered: &SectionOffered) -> Value {
    json!({ "term": offered.term.id, "sections": [offered.section] })
}

fn source(number: usize) -> SourceId {
    SourceId(format!("person-{number}"))
}

fn text(value: &Value) -> Result<String, Failure> {
    value.as_str().map(str::to_owned).explain("a reply lacks an id")
}

fn parsed<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn link(purpose: LinkPurpose, (account, asked_at): (AccountId, Timestamp)) -> String {
    let secret = secret_not_put(VERIFICATION_SECRET);
    events::link_token(secret.as_bytes(), purpose, account, asked_at)
}

/// The section that has seats for everybody.
pub fn offered() -> SectionOffered {
    section("open", SEATS)
}

/// A section without a seat, and with a line behind it.
pub fn waitlisted() -> SectionOffered {
    let waitlist = WaitlistSettings {
        mode: WaitlistMode::Confirmation,
        capacity: SEATS,
        ..WaitlistSettings::default()
    };
    let full = section("waitlisted", 0);
    let course = OfferedCourse { id: CourseId::derived_from("waitlisted"), ..full.course.clone() };
    SectionOffered { waitlist, course, ..full }
}

pub fn francs(minor: u64) -> Value {
    json!({ "minor": minor, "currency": "XAF" })
}

fn address(origin: &str, number: usize) -> String {
    format!("{origin}{number}@matricula.example")
}

/// Somebody who gets an account; without a password they are invited.
pub fn newcomer(origin: &str, number: usize, password: Option<&str>) -> Value {
    let mut newcomer = json!({
        "email": address(origin, number), "name": { "given": "Amina", "family": "Ngono" },
    });
    if let Some(password) = password {
        newcomer["password"] = password.into();
    }
    newcomer
}

pub fn credentials(origin: &str, number: usize, password: &str) -> Value {
    json!({ "login": address(origin, number), "password": password })
}

pub fn term_id(number: usize) -> TermId {
    TermId::derived_from(&number.to_string())
}

pub fn tuition() -> Value {
    let rule = json!({ "kind": "per_credit", "amount": francs(5_000) });
    json!({ "groups": [{ "name": "everybody", "priority": 1, "rule": rule }] })
}

/// Of the term of charges by hand.
pub fn plan_offer(number: usize) -> Value {
    let instalments = json!([{ "due": "2098-12-01" }, { "due": "2099-01-30" }]);
    json!({
        "name": format!("In two parts {number}"), "term_code": "2027S", "instalments": instalments,
        "is_for_students": false,
    })
}

/// Of a sponsor who pays half of everything.
pub fn sponsor_terms() -> Value {
    json!({
        "sponsor": "A foundation", "currency": "XAF", "first_day": "2000-01-01",
        "last_day": "2099-12-31", "payment_terms_days": 30,
        "rules": [{ "pays": { "kind": "share", "basis_points": 5_000 } }],
    })
}

/// Posting periods long before anything was booked.
pub fn month(number: usize) -> String {
    format!("{:04}-{:02}", 1_000 + number / 12, 1 + number % 12)
}

pub fn service_client(number: usize) -> Value {
    let tomorrow = shell::now().as_second() + 24 * 60 * 60;
    let tomorrow = Timestamp::from_second(tomorrow).expect("a time in our century");
    json!({ "name": format!("System {number}"), "scopes": ["catalog:read"], "expires_at": tomorrow })
}

pub fn sign_in_provider(code: &str) -> Value {
    json!({
        "title": "University", "issuer": "https://idp.example", "client_id": "matricula",
        "external_id": { "claim": "sub", "system": format!("idp:{code}"), "kind": "id" },
        "email_domains": ["matricula.example"], "is_active": true,
    })
}

pub fn moodle_site(url: &str, number: usize) -> Value {
    json!({
        "title": format!("Site {number}"), "url": url, "token_secret": format!("site-{number}"), "is_active": true,
        "people": ["student"], "courses": { "kind": "all" }, "roles": { "student": 5 },
        "naming": {
            "username": "{email}", "course_full_name": "{course_title} ({term_code})",
            "course_short_name": "{section_code}-{term_code}", "categories": ["{department}"],
        },
        "cohorts": ["balance"], "auth": "manual",
    })
}

pub fn term(number: usize) -> Value {
    json!({
        "code": format!("T{number}"), "title": "Spring", "first_day": "2027-02-01",
        "last_day": "2027-06-30", "registration_opens_at": "2027-01-04T08:00:00Z",
        "registration_closes_at": "2027-02-12T22:59:59Z",
    })
}

pub fn planned_term(number: usize) -> Value {
    let mut term = term(number);
    term["state"] = "draft".into();
    term
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

/// A section that is one component of its course.
pub fn part(term: &str, course: &str, component: &str, number: usize) -> Value {
    let mut section = section_of(term, course, number);
    section["code"] = format!("{component}-{number}").to_uppercase().into();
    section["component"] = component.into();
    section
}
