//! Proves on the site itself that it is set up as it must be, in sentences for its administrator. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::{PageRequest, Stored};

use super::ADMINISTRATORS;
use crate::check::{Finding, check};
use crate::domain::{Kind, Section, SiteCode};
use crate::{Ctx, store, sync};

pub const ROUTE: Route = Route::call(
    "check-site",
    "/moodle/sites/{site}/checks",
    ADMINISTRATORS,
    "Check how a Moodle site is set up",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub is_ready: bool,
    pub findings: Vec<Finding>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let site = store::site(&ctx.table, &call.command.site).await?;
    let settings = &site.value.settings;
    // Who checks has just put a new token there, as often as not.
    ctx.tokens.forget(&settings.token_secret).await;
    let client = sync::client_of(ctx, &site.value).await?;
    let course = some_course(ctx, &site.value.code).await?;
    let findings = check(&client, settings, course, call.locale).await;
    let is_ready = findings.iter().all(|finding| finding.is_passed);
    Ok(Reply { is_ready, findings })
}

/// A course of ours that stands there, if one of the first sections has one.
async fn some_course(ctx: &Ctx, site: &SiteCode) -> Result<Option<i64>, Failure> {
    let first = PageRequest { after: None, limit: 25 };
    let sections = ctx.table.query(&store::sections(), &first).await?.records;
    let key = |section: &Stored<Section>| {
        store::mapping_key(site, Kind::Course, &section.value.section.to_string())
    };
    let keys = sections.iter().map(|section| (&key(section)).into()).collect();
    let mut mappings = store::batch(&ctx.table, keys).await?;
    for section in &sections {
        if let Some(mapping) = store::take(&mut mappings, &key(section))? {
            return Ok(Some(mapping.value.moodle_id));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use testkit::{MoodleFault, MoodleSiteSettings};

    use super::*;
    use crate::client::needed;
    use crate::fixtures::{self, World, code};

    async fn checked(world: &World) -> Reply {
        let command = Command { site: SiteCode("academics".into()) };
        handle(&world.ctx, &testkit::call(command)).await.expect("it is checked")
    }

    fn failed(reply: &Reply) -> Vec<&str> {
        let failed = reply.findings.iter().filter(|finding| !finding.is_passed);
        failed.map(|finding| finding.code.as_str()).collect()
    }

    #[tokio::test]
    async fn a_site_that_is_set_up_well_passes_and_is_not_changed() {
        let world = World::start().await;
        let reply = checked(&world).await;
        assert_eq!(failed(&reply), Vec::<&str>::new(), "{reply:?}");
        assert!(reply.is_ready && reply.findings.len() >= 8);
        assert_eq!((world.site.users().len(), world.site.courses().len()), (0, 0));
        assert_eq!(world.site.enrolments().len(), 0);
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        let world = World::start().await;
        world.site.break_after(0, MoodleFault::TokenExpired, 1);
        assert_eq!(failed(&checked(&world).await), ["ACCESS_REFUSED"]);
        assert_eq!(failed(&checked(&world).await), ["TOKEN_INVALID"]);
        world.site.mend();
        world.change_settings(|settings| settings.roles.student = 1).await;
        assert_eq!(failed(&checked(&world).await), ["CHECK_ROLE_NOT_ASSIGNABLE"]);
        let small = MoodleSiteSettings { max_input_vars: 1_000, ..MoodleSiteSettings::default() };
        let world = World::with_site(small).await;
        let reply = checked(&world).await;
        assert_eq!(failed(&reply), ["CHECK_INPUT_VARS_LOW"]);
        let sentence = &reply.findings.iter().find(|one| !one.is_passed).expect("one").sentence;
        assert!(sentence.contains("max_input_vars"), "{sentence}");
    }

    #[tokio::test]
    async fn what_is_read_of_courses_is_tried_with_one_that_stands_there() {
        let world = World::start().await;
        let codes = |reply: &Reply| {
            reply.findings.iter().map(|finding| finding.code.clone()).collect::<Vec<_>>()
        };
        assert!(codes(&checked(&world).await).contains(&"CHECK_COURSE_NONE".to_owned()));
        world.enrol("a", "ada").await;
        world.run().await;
        world.site.take_asked();
        let reply = checked(&world).await;
        assert_eq!(failed(&reply), Vec::<&str>::new(), "{reply:?}");
        assert!(!codes(&reply).contains(&"CHECK_COURSE_NONE".to_owned()));
        let asked = world.site.take_asked().requests;
        for function in needed(&fixtures::settings(world.site.url())) {
            // A change to a course proves nothing without making it.
            let is_tried = asked.contains_key(function);
            assert_eq!(is_tried, function != "core_course_update_courses", "{function}");
        }
    }

    #[tokio::test]
    async fn a_right_that_is_lacking_is_named_with_its_function_wherever_it_is_asked_for() {
        let world = World::start().await;
        world.enrol("a", "ada").await;
        world.run().await;
        // Behind the description of the site and the account of the integration user.
        for place in 2..16 {
            world.site.break_after(place, MoodleFault::RightLacking, 1);
            world.site.take_asked();
            let reply = checked(&world).await;
            assert_eq!(failed(&reply), ["CHECK_RIGHT_LACKING"], "{place}: {reply:?}");
        }
    }

    #[tokio::test]
    async fn without_a_token_there_is_nothing_to_check_with() {
        let world = World::start().await;
        fixtures::add_site(&world.ctx, "library", world.site.url()).await;
        let call = testkit::call(Command { site: SiteCode("library".into()) });
        assert_eq!(code(handle(&world.ctx, &call).await), "TOKEN_UNAVAILABLE");
    }
}
