//! Event: a section is offered. Billing keeps what it needs to say what it would cost; the latest version stands.

use events::SectionOffered;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::SectionPrice;
use crate::store::{self, Opened};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let offered: SectionOffered = delivery.event()?;
    let stored = ctx.table.get(&store::section_price_key(offered.section)).await?;
    if stored.as_ref().is_some_and(|known| known.value.section_version >= offered.section_version) {
        return Ok(());
    }
    let price = SectionPrice {
        section: offered.section,
        section_version: offered.section_version,
        term: offered.term.id,
        term_code: offered.term.code,
        section_code: offered.code,
        course_title: offered.course.title,
        credits_hundredths: offered.credits_hundredths,
        price_group: offered.price_group,
    };
    let mut opened = Opened::of(stored, || price.clone());
    opened.value = price;
    let mut transaction = ctx.table.transaction();
    opened.write(&mut transaction);
    delivery.mark_seen(&mut transaction);
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;
    use crate::fixtures::ctx;

    fn offered(version: u64, price_group: &str) -> Delivery {
        let event = SectionOffered {
            section_version: version,
            price_group: price_group.into(),
            ..SectionOffered::example()
        };
        let mut delivery = testkit::delivery("on-section-offered", event);
        delivery.envelope.id = format!("{}:{version}", delivery.envelope.id);
        delivery
    }

    #[tokio::test]
    async fn the_latest_version_stands_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| handle(&ctx(table), &offered(1, "standard")).await.expect("kept"),
            async |table, ()| handle(&ctx(table), &offered(3, "evening")).await,
            async |table, ()| {
                handle(&ctx(table), &offered(2, "late")).await.expect("late");
                let key = store::section_price_key(SectionOffered::example().section);
                let kept = ctx(table).table.get(&key).await.expect("reads").expect("kept").value;
                assert_eq!((kept.section_version, kept.price_group.as_str()), (3, "evening"));
            },
        )
        .await;
    }
}
