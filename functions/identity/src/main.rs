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
        "begin-and-end-roles" => shell::schedule(ctx, op::begin_and_end_roles::handle).await,
        "begin-legal-names" => shell::schedule(ctx, op::begin_legal_names::handle).await,
        "rotate-signing-keys" => shell::schedule(ctx, op::rotate_signing_keys::handle).await,
        operation => serve_clients_and_sign_ins(ctx, operation).await,
    }
}

/// What other systems call, and what they are agreed upon with.
async fn serve_clients_and_sign_ins(
    ctx: &Ctx,
    operation: &str,
) -> Result<(), lambda_runtime::Error> {
    match operation {
        "create-service-client" => {
            let route = &op::create_service_client::ROUTE;
            shell::http(route, ctx, op::create_service_client::handle).await
        }
        "list-service-clients" => {
            let route = &op::list_service_clients::ROUTE;
            shell::http(route, ctx, op::list_service_clients::handle).await
        }
        "read-service-client" => {
            shell::http(&op::read_service_client::ROUTE, ctx, op::read_service_client::handle).await
        }
        "edit-service-client" => {
            shell::http(&op::edit_service_client::ROUTE, ctx, op::edit_service_client::handle).await
        }
        "rotate-client-secret" => {
            let route = &op::rotate_client_secret::ROUTE;
            shell::http(route, ctx, op::rotate_client_secret::handle).await
        }
        "end-service-client" => {
            shell::http(&op::end_service_client::ROUTE, ctx, op::end_service_client::handle).await
        }
        "issue-client-token" => {
            let route = &op::issue_client_token::ROUTE;
            shell::http_oauth(route, ctx, op::issue_client_token::handle).await
        }
        "set-sign-in-provider" => {
            let route = &op::set_sign_in_provider::ROUTE;
            shell::http(route, ctx, op::set_sign_in_provider::handle).await
        }
        "read-sign-in-provider" => {
            let route = &op::read_sign_in_provider::ROUTE;
            shell::http(route, ctx, op::read_sign_in_provider::handle).await
        }
        "list-sign-in-providers" => {
            let route = &op::list_sign_in_providers::ROUTE;
            shell::http(route, ctx, op::list_sign_in_providers::handle).await
        }
        "begin-sign-in" => {
            shell::http(&op::begin_sign_in::ROUTE, ctx, op::begin_sign_in::handle).await
        }
        "complete-sign-in" => {
            shell::http(&op::complete_sign_in::ROUTE, ctx, op::complete_sign_in::handle).await
        }
        operation => serve_audit_trail(ctx, operation).await,
    }
}

/// What reads the audit trail, and what proves it.
async fn serve_audit_trail(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        // HTTP
        "read-audit-trail" => {
            shell::http(&op::read_audit_trail::ROUTE, ctx, op::read_audit_trail::handle).await
        }
        "list-audit-entries" => {
            shell::http(&op::list_audit_entries::ROUTE, ctx, op::list_audit_entries::handle).await
        }
        // An operator's invocation
        "prove-audit-trail" => shell::step(ctx, op::prove_audit_trail::handle).await,
        // Schedules
        "watch-audit-trail" => shell::schedule(ctx, op::watch_audit_trail::handle).await,
        operation => serve_the_register(ctx, operation).await,
    }
}

/// The register of people.
async fn serve_the_register(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "register-person" => {
            shell::http(&op::register_person::ROUTE, ctx, op::register_person::handle).await
        }
        "list-people" => shell::http(&op::list_people::ROUTE, ctx, op::list_people::handle).await,
        "end-sessions-of-person" => {
            let route = &op::end_sessions_of_person::ROUTE;
            shell::http(route, ctx, op::end_sessions_of_person::handle).await
        }
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
