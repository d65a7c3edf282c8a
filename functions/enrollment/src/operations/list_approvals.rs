//! Approvals that wait for a department's head, the oldest first.

use kernel::{ApprovalId, BundleId, PersonId, SubmissionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::APPROVERS_AND_DEPUTIES;
use super::read_submission::Member;
use crate::Ctx;
use crate::domain::{Approval, ApprovalState, Refusal};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-approvals",
    "/approvals",
    APPROVERS_AND_DEPUTIES,
    "List a department's waiting approvals, the oldest first",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose approvals; the caller's own department where it is not given.
    #[schemars(length(min = 1, max = 40))]
    pub department: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    pub id: ApprovalId,
    pub version: u64,
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub department: String,
    pub registrations: Vec<Member>,
    pub state: ApprovalState,
    pub requested_at: Timestamp,
    pub decided_by: Option<PersonId>,
    pub reason: Option<String>,
}

impl Item {
    pub fn of(approval: &Approval, version: u64) -> Self {
        let approval = approval.clone();
        let member = |member: events::ChargeableRegistration| Member {
            registration: member.registration,
            section: member.section,
            section_code: member.section_code,
            course_title: member.course_title,
        };
        Self {
            id: approval.id,
            version,
            submission: approval.submission,
            bundle: approval.bundle,
            student: approval.student,
            department: approval.department,
            registrations: approval.registrations.into_iter().map(member).collect(),
            state: approval.state,
            requested_at: approval.requested_at,
            decided_by: approval.decided_by,
            reason: approval.reason,
        }
    }
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let own = || call.reach.iter().find_map(|(_, department)| department.clone());
    let department =
        call.command.department.clone().or_else(own).ok_or(Refusal::DepartmentRequired)?;
    if !super::may_decide(ctx, call, &department).await? {
        return Ok(Listing { items: Vec::new(), next_cursor: None });
    }
    let page = ctx.table.query(&store::waiting_approvals(&department), &call.page).await?;
    let items = page.records.iter().map(|stored| Item::of(&stored.value, stored.version)).collect();
    Ok(Listing { items, next_cursor: page.next })
}
