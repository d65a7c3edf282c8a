//! Two people who look alike are two: they are not listed as duplicates any more. Said before, it stays as it is.

use kernel::{PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::{Noted, Stored};

use super::KEEPERS;
use crate::Ctx;
use crate::domain::{Distinction, Person, Refusal, check_keeper};
use crate::people;

pub const ROUTE: Route = Route::act(
    "dismiss-duplicate",
    "/people/duplicates/dismissals",
    KEEPERS,
    "Say that two people are not the same",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub first: PersonId,
    pub second: PersonId,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub first: PersonId,
    pub second: PersonId,
    pub reason: String,
    pub dismissed_at: Timestamp,
    pub dismissed_by: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { first, second, reason } = call.command.clone();
    if first == second {
        return Err(Refusal::SamePerson.into());
    }
    let mut known = people::known(&ctx.table, &[first, second]).await?;
    if known.len() < 2 {
        return Err(Refusal::PersonUnknown.into());
    }
    for one in &known {
        check_keeper(&call.caller().grants, &one.roles)?;
    }
    let (made_at, made_by) = (call.now, call.person());
    let mut transaction = ctx.table.transaction();
    for (one, other) in known.iter_mut().zip([second, first]) {
        if !one.person.value.is_distinct_from(other) {
            let distinction = Distinction { other, reason: reason.clone(), made_at, made_by };
            one.person.value.distinguish(distinction)?;
            transaction.update(&one.person);
            let noted = Noted::change("distinction").field("other", None, Some(other));
            let trail = ctx.table.trail(one.person.value.id).await?;
            let deed = call.deed(ROUTE.operation);
            trail.append(&mut transaction, &deed, noted.because(&reason));
        }
    }
    let reply = reply(&known[0].person, second);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// What was said first.
fn reply(Stored { value: person, .. }: &Stored<Person>, second: PersonId) -> Reply {
    let standing = person.distinct_from.iter().find(|distinction| distinction.other == second);
    let Distinction { reason, made_at, made_by, .. } =
        standing.cloned().expect("it has just been said");
    let first = person.id;
    Reply { first, second, reason, dismissed_at: made_at, dismissed_by: made_by }
}

#[cfg(test)]
mod tests {
    use shell::Role;

    use super::super::list_duplicates::tests::{born, listed};
    use super::super::register_person::tests::registered;
    use super::*;
    use crate::fixtures::{by_staff, code, ctx};

    async fn twins(ctx: &Ctx) -> Call<Command> {
        let first = registered(ctx, born("Zoë", "Núñez", None)).await;
        let second = registered(ctx, born("Zoe", "Nunez", None)).await;
        by_staff(Role::Registrar, Command { first, second, reason: "two cousins".into() })
    }

    #[tokio::test]
    async fn a_dismissed_pair_is_listed_no_more_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| twins(&ctx(table)).await,
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                assert_eq!(listed(&ctx, Role::Registrar).await, []);
                let known = [call.command.first, call.command.second];
                for one in people::known(table, &known).await.expect("reads") {
                    assert_eq!(one.person.value.distinct_from.len(), 1);
                }
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_said_first_stays_and_others_are_listed_still() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = twins(&ctx).await;
        let first = handle(&ctx, &call).await.expect("dismisses");
        let Command { first: one, second: other, .. } = call.command;
        let again = Command { first: other, second: one, reason: "again".into() };
        let again = handle(&ctx, &by_staff(Role::Registrar, again)).await.expect("said before");
        assert_eq!((again.reason.as_str(), again.first), ("two cousins", first.second));
        registered(&ctx, born("zoe", "nuñez", None)).await;
        assert_eq!(listed(&ctx, Role::Registrar).await.len(), 2, "with each of the two");
    }

    #[tokio::test]
    async fn two_people_are_named_who_are_there_and_whose_records_one_keeps() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let Command { first, second, reason } = twins(&ctx).await.command;
        let say = async |office, first, second| {
            let command = Command { first, second, reason: reason.clone() };
            code(handle(&ctx, &by_staff(office, command)).await)
        };
        assert_eq!(say(Role::Registrar, first, first).await, "SAME_PERSON");
        let nobody = testkit::person("nobody");
        assert_eq!(say(Role::Registrar, first, nobody).await, "PERSON_UNKNOWN");
        assert_eq!(say(Role::HrOfficer, first, second).await, "PERSON_NOT_YOURS");
    }
}
