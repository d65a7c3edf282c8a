//! Event: a charge is settled. Whoever waits for it is told, with the token that was kept; told twice, they
//! hear it once.

use events::ChargeSettled;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::{store, task_tokens};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let settled: ChargeSettled = delivery.event()?;
    let charge = ctx.table.get(&store::charge_key(settled.charge)).await?;
    // Without a token nobody waits yet: who begins to wait finds the charge settled.
    match charge.and_then(|charge| charge.value.waiting) {
        Some(saga) => task_tokens::answer_settled(ctx, &saga.task_token).await,
        None => Ok(()),
    }
}
