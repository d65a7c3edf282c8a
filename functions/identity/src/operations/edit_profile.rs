//! A change to what the caller says of themselves: how they want to be called, their language, and whether they are in
//! the directory.

use kernel::{Locale, PersonName};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use super::read_person::Reply;
use super::told;
use crate::Ctx;
use crate::domain::{Refusal, checked_name};
use crate::people::{self, Before};
use crate::store;

pub const ROUTE: Route =
    Route::edit("edit-profile", "/me", Access::LoggedIn, "Edit your own profile");

/// What is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What you want to be called; null for the legal name, which the registrar or HR changes.
    #[serde(default, deserialize_with = "told")]
    pub preferred_name: Option<Option<PersonName>>,
    #[serde(default, deserialize_with = "told")]
    #[schemars(length(min = 1, max = 40))]
    pub pronouns: Option<Option<String>>,
    pub locale: Option<Locale>,
    /// Whether you are to be in no directory. It counts at once.
    pub directory_opt_out: Option<bool>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (before, roles, trail) = store::person_roles_and_trail(&ctx.table, call.person()).await?;
    let before = before.ok_or(Refusal::PersonUnknown)?;
    let mut person = before.value.clone();
    let Command { preferred_name, pronouns, locale, directory_opt_out } = call.command.clone();
    if let Some(name) = preferred_name {
        person.preferred_name = name.as_ref().map(checked_name).transpose()?;
    }
    if let Some(pronouns) = pronouns {
        person.pronouns = pronouns;
    }
    person.locale = locale.unwrap_or(person.locale);
    if let Some(opted_out) = directory_opt_out {
        person.opt_out(opted_out, call.now);
    }
    // An edit whose reply was lost comes again with the version from before it: it has had its effect.
    if person == before.value {
        return Ok(Reply::of(ctx, &before, &roles.0, call.now));
    }
    call.check_version(before.version)?;
    let mut transaction = ctx.table.transaction();
    let known = Before::of(Some(&before), &roles, trail);
    let deed = call.deed(ROUTE.operation);
    let written = people::write(ctx, &mut transaction, known, person, &roles.0, &deed).await?;
    transaction.commit().await?;
    Ok(Reply::of(ctx, &written, &roles.0, call.now))
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
        let command = Command { locale: Some(Locale::Es), ..Command::default() };
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
        let stale = Command { preferred_name: Some(Some(name)), ..Command::default() };
        let stale = Call { if_match: Some(1), ..as_person(person, stale) };
        assert_eq!(code(handle(&ctx, &stale).await), "PRECONDITION_FAILED");
        let fresh = Call { if_match: Some(2), ..stale };
        let reply = handle(&ctx, &fresh).await.expect("edits");
        assert_eq!((reply.name.family.as_str(), reply.locale), ("King", Locale::Es));
        assert_eq!(reply.legal_name.family, "Lovelace", "that one is the registrar's to change");
        let noted = noted(&ctx.table, person, ROUTE.operation).await;
        assert_eq!(noted[1..], ["profile: preferred_name – → Ada King"]);
        let (name, pronouns) = (Some(None), Some(Some("she/her".to_owned())));
        let plain = Command { preferred_name: name, pronouns, ..Command::default() };
        let plain = Call { if_match: Some(3), ..as_person(person, plain) };
        let reply = handle(&ctx, &plain).await.expect("edits");
        assert_eq!(
            (reply.name.family.as_str(), reply.pronouns.as_deref()),
            ("Lovelace", Some("she/her"))
        );
    }

    #[tokio::test]
    async fn an_opt_out_has_a_date_that_stays_until_it_is_taken_back() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let opt_out = async |opted_out, version, minutes| {
            let command = Command { directory_opt_out: Some(opted_out), ..Command::default() };
            let mut call = Call { if_match: Some(version), ..as_person(person, command) };
            call.now += jiff::SignedDuration::from_mins(minutes);
            handle(&ctx, &call).await.expect("edits").directory_opt_out
        };
        assert_eq!(opt_out(true, 1, 0).await, Some(testkit::now()));
        assert_eq!(opt_out(true, 2, 5).await, Some(testkit::now()), "as before");
        assert_eq!(opt_out(false, 2, 6).await, None);
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
