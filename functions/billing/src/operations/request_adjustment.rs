//! The bursar's office corrects a student's account, with a reason: a charge, a credit, or a claim that is given up. Up
//! to a limit it is booked at once; above it a second person decides.

use kernel::{AdjustmentId, Id, Money, PersonId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Noted;

use super::BURSAR;
use crate::Ctx;
use crate::adjusting;
use crate::domain::{AccountAdjustment, AdjustmentKind, AdjustmentState, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create(
    "request-adjustment",
    "/adjustments",
    BURSAR,
    "Charge or credit a student by hand, or give a claim up",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub what: AdjustmentKind,
    /// More than nothing.
    pub amount: Money,
    /// Shown to the student where it is billed.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}

pub type Reply = AccountAdjustment;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    store::in_line_for_a_number(async || request(ctx, call).await).await
}

async fn request(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { student, what, amount, reason } = call.command.clone();
    if amount.minor <= 0 {
        return Err(Refusal::AmountNotPositive.into());
    }
    let policy = ctx.table.get(&store::policy_key()).await?;
    let policy = policy.map(|stored| stored.value).unwrap_or_default();
    let asks_second = policy.asks_a_second_person(amount);
    let adjustment = AccountAdjustment {
        id: match &call.idempotency_key {
            Some(key) => AdjustmentId::derived_from(&key.scope),
            None => call.new_id(),
        },
        student,
        what,
        amount,
        reason,
        state: if asks_second { AdjustmentState::Pending } else { AdjustmentState::Booked },
        requested_by: call.person(),
        requested_at: call.now,
        decided: None,
    };
    let mut transaction = ctx.table.transaction();
    transaction.create(&adjustment);
    let invoice = adjustment.invoice();
    if asks_second {
        store::named_invoice(&ctx.table, invoice, student, amount.currency).await?;
    } else {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        adjusting::book(ctx, &mut transaction, &adjustment, cause).await?;
    }
    let trail = ctx.table.trail(student).await?;
    let noted = Noted::change(format!("adjustment/{}", adjustment.id)).fields_of(None, &adjustment);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &adjustment);
    transaction.commit().await?;
    Ok(adjustment)
}

#[cfg(test)]
pub(super) mod tests {
    use kernel::InvoiceId;

    use super::super::{on_charge_changed, set_policy};
    use super::*;
    use crate::domain::{Account, BillingPolicy, ChargeCode, InvoiceState};
    use crate::fixtures::{
        account, charge, check_ledger, code, ctx, dropped, francs, give, invoice, journal,
        unapplied_cash,
    };

    pub async fn limit(ctx: &Ctx, minor: i64) {
        let second_person_above = vec![francs(minor)];
        let policy = BillingPolicy { second_person_above, ..BillingPolicy::default() };
        let call = testkit::call(set_policy::Command { policy });
        set_policy::handle(ctx, &call).await.expect("the policy is set");
    }

    pub fn adjust(what: AdjustmentKind, minor: i64) -> Call<Command> {
        let student = testkit::person("ada");
        let reason = "Agreed with the dean.".to_owned();
        testkit::call(Command { student, what, amount: francs(minor), reason })
    }

    pub fn a_charge() -> AdjustmentKind {
        AdjustmentKind::Charge { code: ChargeCode("KEY_LOST".into()), term_code: "2027S".into() }
    }

    fn a_credit(invoice: Option<InvoiceId>) -> AdjustmentKind {
        let (code, term_code) = (ChargeCode::tuition(), "2027S".into());
        AdjustmentKind::Credit { code, term_code, invoice }
    }

    #[tokio::test]
    async fn a_charge_by_hand_is_billed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                limit(&ctx(table), 5_000).await;
                adjust(a_charge(), 5_000)
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                let owed = account(&ctx, "ada").await;
                assert_eq!(owed.balance(Account::Receivable), francs(5_000));
                assert_eq!(owed.open_lines()[0].code.0, "KEY_LOST");
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
                assert_eq!(check_ledger(&ctx).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_credit_pays_for_its_code_and_is_never_paid_out() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                limit(&ctx, 1_000_000).await;
                let charge = charge(&ctx, "ada", "one").await;
                (adjust(a_credit(Some(charge.invoice)), 20_000), charge)
            },
            async |table, (call, _)| handle(&ctx(table), call).await.map(drop),
            async |table, (_, charge)| {
                let ctx = ctx(table);
                assert_eq!(invoice(&ctx, charge).await.open(), francs(130_000));
                assert_eq!(check_ledger(&ctx).await, 2);
                let event =
                    events::ChargePosted { charge: charge.charge, ..events::Event::example() };
                let again = testkit::delivery("on-charge-changed", event);
                on_charge_changed::handle(&ctx, &again).await.expect("nothing to do");
                let open = invoice(&ctx, charge).await.open();
                assert_eq!(open, francs(130_000), "no calculation bills it again");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_claim_that_is_given_up_is_not_owed_and_comes_back_to_nobody_as_money() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        limit(&ctx, 1_000_000).await;
        let charge = charge(&ctx, "ada", "one").await;
        give(&ctx, "ada", 50_000).await;
        let what = AdjustmentKind::WriteOff { invoice: charge.invoice };
        let too_much = handle(&ctx, &adjust(what.clone(), 100_001)).await;
        assert_eq!(code(too_much), "CREDIT_TOO_LARGE");
        handle(&ctx, &adjust(what, 100_000)).await.expect("given up");
        let given_up = invoice(&ctx, &charge).await;
        assert_eq!((given_up.open(), given_up.state()), (francs(0), InvoiceState::WrittenOff));
        assert_eq!(account(&ctx, "ada").await.balance(Account::WriteOffs), francs(100_000));
        for number in [1, 2] {
            let drop = dropped("ada", "one", number);
            super::super::on_registration_dropped::handle(&ctx, &drop).await.expect("credited");
        }
        let books = account(&ctx, "ada").await;
        assert_eq!(books.balance(Account::WriteOffs), francs(0), "nothing is left to give up");
        assert_eq!(unapplied_cash(&ctx, "ada").await, 50_000, "only what was paid");
        assert_eq!(books.balance(Account::Receivable), francs(0));
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn above_the_limit_nothing_is_booked_yet_and_nonsense_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let pending = handle(&ctx, &adjust(a_charge(), 1)).await.expect("requested");
        assert_eq!(pending.state, AdjustmentState::Pending, "without a policy all are decided");
        assert_eq!(journal(&ctx).await.len(), 0);
        for minor in [0, -5] {
            let refused = handle(&ctx, &adjust(a_charge(), minor)).await;
            assert_eq!(code(refused), "AMOUNT_NOT_POSITIVE");
        }
        let bobs = charge(&ctx, "bob", "two").await.invoice;
        for what in [a_credit(Some(bobs)), AdjustmentKind::WriteOff { invoice: bobs }] {
            assert_eq!(code(handle(&ctx, &adjust(what, 5)).await), "INVOICE_UNKNOWN");
        }
    }
}
