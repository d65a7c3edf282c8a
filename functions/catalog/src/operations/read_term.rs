//! One term.

use kernel::{Date, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::{Code, Refusal, Term};
use crate::store;

pub const ROUTE: Route = Route::get("read-term", "/terms/{term}", Access::LoggedIn, "Read a term");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: TermId,
    pub version: u64,
    pub code: Code,
    pub title: String,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

impl Reply {
    pub fn of(term: &Term, version: u64) -> Self {
        let Term {
            id,
            code,
            title,
            first_day,
            last_day,
            registration_opens_at,
            registration_closes_at,
        } = term.clone();
        Self {
            id,
            version,
            code,
            title,
            first_day,
            last_day,
            registration_opens_at,
            registration_closes_at,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let term =
        ctx.table.get(&store::term_key(call.command.term)).await?.ok_or(Refusal::TermUnknown)?;
    Ok(Reply::of(&term.value, term.version))
}
