//! A contract with a third party that pays for students by rule, set or changed. What was agreed counts for what is
//! invoiced, or changed, from now on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{SponsorContract, SponsorContractCode, SponsorTerms};
use crate::store::{self, Opened};

pub const ROUTE: Route = Route::put(
    "set-sponsor-contract",
    "/sponsor-contracts/{sponsor_contract}",
    BURSAR,
    "Set a contract with a sponsor that pays for students",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub sponsor_contract: SponsorContractCode,
    pub terms: SponsorTerms,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub version: u64,
    #[serde(flatten)]
    pub contract: SponsorContract,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { sponsor_contract: code, terms } = call.command.clone();
    terms.check()?;
    let stored = ctx.table.get(&store::sponsor_contract_key(&code)).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.value.terms == terms) {
        return Ok(Reply { version: stored.version, contract: stored.value.clone() });
    }
    let mut contract =
        Opened::of(stored, || SponsorContract::new(code, terms.clone(), call.person()));
    contract.value.agree(terms, call.person())?;
    let mut transaction = ctx.table.transaction();
    contract.write(&mut transaction);
    transaction.commit().await?;
    Ok(Reply { version: contract.next_version(), contract: contract.value })
}

#[cfg(test)]
pub(super) mod tests {
    use kernel::Money;

    use super::super::list_sponsor_contracts;
    use super::*;
    use crate::fixtures::{code, ctx, francs};

    /// A ministry that pays sixty per cent of everything, within a week.
    pub fn ministry() -> Command {
        let terms = serde_json::json!({
            "sponsor": "Ministry of Higher Education", "currency": "XAF",
            "first_day": "2027-01-01", "last_day": "2027-12-31",
            "rules": [{ "pays": { "kind": "share", "basis_points": 6_000 } }],
            "payment_terms_days": 7,
        });
        Command {
            sponsor_contract: SponsorContractCode("ministry".into()),
            terms: serde_json::from_value(terms).expect("terms"),
        }
    }

    #[tokio::test]
    async fn a_contract_is_set_and_listed_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(ministry()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                assert_eq!(handle(&ctx, call).await.expect("unchanged").version, 1);
                let list = testkit::call(list_sponsor_contracts::Command {});
                let listed = list_sponsor_contracts::handle(&ctx, &list).await.expect("lists");
                assert_eq!(listed.items.len(), 1);
                assert_eq!(listed.items[0].contract.terms, call.command.terms);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn terms_that_contradict_one_another_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let refused = async |terms: SponsorTerms| {
            let command = Command { terms, ..ministry() };
            code(handle(&ctx, &testkit::call(command)).await)
        };
        let terms = ministry().terms;
        let euros = Money::new(5, "EUR".parse().expect("a currency"));
        let other = SponsorTerms { per_term: Some(euros), ..terms.clone() };
        assert_eq!(refused(other).await, "CURRENCIES_DIFFER");
        let nothing = SponsorTerms { in_all: Some(francs(0)), ..terms.clone() };
        assert_eq!(refused(nothing).await, "AMOUNT_NOT_POSITIVE");
        let last_day = "2026-12-31".parse().expect("a date");
        let backwards = SponsorTerms { last_day, ..terms.clone() };
        assert_eq!(refused(backwards).await, "SPONSOR_CONTRACT_CONTRADICTORY");
        handle(&ctx, &testkit::call(ministry())).await.expect("set");
        let other = SponsorTerms { currency: euros.currency, ..terms };
        assert_eq!(refused(other).await, "CURRENCIES_DIFFER", "its currency stays");
    }
}
