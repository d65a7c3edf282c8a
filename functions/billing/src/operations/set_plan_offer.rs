//! A payment plan that is offered for a term, set or changed. Plans that have begun keep their instalments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::Ctx;
use crate::domain::{InstalmentRule, PlanOffer, PlanOfferCode};
use crate::store;

pub const ROUTE: Route = Route::replace(
    "set-plan-offer",
    "/plan-offers/{plan_offer}",
    Access::Roles(&[
        Allow { role: Role::Bursar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Set a payment plan that is offered for a term",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub plan_offer: PlanOfferCode,
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    #[schemars(length(min = 1, max = 40))]
    pub term_code: String,
    /// In the order in which they are due.
    #[schemars(length(min = 1, max = 24))]
    pub instalments: Vec<InstalmentRule>,
    /// Whether students may choose it; the others are assigned by the bursar.
    pub is_for_students: bool,
    /// Whether the first instalment has to be paid, whatever its day, before a seat is the student's.
    #[serde(default)]
    pub is_first_at_once: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub version: u64,
    #[serde(flatten)]
    pub offer: PlanOffer,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { plan_offer: code, name, term_code, instalments, .. } = call.command.clone();
    let Command { is_for_students, is_first_at_once, .. } = call.command;
    let offer = PlanOffer { code, name, term_code, instalments, is_for_students, is_first_at_once };
    offer.check()?;
    let stored = ctx.table.get(&store::plan_offer_key(&offer.code)).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.value == offer) {
        return Ok(Reply { version: stored.version, offer });
    }
    let read_version = stored.map(|stored| stored.version);
    call.check_version(read_version.unwrap_or_default())?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&offer, read_version);
    transaction.commit().await?;
    Ok(Reply { version: read_version.unwrap_or_default() + 1, offer })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::list_plan_offers;
    use super::*;
    use crate::fixtures::{code, ctx, replaces_only_what_was_read};

    /// Sixty per cent by the 20th and forty by the end of January.
    pub fn sixty_forty() -> Command {
        let rule = |due: &str, share| InstalmentRule {
            due: due.parse().expect("a date"),
            share: Some(share),
        };
        Command {
            plan_offer: PlanOfferCode("sixty-forty".into()),
            name: "60 % now, 40 % in January".into(),
            term_code: "2027S".into(),
            instalments: vec![rule("2027-01-20", 6_000), rule("2027-01-30", 4_000)],
            is_for_students: true,
            is_first_at_once: false,
        }
    }

    #[tokio::test]
    async fn what_was_set_meanwhile_is_not_overwritten() {
        let for_staff = Command { is_for_students: false, ..sixty_forty() };
        replaces_only_what_was_read(handle, [sixty_forty(), for_staff]).await;
    }

    #[tokio::test]
    async fn an_offer_is_set_and_listed_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(sixty_forty()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                assert_eq!(handle(&ctx, call).await.expect("unchanged").version, 1);
                let list = testkit::call(list_plan_offers::Command {});
                let listed = list_plan_offers::handle(&ctx, &list).await.expect("lists").items;
                assert_eq!(listed.len(), 1);
                assert_eq!(listed[0].offer.name, call.command.name);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn instalments_that_contradict_one_another_are_refused() {
        let test = testkit::TestTable::new().await;
        let mut command = sixty_forty();
        command.instalments.reverse();
        let refused = handle(&ctx(&test.table), &testkit::call(command)).await;
        assert_eq!(code(refused), "PLAN_CONTRADICTORY");
    }
}
