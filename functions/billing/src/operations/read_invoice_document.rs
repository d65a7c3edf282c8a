//! An invoice on paper: what was issued, which never changes, and below it how it stands. Asked for twice, it is the
//! same file as long as nothing was paid or credited in between.

use kernel::{InvoiceId, Locale, Money};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Document, Failure, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Institution, Invoice, Names, Refusal};
use crate::paper::{Column, Paper, Sum, Table, Wording};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-invoice-document",
    "/invoices/{invoice}/document",
    OWN_OR_STAFF,
    "Read an invoice as a PDF",
)
.document("application/pdf");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub invoice: InvoiceId,
    /// That of the request unless given.
    pub language: Option<Locale>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Document, Failure> {
    let invoice_key = store::invoice_key(call.command.invoice);
    let own_key = store::names_key(call.person());
    let keys = vec![(&invoice_key).into(), (&own_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    let invoice = batch
        .take(&invoice_key)?
        .filter(|invoice| call.may_touch(invoice.value.document().student, &[]))
        .ok_or(Refusal::InvoiceUnknown)?
        .value;
    let student = invoice.document().student;
    let names = if student == call.person() {
        batch.take(&own_key)?
    } else {
        ctx.table.get(&store::names_key(student)).await?
    };
    let locale = call.command.language.unwrap_or(call.locale);
    let names = names.map(|names| names.value);
    let paper = paper(&invoice, names.as_ref(), ctx.institution(), locale);
    let file_name = format!("{}.pdf", invoice.document().number);
    Ok(Document { file_name, content: paper.pdf() })
}

fn paper(
    invoice: &Invoice,
    names: Option<&Names>,
    institution: &Institution,
    locale: Locale,
) -> Paper {
    let words = Wording::of(locale);
    let document = invoice.document();
    let name = names.and_then(|names| names.at(document.issued_at)).map(kernel::PersonName::full);
    let student = words.say_with("STUDENT", &[("student", document.student.to_string())]);
    Paper {
        locale,
        issuer: institution.legal_entity.clone(),
        title: words.say_with("INVOICE", &[("number", document.number.clone())]),
        dated: document.issued_at,
        addressee: name.into_iter().chain([student]).collect(),
        facts: vec![
            (words.say("ISSUED"), words.date(institution.date(document.issued_at))),
            (words.say("DUE"), words.date(document.due)),
            (words.say("TERM"), document.term_code.clone()),
        ],
        tables: vec![issued(invoice, words), standing(invoice, words)],
    }
}

fn issued(invoice: &Invoice, words: Wording) -> Table {
    let document = invoice.document();
    let currency = vec![("currency", document.total.currency.to_string())];
    let rows = document.lines.iter().map(|line| {
        vec![
            line.description.clone(),
            line.code.0.clone(),
            words.quantity(line.quantity_hundredths),
            words.digits(line.unit_price),
            words.digits(line.amount),
        ]
    });
    Table {
        heading: None,
        columns: vec![
            Column::text(words.say("DESCRIPTION"), 380),
            Column::text(words.say("CODE"), 180),
            Column::amount(words.say("QUANTITY"), 100),
            Column::amount(words.say("UNIT_PRICE"), 165),
            Column::amount(words.say_with("AMOUNT", &currency), 175),
        ],
        rows: rows.collect(),
        sums: vec![last(words.say("TOTAL"), words.amount(document.total))],
    }
}

/// What was paid, given up and credited of it, each credit note by its number, and what is open.
fn standing(invoice: &Invoice, words: Wording) -> Table {
    let total = invoice.document().total;
    let money = |minor| Money::new(minor, total.currency);
    let written_off = invoice.written_off().minor;
    let mut taken = vec![
        (words.say("PAID"), invoice.paid().minor - written_off),
        (words.say("WRITTEN_OFF"), written_off),
    ];
    taken.retain(|(_, minor)| *minor != 0);
    for credit in invoice.credits() {
        let number = ("number", credit.credit_note_number.clone());
        let name = words.say_with("CREDIT_NOTE", &[number]);
        match taken.iter_mut().find(|(known, _)| *known == name) {
            Some((_, minor)) => *minor += credit.amount.minor,
            None => taken.push((name, credit.amount.minor)),
        }
    }
    let total_row = (words.say("TOTAL"), words.digits(total));
    let taken = taken.into_iter().map(|(name, minor)| (name, words.digits(money(-minor))));
    let rows = std::iter::once(total_row).chain(taken);
    let currency = [("currency", total.currency.to_string())];
    Table {
        heading: Some(words.say("HOW_IT_STANDS")),
        columns: vec![
            Column::text(words.say("DOCUMENT"), 700),
            Column::amount(words.say_with("AMOUNT", &currency), 300),
        ],
        rows: rows.map(|(name, amount)| vec![name, amount]).collect(),
        sums: vec![last(words.say("OPEN"), words.amount(invoice.open()))],
    }
}

fn last(name: String, amount: String) -> Sum {
    Sum { name, amount, is_last: true }
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonRegistered};
    use kernel::{Id, PersonName, RegistrationId};
    use proptest::prelude::*;
    use serde_json::json;
    use shell::Scope;
    use tokio::time::{Duration, Instant};

    use super::super::{on_person_changed, reverse_charge};
    use super::*;
    use crate::domain::{ChargeCode, InvoiceDocument, InvoiceLine};
    use crate::fixtures::{bundle, charge, code, ctx, give};
    use crate::paper::pages_of;

    async fn name_ada(ctx: &Ctx, given: &str, family: &str) {
        let name = PersonName { given: given.into(), family: family.into() };
        let person = testkit::person("ada");
        let event = PersonRegistered { person, name, ..PersonRegistered::example() };
        let delivery = testkit::delivery("on-person-changed", event);
        on_person_changed::handle(ctx, &delivery).await.expect("taken in");
    }

    fn command(invoice: InvoiceId) -> Command {
        Command { invoice, language: None }
    }

    async fn read(ctx: &Ctx, invoice: InvoiceId) -> Document {
        handle(ctx, &testkit::call(command(invoice))).await.expect("reads")
    }

    /// An invoice of so many lines, of a franc more each.
    fn long(lines: i64, currency: &str) -> Invoice {
        let money = |minor| Money::new(minor, currency.parse().expect("a currency"));
        let line = |minor: i64| InvoiceLine {
            code: ChargeCode::tuition(),
            description: format!("MATH{minor} Analyse numérique"),
            registration: Some(RegistrationId::derived_from(&minor.to_string())),
            term_code: "2027S".into(),
            quantity_hundredths: 450,
            unit_price: money(minor),
            amount: money(minor),
        };
        Invoice::issue(InvoiceDocument {
            id: InvoiceId::derived_from("long"),
            number: "MAT-2027-000001".into(),
            student: testkit::person("ada"),
            charge: None,
            bundle: None,
            repriced: Vec::new(),
            term_code: "2027S".into(),
            issued_at: testkit::now(),
            due: "2027-01-22".parse().expect("a date"),
            lines: (1..=lines).map(line).collect(),
            total: money(lines * (lines + 1) / 2),
        })
    }

    fn printed(invoice: &Invoice, locale: Locale) -> Vec<String> {
        pages_of(&paper(invoice, None, &Institution::example(), locale).pdf())
    }

    #[tokio::test]
    async fn it_shows_number_name_lines_and_how_it_stands() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        name_ada(&ctx, "Amélie-Zoé", "N’Gono Ñandú Ɓalɛ").await;
        let charge = charge(&ctx, "ada", "one").await;
        give(&ctx, "ada", 40_000).await;
        let document = read(&ctx, charge.invoice).await;
        assert_eq!(document.file_name, "MAT-2027-000001.pdf");
        let [page] = &pages_of(&document.content)[..] else { panic!("one page") };
        for shown in [
            "Invoice MAT-2027-000001",
            "Amélie-Zoé N’Gono Ñandú Ɓalɛ",
            "2027-01-15",
            "2027-01-22",
            "150,000\u{a0}XAF",
            "100,000",
            "-40,000",
            "110,000\u{a0}XAF",
            "Page 1 of 1",
        ] {
            assert!(page.lines().any(|line| line == shown), "{shown:?} is not in {page}");
        }
    }

    #[tokio::test]
    async fn credit_notes_are_named_and_what_is_open_follows() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let charge = charge(&ctx, "ada", "one").await;
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("taken back");
        let page = pages_of(&read(&ctx, charge.invoice).await.content).concat();
        for shown in ["Credit note MAT-CN-2027-000001", "-150,000", "0\u{a0}XAF"] {
            assert!(page.lines().any(|line| line == shown), "{shown:?} is not in {page}");
        }
    }

    #[tokio::test]
    async fn the_same_invoice_is_the_same_file_and_keeps_the_name_of_its_day() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        name_ada(&ctx, "Amélie", "Ngono").await;
        let invoice = charge(&ctx, "ada", "one").await.invoice;
        let first = read(&ctx, invoice).await;
        let name = PersonName { given: "Amélie".into(), family: "Mbarga".into() };
        let key = store::names_key(testkit::person("ada"));
        let mut names = ctx.table.get(&key).await.expect("reads").expect("known");
        let later = testkit::now() + jiff::SignedDuration::from_hours(1);
        assert!(names.value.take(2, name, later));
        let mut transaction = ctx.table.transaction();
        transaction.update(&names);
        transaction.commit().await.expect("married");
        let mut next_day = testkit::call(command(invoice));
        next_day.now += jiff::SignedDuration::from_hours(24);
        assert_eq!(handle(&ctx, &next_day).await.expect("reads"), first);
        next_day.command.language = Some(Locale::Fr);
        let french = handle(&ctx, &next_day).await.expect("reads");
        let page = pages_of(&french.content).concat();
        assert!(page.contains("Facture MAT-2027-000001") && page.contains("15/01/2027"), "{page}");
        assert!(page.contains("150\u{202f}000\u{a0}XAF"), "{page}");
    }

    #[test]
    fn a_hundred_lines_break_onto_three_pages_each_with_its_heads_and_its_number() {
        let pages = printed(&long(100, "XAF"), Locale::Es);
        assert_eq!(pages.len(), 3);
        for (at, page) in (1..).zip(&pages) {
            assert!(page.contains(&format!("Página {at} de 3")), "{page}");
            assert!(page.contains("MAT-2027-000001"), "{page}");
            assert!(page.contains("Descripción"), "the heads are repeated: {page}");
        }
        let all = pages.concat();
        for line in 1..=100 {
            let times = all.matches(&format!("MATH{line} Analyse numérique")).count();
            assert_eq!(times, 1, "line {line}");
        }
    }

    #[test]
    fn each_currency_has_its_own_digits() {
        let shown = |currency, total: &str| {
            let all = printed(&long(2, currency), Locale::En).concat();
            assert!(all.lines().any(|line| line == total), "{total} is not in {all}");
        };
        shown("XAF", "3\u{a0}XAF");
        shown("EUR", "0.03\u{a0}EUR");
        shown("TND", "0.003\u{a0}TND");
    }

    #[test]
    fn huge_amounts_and_endless_words_stay_on_the_page() {
        let mut invoice = long(1, "EUR");
        let mut document = invoice.document().clone();
        document.total = Money::new(1_000_000_000_000_000_000, document.total.currency);
        document.lines[0].amount = document.total;
        document.lines[0].description = "x".repeat(5_000);
        invoice = Invoice::issue(document);
        let all = printed(&invoice, Locale::En).concat();
        assert!(all.contains("10,000,000,000,000,000.00\u{a0}EUR"), "{all}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// What the pages say line by line adds up to the total that the invoice bears.
        #[test]
        fn the_lines_on_the_pages_come_to_the_total(lines in 1_i64..160) {
            let invoice = long(lines, "XAF");
            let pages = printed(&invoice, Locale::En);
            let all: Vec<&str> = pages.iter().flat_map(|page| page.lines()).collect();
            // Behind the quantity stand the unit price and the amount.
            let amounts = all.windows(3).filter(|window| window[0] == "4.5").map(|window| window[2]);
            let sum: i64 = amounts.map(|amount| amount.replace(',', "").parse::<i64>().expect("digits")).sum();
            prop_assert_eq!(sum, invoice.document().total.minor);
            let last = pages.last().expect("a page").lines().any(|line| line == "Open");
            prop_assert!(last, "what it sums up to is on the last page");
        }
    }

    #[tokio::test]
    async fn another_s_invoice_is_as_unknown_as_one_that_is_not_and_the_bursar_reads_any() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        name_ada(&ctx, "Amélie", "Ngono").await;
        let invoice = charge(&ctx, "bob", "one").await.invoice;
        let others = handle(&ctx, &testkit::call(command(invoice))).await;
        assert_eq!(code(others), "INVOICE_UNKNOWN");
        let nowhere = command(kernel::Id::derived_from("nowhere"));
        assert_eq!(code(handle(&ctx, &testkit::call(nowhere)).await), "INVOICE_UNKNOWN");
        let staff = Call { reach: vec![(Scope::All, None)], ..testkit::call(command(invoice)) };
        let page = pages_of(&handle(&ctx, &staff).await.expect("any").content).concat();
        assert!(!page.contains("Amélie"), "it bears the student's name, not the reader's: {page}");
    }

    #[tokio::test]
    async fn at_the_front_door_it_comes_as_a_file() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let invoice = charge(&ctx, "ada", "one").await.invoice;
        let role = shell::Grant { role: shell::Role::Student, department: None };
        let caller = shell::Caller { grants: vec![role], ..testkit::call(()).caller.expect("ada") };
        let event = testkit::http_event(
            "GET",
            &[("invoice", &invoice.to_string())],
            &json!(null),
            Some(&caller),
        );
        let deadline = Instant::now() + Duration::from_secs(5);
        let door = shell::http::Door::<Command>::new(&ROUTE);
        let reply = door.answer(&ctx, &handle, &event, deadline).await;
        assert_eq!((&reply["statusCode"], &reply["isBase64Encoded"]), (&json!(200), &json!(true)));
        assert_eq!(reply["headers"]["content-type"], "application/pdf");
        let named = "inline; filename=\"MAT-2027-000001.pdf\"";
        assert_eq!(reply["headers"]["content-disposition"], named);
        let body = reply["body"].as_str().expect("bytes");
        assert!(body.starts_with("JVBERi0"), "that is %PDF- in base 64: {body:.20}");
        assert!(body.len() < 100_000, "{} bytes", body.len());
    }
}
