//! Somebody lets one student pass one rule in one section, for a time and with a reason: the teacher gives permission,
//! the head of department and the registrar lift what they answer for. It lifts that rule and no other.

use events::OverrideGiven;
use kernel::{PersonId, SectionId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};
use table::Noted;

use crate::Ctx;
use crate::domain::{self, Giver, ItemCode, Override, Refusal};
use crate::store::{self, Cause};

/// Whoever may lift something somewhere; what and where follows from the section.
pub(super) const GIVERS: Access = Access::Roles(&[
    Allow { role: Role::Teacher, scope: Scope::Own },
    Allow { role: Role::HeadOfDepartment, scope: Scope::Department },
    Allow { role: Role::Registrar, scope: Scope::All },
]);

pub const ROUTE: Route = Route::create(
    "give-override",
    "/students/{student}/overrides",
    GIVERS,
    "Let a student pass one rule in one section",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub section: SectionId,
    /// The rule that it lifts; `INSTRUCTOR_PERMISSION` is the permission that a prerequisite may name, too.
    pub code: ItemCode,
    /// Shown to the student.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    pub expires_at: Timestamp,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Override, Failure> {
    let Command { student, section, code, reason, expires_at } = call.command.clone();
    let seats = ctx.table.get(&store::seats_key(section)).await?.ok_or(Refusal::SectionUnknown)?;
    let seats = seats.value;
    let teaches = seats.teachers.contains(&call.person());
    let givers = givers(call, &seats.department, teaches);
    if student == call.person() {
        return Err(Refusal::OverrideOutOfReach.into());
    }
    domain::may_lift(&givers, code)?;
    if expires_at <= call.now {
        return Err(Refusal::OverrideEndsBeforeItBegins.into());
    }
    let given = Override {
        id: call.new_id(),
        student,
        section,
        section_code: seats.code.clone(),
        department: seats.department.clone(),
        code,
        reason,
        given_by: call.person(),
        given_at: call.now,
        expires_at,
        revoked: None,
    };
    let mut transaction = ctx.table.transaction();
    transaction.create(&given);
    let event = OverrideGiven {
        r#override: given.id,
        student,
        section,
        code: code.code().to_owned(),
        given_by: given.given_by,
        expires_at,
    };
    transaction.event(event, 1, call.now, &call.correlation_id);
    let trail = ctx.table.trail(student).await?;
    let noted = Noted::change(format!("override/{}", given.id)).fields_of(None, &given);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    // Whoever stands in line and was passed over for want of it may be the next.
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::tell_free_seat(&mut transaction, &seats, given.id.to_string(), (1, cause));
    call.keep_reply(&mut transaction, &given);
    transaction.commit().await?;
    Ok(given)
}

/// In what qualities the caller stands before a section.
pub(super) fn givers<C>(call: &Call<C>, department: &str, teaches: bool) -> Vec<Giver> {
    let grants = call.caller.iter().flat_map(|caller| &caller.grants);
    let givers = grants.filter_map(|grant| match grant.role {
        Role::Teacher => teaches.then_some(Giver::Teacher),
        Role::HeadOfDepartment => {
            (grant.department.as_deref() == Some(department)).then_some(Giver::HeadOfDepartment)
        }
        Role::Registrar => Some(Giver::Registrar),
        _ => None,
    });
    givers.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use events::Event;
    use shell::Grant;
    use testkit::{TestTable, person};

    use super::super::{list_overrides, submit};
    use super::*;
    use crate::fixtures::{by, cart, code, offer, registrations, seats_agree, taken};

    /// A call by somebody of the staff.
    pub fn staff<C>(name: &str, role: Role, department: Option<&str>, command: C) -> Call<C> {
        let mut call = by(name, testkit::call(command));
        let department = department.map(str::to_owned);
        call.reach = match role {
            Role::Registrar => vec![(Scope::All, None)],
            Role::HeadOfDepartment => vec![(Scope::Department, department.clone())],
            _ => vec![(Scope::Own, None)],
        };
        if let Some(caller) = &mut call.caller {
            caller.grants = vec![Grant { role, department }];
        }
        call
    }

    pub fn lifting(code: ItemCode, section: SectionId) -> Command {
        Command {
            student: person("ada"),
            section,
            code,
            reason: "We talked.".into(),
            expires_at: "2027-01-20T00:00:00Z".parse().expect("a timestamp"),
        }
    }

    pub fn registrar(code: ItemCode, section: SectionId) -> Call<Command> {
        staff("registrar", Role::Registrar, None, lifting(code, section))
    }

    #[tokio::test]
    async fn an_override_is_given_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| registrar(ItemCode::Closed, offer(table, "a", |_| ()).await),
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, _| {
                let list = testkit::call(list_overrides::Command { student: person("ada") });
                let listed = list_overrides::handle(&Ctx::new(table.clone()), &list).await;
                assert_eq!(listed.expect("lists").items.len(), 1);
                let told = testkit::published(table).await;
                let given = told.iter().filter(|event| event.name == OverrideGiven::NAME);
                assert_eq!(given.count(), 1);
                let noted = testkit::operations_noted(table, person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_capacity_override_lifts_the_capacity_and_nothing_else() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |event| {
            event.capacity = 1;
            event.course.prerequisites = Some("course(BASE)".parse().expect("a requirement"));
        })
        .await;
        let submitted = async || submit::handle(&ctx, &cart(&[section])).await;
        handle(&ctx, &registrar(ItemCode::PrereqNotMet, section)).await.expect("given");
        submitted().await.expect("the only seat");
        let bob = async || submit::handle(&ctx, &by("bob", cart(&[section]))).await;
        let of_bob = |code| {
            let command = Command { student: person("bob"), ..lifting(code, section) };
            staff("registrar", Role::Registrar, None, command)
        };
        handle(&ctx, &of_bob(ItemCode::Closed)).await.expect("given");
        assert_eq!(code(bob().await), "PREREQ_NOT_MET", "it does not cascade");
        handle(&ctx, &of_bob(ItemCode::PrereqNotMet)).await.expect("given");
        bob().await.expect("beyond the capacity");
        assert_eq!(taken(&test.table, section).await, 2);
        seats_agree(&test.table, section, &["ada", "bob"].map(person)).await;
        let registration = registrations(&test.table, person("bob")).await.remove(0);
        let used: Vec<_> = registration.overrides.iter().map(|used| used.code).collect();
        assert_eq!(used, [ItemCode::PrereqNotMet, ItemCode::Closed]);
        assert_eq!(registration.overrides[0].given_by, person("registrar"));
    }

    #[tokio::test]
    async fn a_teacher_s_permission_is_asked_for_and_counts_in_prerequisites() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let guarded = offer(&test.table, "a", |event| {
            event.permission_required = true;
            event.teachers = vec![person("prof")];
        })
        .await;
        let named = offer(&test.table, "b", |event| {
            event.course.prerequisites = Some("permission".parse().expect("a requirement"));
            event.teachers = vec![person("prof")];
        })
        .await;
        for section in [guarded, named] {
            let submitted = async || submit::handle(&ctx, &cart(&[section])).await;
            assert_eq!(code(submitted().await), "INSTRUCTOR_PERMISSION");
            let command = lifting(ItemCode::InstructorPermission, section);
            let stranger = staff("stranger", Role::Teacher, None, command.clone());
            assert_eq!(code(handle(&ctx, &stranger).await), "OVERRIDE_OUT_OF_REACH");
            let teacher = staff("prof", Role::Teacher, None, command);
            handle(&ctx, &teacher).await.expect("given");
            submitted().await.expect("a seat");
        }
        for registration in registrations(&test.table, person("ada")).await {
            assert_eq!(registration.overrides[0].given_by, person("prof"));
        }
    }

    #[tokio::test]
    async fn each_gives_what_they_answer_for_and_nobody_gives_to_themselves() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let closed = lifting(ItemCode::Closed, section);
        let head =
            |department| staff("head", Role::HeadOfDepartment, Some(department), closed.clone());
        assert_eq!(code(handle(&ctx, &head("PHYS")).await), "OVERRIDE_OUT_OF_REACH");
        handle(&ctx, &head("MATH")).await.expect("given");
        let credits = lifting(ItemCode::MaxCredits, section);
        let by_head = staff("head", Role::HeadOfDepartment, Some("MATH"), credits.clone());
        assert_eq!(code(handle(&ctx, &by_head).await), "OVERRIDE_OUT_OF_REACH");
        let own = staff("ada", Role::Registrar, None, credits);
        assert_eq!(code(handle(&ctx, &own).await), "OVERRIDE_OUT_OF_REACH");
        let hold = registrar(ItemCode::Hold, section);
        assert_eq!(code(handle(&ctx, &hold).await), "OVERRIDE_OUT_OF_REACH");
    }

    #[tokio::test]
    async fn an_override_ends_by_itself() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |event| event.capacity = 0).await;
        let until = |expires_at: &str| {
            let expires_at = expires_at.parse().expect("a timestamp");
            let command = Command { expires_at, ..lifting(ItemCode::Closed, section) };
            staff("registrar", Role::Registrar, None, command)
        };
        let never = handle(&ctx, &until(testkit::NOW)).await;
        assert_eq!(code(never), "OVERRIDE_ENDS_BEFORE_IT_BEGINS");
        handle(&ctx, &until("2027-01-16T00:00:00Z")).await.expect("given");
        let at = async |now: &str| {
            let now = now.parse().expect("a timestamp");
            submit::handle(&ctx, &Call { now, ..cart(&[section]) }).await
        };
        assert_eq!(code(at("2027-01-16T00:00:00Z").await), "CLOSED");
        at("2027-01-15T23:59:59Z").await.expect("in its last second");
        assert_eq!(taken(&test.table, crate::fixtures::section("a")).await, 1);
    }
}
