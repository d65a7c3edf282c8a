//! Closes a posting period and all before it: they take no entry any more. What took effect in them and is booked later
//! goes into the open one, with its date.

use kernel::{PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::Stored;

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Books, PostingPeriod, Refusal};
use crate::store;

pub const ROUTE: Route = Route::act(
    "close-posting-period",
    "/posting-periods/{period}/closing",
    BURSAR,
    "Close a posting period and all before it",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub period: PostingPeriod,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// Earlier periods are closed; null where all are open.
    pub open_from: Option<PostingPeriod>,
    pub changed_at: Option<Timestamp>,
    pub changed_by: Option<PersonId>,
}

impl Reply {
    pub fn of(books: Option<&Books>) -> Self {
        Self {
            open_from: books.map(|books| books.open_from),
            changed_at: books.map(|books| books.changed_at),
            changed_by: books.map(|books| books.changed_by),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let period = call.command.period;
    if period > PostingPeriod::of(ctx.institution().date(call.now)) {
        return Err(Refusal::PostingPeriodToCome.into());
    }
    change(ctx, call, |open_from| open_from.map_or(period.next(), |from| from.max(period.next())))
        .await
}

/// From which period on the books are to be open, given from which they are; none while all are.
type OpenFrom = Option<PostingPeriod>;

/// Writes every copy of the books at once: a booking that looked at any of them before has to look again.
pub(super) async fn change<C>(
    ctx: &Ctx,
    call: &Call<C>,
    decide: impl Fn(OpenFrom) -> PostingPeriod,
) -> Result<Reply, Failure> {
    let keys = (0..Books::COPIES).map(|copy| (&store::books_key(copy)).into()).collect();
    let mut batch = ctx.table.get_batch(keys).await?;
    let copies = (0..Books::COPIES).map(|copy| batch.take(&store::books_key(copy)));
    let copies: Vec<Option<Stored<Books>>> = copies.collect::<Result<_, _>>()?;
    // All copies say the same.
    let standing = copies[0].as_ref().map(|stored| stored.value.open_from);
    let open_from = decide(standing);
    let changed = |copy| Books { copy, open_from, changed_at: call.now, changed_by: call.person() };
    let mut transaction = ctx.table.transaction();
    for (copy, stored) in (0..Books::COPIES).zip(copies) {
        transaction.put(&changed(copy), stored.map(|stored| stored.version));
    }
    let reply = Reply::of(Some(&changed(0)));
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::super::{read_posting_periods, reopen_posting_period};
    use super::*;
    use crate::fixtures::{charge, check_ledger, code, ctx, journal};

    fn close(period: &str) -> Call<Command> {
        testkit::call(Command { period: period.parse().expect("a period") })
    }

    async fn period_of_last_entry(ctx: &Ctx) -> String {
        journal(ctx).await.last().expect("an entry").posting_period().to_string()
    }

    #[tokio::test]
    async fn a_period_is_closed_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| close("2027-01"),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let read = testkit::call(read_posting_periods::Command {});
                let reply = read_posting_periods::handle(&ctx(table), &read).await;
                assert_eq!(reply.expect("reads").open_from, "2027-02".parse().ok());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_closed_period_takes_no_entry_until_it_is_opened_again() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let read = testkit::call(read_posting_periods::Command {});
        let all_open = read_posting_periods::handle(&ctx, &read).await.expect("reads");
        assert_eq!(all_open, Reply::of(None));
        charge(&ctx, "ada", "one").await;
        assert_eq!(period_of_last_entry(&ctx).await, "2027-01");
        handle(&ctx, &close("2027-01")).await.expect("closed");
        charge(&ctx, "bob", "two").await;
        let entries = journal(&ctx).await;
        let late = entries.iter().find(|entry| entry.student() == Some(testkit::person("bob")));
        let late = late.expect("booked");
        assert_eq!(late.posting_period().to_string(), "2027-02");
        assert_eq!(late.effective_date().to_string(), "2027-01-15", "it keeps its date");
        let period = "2027-01".parse().expect("a period");
        let reopen = testkit::call(reopen_posting_period::Command { period });
        reopen_posting_period::handle(&ctx, &reopen).await.expect("opened");
        charge(&ctx, "eve", "three").await;
        assert_eq!(check_ledger(&ctx).await, 3);
        let periods = journal(&ctx).await.into_iter().map(|entry| entry.posting_period());
        assert_eq!(periods.filter(|booked| *booked == period).count(), 2);
    }

    #[tokio::test]
    async fn closing_an_earlier_period_opens_none_and_opening_a_later_one_closes_none() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let period = |text: &str| text.parse::<PostingPeriod>().expect("a period");
        let reopen =
            |text: &str| testkit::call(reopen_posting_period::Command { period: period(text) });
        handle(&ctx, &close("2026-12")).await.expect("closed");
        let reply = handle(&ctx, &close("2026-10")).await.expect("it was closed before");
        assert_eq!(reply.open_from, Some(period("2027-01")));
        let later = reopen_posting_period::handle(&ctx, &reopen("2027-06")).await.expect("open");
        assert_eq!(later.open_from, Some(period("2027-01")));
        let earlier = reopen_posting_period::handle(&ctx, &reopen("2026-11")).await.expect("open");
        assert_eq!(earlier.open_from, Some(period("2026-11")));
        assert_eq!(code(handle(&ctx, &close("2027-02")).await), "POSTING_PERIOD_TO_COME");
    }

    #[tokio::test]
    async fn a_closing_and_a_booking_at_once_do_not_miss_each_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        crate::fixtures::set_prices(&ctx.table).await;
        let (order, call) = (testkit::step(crate::fixtures::order("ada", "one")), close("2027-01"));
        let booked =
            shell::run_step(async || crate::operations::charge::handle(&ctx, &order).await);
        let closed = shell::run_step(async || handle(&ctx, &call).await);
        let (booked, closed) = tokio::join!(booked, closed);
        booked.expect("booked");
        closed.expect("closed");
        let stored = ctx.table.get(&store::books_key(0)).await.expect("reads").expect("closed");
        assert_eq!(stored.version, 1);
        assert_eq!(journal(&ctx).await.len(), 1);
    }
}
