//! What each student owes, by how long it has been due, what they paid and do not owe, and what is to be paid back to
//! them: aged receivables, unapplied cash and refunds due, account by account, as they stand now.

use kernel::{Money, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Account, Aging, Refusal, StudentAccount};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-balances",
    "/balances",
    BURSAR,
    "List what students owe, by how long it has been due, and what is owed to them",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Only those accounts; absent, all. A page may have fewer items than asked for, and not be the last.
    pub having: Option<Having>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Having {
    /// Something is open.
    Debt,
    /// Something was due before today.
    Overdue,
    UnappliedCash,
    RefundsDue,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub student: PersonId,
    pub owed: Money,
    pub aging: Aging,
    /// What was due before today.
    pub overdue: Money,
    pub unapplied_cash: Money,
    /// What is on its way back and has not left us yet.
    pub refunds_due: Money,
    /// Whether what is overdue holds the student.
    pub is_held: bool,
}

pub type Reply = Listing<Item>;

impl Item {
    fn of(account: &StudentAccount, today: kernel::Date) -> Result<Self, Refusal> {
        Ok(Self {
            student: account.student,
            owed: account.balance(Account::Receivable),
            aging: Aging::of(account, today)?,
            overdue: account.overdue(today),
            unapplied_cash: account.unapplied_cash(),
            refunds_due: account.balance(Account::RefundsPayable).negated()?,
            is_held: account.is_held(),
        })
    }

    fn has(&self, having: Having) -> bool {
        match having {
            Having::Debt => self.owed.minor > 0,
            Having::Overdue => self.overdue.minor > 0,
            Having::UnappliedCash => self.unapplied_cash.minor > 0,
            Having::RefundsDue => self.refunds_due.minor > 0,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let today = ctx.institution().date(call.now);
    let page = ctx.table.query(&store::accounts(), &call.page).await?;
    let items = page.records.iter().map(|account| Item::of(&account.value, today));
    let mut items = items.collect::<Result<Vec<_>, _>>()?;
    items.retain(|item| call.command.having.is_none_or(|having| item.has(having)));
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::super::refund_payment;
    use super::*;
    use crate::fixtures::{charge, ctx, ctx_with, francs, give, give_by_card, provider};

    async fn list(ctx: &Ctx, having: Option<Having>, days: i64) -> Vec<Item> {
        let mut call = testkit::call(Command { having });
        call.now += jiff::SignedDuration::from_hours(24 * days);
        handle(ctx, &call).await.expect("lists").items
    }

    #[tokio::test]
    async fn a_debt_ages_and_what_is_owed_to_a_student_is_told_apart() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        give(&ctx, "bob", 700).await;
        let all = list(&ctx, None, 0).await;
        assert_eq!(all.len(), 2);
        let debts = list(&ctx, Some(Having::Debt), 0).await;
        assert_eq!(debts[0].student, testkit::person("ada"));
        assert_eq!((debts[0].owed, debts[0].aging.not_due), (francs(150_000), 150_000));
        assert!(list(&ctx, Some(Having::Overdue), 7).await.is_empty(), "it is due today");
        let overdue = list(&ctx, Some(Having::Overdue), 7 + 61).await;
        assert_eq!((overdue.len(), overdue[0].aging.days_61_to_90), (1, 150_000));
        let unapplied = list(&ctx, Some(Having::UnappliedCash), 0).await;
        assert_eq!(unapplied[0].student, testkit::person("bob"));
        assert_eq!((unapplied.len(), unapplied[0].unapplied_cash), (1, francs(700)));
    }

    #[tokio::test]
    async fn what_is_on_its_way_back_is_due_page_by_page() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
        let (amount, reason) = (francs(60_000), "left".to_owned());
        let call = testkit::call(refund_payment::Command { payment, amount, reason });
        refund_payment::handle(&ctx, &call).await.expect("asked");
        give(&ctx, "bob", 1).await;
        let due = list(&ctx, Some(Having::RefundsDue), 0).await;
        assert_eq!((due.len(), due[0].refunds_due), (1, francs(60_000)));
        let page = async |after| {
            let page = PageRequest { after, limit: 1 };
            let call = Call { page, ..testkit::call(Command { having: None }) };
            handle(&ctx, &call).await.expect("a page")
        };
        let first = page(None).await;
        let second = page(first.next_cursor).await;
        assert_ne!(first.items[0].student, second.items[0].student);
    }
}
