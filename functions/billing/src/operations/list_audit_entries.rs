//! What the staff have decided here about a student, the newest first; or what somebody did here on a day, in the order
//! in which they did it. That this is asked is noted as well.

use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope, TrailEntry, TrailQuestion};

use crate::Ctx;

pub const ROUTE: Route = Route::list(
    "list-audit-entries",
    "/billing-audit-trail",
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]),
    "List what was decided in billing about a student, or by somebody on a day",
);

pub type Command = TrailQuestion;
pub type Reply = Listing<TrailEntry>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    shell::answer_trail_question(&ctx.table, call, ROUTE.operation).await
}
