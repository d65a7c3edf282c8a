//! The office that stops a student lets them go on. Lifting twice changes nothing: the first word stands.

use events::HoldLifted;
use kernel::{HoldId, PersonId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Noted;

use super::place_hold::{OFFICES, offices};
use crate::Ctx;
use crate::domain::{Hold, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::act("lift-hold", "/students/{student}/holds/{hold}/lifting", OFFICES, "Lift a hold");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub hold: HoldId,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Hold, Failure> {
    let Command { student, hold, reason } = call.command.clone();
    let stored = ctx.table.get(&store::hold_key(student, hold)).await?;
    let mut stored = stored.ok_or(Refusal::HoldUnknown)?;
    let before = stored.value.clone();
    if !stored.value.lift(&offices(call), call.person(), call.now, reason)? {
        return Ok(stored.value);
    }
    let waited_for = store::waited_for(&ctx.table, student).await?;
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let told = (stored.version + 1, cause);
    store::ask_lines_again(&mut transaction, &waited_for, &hold.to_string(), told);
    let event = HoldLifted { hold, student };
    transaction.event(event, stored.version + 1, call.now, &call.correlation_id);
    let trail = ctx.table.trail(student).await?;
    let noted = Noted::change(format!("hold/{hold}")).fields_of(Some(&before), &stored.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &stored.value);
    transaction.commit().await?;
    Ok(stored.value)
}

#[cfg(test)]
mod tests {
    use events::Event;
    use shell::Role;
    use testkit::person;

    use super::super::place_hold::{self, tests::office, tests::on};
    use super::super::submit;
    use super::*;
    use crate::domain::HoldKind;
    use crate::fixtures::{cart, code, offer};

    async fn held(ctx: &Ctx, role: Role, kind: HoldKind) -> Command {
        let placed = place_hold::handle(ctx, &office(role, on("ada", kind))).await.expect("held");
        Command { student: person("ada"), hold: placed.id, reason: "Settled.".into() }
    }

    #[tokio::test]
    async fn a_hold_is_lifted_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                office(Role::Registrar, held(&ctx, Role::Registrar, HoldKind::Academic).await)
            },
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let again = Command { reason: "Again.".into(), ..call.command.clone() };
                let hold = handle(&ctx, &office(Role::Registrar, again)).await.expect("it is");
                assert_eq!(hold.lifted.map(|lifted| lifted.reason).as_deref(), Some("Settled."));
                let told = testkit::published(table).await;
                assert_eq!(told.iter().filter(|event| event.name == HoldLifted::NAME).count(), 1);
                let noted = testkit::operations_noted(table, person("ada")).await;
                assert_eq!(noted, [place_hold::ROUTE.operation, ROUTE.operation]);
                let section = offer(table, "a", |_| ()).await;
                submit::handle(&ctx, &cart(&[section])).await.expect("a seat");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn only_the_office_that_holds_lets_go() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let command = held(&ctx, Role::Bursar, HoldKind::Financial).await;
        let by_other = handle(&ctx, &office(Role::Registrar, command.clone())).await;
        assert_eq!(code(by_other), "HOLD_OF_ANOTHER_OFFICE");
        let of_nobody = Command { student: person("bob"), ..command.clone() };
        assert_eq!(code(handle(&ctx, &office(Role::Bursar, of_nobody)).await), "HOLD_UNKNOWN");
        handle(&ctx, &office(Role::Bursar, command)).await.expect("lifted");
    }
}
