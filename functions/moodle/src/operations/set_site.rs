//! A Moodle site, added or described anew. Everything known is looked at again there: it may belong now, or be called
//! otherwise.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::{Noted, Stored, Trail};

use super::ADMINISTRATORS;
use super::read_site::Reply;
use crate::Ctx;
use crate::domain::{Kind, Refusal, Replay, Site, SiteCode, SiteSettings};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::replace(
    "set-site",
    "/moodle/sites/{site}",
    ADMINISTRATORS,
    "Add a Moodle site, or describe it anew",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
    pub settings: SiteSettings,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { site: code, settings } = call.command.clone();
    settings.check(&code, ctx.reachable())?;
    let (site_key, replay_key) = (store::site_key(&code), store::replay_key(&code));
    let chain = format!("site:{code}");
    let keys = vec![(&site_key).into(), (&replay_key).into(), Trail::key(&chain)];
    let mut known = ctx.table.get_batch(keys).await?;
    let standing: Option<Stored<Site>> = known.take(&site_key)?;
    if let Some(standing) = standing.as_ref().filter(|known| known.value.settings == settings) {
        return Reply::of(ctx, standing, call.now, call.locale).await;
    }
    // Another Moodle gives the same ids to other people.
    if standing.as_ref().is_some_and(|known| known.value.settings.url != settings.url) {
        return Err(Refusal::SiteAddressFixed.into());
    }
    let read_version = standing.as_ref().map(|standing| standing.version);
    call.check_version(read_version.unwrap_or_default())?;
    let before = standing.map(|standing| standing.value.settings);
    let noted = Noted::change("site").fields_of(before.as_ref(), &settings);
    let site = Site { code: code.clone(), settings, changed_at: call.now };
    let replay: Option<Stored<Replay>> = known.take(&replay_key)?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&site, read_version);
    Trail::take(&mut known, &chain)?.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    let begun = Replay {
        site: code.clone(),
        kind: Kind::Course,
        section: None,
        after: None,
        marked: 0,
        sends_anyway: replay.as_ref().is_some_and(|replay| replay.value.sends_anyway),
        asked_at: call.now,
    };
    transaction.put(&begun, replay.map(|replay| replay.version));
    transaction.commit().await?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::wake(&ctx.table, &code, cause, "settings").await?;
    let version = read_version.unwrap_or_default() + 1;
    Reply::of(ctx, &Stored { value: site, version }, call.now, call.locale).await
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::*;
    use crate::fixtures::{self, World, code, settings};

    fn command(url: &str) -> Command {
        Command { site: SiteCode("academics".into()), settings: settings(url) }
    }

    #[tokio::test]
    async fn a_site_is_added_and_described_anew_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                let first = testkit::call(command("https://one.example"));
                handle(&ctx, &first).await.expect("added");
                let mut anew = command("https://one.example");
                anew.settings.naming.course_full_name = "{course_title}".into();
                testkit::call(anew)
            },
            async |table, call| handle(&fixtures::ctx(table), call).await.map(drop),
            async |table, call| {
                let again = handle(&fixtures::ctx(table), call).await.expect("it stands");
                assert_eq!(again.version, 2);
                let page = PageRequest { after: None, limit: 10 };
                let trail = table.query(&table::audit_chain("site:academics"), &page).await;
                let trail = trail.expect("reads").records;
                let fields: Vec<&str> =
                    trail[1].value.changes.iter().map(|change| change.field.as_str()).collect();
                assert_eq!((trail.len(), fields), (2, vec!["naming"]), "noted once each");
                assert_eq!(again.settings.naming.course_full_name, "{course_title}");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_described_anew_meanwhile_is_not_overwritten() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        let set = async |title: &str, read| {
            let mut command = command("https://one.example");
            command.settings.title = title.into();
            let call = Call { if_match: Some(read), ..testkit::call(command) };
            handle(&ctx, &call).await
        };
        set("Academics", 0).await.expect("added");
        assert_eq!(code(set("Studies", 0).await), "PRECONDITION_FAILED");
        set("Academics", 0).await.expect("it has had its effect");
        set("Studies", 1).await.expect("described anew");
    }

    #[tokio::test]
    async fn what_is_known_of_one_moodle_is_not_taken_to_another() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        handle(&ctx, &testkit::call(command("https://one.example"))).await.expect("added");
        let moved = handle(&ctx, &testkit::call(command("https://two.example"))).await;
        assert_eq!(code(moved), "SITE_ADDRESS_FIXED");
    }

    #[tokio::test]
    async fn a_site_that_cannot_be_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        let call = testkit::call(command("http://moodle.example"));
        assert_eq!(code(handle(&ctx, &call).await), "SITE_ADDRESS_WRONG");
        let mut evil = command("https://evil.example");
        evil.site = SiteCode("library".into());
        assert_eq!(code(handle(&ctx, &testkit::call(evil)).await), "SITE_SECRET_FOREIGN");
        let mut wrong = command("https://moodle.example");
        wrong.settings.naming.course_full_name = "{room}".into();
        assert_eq!(code(handle(&ctx, &testkit::call(wrong)).await), "TEMPLATE_FIELD_UNKNOWN");
    }

    #[tokio::test]
    async fn what_was_known_before_the_site_comes_into_it() {
        let world = World::without_site().await;
        world.enrol("a", "ada").await;
        world.enrol("a", "bob").await;
        world.enrol("b", "ada").await;
        let command = command(world.site.url());
        handle(&world.ctx, &testkit::call(command)).await.expect("added");
        world.run().await;
        let ab = |section: &str, student: &str| (section.to_owned(), student.to_owned(), false);
        assert_eq!(world.enrolled(), [ab("a", "ada"), ab("a", "bob"), ab("b", "ada")]);
        assert_eq!(fixtures::marked(&world.ctx, "academics").await, Vec::<String>::new());
    }
}
