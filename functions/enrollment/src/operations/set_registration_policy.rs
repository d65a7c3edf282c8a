//! What the institution decides for every term: what becomes of a registration whose prerequisites are broken. Two who
//! write at once do not undo each other's word: it takes the place of the one that was read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::OPERATORS;
use crate::Ctx;
use crate::domain::RegistrationPolicy;
use crate::store;

pub const ROUTE: Route = Route::replace(
    "set-registration-policy",
    "/registration-policy",
    OPERATORS,
    "Set what becomes of registrations whose prerequisites are broken",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub policy: RegistrationPolicy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reply {
    /// 0 where nothing was set.
    pub version: u64,
    pub policy: RegistrationPolicy,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let policy = call.command.policy.clone();
    let stored = ctx.table.get(&store::registration_policy_key()).await?;
    let read = stored.as_ref().map(|stored| stored.version);
    let version = read.unwrap_or_default();
    if stored.is_some_and(|stored| stored.value == policy) {
        return Ok(Reply { version, policy });
    }
    call.check_version(version)?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&policy, read);
    transaction.commit().await?;
    Ok(Reply { version: version + 1, policy })
}

#[cfg(test)]
mod tests {
    use super::super::read_registration_policy;
    use super::*;
    use crate::domain::OnBrokenPrerequisite;

    #[tokio::test]
    async fn a_policy_is_set_once_whatever_happens_on_the_wire() {
        let drop_at_once = OnBrokenPrerequisite::Drop { grace_days: 0 };
        testkit::under_every_fault(
            async |_| {
                let policy = RegistrationPolicy { on_broken_prerequisite: drop_at_once };
                testkit::call(Command { policy })
            },
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let read = testkit::call(read_registration_policy::Command {});
                let read = read_registration_policy::handle(&Ctx::new(table.clone()), &read).await;
                let read = read.expect("reads");
                assert_eq!((read.version, read.policy), (1, call.command.policy.clone()));
            },
        )
        .await;
    }
}
