//! The operations of enrollment, one file each.

pub mod accept_offer;
pub mod await_approval;
pub mod begin_undo;
pub mod close;
pub mod confirm;
pub mod decide_approval;
pub mod drop_registration;
pub mod give_override;
pub mod import_history;
pub mod issue_schedule_feed;
pub mod join_waitlist;
pub mod leave_waitlist;
pub mod lift_hold;
pub mod list_approvals;
pub mod list_audit_entries;
pub mod list_census_entries;
pub mod list_deputies;
pub mod list_holds;
pub mod list_overrides;
pub mod list_parked_bundles;
pub mod list_registrations;
pub mod list_seat_differences;
pub mod list_waitlist;
pub mod list_waitlist_entries;
pub mod name_deputy;
pub mod offer_seat;
pub mod on_approval_decided;
pub mod on_balance_hold_changed;
pub mod on_calendar_changed;
pub mod on_clearance_advanced;
pub mod on_course_changed;
pub mod on_course_update_advanced;
pub mod on_grade_posted;
pub mod on_registration_given_up;
pub mod on_registration_group_changed;
pub mod on_saga_requested;
pub mod on_seat_freed;
pub mod on_section_offered;
pub mod on_section_withdrawn;
pub mod on_term_changed;
pub mod on_term_withdrawal_advanced;
pub mod park;
pub mod place_hold;
pub mod prove_audit_trail;
pub mod read_cart;
pub mod read_registration;
pub mod read_registration_policy;
pub mod read_schedule;
pub mod read_schedule_feed;
pub mod read_student_record;
pub mod read_submission;
pub mod read_term_withdrawal;
pub mod reconcile_sagas;
pub mod reconcile_seats;
pub mod record_charge;
pub mod release_seats;
pub mod repair_seats;
pub mod resume_bundle;
pub mod revoke_override;
pub mod revoke_schedule_feed;
pub mod set_cart;
pub mod set_registration_policy;
pub mod set_student_record;
pub mod start_term_withdrawal;
pub mod submit;
pub mod swap_registration;
pub mod sweep_broken_prerequisites;
pub mod sweep_waitlists;
pub mod take_censuses;
pub mod validate_submission;
pub mod watch_audit_trail;
pub mod withdraw_registration;

use kernel::{BundleId, SubmissionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Delivery, Failure, Role, Scope, Step};

use crate::Ctx;
use crate::domain::BundleState;
use crate::store::{self, Cause};

/// Who sees a student's registrations: the student, and those who keep the register.
const STUDENT_OR_REGISTRAR: Access = Access::Roles(&[
    Allow { role: Role::Student, scope: Scope::Own },
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
]);

const APPROVERS: Access = Access::Roles(&[
    Allow { role: Role::HeadOfDepartment, scope: Scope::Department },
    Allow { role: Role::Registrar, scope: Scope::All },
]);

/// Who decides on approvals, or may do so in a head's place.
const APPROVERS_AND_DEPUTIES: Access = Access::Roles(&[
    Allow { role: Role::HeadOfDepartment, scope: Scope::Department },
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Teacher, scope: Scope::Own },
]);

/// Whether the caller decides on a department's approvals: as its head, or in their place.
async fn may_decide<C>(ctx: &Ctx, call: &Call<C>, department: &str) -> Result<bool, Failure> {
    if call.may_touch_section(&[], department) {
        return Ok(true);
    }
    let deputy = ctx.table.get(&store::deputy_key(department, call.person())).await?;
    Ok(deputy.is_some_and(|deputy| deputy.value.stands_in(call.now)))
}

const OPERATORS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
]);

/// Which bundle a saga step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfBundle {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    /// The execution's: a step of one that was superseded is refused.
    pub attempt: u32,
}

/// Where a saga step left the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepReply {
    pub state: BundleState,
}

fn cause<C>(step: &Step<C>) -> Cause<'_> {
    Cause { now: step.now, correlation_id: &step.correlation_id }
}

fn cause_of(delivery: &Delivery) -> Cause<'_> {
    Cause { now: delivery.now, correlation_id: &delivery.envelope.correlation_id }
}
