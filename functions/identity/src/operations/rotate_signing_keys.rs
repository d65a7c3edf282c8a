//! Schedule: the keys that sign access tokens change once in 30 days. The next one is published for an hour before it
//! signs, and an old one is kept for a day; nobody has to restart anything.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use shell::{Failure, Fault, Tick};

use crate::Ctx;
use crate::domain::Seed;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply {
    /// One more with every change of the keys.
    pub generation: u64,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let store = ctx.key_ring.store();
    let set = store.read().await?;
    let Some(next) = set.rotated(tick.now, new_seed()?) else {
        return Ok(Reply { generation: set.generation });
    };
    store.write(&set, &next).await?;
    Ok(Reply { generation: next.generation })
}

fn new_seed() -> Result<Seed, Fault> {
    let mut seed = [0; 32];
    rand::fill(&mut seed).map_err(|error| Fault::outside("there is no randomness", error))?;
    Ok(Seed(URL_SAFE_NO_PAD.encode(seed)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_secretsmanager::Client;
    use jiff::SignedDuration;
    use testkit::{Fault as WireFault, Faults, TestTable};

    use super::*;
    use crate::fixtures::ctx;
    use crate::key_ring::KeyRing;
    use crate::key_store::KeyStore;

    fn ctx_with_keys(test: &TestTable) -> Ctx {
        let store = KeyStore::new(Client::new(&test.engine.sdk_config()), "signing-keys");
        Ctx { key_ring: Arc::new(KeyRing::new(store)), ..ctx(&test.table) }
    }

    fn tick(hours: i64) -> Tick {
        let now = testkit::now() + SignedDuration::from_hours(hours);
        Tick { now, correlation_id: "test".into() }
    }

    #[tokio::test]
    async fn a_schedule_that_runs_every_day_changes_the_key_once_in_thirty_days() {
        let test = TestTable::new().await;
        let ctx = ctx_with_keys(&test);
        let mut signed_by = Vec::new();
        for day in 0..91 {
            handle(&ctx, &tick(day * 24)).await.expect("rotates");
            let set = ctx.key_ring.store().read().await.expect("reads");
            let signing = set.signing(tick(day * 24 + 12).now).expect("one signs");
            signed_by.push(set.keys[signing].seed.clone());
        }
        signed_by.dedup();
        assert_eq!(signed_by.len(), 4);
    }

    #[tokio::test]
    async fn a_rotation_is_made_once_whatever_happens_on_the_wire() {
        for fault in WireFault::ALL {
            for nth in 0..2 {
                let test = TestTable::new().await;
                let ctx = ctx_with_keys(&test);
                test.engine.set_faults(Faults::once(nth, fault));
                let run = async || handle(&ctx, &tick(0)).await;
                shell::run_step(run).await.expect("the SDK or the shell asks again");
                test.engine.set_faults(Faults::none());
                let again = handle(&ctx, &tick(0)).await.expect("nothing is due");
                assert_eq!(again, Reply { generation: 1 }, "{fault:?} at call {nth}");
                let set = ctx.key_ring.store().read().await.expect("reads");
                assert_eq!(set.keys.len(), 2);
            }
        }
    }
}
