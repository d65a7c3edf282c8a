//! What went back of a payment, or is on its way back.

use kernel::{Money, PaymentId, PersonId, RefundId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Origin, Refund, RefundState, Refusal};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-refunds",
    "/payments/{payment}/refunds",
    OWN_OR_STAFF,
    "List what went back of a payment",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub payment: PaymentId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub id: RefundId,
    pub status: RefundState,
    pub amount: Money,
    /// What of it is booked in suspense: more went back than there was of the payment.
    pub unplaced: Money,
    pub reason: String,
    /// The provider's id of it; null over the counter.
    pub provider_ref: Option<String>,
    /// Why it failed, in the provider's word, such as `lost_or_stolen_card`.
    pub failure_reason: Option<String>,
    /// Null where the provider did it by itself.
    pub refunded_by: Option<PersonId>,
    pub refunded_at: Timestamp,
    pub concluded_at: Option<Timestamp>,
}

impl From<Refund> for Item {
    fn from(refund: Refund) -> Self {
        Self {
            id: refund.id,
            status: refund.state,
            amount: refund.amount,
            unplaced: Money::new(refund.unplaced, refund.amount.currency),
            reason: refund.reason,
            provider_ref: refund.provider_ref,
            failure_reason: refund.failure_reason,
            refunded_by: refund.refunded_by,
            refunded_at: refund.refunded_at,
            concluded_at: refund.concluded_at,
        }
    }
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let payment = ctx
        .table
        .get(&store::payment_key(call.command.payment))
        .await?
        .filter(|payment| call.may_touch(payment.value.student, &[]))
        .ok_or(Refusal::PaymentUnknown)?;
    let refunds = store::refunds(Origin::Payment(payment.value.id));
    let page = ctx.table.query(&refunds, &call.page).await?;
    let items = page.records.into_iter().map(|refund| refund.value.into()).collect();
    Ok(Listing { items, next_cursor: page.next })
}
