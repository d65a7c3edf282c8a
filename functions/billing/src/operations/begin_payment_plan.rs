//! What is open of a term is to be paid in the instalments of an offer: chosen by the student from those that are for
//! students, or assigned by the bursar. While the plan is kept, the seats that its charges are for wait no longer.

use events::PaymentPlanBegun;
use kernel::{Currency, Id, Money, PaymentPlanId, PersonId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use super::read_payment_plans::Plan;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Beginning, PlanOfferCode, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create(
    "begin-payment-plan",
    "/payment-plans",
    Access::Roles(&[
        Allow { role: Role::Student, scope: Scope::Own },
        Allow { role: Role::Bursar, scope: Scope::All },
    ]),
    "Let what is open of a term be paid in instalments",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose; the caller's own unless given.
    pub student: Option<PersonId>,
    pub offer: PlanOfferCode,
    /// Of the account whose open lines it covers.
    pub currency: Currency,
}

pub type Reply = Plan;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let offer = ctx.table.get(&store::plan_offer_key(&call.command.offer)).await?;
    let offer = offer.ok_or(Refusal::PlanOfferUnknown)?.value;
    if !offer.is_for_students && !call.may_touch_all() {
        return Err(Refusal::PlanOfferUnknown.into());
    }
    let id: PaymentPlanId = match &call.idempotency_key {
        Some(key) => PaymentPlanId::derived_from(&key.scope),
        None => call.new_id(),
    };
    let wanted = Wanted { now: call.now, series: &[], invoices: &[] };
    let mut books = Bookkeeping::open(ctx, student, call.command.currency, wanted).await?;
    let today = ctx.institution().date(call.now);
    let account = &mut books.account.value;
    if let Some(begun) = account.plans().iter().find(|plan| plan.id == id) {
        return Ok(Plan::of(begun, account));
    }
    if !call.may_touch_all() {
        account.may_choose(&offer, today)?;
    }
    account.begin_plan(&offer, Beginning { id, by: call.person(), at: call.now })?;
    let plan = account.plans().last().expect("it has begun");
    let reply = Plan::of(plan, account);
    let amount = Money::new(account.open_of_plan(plan), account.currency);
    let event = PaymentPlanBegun { plan: id, student, term_code: offer.term_code, amount };
    books.follow().await?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    books.write(&mut transaction, &[], cause);
    transaction.event(event, 1, cause.now, cause.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
pub(super) mod tests {
    use events::{ChargeSecured, ChargeSettled, Event};
    use testkit::StepFunctions;

    use super::super::set_plan_offer::{self, tests::sixty_forty};
    use super::super::{
        await_settlement, cancel_payment_plan, on_charge_settled, read_account, read_payment_plans,
        reallocate_payment, record_payment, watch_balances,
    };
    use super::*;
    use crate::domain::{Charge, ChargeState, CounterChannel, PlanState};
    use crate::fixtures::{
        account, bundle, charge, check_ledger, code, count, ctx, francs, give, give_at, invoice,
        order, wait_step, with_step_functions,
    };

    pub async fn offer(ctx: &Ctx, is_for_students: bool) {
        let command = set_plan_offer::Command { is_for_students, ..sixty_forty() };
        set_plan_offer::handle(ctx, &testkit::call(command)).await.expect("offered");
    }

    /// The same, with the first part to be paid before a seat is the student's.
    async fn offer_at_once(ctx: &Ctx) {
        let command = set_plan_offer::Command { is_first_at_once: true, ..sixty_forty() };
        set_plan_offer::handle(ctx, &testkit::call(command)).await.expect("offered");
    }

    /// What the charges of bundles were when they were last written.
    async fn states(ctx: &Ctx, bundles: &[&str]) -> Vec<ChargeState> {
        let mut states = Vec::new();
        for name in bundles {
            let key = store::charge_key(Charge::id_of(bundle(name)));
            let charge = ctx.table.get(&key).await.expect("reads").expect("stands");
            states.push(charge.value.state);
        }
        states
    }

    /// The event that the charge of a bundle is secured.
    fn secured(name: &str) -> shell::Delivery {
        let charge = Charge::id_of(bundle(name));
        let event = ChargeSecured { charge, bundle: bundle(name), ..ChargeSecured::example() };
        testkit::delivery("on-charge-settled", event)
    }

    async fn cancel(ctx: &Ctx, payment_plan: PaymentPlanId) {
        let call = testkit::call(cancel_payment_plan::Command {
            payment_plan,
            student: testkit::person("ada"),
            currency: francs(0).currency,
            reason: "Not kept.".into(),
        });
        let ended = cancel_payment_plan::handle(ctx, &call).await.expect("cancelled");
        assert_eq!(ended.status, PlanState::Cancelled);
    }

    pub fn choose() -> Call<Command> {
        let offer = PlanOfferCode("sixty-forty".into());
        testkit::call(Command { student: None, offer, currency: francs(0).currency })
    }

    fn left(plan: &Plan) -> Vec<i64> {
        plan.instalments.iter().map(|one| one.left.minor).collect()
    }

    async fn plans(ctx: &Ctx) -> Vec<Plan> {
        let call = testkit::call(read_payment_plans::Command { student: None });
        read_payment_plans::handle(ctx, &call).await.expect("lists").plans
    }

    #[tokio::test]
    async fn a_plan_begins_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                offer(&ctx, true).await;
                charge(&ctx, "ada", "one").await;
                choose()
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                let plans = plans(&ctx).await;
                assert_eq!((plans.len(), left(&plans[0])), (1, vec![90_000, 60_000]));
                assert_eq!(count(&ctx, PaymentPlanBegun::NAME).await, 1);
                assert_eq!(count(&ctx, ChargeSecured::NAME).await, 1);
                assert_eq!(check_ledger(&ctx).await, 1, "nothing is booked");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_first_part_secures_every_charge_of_the_plan_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                offer_at_once(&ctx).await;
                for name in ["one", "two", "three"] {
                    charge(&ctx, "ada", name).await;
                }
                handle(&ctx, &choose()).await.expect("begins");
                give(&ctx, "ada", 269_999).await;
                assert_eq!(count(&ctx, ChargeSecured::NAME).await, 0, "a franc is missing");
                testkit::call(record_payment::Command {
                    student: testkit::person("ada"),
                    amount: francs(1),
                    channel: CounterChannel::Cash,
                    bank: "Main counter".into(),
                    reference: "R1".into(),
                    invoice: None,
                    received_on: None,
                    period: None,
                    only: Vec::new(),
                })
            },
            async |table, call| match record_payment::handle(&ctx(table), call).await {
                Err(Failure::Refused(refusal)) if refusal.code() == "REFERENCE_TAKEN" => Ok(()),
                other => other.map(drop),
            },
            async |table, _| {
                let ctx = ctx(table);
                // The first is paid before; the franc is the second's, and nothing of the third is paid.
                let secured = ChargeState::Secured;
                let expected = [ChargeState::Settled, secured, secured];
                assert_eq!(states(&ctx, &["one", "two", "three"]).await, expected);
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
                assert_eq!(count(&ctx, ChargeSecured::NAME).await, 2);
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn whoever_waits_goes_on_once_the_part_that_is_due_is_paid() {
        let test = testkit::TestTable::new().await;
        let sfn = StepFunctions::start().await;
        let ctx = with_step_functions(&ctx(&test.table), &sfn, &test.engine);
        offer_at_once(&ctx).await;
        let charged = charge(&ctx, "ada", "one").await;
        await_settlement::handle(&ctx, &wait_step("one", "token")).await.expect("kept");
        handle(&ctx, &choose()).await.expect("begins");
        on_charge_settled::handle(&ctx, &secured("one")).await.expect("it is not");
        assert_eq!(sfn.calls("SendTaskSuccess").len(), 0, "nothing is paid yet");
        give(&ctx, "ada", 90_000).await;
        assert_eq!(count(&ctx, ChargeSecured::NAME).await, 1);
        on_charge_settled::handle(&ctx, &secured("one")).await.expect("told");
        assert_eq!(sfn.calls("SendTaskSuccess").len(), 1);
        let again = super::super::charge::handle(&ctx, &testkit::step(order("ada", "one"))).await;
        let again = again.expect("the same charge");
        assert_eq!((again.charge, again.settled, again.secured), (charged.charge, false, true));
        let later = await_settlement::handle(&ctx, &wait_step("one", "later")).await;
        assert!(later.expect("answered").secured);
        give(&ctx, "ada", 60_000).await;
        assert_eq!(states(&ctx, &["one"]).await, [ChargeState::Settled]);
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
        assert_eq!(count(&ctx, ChargeSecured::NAME).await, 1, "told once");
    }

    #[tokio::test]
    async fn a_plan_that_is_not_kept_or_is_cancelled_lets_nobody_go_on_and_the_next_one_does() {
        let test = testkit::TestTable::new().await;
        let sfn = StepFunctions::start().await;
        let ctx = with_step_functions(&ctx(&test.table), &sfn, &test.engine);
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        let plan = handle(&ctx, &choose()).await.expect("begins").id;
        assert_eq!(states(&ctx, &["one"]).await, [ChargeState::Secured], "nothing is due yet");
        // On the day of the first instalment it has to be paid.
        let mut late = testkit::step(order("ada", "one"));
        late.now += jiff::SignedDuration::from_hours(5 * 24);
        let late = super::super::charge::handle(&ctx, &late).await.expect("the same charge");
        assert!(!late.secured);
        cancel(&ctx, plan).await;
        assert_eq!(states(&ctx, &["one"]).await, [ChargeState::Posted]);
        on_charge_settled::handle(&ctx, &secured("one")).await.expect("it is not any more");
        let waits = await_settlement::handle(&ctx, &wait_step("one", "token")).await;
        assert!(!waits.expect("kept").secured);
        assert_eq!(sfn.calls("SendTaskSuccess").len(), 0);
        handle(&ctx, &choose()).await.expect("another may begin");
        assert_eq!(count(&ctx, ChargeSecured::NAME).await, 2);
        on_charge_settled::handle(&ctx, &secured("one")).await.expect("told");
        assert_eq!(sfn.calls("SendTaskSuccess").len(), 1);
    }

    #[tokio::test]
    async fn who_begins_to_wait_after_a_default_waits_although_the_charge_was_secured() {
        let test = testkit::TestTable::new().await;
        let sfn = StepFunctions::start().await;
        let ctx = with_step_functions(&ctx(&test.table), &sfn, &test.engine);
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        handle(&ctx, &choose()).await.expect("begins");
        let mut late = wait_step("one", "token");
        late.now += jiff::SignedDuration::from_hours(6 * 24);
        assert!(!await_settlement::handle(&ctx, &late).await.expect("kept").secured);
        assert_eq!(states(&ctx, &["one"]).await, [ChargeState::Posted]);
        give_at(&ctx, "ada", 90_000, late.now).await;
        assert_eq!(count(&ctx, ChargeSecured::NAME).await, 2, "told anew");
    }

    #[tokio::test]
    async fn a_student_does_not_choose_their_way_out_of_what_is_overdue() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        let mut late = choose();
        late.now += jiff::SignedDuration::from_hours(10 * 24);
        assert_eq!(code(handle(&ctx, &late).await), "PLAN_TOO_LATE");
        let offer = late.command.offer.clone();
        let student = Some(testkit::person("ada"));
        let assigned = Command { student, offer, currency: francs(0).currency };
        let reach = vec![(Scope::All, None)];
        let assigned = Call { reach, now: late.now, ..testkit::call(assigned) };
        handle(&ctx, &assigned).await.expect("the bursar may");
    }

    #[tokio::test]
    async fn instalments_are_due_one_after_the_other_and_what_is_paid_is_off_the_first() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        handle(&ctx, &choose()).await.expect("begins");
        let overdue = async |days: i64| {
            let mut call = testkit::call(read_account::Command { student: None });
            call.now += jiff::SignedDuration::from_hours(24 * days);
            read_account::handle(&ctx, &call).await.expect("reads").accounts[0].overdue.minor
        };
        assert_eq!((overdue(5).await, overdue(6).await), (0, 90_000));
        assert_eq!((overdue(15).await, overdue(16).await), (90_000, 150_000));
        give(&ctx, "ada", 100_000).await;
        assert_eq!((overdue(6).await, overdue(16).await), (0, 50_000));
        assert_eq!(left(&plans(&ctx).await[0]), [0, 50_000]);
        give(&ctx, "ada", 50_000).await;
        assert_eq!(plans(&ctx).await[0].status, PlanState::Completed);
        assert_eq!(code(handle(&ctx, &choose()).await), "NOTHING_OPEN");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn a_plan_in_force_is_not_begun_twice_and_its_end_makes_everything_due_again() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        offer(&ctx, true).await;
        let charged = charge(&ctx, "ada", "one").await;
        let plan = handle(&ctx, &choose()).await.expect("begins").id;
        assert_eq!(code(handle(&ctx, &choose()).await), "PLAN_IN_FORCE");
        for _ in 0..2 {
            cancel(&ctx, plan).await;
        }
        let due = invoice(&ctx, &charged).await.document().due;
        let claims = account(&ctx, "ada").await.claims();
        assert!(claims.iter().all(|claim| claim.due == due) && claims.len() == 2);
        handle(&ctx, &choose()).await.expect("another may begin");
    }

    #[tokio::test]
    async fn what_is_under_a_plan_is_not_applied_anew() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        offer(&ctx, true).await;
        let first = charge(&ctx, "ada", "one").await;
        handle(&ctx, &choose()).await.expect("begins");
        let payment = give(&ctx, "ada", 100_000).await.id;
        let second = charge(&ctx, "ada", "two").await;
        let call = reallocate_payment::Command { payment, invoice: second.invoice };
        reallocate_payment::handle(&ctx, &testkit::call(call)).await.expect("nothing moves");
        assert_eq!(invoice(&ctx, &first).await.paid(), francs(100_000));
        assert_eq!(invoice(&ctx, &second).await.paid(), francs(0));
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn money_for_all_pays_no_instalment_before_what_is_due_sooner() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        offer(&ctx, true).await;
        // By instalments until the 20th and the 30th, and without until the 22nd.
        let first = charge(&ctx, "ada", "one").await;
        handle(&ctx, &choose()).await.expect("begins");
        let second = charge(&ctx, "ada", "two").await;
        let paid = async || {
            (invoice(&ctx, &first).await.paid().minor, invoice(&ctx, &second).await.paid().minor)
        };
        give(&ctx, "ada", 150_000).await;
        assert_eq!(paid().await, (90_000, 60_000));
        let rest = give(&ctx, "ada", 110_000).await;
        assert_eq!(paid().await, (110_000, 150_000));
        let page = table::PageRequest { after: None, limit: 100 };
        let rows = ctx.table.query(&store::allocations_of(rest.id), &page).await.expect("reads");
        assert_eq!(rows.records.len(), 4, "one for each line: 40,000, 50,000, 10,000 and 10,000");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn one_payment_that_comes_back_to_a_line_has_one_row_for_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        handle(&ctx, &choose()).await.expect("begins");
        charge(&ctx, "ada", "two").await;
        let payment = give(&ctx, "ada", 260_000).await;
        let page = table::PageRequest { after: None, limit: 100 };
        let rows = ctx.table.query(&store::allocations_of(payment.id), &page).await.expect("reads");
        let mut amounts: Vec<i64> = rows.records.iter().map(|row| row.value.amount.minor).collect();
        amounts.sort_unstable();
        assert_eq!(amounts, [10_000, 50_000, 100_000, 100_000], "ninety and ten are one");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn a_missed_instalment_is_dunned_for_itself() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        watch_balances::tests::dun(&ctx).await;
        offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        handle(&ctx, &choose()).await.expect("begins");
        let tick = watch_balances::tests::tick;
        assert_eq!(watch_balances::handle(&ctx, &tick(9)).await.expect("looks").steps, 0);
        assert_eq!(watch_balances::handle(&ctx, &tick(10)).await.expect("looks").steps, 1);
        give_at(&ctx, "ada", 90_000, tick(11).now).await;
        assert_eq!(watch_balances::handle(&ctx, &tick(19)).await.expect("looks").steps, 0);
        let second = watch_balances::handle(&ctx, &tick(20)).await.expect("looks");
        assert_eq!(second.steps, 1, "the second instalment begins with the first step");
    }

    #[tokio::test]
    async fn a_student_begins_plans_of_their_own_that_are_for_students() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        assert_eq!(code(handle(&ctx, &choose()).await), "PLAN_OFFER_UNKNOWN");
        offer(&ctx, false).await;
        assert_eq!(code(handle(&ctx, &choose()).await), "PLAN_OFFER_UNKNOWN");
        let mut others = choose();
        others.command.student = Some(testkit::person("bob"));
        assert_eq!(code(handle(&ctx, &others).await), "STUDENT_UNKNOWN");
        let mut staff = choose();
        staff.command.student = Some(testkit::person("ada"));
        staff.reach = vec![(Scope::All, None)];
        handle(&ctx, &staff).await.expect("the bursar assigns it");
    }
}
