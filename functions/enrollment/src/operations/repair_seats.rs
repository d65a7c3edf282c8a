//! Somebody has a section's counters set to what is counted now, with the total of its cross-list, and is named for it.

use events::SeatsRepaired;
use kernel::SectionId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::OPERATORS;
use crate::Ctx;
use crate::domain::{Refusal, SeatDifference};
use crate::store::{self, Cause, CountedSection};

pub const ROUTE: Route = Route::act(
    "repair-seats",
    "/sections/{section}/seat-repair",
    OPERATORS,
    "Set a section's seat counters to what is counted",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// The section as it was before the repair, with what was counted.
pub type Reply = SeatDifference;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { section, reason } = call.command.clone();
    // What changed while it was counted is counted anew.
    let Some(found) = store::counted_seats(&ctx.table, section).await? else {
        let is_known = ctx.table.get(&store::seats_key(section)).await?.is_some();
        let busy = Failure::Conflict { with_twin: false };
        return Err(if is_known { busy } else { Refusal::SectionUnknown.into() });
    };
    let (counters, CountedSection { mut seats, shared, counted }) = (found.counters(), found);
    if counters == counted {
        return Err(Refusal::SeatsAgree.into());
    }
    let known = ctx.table.get(&store::seat_difference_key(section)).await?;
    let mut transaction = ctx.table.transaction();
    if let Some((mut shared, together)) = shared.zip(counted.shared) {
        together.correct(&mut shared.value);
        transaction.update(&shared);
    }
    counted.correct(&mut seats.value);
    transaction.update(&seats);
    if let Some(known) = known {
        transaction.delete(&known);
    }
    let event = SeatsRepaired {
        section,
        taken_before: counters.taken,
        taken: counted.taken,
        waiting_before: counters.waiting,
        waiting: counted.waiting,
        repaired_by: call.person(),
        reason,
    };
    let version = seats.version + 1;
    transaction.event(event, version, call.now, &call.correlation_id);
    // Seats may have come to light that somebody waits for.
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let freed_by = format!("repair {version}");
    store::tell_free_seat(&mut transaction, &seats.value, freed_by, (version, cause));
    let section_code = seats.value.code.clone();
    let reply = SeatDifference { section, section_code, counters, counted, found_at: call.now };
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}
