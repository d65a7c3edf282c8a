//! What a schedule finds due: a list in the order of its times is worked off as far as they have come. What one run has
//! no time for, and what fails, the next one finds.

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;
use shell::{Failure, run_step};
use table::{PageRequest, Partition, Record, deadline};

use crate::Ctx;

/// Pages of what is due, in one run.
const PAGES_MAX: u32 = 20;
const PAGE: u32 = 50;
/// What one of it may take, and the reply.
const TIME_LEFT_MIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    pub done: u32,
    /// Could not be written this time.
    pub failed: u32,
}

/// Does what is due, which takes it off the list.
pub async fn work_off<R: Record + Copy + Debug>(
    ctx: &Ctx,
    list: &Partition<R>,
    is_due: impl Fn(&R) -> bool,
    act: impl AsyncFn(R) -> Result<(), Failure>,
) -> Result<Reply, Failure> {
    let (mut reply, mut after) = (Reply::default(), None);
    for _ in 0..PAGES_MAX {
        let page = PageRequest { after, limit: PAGE };
        let found = ctx.table.query(list, &page).await?;
        for due in found.records {
            // Whatever comes behind it is due later still.
            if !is_due(&due.value) || deadline::left() < TIME_LEFT_MIN {
                return Ok(reply);
            }
            match run_step(async || act(due.value).await).await {
                Ok(()) => reply.done += 1,
                Err(failure) => {
                    tracing::error!(due = ?due.value, ?failure, "what was due was not done");
                    reply.failed += 1;
                }
            }
        }
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    Ok(reply)
}
