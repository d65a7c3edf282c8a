//! The operations of notifications, one file each.

pub mod list_messages;
pub mod notify;
pub mod on_account_alert;
pub mod on_charge_posted;
pub mod on_dunning_step_taken;
pub mod on_email_verification_requested;
pub mod on_enrollment_news;
pub mod on_link_requested;
pub mod on_message_queued;
pub mod on_person_changed;
pub mod on_registration_dropped;
