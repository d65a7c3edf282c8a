//! The tuition rules of a term, set or changed: groups, fees, the adjustment calendar and its policies. What was billed
//! before is brought to them by a tuition run.

use kernel::TermId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::Ctx;
use crate::domain::TuitionRules;
use crate::store::{self, Opened, TermTuition};

pub const ROUTE: Route = Route::replace(
    "set-tuition",
    "/terms/{term}/tuition",
    Access::Roles(&[
        Allow { role: Role::Bursar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Set the tuition rules of a term",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    pub rules: TuitionRules,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub term: TermId,
    /// 0 where none were set: everything is charged by price groups, and given back wholly.
    pub version: u64,
    pub rules: TuitionRules,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, rules } = call.command.clone();
    rules.check()?;
    let tuition = TermTuition { term, rules: rules.clone() };
    let stored = ctx.table.get(&store::tuition_key(term)).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.value == tuition) {
        return Ok(Reply { term, version: stored.version, rules });
    }
    call.check_version(stored.as_ref().map_or(0, |stored| stored.version))?;
    let mut opened = Opened::of(stored, || tuition.clone());
    opened.value = tuition;
    let mut transaction = ctx.table.transaction();
    opened.write(&mut transaction);
    transaction.commit().await?;
    Ok(Reply { term, version: opened.next_version(), rules })
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::super::read_tuition;
    use super::*;
    use crate::domain::{TuitionGroup, TuitionRule};
    use crate::fixtures::{code, ctx, francs, replaces_only_what_was_read};

    fn flat(minor: i64) -> Call<Command> {
        let rule = TuitionRule::Flat { amount: francs(minor) };
        let criteria = crate::domain::Criteria::default();
        let name = "everybody".into();
        let group = TuitionGroup { name, priority: 1, criteria, rule, fees: Vec::new() };
        let rules = TuitionRules { groups: vec![group], ..TuitionRules::default() };
        testkit::call(Command { term: TermId::derived_from("2027S"), rules })
    }

    #[tokio::test]
    async fn what_was_set_meanwhile_is_not_overwritten() {
        let rules = [1, 2].map(|minor| flat(minor).command);
        replaces_only_what_was_read(handle, rules).await;
    }

    #[tokio::test]
    async fn rules_are_set_and_set_again_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                handle(&ctx(table), &flat(1)).await.expect("first rules");
                flat(2)
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let again = handle(&ctx(table), call).await.expect("the same rules");
                assert_eq!(again.version, 2);
                let read = testkit::call(read_tuition::Command { term: call.command.term });
                assert_eq!(read_tuition::handle(&ctx(table), &read).await.expect("reads"), again);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn wrong_rules_are_refused_and_none_are_an_answer() {
        let test = testkit::TestTable::new().await;
        assert_eq!(code(handle(&ctx(&test.table), &flat(-1)).await), "PRICE_NEGATIVE");
        let term = TermId::derived_from("2027S");
        let read = testkit::call(read_tuition::Command { term });
        let none = read_tuition::handle(&ctx(&test.table), &read).await.expect("reads");
        assert_eq!(none, Reply { term, version: 0, rules: TuitionRules::default() });
    }
}
