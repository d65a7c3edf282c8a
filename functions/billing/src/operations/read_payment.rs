//! One payment, as far as the provider has told what became of it.

use kernel::{InvoiceId, Money, PaymentId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Channel, ChargeCode, Payment, PaymentState, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-payment", "/payments/{payment}", OWN_OR_STAFF, "Read a payment")
        .for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub payment: PaymentId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: PaymentId,
    pub status: PaymentState,
    /// What it pays first; null where the payer named none.
    pub invoice: Option<InvoiceId>,
    pub student: PersonId,
    pub amount: Money,
    pub channel: Channel,
    pub payment_method: String,
    /// It pays for charges of these codes only; for all where there are none.
    pub only: Vec<ChargeCode>,
    /// What was paid back of it, or is on its way back.
    pub refunded: Money,
    pub initiated_at: Timestamp,
    pub concluded_at: Option<Timestamp>,
    /// Why it failed, in the provider's word, such as `card_declined`.
    pub failure_reason: Option<String>,
}

impl Reply {
    pub fn of(payment: &Payment) -> Self {
        let payment = payment.clone();
        Self {
            id: payment.id,
            status: payment.state,
            invoice: payment.invoice,
            student: payment.student,
            amount: payment.amount,
            channel: payment.channel,
            payment_method: payment.payment_method,
            only: payment.only,
            refunded: payment.refunded,
            initiated_at: payment.initiated_at,
            concluded_at: payment.concluded_at,
            failure_reason: payment.failure_reason,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let payment = ctx
        .table
        .get(&store::payment_key(call.command.payment))
        .await?
        .filter(|payment| call.may_touch(payment.value.student, &[]))
        .ok_or(Refusal::PaymentUnknown)?;
    Ok(Reply::of(&payment.value))
}
