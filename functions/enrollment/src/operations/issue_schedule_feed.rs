//! A student gets the secret address of their calendar, which other programs subscribe to. The one that they had before
//! is good no longer. Whoever asks twice has the last.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::{read_schedule_feed, submit};
use crate::Ctx;
use crate::domain::{FeedAddress, ScheduleFeed};
use crate::store;

pub const ROUTE: Route = Route::call(
    "issue-schedule-feed",
    "/schedule-feed",
    submit::ACCESS,
    "Get a new secret address of one's own calendar",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// Whoever knows it reads the schedule. It is shown here and nowhere else.
    pub address: String,
    pub issued_at: Timestamp,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (student, issued_at) = (call.person(), call.now);
    let before = ctx.table.get(&store::schedule_feed_key(student)).await?;
    let secret = shell::random_text()?;
    let digest = shell::digest_of(&secret);
    let mut transaction = ctx.table.transaction();
    if let Some(before) = &before {
        store::revoke_address(&mut transaction, &before.value);
    }
    transaction.create(&FeedAddress { digest: digest.clone(), student });
    let feed = ScheduleFeed { student, digest, issued_at };
    transaction.put(&feed, before.map(|before| before.version));
    transaction.commit().await?;
    let path = read_schedule_feed::ROUTE.path.replace("{secret}", &secret);
    Ok(Reply { address: format!("{}{path}", ctx.api_url()), issued_at })
}

#[cfg(test)]
pub(super) mod tests {
    use testkit::{TestTable, person};

    use super::super::read_schedule_feed::tests::read;
    use super::super::revoke_schedule_feed;
    use super::*;
    use crate::fixtures::{by, code};

    pub async fn issued(ctx: &Ctx, student: &str) -> String {
        let call = by(student, testkit::call(Command {}));
        handle(ctx, &call).await.expect("issued").address
    }

    /// The secret in an address.
    pub fn secret(address: &str) -> String {
        let inner = address.strip_prefix("https://test.matricula.example/schedule-feeds/");
        inner.and_then(|inner| inner.strip_suffix("/schedule.ics")).expect("an address").to_owned()
    }

    #[tokio::test]
    async fn a_new_address_takes_the_place_of_the_old_one_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| issued(&Ctx::new(table.clone()), "ada").await,
            async |table, _| {
                let call = testkit::call(Command {});
                let ctx = Ctx::new(table.clone());
                shell::http::carry_out(&ctx, &handle, &call).await.map(drop)
            },
            async |table, first| {
                let ctx = Ctx::new(table.clone());
                assert_eq!(code(read(&ctx, &secret(first)).await), "SCHEDULE_FEED_UNKNOWN");
                let feed = table.get(&store::schedule_feed_key(person("ada"))).await;
                let feed = feed.expect("reads").expect("is there").value;
                let address = table.get(&store::feed_address_key(&feed.digest)).await;
                assert_eq!(address.expect("reads").expect("is there").value.student, feed.student);
                let last = issued(&ctx, "ada").await;
                read(&ctx, &secret(&last)).await.expect("it is good");
                let gone = table.get(&store::feed_address_key(&feed.digest)).await;
                assert_eq!(gone.expect("reads"), None);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_secret_itself_is_not_kept_and_each_is_another() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let first = secret(&issued(&ctx, "ada").await);
        let second = secret(&issued(&ctx, "ada").await);
        assert_ne!(first, second);
        assert_eq!(second.len(), 43, "256 bits");
        let feed = test.table.get(&store::schedule_feed_key(person("ada"))).await;
        let feed = feed.expect("reads").expect("is there").value;
        assert_eq!(feed.digest, shell::digest_of(&second));
        assert_ne!(feed.digest, second);
    }

    #[tokio::test]
    async fn what_one_student_revokes_is_their_own() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (ada, bob) = (issued(&ctx, "ada").await, issued(&ctx, "bob").await);
        let revoke = by("bob", testkit::call(revoke_schedule_feed::Command {}));
        revoke_schedule_feed::handle(&ctx, &revoke).await.expect("revoked");
        assert_eq!(code(read(&ctx, &secret(&bob)).await), "SCHEDULE_FEED_UNKNOWN");
        read(&ctx, &secret(&ada)).await.expect("hers is good");
    }
}
