//! The operations of identity, one file each.

pub mod accept_invitation;
pub mod add_external_id;
pub mod assign_role;
pub mod authorize;
pub mod begin_and_end_roles;
pub mod begin_legal_names;
pub mod begin_sign_in;
pub mod bootstrap_administrator;
pub mod change_legal_name;
pub mod change_password;
pub mod complete_sign_in;
pub mod confirm_second_factor;
pub mod create_service_client;
pub mod dismiss_duplicate;
pub mod edit_person;
pub mod edit_profile;
pub mod edit_service_client;
pub mod end_role;
pub mod end_service_client;
pub mod end_session;
pub mod end_sessions;
pub mod end_sessions_of_person;
pub mod enroll_second_factor;
pub mod import_people;
pub mod invite_person;
pub mod issue_client_token;
pub mod list_audit_entries;
pub mod list_duplicates;
pub mod list_people;
pub mod list_service_clients;
pub mod list_sessions;
pub mod list_sign_in_providers;
pub mod log_in;
pub mod log_out;
pub mod prove_audit_trail;
pub mod read_audit_trail;
pub mod read_configuration;
pub mod read_keys;
pub mod read_person;
pub mod read_profile;
pub mod read_roles;
pub mod read_service_client;
pub mod read_sign_in_provider;
pub mod refresh_session;
pub mod register_account;
pub mod register_person;
pub mod remove_external_id;
pub mod remove_second_factor;
pub mod request_password_reset;
pub mod reset_password;
pub mod reset_second_factor;
pub mod rotate_client_secret;
pub mod rotate_signing_keys;
pub mod search_directory;
pub mod set_sign_in_provider;
pub mod verify_email;
pub mod watch_audit_trail;

use serde::{Deserialize, Deserializer};
use shell::{Access, Allow, Role, Scope};

/// Whoever keeps records of people; whose they keep is decided person by person.
const KEEPERS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::HrOfficer, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
]);

/// A field that is told apart from one that is left out even where it is null.
#[expect(clippy::option_option, reason = "a merge patch leaves out, empties or sets (RFC 7396)")]
fn told<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
