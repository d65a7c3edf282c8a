//! Money that came in and that nobody could place, the latest first.

use kernel::{Money, PaymentId, SuspenseItemId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope};

use crate::Ctx;
use crate::domain::{Decided, SuspenseItem, SuspenseReason};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-suspense-items",
    "/suspense-items",
    Access::Roles(&[Allow { role: Role::Bursar, scope: Scope::All }]),
    "List the money that could not be placed, the latest first",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub id: SuspenseItemId,
    /// The provider's id of its payment.
    pub provider_ref: String,
    /// The payment that the provider named, whether we know it or not.
    pub payment: Option<PaymentId>,
    pub amount: Money,
    /// What was asked for, where it is known: another amount or currency is never taken for it, nor for a part of it.
    pub expected: Option<Money>,
    pub reason: SuspenseReason,
    pub received_at: Timestamp,
    /// The payment that the bursar made of it.
    pub assigned: Option<PaymentId>,
    /// What of it is still here: the rest went back, or is on its way back.
    pub left: Money,
    /// Who decided what becomes of it, and why.
    pub decided: Option<Decided>,
}

impl Item {
    pub(super) fn of(item: &SuspenseItem) -> Self {
        let left = item.left();
        let SuspenseItem { id, provider_ref, payment, amount, decided, .. } = item.clone();
        let SuspenseItem { expected, reason, received_at, assigned, .. } = item.clone();
        Self {
            id,
            provider_ref,
            payment,
            amount,
            expected,
            reason,
            received_at,
            assigned,
            left,
            decided,
        }
    }
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::suspense_items(), &call.page).await?;
    let items = page.records.iter().map(|item| Item::of(&item.value)).collect();
    Ok(Listing { items, next_cursor: page.next })
}
