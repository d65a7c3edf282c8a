//! The catalog says what the calendar now is: on holidays nothing clashes, and ways between buildings take their time.

use events::CalendarChanged;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::store::{self, TheCalendar};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let CalendarChanged { calendar_version, calendar } = delivery.event()?;
    let standing = ctx.table.get(&store::calendar_key()).await?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let outdated = |standing: &TheCalendar| standing.calendar_version >= calendar_version;
    if !standing.as_ref().is_some_and(|standing| outdated(&standing.value)) {
        let read_version = standing.map(|standing| standing.version);
        transaction.put(&TheCalendar { calendar_version, calendar }, read_version);
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::Event;
    use kernel::{Calendar, Meeting, Room, Weekday};

    use super::super::submit;
    use super::*;
    use crate::fixtures::{by, cart, offer};

    fn changed(calendar_version: u64, calendar: Calendar) -> Delivery {
        let event = CalendarChanged { calendar_version, calendar };
        let mut delivery = testkit::delivery("on-calendar-changed", event);
        delivery.envelope.id = format!("changed-{calendar_version}");
        delivery
    }

    fn monday(building: &str, from: &str, to: &str) -> Vec<Meeting> {
        let meeting = Meeting::weekly(
            vec![Weekday::Monday],
            (from.parse().expect("a time"), to.parse().expect("a time")),
            ("2027-02-01".parse().expect("a date"), "2027-02-07".parse().expect("a date")),
        );
        let room = Room { building: building.into(), name: "1".into() };
        vec![Meeting { room: Some(room), ..meeting }]
    }

    #[tokio::test]
    async fn holidays_and_ways_decide_what_clashes() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let first =
            offer(&test.table, "a", |event| event.meetings = monday("North", "09:00", "10:00"));
        let first = first.await;
        let next =
            offer(&test.table, "b", |event| event.meetings = monday("South", "10:00", "11:00"));
        let next = next.await;
        let failing = async |student: &str| {
            let reply = submit::handle(&ctx, &by(student, cart(&[first, next]))).await;
            reply.expect("one goes through at least").failed.len()
        };
        assert_eq!(failing("ada").await, 0, "back to back");
        let calendar = CalendarChanged::example().calendar;
        handle(&ctx, &changed(1, calendar.clone())).await.expect("taken in");
        assert_eq!(failing("bob").await, 1, "fifteen minutes lie between the buildings");
        let mut closed = calendar;
        closed.holidays[0].first_day = "2027-02-01".parse().expect("a date");
        handle(&ctx, &changed(3, closed)).await.expect("taken in");
        handle(&ctx, &changed(2, Calendar::default())).await.expect("passed over");
        assert_eq!(failing("eve").await, 0, "the only Monday is a holiday");
    }

    #[tokio::test]
    async fn the_calendar_is_taken_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| changed(1, CalendarChanged::example().calendar),
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                let stored = table.get(&store::calendar_key()).await.expect("reads");
                assert_eq!(stored.expect("is there").version, 1);
            },
        )
        .await;
    }
}
