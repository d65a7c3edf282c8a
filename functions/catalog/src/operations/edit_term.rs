//! The days and windows of a term as they are to be.

use events::{RegistrationWindow, TermDates, TermState};
use kernel::{Date, TermId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_term::Reply;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::edit("edit-term", "/terms/{term}", KEEPERS, "Change a term's days and windows");

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    pub registration_opens_at: Option<Timestamp>,
    pub registration_closes_at: Option<Timestamp>,
    #[schemars(length(max = 20))]
    pub windows: Option<Vec<RegistrationWindow>>,
    /// All of them: what is absent here is no longer set.
    pub dates: Option<TermDates>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let command = call.command.clone();
    let key = store::term_key(command.term);
    let stored = ctx.table.get(&key).await?.ok_or(Refusal::TermUnknown)?;
    let mut term = stored.value.clone();
    term.title = command.title.unwrap_or(term.title);
    term.first_day = command.first_day.unwrap_or(term.first_day);
    term.last_day = command.last_day.unwrap_or(term.last_day);
    term.registration_opens_at =
        command.registration_opens_at.unwrap_or(term.registration_opens_at);
    term.registration_closes_at =
        command.registration_closes_at.unwrap_or(term.registration_closes_at);
    term.windows = command.windows.unwrap_or(term.windows);
    term.dates = command.dates.unwrap_or(term.dates);
    if term == stored.value {
        return Ok(Reply { term, version: stored.version });
    }
    call.check_version(stored.version)?;
    if term.state == TermState::Closed {
        return Err(Refusal::TermNotEditable.into());
    }
    let parent = super::parent_of(ctx, &term).await?;
    term.check(parent.as_ref())?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_term(&mut transaction, &term, Some(stored.version), cause);
    transaction.commit().await?;
    Ok(Reply { term, version: stored.version + 1 })
}

#[cfg(test)]
mod tests {
    use events::{Event, TermChanged};

    use super::super::{list_terms, move_term};
    use super::*;
    use crate::fixtures::{self, at_version, code, ctx, registrar};

    fn edit(term: TermId) -> Command {
        Command {
            term,
            title: None,
            first_day: None,
            last_day: None,
            registration_opens_at: None,
            registration_closes_at: None,
            windows: None,
            dates: None,
        }
    }

    #[tokio::test]
    async fn days_and_windows_are_changed_and_told() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let id = fixtures::term(&ctx, |_| ()).await.term.id;
        let dates = TermDates {
            drop_until: Some("2027-02-26".parse().expect("a date")),
            ..TermDates::default()
        };
        let windows = TermChanged::example().windows;
        let command = Command {
            dates: Some(dates.clone()),
            windows: Some(windows.clone()),
            first_day: Some("2027-02-02".parse().expect("a date")),
            ..edit(id)
        };
        let edited = handle(&ctx, &at_version(1, registrar(command))).await.expect("edits");
        assert_eq!((&edited.term.dates, &edited.term.windows), (&dates, &windows));
        let told = testkit::published(&test.table).await;
        let told: Vec<TermChanged> = told
            .iter()
            .filter(|event| event.name == TermChanged::NAME)
            .map(|event| serde_json::from_value(event.data.clone()).expect("reads"))
            .collect();
        assert!(told.iter().any(|event| event.term_version == 2 && event.dates == dates));
        let listed = testkit::call(list_terms::Command::default());
        assert_eq!(list_terms::handle(&ctx, &listed).await.expect("lists").items, [edited]);
    }

    #[tokio::test]
    async fn wrong_days_old_versions_and_closed_terms_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let id = fixtures::term(&ctx, |_| ()).await.term.id;
        let titled = |title: &str| Command { title: Some(title.into()), ..edit(id) };
        let try_at = async |version, command| {
            handle(&ctx, &at_version(version, registrar(command))).await.map(drop)
        };
        let wrong = Command { last_day: Some("2027-01-01".parse().expect("a date")), ..edit(id) };
        assert_eq!(code(try_at(1, wrong).await), "TERM_ENDS_BEFORE_IT_BEGINS");
        try_at(1, titled("Spring")).await.expect("edits");
        assert_eq!(code(try_at(1, titled("Summer")).await), "PRECONDITION_FAILED");
        let close = move_term::Command { term: id, to: TermState::Closed };
        move_term::handle(&ctx, &registrar(close)).await.expect("closes");
        assert_eq!(code(try_at(3, titled("Summer")).await), "TERM_NOT_EDITABLE");
    }

    #[tokio::test]
    async fn an_edit_is_written_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let id = fixtures::term(&ctx(table), |_| ()).await.term.id;
                at_version(1, registrar(Command { title: Some("Other".into()), ..edit(id) }))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::term_key(call.command.term);
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 2);
            },
        )
        .await;
    }
}
