//! Begins a new proof of the ledger, which the schedule carries out; one that is under way goes on.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::read_ledger_proof::Reply;
use crate::Ctx;
use crate::store::{self, LedgerProof, Opened};

pub const ROUTE: Route =
    Route::create("start-ledger-proof", "/ledger-proofs", BURSAR, "Prove the ledger anew");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let stored = ctx.table.get(&store::ledger_proof_key()).await?;
    let today = ctx.institution().date(call.now);
    let mut proof = Opened::of(stored, || LedgerProof::begin(call.now, today));
    if proof.value.finished_at.is_some() {
        proof.value = LedgerProof::begin(call.now, today);
    }
    let reply = Reply::of(&proof.value);
    let mut transaction = ctx.table.transaction();
    proof.write(&mut transaction);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::ctx;

    #[tokio::test]
    async fn a_proof_is_begun_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(Command {}),
            async |table, call| shell::http::carry_out(&ctx(table), &handle, call).await.map(drop),
            async |table, call| {
                let stored = table.get(&store::ledger_proof_key()).await.expect("reads");
                let stored = stored.expect("begun");
                assert_eq!((stored.version, stored.value.finished_at), (1, None));
                assert_eq!(Reply::of(&stored.value).started_at, call.now);
            },
        )
        .await;
    }
}
