//! The caller's own profile.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use super::read_person::Reply;
use crate::domain::Refusal;
use crate::{Ctx, store};

pub const ROUTE: Route =
    Route::get("read-profile", "/me", Access::LoggedIn, "Read your own profile");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (person, (roles, _)) = store::person_and_roles(&ctx.table, call.person()).await?;
    Ok(Reply::of(ctx, &person.ok_or(Refusal::PersonUnknown)?, &roles, call.now))
}

#[cfg(test)]
mod tests {
    use kernel::Locale;
    use shell::Role;

    use super::super::read_person::HeldRole;
    use super::*;
    use crate::fixtures::{ada, as_person, code, ctx, verified};

    #[tokio::test]
    async fn everybody_reads_their_own_profile_in_one_call() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        drop(test.engine.take_calls());
        let reply = handle(&ctx, &as_person(person, Command {})).await.expect("reads");
        assert_eq!(test.engine.take_calls().values().sum::<u64>(), 1);
        assert_eq!((reply.id, reply.version, reply.locale), (person, 1, Locale::Fr));
        assert_eq!(reply.roles, [HeldRole { role: Role::Student, department: None }]);
    }

    #[tokio::test]
    async fn somebody_whom_nobody_knows_has_no_profile() {
        let test = testkit::TestTable::new().await;
        let nobody = testkit::call(Command {});
        assert_eq!(code(handle(&ctx(&test.table), &nobody).await), "PERSON_UNKNOWN");
    }
}
