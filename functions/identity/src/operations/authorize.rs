//! The authorizer: whose token this is, whether its session or its client still stands, and what they may do now. The
//! table is asked once for each of them and half a minute.

use kernel::{ServiceClientId, Timestamp};
use shell::authorizer::Authorized;
use shell::{Caller, ClientScope, Failure, RequestRefusal, ServiceClient};

use crate::tokens::{Bearer, Holder};
use crate::{Ctx, client_store, store, tokens};

pub async fn handle(ctx: &Ctx, token: &str, now: Timestamp) -> Result<Authorized, Failure> {
    let keys = ctx.key_ring.keys_with(&tokens::key_id_of(token)?, now).await?;
    Ok(match keys.holder(ctx.issuer(), token, now)? {
        Holder::Person(bearer) => Authorized::Person(person(ctx, bearer, now).await?),
        Holder::Client { id, scopes } => Authorized::Client(client(ctx, id, scopes, now).await?),
    })
}

/// What the token was given for, as far as the client is still allowed it.
async fn client(
    ctx: &Ctx,
    id: ServiceClientId,
    mut scopes: Vec<ClientScope>,
    now: Timestamp,
) -> Result<ServiceClient, Failure> {
    let known = if let Some(known) = ctx.clients.get(&id, now) {
        known
    } else {
        let read = ctx.table.get(&client_store::client_key(id)).await?.map(|read| read.value);
        ctx.clients.keep(id, read.clone(), now);
        read
    };
    let known = known.filter(|client| client.stands(now)).ok_or(RequestRefusal::SessionEnded)?;
    scopes.retain(|scope| known.settings.scopes.contains(scope));
    Ok(ServiceClient { id, scopes })
}

async fn person(ctx: &Ctx, bearer: Bearer, now: Timestamp) -> Result<Caller, Failure> {
    let standing = if let Some(known) = ctx.standings.get(&bearer.session, now) {
        known
    } else {
        let read = store::standing(&ctx.table, bearer.session, bearer.person).await?;
        ctx.standings.keep(bearer.session, read.clone(), now);
        read
    };
    let grants =
        standing.grants(ctx.second_factor_policy(), now).ok_or(RequestRefusal::SessionEnded)?;
    Ok(Caller { person: bearer.person, session: bearer.session, grants })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kernel::Email;
    use shell::{Call, Role};

    use super::super::log_in::Tokens;
    use super::super::{assign_role, log_out};
    use super::*;
    use crate::domain::SecondFactorPolicy;
    use crate::fixtures::{
        ada, ada_logged_in, by_administrator, caller_of, code, ctx, enrolled, in_person,
        log_in_with,
    };

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    async fn asked(ctx: &Ctx, tokens: &Tokens, now: Timestamp) -> Result<Caller, Failure> {
        Ok(in_person(handle(ctx, &tokens.access_token, now).await?))
    }

    fn assigning(email: Option<Email>, role: Role) -> assign_role::Command {
        let (person, department, valid_from, valid_to) = (None, None, None, None);
        assign_role::Command { person, email, role, department, valid_from, valid_to }
    }

    #[tokio::test]
    async fn a_token_costs_one_call_to_the_table_and_then_none_while_its_session_is_known() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let calls = || test.engine.take_calls().values().sum::<u64>();
        let ask = async |seconds| asked(&ctx, &ada, after(seconds)).await;
        calls();
        let caller = ask(0).await.expect("it is good");
        assert_eq!((caller.person, calls()), (ada.person, 1));
        for seconds in 0..25 {
            ask(seconds).await.expect("it is good");
        }
        assert_eq!(calls(), 0);
        ask(25).await.expect("it is good");
        assert_eq!(calls(), 1);
    }

    #[tokio::test]
    async fn a_session_that_ends_is_ended_everywhere_within_half_a_minute_and_the_gateways_own() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let ask = async |seconds| asked(&ctx, &ada, after(seconds)).await;
        let caller = ask(0).await.expect("it is good");
        let out = Call { caller: Some(caller), ..testkit::call(log_out::Command {}) };
        log_out::handle(&ctx, &out).await.expect("logs out");
        ask(24).await.expect("this authorizer has not heard of it yet");
        assert_eq!(code(ask(25).await), "SESSION_ENDED");
        assert_eq!(code(caller_of(&ctx, &ada).await), "SESSION_ENDED", "another one has");
    }

    #[tokio::test]
    async fn a_role_given_meanwhile_counts_within_half_a_minute_for_the_same_token() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let tokens = ada_logged_in(&ctx).await;
        let ask = async |seconds| {
            let caller = asked(&ctx, &tokens, after(seconds)).await.expect("good");
            caller.grants.iter().map(|grant| grant.role).collect::<Vec<_>>()
        };
        assert_eq!(ask(0).await, [Role::Student]);
        let (email, role) = (Some(ada().email), Role::Registrar);
        assign_role::handle(&ctx, &by_administrator(assigning(email, role)))
            .await
            .expect("assigned");
        assert_eq!(ask(25).await, [Role::Student, Role::Registrar]);
    }

    #[tokio::test]
    async fn where_the_staff_need_a_second_factor_a_session_without_one_gives_no_role_of_the_staff()
    {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { policy: SecondFactorPolicy::RequiredOfStaff.into(), ..ctx(&test.table) };
        let tokens = ada_logged_in(&ctx).await;
        let (email, role) = (Some(ada().email), Role::Registrar);
        assign_role::handle(&ctx, &by_administrator(assigning(email, role)))
            .await
            .expect("assigned");
        let roles = async |tokens| {
            let caller = caller_of(&ctx, tokens).await.expect("good");
            caller.grants.iter().map(|grant| grant.role).collect::<Vec<_>>()
        };
        assert_eq!(roles(&tokens).await, [Role::Student]);
        let (_, codes) = enrolled(&ctx, tokens.person).await;
        let passed = log_in_with(&ctx, &codes[0]).await.expect("logs in");
        assert_eq!(roles(&passed).await, [Role::Student, Role::Registrar]);
        assert_eq!(roles(&tokens).await, [Role::Student], "the session from before has not passed");
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
