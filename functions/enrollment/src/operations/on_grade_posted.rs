//! A final grade is posted: it becomes part of the student's past, its registration is completed, and whatever was let
//! in because the course was under way is judged again. What does not hold any more is told, and has its day where the
//! institution's policy sets one.

use shell::{Delivery, Failure};

use super::cause_of;
use crate::{Ctx, provisional};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    // What a later word has overtaken changes nothing.
    provisional::take_grade(ctx, &mut transaction, delivery.event()?, cause_of(delivery)).await?;
    Ok(transaction.commit().await?)
}
