//! Saga step: keeps the task token with which the saga is told that the charge is settled, or secured by a plan or a
//! deferral; tells it at once where it is.
//! Nothing to undo. A later token replaces an earlier one.

use kernel::BundleId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Step};

use crate::Ctx;
use crate::bookkeeping::bring_to_today;
use crate::domain::{Charge, Refusal, WaitingSaga};
use crate::{store, task_tokens};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub bundle: BundleId,
    pub attempt: u32,
    #[schemars(length(min = 1, max = 2048))]
    pub task_token: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub secured: bool,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let Command { bundle, attempt, task_token } = step.command.clone();
    let mut charge = ctx
        .table
        .get(&store::charge_key(Charge::id_of(bundle)))
        .await?
        .ok_or(Refusal::ChargeUnknown)?;
    let state_before = charge.value.state;
    bring_to_today(ctx, &mut charge.value, step.now).await?;
    let secured = charge.value.state.lets_go_on();
    if secured {
        task_tokens::answer_secured(ctx, &task_token).await?;
    } else if charge.value.wait(WaitingSaga { attempt, task_token })?
        || charge.value.state != state_before
    {
        let mut transaction = ctx.table.transaction();
        transaction.update(&charge);
        transaction.commit().await?;
    }
    Ok(Reply { secured })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::StepFunctions;

    use super::super::{on_charge_settled, receive_webhook, reverse_charge};
    use super::*;
    use crate::fixtures::{
        bundle, charge, code, ctx, ctx_with, pay, provider, wait_step, webhook, with_step_functions,
    };

    fn told_secured() -> Value {
        json!({ "taskToken": "token", "output": json!({ "secured": true }).to_string() })
    }

    async fn token(ctx: &Ctx, name: &str) -> Option<String> {
        let key = store::charge_key(Charge::id_of(bundle(name)));
        ctx.table
            .get(&key)
            .await
            .expect("reads")
            .expect("stands")
            .value
            .waiting
            .map(|saga| saga.task_token)
    }

    #[tokio::test]
    async fn the_token_is_kept_whatever_happens_on_the_wire_and_a_later_one_replaces_it() {
        testkit::under_every_fault(
            async |table| {
                charge(&ctx(table), "ada", "one").await;
                handle(&ctx(table), &wait_step("one", "first")).await.expect("kept");
            },
            async |table, ()| handle(&ctx(table), &wait_step("one", "second")).await.map(drop),
            async |table, ()| {
                assert_eq!(token(&ctx(table), "one").await.as_deref(), Some("second"));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_settled_already_is_answered_at_once() {
        let test = testkit::TestTable::new().await;
        let (provider, sfn) = (provider().await, StepFunctions::start().await);
        let ctx = with_step_functions(&ctx_with(&test.table, &provider), &sfn, &test.engine);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let told = webhook(&provider.intents()[0]);
        receive_webhook::handle(&ctx, &told).await.expect("paid");
        let reply = handle(&ctx, &wait_step("one", "token")).await.expect("answered");
        assert!(reply.secured);
        assert_eq!(sfn.calls("SendTaskSuccess"), [told_secured()]);
        for error in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
            sfn.refuse("SendTaskSuccess", error);
            handle(&ctx, &wait_step("one", "late")).await.expect("that nobody waits is no failure");
        }
        sfn.refuse("SendTaskSuccess", "AccessDeniedException");
        let failed = handle(&ctx, &wait_step("one", "late")).await;
        assert!(matches!(failed, Err(Failure::Fault(fault)) if fault.retryable));
    }

    #[tokio::test]
    async fn whoever_waits_is_told_when_the_charge_settles() {
        let test = testkit::TestTable::new().await;
        let (provider, sfn) = (provider().await, StepFunctions::start().await);
        let ctx = with_step_functions(&ctx_with(&test.table, &provider), &sfn, &test.engine);
        let charge = charge(&ctx, "ada", "one").await;
        let settled = events::ChargeSettled {
            charge: charge.charge,
            bundle: bundle("one"),
            student: testkit::person("ada"),
            invoice: charge.invoice,
        };
        let delivery = testkit::delivery("on-charge-settled", settled);
        on_charge_settled::handle(&ctx, &delivery).await.expect("nobody waits yet");
        assert_eq!(sfn.calls("SendTaskSuccess"), Vec::<Value>::new());
        handle(&ctx, &wait_step("one", "token")).await.expect("kept");
        pay(&ctx, &charge, "pm_card_visa").await;
        let told = webhook(&provider.intents()[0]);
        receive_webhook::handle(&ctx, &told).await.expect("paid");
        on_charge_settled::handle(&ctx, &delivery).await.expect("told");
        assert_eq!(sfn.calls("SendTaskSuccess"), [told_secured()]);
        sfn.refuse("SendTaskSuccess", "TaskTimedOut");
        on_charge_settled::handle(&ctx, &delivery).await.expect("a duplicate is harmless");
    }

    #[tokio::test]
    async fn there_is_no_waiting_for_what_is_not_charged_or_was_taken_back() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        assert_eq!(code(handle(&ctx, &wait_step("one", "token")).await), "CHARGE_UNKNOWN");
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("marked");
        assert_eq!(code(handle(&ctx, &wait_step("one", "token")).await), "CHARGE_REVERSED");
    }
}
