//! What decides which tuition group a student belongs to: programme, level, residency, campus, cohort. What was billed
//! before follows with the next charge or tuition run.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::Ctx;
use crate::domain::Population;
use crate::store::{self, Opened, StudentPopulation};

pub const ROUTE: Route = Route::replace(
    "set-student-population",
    "/students/{student}/population",
    Access::Roles(&[
        Allow { role: Role::Bursar, scope: Scope::All },
        Allow { role: Role::Registrar, scope: Scope::All },
    ]),
    "Set what decides a student's tuition group",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub population: Population,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub student: PersonId,
    /// 0 where nothing was set.
    pub version: u64,
    pub population: Population,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { student, population } = call.command.clone();
    let record = StudentPopulation { student, population: population.clone() };
    let stored = ctx.table.get(&store::population_key(student)).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.value == record) {
        return Ok(Reply { student, version: stored.version, population });
    }
    call.check_version(stored.as_ref().map_or(0, |stored| stored.version))?;
    let mut opened = Opened::of(stored, || record.clone());
    opened.value = record;
    let mut transaction = ctx.table.transaction();
    opened.write(&mut transaction);
    transaction.commit().await?;
    Ok(Reply { student, version: opened.next_version(), population })
}

#[cfg(test)]
mod tests {
    use super::super::read_student_population;
    use super::*;
    use crate::fixtures::{ctx, replaces_only_what_was_read};

    #[tokio::test]
    async fn what_was_set_meanwhile_is_not_overwritten() {
        let populations = ["abroad", "here"].map(|residency| {
            let residency = Some(residency.into());
            let population = Population { residency, ..Population::default() };
            Command { student: testkit::person("ada"), population }
        });
        replaces_only_what_was_read(handle, populations).await;
    }

    #[tokio::test]
    async fn a_population_is_set_whatever_happens_on_the_wire() {
        let abroad = Population { residency: Some("abroad".into()), ..Population::default() };
        let student = testkit::person("ada");
        testkit::under_every_fault(
            async |_| testkit::call(Command { student, population: abroad.clone() }),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let again = handle(&ctx(table), call).await.expect("the same");
                assert_eq!(again.version, 1);
                let read = testkit::call(read_student_population::Command { student });
                let read = read_student_population::handle(&ctx(table), &read).await;
                assert_eq!(read.expect("reads"), again);
            },
        )
        .await;
    }
}
