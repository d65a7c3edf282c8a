//! The caller's sessions that still stand, the newest first.

use kernel::{SessionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Listing, Route};

use crate::Ctx;
use crate::domain::Session;
use crate::store;

pub const ROUTE: Route =
    Route::list("list-sessions", "/me/sessions", Access::LoggedIn, "List your own sessions");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub id: SessionId,
    pub started_at: Timestamp,
    /// When its tokens were last refreshed.
    pub refreshed_at: Timestamp,
    pub device_name: Option<String>,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let person = call.person();
    let current = call.caller().session;
    let (end, sessions) = (store::sessions_end_key(person), store::sessions_of(person));
    let (end, page) = tokio::join!(ctx.table.get(&end), ctx.table.query(&sessions, &call.page));
    let (end, page) = (end?.map(|end| end.value), page?);
    let sessions = page.records.into_iter().map(|session| session.value);
    let standing = sessions.filter(|session| session.stands(end.as_ref(), call.now));
    let item = |session: Session| Item {
        id: session.id,
        started_at: session.started_at,
        refreshed_at: session.rotated_at,
        device_name: session.device_name,
        is_current: session.id == current,
    };
    Ok(Listing { items: standing.map(item).collect(), next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::super::{end_session, end_sessions};
    use super::*;
    use crate::fixtures::{ada_logged_in, as_person, by_bearer, caller_of, ctx, log_in};

    const ADA: &str = "ada@matricula.example";
    const SECRET: &str = "a long enough secret";

    #[tokio::test]
    async fn everybody_sees_their_own_sessions_page_by_page_and_which_one_asks() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = ada_logged_in(&ctx).await;
        for _ in 0..2 {
            log_in(&ctx, ADA, SECRET).await.expect("logs in");
        }
        let caller = caller_of(&ctx, &first).await.expect("good");
        let mut call = Call { caller: Some(caller.clone()), ..testkit::call(Command {}) };
        call.page = PageRequest { after: None, limit: 2 };
        let page = handle(&ctx, &call).await.expect("reads");
        assert_eq!(page.items.len(), 2);
        call.page.after = page.next_cursor;
        let rest = handle(&ctx, &call).await.expect("reads");
        let all: Vec<Item> = page.items.into_iter().chain(rest.items).collect();
        assert_eq!(all.len(), 3);
        let current: Vec<_> = all.iter().filter(|item| item.is_current).collect();
        assert_eq!(current.len(), 1);
        assert_eq!(current[0].id, caller.session);
        let nobody = as_person(testkit::person("bob"), Command {});
        assert_eq!(handle(&ctx, &nobody).await.expect("reads").items, []);
    }

    #[tokio::test]
    async fn what_has_ended_is_not_listed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let tokens = ada_logged_in(&ctx).await;
        let other = log_in(&ctx, ADA, SECRET).await.expect("logs in");
        let list = async || {
            let listed = handle(&ctx, &as_person(tokens.person, Command {})).await;
            listed.expect("reads").items.into_iter().map(|item| item.id).collect::<Vec<_>>()
        };
        let sessions = list().await;
        assert_eq!(sessions.len(), 2);
        let session = caller_of(&ctx, &other).await.expect("good").session;
        let end = by_bearer(&ctx, &tokens, end_session::Command { session }).await;
        end_session::handle(&ctx, &end).await.expect("ends");
        assert_eq!(list().await, [caller_of(&ctx, &tokens).await.expect("good").session]);
        let end = by_bearer(&ctx, &tokens, end_sessions::Command {}).await;
        end_sessions::handle(&ctx, &end).await.expect("ends");
        assert!(list().await.is_empty());
    }
}
