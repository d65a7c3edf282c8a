//! Schedule: asks the provider about refunds of which it has told nothing for a minute; the one of which it was asked
//! longest ago comes first. One that cannot be asked about stops no other.

use std::time::Duration;

use serde::Serialize;
use shell::{Failure, Fault, Tick, run_step};
use table::{PageRequest, deadline};

use crate::Ctx;
use crate::domain::{Refund, RefundReport, RefundWord};
use crate::provider::Answer;
use crate::returning::{self, Found};
use crate::store::{self, Cause};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Refunds that the provider was asked about.
    pub asked: u32,
    /// Those of them that could not be asked about, or not brought home; the next tick tries again.
    pub unanswered: u32,
}

/// Refunds a tick.
const PAGE: u32 = 100;
/// One question may take as long as the provider's time-out, and its answer has to be written down.
const QUESTION_MAX: Duration = Duration::from_secs(8);

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let page = PageRequest { after: None, limit: PAGE };
    let found = ctx.table.query(&store::refunds_under_way(), &page).await?;
    let mut reply = Reply::default();
    for refund in found.records.iter().filter(|refund| refund.value.is_overdue(tick.now)) {
        if deadline::left() < QUESTION_MAX {
            break;
        }
        reply.asked += 1;
        let result = run_step(async || ask(ctx, &refund.value, tick).await).await;
        if let Err(failure) = result {
            reply.unanswered += 1;
            tracing::error!(
                correlation_id = tick.correlation_id,
                refund = %refund.value.id,
                error = ?failure,
                "a refund under way could not be asked about"
            );
        }
    }
    Ok(reply)
}

async fn ask(ctx: &Ctx, refund: &Refund, tick: &Tick) -> Result<(), Failure> {
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let answer = answer_about(ctx, refund, tick).await?;
    let reason = match answer {
        Answer::Report(report) => {
            let report = RefundReport { refund: Some(refund.id), ..report };
            return returning::conclude_refund(ctx, &report, cause).await;
        }
        Answer::Refused { reason } => reason,
        Answer::Unknown => "provider_unknown".to_owned(),
    };
    let stored = ctx.table.get(&store::refund_key(refund.of, refund.id)).await?;
    let stored = stored.ok_or_else(|| store::missing("refund", refund.id))?;
    let found = Found::of(ctx, refund.of).await?;
    returning::follow(ctx, stored, found, (&RefundWord::Failed { reason }, None), cause).await
}

async fn answer_about(
    ctx: &Ctx,
    refund: &Refund,
    tick: &Tick,
) -> Result<Answer<RefundReport>, Fault> {
    let payment_ref = refund.payment_ref.as_deref().unwrap_or_default();
    match &refund.provider_ref {
        Some(provider_ref) => ctx.provider.look_up_refund(provider_ref).await,
        None if !refund.is_forgotten(tick.now) => ctx.provider.refund(refund, payment_ref).await,
        // Its key is forgotten, its name is not: what is not among the refunds of the payment was never made.
        None => Ok(match ctx.provider.refunds_of(payment_ref).await? {
            Answer::Report(reports) => {
                let own = reports.into_iter().find(|report| report.refund == Some(refund.id));
                own.map_or(Answer::Unknown, Answer::Report)
            }
            Answer::Refused { reason } => Answer::Refused { reason },
            Answer::Unknown => Answer::Unknown,
        }),
    }
}
