//! The money that came and went on one day, entry by entry with its channel. The sums by channel and day stand in the
//! latest proof of the ledger.

use kernel::{Date, JournalEntryId, Money, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Channel, PostingPeriod, Source};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-takings",
    "/takings",
    BURSAR,
    "List the money that came and went on a day, with its channel",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// On which it came or went; absent, today. A page may have fewer items than asked for, and not be the last.
    pub day: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub entry: JournalEntryId,
    /// Absent where nobody knows whose money it is.
    pub student: Option<PersonId>,
    pub channel: Channel,
    /// Less than nothing where it went.
    pub amount: Money,
    pub source: Source,
    pub posting_period: PostingPeriod,
    pub booked_at: Timestamp,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let day = call.command.day.unwrap_or_else(|| ctx.institution().date(call.now));
    let page = ctx.table.query(&store::journal_of(day), &call.page).await?;
    let mut items = Vec::new();
    for entry in &page.records {
        let entry = &entry.value;
        items.extend(entry.moved().map(|(channel, amount)| Item {
            entry: entry.id(),
            student: entry.student(),
            channel,
            amount,
            source: entry.source().clone(),
            posting_period: entry.posting_period(),
            booked_at: entry.booked_at(),
        }));
    }
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::super::refund_payment;
    use super::*;
    use crate::fixtures::{charge, ctx, francs, give};

    #[tokio::test]
    async fn a_day_s_money_is_listed_with_its_channel_and_what_is_no_money_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        let payment = give(&ctx, "bob", 700).await.id;
        let (amount, reason) = (francs(200), "left".to_owned());
        let call = testkit::call(refund_payment::Command { payment, amount, reason });
        refund_payment::handle(&ctx, &call).await.expect("paid back");
        let list = async |day: Option<&str>| {
            let day = day.map(|day| day.parse().expect("a date"));
            handle(&ctx, &testkit::call(Command { day })).await.expect("lists").items
        };
        let items = list(None).await;
        let mut amounts: Vec<i64> = items.iter().map(|item| item.amount.minor).collect();
        amounts.sort_unstable();
        assert_eq!(amounts, [-200, 700]);
        assert!(items.iter().all(|item| item.channel == Channel::Cash));
        assert!(items.iter().all(|item| item.student == Some(testkit::person("bob"))));
        assert_eq!(list(Some("2027-01-14")).await, []);
    }
}
