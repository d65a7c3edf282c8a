//! The moodle context: one Lambda function per line; Lambda's handler setting picks which.

use moodle::{Ctx, operations as op};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // HTTP
        "set-site" => shell::http(&op::set_site::ROUTE, ctx, op::set_site::handle).await,
        "list-sites" => shell::http(&op::list_sites::ROUTE, ctx, op::list_sites::handle).await,
        "read-site" => shell::http(&op::read_site::ROUTE, ctx, op::read_site::handle).await,
        "check-site" => shell::http(&op::check_site::ROUTE, ctx, op::check_site::handle).await,
        "list-stuck-work" => {
            shell::http(&op::list_stuck_work::ROUTE, ctx, op::list_stuck_work::handle).await
        }
        "read-accounts" => {
            shell::http(&op::read_accounts::ROUTE, ctx, op::read_accounts::handle).await
        }
        "replay-site" => shell::http(&op::replay_site::ROUTE, ctx, op::replay_site::handle).await,
        "start-drift-check" => {
            shell::http(&op::start_drift_check::ROUTE, ctx, op::start_drift_check::handle).await
        }
        "read-drift-report" => {
            shell::http(&op::read_drift_report::ROUTE, ctx, op::read_drift_report::handle).await
        }
        "list-drift" => shell::http(&op::list_drift::ROUTE, ctx, op::list_drift::handle).await,
        "repair-drift" => {
            shell::http(&op::repair_drift::ROUTE, ctx, op::repair_drift::handle).await
        }
        "start-reading" => {
            shell::http(&op::start_reading::ROUTE, ctx, op::start_reading::handle).await
        }
        "list-results" => {
            shell::http(&op::list_results::ROUTE, ctx, op::list_results::handle).await
        }
        "receive-webhook" => {
            shell::http(&op::receive_webhook::ROUTE, ctx, op::receive_webhook::handle).await
        }
        "list-audit-entries" => {
            shell::http(&op::list_audit_entries::ROUTE, ctx, op::list_audit_entries::handle).await
        }
        // Steps
        "prove-audit-trail" => shell::step(ctx, op::prove_audit_trail::handle).await,
        // Events
        "on-person-changed" => shell::events(ctx, op::on_person_changed::handle).await,
        "on-role-changed" => shell::events(ctx, op::on_role_changed::handle).await,
        "on-section-offered" => shell::events(ctx, op::on_section_offered::handle).await,
        "on-section-closed" => shell::events(ctx, op::on_section_closed::handle).await,
        "on-registration-changed" => shell::events(ctx, op::on_registration_changed::handle).await,
        "on-registration-group-changed" => {
            shell::events(ctx, op::on_registration_group_changed::handle).await
        }
        "on-charge-changed" => shell::events(ctx, op::on_charge_changed::handle).await,
        "on-hold-changed" => shell::events(ctx, op::on_hold_changed::handle).await,
        "on-work-marked" => shell::events(ctx, op::on_work_marked::handle).await,
        // Schedules
        "sweep-sites" => shell::schedule(ctx, op::sweep_sites::handle).await,
        "watch-audit-trail" => shell::schedule(ctx, op::watch_audit_trail::handle).await,
        "start-nightly-checks" => shell::schedule(ctx, op::start_nightly_checks::handle).await,
        unknown => panic!("moodle has no operation {unknown:?}"),
    }
}
