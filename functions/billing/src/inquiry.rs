//! Asking the provider what became of things under way: each in its turn, however many hang, and one that cannot be
//! asked about stops no other.

use std::fmt::Display;
use std::time::Duration;

use kernel::Timestamp;
use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, Partition, Position, Record, deadline};

use crate::Ctx;
use crate::store::{self, LeftOff, Opened};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Things that the provider was asked about.
    pub asked: u32,
    /// Those of them that could not be asked about, or not brought home; another tick tries again.
    pub unanswered: u32,
}

/// Records; the next tick goes on behind the pages of this one.
pub const PAGE: u32 = 10;
const PAGES_MAX: u32 = 50;
/// One question may take as long as the provider's time-out, and its answer has to be written down.
pub const QUESTION_MAX: Duration = Duration::from_secs(8);

/// Something of which the provider knows more than we do.
pub trait UnderWay: Record {
    type Id: Display;

    fn id(&self) -> Self::Id;

    /// Whether it is time to ask. What lies behind one of which it is not, is younger still.
    fn is_overdue(&self, now: Timestamp) -> bool;
}

/// Asks about all that is overdue in a list, as far as one tick comes; the next goes on behind it.
pub async fn ask_all<R: UnderWay>(
    ctx: &Ctx,
    tick: &Tick,
    (operation, list): (&str, Partition<R>),
    ask: impl AsyncFn(&R) -> Result<(), Failure>,
) -> Result<Reply, Failure> {
    let stored = ctx.table.get(&store::left_off_key(operation)).await?;
    let operation = operation.to_owned();
    let mut left_off = Opened::of(stored, || LeftOff { operation, after: None });
    let began_behind = left_off.value.after.clone();
    let mut reply = Reply::default();
    let after = walk(ctx, tick, (list, began_behind.clone()), &mut reply, ask).await?;
    if after != began_behind {
        left_off.value.after = after;
        let mut transaction = ctx.table.transaction();
        left_off.write(&mut transaction);
        transaction.commit().await?;
    }
    Ok(reply)
}

/// Answers behind which record it left off; none where it came to the end of what is overdue.
async fn walk<R: UnderWay>(
    ctx: &Ctx,
    tick: &Tick,
    (list, mut after): (Partition<R>, Option<Position>),
    reply: &mut Reply,
    ask: impl AsyncFn(&R) -> Result<(), Failure>,
) -> Result<Option<Position>, Failure> {
    for _ in 0..PAGES_MAX {
        let page = PageRequest { after: after.clone(), limit: PAGE };
        let found = ctx.table.query(&list, &page).await?;
        for one in found.records {
            if !one.value.is_overdue(tick.now) {
                return Ok(None);
            }
            if deadline::left() < QUESTION_MAX {
                return Ok(after);
            }
            reply.asked += 1;
            // Boxed: what it takes to bring an answer home is large.
            let result = Box::pin(run_step(async || ask(&one.value).await)).await;
            if let Err(failure) = result {
                reply.unanswered += 1;
                tracing::error!(
                    correlation_id = tick.correlation_id,
                    about = %one.value.id(),
                    error = ?failure,
                    "the provider could not be asked about what is under way"
                );
            }
            after = Position::in_index(&one.value);
        }
        if found.next.is_none() {
            return Ok(None);
        }
        after = found.next;
    }
    Ok(after)
}
