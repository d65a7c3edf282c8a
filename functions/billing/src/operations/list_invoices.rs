//! A student's invoices, the latest first.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, ClientScope, Failure, Listing, Route};

use super::{OWN_OR_STAFF, read_invoice};
use crate::Ctx;
use crate::store;

pub const ROUTE: Route =
    Route::list("list-invoices", "/invoices", OWN_OR_STAFF, "List invoices, the latest first")
        .for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose invoices; the caller's own unless given.
    pub student: Option<PersonId>,
}

pub type Reply = Listing<read_invoice::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        // As for a student who has none: whether there is such a student is not told.
        return Ok(Listing { items: Vec::new(), next_cursor: None });
    }
    let page = ctx.table.query(&store::invoices(student), &call.page).await?;
    let items = page
        .records
        .iter()
        .map(|invoice| read_invoice::Reply::of(&invoice.value, invoice.version))
        .collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use shell::Scope;
    use table::PageRequest;

    use super::*;
    use crate::fixtures::{charge, ctx};

    #[tokio::test]
    async fn a_student_pages_through_their_own_and_no_others() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for bundle in ["one", "two", "three"] {
            charge(&ctx, "ada", bundle).await;
        }
        charge(&ctx, "bob", "four").await;
        let mut numbers = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: 2 };
            let call = Call { page, ..testkit::call(Command { student: None }) };
            let reply = handle(&ctx, &call).await.expect("a page");
            numbers.extend(reply.items.into_iter().map(|invoice| invoice.number));
            let Some(next) = reply.next_cursor else { break };
            after = Some(next);
        }
        numbers.sort();
        assert_eq!(numbers, ["MAT-2027-000001", "MAT-2027-000002", "MAT-2027-000003"]);
    }

    #[tokio::test]
    async fn staff_name_the_student_and_a_student_who_names_another_sees_none() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "bob", "one").await;
        let bobs = Command { student: Some(testkit::person("bob")) };
        let student = handle(&ctx, &testkit::call(bobs.clone())).await.expect("a page");
        assert_eq!(student.items.len(), 0);
        let staff = Call { reach: vec![(Scope::All, None)], ..testkit::call(bobs) };
        assert_eq!(handle(&ctx, &staff).await.expect("a page").items.len(), 1);
    }
}
