//! Event: a registration was dropped. What the term's calendar gives back of what that saves is taken back with
//! a credit note; the rest is kept, and no later drop rates it again. A cancelled section leaves the
//! bill as the rules have it without it.

use events::{DropReason, RegistrationDropped};
use kernel::{PersonId, RegistrationId, TermId, Timestamp};
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::TermBill;
use crate::store::{self, Cause, Opened};
use crate::term_desk::{TermDesk, issue_adjustment};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: RegistrationDropped = delivery.event()?;
    let RegistrationDropped { student, term, registration, dropped_at: at, reason, .. } = event;
    let is_cancelled = match reason {
        DropReason::StudentDropped => false,
        DropReason::SectionCancelled | DropReason::PrerequisiteBroken => true,
        // What the whole term gives back is computed once, when all of it has ended.
        DropReason::TermWithdrawn => return Ok(()),
    };
    let leaving = Leaving { student, term, registrations: &[registration], at, is_cancelled };
    leaving.take_back(ctx, delivery).await
}

/// Registrations that are given up together, or one whose section does not take place.
pub(super) struct Leaving<'a> {
    pub student: PersonId,
    pub term: TermId,
    pub registrations: &'a [RegistrationId],
    pub at: Timestamp,
    pub is_cancelled: bool,
}

impl Leaving<'_> {
    pub async fn take_back(&self, ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
        store::in_line_for_a_number(async || self.issue(ctx, delivery).await).await
    }

    async fn issue(&self, ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
        let mut desk = TermDesk::read(ctx, self.student, self.term, None, &[]).await?;
        let Some(mut bill) = desk.standing_bill().map(Opened::from) else { return Ok(()) };
        let on = ctx.institution().date(self.at);
        let TermDesk { rules, population, .. } = &desk;
        let bill_of_it: &mut TermBill = &mut bill.value;
        let adjustment = match self.registrations {
            [one] if self.is_cancelled => bill_of_it.cancel(*one, on, rules, population)?,
            these => bill_of_it.drop(these, on, rules, population)?,
        };
        // Never charged, or undone, or dropped before.
        let Some(adjustment) = adjustment else { return Ok(()) };
        let cause = Cause { now: delivery.now, correlation_id: &delivery.envelope.correlation_id };
        let mut transaction = ctx.table.transaction();
        issue_adjustment(ctx, &mut transaction, bill, adjustment, (on, cause)).await?;
        delivery.mark_seen(&mut transaction);
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use events::{ChargeReversed, Event};

    use super::super::{charge, close_posting_period};
    use super::*;
    use crate::domain::{
        Account, Band, BandPolicy, ChargeState, InvoiceState, SourceKind, TuitionRule,
    };
    use crate::fixtures::{
        account, bundle, charge, check_ledger, count, ctx, dropped, francs, give, invoice, journal,
        order, registration, set_band_policy, set_rules,
    };

    #[tokio::test]
    async fn a_dropped_registration_is_credited_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| charge(&ctx(table), "ada", "one").await,
            async |table, _| handle(&ctx(table), &dropped("ada", "one", 1)).await,
            async |table, charge| {
                let ctx = ctx(table);
                handle(&ctx, &dropped("ada", "one", 1)).await.expect("a duplicate changes nothing");
                let invoice = invoice(&ctx, charge).await;
                assert_eq!(invoice.credits().len(), 1);
                assert_eq!(invoice.credits()[0].registration, Some(registration("one", 1)));
                assert_eq!(invoice.open(), francs(50_000), "2 credits are left");
                assert_eq!(check_ledger(&ctx).await, 2);
                assert_eq!(count(&ctx, ChargeReversed::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_last_registration_takes_the_charge_with_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let charge = charge(&ctx, "ada", "one").await;
        for number in [2, 1, 3] {
            handle(&ctx, &dropped("ada", "one", number)).await.expect("in any order");
        }
        let invoice = invoice(&ctx, &charge).await;
        assert_eq!(invoice.state(), InvoiceState::Credited);
        let notes: Vec<&str> =
            invoice.credits().iter().map(|credit| credit.credit_note_number.as_str()).collect();
        assert_eq!(notes, ["MAT-CN-2027-000001", "MAT-CN-2027-000002"]);
        let stored = ctx.table.get(&store::charge_key(charge.charge)).await.expect("reads");
        assert_eq!(stored.expect("stands").value.state, ChargeState::Reversed);
        assert_eq!(count(&ctx, ChargeReversed::NAME).await, 2);
    }

    #[tokio::test]
    async fn money_freed_in_one_term_pays_for_another_whose_charge_stands() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let paid = charge(&ctx, "ada", "one").await;
        give(&ctx, "ada", paid.amount.minor).await;
        let autumn = kernel::Id::derived_from("2027F");
        let order = charge::Command { term: autumn, ..order("ada", "two") };
        let waiting = charge::handle(&ctx, &testkit::step(order)).await.expect("charged");
        for number in [1, 2, 3] {
            handle(&ctx, &dropped("ada", "one", number)).await.expect("credited");
        }
        let stored = ctx.table.get(&store::charge_key(waiting.charge)).await.expect("reads");
        assert_eq!(stored.expect("stands").value.state, ChargeState::Settled);
        assert_eq!(invoice(&ctx, &waiting).await.state(), InvoiceState::Paid);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn a_drop_is_booked_on_its_own_date_or_with_it_in_the_open_period() {
        for (closed, period) in [(None, "2026-12"), (Some("2026-12"), "2027-01")] {
            let test = testkit::TestTable::new().await;
            let ctx = ctx(&test.table);
            charge(&ctx, "ada", "one").await;
            if let Some(closed) = closed {
                let period = closed.parse().expect("a period");
                let close = testkit::call(close_posting_period::Command { period });
                close_posting_period::handle(&ctx, &close).await.expect("closed");
            }
            let event = RegistrationDropped {
                registration: registration("one", 1),
                bundle: bundle("one"),
                student: testkit::person("ada"),
                term: kernel::Id::derived_from("2027S"),
                dropped_at: "2026-12-30T10:00:00Z".parse().expect("a timestamp"),
                ..RegistrationDropped::example()
            };
            let late = testkit::delivery("on-registration-dropped", event);
            handle(&ctx, &late).await.expect("credited");
            let entries = journal(&ctx).await;
            let credit = entries.iter().find(|one| one.source().kind == SourceKind::CreditNote);
            let credit = credit.expect("it was credited");
            assert_eq!(credit.effective_date().to_string(), "2026-12-30");
            assert_eq!(credit.posting_period().to_string(), period);
            assert_eq!(credit.booked_at(), testkit::now());
        }
    }

    #[tokio::test]
    async fn what_a_lower_band_costs_more_is_billed_with_the_drop() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let band = |from_hundredths, flat, per_credit| Band {
            from_hundredths,
            flat: francs(flat),
            per_credit: francs(per_credit),
        };
        let bands = vec![band(0, 0, 100), band(600, 300, 0)];
        set_rules(&ctx, TuitionRule::Banded { bands }).await;
        assert_eq!(charge(&ctx, "ada", "one").await.amount, francs(300));
        handle(&ctx, &dropped("ada", "one", 2)).await.expect("billed");
        let owed = account(&ctx, "ada").await.balance(Account::Receivable);
        assert_eq!(owed, francs(400), "four credits at a hundred each");
    }

    #[tokio::test]
    async fn a_band_held_only_by_a_section_that_is_cancelled_is_let_go_at_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let band = |from_hundredths, flat| Band {
            from_hundredths,
            flat: francs(flat),
            per_credit: francs(0),
        };
        let bands = vec![band(0, 500), band(1_000, 1_500)];
        set_rules(&ctx, TuitionRule::Banded { bands }).await;
        set_band_policy(&ctx, BandPolicy::SameBand).await;
        let billed = async || account(&ctx, "ada").await.balance(Account::Receivable);
        charge(&ctx, "ada", "one").await;
        charge(&ctx, "ada", "two").await;
        assert_eq!(billed().await, francs(1_500), "twelve credits");
        handle(&ctx, &dropped("ada", "one", 1)).await.expect("dropped");
        assert_eq!(billed().await, francs(1_500), "eight are left in the band of twelve");
        let RegistrationDropped { registration, bundle, student, term, dropped_at, .. } =
            dropped("ada", "two", 1).event().expect("an event");
        let cancelled = RegistrationDropped {
            registration,
            bundle,
            student,
            term,
            dropped_at,
            reason: DropReason::SectionCancelled,
            ..RegistrationDropped::example()
        };
        let cancelled = testkit::delivery("on-registration-dropped", cancelled);
        handle(&ctx, &cancelled).await.expect("cancelled");
        assert_eq!(billed().await, francs(500), "without the four, eight held no higher band");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn what_was_never_charged_is_not_credited() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        handle(&ctx, &dropped("ada", "one", 1)).await.expect("nothing to do");
        assert_eq!(testkit::published(&ctx.table).await.len(), 0);
    }
}
