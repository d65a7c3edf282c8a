//! Billing says that a student's overdue balance holds them, or that it does so no longer: the financial hold follows.
//! What it said before and comes later changes nothing.

use events::{BalanceHoldLifted, BalanceHoldPlaced, Event, HoldLifted, HoldPlaced};
use shell::{Delivery, Failure};
use table::{Stored, Transaction};

use super::cause_of;
use crate::Ctx;
use crate::domain::{BalanceHold, Hold, Office, balance};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let is_placed = delivery.envelope.name == BalanceHoldPlaced::NAME;
    let (student, overdue, word) = if is_placed {
        let event: BalanceHoldPlaced = delivery.event()?;
        (event.student, event.overdue, event.word)
    } else {
        let event: BalanceHoldLifted = delivery.event()?;
        (event.student, event.overdue, event.word)
    };
    let stored = ctx.table.get(&store::balance_hold_key(student, overdue.currency)).await?;
    let read_version = stored.as_ref().map(|stored| stored.version);
    let mut standing =
        stored.map_or_else(|| BalanceHold::new(student, overdue.currency), |stored| stored.value);
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    if standing.hear(word) {
        let before = match standing.hold {
            Some(hold) => ctx.table.get(&store::hold_key(student, hold)).await?,
            None => None,
        };
        let before = before.filter(|hold| hold.value.is_in_force(delivery.now));
        match (is_placed, before) {
            (true, None) => {
                let reason = format!("Overdue: {overdue}");
                place(&mut transaction, &standing.place(reason, delivery.now), delivery);
            }
            (false, Some(hold)) => {
                let waited_for = store::waited_for(&ctx.table, student).await?;
                let told = (hold.version + 1, cause_of(delivery));
                let because = hold.value.id.to_string();
                store::ask_lines_again(&mut transaction, &waited_for, &because, told);
                lift(&mut transaction, hold, delivery)?;
            }
            (true, Some(_)) | (false, None) => {}
        }
        transaction.put(&standing, read_version);
    }
    Ok(transaction.commit().await?)
}

fn place(transaction: &mut Transaction<'_>, hold: &Hold, delivery: &Delivery) {
    transaction.create(hold);
    let event = HoldPlaced { hold: hold.id, student: hold.student, ends_at: None };
    transaction.event(event, 1, delivery.now, &delivery.envelope.correlation_id);
}

fn lift(
    transaction: &mut Transaction<'_>,
    mut hold: Stored<Hold>,
    delivery: &Delivery,
) -> Result<(), Failure> {
    hold.value.lift(&[Office::Bursar], balance(), delivery.now, "Paid".to_owned())?;
    transaction.update(&hold);
    let event = HoldLifted { hold: hold.value.id, student: hold.value.student };
    let version = hold.version + 1;
    transaction.event(event, version, delivery.now, &delivery.envelope.correlation_id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::Money;
    use table::Table;
    use testkit::person;

    use super::super::{list_holds, submit};
    use super::*;
    use crate::fixtures::{cart, code, offer};

    fn overdue() -> Money {
        Money::new(150_000, "XAF".parse().expect("a currency"))
    }

    fn placed(word: u64) -> Delivery {
        let event = BalanceHoldPlaced { student: person("ada"), overdue: overdue(), word };
        numbered(word, testkit::delivery("on-balance-hold-changed", event))
    }

    fn lifted(word: u64) -> Delivery {
        let event = BalanceHoldLifted { student: person("ada"), overdue: overdue(), word };
        numbered(word, testkit::delivery("on-balance-hold-changed", event))
    }

    fn numbered(word: u64, mut delivery: Delivery) -> Delivery {
        delivery.envelope.id = format!("word-{word}");
        delivery
    }

    async fn in_force(table: &Table) -> Vec<String> {
        let list = testkit::call(list_holds::Command { student: person("ada") });
        let listed = list_holds::handle(&Ctx::new(table.clone()), &list).await.expect("lists");
        let in_force = listed.items.into_iter().filter(|hold| hold.is_in_force(testkit::now()));
        in_force.map(|hold| hold.reason).collect()
    }

    #[tokio::test]
    async fn a_balance_holds_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| placed(3),
            async |table, told| handle(&Ctx::new(table.clone()), told).await,
            async |table, told| {
                let again = handle(&Ctx::new(table.clone()), told).await;
                assert!(matches!(again, Err(Failure::DoneBefore)), "told twice: {again:?}");
                assert_eq!(in_force(table).await, ["Overdue: 150000 XAF"]);
                assert_eq!(testkit::published(table).await.len(), 1);
                let section = offer(table, "a", |_| ()).await;
                let refused = submit::handle(&Ctx::new(table.clone()), &cart(&[section])).await;
                assert_eq!(code(refused), "HOLD");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_balance_lets_go_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                handle(&Ctx::new(table.clone()), &placed(3)).await.expect("held");
                lifted(5)
            },
            async |table, told| handle(&Ctx::new(table.clone()), told).await,
            async |table, _| {
                let ctx = Ctx::new(table.clone());
                handle(&ctx, &placed(4)).await.expect("late");
                assert_eq!(
                    in_force(table).await,
                    Vec::<String>::new(),
                    "what is late holds nobody"
                );
                handle(&ctx, &placed(6)).await.expect("held again");
                handle(&ctx, &placed(7)).await.expect("still held");
                assert_eq!(in_force(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_was_let_go_before_it_was_heard_that_they_were_held_is_not_held() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        for told in [lifted(2), placed(1)] {
            handle(&ctx, &told).await.expect("in any order");
        }
        assert_eq!(in_force(&test.table).await, Vec::<String>::new());
    }
}
