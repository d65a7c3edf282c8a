//! Linked sections are no longer offered together; the sections themselves stay.

use kernel::RegistrationGroupId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::list_registration_groups::Group;
use super::{PLANNERS, editor};
use crate::Ctx;
use crate::domain::{Refusal, SectionState};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "cancel-registration-group",
    "/registration-groups/{group}/cancellation",
    PLANNERS,
    "Offer linked sections no longer together",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub group: RegistrationGroupId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Group, Failure> {
    let key = store::group_key(call.command.group);
    let mut stored = ctx.table.get(&key).await?.ok_or(Refusal::RegistrationGroupUnknown)?;
    let sections = store::sections_by_id(&ctx.table, &stored.value.sections).await?;
    let states: Vec<SectionState> = sections.iter().map(|section| section.value.state).collect();
    if let Some(section) = sections.first() {
        let term = ctx.table.get(&store::term_key(section.value.term)).await?;
        let term = term.ok_or(Refusal::TermUnknown)?;
        editor(call, &section.value.department)?.may_add_and_move(term.value.state)?;
    }
    if stored.value.cancelled {
        return Ok(Group::of(stored.value, stored.version, &states));
    }
    stored.value.cancelled = true;
    let reply = Group::of(stored.value, stored.version + 1, &states);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_group(&mut transaction, &reply.group, Some(stored.version), cause);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::super::create_registration_group;
    use super::*;
    use crate::domain::Code;
    use crate::fixtures::{ctx, registrar};

    #[tokio::test]
    async fn a_group_is_cancelled_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let (_, sections) = create_registration_group::tests::parts(&ctx(table)).await;
                let command = create_registration_group::Command {
                    code: Code("G".into()),
                    sections: sections.into(),
                };
                let create = registrar(command);
                let made = create_registration_group::handle(&ctx(table), &create).await;
                registrar(Command { group: made.expect("a group").group.id })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::group_key(call.command.group);
                let group = table.get(&key).await.expect("reads").expect("is there");
                assert_eq!((group.version, group.value.cancelled), (2, true));
            },
        )
        .await;
    }
}
