//! An override lets its student in no longer; who came in by it stays. Revoking twice changes nothing: the first word
//! stands.

use events::OverrideRevoked;
use kernel::{OverrideId, PersonId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Noted;

use super::give_override::{GIVERS, givers};
use crate::Ctx;
use crate::domain::{self, Override, Refusal};
use crate::store;

pub const ROUTE: Route = Route::act(
    "revoke-override",
    "/students/{student}/overrides/{override}/revocation",
    GIVERS,
    "Take an override back",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub r#override: OverrideId,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Override, Failure> {
    let Command { student, r#override, reason } = call.command.clone();
    let stored = ctx.table.get(&store::override_key(student, r#override)).await?;
    let mut stored = stored.ok_or(Refusal::OverrideUnknown)?;
    // Whoever gave it takes it back, even if they no longer could give it.
    if stored.value.given_by != call.person() {
        let givers = givers(call, &stored.value.department, false);
        domain::may_lift(&givers, stored.value.code)?;
    }
    let before = stored.value.clone();
    if !stored.value.revoke(call.person(), call.now, reason) {
        return Ok(stored.value);
    }
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    let event = OverrideRevoked { r#override, student, section: stored.value.section };
    transaction.event(event, stored.version + 1, call.now, &call.correlation_id);
    let trail = ctx.table.trail(student).await?;
    let noted =
        Noted::change(format!("override/{}", before.id)).fields_of(Some(&before), &stored.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &stored.value);
    transaction.commit().await?;
    Ok(stored.value)
}

#[cfg(test)]
mod tests {
    use events::Event;
    use shell::Role;
    use testkit::{TestTable, person};

    use super::super::give_override::{self, tests::registrar, tests::staff};
    use super::super::submit;
    use super::*;
    use crate::domain::ItemCode;
    use crate::fixtures::{cart, code, offer, section, taken};

    async fn given(ctx: &Ctx) -> Command {
        let section = offer(&ctx.table, "a", |event| event.capacity = 0).await;
        let given = give_override::handle(ctx, &registrar(ItemCode::Closed, section)).await;
        let id = given.expect("given").id;
        Command { student: person("ada"), r#override: id, reason: "A mistake.".into() }
    }

    #[tokio::test]
    async fn an_override_is_revoked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let command = given(&Ctx::new(table.clone())).await;
                staff("registrar", Role::Registrar, None, command)
            },
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let again = Command { reason: "Again.".into(), ..call.command.clone() };
                let again = staff("registrar", Role::Registrar, None, again);
                let revoked = handle(&ctx, &again).await.expect("it is").revoked.expect("it is");
                assert_eq!(revoked.reason, "A mistake.");
                let told = testkit::published(table).await;
                let told = told.iter().filter(|event| event.name == OverrideRevoked::NAME);
                assert_eq!(told.count(), 1);
                let noted = testkit::operations_noted(table, person("ada")).await;
                assert_eq!(noted, [give_override::ROUTE.operation, ROUTE.operation]);
                assert_eq!(code(submit::handle(&ctx, &cart(&[section("a")])).await), "CLOSED");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn whoever_came_in_by_it_stays_and_others_do_not_revoke_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let command = given(&ctx).await;
        submit::handle(&ctx, &cart(&[section("a")])).await.expect("beyond the capacity");
        let stranger = staff("stranger", Role::Teacher, None, command.clone());
        assert_eq!(code(handle(&ctx, &stranger).await), "OVERRIDE_OUT_OF_REACH");
        let head = staff("head", Role::HeadOfDepartment, Some("MATH"), command);
        handle(&ctx, &head).await.expect("revoked");
        assert_eq!(taken(&test.table, section("a")).await, 1);
    }
}
