//! Saga step: charges a bundle with an invoice. Undone by reverse-charge. Charging again finds the same
//! charge; a bundle
//! that was undone is not charged any more.

use events::ChargeableRegistration;
use kernel::{BundleId, ChargeId, Currency, Id, InvoiceId, Money, PersonId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Step};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted, bring_to_today};
use crate::domain::{
    Charge, ChargeCode, ChargeState, InvoiceDocument, InvoiceLine, Posted, Registered, Series,
    Source, SourceKind, Turn, post, registered, total_of,
};
use crate::store::{self, Cause, Opened};
use crate::term_desk::TermDesk;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub bundle: BundleId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    #[schemars(length(min = 1, max = 50))]
    pub registrations: Vec<ChargeableRegistration>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub charge: ChargeId,
    pub invoice: InvoiceId,
    pub amount: Money,
    /// Nothing is left to pay.
    pub settled: bool,
    /// Nothing is left that has to be paid before the registrations are the student's.
    pub secured: bool,
}

impl Reply {
    fn of(charge: &Charge) -> Result<Self, Failure> {
        let posted = charge.standing()?;
        Ok(Self {
            charge: charge.id,
            invoice: posted.invoice,
            amount: posted.amount,
            settled: charge.state == ChargeState::Settled,
            secured: charge.state.lets_go_on(),
        })
    }
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    store::in_line_for_a_number(async || charge(ctx, step).await).await
}

async fn charge(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let Command { bundle, student, term, term_code, registrations } = &step.command;
    let id = Charge::id_of(*bundle);
    let mut desk = TermDesk::read(ctx, *student, *term, Some(id), registrations).await?;
    if let Some(mut standing) = desk.charge.take() {
        bring_to_today(ctx, &mut standing.value, step.now).await?;
        return Reply::of(&standing.value);
    }
    let today = ctx.institution().date(step.now);
    let (added, currency) = registered(*bundle, registrations, &desk.prices, today)?;
    let mut bill = desk.bill(*student, *term, term_code, currency)?;
    bill.value.add(added.clone(), desk.rules.wash)?;
    // What has to be credited is: on-charge-changed does it, with a note of its own.
    let mut lines = bill.value.adjustment(&desk.rules, &desk.population)?.lines;
    if lines.is_empty() {
        lines = added.iter().map(|one| included(one, term_code, currency)).collect();
    }
    let wanted = Wanted { now: step.now, series: &[Series::Invoices], invoices: &[] };
    let mut books = Bookkeeping::open(ctx, *student, currency, wanted).await?;
    let (posted, turn) = issue(ctx, &mut books, step, (id, lines), currency)?;
    books.add_charge(Opened { value: Charge::posted(*bundle, posted), read_version: None });
    books.take_over(&turn).await?;
    let mut turns = vec![turn];
    turns.extend(books.sponsor(books.booking_today(step.now)).await?);
    bill.value.follow(books.invoice(posted.invoice));
    let cause = Cause { now: step.now, correlation_id: &step.correlation_id };
    let mut transaction = ctx.table.transaction();
    bill.write(&mut transaction);
    books.write(&mut transaction, &turns, cause);
    books.tell_posted(&mut transaction, (id, posted.invoice), cause);
    transaction.commit().await?;
    Reply::of(&books.charge(id).value)
}

/// Issues the invoice of the bundle.
fn issue(
    ctx: &Ctx,
    books: &mut Bookkeeping<'_>,
    step: &Step<Command>,
    (charge, lines): (ChargeId, Vec<InvoiceLine>),
    currency: Currency,
) -> Result<(Posted, Turn), Failure> {
    let Command { bundle, student, term, term_code, .. } = &step.command;
    let document = InvoiceDocument {
        id: InvoiceId::derived_from(&charge.to_string()),
        number: books.take_number(Series::Invoices),
        student: *student,
        charge: Some(charge),
        bundle: Some(*bundle),
        repriced: Vec::new(),
        term_code: term_code.clone(),
        issued_at: step.now,
        due: ctx.institution().due(step.now),
        total: total_of(&lines, currency)?,
        lines,
    };
    let (invoice, amount) = (document.id, document.total);
    let source = Source { kind: SourceKind::Charge, id: charge.to_string() };
    let booking = books.booking_today(step.now);
    let (issued, turn) = post(document, source, &mut books.account.value, booking)?;
    books.add_invoice(issued);
    Ok((Posted { student: *student, term: *term, invoice, amount }, turn))
}

/// A line of a registration that costs nothing more, as what was billed for the term includes it.
fn included(registered: &Registered, term_code: &str, currency: Currency) -> InvoiceLine {
    InvoiceLine {
        code: ChargeCode::tuition(),
        description: registered.description(),
        registration: Some(registered.registration),
        term_code: term_code.to_owned(),
        quantity_hundredths: registered.credits_hundredths,
        unit_price: Money::zero(currency),
        amount: Money::zero(currency),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use events::{ChargePosted, ChargeSettled, Event};
    use testkit::Faults;

    use super::super::{on_registration_dropped, reverse_charge};
    use super::*;
    use crate::domain::InvoiceState;
    use crate::fixtures::{
        self, bundle, check_ledger, code, count, ctx, francs, invoice, order, set_prices,
        unapplied_cash,
    };

    async fn number(ctx: &Ctx, reply: &Reply) -> String {
        invoice(ctx, reply).await.document().number.clone()
    }

    /// Nothing is left out and nothing stands twice.
    fn assert_gapless(numbers: &BTreeSet<String>, issued: usize) {
        let expected: BTreeSet<String> =
            (1..=issued).map(|number| format!("MAT-2027-{number:06}")).collect();
        assert_eq!(*numbers, expected);
    }

    #[tokio::test]
    async fn a_bundle_is_charged_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                set_prices(table).await;
                testkit::step(order("ada", "one"))
            },
            async |table, step| handle(&ctx(table), step).await.map(drop),
            async |table, step| {
                let ctx = ctx(table);
                let reply = handle(&ctx, step).await.expect("the same charge");
                assert_eq!((reply.amount, reply.settled), (francs(150_000), false));
                assert_eq!(number(&ctx, &reply).await, "MAT-2027-000001");
                assert_eq!(check_ledger(&ctx).await, 1);
                assert_eq!(count(&ctx, ChargePosted::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn sixty_four_issuers_at_once_leave_no_gap() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        set_prices(&ctx.table).await;
        let numbers = futures_util::future::join_all((0..64).map(async |issuer| {
            let step = testkit::step(order(&format!("student {issuer}"), &issuer.to_string()));
            let reply = shell::run_step(async || handle(&ctx, &step).await).await;
            number(&ctx, &reply.expect("charged")).await
        }))
        .await;
        assert_gapless(&numbers.into_iter().collect(), 64);
    }

    #[tokio::test]
    async fn faults_on_the_wire_leave_no_gap() {
        for seed in 0..8 {
            let test = testkit::TestTable::new().await;
            let ctx = ctx(&test.table);
            set_prices(&ctx.table).await;
            test.engine.set_faults(Faults::seeded(seed, 250));
            let mut replies = Vec::new();
            for issuer in 0..10 {
                let step = testkit::step(order("ada", &issuer.to_string()));
                replies.push(loop {
                    match shell::run_step(async || handle(&ctx, &step).await).await {
                        Ok(reply) => break reply,
                        Err(Failure::Fault(fault)) => assert!(fault.retryable, "{fault:?}"),
                        Err(other) => panic!("{other:?}"),
                    }
                });
            }
            test.engine.set_faults(Faults::none());
            let mut numbers = BTreeSet::new();
            for reply in &replies {
                numbers.insert(number(&ctx, reply).await);
            }
            assert_gapless(&numbers, 10);
            assert_eq!(check_ledger(&ctx).await, 10);
        }
    }

    #[tokio::test]
    async fn cash_that_the_student_has_is_applied_first() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        fixtures::give(&ctx, "ada", 200_000).await;
        let first = fixtures::charge(&ctx, "ada", "one").await;
        assert!(first.settled, "the cash pays for all of it");
        assert_eq!(invoice(&ctx, &first).await.state(), InvoiceState::Paid);
        let second = fixtures::charge(&ctx, "ada", "two").await;
        assert!(!second.settled);
        assert_eq!(invoice(&ctx, &second).await.open(), francs(100_000));
        assert_eq!(unapplied_cash(&ctx, "ada").await, 0);
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
        assert_eq!(check_ledger(&ctx).await, 3);
    }

    #[tokio::test]
    async fn what_costs_nothing_is_settled_at_once_and_can_be_taken_back() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        set_prices(&ctx.table).await;
        let mut free = order("ada", "one");
        for registration in &mut free.registrations {
            registration.price_group = "free".into();
        }
        let reply = handle(&ctx, &testkit::step(free)).await.expect("charged");
        assert_eq!((reply.amount, reply.settled), (francs(0), true));
        assert_eq!(check_ledger(&ctx).await, 0, "nothing was booked");
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("taken back");
        assert_eq!(invoice(&ctx, &reply).await.state(), InvoiceState::Credited);
    }

    #[tokio::test]
    async fn a_price_group_without_a_price_is_refused() {
        let test = testkit::TestTable::new().await;
        let result = handle(&ctx(&test.table), &testkit::step(order("ada", "one"))).await;
        assert_eq!(code(result), "PRICE_GROUP_UNKNOWN");
    }

    #[tokio::test]
    async fn one_invoice_has_one_currency() {
        let test = testkit::TestTable::new().await;
        set_prices(&test.table).await;
        let mut mixed = order("ada", "one");
        mixed.registrations[1].price_group = "euro".into();
        let result = handle(&ctx(&test.table), &testkit::step(mixed)).await;
        assert_eq!(code(result), "CURRENCIES_DIFFER");
    }

    #[tokio::test]
    async fn an_amount_beyond_all_bounds_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let mut transaction = ctx.table.transaction();
        let code_of_group = crate::domain::PriceGroupCode("standard".into());
        let group = crate::domain::PriceGroup { code: code_of_group, per_credit: francs(i64::MAX) };
        transaction.create(&group);
        transaction.commit().await.expect("a price is set");
        let result = handle(&ctx, &testkit::step(order("ada", "one"))).await;
        assert_eq!(code(result), "AMOUNT_TOO_LARGE");
    }

    #[tokio::test]
    async fn a_bundle_that_was_undone_is_charged_no_more() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        set_prices(&ctx.table).await;
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("nothing to undo");
        let zombie = handle(&ctx, &testkit::step(order("ada", "one"))).await;
        assert_eq!(code(zombie), "CHARGE_REVERSED");
        let dropped = fixtures::dropped("ada", "one", 1);
        on_registration_dropped::handle(&ctx, &dropped).await.expect("nothing to take back");
        assert_eq!(testkit::published(&ctx.table).await.len(), 0);
    }
}
