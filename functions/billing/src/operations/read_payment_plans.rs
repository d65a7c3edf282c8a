//! A student's payment plans: their instalments, what is left of each, and how each plan stands.

use kernel::{Date, Money, PaymentPlanId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::PageRequest;

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Decided, PaymentPlan, PlanOfferCode, PlanState, Refusal, StudentAccount};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-payment-plans",
    "/payment-plans",
    OWN_OR_STAFF,
    "Read a student's payment plans",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose; the caller's own unless given.
    pub student: Option<PersonId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub student: PersonId,
    pub plans: Vec<Plan>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Plan {
    pub id: PaymentPlanId,
    pub offer: PlanOfferCode,
    pub term_code: String,
    pub status: PlanState,
    pub instalments: Vec<InstalmentLeft>,
    pub begun_by: PersonId,
    pub begun_at: Timestamp,
    pub cancelled: Option<Decided>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InstalmentLeft {
    pub due: Date,
    pub amount: Money,
    /// What is neither paid nor credited of it, as long as the plan is in force.
    pub left: Money,
}

impl Plan {
    pub(super) fn of(plan: &PaymentPlan, account: &StudentAccount) -> Self {
        let money = |minor| Money::new(minor, account.currency);
        let left = plan.left(account.open_of_plan(plan));
        let instalments = plan.instalments.iter().zip(left).map(|(one, left)| InstalmentLeft {
            due: one.due,
            amount: money(one.amount),
            left: money(left.amount),
        });
        let instalments = instalments.collect();
        let status = account.plan_state(plan);
        let PaymentPlan { id, offer, term_code, begun_by, begun_at, cancelled, .. } = plan.clone();
        Self { id, offer, term_code, status, instalments, begun_by, begun_at, cancelled }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let accounts = ctx.table.query(&store::accounts_of(student), &page).await?;
    let of = |account: &StudentAccount| -> Vec<Plan> {
        account.plans().iter().map(|plan| Plan::of(plan, account)).collect()
    };
    let plans = accounts.records.iter().flat_map(|account| of(&account.value)).collect();
    Ok(Reply { student, plans })
}
