//! A new term with its registration window.

use kernel::{Date, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_term::Reply;
use crate::Ctx;
use crate::domain::{Code, Refusal, Term};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create("create-term", "/terms", KEEPERS, "Create a term");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { code, title, first_day, last_day, registration_opens_at, registration_closes_at } =
        call.command.clone();
    let id = call.new_id();
    let term = Term {
        id,
        code,
        title,
        first_day,
        last_day,
        registration_opens_at,
        registration_closes_at,
    };
    term.check()?;
    let reply = Reply::of(&term, 1);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_term(&mut transaction, &term, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, Refusal::TermCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{Event, TermCreated};
    use table::{PageRequest, Table};

    use super::*;

    pub fn spring() -> Command {
        Command {
            code: Code("2027S".into()),
            title: "Spring 2027".into(),
            first_day: "2027-02-01".parse().expect("a date"),
            last_day: "2027-06-30".parse().expect("a date"),
            registration_opens_at: "2027-01-04T08:00:00Z".parse().expect("a timestamp"),
            registration_closes_at: "2027-02-12T22:59:59Z".parse().expect("a timestamp"),
        }
    }

    fn ctx(table: &Table) -> Ctx {
        Ctx { table: table.clone() }
    }

    fn code(result: Result<Reply, Failure>) -> &'static str {
        match result {
            Err(Failure::Refused(refusal)) => refusal.code(),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_term_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(spring()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let terms =
                    table.query(&store::terms(), &PageRequest::default()).await.expect("lists");
                assert_eq!(terms.records.len(), 1);
                let events = testkit::published(table).await;
                assert_eq!(events.len(), 1);
                assert_eq!(events[0].name, TermCreated::NAME);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_code_is_given_once() {
        let test = testkit::TestTable::new().await;
        handle(&ctx(&test.table), &testkit::call(spring())).await.expect("the first one is made");
        assert_eq!(
            code(handle(&ctx(&test.table), &testkit::call(spring())).await),
            "TERM_CODE_TAKEN"
        );
    }

    #[tokio::test]
    async fn a_term_that_runs_backwards_is_refused() {
        let test = testkit::TestTable::new().await;
        let backwards = Command { last_day: "2027-01-31".parse().expect("a date"), ..spring() };
        assert_eq!(
            code(handle(&ctx(&test.table), &testkit::call(backwards)).await),
            "TERM_ENDS_BEFORE_IT_BEGINS"
        );
        let closed = Command { registration_closes_at: spring().registration_opens_at, ..spring() };
        let refusal = code(handle(&ctx(&test.table), &testkit::call(closed)).await);
        assert_eq!(refusal, "REGISTRATION_CLOSES_BEFORE_IT_OPENS");
    }
}
