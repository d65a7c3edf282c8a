//! Schedule: legal names that have begun are told of. What one run has no time for, and what fails, the next one finds.

use shell::{Failure, Tick};
use table::{Actor, Deed};

use crate::domain::NameBeginning;
use crate::people::{self, Before};
use crate::store;
use crate::{Ctx, due};

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<due::Reply, Failure> {
    let today = ctx.today(tick.now);
    let is_due = |beginning: &NameBeginning| beginning.begins_on <= today;
    let begin = async |beginning| begin(ctx, beginning, tick).await;
    due::work_off(ctx, &people::name_beginnings(), is_due, begin).await
}

/// Written again, a record is that of today; its own write takes the beginning off the schedule.
async fn begin(ctx: &Ctx, beginning: NameBeginning, tick: &Tick) -> Result<(), Failure> {
    let (known, roles, trail) = store::person_roles_and_trail(&ctx.table, beginning.person).await?;
    let Some(known) = known.filter(|known| known.value.next_name_on == Some(beginning.begins_on))
    else {
        return Ok(());
    };
    let mut transaction = ctx.table.transaction();
    let before = Before::of(Some(&known), &roles, trail);
    let deed = Deed {
        actor: Actor::system(),
        operation: "begin-legal-names",
        at: tick.now,
        correlation_id: &tick.correlation_id,
    };
    let person = known.value.clone();
    people::write(ctx, &mut transaction, before, person, &roles.0, &deed).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonChanged};
    use jiff::SignedDuration;
    use jiff::civil::date;
    use kernel::Timestamp;
    use table::PageRequest;

    use super::super::change_legal_name;
    use super::super::change_legal_name::tests::{ada, king};
    use super::super::register_person::tests::{command, registered, told};
    use super::*;
    use crate::due::Reply;
    use crate::fixtures::ctx;

    fn tick(now: Timestamp) -> Tick {
        Tick { now, correlation_id: "test".into() }
    }

    fn in_days(days: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_hours(24 * days)
    }

    async fn to_be_king(ctx: &Ctx) {
        let change = king(ada(ctx).await, Some(date(2027, 1, 17)));
        change_legal_name::handle(ctx, &change).await.expect("changes");
    }

    #[tokio::test]
    async fn a_name_is_told_on_its_day_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| to_be_king(&ctx(table)).await,
            async |table, ()| {
                let ctx = ctx(table);
                let early = handle(&ctx, &tick(in_days(1))).await?;
                assert_eq!(early, Reply::default());
                let reply = handle(&ctx, &tick(in_days(2))).await?;
                // What failed is found by the next run.
                if reply.failed > 0 {
                    return Err(Failure::Conflict { with_twin: false });
                }
                Ok(())
            },
            async |table, ()| {
                let told = testkit::published(table).await;
                let told: Vec<_> =
                    told.iter().filter(|event| event.name == PersonChanged::NAME).collect();
                assert_eq!(told.len(), 1);
                assert_eq!(told[0].data["name"]["family"], "King");
                let left = table.query(&people::name_beginnings(), &PageRequest::default()).await;
                assert!(left.expect("reads").records.is_empty());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn many_names_begin_on_one_day_and_one_that_waits_is_left() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for number in 0..60 {
            let email = format!("person{number}@matricula.example");
            let person = registered(&ctx, command("Ada", "Byron", Some(&email))).await;
            let day = date(2027, 1, if number < 55 { 17 } else { 27 });
            let change = king(person, Some(day));
            change_legal_name::handle(&ctx, &change).await.expect("changes");
        }
        let reply = handle(&ctx, &tick(in_days(5))).await.expect("begins");
        assert_eq!(reply, Reply { done: 55, failed: 0 });
        assert_eq!(told(&test.table, PersonChanged::NAME).await, 55);
        assert_eq!(handle(&ctx, &tick(in_days(5))).await.expect("again"), Reply::default());
    }

    #[tokio::test]
    async fn a_change_that_is_taken_back_does_not_begin() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        to_be_king(&ctx).await;
        let person = test.table.query(&people::name_beginnings(), &PageRequest::default()).await;
        let person = person.expect("reads").records[0].value.person;
        let mut back = king(person, Some(date(2027, 1, 17)));
        back.command.name.family = "Byron".into();
        change_legal_name::handle(&ctx, &back).await.expect("takes it back");
        assert_eq!(handle(&ctx, &tick(in_days(9))).await.expect("begins"), Reply::default());
        assert_eq!(told(&test.table, PersonChanged::NAME).await, 0);
    }
}
