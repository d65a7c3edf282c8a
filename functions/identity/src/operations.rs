//! The operations of identity, one file each.

pub mod accept_invitation;
pub mod assign_role;
pub mod authorize;
pub mod bootstrap_administrator;
pub mod change_password;
pub mod confirm_second_factor;
pub mod edit_profile;
pub mod end_session;
pub mod end_sessions;
pub mod enroll_second_factor;
pub mod import_people;
pub mod invite_person;
pub mod list_sessions;
pub mod log_in;
pub mod log_out;
pub mod read_configuration;
pub mod read_keys;
pub mod read_profile;
pub mod refresh_session;
pub mod register_account;
pub mod remove_second_factor;
pub mod request_password_reset;
pub mod reset_password;
pub mod rotate_signing_keys;
pub mod verify_email;
