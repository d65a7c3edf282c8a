//! Compares the provider's own report of a day, as it can be downloaded there, with what is booked here: what is
//! missing on either side, of another amount, or in another state. What the report names and the days around do not
//! have is looked for by its reference: disputes and refunds go on weeks after they began.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Currency, Date, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::{Partition, Record};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{
    Channel, Dispute, DisputeState, Known, MovementKind, Origin, Payment, Refund, RefundState,
    Refusal, SuspenseItem, Unreconciled, amount_of, reconcile,
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
/// References of a report that are looked for one by one. A report of which more are unknown is not of this account.
const LOOKED_FOR_MAX: usize = 500;
/// Pages of one list and day.
const PAGES_MAX: u32 = 50;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { day, report } = &call.command;
    let reported = read_report(report)?;
    let mut here = known_here(ctx, *day).await?;
    let older = older_here(ctx, *day, &here, &reported).await?;
    here.extend(older);
    let there: Vec<Known> = reported.into_iter().map(|one| one.known).collect();
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

/// What the report tells of one reference.
struct Reported {
    known: Known,
    /// The provider's id of the payment, where it names one.
    payment_ref: String,
}

fn read_report(report: &str) -> Result<Vec<Reported>, Refusal> {
    let mut reader = csv::ReaderBuilder::new().from_reader(report.as_bytes());
    let mut sums: BTreeMap<(MovementKind, String), (Money, String)> = BTreeMap::new();
    for (at, row) in reader.deserialize::<Row>().enumerate() {
        // The heading is row 1.
        let malformed = Refusal::ReportMalformed { row: at + 2 };
        let row = row.map_err(|_| malformed)?;
        let (kind, reference) = match row.reporting_category.as_str() {
            "charge" => (MovementKind::Payment, &row.payment_intent_id),
            "refund" | "refund_failure" => (MovementKind::Refund, &row.source_id),
            "dispute" | "dispute_reversal" => (MovementKind::Dispute, &row.source_id),
            _ => continue,
        };
        let currency: Currency =
            row.currency.to_ascii_uppercase().parse().map_err(|_| malformed)?;
        let minor = amount_of(&row.gross, currency).ok_or(malformed)?;
        if reference.is_empty() {
            return Err(malformed);
        }
        let none = || (Money::zero(currency), row.payment_intent_id.clone());
        let (sum, _) = sums.entry((kind, reference.clone())).or_insert_with(none);
        *sum = sum.checked_add(Money::new(minor, currency))?;
    }
    let reported = sums.into_iter().map(|((kind, reference), (sum, payment_ref))| {
        let came = sum.minor.signum() * if kind == MovementKind::Payment { 1 } else { -1 };
        // What went and came back under one reference did both.
        let (has_moved, has_come_back) = (came >= 0, came <= 0);
        let amount = Money::new(sum.minor.abs(), sum.currency);
        let known = Known { kind, reference, amount, has_moved, has_come_back, is_of_day: true };
        Reported { known, payment_ref }
    });
    Ok(reported.collect())
}

/// What moved on the day, and on those beside it: clocks differ around midnight.
async fn known_here(ctx: &Ctx, day: Date) -> Result<Vec<Known>, Failure> {
    let mut known = Vec::new();
    let one = jiff::Span::new().days(1);
    for near in [day.saturating_sub(one), day, day.saturating_add(one)] {
        let payments = all(ctx, &store::payments_ended(near)).await?;
        known.extend(payments.iter().filter_map(|payment| of_payment(payment, day)));
        let items = all(ctx, &store::suspense_items_of(near)).await?;
        let by_card = items.iter().filter(|item| item.channel == Channel::Card);
        known.extend(by_card.map(|item| of_suspense(item, day)));
        let refunds = all(ctx, &store::refunds_ended(near)).await?;
        known.extend(refunds.iter().filter_map(|refund| of_refund(refund, day)));
        let disputes = all(ctx, &store::disputes_of(near)).await?;
        known.extend(disputes.iter().map(|dispute| of_dispute(dispute, day)));
    }
    Ok(known)
}

/// What the report names, and what was not found near its day.
async fn older_here(
    ctx: &Ctx,
    day: Date,
    here: &[Known],
    reported: &[Reported],
) -> Result<Vec<Known>, Failure> {
    let near: BTreeSet<(MovementKind, &str)> =
        here.iter().map(|known| (known.kind, known.reference.as_str())).collect();
    let is_near = |one: &&Reported| near.contains(&(one.known.kind, one.known.reference.as_str()));
    let mut older = Vec::new();
    for one in reported.iter().filter(|one| !is_near(one)).take(LOOKED_FOR_MAX) {
        older.extend(look_for(ctx, day, one).await?);
    }
    Ok(older)
}

async fn look_for(ctx: &Ctx, day: Date, reported: &Reported) -> Result<Option<Known>, Failure> {
    let reference = reported.known.reference.as_str();
    if reported.known.kind == MovementKind::Dispute {
        let dispute = ctx.table.get(&store::dispute_key(reference)).await?;
        return Ok(dispute.map(|dispute| of_dispute(&dispute.value, day)));
    }
    let (payment, item) = money_of(ctx, &reported.payment_ref).await?;
    if reported.known.kind == MovementKind::Payment {
        let payment = payment.and_then(|payment| of_payment(&payment, day));
        return Ok(payment.or(item.map(|item| of_suspense(&item, day))));
    }
    let origins = payment.map(|payment| Origin::Payment(payment.id));
    let origins = origins.into_iter().chain(item.map(|item| Origin::SuspenseItem(item.id)));
    for of in origins {
        let refunds = all(ctx, &store::refunds(of)).await?;
        let is_it = |refund: &&Refund| refund.provider_ref.as_deref() == Some(reference);
        if let Some(refund) = refunds.iter().find(is_it) {
            return Ok(of_refund(refund, day));
        }
    }
    Ok(None)
}

/// The payment that the provider calls so, and what was put in suspense under that reference.
async fn money_of(
    ctx: &Ctx,
    payment_ref: &str,
) -> Result<(Option<Payment>, Option<SuspenseItem>), Failure> {
    let reference_key = store::provider_reference_key(payment_ref);
    let item_key = store::suspense_key(SuspenseItem::id_of(payment_ref));
    let mut batch = ctx.table.get_batch(vec![(&reference_key).into(), (&item_key).into()]).await?;
    let item = batch.take(&item_key)?.map(|stored| stored.value);
    let payment = match batch.take(&reference_key)? {
        Some(reference) => ctx.table.get(&store::payment_key(reference.value.payment)).await?,
        None => None,
    };
    Ok((payment.map(|stored| stored.value), item))
}

async fn all<R: Record>(ctx: &Ctx, list: &Partition<R>) -> Result<Vec<R>, Failure> {
    let records = store::all(&ctx.table, list, PAGES_MAX).await?;
    Ok(records.ok_or(Refusal::DayTooLarge)?)
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
        has_come_back: false,
        is_of_day: is_on(payment.initiated_at, day),
    })
}

fn of_suspense(item: &SuspenseItem, day: Date) -> Known {
    Known {
        kind: MovementKind::Payment,
        reference: item.provider_ref.clone(),
        amount: item.amount,
        has_moved: true,
        has_come_back: false,
        is_of_day: is_on(item.received_at, day),
    }
}

/// At the provider the money leaves when it takes the refund on, and comes back where that fails.
fn of_refund(refund: &Refund, day: Date) -> Option<Known> {
    Some(Known {
        kind: MovementKind::Refund,
        reference: refund.provider_ref.clone()?,
        amount: refund.amount,
        has_moved: true,
        has_come_back: refund.state == RefundState::Failed,
        is_of_day: refund.state == RefundState::Paid && is_on(refund.refunded_at, day),
    })
}

fn of_dispute(dispute: &Dispute, day: Date) -> Known {
    let is_gone = matches!(dispute.state, DisputeState::Withdrawn | DisputeState::Lost);
    let has_moved = is_gone || dispute.withdrawn_at.is_some();
    let has_come_back = has_moved && dispute.state == DisputeState::Won;
    let went = has_moved && is_on(dispute.withdrawn_at.unwrap_or(dispute.opened_at), day);
    let came_back = has_come_back && is_on(dispute.changed_at, day);
    Known {
        kind: MovementKind::Dispute,
        reference: dispute.provider_ref.clone(),
        amount: dispute.amount,
        has_moved,
        has_come_back,
        is_of_day: went != came_back,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{receive_webhook, refund_payment};
    use super::*;
    use crate::domain::DifferenceKind;
    use crate::fixtures::{
        code, ctx, ctx_with, francs, give_by_card, provider, refund_webhook, webhook, webhook_of,
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

    fn report_of(day: &str, rows: &[String]) -> Call<Command> {
        let Command { report, .. } = report(rows).command;
        testkit::call(Command { day: day.parse().expect("a date"), report })
    }

    #[tokio::test]
    async fn what_goes_on_weeks_later_is_found_by_its_reference() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
        let intent = provider.intents()[0]["id"].as_str().expect("an id").to_owned();
        let (amount, reason) = (francs(60_000), "left".to_owned());
        let call = testkit::call(refund_payment::Command { payment, amount, reason });
        refund_payment::handle(&ctx, &call).await.expect("asked");
        let mut refund = provider.refunds_of(payment).remove(0);
        refund["status"] = json!("failed");
        let failed = refund_webhook("refund.failed", &refund);
        receive_webhook::handle(&ctx, &failed).await.expect("it came back");
        let refund = refund["id"].as_str().expect("an id").to_owned();
        let dispute = json!({
            "id": "dp_1", "status": "needs_response", "amount": 90_000, "currency": "xaf",
            "payment_intent": intent, "reason": "fraudulent",
        });
        let taken = testkit::webhook_body_of("charge.dispute.funds_withdrawn", &dispute);
        receive_webhook::handle(&ctx, &webhook_of(taken)).await.expect("taken");
        let came_back = [
            row("refund_failure", "60000", &refund, &intent),
            row("dispute_reversal", "90000", "dp_1", &intent),
        ];
        let reply = handle(&ctx, &report_of("2027-03-02", &came_back)).await.expect("compares");
        let told: Vec<_> =
            reply.differences.iter().map(|one| (one.difference, one.reference.as_str())).collect();
        assert_eq!(told, [(DifferenceKind::OtherState, "dp_1")], "nobody has told us that");
        let won = testkit::webhook_body_of("charge.dispute.funds_reinstated", &dispute);
        receive_webhook::handle(&ctx, &webhook_of(won)).await.expect("won");
        let late = report_of("2027-03-02", &came_back);
        assert_eq!(handle(&ctx, &late).await.expect("compares").difference_count, 0);
        let went = [
            row("charge", "150000", "ch_1", &intent),
            row("refund", "-60000", &refund, &intent),
            row("dispute", "-90000", "dp_1", &intent),
        ];
        for day in ["2027-01-15", "2027-02-15"] {
            let reply = handle(&ctx, &report_of(day, &went)).await.expect("compares");
            assert_eq!(reply.differences, [], "{day}");
        }
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
