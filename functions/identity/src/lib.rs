//! Identity: people, their accounts and sessions, and the roles they hold.

mod audit;
mod client_secrets;
mod client_store;
mod derivation;
mod devices;
pub mod domain;
mod due;
#[cfg(test)]
mod fixtures;
mod guesses;
mod key_ring;
mod key_store;
pub mod operations;
#[cfg(test)]
mod over_long;
pub mod passwords;
mod people;
mod refresh;
mod relying_party;
mod reread;
mod second_factor_ring;
mod second_factors;
mod session_start;
mod sign_in_store;
mod standings;
mod store;
pub mod tokens;

use std::sync::{Arc, OnceLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use events::{LinkPurpose, link_token};
use jiff::tz::TimeZone;
use kernel::{AccountId, Date, ServiceClientId, SessionId, Timestamp};
use shell::{Fault, HttpOperation, Listing, Remembered, TrailEntry, TrailQuestion};
use table::Table;

use crate::devices::DeviceKey;
use crate::domain::{Client, SecondFactorPolicy, SelfRegistration, Session};
use crate::key_ring::KeyRing;
use crate::key_store::KeyStore;
use crate::operations::log_in::Tokens;
use crate::refresh::RefreshKey;
use crate::relying_party::RelyingParty;
use crate::second_factor_ring::SecondFactorRing;
use crate::standings::{Standing, remembered_clients, remembered_standings};

/// What the operations of this context share. Its secrets are read when an operation first needs them.
#[derive(Clone)]
pub struct Ctx {
    pub table: Table,
    key_ring: Arc<KeyRing>,
    standings: Arc<Remembered<SessionId, Standing>>,
    clients: Arc<Remembered<ServiceClientId, Option<Client>>>,
    relying_party: Arc<RelyingParty>,
    redirect_uri: OnceLock<Arc<str>>,
    issuer: OnceLock<Arc<str>>,
    refresh_key: OnceLock<RefreshKey>,
    device_key: OnceLock<DeviceKey>,
    second_factors: Arc<SecondFactorRing>,
    policy: OnceLock<SecondFactorPolicy>,
    self_registration: OnceLock<SelfRegistration>,
    verification_secret: OnceLock<Arc<str>>,
    time_zone: OnceLock<TimeZone>,
}

impl Ctx {
    pub fn from_environment() -> Self {
        Self {
            table: shell::aws::table(),
            key_ring: Arc::new(KeyRing::new(KeyStore::of_environment())),
            standings: Arc::new(remembered_standings()),
            clients: Arc::new(remembered_clients()),
            relying_party: Arc::new(RelyingParty::of_environment()),
            redirect_uri: OnceLock::new(),
            issuer: OnceLock::new(),
            refresh_key: OnceLock::new(),
            device_key: OnceLock::new(),
            second_factors: Arc::new(SecondFactorRing::of_environment()),
            policy: OnceLock::new(),
            self_registration: OnceLock::new(),
            verification_secret: OnceLock::new(),
            time_zone: OnceLock::new(),
        }
    }

    /// Who signs the tokens: the API of one stage, by its address.
    pub(crate) fn issuer(&self) -> &str {
        self.issuer.get_or_init(|| shell::required_environment("TOKEN_ISSUER").into())
    }

    /// Where a sign-in provider sends the browser back to: the portal, which hands on what it came back with.
    pub(crate) fn redirect_uri(&self) -> &str {
        self.redirect_uri.get_or_init(|| shell::required_environment("SIGN_IN_REDIRECT_URI").into())
    }

    /// The day that it is where the institution is.
    pub(crate) fn today(&self, now: Timestamp) -> Date {
        let zone = self.time_zone.get_or_init(|| {
            TimeZone::get(&shell::required_environment("TIME_ZONE"))
                .expect("TIME_ZONE is one of the IANA time zones")
        });
        now.to_zoned(zone.clone()).date()
    }

    pub(crate) async fn refresh_key(&self) -> Result<&RefreshKey, Fault> {
        if let Some(key) = self.refresh_key.get() {
            return Ok(key);
        }
        let secret = shell::secret("IDENTITY_SECRET").await?;
        Ok(self.refresh_key.get_or_init(|| RefreshKey::derived_from(&secret)))
    }

    pub(crate) async fn device_key(&self) -> Result<&DeviceKey, Fault> {
        if let Some(key) = self.device_key.get() {
            return Ok(key);
        }
        let secret = shell::secret("IDENTITY_SECRET").await?;
        Ok(self.device_key.get_or_init(|| DeviceKey::derived_from(&secret)))
    }

    pub(crate) fn second_factor_policy(&self) -> SecondFactorPolicy {
        *self.policy.get_or_init(|| {
            match shell::required_environment("STAFF_SECOND_FACTOR").as_str() {
                "optional" => SecondFactorPolicy::Optional,
                _ => SecondFactorPolicy::RequiredOfStaff,
            }
        })
    }

    /// Who may open an account by themselves.
    pub(crate) fn self_registration(&self) -> &SelfRegistration {
        self.self_registration.get_or_init(|| {
            SelfRegistration::read(&shell::required_environment("SELF_REGISTRATION"))
        })
    }

    /// Whether the token is the one in the link that was mailed to the account.
    pub(crate) async fn is_link(
        &self,
        token: &str,
        purpose: LinkPurpose,
        account: AccountId,
        requested_at: Timestamp,
    ) -> Result<bool, Fault> {
        let secret = self.verification_secret().await?;
        let right = link_token(secret.as_bytes(), purpose, account, requested_at);
        Ok(verify_slices_are_equal(token.as_bytes(), right.as_bytes()).is_ok())
    }

    pub(crate) async fn verification_secret(&self) -> Result<&str, Fault> {
        if let Some(secret) = self.verification_secret.get() {
            return Ok(secret);
        }
        let secret = shell::secret("VERIFICATION_SECRET").await?;
        Ok(self.verification_secret.get_or_init(|| secret))
    }

    /// The session's tokens as they are now.
    pub(crate) async fn tokens(&self, session: &Session, now: Timestamp) -> Result<Tokens, Fault> {
        let keys = self.key_ring.keys(now).await?;
        Ok(Tokens {
            access_token: keys.access_token(self.issuer(), session, now),
            token_type: "Bearer",
            expires_in: tokens::ACCESS_TOKEN_TTL_S,
            refresh_token: self.refresh_key().await?.token(session),
            person: session.person,
            device_token: None,
            second_factor: None,
        })
    }
}

impl shell::Context for Ctx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The context's HTTP operations, with the shapes of what goes in and comes out.
pub fn http_operations() -> Vec<HttpOperation> {
    let mut operations = of_ones_own_account();
    operations.extend(of_people_and_roles());
    operations.extend(of_service_clients());
    operations.extend(of_sign_ins());
    operations.extend(of_the_register());
    operations
}

const CONTEXT: &str = "identity";

fn of_ones_own_account() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::register_account::Command, op::register_account::Reply>(
            CONTEXT,
            op::register_account::ROUTE,
        ),
        HttpOperation::of::<op::verify_email::Command, op::verify_email::Reply>(
            CONTEXT,
            op::verify_email::ROUTE,
        ),
        HttpOperation::of::<op::log_in::Command, op::log_in::Tokens>(CONTEXT, op::log_in::ROUTE),
        HttpOperation::of::<op::refresh_session::Command, op::log_in::Tokens>(
            CONTEXT,
            op::refresh_session::ROUTE,
        ),
        HttpOperation::of::<op::log_out::Command, ()>(CONTEXT, op::log_out::ROUTE),
        HttpOperation::of::<op::list_sessions::Command, Listing<op::list_sessions::Item>>(
            CONTEXT,
            op::list_sessions::ROUTE,
        ),
        HttpOperation::of::<op::end_session::Command, ()>(CONTEXT, op::end_session::ROUTE),
        HttpOperation::of::<op::end_sessions::Command, ()>(CONTEXT, op::end_sessions::ROUTE),
        HttpOperation::of::<op::change_password::Command, ()>(CONTEXT, op::change_password::ROUTE),
        HttpOperation::of::<op::request_password_reset::Command, ()>(
            CONTEXT,
            op::request_password_reset::ROUTE,
        ),
        HttpOperation::of::<op::reset_password::Command, ()>(CONTEXT, op::reset_password::ROUTE),
        HttpOperation::of::<op::enroll_second_factor::Command, op::enroll_second_factor::Reply>(
            CONTEXT,
            op::enroll_second_factor::ROUTE,
        ),
        HttpOperation::of::<op::confirm_second_factor::Command, op::confirm_second_factor::Reply>(
            CONTEXT,
            op::confirm_second_factor::ROUTE,
        ),
        HttpOperation::of::<op::remove_second_factor::Command, ()>(
            CONTEXT,
            op::remove_second_factor::ROUTE,
        ),
    ]
}

fn of_people_and_roles() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::reset_second_factor::Command, ()>(
            CONTEXT,
            op::reset_second_factor::ROUTE,
        ),
        HttpOperation::of::<op::end_sessions_of_person::Command, ()>(
            CONTEXT,
            op::end_sessions_of_person::ROUTE,
        ),
        HttpOperation::of::<op::read_roles::Command, op::read_roles::Reply>(
            CONTEXT,
            op::read_roles::ROUTE,
        ),
        HttpOperation::of::<op::end_role::Command, ()>(CONTEXT, op::end_role::ROUTE),
        HttpOperation::of::<op::invite_person::Command, op::invite_person::Reply>(
            CONTEXT,
            op::invite_person::ROUTE,
        ),
        HttpOperation::of::<op::accept_invitation::Command, op::accept_invitation::Reply>(
            CONTEXT,
            op::accept_invitation::ROUTE,
        ),
        HttpOperation::of::<op::read_keys::Command, op::read_keys::Reply>(
            CONTEXT,
            op::read_keys::ROUTE,
        ),
        HttpOperation::of::<op::read_configuration::Command, op::read_configuration::Reply>(
            CONTEXT,
            op::read_configuration::ROUTE,
        ),
        HttpOperation::of::<op::read_profile::Command, op::read_person::Reply>(
            CONTEXT,
            op::read_profile::ROUTE,
        ),
        HttpOperation::of::<op::edit_profile::Command, op::read_person::Reply>(
            CONTEXT,
            op::edit_profile::ROUTE,
        ),
        HttpOperation::of::<op::assign_role::Command, op::assign_role::Reply>(
            CONTEXT,
            op::assign_role::ROUTE,
        ),
        HttpOperation::of::<op::read_audit_trail::Command, Listing<TrailEntry>>(
            CONTEXT,
            op::read_audit_trail::ROUTE,
        ),
        HttpOperation::of::<TrailQuestion, Listing<TrailEntry>>(
            CONTEXT,
            op::list_audit_entries::ROUTE,
        ),
    ]
}

fn of_service_clients() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::create_service_client::Command, op::create_service_client::Reply>(
            CONTEXT,
            op::create_service_client::ROUTE,
        ),
        HttpOperation::of::<
            op::list_service_clients::Command,
            Listing<op::read_service_client::Reply>,
        >(CONTEXT, op::list_service_clients::ROUTE),
        HttpOperation::of::<op::read_service_client::Command, op::read_service_client::Reply>(
            CONTEXT,
            op::read_service_client::ROUTE,
        ),
        HttpOperation::of::<op::edit_service_client::Command, op::read_service_client::Reply>(
            CONTEXT,
            op::edit_service_client::ROUTE,
        ),
        HttpOperation::of::<op::rotate_client_secret::Command, op::create_service_client::Reply>(
            CONTEXT,
            op::rotate_client_secret::ROUTE,
        ),
        HttpOperation::of::<op::end_service_client::Command, ()>(
            CONTEXT,
            op::end_service_client::ROUTE,
        ),
        HttpOperation::of::<op::issue_client_token::Form, op::issue_client_token::Reply>(
            CONTEXT,
            op::issue_client_token::ROUTE,
        ),
    ]
}

fn of_sign_ins() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::set_sign_in_provider::Command, op::read_sign_in_provider::Reply>(
            CONTEXT,
            op::set_sign_in_provider::ROUTE,
        ),
        HttpOperation::of::<op::read_sign_in_provider::Command, op::read_sign_in_provider::Reply>(
            CONTEXT,
            op::read_sign_in_provider::ROUTE,
        ),
        HttpOperation::of::<
            op::list_sign_in_providers::Command,
            Listing<op::list_sign_in_providers::Item>,
        >(CONTEXT, op::list_sign_in_providers::ROUTE),
        HttpOperation::of::<op::begin_sign_in::Command, op::begin_sign_in::Reply>(
            CONTEXT,
            op::begin_sign_in::ROUTE,
        ),
        HttpOperation::of::<op::complete_sign_in::Command, op::log_in::Tokens>(
            CONTEXT,
            op::complete_sign_in::ROUTE,
        ),
    ]
}

/// The register of people: who they are, in all systems, and how they are found.
fn of_the_register() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::register_person::Command, op::read_person::Reply>(
            CONTEXT,
            op::register_person::ROUTE,
        ),
        HttpOperation::of::<op::list_people::Command, Listing<op::list_people::Item>>(
            CONTEXT,
            op::list_people::ROUTE,
        ),
        HttpOperation::of::<op::read_person::Command, op::read_person::Reply>(
            CONTEXT,
            op::read_person::ROUTE,
        ),
        HttpOperation::of::<op::edit_person::Command, op::read_person::Reply>(
            CONTEXT,
            op::edit_person::ROUTE,
        ),
        HttpOperation::of::<op::change_legal_name::Command, op::read_person::Reply>(
            CONTEXT,
            op::change_legal_name::ROUTE,
        ),
        HttpOperation::of::<op::add_external_id::Command, op::read_person::Reply>(
            CONTEXT,
            op::add_external_id::ROUTE,
        ),
        HttpOperation::of::<op::remove_external_id::Command, ()>(
            CONTEXT,
            op::remove_external_id::ROUTE,
        ),
        HttpOperation::of::<op::search_directory::Command, Listing<op::search_directory::Item>>(
            CONTEXT,
            op::search_directory::ROUTE,
        ),
        HttpOperation::of::<op::list_duplicates::Command, Listing<op::list_duplicates::Item>>(
            CONTEXT,
            op::list_duplicates::ROUTE,
        ),
        HttpOperation::of::<op::dismiss_duplicate::Command, op::dismiss_duplicate::Reply>(
            CONTEXT,
            op::dismiss_duplicate::ROUTE,
        ),
    ]
}
