//! The head of a department names somebody who decides on its approvals for a time. Named again, the last word counts:
//! whoever is named until now is dismissed.

use kernel::{PersonId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::APPROVERS;
use crate::Ctx;
use crate::domain::{Deputy, Refusal};
use crate::store;

pub const ROUTE: Route = Route::put(
    "name-deputy",
    "/departments/{department}/deputies/{person}",
    APPROVERS,
    "Name who decides on a department's approvals for a time",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(min = 1, max = 40))]
    pub department: String,
    pub person: PersonId,
    /// From now on where it is not given.
    pub from: Option<Timestamp>,
    pub until: Timestamp,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Deputy, Failure> {
    let Command { department, person, from, until } = call.command.clone();
    if !call.may_touch_section(&[], &department) {
        return Err(Refusal::DepartmentOutOfReach.into());
    }
    let from = from.unwrap_or(call.now);
    if until <= from {
        return Err(Refusal::DeputyEndsBeforeItBegins.into());
    }
    if person == call.person() {
        return Err(Refusal::DeputyOfOneself.into());
    }
    let (named_by, named_at) = (call.person(), call.now);
    let deputy = Deputy { department, person, from, until, named_by, named_at };
    let stored = ctx.table.get(&store::deputy_key(&deputy.department, person)).await?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&deputy, stored.map(|stored| stored.version));
    transaction.commit().await?;
    Ok(deputy)
}

#[cfg(test)]
mod tests {
    use events::Decision;
    use kernel::ApprovalId;
    use shell::{Role, Scope};
    use testkit::{TestTable, person};

    use super::super::give_override::tests::staff;
    use super::super::{decide_approval, list_approvals, list_deputies};
    use super::*;
    use crate::fixtures::{ask, bundle, by, code, held};

    const DAY: &str = "2027-01-16T08:30:00Z";

    fn name(department: &str, deputy: &str) -> Call<Command> {
        let command = Command {
            department: department.into(),
            person: person(deputy),
            from: None,
            until: DAY.parse().expect("a timestamp"),
        };
        staff("head", Role::HeadOfDepartment, Some("MATH"), command)
    }

    async fn waiting(table: &table::Table) -> ApprovalId {
        let reply = held(table, |event| event.approval_required = true).await;
        ask(table, &reply).await;
        bundle(table, &reply).await.approvals[0]
    }

    fn as_teacher<C>(teacher: &str, command: C, now: &str) -> Call<C> {
        let call = by(teacher, testkit::call(command));
        let now = now.parse().expect("a timestamp");
        Call { now, reach: vec![(Scope::Own, None)], ..call }
    }

    fn decide(teacher: &str, approval: ApprovalId, now: &str) -> Call<decide_approval::Command> {
        let (decision, reason) = (Decision::Approve, None);
        as_teacher(teacher, decide_approval::Command { approval, decision, reason }, now)
    }

    async fn listed(ctx: &Ctx, teacher: &str) -> usize {
        let department = Some("MATH".to_owned());
        let list = list_approvals::Command { department };
        let list = as_teacher(teacher, list, testkit::NOW);
        list_approvals::handle(ctx, &list).await.expect("lists").items.len()
    }

    #[tokio::test]
    async fn a_deputy_is_named_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| name("MATH", "ted"),
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, _| {
                let list = list_deputies::Command { department: "MATH".into() };
                let list = staff("head", Role::HeadOfDepartment, Some("MATH"), list);
                let list = list_deputies::handle(&Ctx::new(table.clone()), &list).await;
                assert_eq!(list.expect("lists").items.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_deputy_decides_for_a_time_and_nobody_else_does() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let approval = waiting(&test.table).await;
        let early = decide_approval::handle(&ctx, &decide("ted", approval, testkit::NOW)).await;
        assert_eq!(code(early), "APPROVAL_UNKNOWN");
        assert_eq!(listed(&ctx, "ted").await, 0);
        handle(&ctx, &name("MATH", "ted")).await.expect("named");
        assert_eq!((listed(&ctx, "ted").await, listed(&ctx, "tim").await), (1, 0));
        let other = decide_approval::handle(&ctx, &decide("tim", approval, testkit::NOW)).await;
        assert_eq!(code(other), "APPROVAL_UNKNOWN");
        let late = decide_approval::handle(&ctx, &decide("ted", approval, DAY)).await;
        assert_eq!(code(late), "APPROVAL_UNKNOWN", "their time is over");
        let in_time = decide("ted", approval, "2027-01-16T08:29:59Z");
        let decided = decide_approval::handle(&ctx, &in_time).await.expect("decides");
        assert_eq!(decided.decided_by, Some(person("ted")));
    }

    #[tokio::test]
    async fn a_deputy_who_is_dismissed_decides_no_more() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let approval = waiting(&test.table).await;
        handle(&ctx, &name("MATH", "ted")).await.expect("named");
        let mut dismissal = name("MATH", "ted");
        dismissal.command.from = Some("2027-01-01T00:00:00Z".parse().expect("a timestamp"));
        dismissal.command.until = testkit::now();
        handle(&ctx, &dismissal).await.expect("dismissed");
        let decided = decide_approval::handle(&ctx, &decide("ted", approval, testkit::NOW)).await;
        assert_eq!(code(decided), "APPROVAL_UNKNOWN");
    }

    #[tokio::test]
    async fn a_head_names_somebody_else_for_their_own_department_and_for_some_time() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let foreign = handle(&ctx, &name("PHYS", "ted")).await;
        assert_eq!(code(foreign), "DEPARTMENT_OUT_OF_REACH");
        assert_eq!(code(handle(&ctx, &name("MATH", "head")).await), "DEPUTY_OF_ONESELF");
        let mut over = name("MATH", "ted");
        over.command.until = testkit::now();
        assert_eq!(code(handle(&ctx, &over).await), "DEPUTY_ENDS_BEFORE_IT_BEGINS");
    }
}
