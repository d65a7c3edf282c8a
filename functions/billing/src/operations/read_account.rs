//! What a student owes and why: every open line with its invoice and its due date, what was paid and is not
//! applied, and the balances that the ledger keeps for them.

use kernel::{Currency, Date, InvoiceId, Money, PaymentId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};
use table::PageRequest;

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Account, ChargeCode, Refusal, StudentAccount};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-account", "/account", OWN_OR_STAFF, "Read what a student owes, and why")
        .for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose account; the caller's own unless given.
    pub student: Option<PersonId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub student: PersonId,
    /// One for each currency in which anything was ever booked.
    pub accounts: Vec<InCurrency>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InCurrency {
    pub currency: Currency,
    /// The sum of the open lines.
    pub owed: Money,
    /// What of it should have been paid before today.
    pub overdue: Money,
    pub open_lines: Vec<Open>,
    /// The same by when it is due: open lines, or what is left of the instalments of a plan.
    pub due: Vec<Due>,
    /// What was paid and pays for nothing yet.
    pub unapplied_cash: Money,
    pub unapplied: Vec<Left>,
    /// In minor units; debits are positive.
    pub balances: Vec<Balance>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Due {
    pub on: Date,
    pub amount: Money,
    pub term_code: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Open {
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub line: u32,
    pub code: ChargeCode,
    pub term_code: String,
    pub due: Date,
    pub open: Money,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Left {
    pub payment: PaymentId,
    pub received_at: Timestamp,
    /// It pays for charges of these codes only; for all where there are none.
    pub only: Vec<ChargeCode>,
    pub left: Money,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Balance {
    pub account: Account,
    pub minor: i64,
}

impl InCurrency {
    fn of(account: &StudentAccount, today: Date) -> Self {
        let currency = account.currency;
        let money = |minor| Money::new(minor, currency);
        let mut lines: Vec<_> = account.open_lines().to_vec();
        lines.sort_by_key(|line| (line.due, line.invoice_number.clone(), line.line));
        let open_lines = lines.into_iter().map(|line| Open {
            invoice: line.invoice,
            invoice_number: line.invoice_number,
            line: line.line,
            code: line.code,
            term_code: line.term_code,
            due: line.due,
            open: money(line.open),
        });
        let unapplied = account.unapplied().iter().map(|unapplied| Left {
            payment: unapplied.fund.payment,
            received_at: unapplied.fund.received_at,
            only: unapplied.fund.only.clone(),
            left: money(unapplied.left),
        });
        let mut claims = account.claims();
        claims.sort_by_key(|claim| claim.due);
        let due = claims.into_iter().map(|claim| Due {
            on: claim.due,
            amount: money(claim.open),
            term_code: claim.term_code,
        });
        let balances = account.balances().iter();
        Self {
            currency,
            owed: account.balance(Account::Receivable),
            overdue: account.overdue(today),
            open_lines: open_lines.collect(),
            due: due.collect(),
            unapplied_cash: account.unapplied_cash(),
            unapplied: unapplied.collect(),
            balances: balances
                .map(|(account, minor)| Balance { account: *account, minor: *minor })
                .collect(),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let today = ctx.institution().date(call.now);
    let page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let accounts = ctx.table.query(&store::accounts_of(student), &page).await?;
    let accounts =
        accounts.records.iter().map(|account| InCurrency::of(&account.value, today)).collect();
    Ok(Reply { student, accounts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{charge, code, ctx, francs, give};

    #[tokio::test]
    async fn a_student_sees_what_they_owe_and_why() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let own = || testkit::call(Command { student: None });
        let empty = handle(&ctx, &own()).await.expect("nothing yet");
        assert_eq!(empty.accounts, []);
        charge(&ctx, "ada", "one").await;
        give(&ctx, "ada", 120_000).await;
        let reply = handle(&ctx, &own()).await.expect("reads");
        let account = &reply.accounts[0];
        assert_eq!((account.owed, account.overdue), (francs(30_000), francs(0)));
        let line = &account.open_lines[0];
        assert_eq!((line.invoice_number.as_str(), line.line), ("MAT-2027-000001", 1));
        assert_eq!((line.due.to_string().as_str(), line.open), ("2027-01-22", francs(30_000)));
        let mut later = own();
        later.now += jiff::SignedDuration::from_hours(8 * 24);
        let reply = handle(&ctx, &later).await.expect("reads");
        assert_eq!(reply.accounts[0].overdue, francs(30_000));
        give(&ctx, "ada", 40_000).await;
        let reply = handle(&ctx, &own()).await.expect("reads");
        assert_eq!(reply.accounts[0].unapplied_cash, francs(10_000));
        assert_eq!(reply.accounts[0].open_lines, []);
    }

    #[tokio::test]
    async fn another_s_account_is_as_unknown_as_one_that_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "bob", "one").await;
        let bobs = Command { student: Some(testkit::person("bob")) };
        let others = handle(&ctx, &testkit::call(bobs.clone())).await;
        assert_eq!(code(others), "STUDENT_UNKNOWN");
        let reach = vec![(shell::Scope::All, None)];
        let staff = Call { reach, ..testkit::call(bobs) };
        let reply = handle(&ctx, &staff).await.expect("any");
        assert_eq!(reply.accounts[0].owed, francs(150_000));
    }
}
