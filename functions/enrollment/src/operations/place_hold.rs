//! An office stops a student: nothing more can be registered until the hold is lifted or ends. What is registered
//! stays, and can be dropped.

use events::HoldPlaced;
use kernel::{PersonId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};
use table::Noted;

use crate::Ctx;
use crate::domain::{self, Hold, HoldKind, Office, Refusal};
use crate::store::HoldEnd;

/// The offices that hold students, each in its own matters.
pub(super) const OFFICES: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Bursar, scope: Scope::All },
]);

pub const ROUTE: Route =
    Route::create("place-hold", "/students/{student}/holds", OFFICES, "Stop a student");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub kind: HoldKind,
    /// Shown to the student.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Until when, where it ends by itself.
    pub ends_at: Option<Timestamp>,
}

pub type Reply = Hold;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { student, kind, reason, ends_at } = call.command.clone();
    domain::may_keep(&offices(call), kind)?;
    if ends_at.is_some_and(|ends_at| ends_at <= call.now) {
        return Err(Refusal::HoldEndsBeforeItBegins.into());
    }
    let hold = Hold {
        id: call.new_id(),
        student,
        kind,
        reason,
        placed_by: call.person(),
        placed_at: call.now,
        ends_at,
        lifted: None,
    };
    let mut transaction = ctx.table.transaction();
    transaction.create(&hold);
    if let Some(ends_at) = ends_at {
        transaction.create(&HoldEnd { hold: hold.id, student, ends_at });
    }
    let event = HoldPlaced { hold: hold.id, student, ends_at };
    transaction.event(event, 1, call.now, &call.correlation_id);
    let trail = ctx.table.trail(student).await?;
    let noted = Noted::change(format!("hold/{}", hold.id)).fields_of(None, &hold);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &hold);
    transaction.commit().await?;
    Ok(hold)
}

/// The offices that the caller works in.
pub(super) fn offices<C>(call: &Call<C>) -> Vec<Office> {
    let grants = call.caller.iter().flat_map(|caller| &caller.grants);
    let offices = grants.filter_map(|grant| match grant.role {
        Role::Registrar => Some(Office::Registrar),
        Role::Bursar => Some(Office::Bursar),
        _ => None,
    });
    offices.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use events::Event;
    use shell::Grant;
    use testkit::{TestTable, person};

    use super::super::{confirm, drop_registration, list_holds, submit};
    use super::*;
    use crate::fixtures::{by, cart, code, held, of_bundle, offer};

    /// A call by somebody who works in an office.
    pub fn office<C>(role: Role, command: C) -> Call<C> {
        let mut call = by("clerk", testkit::call(command));
        call.reach = vec![(Scope::All, None)];
        if let Some(caller) = &mut call.caller {
            caller.grants = vec![Grant { role, department: None }];
        }
        call
    }

    pub fn on(student: &str, kind: HoldKind) -> Command {
        let reason = "Come and see us.".to_owned();
        Command { student: person(student), kind, reason, ends_at: None }
    }

    #[tokio::test]
    async fn a_hold_is_placed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| office(Role::Registrar, on("ada", HoldKind::Academic)),
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, _| {
                let list = testkit::call(list_holds::Command { student: person("ada") });
                let listed = list_holds::handle(&Ctx::new(table.clone()), &list).await;
                assert_eq!(listed.expect("lists").items.len(), 1);
                let told = testkit::published(table).await;
                assert_eq!(told.iter().filter(|event| event.name == HoldPlaced::NAME).count(), 1);
                let noted = testkit::operations_noted(table, person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn whoever_is_held_registers_for_nothing_and_may_drop() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply = held(&test.table, |_| ()).await;
        confirm::handle(&ctx, &of_bundle(&reply)).await.expect("confirms");
        let hold = office(Role::Registrar, on("ada", HoldKind::Disciplinary));
        handle(&ctx, &hold).await.expect("held");
        let other = offer(&test.table, "b", |_| ()).await;
        let Err(Failure::Refused(refusal)) = submit::handle(&ctx, &cart(&[other])).await else {
            panic!("it is refused");
        };
        assert_eq!(refusal.code(), "HOLD");
        let errors = refusal.extensions(kernel::Locale::En)["errors"].clone();
        assert_eq!(errors[0]["holds"][0]["kind"], "disciplinary");
        assert_eq!(errors[0]["holds"][0]["reason"], "Come and see us.");
        submit::handle(&ctx, &by("bob", cart(&[other]))).await.expect("others are not held");
        let registration = reply.bundles[0].registrations[0].registration;
        let drop = testkit::call(drop_registration::Command { registration });
        drop_registration::handle(&ctx, &drop).await.expect("dropped");
    }

    #[tokio::test]
    async fn a_hold_that_has_ended_stops_nobody() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let ends_at = Some(testkit::now());
        let command = Command { ends_at, ..on("ada", HoldKind::Academic) };
        let before = "2027-01-14T00:00:00Z".parse().expect("a timestamp");
        let placed = Call { now: before, ..office(Role::Registrar, command) };
        handle(&ctx, &placed).await.expect("held");
        let early = Call { now: before, ..cart(&[section]) };
        assert_eq!(code(submit::handle(&ctx, &early).await), "HOLD");
        submit::handle(&ctx, &cart(&[section])).await.expect("a seat, from that second on");
    }

    #[tokio::test]
    async fn a_hold_that_would_never_be_in_force_is_refused() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let until = |ends_at: &str| {
            let ends_at = Some(ends_at.parse().expect("a timestamp"));
            office(Role::Registrar, Command { ends_at, ..on("ada", HoldKind::Academic) })
        };
        for ends_at in ["2027-01-14T00:00:00Z", testkit::NOW] {
            let refused = handle(&ctx, &until(ends_at)).await;
            assert_eq!(code(refused), "HOLD_ENDS_BEFORE_IT_BEGINS");
        }
        handle(&ctx, &until("2027-01-15T08:30:01Z")).await.expect("for a second");
    }

    #[tokio::test]
    async fn each_office_holds_in_its_own_matters() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        for (role, kind) in
            [(Role::Registrar, HoldKind::Financial), (Role::Bursar, HoldKind::Academic)]
        {
            let refused = handle(&ctx, &office(role, on("ada", kind))).await;
            assert_eq!(code(refused), "HOLD_OF_ANOTHER_OFFICE");
        }
        handle(&ctx, &office(Role::Bursar, on("ada", HoldKind::Financial))).await.expect("held");
    }
}
