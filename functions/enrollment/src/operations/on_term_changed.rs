//! The catalog says what a term now is: whether and when one may register in it.

use events::TermChanged;
use kernel::{Date, TermId};
use shell::{Delivery, Failure};
use table::{Stored, Transaction};

use crate::Ctx;
use crate::domain::{Census, TermFacts};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: TermChanged = delivery.event()?;
    let (key, census_key) = (store::term_facts_key(event.term), store::census_key(event.term));
    let mut batch = ctx.table.get_batch(vec![(&key).into(), (&census_key).into()]).await?;
    let standing = batch.take(&key)?;
    let census = batch.take(&census_key)?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let outdated = |standing: &TermFacts| standing.term_version >= event.term_version;
    if !standing.as_ref().is_some_and(|standing| outdated(&standing.value)) {
        if let Some(census_on) = event.dates.census_on {
            plan_census(&mut transaction, event.term, census_on, census);
        }
        transaction.put(&TermFacts::from(event), standing.map(|standing| standing.version));
    }
    Ok(transaction.commit().await?)
}

fn plan_census(
    transaction: &mut Transaction<'_>,
    term: TermId,
    census_on: Date,
    census: Option<Stored<Census>>,
) {
    match census {
        None => {
            transaction.create(&Census::due(term, census_on));
        }
        Some(mut census) => {
            if census.value.move_to(census_on) {
                transaction.update(&census);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use events::{Event, TermState};
    use kernel::Timestamp;

    use super::super::submit;
    use super::*;
    use crate::fixtures::{cart, code, offer};

    fn changed(term_version: u64, change: impl FnOnce(&mut TermChanged)) -> Delivery {
        let mut event = TermChanged { term_version, ..TermChanged::example() };
        event.windows.clear();
        change(&mut event);
        let mut delivery = testkit::delivery("on-term-changed", event);
        delivery.envelope.id = format!("changed-{term_version}");
        delivery
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[tokio::test]
    async fn registration_follows_the_last_word_of_the_term() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let submit = async || submit::handle(&ctx, &cart(&[section])).await;
        handle(&ctx, &changed(2, |term| term.state = TermState::FinalEdits))
            .await
            .expect("taken in");
        assert_eq!(code(submit().await), "WINDOW_NOT_OPEN");
        // Late: it was overtaken.
        handle(&ctx, &changed(1, |_| ())).await.expect("passed over");
        assert_eq!(code(submit().await), "WINDOW_NOT_OPEN");
        let early = |term: &mut TermChanged| {
            term.registration_closes_at = moment("2027-01-10T00:00:00Z");
        };
        handle(&ctx, &changed(3, early)).await.expect("taken in");
        assert_eq!(code(submit().await), "TERM_CLOSED");
        handle(&ctx, &changed(4, |term| term.state = TermState::Closed)).await.expect("taken in");
        assert_eq!(code(submit().await), "TERM_CLOSED");
        handle(&ctx, &changed(5, |_| ())).await.expect("taken in");
        submit().await.expect("the term is published and its window open");
    }

    #[tokio::test]
    async fn a_population_s_window_takes_the_place_of_the_term_s_own() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let later = |population: &'static str| {
            move |term: &mut TermChanged| {
                term.registration_opens_at = moment("2027-02-01T00:00:00Z");
                term.windows = TermChanged::example().windows;
                term.windows[0].population = population.parse().expect("a requirement");
            }
        };
        handle(&ctx, &changed(1, later("standing(>= 3)"))).await.expect("taken in");
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "WINDOW_NOT_OPEN");
        handle(&ctx, &changed(2, later("credits_earned(0)"))).await.expect("taken in");
        submit::handle(&ctx, &cart(&[section]))
            .await
            .expect("everybody has earned nothing at least");
        let other = offer(&test.table, "b", |_| ()).await;
        let staggered = |term: &mut TermChanged| {
            term.windows = TermChanged::example().windows;
            term.windows[0].population = "credits_earned(0)".parse().expect("a requirement");
            term.windows[0].opens_at = moment("2027-01-20T00:00:00Z");
        };
        handle(&ctx, &changed(3, staggered)).await.expect("taken in");
        let early = submit::handle(&ctx, &cart(&[other])).await;
        assert_eq!(code(early), "WINDOW_NOT_OPEN", "though the term's own is open");
    }

    #[tokio::test]
    async fn a_term_is_taken_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| changed(1, |_| ()),
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                let key = store::term_facts_key(TermChanged::example().term);
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 1);
            },
        )
        .await;
    }
}
