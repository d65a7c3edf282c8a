//! The catalog links sections that are taken together, or links them no longer: each of them keeps its choices.

use events::RegistrationGroupChanged;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::{Link, SectionLinks};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: RegistrationGroupChanged = delivery.event()?;
    let link = Link::from(&event);
    let keys: Vec<_> =
        event.sections.iter().map(|section| store::section_links_key(*section)).collect();
    let mut batch = ctx.table.get_batch(keys.iter().map(Into::into).collect()).await?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    for (section, key) in event.sections.iter().zip(&keys) {
        let stored = batch.take(key)?;
        let read_version = stored.as_ref().map(|stored| stored.version);
        let mut links = stored.map_or_else(|| SectionLinks::none(*section), |stored| stored.value);
        if links.learn(&link) {
            transaction.put(&links, read_version);
        }
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, RegistrationDropped};
    use kernel::{CourseId, Id, RegistrationGroupId, SectionId};
    use testkit::{TestTable, person};

    use super::super::{confirm, drop_registration, submit, swap_registration};
    use super::*;
    use crate::fixtures::{
        by, cart, code, of_bundle, offer, offer_again, seats_agree, section, taken, told,
    };

    fn group(name: &str, sections: &[&str], version: u64) -> Delivery {
        let event = RegistrationGroupChanged {
            group: RegistrationGroupId::derived_from(name),
            group_version: version,
            code: name.to_uppercase(),
            sections: sections.iter().map(|name| section(name)).collect(),
            ..RegistrationGroupChanged::example()
        };
        let mut delivery = testkit::delivery("on-registration-group-changed", event);
        delivery.envelope.id = format!("{name}-{version}");
        delivery
    }

    /// Lecture L1 with lab B1 or B2, all of one course.
    async fn linked(ctx: &Ctx) -> [SectionId; 3] {
        for name in ["l1", "b1", "b2"] {
            let of_course = |event: &mut events::SectionOffered| {
                event.course.id = CourseId::derived_from("physics");
                event.capacity = 2;
            };
            offer(&ctx.table, name, of_course).await;
        }
        for (name, lab) in [("l1-b1", "b1"), ("l1-b2", "b2")] {
            handle(ctx, &group(name, &["l1", lab], 1)).await.expect("taken in");
        }
        ["l1", "b1", "b2"].map(section)
    }

    #[tokio::test]
    async fn a_choice_takes_a_seat_in_every_component_and_is_left_as_a_whole() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [lecture, lab, _] = linked(&ctx).await;
        let held = submit::handle(&ctx, &cart(&[lab, lecture])).await.expect("both are held");
        assert_eq!(held.bundles.len(), 1, "they stand and fall together");
        let bundle = crate::fixtures::bundle(&test.table, &held).await;
        let credits: Vec<u32> =
            bundle.registrations.iter().map(|it| it.credits_hundredths).collect();
        assert_eq!(credits, [0, 600], "the course's credits count once");
        for of_it in [lecture, lab] {
            seats_agree(&test.table, of_it, &[person("ada")]).await;
            assert_eq!(taken(&test.table, of_it).await, 1);
        }
        confirm::handle(&ctx, &of_bundle(&held)).await.expect("confirms");
        let registration = held.bundles[0].registrations[0].registration;
        let drop = testkit::call(drop_registration::Command { registration });
        drop_registration::handle(&ctx, &drop).await.expect("dropped");
        for of_it in [lecture, lab] {
            seats_agree(&test.table, of_it, &[person("ada")]).await;
            assert_eq!(taken(&test.table, of_it).await, 0);
        }
        assert_eq!(told::<RegistrationDropped>(&test.table).await.len(), 2);
    }

    #[tokio::test]
    async fn a_swap_leaves_no_component_alone() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [lecture, first, second] = linked(&ctx).await;
        let other = offer(&test.table, "other", |_| ()).await;
        let held = submit::handle(&ctx, &cart(&[lecture, first])).await.expect("both are held");
        confirm::handle(&ctx, &of_bundle(&held)).await.expect("confirms");
        let registration = held.bundles[0].registrations[1].registration;
        let swap = async |registration, section, with_linked| {
            let sections = vec![section];
            let command = swap_registration::Command { registration, sections, with_linked };
            swap_registration::handle(&ctx, &testkit::call(command)).await
        };
        assert_eq!(code(swap(registration, other, false).await), "SWAP_BREAKS_LINK");
        assert_eq!(taken(&test.table, first).await, 1, "nothing has changed");
        let held = swap(registration, second, false).await.expect("the other lab");
        assert_eq!((taken(&test.table, lecture).await, taken(&test.table, first).await), (1, 0));
        confirm::handle(&ctx, &of_bundle(&held)).await.expect("confirms");
        let registration = held.bundles[0].registrations[0].registration;
        swap(registration, other, true).await.expect("the whole choice is given up");
        for (section, seats) in [(lecture, 0), (second, 0), (other, 1)] {
            assert_eq!(taken(&test.table, section).await, seats);
            seats_agree(&test.table, section, &[person("ada")]).await;
        }
    }

    #[tokio::test]
    async fn what_clashes_with_what_stays_takes_nothing_with_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [lecture, first, _] = linked(&ctx).await;
        let meetings = || <events::SectionOffered as events::Event>::example().meetings;
        offer_again(&test.table, "l1", 2, |event| {
            event.course.id = CourseId::derived_from("physics");
            event.meetings = meetings();
        })
        .await;
        let other = offer(&test.table, "other", |event| event.meetings = meetings()).await;
        let held = submit::handle(&ctx, &cart(&[lecture, first])).await.expect("both are held");
        confirm::handle(&ctx, &of_bundle(&held)).await.expect("confirms");
        let registration = held.bundles[0].registrations[1].registration;
        let sections = vec![other];
        let command = swap_registration::Command { registration, sections, with_linked: false };
        let swapped = swap_registration::handle(&ctx, &testkit::call(command)).await;
        assert_eq!(code(swapped), "TIME_CONFLICT");
        for (section, seats) in [(lecture, 1), (first, 1), (other, 0)] {
            assert_eq!(taken(&test.table, section).await, seats);
        }
    }

    #[tokio::test]
    async fn a_component_alone_is_told_what_it_lacks() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [lecture, first, second] = linked(&ctx).await;
        let Err(Failure::Refused(refusal)) = submit::handle(&ctx, &cart(&[lecture])).await else {
            panic!("it is refused");
        };
        assert_eq!(refusal.code(), "LINK_REQUIRED");
        let choices = refusal.extensions(kernel::Locale::En)["errors"][0]["choices"].clone();
        assert_eq!(choices[0]["lacking"], serde_json::json!([first]));
        assert_eq!(choices[1]["lacking"], serde_json::json!([second]));
        let both_labs = submit::handle(&ctx, &cart(&[lecture, first, second])).await;
        assert_eq!(code(both_labs), "DUPLICATE_COURSE", "one choice, not two");
    }

    #[tokio::test]
    async fn a_choice_is_offered_only_while_all_of_it_is() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [lecture, first, second] = linked(&ctx).await;
        offer_again(&test.table, "b1", 2, |event| {
            event.course.id = CourseId::derived_from("physics");
            event.capacity = 0;
        })
        .await;
        let full = submit::handle(&ctx, &cart(&[lecture, first])).await;
        assert_eq!(code(full), "LINK_REQUIRED", "the lecture falls with its lab");
        assert_eq!(taken(&test.table, lecture).await, 0);
        submit::handle(&ctx, &cart(&[lecture, second])).await.expect("the other choice");
        let mut cancelled = group("l1-b2", &["l1", "b2"], 2);
        cancelled.envelope.data["cancelled"] = true.into();
        handle(&ctx, &cancelled).await.expect("taken in");
        let mut late = group("l1-b2", &["l1", "b2"], 1);
        late.envelope.id = "late".into();
        handle(&ctx, &late).await.expect("an older word does not undo a newer one");
        let gone = submit::handle(&ctx, &by("bob", cart(&[lecture]))).await;
        assert_eq!(code(gone), "LINK_REQUIRED", "the choice that is left has no free lab");
        let both = submit::handle(&ctx, &by("bob", cart(&[lecture, second]))).await;
        let both = both.expect("the lab is linked no longer");
        assert_eq!(both.failed[0].section, lecture);
    }

    #[tokio::test]
    async fn a_group_is_taken_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| group("l1-b1", &["l1", "b1"], 1),
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                for name in ["l1", "b1"] {
                    let links = table.get(&store::section_links_key(section(name))).await;
                    let links = links.expect("reads").expect("is there");
                    assert_eq!((links.version, links.value.links.len()), (1, 1));
                }
            },
        )
        .await;
    }
}
