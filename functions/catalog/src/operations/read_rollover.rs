//! A rollover: what it would copy, or how far it has come.

use kernel::{RolloverId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::KEEPERS;
use crate::Ctx;
use crate::domain::{Refusal, Rollover, RolloverState, Skipped};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-rollover", "/rollovers/{rollover}", KEEPERS, "Read a rollover's progress");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub rollover: RolloverId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: RolloverId,
    pub version: u64,
    pub from: TermId,
    pub to: TermId,
    pub with_teachers: bool,
    pub state: RolloverState,
    /// Sections that would be copied, or that have been so far.
    pub copied: u32,
    pub skipped: u32,
    /// The first 200 that are not copied, each with why.
    pub skipped_sections: Vec<Skipped>,
}

impl Reply {
    pub fn of(rollover: &Rollover, version: u64) -> Self {
        let Rollover { id, from, to, with_teachers, state, copied, skipped, .. } = *rollover;
        let skipped_sections = rollover.skipped_sections.clone();
        Self { id, version, from, to, with_teachers, state, copied, skipped, skipped_sections }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = store::rollover_key(call.command.rollover);
    let stored = ctx.table.get(&key).await?.ok_or(Refusal::RolloverUnknown)?;
    Ok(Reply::of(&stored.value, stored.version))
}
