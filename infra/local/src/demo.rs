//! The demo: what one sees of Matricula in its first minutes, told step by step through the API.
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Api;
use crate::cloud::Cloud;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::narration;
use crate::processes::output;

/// Somebody the reader can log in as.
pub struct Account {
    pub role: &'static str,
    pub email: &'static str,
    pub password: &'static str,
}

const PASSWORD: &str = "a-demo-pass-phrase";

pub const ACCOUNTS: &[Account] = &[
    Account { role: "administrator", email: "administrator@matricula.example", password: PASSWORD },
    Account { role: "registrar", email: "registrar@matricula.example", password: PASSWORD },
    Account { role: "bursar", email: "bursar@matricula.example", password: PASSWORD },
    Account { role: "head_of_department", email: "head@matricula.example", password: PASSWORD },
];

const MAIL_MAX: Duration = Duration::from_secs(30);
const SAGA_MAX: Duration = Duration::from_mins(2);
const IMPORT_MAX: Duration = Duration::from_mins(10);
const PRICE_PER_CREDIT_XAF: i64 = 5_000;

/// Safe to run again on the same cloud: it finds its accounts, and the import changes nothing.
pub fn run(cloud: &Cloud, university: &Path, work: &Path) -> Result<(), Failure> {
    let api = Api::of(cloud)?;
    api.get("/readyz")?.expect_status(200)?.tell("the API is there", "GET /readyz");
    let staff = staff(cloud, &api)?;
    let price = json!({ "per_credit": { "minor": PRICE_PER_CREDIT_XAF, "currency": "XAF" } });
    let prices = staff.bursar.put("/price-groups/standard", &price)?.expect_status(200)?;
    prices.tell("the bursar sets a price", "5,000 XAF a credit in price group standard");
    narration::heading("A university from a OneRoster 1.2 file");
    let file = work.join("university.zip");
    let student = generate(university, &file)?;
    let credentials = json!({ "login": student.email, "password": PASSWORD });
    if api.post("/sessions", &credentials)?.status == 200 {
        narration::told("it is there already", "imported by an earlier run", Duration::ZERO);
    } else {
        import(&staff.registrar, &file)?;
    }
    register(&api, &staff, &student)
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
    let held = reply.body["bundles"].as_array().into_iter().flatten();
                let codes = held.filter_map(|b| b["registrations"][0]["section_code"].as_str());
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
        .and_then(|bundle| bundle["approval"].as_str());
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
