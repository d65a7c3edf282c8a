//! Begins a tuition run: every bill of a term is brought to what is due by its rules. The schedule carries it
//! out, student by student; a dry run says what it would come to and writes nothing.

use kernel::{TermId, Timestamp, TuitionRunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::PageRequest;

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Refusal, RunTotal};
use crate::store::{self, TuitionRun};

pub const ROUTE: Route = Route::create(
    "start-tuition-run",
    "/tuition-runs",
    BURSAR,
    "Bring every bill of a term to what is due, or say what that would come to",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// Only say what it would come to.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: TuitionRunId,
    pub term: TermId,
    pub dry_run: bool,
    pub started_at: Timestamp,
    /// Null while it is under way.
    pub finished_at: Option<Timestamp>,
    /// Students seen so far.
    pub students: u64,
    /// Those of them whose bill was not what is due.
    pub adjusted: u64,
    /// Those who could not be calculated; the log says why.
    pub failed: u64,
    /// By currency.
    pub totals: Vec<RunTotal>,
}

impl Reply {
    pub fn of(run: &TuitionRun) -> Self {
        Self {
            id: run.id,
            term: run.term,
            dry_run: run.dry_run,
            started_at: run.started_at,
            finished_at: run.finished_at,
            students: run.students,
            adjusted: run.adjusted,
            failed: run.failed,
            totals: run.totals.clone(),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, dry_run } = call.command;
    let page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let under_way = ctx.table.query(&store::tuition_runs_under_way(), &page).await?;
    if under_way.records.iter().any(|run| run.value.term == term) {
        return Err(Refusal::TuitionRunUnderWay.into());
    }
    let run = TuitionRun::begin(call.new_id(), (term, dry_run), call.person(), call.now);
    let reply = Reply::of(&run);
    let mut transaction = ctx.table.transaction();
    transaction.create(&run);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::fixtures::ctx;

    #[tokio::test]
    async fn a_run_is_begun_once_whatever_happens_on_the_wire() {
        let term = TermId::derived_from("2027S");
        testkit::under_every_fault(
            async |_| testkit::call(Command { term, dry_run: false }),
            async |table, call| {
                // The first run of the command is what a second would be refused for: it gets its reply.
                shell::http::carry_out(&ctx(table), &handle, call).await.map(drop)
            },
            async |table, call| {
                let list = store::tuition_runs_under_way();
                let page = table.query(&list, &PageRequest::default()).await.expect("lists");
                let [run] = page.records.as_slice() else { panic!("not one: {page:?}") };
                assert_eq!((run.version, run.value.term), (1, term));
                assert_eq!(run.value.started_at, call.now);
            },
        )
        .await;
    }
}
