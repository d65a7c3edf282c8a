//! The identity context: one Lambda function per line; Lambda's handler setting picks which.

use identity::{Ctx, operations as op};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // Authorizer
        "authorize" => shell::authorizer::authorizer(ctx, op::authorize::handle).await,
        // HTTP
        "register-account" => {
            shell::http(&op::register_account::ROUTE, ctx, op::register_account::handle).await
        }
        "verify-email" => {
            shell::http(&op::verify_email::ROUTE, ctx, op::verify_email::handle).await
        }
        "log-in" => shell::http(&op::log_in::ROUTE, ctx, op::log_in::handle).await,
        "refresh-session" => {
            shell::http(&op::refresh_session::ROUTE, ctx, op::refresh_session::handle).await
        }
        "log-out" => shell::http(&op::log_out::ROUTE, ctx, op::log_out::handle).await,
        "list-sessions" => {
            shell::http(&op::list_sessions::ROUTE, ctx, op::list_sessions::handle).await
        }
        "end-session" => shell::http(&op::end_session::ROUTE, ctx, op::end_session::handle).await,
        "change-password" => {
            shell::http(&op::change_password::ROUTE, ctx, op::change_password::handle).await
        }
        "request-password-reset" => {
            let route = &op::request_password_reset::ROUTE;
            shell::http(route, ctx, op::request_password_reset::handle).await
        }
        "reset-password" => {
            shell::http(&op::reset_password::ROUTE, ctx, op::reset_password::handle).await
        }
        "enroll-second-factor" => {
            let route = &op::enroll_second_factor::ROUTE;
            shell::http(route, ctx, op::enroll_second_factor::handle).await
        }
        "confirm-second-factor" => {
            let route = &op::confirm_second_factor::ROUTE;
            shell::http(route, ctx, op::confirm_second_factor::handle).await
        }
        "remove-second-factor" => {
            let route = &op::remove_second_factor::ROUTE;
            shell::http(route, ctx, op::remove_second_factor::handle).await
        }
        "reset-second-factor" => {
            let route = &op::reset_second_factor::ROUTE;
            shell::http(route, ctx, op::reset_second_factor::handle).await
        }
        "read-roles" => shell::http(&op::read_roles::ROUTE, ctx, op::read_roles::handle).await,
        "end-role" => shell::http(&op::end_role::ROUTE, ctx, op::end_role::handle).await,
        "invite-person" => {
            shell::http(&op::invite_person::ROUTE, ctx, op::invite_person::handle).await
        }
        "accept-invitation" => {
            shell::http(&op::accept_invitation::ROUTE, ctx, op::accept_invitation::handle).await
        }
        "end-sessions" => {
            shell::http(&op::end_sessions::ROUTE, ctx, op::end_sessions::handle).await
        }
        "read-keys" => shell::http(&op::read_keys::ROUTE, ctx, op::read_keys::handle).await,
        "read-configuration" => {
            shell::http(&op::read_configuration::ROUTE, ctx, op::read_configuration::handle).await
        }
        "read-profile" => {
            shell::http(&op::read_profile::ROUTE, ctx, op::read_profile::handle).await
        }
        "edit-profile" => {
            shell::http(&op::edit_profile::ROUTE, ctx, op::edit_profile::handle).await
        }
        "assign-role" => shell::http(&op::assign_role::ROUTE, ctx, op::assign_role::handle).await,
        // An operator's invocation
        "bootstrap-administrator" => shell::step(ctx, op::bootstrap_administrator::handle).await,
        // Import steps
        "import-people" => shell::step(ctx, op::import_people::handle).await,
        // Schedules
        "begin-legal-names" => shell::schedule(ctx, op::begin_legal_names::handle).await,
        "rotate-signing-keys" => shell::schedule(ctx, op::rotate_signing_keys::handle).await,
        other => register(other, ctx).await,
    }
}

/// The register of people.
async fn register(operation: &str, ctx: &Ctx) -> Result<(), lambda_runtime::Error> {
    match operation {
        "register-person" => {
            shell::http(&op::register_person::ROUTE, ctx, op::register_person::handle).await
        }
        "list-people" => shell::http(&op::list_people::ROUTE, ctx, op::list_people::handle).await,
        "read-person" => shell::http(&op::read_person::ROUTE, ctx, op::read_person::handle).await,
        "edit-person" => shell::http(&op::edit_person::ROUTE, ctx, op::edit_person::handle).await,
        "change-legal-name" => {
            shell::http(&op::change_legal_name::ROUTE, ctx, op::change_legal_name::handle).await
        }
        "add-external-id" => {
            shell::http(&op::add_external_id::ROUTE, ctx, op::add_external_id::handle).await
        }
        "remove-external-id" => {
            shell::http(&op::remove_external_id::ROUTE, ctx, op::remove_external_id::handle).await
        }
        "search-directory" => {
            shell::http(&op::search_directory::ROUTE, ctx, op::search_directory::handle).await
        }
        "list-duplicates" => {
            shell::http(&op::list_duplicates::ROUTE, ctx, op::list_duplicates::handle).await
        }
        "dismiss-duplicate" => {
            shell::http(&op::dismiss_duplicate::ROUTE, ctx, op::dismiss_duplicate::handle).await
        }
        unknown => panic!("identity has no operation {unknown:?}"),
    }
}
