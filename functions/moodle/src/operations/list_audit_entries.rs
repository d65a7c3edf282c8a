//! Who has described a site, and as what, the newest first; or what somebody did here on a day, in the order in which
//! they did it. That this is asked is noted as well.

use shell::{Call, Failure, Listing, Route, TrailEntry, TrailQuestion};

use super::ADMINISTRATORS;
use crate::Ctx;

pub const ROUTE: Route = Route::list(
    "list-audit-entries",
    "/moodle-audit-trail",
    ADMINISTRATORS,
    "List who described a Moodle site as what, or what somebody did here on a day",
);

pub type Command = TrailQuestion;
pub type Reply = Listing<TrailEntry>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    shell::answer_trail_question(&ctx.table, call, ROUTE.operation).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SiteCode;
    use crate::fixtures;
    use crate::operations::set_site;

    #[tokio::test]
    async fn who_set_a_site_to_what_is_listed_by_the_site() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        let settings = fixtures::settings("https://moodle.example");
        let command = set_site::Command { site: SiteCode("academics".into()), settings };
        set_site::handle(&ctx, &testkit::call(command)).await.expect("set");
        let subject = Some("site:academics".to_owned());
        let call = testkit::call(Command { subject, ..Command::default() });
        let entries = handle(&ctx, &call).await.expect("a trail").items;
        let operations: Vec<&str> = entries.iter().map(|one| one.operation.as_str()).collect();
        assert_eq!(operations, ["list-audit-entries", "set-site"]);
        let changes = &entries[1].changes;
        let url = changes.iter().find(|change| change.field == "url").expect("a field");
        assert_eq!(
            (url.old.as_deref(), url.new.as_deref()),
            (None, Some("https://moodle.example"))
        );
    }
}
