//! The authorizer: whose token this is. It asks nobody: the token's signature says it all.

use kernel::Timestamp;
use shell::{Caller, Failure};

use crate::Ctx;

pub async fn handle(ctx: &Ctx, token: &str, now: Timestamp) -> Result<Caller, Failure> {
    Ok(ctx.keys().await?.caller(token, now)?)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::fixtures::{ada_logged_in, code, ctx};

    #[tokio::test]
    async fn a_token_from_the_log_in_opens_without_a_call_to_the_table() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        drop(test.engine.take_calls());
        let caller = handle(&ctx, &ada.access_token, testkit::now()).await.expect("it is good");
        assert_eq!(caller.person, ada.person);
        assert_eq!(test.engine.take_calls().values().sum::<u64>(), 0);
    }

    #[tokio::test]
    async fn an_expired_token_is_told_apart_from_one_that_was_never_good() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let later = testkit::now() + SignedDuration::from_hours(1);
        assert_eq!(code(handle(&ctx, &ada.access_token, later).await), "TOKEN_EXPIRED");
        for forged in ["", "x", "a.b.c", &ada.access_token[1..], &ada.refresh_token] {
            assert_eq!(code(handle(&ctx, forged, testkit::now()).await), "TOKEN_INVALID");
        }
    }
}
