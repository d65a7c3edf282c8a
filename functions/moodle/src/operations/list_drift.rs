//! What differs in a site, one by one, as the last complete check found it.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route, sentence};

use super::STAFF;
use crate::Ctx;
use crate::domain::{Difference, Kind, SENTENCES, SiteCode};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-drift",
    "/moodle/sites/{site}/drift",
    STAFF,
    "List what differs in a Moodle site",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub difference: Difference,
    pub kind: Kind,
    /// A section's id, a person's, or both with a `/`; what is not known here ends in `moodle-` and Moodle's own id.
    pub entity: String,
    pub moodle_id: Option<i64>,
    /// Whether a repair mends it; what others have put there is only told.
    pub is_ours: bool,
    pub found_at: Timestamp,
    pub sentence: String,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let site = store::site(&ctx.table, &call.command.site).await?.value.code;
    let Some(report) = ctx.table.get(&store::drift_report_key(&site)).await? else {
        return Ok(Listing { items: Vec::new(), next_cursor: None });
    };
    let findings = store::findings(&site, report.value.asked_at);
    let page = ctx.table.query(&findings, &call.page).await?;
    let item = |finding: crate::domain::Finding| Item {
        difference: finding.difference,
        kind: finding.kind,
        entity: finding.entity,
        moodle_id: finding.moodle_id,
        is_ours: finding.difference.is_ours(),
        found_at: finding.found_at,
        sentence: sentence(&SENTENCES, call.locale, finding.difference.sentence_code(), &[]),
    };
    let items = page.records.into_iter().map(|finding| item(finding.value)).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::World;

    #[tokio::test]
    async fn before_the_first_check_nothing_is_known_to_differ() {
        let world = World::start().await;
        let call = testkit::call(Command { site: SiteCode("academics".into()) });
        assert_eq!(handle(&world.ctx, &call).await.expect("a page").items, []);
    }
}
