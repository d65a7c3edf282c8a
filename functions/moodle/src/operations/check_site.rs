//! Proves on the site itself that it is set up as it must be, in sentences for its administrator. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::ADMINISTRATORS;
use crate::check::{Finding, check};
use crate::domain::{Refusal, SiteCode};
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
    let client = sync::client_of(ctx, &site.value).await.map_err(|fault| {
        tracing::warn!(site = %site.value.code, error = fault.chain(), "no token to check with");
        Refusal::TokenUnavailable
    })?;
    let findings = check(&client, settings, call.locale).await;
    let is_ready = findings.iter().all(|finding| finding.is_passed);
    Ok(Reply { is_ready, findings })
}

#[cfg(test)]
mod tests {
    use testkit::{MoodleFault, MoodleSiteSettings};

    use super::*;
    use crate::fixtures::{World, code};

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
    async fn without_a_token_there_is_nothing_to_check_with() {
        let world = World::start().await;
        world.change_settings(|settings| settings.token_secret = "another".into()).await;
        let call = testkit::call(Command { site: SiteCode("academics".into()) });
        assert_eq!(code(handle(&world.ctx, &call).await), "TOKEN_UNAVAILABLE");
    }
}
