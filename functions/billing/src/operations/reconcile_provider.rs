//! Compares the provider's own report of a day, as it can be downloaded there, with what is booked here: what is
//! missing on either side, of another amount, or in another state.

use std::collections::BTreeMap;

use kernel::{Currency, Date, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::{PageRequest, Partition, Record};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{
    Dispute, DisputeState, Known, MovementKind, Payment, Refund, RefundState, Refusal,
    SuspenseItem, Unreconciled, amount_of, reconcile,
};
use crate::store;

pub const ROUTE: Route = Route::call(
    "reconcile-provider",
    "/reconciliations",
    BURSAR,
    "Compare the provider's report of a day with what is booked",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The day of the report, in UTC as the provider counts.
    pub day: Date,
    /// CSV with a heading: Stripe's itemized report of balance changes. Of its columns `reporting_category`,
    /// `currency`, `gross`, `source_id` and `payment_intent_id` are read, and of its rows those of charges, refunds and
    /// disputes.
    #[schemars(length(min = 1, max = 240_000))]
    pub report: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub day: Date,
    /// Movements that the report tells of.
    pub there: usize,
    /// Those of the day that are known here.
    pub here: usize,
    /// By kind and reference, the first five hundred.
    pub differences: Vec<Unreconciled>,
    pub difference_count: usize,
}

const DIFFERENCES_TOLD: usize = 500;
/// Pages of one list and day.
const PAGES_MAX: u32 = 50;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { day, report } = &call.command;
    let there = read_report(report)?;
    let here = known_here(ctx, *day).await?;
    let mut differences = reconcile(&here, &there);
    let difference_count = differences.len();
    differences.truncate(DIFFERENCES_TOLD);
    let of_day = here.iter().filter(|known| known.is_of_day).count();
    Ok(Reply { day: *day, there: there.len(), here: of_day, differences, difference_count })
}

/// One row of the report; what else it has is left alone.
#[derive(Debug, Deserialize)]
struct Row {
    reporting_category: String,
    currency: String,
    gross: String,
    source_id: String,
    #[serde(default)]
    payment_intent_id: String,
}

fn read_report(report: &str) -> Result<Vec<Known>, Refusal> {
    let mut reader = csv::ReaderBuilder::new().from_reader(report.as_bytes());
    let mut sums: BTreeMap<(MovementKind, String), Money> = BTreeMap::new();
    for (at, row) in reader.deserialize::<Row>().enumerate() {
        // The heading is row 1.
        let malformed = Refusal::ReportMalformed { row: at + 2 };
        let row = row.map_err(|_| malformed)?;
        let (kind, reference) = match row.reporting_category.as_str() {
            "charge" => (MovementKind::Payment, row.payment_intent_id),
            "refund" | "refund_failure" => (MovementKind::Refund, row.source_id),
            "dispute" | "dispute_reversal" => (MovementKind::Dispute, row.source_id),
            _ => continue,
        };
        let currency: Currency =
            row.currency.to_ascii_uppercase().parse().map_err(|_| malformed)?;
        let minor = amount_of(&row.gross, currency).ok_or(malformed)?;
        if reference.is_empty() {
            return Err(malformed);
        }
        // What went and came back under one reference has not moved.
        let sum = sums.entry((kind, reference)).or_insert_with(|| Money::zero(currency));
        *sum = sum.checked_add(Money::new(minor, currency))?;
    }
    let known = sums.into_iter().map(|((kind, reference), sum)| Known {
        kind,
        reference,
        amount: Money::new(sum.minor.abs(), sum.currency),
        has_moved: sum.minor != 0,
        is_of_day: true,
    });
    Ok(known.collect())
}

/// What moved on the day, and on those beside it: clocks differ around midnight.
async fn known_here(ctx: &Ctx, day: Date) -> Result<Vec<Known>, Failure> {
    let mut known = Vec::new();
    let one = jiff::Span::new().days(1);
    for near in [day.saturating_sub(one), day, day.saturating_add(one)] {
        let payments = all(ctx, &store::payments_ended(near)).await?;
        known.extend(payments.iter().filter_map(|payment| of_payment(payment, day)));
        let items = all(ctx, &store::suspense_items_of(near)).await?;
        known.extend(items.iter().map(|item| of_suspense(item, day)));
        let refunds = all(ctx, &store::refunds_ended(near)).await?;
        known.extend(refunds.iter().filter_map(|refund| of_refund(refund, day)));
        let disputes = all(ctx, &store::disputes_of(near)).await?;
        known.extend(disputes.iter().map(|dispute| of_dispute(dispute, day)));
    }
    Ok(known)
}

async fn all<R: Record>(ctx: &Ctx, list: &Partition<R>) -> Result<Vec<R>, Failure> {
    let mut records = Vec::new();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = ctx.table.query(list, &page).await?;
        records.extend(found.records.into_iter().map(|stored| stored.value));
        page.after = found.next;
        if page.after.is_none() {
            return Ok(records);
        }
    }
    Err(Refusal::DayTooLarge.into())
}

fn is_on(at: Timestamp, day: Date) -> bool {
    at.to_zoned(jiff::tz::TimeZone::UTC).date() == day
}

fn of_payment(payment: &Payment, day: Date) -> Option<Known> {
    Some(Known {
        kind: MovementKind::Payment,
        reference: payment.provider_ref.clone()?,
        amount: payment.amount,
        has_moved: payment.is_received(),
        is_of_day: is_on(payment.initiated_at, day),
    })
}

fn of_suspense(item: &SuspenseItem, day: Date) -> Known {
    Known {
        kind: MovementKind::Payment,
        reference: item.provider_ref.clone(),
        amount: item.amount,
        has_moved: true,
        is_of_day: is_on(item.received_at, day),
    }
}

fn of_refund(refund: &Refund, day: Date) -> Option<Known> {
    Some(Known {
        kind: MovementKind::Refund,
        reference: refund.provider_ref.clone()?,
        amount: refund.amount,
        has_moved: refund.state == RefundState::Paid,
        is_of_day: is_on(refund.refunded_at, day),
    })
}

fn of_dispute(dispute: &Dispute, day: Date) -> Known {
    Known {
        kind: MovementKind::Dispute,
        reference: dispute.provider_ref.clone(),
        amount: dispute.amount,
        has_moved: matches!(dispute.state, DisputeState::Withdrawn | DisputeState::Lost),
        is_of_day: is_on(dispute.opened_at, day),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{receive_webhook, refund_payment};
    use super::*;
    use crate::domain::DifferenceKind;
    use crate::fixtures::{
        code, ctx, ctx_with, francs, give_by_card, provider, refund_webhook, webhook,
    };

    const HEADING: &str = "balance_transaction_id,created_utc,currency,gross,fee,\
        reporting_category,source_id,payment_intent_id";

    fn report(rows: &[String]) -> Call<Command> {
        let day = "2027-01-15".parse().expect("a date");
        testkit::call(Command { day, report: format!("{HEADING}\n{}\n", rows.join("\n")) })
    }

    fn row(category: &str, gross: &str, source: &str, intent: &str) -> String {
        format!("txn,2027-01-15 08:30:00,xaf,{gross},0,{category},{source},{intent}")
    }

    #[tokio::test]
    async fn a_day_that_agrees_has_no_differences_and_each_kind_of_difference_is_told() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
        let (amount, reason) = (francs(60_000), "left".to_owned());
        let call = testkit::call(refund_payment::Command { payment, amount, reason });
        refund_payment::handle(&ctx, &call).await.expect("asked");
        let mut told = provider.refunds_of(payment).remove(0);
        told["status"] = json!("succeeded");
        let paid = refund_webhook("refund.updated", &told);
        receive_webhook::handle(&ctx, &paid).await.expect("paid");
        let stranger = json!({
            "id": "pi_stranger", "status": "succeeded", "amount": 5, "currency": "xaf",
        });
        receive_webhook::handle(&ctx, &webhook(&stranger)).await.expect("in suspense");
        let intent = provider.intents()[0]["id"].as_str().expect("an id").to_owned();
        let refund = told["id"].as_str().expect("an id").to_owned();
        let agreeing = [
            row("charge", "150000", "ch_1", &intent),
            row("charge", "5", "ch_2", "pi_stranger"),
            row("refund", "-60000", &refund, &intent),
            row("fee", "-1", "fee_1", ""),
        ];
        let reply = handle(&ctx, &report(&agreeing)).await.expect("compares");
        assert_eq!((reply.there, reply.here, reply.difference_count), (3, 3, 0));
        let differing = [
            row("charge", "150001", "ch_1", &intent),
            row("charge", "7", "ch_3", "pi_unheard_of"),
            row("refund", "-60000", &refund, &intent),
            row("refund_failure", "60000", &refund, &intent),
        ];
        let reply = handle(&ctx, &report(&differing)).await.expect("compares");
        let mut told = reply.differences;
        told.sort_by_key(|one| one.difference);
        let kinds: Vec<_> =
            told.iter().map(|one| (one.difference, one.reference.as_str())).collect();
        assert_eq!(
            kinds,
            [
                (DifferenceKind::MissingHere, "pi_unheard_of"),
                (DifferenceKind::MissingThere, "pi_stranger"),
                (DifferenceKind::OtherAmount, intent.as_str()),
                (DifferenceKind::OtherState, refund.as_str()),
            ]
        );
    }

    #[tokio::test]
    async fn a_report_that_cannot_be_read_is_refused_with_its_row() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for wrong in [
            row("charge", "1.5", "ch_1", "pi_1"),
            row("charge", "five", "ch_1", "pi_1"),
            row("charge", "5", "ch_1", ""),
            "one,two".to_owned(),
        ] {
            let rows = [row("charge", "5", "ch_1", "pi_1"), wrong.clone()];
            let Err(Failure::Refused(refused)) = handle(&ctx, &report(&rows)).await else {
                panic!("{wrong} was read")
            };
            assert_eq!(refused.code(), "REPORT_MALFORMED");
            assert_eq!(refused.arguments(), [("row", "3".to_owned())], "{wrong}");
        }
        let mut headless = report(&[]);
        headless.command.report = "nothing\nof,the,kind".into();
        assert_eq!(code(handle(&ctx, &headless).await), "REPORT_MALFORMED");
    }
}
