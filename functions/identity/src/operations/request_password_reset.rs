//! A link to a new password, mailed to the account's own address. Whether there is such an account shows neither in the
//! reply nor in the work.

use events::PasswordResetRequested;
use kernel::{AccountId, Id};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::{Account, Identifier, MailRequests, Reset};
use crate::store;

pub const ROUTE: Route = Route::call(
    "request-password-reset",
    "/password-resets",
    Access::Public,
    "Ask for a link to a new password",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// E-mail address or student number.
    #[schemars(length(min = 1, max = 254))]
    pub login: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let identifier = Identifier::of_login(&call.command.login);
    let (claim, _) = store::claim(&ctx.table, identifier.clone()).await?;
    let nobody = store::subject_of_typed(&identifier);
    let holder = claim.holder().map(|(account, _)| account);
    let subject = holder.map_or_else(|| nobody.clone(), |account| account.to_string());
    // Where there is no account, one that does not exist is read and checked in its place.
    let account = store::account_key(holder.unwrap_or_else(|| AccountId::derived_from(&nobody)));
    let requests = store::mail_requests_key(&subject);
    let mut batch = ctx.table.get_batch(vec![(&account).into(), (&requests).into()]).await?;
    let standing = batch.take(&requests)?;
    let version = standing.as_ref().map(|standing| standing.version);
    let standing = standing.map(|standing| standing.value);
    let one_more = MailRequests::with_one_more(standing.as_ref(), &subject, call.now);
    let found = batch.take(&account)?.filter(|_| one_more.is_mailed());
    let mut transaction = ctx.table.transaction();
    transaction.put(&one_more, version);
    if let Some(mut found) = found {
        found.value.reset = Some(Reset { requested_at: call.now, used: false });
        transaction.update(&found);
        let Account { id: account, email, locale, .. } = found.value;
        let event = PasswordResetRequested { account, email, locale, requested_at: call.now };
        transaction.event(event, found.version + 1, call.now, &call.correlation_id);
    } else {
        for decoy in ["one", "two"] {
            let decoy = AccountId::derived_from(&format!("{nobody}#{decoy}"));
            transaction.check(&store::account_key(decoy), None);
        }
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::Event;
    use jiff::SignedDuration;

    use super::*;
    use crate::fixtures::{ada, ctx, verified};

    const ADA: &str = "ada@matricula.example";

    fn call(login: &str) -> Call<Command> {
        Call { caller: None, ..testkit::call(Command { login: login.into() }) }
    }

    async fn mails(ctx: &Ctx) -> Vec<PasswordResetRequested> {
        let events = testkit::published(&ctx.table).await.into_iter();
        let events = events.filter(|event| event.name == PasswordResetRequested::NAME);
        events.map(|event| serde_json::from_value(event.data).expect("a request")).collect()
    }

    #[tokio::test]
    async fn a_link_is_asked_for_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| verified(&ctx(table), ada()).await.0,
            async |table, _| handle(&ctx(table), &call(" ADA@matricula.example")).await,
            async |table, account| {
                let ctx = ctx(table);
                let mails = mails(&ctx).await;
                // A reply that was lost may be asked for again: the second link replaces the first.
                assert!((1..=2).contains(&mails.len()));
                assert_eq!((mails[0].account, mails[0].email.as_str()), (*account, ADA));
                let stored = table.get(&store::account_key(*account)).await.expect("reads");
                let reset = stored.expect("an account").value.reset.expect("a link");
                assert_eq!((reset.requested_at, reset.used), (testkit::now(), false));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn whoever_asks_sees_the_same_whether_or_not_there_is_an_account() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let mut seen = Vec::new();
        for login in [ADA, "nobody@matricula.example", "S-0000"] {
            drop(test.engine.take_calls());
            handle(&ctx, &call(login)).await.expect("the same answer");
            seen.push(test.engine.take_calls());
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0], seen[2]);
        assert_eq!(mails(&ctx).await.len(), 1);
    }

    #[tokio::test]
    async fn nobodys_mailbox_is_flooded() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        for second in 0..20 {
            let mut call = call(ADA);
            call.now += SignedDuration::from_secs(second);
            handle(&ctx, &call).await.expect("the same answer");
        }
        assert_eq!(mails(&ctx).await.len(), 3);
        let mut later = call(ADA);
        later.now += MailRequests::PERIOD;
        handle(&ctx, &later).await.expect("the same answer");
        assert_eq!(mails(&ctx).await.len(), 4);
    }
}
