//! The staff take a lost second factor from somebody, with a reason: the registrar from students, an administrator from
//! anybody else, nobody from themselves. Every session of theirs ends, and they are told by mail.

use events::SecondFactorReset;
use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::domain::{Refusal, check_resetter};
use crate::{Ctx, audit, store};

pub const ROUTE: Route = Route::act(
    "reset-second-factor",
    "/people/{person}/second-factor/reset",
    Access::Roles(&[
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Take a lost second factor from somebody",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    /// How it was made sure that it is they who ask, such as a card that they showed.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub reason: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let Command { person, ref reason } = call.command;
    if person == call.person() {
        return Err(Refusal::OwnSecondFactor.into());
    }
    let own = store::own_session(&ctx.table, call.caller(), call.now).await?;
    let found = store::acted_upon(&ctx.table, person).await?;
    check_resetter(&call.caller().grants, &found.roles.0, call.now)?;
    let account = found.account.ok_or(Refusal::SecondFactorUnknown)?;
    let factor = ctx.table.get(&store::second_factor_key(account)).await?;
    let factor = factor.ok_or(Refusal::SecondFactorUnknown)?;
    let mut transaction = ctx.table.transaction();
    own.check_standing(&mut transaction);
    transaction.delete(&factor);
    let next = found.end_sessions(&mut transaction, call.now);
    let noted = audit::second_factor(&factor.value, None).because(reason);
    found.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    let event = SecondFactorReset { account, person, reset_at: call.now, reset_by: call.person() };
    transaction.event(event, next.ends, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &());
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::super::assign_role;
    use super::*;
    use crate::fixtures::{
        ada_logged_in, by_administrator, caller_of, code, ctx, enrolled, log_in, of_staff, trail_of,
    };
    use events::Event;

    fn lost(person: PersonId) -> Command {
        Command { person, reason: "She showed her card at the counter.".into() }
    }

    async fn reset(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
        shell::http::carry_out(ctx, &handle, call).await.map(drop)
    }

    #[tokio::test]
    async fn a_lost_factor_is_taken_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let ada = ada_logged_in(&ctx).await;
                enrolled(&ctx, ada.person).await;
                (of_staff(&ctx, Role::Registrar, lost(ada.person)).await, ada)
            },
            async |table, (call, _)| reset(&ctx(table), call).await,
            async |table, (call, before)| {
                let ctx = ctx(table);
                assert_eq!(code(caller_of(&ctx, before).await), "SESSION_ENDED");
                log_in(&ctx, "ada@matricula.example", "a long enough secret").await.expect("alone");
                let events = testkit::published(table).await.into_iter();
                let told: Vec<_> =
                    events.filter(|event| event.name == SecondFactorReset::NAME).collect();
                assert_eq!(told.len(), 1);
                assert_eq!(told[0].data["reset_by"], call.person().to_string());
                assert!(!told[0].data.to_string().contains("card"), "the reason is for us");
                let entries = trail_of(table, before.person).await.into_iter();
                let taken: Vec<_> =
                    entries.filter(|entry| entry.operation == ROUTE.operation).collect();
                assert_eq!(taken.len(), 1);
                assert_eq!(taken[0].reason, Some(call.command.reason.clone()), "and is kept");
                assert_eq!(taken[0].actor.as_str(), call.person().to_string());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_factor_taken_twice_is_told_twice() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        for _ in 0..2 {
            enrolled(&ctx, ada.person).await;
            let call = of_staff(&ctx, Role::Registrar, lost(ada.person)).await;
            reset(&ctx, &call).await.expect("taken");
        }
        let events = testkit::published(&ctx.table).await.into_iter();
        let told = events.filter(|event| event.name == SecondFactorReset::NAME);
        let ids: std::collections::BTreeSet<_> = told.map(|event| event.id).collect();
        assert_eq!(ids.len(), 2);
    }

    #[tokio::test]
    async fn the_registrar_takes_it_from_students_alone_and_nobody_from_themselves() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let registrar = async || of_staff(&ctx, Role::Registrar, lost(ada.person)).await;
        assert_eq!(code(reset(&ctx, &registrar().await).await), "SECOND_FACTOR_UNKNOWN");
        enrolled(&ctx, ada.person).await;
        let (email, department, valid_to) = (None, None, None);
        // Though her other role begins only tomorrow.
        let valid_from = Some(testkit::now() + jiff::SignedDuration::from_hours(24));
        let (role, person) = (Role::Bursar, Some(ada.person));
        let command =
            assign_role::Command { person, email, role, department, valid_from, valid_to };
        assign_role::handle(&ctx, &by_administrator(command)).await.expect("assigned");
        assert_eq!(code(reset(&ctx, &registrar().await).await), "NOT_A_STUDENT");
        let mut own = of_staff(&ctx, Role::Administrator, lost(ada.person)).await;
        own.command.person = own.person();
        assert_eq!(code(reset(&ctx, &own).await), "OWN_SECOND_FACTOR");
        let nobody = lost(testkit::person("nobody"));
        let nobody = of_staff(&ctx, Role::Administrator, nobody).await;
        assert_eq!(code(reset(&ctx, &nobody).await), "PERSON_UNKNOWN");
        let both = of_staff(&ctx, Role::Administrator, lost(ada.person)).await;
        reset(&ctx, &both).await.expect("an administrator may");
    }
}
