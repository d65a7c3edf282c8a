//! Which steps would be taken about what is overdue on a day, account by account. Nothing is changed.

use kernel::{Date, Money, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{DueStep, DunningAction};
use crate::store;

pub const ROUTE: Route = Route::list(
    "preview-dunning",
    "/dunning-preview",
    BURSAR,
    "List what would be done about what is overdue",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Absent, today. A page may have fewer items than asked for, and not be the last.
    pub day: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub student: PersonId,
    pub step: String,
    pub action: DunningAction,
    /// The day on which that was due which is overdue.
    pub due: Date,
    pub overdue: Money,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let day = call.command.day.unwrap_or_else(|| ctx.institution().date(call.now));
    let policy = ctx.table.get(&store::policy_key()).await?;
    let policy = policy.map(|stored| stored.value).unwrap_or_default();
    let page = ctx.table.query(&store::accounts(), &call.page).await?;
    let mut items = Vec::new();
    for account in &page.records {
        let student = account.value.student;
        let steps = account.value.due_steps(&policy, day).into_iter();
        items.extend(steps.map(|DueStep { due, overdue, step, .. }| Item {
            student,
            step: step.code,
            action: step.action,
            due,
            overdue,
        }));
    }
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::super::watch_balances;
    use super::*;
    use crate::fixtures::{account, charge, ctx, francs};

    #[tokio::test]
    async fn a_preview_says_what_the_day_will_do_and_does_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        watch_balances::tests::dun(&ctx).await;
        charge(&ctx, "ada", "one").await;
        let before = account(&ctx, "ada").await;
        let preview = async |day: &str| {
            let day = Some(day.parse().expect("a date"));
            handle(&ctx, &testkit::call(Command { day })).await.expect("previews").items
        };
        assert_eq!(preview("2027-01-26").await, []);
        let items = preview("2027-01-27").await;
        assert_eq!((items.len(), items[0].step.as_str()), (1, "reminder"));
        assert_eq!((items[0].student, items[0].overdue), (testkit::person("ada"), francs(150_000)));
        assert_eq!(account(&ctx, "ada").await, before);
        let tick = watch_balances::tests::tick(12);
        assert_eq!(watch_balances::handle(&ctx, &tick).await.expect("does it").steps, 1);
        assert_eq!(preview("2027-01-27").await, [], "it is done");
        assert_eq!(preview("2027-02-01").await[0].step, "late-fee");
    }
}
