//! The catalog suspends or cancels a section: nobody registers for it any more. Of a suspended one everybody keeps
//! their seat; the students of a cancelled one are taken out page by page.

use events::{ClearanceAdvanced, Event, SectionCancelled, SectionSuspended};
use shell::{Delivery, Failure, Fault};
use table::{Stored, Transaction};

use crate::Ctx;
use crate::domain::{Clearance, SectionStatus};
use crate::store::{self, LookAgain};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let clearance = if delivery.envelope.name == SectionSuspended::NAME {
        None
    } else {
        let SectionCancelled { section, section_version, reason, cancelled_by, .. } =
            delivery.event()?;
        Some(Clearance::begin(section, section_version, reason, cancelled_by))
    };
    let (section, version) = if let Some(clearance) = &clearance {
        (clearance.section, clearance.section_version)
    } else {
        let event: SectionSuspended = delivery.event()?;
        (event.section, event.section_version)
    };
    let (seats_key, clearance_key) = (store::seats_key(section), store::clearance_key(section));
    let look_key = store::look_again_key(section);
    let keys = vec![(&seats_key).into(), (&clearance_key).into(), (&look_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    // It was offered before: the event that says so is still on its way, and this one comes again behind it.
    let mut seats = batch.take(&seats_key)?.ok_or_else(|| {
        Fault::outside("a section is withdrawn before it is known", format!("{section}"))
    })?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    if seats.value.section_version < version {
        seats.value.section_version = version;
        seats.value.status = match &clearance {
            Some(_) => SectionStatus::Cancelled,
            None => SectionStatus::Suspended,
        };
        transaction.update(&seats);
        if let Some(clearance) = clearance {
            let before = batch.take(&clearance_key)?;
            begin_clearance(&mut transaction, &clearance, before, delivery);
            if seats.value.may_have_line() {
                // The sweep clears the line.
                let due_on = ctx.date(delivery.now);
                let look = batch.take(&look_key)?.map(|look| look.version);
                transaction.put(&LookAgain { section, due_on }, look);
            }
        }
    }
    Ok(transaction.commit().await?)
}

fn begin_clearance(
    transaction: &mut Transaction<'_>,
    clearance: &Clearance,
    before: Option<Stored<Clearance>>,
    delivery: &Delivery,
) {
    let read_version = before.map(|before| before.version);
    transaction.put(clearance, read_version);
    let event = ClearanceAdvanced { section: clearance.section, step: clearance.step };
    let version = read_version.unwrap_or_default() + 1;
    transaction.event(event, version, delivery.now, &delivery.envelope.correlation_id);
}

#[cfg(test)]
mod tests {
    use events::SectionOffered;
    use kernel::SectionId;

    use super::super::{on_section_offered, submit};
    use super::*;
    use crate::fixtures::{by, cart, code, offer, taken};

    fn suspended(section: SectionId, section_version: u64) -> Delivery {
        let event = SectionSuspended { section, section_version, ..SectionSuspended::example() };
        let mut delivery = testkit::delivery("on-section-withdrawn", event);
        delivery.envelope.id = format!("suspended-{section_version}");
        delivery
    }

    async fn offered_again(ctx: &Ctx, section: SectionId, section_version: u64) {
        let event = SectionOffered { section, section_version, ..SectionOffered::example() };
        let mut delivery = testkit::delivery("on-section-offered", event);
        delivery.envelope.id = format!("offered-{section_version}");
        on_section_offered::handle(ctx, &delivery).await.expect("taken in");
    }

    #[tokio::test]
    async fn a_suspended_section_takes_nobody_until_it_is_offered_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        submit::handle(&ctx, &cart(&[section])).await.expect("a seat");
        handle(&ctx, &suspended(section, 3)).await.expect("suspended");
        let refused = submit::handle(&ctx, &by("bob", cart(&[section]))).await;
        assert_eq!(code(refused), "SECTION_NOT_OFFERED");
        assert_eq!(taken(&test.table, section).await, 1, "whoever has a seat keeps it");
        offered_again(&ctx, section, 2).await;
        let refused = submit::handle(&ctx, &by("bob", cart(&[section]))).await;
        assert_eq!(code(refused), "SECTION_NOT_OFFERED", "an older offer came late");
        offered_again(&ctx, section, 4).await;
        submit::handle(&ctx, &by("bob", cart(&[section]))).await.expect("a seat");
        assert_eq!(taken(&test.table, section).await, 2);
    }

    #[tokio::test]
    async fn a_cancelled_section_takes_nobody() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let event = SectionCancelled { section, ..SectionCancelled::example() };
        let delivery = testkit::delivery("on-section-withdrawn", event);
        handle(&ctx, &delivery).await.expect("cancelled");
        let refused = submit::handle(&ctx, &cart(&[section])).await;
        assert_eq!(code(refused), "SECTION_NOT_OFFERED");
    }

    #[tokio::test]
    async fn what_is_withdrawn_before_it_is_known_comes_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let delivery = suspended(SectionOffered::example().section, 2);
        let result = handle(&ctx, &delivery).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if fault.retryable));
        offered_again(&ctx, SectionOffered::example().section, 1).await;
        handle(&ctx, &delivery).await.expect("now it is known");
    }

    #[tokio::test]
    async fn a_section_is_withdrawn_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| suspended(offer(table, "a", |_| ()).await, 2),
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                let key = store::seats_key(crate::fixtures::section("a"));
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 2);
            },
        )
        .await;
    }
}
