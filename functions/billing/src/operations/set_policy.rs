//! What the office has set: limits above which a second person decides, and what holds a student. The bursar, whose
//! hands it binds, does not set it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::Ctx;
use crate::domain::BillingPolicy;
use crate::store;

pub const ROUTE: Route = Route::replace(
    "set-policy",
    "/billing-policy",
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]),
    "Set limits and holds of billing",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub policy: BillingPolicy,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub version: u64,
    pub policy: BillingPolicy,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let policy = call.command.policy.clone();
    policy.check()?;
    let stored = ctx.table.get(&store::policy_key()).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.value == policy) {
        return Ok(Reply { version: stored.version, policy });
    }
    let read_version = stored.map(|stored| stored.version);
    call.check_version(read_version.unwrap_or_default())?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&policy, read_version);
    transaction.commit().await?;
    Ok(Reply { version: read_version.unwrap_or_default() + 1, policy })
}

#[cfg(test)]
mod tests {
    use super::super::read_policy;
    use super::*;
    use crate::fixtures::{code, ctx, francs, replaces_only_what_was_read};

    #[tokio::test]
    async fn what_was_set_meanwhile_is_not_overwritten() {
        let policies = [5, 6].map(|minor| {
            let second_person_above = vec![francs(minor)];
            let policy = BillingPolicy { second_person_above, ..BillingPolicy::default() };
            Command { policy }
        });
        replaces_only_what_was_read(handle, policies).await;
    }

    #[tokio::test]
    async fn a_policy_is_set_and_read_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| {
                let second_person_above = vec![francs(5)];
                let policy = BillingPolicy { second_person_above, ..BillingPolicy::default() };
                testkit::call(Command { policy })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let read = testkit::call(read_policy::Command {});
                let read = read_policy::handle(&ctx(table), &read).await.expect("reads");
                assert_eq!((read.version, &read.policy), (1, &call.command.policy));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_policy_that_contradicts_itself_is_refused() {
        let test = testkit::TestTable::new().await;
        let second_person_above = vec![francs(5), francs(6)];
        let policy = BillingPolicy { second_person_above, ..BillingPolicy::default() };
        let refused = handle(&ctx(&test.table), &testkit::call(Command { policy })).await;
        assert_eq!(code(refused), "POLICY_CONTRADICTORY");
    }
}
