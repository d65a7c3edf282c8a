//! Payers who turned to their bank, the latest first.

use kernel::{Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Dispute, DisputeState, Origin};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-disputes",
    "/disputes",
    BURSAR,
    "List disputes of payments, the latest first",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    /// The provider's id of it.
    pub provider_ref: String,
    pub of: Origin,
    pub status: DisputeState,
    pub amount: Money,
    /// What of it is booked in suspense: more was taken than there was of the payment.
    pub unplaced: Money,
    /// What the provider keeps for it, where it tells so.
    pub fee: Option<Money>,
    /// In the provider's word, such as `fraudulent`.
    pub reason: String,
    pub opened_at: Timestamp,
    pub changed_at: Timestamp,
}

impl From<Dispute> for Item {
    fn from(dispute: Dispute) -> Self {
        Self {
            provider_ref: dispute.provider_ref,
            of: dispute.of,
            status: dispute.state,
            amount: dispute.amount,
            unplaced: Money::new(dispute.unplaced, dispute.amount.currency),
            fee: dispute.fee,
            reason: dispute.reason,
            opened_at: dispute.opened_at,
            changed_at: dispute.changed_at,
        }
    }
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::disputes(), &call.page).await?;
    let items = page.records.into_iter().map(|dispute| dispute.value.into()).collect();
    Ok(Listing { items, next_cursor: page.next })
}
