//! A change to the caller's own name or language.

use kernel::{Locale, PersonName};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use super::read_profile::Reply;
use crate::domain::Refusal;
use crate::store::{self, Cause};
use crate::{Ctx, audit};

pub const ROUTE: Route =
    Route::edit("edit-profile", "/me", Access::LoggedIn, "Edit your own profile");

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub name: Option<PersonName>,
    pub locale: Option<Locale>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (person, (roles, _), trail) =
        store::person_roles_and_trail(&ctx.table, call.person()).await?;
    let mut person = person.ok_or(Refusal::PersonUnknown)?;
    let before = person.value.clone();
    let Command { name, locale } = call.command.clone();
    person.value.name = name.unwrap_or(person.value.name);
    person.value.locale = locale.unwrap_or(person.value.locale);
    // An edit whose reply was lost comes again with the version from before it: it has had its effect.
    if person.value == before {
        return Ok(Reply::of(&person, &roles, call.now));
    }
    call.check_version(person.version)?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_person(&mut transaction, &person.value, Some(person.version), cause);
    let noted = audit::profile(Some(&before), &person.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    transaction.commit().await?;
    person.version += 1;
    Ok(Reply::of(&person, &roles, call.now))
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonChanged};
    use kernel::PersonId;
    use serde_json::json;
    use shell::http::Door;
    use shell::{Caller, Grant};
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::fixtures::{ada, as_person, code, ctx, noted, verified};

    fn spanish(person: PersonId, if_match: u64) -> Call<Command> {
        let command = Command { name: None, locale: Some(Locale::Es) };
        Call { if_match: Some(if_match), ..as_person(person, command) }
    }

    #[tokio::test]
    async fn a_profile_changes_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| spanish(verified(&ctx(table), ada()).await.1, 1),
            async |table, call| {
                let reply = handle(&ctx(table), call).await?;
                assert_eq!((reply.version, reply.locale), (2, Locale::Es));
                Ok(())
            },
            async |table, call| {
                let noted = noted(table, call.person(), ROUTE.operation).await;
                assert_eq!(noted, ["profile: locale fr → es"]);
                let events = testkit::published(table).await;
                let changes = events.iter().filter(|event| event.name == PersonChanged::NAME);
                let changes: Vec<_> = changes.collect();
                assert_eq!(changes.len(), 1);
                assert_eq!(changes[0].data["profile_version"], 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_edit_of_what_has_changed_meanwhile_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        handle(&ctx, &spanish(person, 1)).await.expect("edits");
        let name = PersonName { given: "Ada".into(), family: "King".into() };
        let stale = Command { name: Some(name), locale: None };
        let stale = Call { if_match: Some(1), ..as_person(person, stale) };
        assert_eq!(code(handle(&ctx, &stale).await), "PRECONDITION_FAILED");
        let fresh = Call { if_match: Some(2), ..stale };
        let reply = handle(&ctx, &fresh).await.expect("edits");
        assert_eq!((reply.name.family.as_str(), reply.locale), ("King", Locale::Es));
        let noted = noted(&ctx.table, person, ROUTE.operation).await;
        assert_eq!(noted[1..], ["profile: family_name Lovelace → King"]);
    }

    #[tokio::test]
    async fn nobody_edits_anybody_else() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let other = spanish(testkit::person("somebody else"), 1);
        assert_eq!(code(handle(&ctx, &other).await), "PERSON_UNKNOWN");
        let (stored, _) = store::person_and_roles(&ctx.table, person).await.expect("reads");
        assert_eq!(stored.expect("she is there").value.locale, Locale::Fr);
    }

    #[tokio::test]
    async fn the_reply_carries_the_next_version_and_an_edit_without_one_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let session = testkit::call(()).caller.expect("a caller").session;
        let caller = Caller { person, session, grants: Vec::<Grant>::new() };
        let mut event =
            testkit::http_event("PATCH", &[], &json!({ "locale": "es" }), Some(&caller));
        let door = Door::<Command>::new(&ROUTE);
        let deadline = Instant::now() + Duration::from_secs(30);
        let reply = door.answer(&ctx, &handle, &event, deadline).await;
        assert_eq!(reply["statusCode"], 428);
        event["headers"]["if-match"] = "\"1\"".into();
        let reply = door.answer(&ctx, &handle, &event, deadline).await;
        assert_eq!(
            (&reply["statusCode"], &reply["headers"]["etag"]),
            (&200.into(), &"\"2\"".into())
        );
    }
}
