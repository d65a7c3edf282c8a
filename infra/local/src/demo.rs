//! The demo: what one sees of Matricula in its first minutes, told step by step through the API.
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, Reply};
use crate::cloud::Cloud;
use crate::failure::{CHECK_FILES, Failure};
use crate::imports::Import;
use crate::narration;
use crate::processes::output;

/// Somebody the reader can log in as.
pub struct Account {
    pub role: &'static str,
    pub email: &'static str,
}

/// Everybody's.
pub const PASSWORD: &str = "a-demo-pass-phrase";

pub const ACCOUNTS: &[Account] = &[
    Account { role: "administrator", email: "administrator@matricula.example" },
    Account { role: "registrar", email: "registrar@matricula.example" },
    Account { role: "bursar", email: "bursar@matricula.example" },
    Account { role: "head_of_department", email: "head@matricula.example" },
];

/// A busy machine works off what an import has told for minutes.
const MAIL_MAX: Duration = Duration::from_mins(5);
const SAGA_MAX: Duration = Duration::from_mins(5);
const PRICE_PER_CREDIT_XAF: i64 = 5_000;

/// Safe to run again on the same cloud: it finds its accounts, and the import changes nothing. Answers the address of the
/// student whom it follows.
pub fn run(cloud: &Cloud, university: &Path, work: &Path) -> Result<String, Failure> {
    let api = Api::of(cloud)?;
    api.get("/readyz")?.expect_status(200)?.tell("the API is there", "GET /readyz");
    let staff = staff(cloud, &api)?;
    let prices = set_price(&staff.bursar)?;
    prices.tell("the bursar sets a price", "5,000 XAF a credit in price group standard");
    narration::heading("A university from a OneRoster 1.2 file");
    let file = work.join("university.zip");
    let student = generate(university, &file)?;
    if session(&api, &student.email)?.is_some() {
        narration::told("it is there already", "imported by an earlier run", Duration::ZERO);
    } else {
        let import = Import::begin(&staff.registrar, &file)?;
        let checked = import.check()?;
        if checked.body["state"] != "validated" {
            return Err(import.not_valid(&checked));
        }
        import.approve()?;
    }
    register(&api, &staff, &student)?;
    Ok(student.email)
}

/// The registrar, who is made where the demo has not run.
pub fn registrar<'a>(cloud: &Cloud, api: &Api<'a>) -> Result<Api<'a>, Failure> {
    let account = ACCOUNTS.iter().find(|account| account.role == "registrar");
    match account.map(|account| session(api, account.email)).transpose()?.flatten() {
        Some(registrar) => Ok(registrar),
        None => Ok(staff(cloud, api)?.registrar),
    }
}

fn set_price(bursar: &Api) -> Result<Reply, Failure> {
    const CODE: &str = "standard";
    let known = bursar.get("/price-groups?limit=100")?.expect_status(200)?.body;
    let mut groups = known["items"].as_array().into_iter().flatten();
    let standing = groups.find(|group| group["code"] == CODE);
    let version = standing.and_then(|group| group["version"].as_u64()).unwrap_or_default();
    let price = json!({ "per_credit": { "minor": PRICE_PER_CREDIT_XAF, "currency": "XAF" } });
    bursar.replace(&format!("/price-groups/{CODE}"), version, &price)?.expect_status(200)
}

struct Staff<'a> {
    registrar: Api<'a>,
    bursar: Api<'a>,
    head_email: &'static str,
    administrator: Api<'a>,
}

fn staff<'a>(cloud: &Cloud, api: &Api<'a>) -> Result<Staff<'a>, Failure> {
    narration::heading("People");
    let [administrator, registrar, bursar, head] = ACCOUNTS else {
        return Err(Failure::new("the demo's accounts are not the four it knows", CHECK_FILES));
    };
    for account in ACCOUNTS {
        log_in(api, account.email, "Demo", account.role)?;
    }
    let event = json!({ "email": administrator.email }).to_string();
    cloud.endpoint.invoke("identity-bootstrap-administrator", event)?;
    narration::told(
        "an operator makes the first administrator",
        administrator.email,
        Duration::ZERO,
    );
    let administrator = log_in(api, administrator.email, "Demo", administrator.role)?;
    for account in [registrar, bursar] {
        assign(&administrator, account, None)?;
    }
    Ok(Staff {
        registrar: log_in(api, registrar.email, "Demo", registrar.role)?,
        bursar: log_in(api, bursar.email, "Demo", bursar.role)?,
        head_email: head.email,
        administrator,
    })
}

fn assign(
    administrator: &Api<'_>,
    account: &Account,
    department: Option<&str>,
) -> Result<(), Failure> {
    let mut body = json!({ "email": account.email, "role": account.role });
    if let Some(department) = department {
        body["department"] = department.into();
    }
    let reply = administrator.post("/role-assignments", &body)?.expect_status(201)?;
    let detail = format!("{} {}", account.email, department.unwrap_or_default());
    reply.tell(&format!("{} is appointed", account.role), detail.trim());
    Ok(())
}

/// The API as this person uses it, who may have no account yet.
fn session<'a>(api: &Api<'a>, email: &str) -> Result<Option<Api<'a>>, Failure> {
    let reply = api.post("/sessions", &json!({ "login": email, "password": PASSWORD }))?;
    if reply.status != 200 {
        return Ok(None);
    }
    Ok(Some(api.with_token(reply.text("/access_token")?)))
}

/// The API as this person uses it; who has no account yet registers, and proves the address by mail.
fn log_in<'a>(api: &Api<'a>, email: &str, given: &str, family: &str) -> Result<Api<'a>, Failure> {
    if let Some(there) = session(api, email)? {
        return Ok(there);
    }
    let name = json!({ "given": given, "family": family });
    let account = json!({ "email": email, "password": PASSWORD, "name": name, "locale": "en" });
    let sent_before = api.mails_sent()?;
    let registered = api.post("/accounts", &account)?.expect_status(201)?;
    let account = registered.text("/account")?.to_owned();
    let mail = api.wait_for_mail(email, "Confirm", sent_before, MAIL_MAX)?;
    let code = code_in(&mail.text)?;
    let verification = format!("/accounts/{account}/verification");
    api.post(&verification, &json!({ "code": code }))?.expect_status(200)?;
    registered.tell("registered, verified by mail", email);
    session(api, email)?.ok_or_else(|| {
        Failure::new(
            format!("{email} cannot log in"),
            "Look into `cargo matricula logs identity-log-in`.",
        )
    })
}

/// The eight digits in a verification mail.
fn code_in(text: &str) -> Result<String, Failure> {
    let is_code = |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
    let code = text.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code);
    let missing =
        || Failure::new("the verification mail holds no code", "Look into notifications.");
    code.map(str::to_owned).ok_or_else(missing)
}

/// A student of the imported university whom the demo follows.
struct Student {
    email: String,
    given: String,
    family: String,
}

/// Runs the generator; it names a student whom one can follow.
fn generate(university: &Path, file: &Path) -> Result<Student, Failure> {
    let file = file.to_string_lossy();
    let arguments = ["--seed", "7", "--students", "2000", "--sections", "150", "--out", &file];
    let said = output(&university.to_string_lossy(), &arguments).unwrap_or_default();
    let said: Value = serde_json::from_str(said.trim()).unwrap_or_default();
    let text = |name: &str| said["student"][name].as_str().map(str::to_owned);
    match (text("email"), text("given_name"), text("family_name")) {
        (Some(email), Some(given), Some(family)) => Ok(Student { email, given, family }),
        _ => {
            Err(Failure::new("the university was not generated", "Run `cargo matricula up` again."))
        }
    }
}

/// The main job: register, be billed, pay, be enrolled, be told.
fn register(api: &Api<'_>, staff: &Staff<'_>, student: &Student) -> Result<(), Failure> {
    narration::heading("A student registers, is billed, pays, is enrolled and is told");
    let api = &log_in(api, &student.email, &student.given, &student.family)?;
    let me = api.get("/me")?.expect_status(200)?;
    let number = me.body["student_number"].as_str().unwrap_or("none").to_owned();
    me.tell("the student is the one of the import", &format!("student number {number}"));
    let terms = api.get("/terms")?.expect_status(200)?;
    let Some(term) = open_term(&terms.body) else {
        return Err(Failure::new(
            "no term is open for registration",
            "Import one whose window is open.",
        ));
    };
    let sent_before = api.mails_sent()?;
    let Some((submitted, department)) = submit(api, &term)? else {
        narration::told(
            "nothing is left to register for",
            "the student has it all",
            Duration::ZERO,
        );
        return Ok(());
    };
    let submission = format!("/submissions/{}", submitted.text("/id")?);
    if let Some(department) = department {
        approve(staff, &department, &submission, api)?;
    }
    let bundles = submitted.body["bundles"].as_array().map_or(0, Vec::len);
    for bundle in 0..bundles {
        pay(api, &submission, bundle)?;
    }
    let mail = api.wait_for_mail(&student.email, "is confirmed", sent_before, MAIL_MAX)?;
    narration::told(
        "the student is told",
        &format!("mail to {}: {}", student.email, mail.subject),
        Duration::ZERO,
    );
    Ok(())
}

/// A term whose registration window is open now.
fn open_term(terms: &Value) -> Option<String> {
    let now = output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])?;
    let items = terms["items"].as_array()?;
    let is_open = |term: &&Value| {
        let at = |name: &str| term[name].as_str().unwrap_or_default().to_owned();
        at("registration_opens_at") <= now && now <= at("registration_closes_at")
    };
    items.iter().find(is_open)?["id"].as_str().map(str::to_owned)
}

/// Submits a section that needs approval and one that does not; those of the first page that go through.
fn submit(api: &Api<'_>, term: &str) -> Result<Option<(Reply, Option<String>)>, Failure> {
    let sections = api.get(&format!("/sections?term={term}&limit=100"))?.expect_status(200)?;
    let items = sections.body["items"].as_array().cloned().unwrap_or_default();
    let of_kind = |approval: bool| {
        items.iter().filter(move |section| section["approval_required"] == approval)
    };
    for with_approval in of_kind(true).take(5) {
        for without in of_kind(false).take(20) {
            let body = json!({ "term": term, "sections": [with_approval["id"], without["id"]] });
            let reply = api.post("/submissions", &body)?;
            if reply.status == 201 {
                let held = reply.body["bundles"].as_array().into_iter().flatten();
                let codes = held.filter_map(|one| one["registrations"][0]["section_code"].as_str());
                let codes = codes.collect::<Vec<_>>().join(" and ");
                let detail = format!("{} holds seats in {codes}", reply.text("/id")?);
                let course = api.get(&format!(
                    "/courses/{}",
                    with_approval["course"].as_str().unwrap_or_default()
                ))?;
                let department = course.body["department"].as_str().map(str::to_owned);
                let waits = reply.body["bundles"].as_array().is_some_and(|bundles| {
                    bundles
                        .iter()
                        .any(|bundle| bundle["registrations"][0]["section"] == with_approval["id"])
                });
                return Ok(Some((
                    reply.tell("a cart of two sections is submitted", &detail),
                    department.filter(|_| waits),
                )));
            }
            reply.expect_status(409)?;
        }
    }
    Ok(None)
}

fn approve(
    staff: &Staff<'_>,
    department: &str,
    submission: &str,
    student: &Api<'_>,
) -> Result<(), Failure> {
    let Some(head) = ACCOUNTS.iter().find(|account| account.email == staff.head_email) else {
        return Ok(());
    };
    assign(&staff.administrator, head, Some(department))?;
    let waiting = |bundle: &Value| bundle["state"] == "awaiting_approval";
    let any_waits =
        |body: &Value| body["bundles"].as_array().is_some_and(|all| all.iter().any(waiting));
    let progress = student.wait_for(submission, SAGA_MAX, any_waits)?;
    let bundles = progress.body["bundles"].as_array().cloned().unwrap_or_default();
    let approval = bundles
        .iter()
        .find(|bundle| waiting(bundle))
        .and_then(|bundle| bundle["approvals"][0].as_str());
    let approval = approval.unwrap_or_default().to_owned();
    progress.tell("one waits for the head of department", &approval);
    let head = log_in(student, head.email, "Demo", head.role)?;
    let decision =
        head.post(&format!("/approvals/{approval}/decision"), &json!({ "decision": "approve" }))?;
    decision.expect_status(200)?.tell("the head of department approves", department);
    Ok(())
}

/// Pays the invoice of one bundle and waits until its registrations stand.
fn pay(api: &Api<'_>, submission: &str, bundle: usize) -> Result<(), Failure> {
    let began = Instant::now();
    let state =
        |body: &Value| body["bundles"][bundle]["state"].as_str().unwrap_or_default().to_owned();
    let billed = api.wait_for(submission, SAGA_MAX, |body| {
        matches!(state(body).as_str(), "awaiting_payment" | "confirmed" | "released")
    })?;
    let invoice_id = billed.text(&format!("/bundles/{bundle}/invoice"))?.to_owned();
    let invoice = api.get(&format!("/invoices/{invoice_id}"))?.expect_status(200)?;
    let number = invoice.text("/number")?.to_owned();
    let open = format!("{} {}", invoice.body["open"]["minor"], invoice.text("/open/currency")?);
    if invoice.body["open"]["minor"] != 0 {
        invoice.tell("the invoice is there", &format!("{number}, open: {open}"));
        let payment = json!({ "invoice": invoice_id, "payment_method": "pm_card_visa" });
        let payment = api.post("/payments", &payment)?.expect_status(201)?;
        let detail = format!("{} by card, {}", payment.text("/id")?, payment.text("/status")?);
        payment.tell("the student pays", &detail);
    }
    let confirmed = api.wait_for(submission, SAGA_MAX, |body| {
        matches!(state(body).as_str(), "confirmed" | "released")
    })?;
    if state(&confirmed.body) != "confirmed" {
        let what = format!("the registration was undone: {:#}", confirmed.body["bundles"][bundle]);
        return Err(Failure::new(what, "Look into `cargo matricula logs billing-charge`."));
    }
    let section =
        confirmed.text(&format!("/bundles/{bundle}/registrations/0/section_code"))?.to_owned();
    narration::told("registered", &section, began.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_among_other_words_and_numbers() {
        let mail = "Enter 2027 this code:\n\n    01234567\n\nhttp://127.0.0.1:4566/x";
        assert_eq!(code_in(mail).ok().as_deref(), Some("01234567"));
        assert!(code_in("no code here 123").is_err());
    }

    #[test]
    fn only_a_term_whose_window_is_open_is_taken() {
        let term = |id: &str, opens: &str, closes: &str| json!({ "id": id, "registration_opens_at": opens, "registration_closes_at": closes });
        let past = term("past", "2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z");
        let open = term("open", "2020-01-01T00:00:00Z", "2999-02-01T00:00:00Z");
        assert_eq!(open_term(&json!({ "items": [past, open] })).as_deref(), Some("open"));
    }
}
