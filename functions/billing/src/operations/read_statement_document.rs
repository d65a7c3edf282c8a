//! A student's statement of account on paper: what was booked in a period, entry by entry with the balance; or the
//! invoices of a term with what is open of them.

use std::collections::BTreeMap;

use kernel::{Currency, Date, Locale, Money, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Document, Failure, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Invoice, JournalEntry, Refusal, SourceKind, Statement};
use crate::paper::{Column, Paper, Sum, Table, Wording};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-statement-document",
    "/statement",
    OWN_OR_STAFF,
    "Read a statement of account as a PDF",
)
.document("application/pdf");

/// Pages of a hundred records: so much is put on paper at once.
const PAGES_MAX: u32 = 50;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose account; the caller's own unless given.
    pub student: Option<PersonId>,
    /// The period's first day; absent, that of the fiscal year of its last day.
    pub from: Option<Date>,
    /// The period's last day; absent, today.
    pub to: Option<Date>,
    /// In place of a period: what was billed for this term.
    #[schemars(length(min = 1, max = 40))]
    pub term_code: Option<String>,
    /// That of the request unless given.
    pub language: Option<Locale>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Document, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let names_key = store::names_key(student);
    let invoices = store::invoices(student);
    let (names, invoices) =
        tokio::join!(ctx.table.get(&names_key), store::all(&ctx.table, &invoices, PAGES_MAX));
    let invoices = invoices?.ok_or(Refusal::StatementTooLong)?;
    let name = names?.and_then(|names| Some(names.value.at(call.now)?.full()));
    let words = Wording::of(call.command.language.unwrap_or(call.locale));
    let (title, facts, tables) = match &call.command.term_code {
        Some(term_code) => of_term(&call.command, term_code, &invoices, words)?,
        None => of_period(ctx, call, student, &invoices, words).await?,
    };
    let number = words.say_with("STUDENT", &[("student", student.to_string())]);
    let paper = Paper {
        locale: words.locale(),
        issuer: ctx.institution().legal_entity.clone(),
        title,
        dated: midnight(ctx, call.now),
        addressee: name.into_iter().chain([number]).collect(),
        facts,
        tables,
    };
    Ok(Document { file_name: "statement.pdf".to_owned(), content: paper.pdf() })
}

/// A statement bears its day, not the moment at which somebody asked.
fn midnight(ctx: &Ctx, now: Timestamp) -> Timestamp {
    let midnight = ctx.institution().date(now).to_zoned(jiff::tz::TimeZone::UTC);
    midnight.map_or(now, |midnight| midnight.timestamp())
}

type Parts = (String, Vec<(String, String)>, Vec<Table>);

async fn of_period(
    ctx: &Ctx,
    call: &Call<Command>,
    student: PersonId,
    invoices: &[Invoice],
    words: Wording,
) -> Result<Parts, Failure> {
    let institution = ctx.institution();
    let last = call.command.to.unwrap_or_else(|| institution.date(call.now));
    let first = call.command.from.unwrap_or_else(|| institution.fiscal_year_of(last));
    if first > last {
        return Err(Refusal::StatementContradictory.into());
    }
    let journal = store::journal(Some(student));
    let entries = store::all::<JournalEntry>(&ctx.table, &journal, PAGES_MAX).await?;
    let entries = entries.ok_or(Refusal::StatementTooLong)?;
    let statements = Statement::of(entries, first, last)?;
    let numbers = numbers(invoices);
    let mut tables: Vec<Table> = statements
        .iter()
        .map(|statement| booked(statement, &numbers, (first, last), words))
        .collect();
    if tables.is_empty() {
        tables.push(nothing(words));
    }
    let period = format!("{} – {}", words.date(first), words.date(last));
    Ok((words.say("STATEMENT"), vec![(words.say("PERIOD"), period)], tables))
}

/// Numbers of invoices, by what their entries were booked for.
fn numbers(invoices: &[Invoice]) -> BTreeMap<String, &str> {
    let documents = invoices.iter().map(Invoice::document);
    documents
        .flat_map(|document| {
            let charge = document.charge.map(|charge| charge.to_string());
            let ids = charge.into_iter().chain([document.id.to_string()]);
            ids.map(|id| (id, document.number.as_str()))
        })
        .collect()
}

fn booked(
    statement: &Statement,
    numbers: &BTreeMap<String, &str>,
    (first, last): (Date, Date),
    words: Wording,
) -> Table {
    let currency = [("currency", statement.closing.currency.to_string())];
    let before = words.say_with("OPENING_BALANCE", &[("date", words.date(first))]);
    let nothing = String::new;
    let mut spoken: BTreeMap<&str, String> = BTreeMap::new();
    let opening = words.digits(statement.opening);
    let opening = vec![nothing(), before, nothing(), nothing(), nothing(), opening];
    let rows = statement.rows.iter().map(|row| {
        let of_a_note = row.source.kind == SourceKind::CreditNote;
        let number = if of_a_note { row.source.id.as_str() } else { "" };
        let number = numbers.get(&row.source.id).copied().unwrap_or(number);
        let less = Money::new(row.change.minor.saturating_neg(), row.change.currency);
        let (more, less) = if row.change.minor > 0 {
            (words.digits(row.change), nothing())
        } else {
            (nothing(), words.digits(less))
        };
        let word = word_of(row.source.kind);
        let what = spoken.entry(word).or_insert_with(|| words.say(word)).clone();
        let balance = words.digits(row.balance);
        vec![words.date(row.on), what, number.to_owned(), more, less, balance]
    });
    let mut sums = vec![Sum {
        name: words.say_with("CLOSING_BALANCE", &[("date", words.date(last))]),
        amount: words.amount(statement.closing),
        is_last: true,
    }];
    if statement.closing.minor < 0 {
        let name = words.say("NEGATIVE_IS_YOURS");
        sums.push(Sum { name, amount: String::new(), is_last: false });
    }
    Table {
        heading: None,
        columns: vec![
            Column::text(words.say("DATE"), 130),
            Column::text(words.say("WHAT"), 270),
            Column::text(words.say("DOCUMENT"), 210),
            Column::amount(words.say_with("CHARGED", &currency), 130),
            Column::amount(words.say_with("RECEIVED", &currency), 130),
            Column::amount(words.say_with("BALANCE", &currency), 130),
        ],
        rows: std::iter::once(opening).chain(rows).collect(),
        sums,
    }
}

fn nothing(words: Wording) -> Table {
    Table {
        columns: vec![Column::text(words.say("WHAT"), 1_000)],
        rows: vec![vec![words.say("NOTHING_BOOKED")]],
        ..Table::default()
    }
}

fn of_term(
    command: &Command,
    term_code: &str,
    invoices: &[Invoice],
    words: Wording,
) -> Result<Parts, Refusal> {
    if command.from.is_some() || command.to.is_some() {
        return Err(Refusal::StatementContradictory);
    }
    let mut by_currency: BTreeMap<Currency, Vec<&Invoice>> = BTreeMap::new();
    // The list has the latest first.
    for invoice in invoices.iter().rev() {
        let document = invoice.document();
        if document.term_code == term_code {
            by_currency.entry(document.total.currency).or_default().push(invoice);
        }
    }
    let mut tables = Vec::new();
    for (currency, invoices) in by_currency {
        tables.push(billed(currency, &invoices, words)?);
    }
    if tables.is_empty() {
        tables.push(nothing(words));
    }
    let term = || term_code.to_owned();
    let title = words.say_with("STATEMENT_OF_TERM", &[("term", term())]);
    Ok((title, vec![(words.say("TERM"), term())], tables))
}

fn billed(currency: Currency, invoices: &[&Invoice], words: Wording) -> Result<Table, Refusal> {
    let mut open = Money::zero(currency);
    let mut rows = Vec::new();
    for invoice in invoices {
        let document = invoice.document();
        open = open.checked_add(invoice.open())?;
        rows.push(vec![
            document.number.clone(),
            words.date(document.due),
            words.digits(document.total),
            words.digits(invoice.credited()),
            words.digits(invoice.paid()),
            words.digits(invoice.open()),
        ]);
    }
    Ok(Table {
        heading: None,
        columns: vec![
            Column::text(words.say("DOCUMENT"), 230),
            Column::text(words.say("DUE"), 130),
            Column::amount(words.say("TOTAL"), 160),
            Column::amount(words.say("CREDITED"), 160),
            Column::amount(words.say("PAID"), 160),
            Column::amount(words.say("OPEN"), 160),
        ],
        rows,
        sums: vec![Sum { name: words.say("OPEN"), amount: words.amount(open), is_last: true }],
    })
}

fn word_of(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Charge => "SOURCE_CHARGE",
        SourceKind::CreditNote => "SOURCE_CREDIT_NOTE",
        SourceKind::Payment => "SOURCE_PAYMENT",
        SourceKind::Reallocation => "SOURCE_REALLOCATION",
        SourceKind::LeftOver => "SOURCE_LEFT_OVER",
        SourceKind::Refund => "SOURCE_REFUND",
        SourceKind::RefundConcluded => "SOURCE_REFUND_CONCLUDED",
        SourceKind::RefundBounced => "SOURCE_REFUND_BOUNCED",
        SourceKind::RefundUnplaced => "SOURCE_REFUND_UNPLACED",
        SourceKind::Chargeback => "SOURCE_CHARGEBACK",
        SourceKind::ChargebackReversed => "SOURCE_CHARGEBACK_REVERSED",
        SourceKind::ChargebackUnplaced => "SOURCE_CHARGEBACK_UNPLACED",
        SourceKind::ChargebackFee => "SOURCE_CHARGEBACK_FEE",
        SourceKind::WriteOff => "SOURCE_WRITE_OFF",
        SourceKind::Adjustment => "SOURCE_ADJUSTMENT",
        SourceKind::LateFee => "SOURCE_LATE_FEE",
        SourceKind::Sponsorship => "SOURCE_SPONSORSHIP",
        SourceKind::SponsorPayment => "SOURCE_SPONSOR_PAYMENT",
        SourceKind::SuspenseItem => "SOURCE_SUSPENSE_ITEM",
        SourceKind::SuspenseItemAssigned => "SOURCE_SUSPENSE_ITEM_ASSIGNED",
    }
}

#[cfg(test)]
mod tests {
    use shell::Scope;

    use super::super::reverse_charge;
    use super::*;
    use crate::domain::Account;
    use crate::fixtures::{account, bundle, charge, code, ctx, francs, give, give_at};
    use crate::paper::pages_of;

    async fn read(ctx: &Ctx, command: Command) -> String {
        let document = handle(ctx, &testkit::call(command)).await.expect("reads");
        pages_of(&document.content).concat()
    }

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn of_2027s() -> Command {
        Command { term_code: Some("2027S".into()), ..Command::default() }
    }

    #[track_caller]
    fn assert_shows(page: &str, lines: &[&str]) {
        for shown in lines {
            assert!(page.lines().any(|line| line == *shown), "{shown:?} is not in {page}");
        }
    }

    #[tokio::test]
    async fn it_leads_from_entry_to_entry_to_what_the_ledger_says() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        charge(&ctx, "ada", "two").await;
        give(&ctx, "ada", 200_000).await;
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("taken back");
        let page = read(&ctx, Command::default()).await;
        let books = account(&ctx, "ada").await;
        let owed = books.balance(Account::Receivable).minor;
        let held = books.balance(Account::UnappliedCash).minor;
        assert_eq!(owed + held, -50_000, "what is in the student's favour");
        let shown = [
            "MAT-2027-000001",
            "MAT-2027-000002",
            "MAT-CN-2027-000001",
            "Payment",
            "200,000",
            "-50,000\u{a0}XAF",
            "An amount with a minus is in your favour",
        ];
        assert_shows(&page, &shown);
    }

    #[tokio::test]
    async fn what_lies_before_the_period_is_its_opening_balance_and_what_lies_behind_is_left_out() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        let later = testkit::now() + jiff::SignedDuration::from_hours(72);
        give_at(&ctx, "ada", 40_000, later).await;
        let (from, to) = (Some(date("2027-01-16")), Some(date("2027-01-18")));
        let page = read(&ctx, Command { from, to, ..Command::default() }).await;
        let shown =
            ["Balance before 2027-01-16", "150,000", "2027-01-18", "40,000", "110,000\u{a0}XAF"];
        assert_shows(&page, &shown);
        let to = Some(date("2027-01-17"));
        let page = read(&ctx, Command { from, to, ..Command::default() }).await;
        assert_shows(&page, &["150,000\u{a0}XAF"]);
        assert!(!page.contains("40,000"), "{page}");
    }

    #[tokio::test]
    async fn a_term_shows_its_invoices_and_what_is_open_of_them() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        charge(&ctx, "ada", "two").await;
        give(&ctx, "ada", 200_000).await;
        let french = Some(Locale::Fr);
        let page = read(&ctx, Command { language: french, ..of_2027s() }).await;
        let open = account(&ctx, "ada").await.balance(Account::Receivable);
        assert_eq!(open, francs(100_000));
        let shown =
            ["Relevé de compte, 2027S", "MAT-2027-000001", "22/01/2027", "100\u{202f}000\u{a0}XAF"];
        assert_shows(&page, &shown);
        let other = Command { term_code: Some("2026F".into()), ..Command::default() };
        assert_shows(&read(&ctx, other).await, &["Nothing was booked"]);
    }

    #[tokio::test]
    async fn the_same_statement_of_one_day_is_the_same_file() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        let mut call = testkit::call(Command::default());
        let first = handle(&ctx, &call).await.expect("reads");
        call.now += jiff::SignedDuration::from_hours(3);
        assert_eq!(handle(&ctx, &call).await.expect("reads"), first);
    }

    #[tokio::test]
    async fn another_s_statement_and_one_that_ends_before_it_begins_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let bobs = Command { student: Some(testkit::person("bob")), ..Command::default() };
        let others = handle(&ctx, &testkit::call(bobs.clone())).await;
        assert_eq!(code(others), "STUDENT_UNKNOWN");
        let staff = Call { reach: vec![(Scope::All, None)], ..testkit::call(bobs) };
        handle(&ctx, &staff).await.expect("the bursar reads any");
        let (from, to) = (Some(date("2027-01-16")), Some(date("2027-01-15")));
        let backwards = Command { from, to, ..Command::default() };
        let both = Command { from, ..of_2027s() };
        for contradictory in [backwards, both] {
            let refused = handle(&ctx, &testkit::call(contradictory)).await;
            assert_eq!(code(refused), "STATEMENT_CONTRADICTORY");
        }
    }
}
