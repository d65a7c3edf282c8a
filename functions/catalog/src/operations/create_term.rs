//! A new term, or a part of one, with its days and registration windows.

use events::{RegistrationWindow, TermDates, TermState};
use kernel::{Date, TermId, Timestamp};
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
    /// The term that this one is a part of; a part has a registration period of its own.
    pub parent: Option<TermId>,
    /// `draft` for a term that is still to be planned.
    #[serde(default)]
    pub state: TermState,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
    /// Other windows for some; whoever belongs to several may use each.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub windows: Vec<RegistrationWindow>,
    #[serde(default)]
    pub dates: TermDates,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { code, title, parent, state, .. } = call.command.clone();
    let Command { first_day, last_day, registration_opens_at, registration_closes_at, .. } =
        call.command;
    let term = Term {
        id: call.new_id(),
        code,
        title,
        parent,
        state,
        first_day,
        last_day,
        registration_opens_at,
        registration_closes_at,
        windows: call.command.windows.clone(),
        dates: call.command.dates.clone(),
    };
    let parent = super::parent_of(ctx, &term).await?;
    term.check(parent.as_ref())?;
    let reply = Reply { term, version: 1 };
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let claim = store::write_term(&mut transaction, &reply.term, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, claim, Refusal::TermCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{Event, TermChanged, TermCreated};
    use kernel::Id;
    use table::PageRequest;

    use super::*;
    use crate::fixtures::{code, ctx, registrar};

    pub fn spring() -> Command {
        Command {
            code: Code("2027S".into()),
            title: "Spring 2027".into(),
            parent: None,
            state: TermState::default(),
            first_day: "2027-02-01".parse().expect("a date"),
            last_day: "2027-06-30".parse().expect("a date"),
            registration_opens_at: "2027-01-04T08:00:00Z".parse().expect("a timestamp"),
            registration_closes_at: "2027-02-12T22:59:59Z".parse().expect("a timestamp"),
            windows: Vec::new(),
            dates: TermDates::default(),
        }
    }

    #[tokio::test]
    async fn a_term_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| registrar(spring()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let terms =
                    table.query(&store::terms(), &PageRequest::default()).await.expect("lists");
                assert_eq!(terms.records.len(), 1);
                let told = testkit::published(table).await;
                let mut names: Vec<&str> = told.iter().map(|event| event.name.as_str()).collect();
                names.sort_unstable();
                assert_eq!(names, [TermChanged::NAME, TermCreated::NAME]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_code_is_given_once() {
        let test = testkit::TestTable::new().await;
        handle(&ctx(&test.table), &registrar(spring())).await.expect("the first one is made");
        let second = handle(&ctx(&test.table), &registrar(spring())).await;
        assert_eq!(code(second), "TERM_CODE_TAKEN");
    }

    #[tokio::test]
    async fn a_term_that_runs_backwards_is_refused() {
        let test = testkit::TestTable::new().await;
        let backwards = Command { last_day: "2027-01-31".parse().expect("a date"), ..spring() };
        assert_eq!(
            code(handle(&ctx(&test.table), &registrar(backwards)).await),
            "TERM_ENDS_BEFORE_IT_BEGINS"
        );
        let closed = Command { registration_closes_at: spring().registration_opens_at, ..spring() };
        let refusal = code(handle(&ctx(&test.table), &registrar(closed)).await);
        assert_eq!(refusal, "REGISTRATION_CLOSES_BEFORE_IT_OPENS");
    }

    #[tokio::test]
    async fn a_part_of_a_term_keeps_within_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = handle(&ctx, &registrar(spring())).await.expect("a term").term;
        let part = |last_day: &str| Command {
            code: Code("2027S-1".into()),
            parent: Some(term.id),
            last_day: last_day.parse().expect("a date"),
            ..spring()
        };
        let late = handle(&ctx, &registrar(part("2027-07-31"))).await;
        assert_eq!(code(late), "PART_OUTSIDE_PARENT");
        let made = handle(&ctx, &registrar(part("2027-03-31"))).await.expect("a part").term;
        let of_part = Command { parent: Some(made.id), ..part("2027-03-01") };
        assert_eq!(code(handle(&ctx, &registrar(of_part)).await), "PARENT_TERM_IS_PART");
        let of_none = Command { parent: Some(TermId::derived_from("none")), ..part("2027-03-01") };
        assert_eq!(code(handle(&ctx, &registrar(of_none)).await), "TERM_UNKNOWN");
    }
}
