//! Money of a sponsor has come to the bank. It pays for the invoices of the sponsor's statement, what is due longest
//! first. A bank's reference is taken once, whether a student's money or a sponsor's came with it.

use kernel::{Id, Money, PaymentId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::{BURSAR, set_sponsor_contract};
use crate::Ctx;
use crate::conclusion::{book_for_nobody, claim_reference};
use crate::domain::{CounterChannel, Refusal, SponsorContractCode};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create(
    "record-sponsor-payment",
    "/sponsor-contracts/{sponsor_contract}/payments",
    BURSAR,
    "Record money that came from a sponsor",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub sponsor_contract: SponsorContractCode,
    /// More than nothing.
    pub amount: Money,
    #[schemars(length(min = 1, max = 40))]
    pub bank: String,
    #[schemars(length(min = 1, max = 60))]
    pub reference: String,
}

/// The contract with what the sponsor has paid.
pub type Reply = set_sponsor_contract::Reply;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { sponsor_contract, amount, bank, reference } = call.command.clone();
    let id = match &call.idempotency_key {
        Some(key) => PaymentId::derived_from(&key.scope),
        None => call.new_id(),
    };
    let reference = CounterChannel::BankTransfer.reference(&bank, &reference);
    let reference_key = store::provider_reference_key(&reference);
    let contract_key = store::sponsor_contract_key(&sponsor_contract);
    let keys = vec![(&reference_key).into(), (&contract_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    let mut contract = batch.take(&contract_key)?.ok_or(Refusal::SponsorContractUnknown)?;
    if let Some(taken) = batch.take(&reference_key)? {
        return Err(Refusal::ReferenceTaken { payment: taken.value.payment }.into());
    }
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    let booking = book_for_nobody(ctx, &mut transaction, cause).await?;
    let entry = contract.value.receive(id, amount, booking)?;
    store::write_entry(&mut transaction, &entry);
    claim_reference(&mut transaction, reference, id);
    transaction.update(&contract);
    let reply = Reply { version: contract.version + 1, contract: contract.value };
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::set_sponsor_contract::tests::ministry;
    use super::super::sponsor_student::tests::agree;
    use super::*;
    use crate::fixtures::{check_ledger, code, ctx, francs};

    pub fn money(minor: i64, reference: &str) -> Call<Command> {
        testkit::call(Command {
            sponsor_contract: SponsorContractCode("ministry".into()),
            amount: francs(minor),
            bank: "Afriland".into(),
            reference: reference.into(),
        })
    }

    #[tokio::test]
    async fn a_sponsor_s_money_is_booked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                agree(&ctx(table), ministry().terms).await;
                money(90_000, "TX 77")
            },
            async |table, call| match handle(&ctx(table), call).await {
                // The shell finds the first reply under the key; here the reference finds it.
                Err(Failure::Refused(refusal)) if refusal.code() == "REFERENCE_TAKEN" => Ok(()),
                other => other.map(drop),
            },
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(code(handle(&ctx, &money(5, "tx-77")).await), "REFERENCE_TAKEN");
                let more = handle(&ctx, &money(5, "TX 78")).await.expect("booked").contract;
                assert_eq!((more.received, more.unallocated), (90_005, 90_005));
                assert_eq!(check_ledger(&ctx).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nothing_another_currency_and_an_unknown_contract_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        assert_eq!(code(handle(&ctx, &money(5, "A")).await), "SPONSOR_CONTRACT_UNKNOWN");
        agree(&ctx, ministry().terms).await;
        assert_eq!(code(handle(&ctx, &money(0, "A")).await), "AMOUNT_NOT_POSITIVE");
        let mut euros = money(5, "A");
        euros.command.amount.currency = "EUR".parse().expect("a currency");
        assert_eq!(code(handle(&ctx, &euros).await), "CURRENCIES_DIFFER");
    }
}
