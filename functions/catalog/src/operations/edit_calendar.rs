//! The institution's holidays and ways between buildings as they are to be.

use kernel::{Calendar, Holiday, Way};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_calendar::Reply;
use crate::Ctx;
use crate::domain;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::edit(
    "edit-calendar",
    "/calendar",
    KEEPERS,
    "Change the holidays and the ways between buildings",
);

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(max = 200))]
    pub holidays: Option<Vec<Holiday>>,
    /// Meetings in two buildings need this time between them.
    #[schemars(length(max = 500))]
    pub ways: Option<Vec<Way>>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (before, read_version) = store::calendar(&ctx.table).await?;
    let version = read_version.unwrap_or_default();
    let Command { holidays, ways } = call.command.clone();
    let calendar = Calendar {
        holidays: holidays.unwrap_or_else(|| before.holidays.clone()),
        ways: ways.unwrap_or_else(|| before.ways.clone()),
    };
    if calendar == before {
        return Ok(Reply { calendar, version });
    }
    call.check_version(version)?;
    domain::check_calendar(&calendar)?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_calendar(&mut transaction, &calendar, read_version, cause);
    transaction.commit().await?;
    Ok(Reply { calendar, version: version + 1 })
}

#[cfg(test)]
mod tests {
    use events::{CalendarChanged, Event};

    use super::super::read_calendar;
    use super::*;
    use crate::fixtures::{at_version, code, ctx, registrar};

    fn example() -> Command {
        let Calendar { holidays, ways } = CalendarChanged::example().calendar;
        Command { holidays: Some(holidays), ways: Some(ways) }
    }

    #[tokio::test]
    async fn the_calendar_is_empty_at_first_and_then_as_it_was_written() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let read = async || {
            let call = testkit::call(read_calendar::Command {});
            read_calendar::handle(&ctx, &call).await.expect("reads")
        };
        assert_eq!((read().await.version, read().await.calendar), (0, Calendar::default()));
        handle(&ctx, &at_version(0, registrar(example()))).await.expect("writes");
        assert_eq!(read().await.calendar, CalendarChanged::example().calendar);
        let none = Command { holidays: Some(Vec::new()), ways: None };
        assert_eq!(
            code(handle(&ctx, &at_version(0, registrar(none))).await),
            "PRECONDITION_FAILED"
        );
    }

    #[tokio::test]
    async fn holidays_that_end_early_and_ways_twice_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let try_one = async |change: fn(&mut Calendar)| {
            let mut calendar = CalendarChanged::example().calendar;
            change(&mut calendar);
            let Calendar { holidays, ways } = calendar;
            let command = Command { holidays: Some(holidays), ways: Some(ways) };
            code(handle(&ctx, &at_version(0, registrar(command))).await)
        };
        let backwards = try_one(|calendar| {
            let holiday = &mut calendar.holidays[0];
            std::mem::swap(&mut holiday.first_day, &mut holiday.last_day);
        });
        assert_eq!(backwards.await, "HOLIDAY_ENDS_BEFORE_IT_BEGINS");
        let twice = try_one(|calendar| {
            let kernel::Way { from, to, minutes } = calendar.ways[0].clone();
            calendar.ways.push(kernel::Way { from: to, to: from, minutes });
        });
        assert_eq!(twice.await, "WAY_TWICE");
    }

    #[tokio::test]
    async fn the_calendar_is_written_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| at_version(0, registrar(example())),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                assert_eq!(store::calendar(table).await.expect("reads").1, Some(1));
                assert_eq!(testkit::published(table).await.len(), 1);
            },
        )
        .await;
    }
}
