//! Event: a charge is settled, or secured by a plan or a deferral. Whoever waits for it is told, with the token that
//! was kept; told twice, they hear it once.

use events::{ChargeSecured, ChargeSettled, Event};
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::{store, task_tokens};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let charge = if delivery.envelope.name == ChargeSecured::NAME {
        delivery.event::<ChargeSecured>()?.charge
    } else {
        delivery.event::<ChargeSettled>()?.charge
    };
    let charge = ctx.table.get(&store::charge_key(charge)).await?;
    // What was taken back meanwhile, as with a plan that is cancelled, is told again when it comes again.
    let charge = charge.filter(|charge| charge.value.state.lets_go_on());
    // Without a token nobody waits yet: who begins to wait finds the charge as it is.
    match charge.and_then(|charge| charge.value.waiting) {
        Some(saga) => task_tokens::answer_secured(ctx, &saga.task_token).await,
        None => Ok(()),
    }
}
