//! The enrollment context: one Lambda function per line; Lambda's handler setting picks which.

use enrollment::{Ctx, operations as op};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // HTTP
        "submit" => shell::http(&op::submit::ROUTE, ctx, op::submit::handle).await,
        "validate-submission" => {
            shell::http(&op::validate_submission::ROUTE, ctx, op::validate_submission::handle).await
        }
        "read-submission" => {
            shell::http(&op::read_submission::ROUTE, ctx, op::read_submission::handle).await
        }
        "list-registrations" => {
            shell::http(&op::list_registrations::ROUTE, ctx, op::list_registrations::handle).await
        }
        "read-registration" => {
            shell::http(&op::read_registration::ROUTE, ctx, op::read_registration::handle).await
        }
        "drop-registration" => {
            shell::http(&op::drop_registration::ROUTE, ctx, op::drop_registration::handle).await
        }
        "swap-registration" => {
            shell::http(&op::swap_registration::ROUTE, ctx, op::swap_registration::handle).await
        }
        "withdraw-registration" => {
            shell::http(&op::withdraw_registration::ROUTE, ctx, op::withdraw_registration::handle)
                .await
        }
        "start-term-withdrawal" => {
            shell::http(&op::start_term_withdrawal::ROUTE, ctx, op::start_term_withdrawal::handle)
                .await
        }
        "read-term-withdrawal" => {
            shell::http(&op::read_term_withdrawal::ROUTE, ctx, op::read_term_withdrawal::handle)
                .await
        }
        "list-approvals" => {
            shell::http(&op::list_approvals::ROUTE, ctx, op::list_approvals::handle).await
        }
        "decide-approval" => {
            shell::http(&op::decide_approval::ROUTE, ctx, op::decide_approval::handle).await
        }
        "list-parked-bundles" => {
            shell::http(&op::list_parked_bundles::ROUTE, ctx, op::list_parked_bundles::handle).await
        }
        "resume-bundle" => {
            shell::http(&op::resume_bundle::ROUTE, ctx, op::resume_bundle::handle).await
        }
        other => steps_and_events(ctx, other).await,
    }
}

/// What the saga, an import, the bus and the clock call.
async fn steps_and_events(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        // Saga steps
        "await-approval" => shell::step(ctx, op::await_approval::handle).await,
        "record-charge" => shell::step(ctx, op::record_charge::handle).await,
        "confirm" => shell::step(ctx, op::confirm::handle).await,
        "begin-undo" => shell::step(ctx, op::begin_undo::handle).await,
        "release-seats" => shell::step(ctx, op::release_seats::handle).await,
        "park" => shell::step(ctx, op::park::handle).await,
        "close" => shell::step(ctx, op::close::handle).await,
        // Import steps
        "import-history" => shell::step(ctx, op::import_history::handle).await,
        // Events
        "on-section-offered" => shell::events(ctx, op::on_section_offered::handle).await,
        "on-section-withdrawn" => shell::events(ctx, op::on_section_withdrawn::handle).await,
        "on-clearance-advanced" => shell::events(ctx, op::on_clearance_advanced::handle).await,
        "on-course-changed" => shell::events(ctx, op::on_course_changed::handle).await,
        "on-registration-group-changed" => {
            shell::events(ctx, op::on_registration_group_changed::handle).await
        }
        "on-seat-freed" => shell::events(ctx, op::on_seat_freed::handle).await,
        "on-grade-posted" => shell::events(ctx, op::on_grade_posted::handle).await,
        "on-registration-given-up" => {
            shell::events(ctx, op::on_registration_given_up::handle).await
        }
        "on-term-withdrawal-advanced" => {
            shell::events(ctx, op::on_term_withdrawal_advanced::handle).await
        }
        "on-course-update-advanced" => {
            shell::events(ctx, op::on_course_update_advanced::handle).await
        }
        "on-balance-hold-changed" => shell::events(ctx, op::on_balance_hold_changed::handle).await,
        "on-term-changed" => shell::events(ctx, op::on_term_changed::handle).await,
        "on-calendar-changed" => shell::events(ctx, op::on_calendar_changed::handle).await,
        "on-saga-requested" => shell::events(ctx, op::on_saga_requested::handle).await,
        "on-approval-decided" => shell::events(ctx, op::on_approval_decided::handle).await,
        // Schedule
        "reconcile-sagas" => shell::schedule(ctx, op::reconcile_sagas::handle).await,
        "sweep-waitlists" => shell::schedule(ctx, op::sweep_waitlists::handle).await,
        "reconcile-seats" => shell::schedule(ctx, op::reconcile_seats::handle).await,
        "take-censuses" => shell::schedule(ctx, op::take_censuses::handle).await,
        "sweep-broken-prerequisites" => {
            shell::schedule(ctx, op::sweep_broken_prerequisites::handle).await
        }
        other => holds_overrides_and_waitlists(ctx, other).await,
    }
}

/// What lets a student in or stops them, called over HTTP.
async fn holds_overrides_and_waitlists(
    ctx: &Ctx,
    operation: &str,
) -> Result<(), lambda_runtime::Error> {
    match operation {
        "place-hold" => shell::http(&op::place_hold::ROUTE, ctx, op::place_hold::handle).await,
        "list-holds" => shell::http(&op::list_holds::ROUTE, ctx, op::list_holds::handle).await,
        "lift-hold" => shell::http(&op::lift_hold::ROUTE, ctx, op::lift_hold::handle).await,
        "set-cart" => shell::http(&op::set_cart::ROUTE, ctx, op::set_cart::handle).await,
        "read-cart" => shell::http(&op::read_cart::ROUTE, ctx, op::read_cart::handle).await,
        "name-deputy" => shell::http(&op::name_deputy::ROUTE, ctx, op::name_deputy::handle).await,
        "list-deputies" => {
            shell::http(&op::list_deputies::ROUTE, ctx, op::list_deputies::handle).await
        }
        "list-seat-differences" => {
            let route = &op::list_seat_differences::ROUTE;
            shell::http(route, ctx, op::list_seat_differences::handle).await
        }
        "repair-seats" => {
            shell::http(&op::repair_seats::ROUTE, ctx, op::repair_seats::handle).await
        }
        "list-census-entries" => {
            shell::http(&op::list_census_entries::ROUTE, ctx, op::list_census_entries::handle).await
        }
        "set-registration-policy" => {
            let route = &op::set_registration_policy::ROUTE;
            shell::http(route, ctx, op::set_registration_policy::handle).await
        }
        "read-registration-policy" => {
            let route = &op::read_registration_policy::ROUTE;
            shell::http(route, ctx, op::read_registration_policy::handle).await
        }
        "set-student-record" => {
            shell::http(&op::set_student_record::ROUTE, ctx, op::set_student_record::handle).await
        }
        "read-student-record" => {
            shell::http(&op::read_student_record::ROUTE, ctx, op::read_student_record::handle).await
        }
        "give-override" => {
            shell::http(&op::give_override::ROUTE, ctx, op::give_override::handle).await
        }
        "list-overrides" => {
            shell::http(&op::list_overrides::ROUTE, ctx, op::list_overrides::handle).await
        }
        "revoke-override" => {
            shell::http(&op::revoke_override::ROUTE, ctx, op::revoke_override::handle).await
        }
        "join-waitlist" => {
            shell::http(&op::join_waitlist::ROUTE, ctx, op::join_waitlist::handle).await
        }
        "list-waitlist" => {
            shell::http(&op::list_waitlist::ROUTE, ctx, op::list_waitlist::handle).await
        }
        "list-waitlist-entries" => {
            shell::http(&op::list_waitlist_entries::ROUTE, ctx, op::list_waitlist_entries::handle)
                .await
        }
        "leave-waitlist" => {
            shell::http(&op::leave_waitlist::ROUTE, ctx, op::leave_waitlist::handle).await
        }
        "accept-offer" => {
            shell::http(&op::accept_offer::ROUTE, ctx, op::accept_offer::handle).await
        }
        "offer-seat" => shell::http(&op::offer_seat::ROUTE, ctx, op::offer_seat::handle).await,
        other => schedules(ctx, other).await,
    }
}

/// What a student has to attend, called over HTTP.
async fn schedules(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "read-schedule" => {
            shell::http(&op::read_schedule::ROUTE, ctx, op::read_schedule::handle).await
        }
        "issue-schedule-feed" => {
            shell::http(&op::issue_schedule_feed::ROUTE, ctx, op::issue_schedule_feed::handle).await
        }
        "revoke-schedule-feed" => {
            shell::http(&op::revoke_schedule_feed::ROUTE, ctx, op::revoke_schedule_feed::handle)
                .await
        }
        "read-schedule-feed" => {
            let route = &op::read_schedule_feed::ROUTE;
            shell::http(route, ctx, op::read_schedule_feed::handle).await
        }
        other => audit_trail(ctx, other).await,
    }
}

/// What reads the audit trail, and what proves it.
async fn audit_trail(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        // HTTP
        "list-audit-entries" => {
            shell::http(&op::list_audit_entries::ROUTE, ctx, op::list_audit_entries::handle).await
        }
        // An operator's invocation
        "prove-audit-trail" => shell::step(ctx, op::prove_audit_trail::handle).await,
        // Schedule
        "watch-audit-trail" => shell::schedule(ctx, op::watch_audit_trail::handle).await,
        unknown => panic!("enrollment has no operation {unknown:?}"),
    }
}
