//! Identity's items: how they lie in the table, what is read together, and the writes that go with an event.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use events::{PasswordChanged, PersonChanged, PersonRegistered, RoleAssigned};
use kernel::{AccountId, DeviceId, PersonId, SessionId, Timestamp};
use shell::Failure;
use table::{Batch, Key, Partition, Record, Stored, Table, Transaction};

use crate::domain::{
    Account, AccountState, Claim, ClaimKind, Identifier, LoginAttempts, Person, Refusal,
    ResetRequests, RoleAssignment, Roles, SecondFactor, Session, SessionsEnd,
};
use crate::standings::Standing;

impl Record for Person {
    const KIND: &'static str = "person";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        person_key(self.id)
    }
}

impl Record for Roles {
    const KIND: &'static str = "roles";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        roles_key(self.person)
    }
}

impl Record for Account {
    const KIND: &'static str = "account";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        account_key(self.id)
    }

    /// An address that nobody proves is not kept for ever.
    fn collectable_at(&self) -> Option<Timestamp> {
        let is_open = matches!(self.state, AccountState::Active { .. });
        (!is_open).then(|| self.verification_requested_at + Account::CODE_VALID * 30)
    }
}

impl Record for Claim {
    const KIND: &'static str = "claim";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        claim_key(&self.identifier)
    }
}

impl Record for LoginAttempts {
    const KIND: &'static str = "login-attempts";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        attempts_key(&self.subject)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        Some(self.last_failed_at + Self::REMEMBERED)
    }
}

impl Record for Session {
    const KIND: &'static str = "session";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        session_key(self.id)
    }

    /// Listed to its person as long as it has not been ended.
    fn index_key(&self) -> Option<(String, String)> {
        // Written to the nanosecond: a time with fewer digits would sort behind a later one.
        let at = || (sessions_pk(self.person), format!("{:.9}#{}", self.started_at, self.id));
        self.ended_at.is_none().then(at)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        Some(self.rotated_at + Self::IDLE_MAX)
    }
}

impl Record for ResetRequests {
    const KIND: &'static str = "reset-requests";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        reset_requests_key(&self.subject)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        Some(self.since + Self::PERIOD)
    }
}

impl Record for SecondFactor {
    const KIND: &'static str = "second-factor";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        second_factor_key(self.account)
    }
}

impl Record for SessionsEnd {
    const KIND: &'static str = "sessions-end";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        sessions_end_key(self.person)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        Some(self.at + Session::AGE_MAX)
    }
}

pub fn person_key(id: PersonId) -> Key<Person> {
    Key::new(format!("PERSON#{id}"), "PERSON")
}

pub fn roles_key(person: PersonId) -> Key<Roles> {
    Key::new(format!("PERSON#{person}"), "ROLES")
}

pub fn account_key(id: AccountId) -> Key<Account> {
    Key::new(format!("ACCOUNT#{id}"), "ACCOUNT")
}

pub fn claim_key(identifier: &Identifier) -> Key<Claim> {
    let kind = match identifier.kind {
        ClaimKind::Email => "EMAIL",
        ClaimKind::StudentNumber => "STUDENT-NUMBER",
        ClaimKind::StaffNumber => "STAFF-NUMBER",
    };
    Key::new(format!("CLAIM#{kind}#{}", identifier.folded), "CLAIM")
}

pub fn attempts_key(subject: &str) -> Key<LoginAttempts> {
    Key::new(format!("ATTEMPTS#{subject}"), "ATTEMPTS")
}

pub fn session_key(id: SessionId) -> Key<Session> {
    Key::new(format!("SESSION#{id}"), "SESSION")
}

pub fn reset_requests_key(subject: &str) -> Key<ResetRequests> {
    Key::new(format!("ATTEMPTS#{subject}"), "RESETS")
}

pub fn second_factor_key(account: AccountId) -> Key<SecondFactor> {
    Key::new(format!("ACCOUNT#{account}"), "SECOND-FACTOR")
}

/// Somebody's own account with what changes of it are decided on.
pub struct OwnAccount {
    pub account: Stored<Account>,
    pub second_factor: Option<Stored<SecondFactor>>,
    pub attempts: Option<Stored<LoginAttempts>>,
}

/// `subject` is what wrong passwords are counted under.
pub async fn own_account(
    table: &Table,
    person: PersonId,
    subject: &str,
) -> Result<OwnAccount, Failure> {
    let person = table.get(&person_key(person)).await?;
    let id = person.and_then(|person| person.value.account).ok_or(Refusal::AccountUnknown)?;
    let (account, factor, attempts) =
        (account_key(id), second_factor_key(id), attempts_key(subject));
    let keys = vec![(&account).into(), (&factor).into(), (&attempts).into()];
    let mut batch = table.get_batch(keys).await?;
    Ok(OwnAccount {
        account: batch.take(&account)?.ok_or(Refusal::AccountUnknown)?,
        second_factor: batch.take(&factor)?,
        attempts: batch.take(&attempts)?,
    })
}

fn sessions_pk(person: PersonId) -> String {
    format!("SESSIONS#{person}")
}

/// Sessions that nobody has ended, the newest first.
pub fn sessions_of(person: PersonId) -> Partition<Session> {
    Partition::in_index(sessions_pk(person), "").newest_first()
}

pub fn sessions_end_key(person: PersonId) -> Key<SessionsEnd> {
    Key::new(format!("PERSON#{person}"), "SESSIONS-END")
}

/// A session, whether it stands, and what its person may do, in one call.
pub async fn standing(
    table: &Table,
    session: SessionId,
    person: PersonId,
) -> Result<Standing, Failure> {
    let (session, end, roles) = (session_key(session), sessions_end_key(person), roles_key(person));
    let mut batch =
        table.get_batch(vec![(&session).into(), (&end).into(), (&roles).into()]).await?;
    Ok(Standing {
        session: batch.take(&session)?.map(|session| session.value),
        end: batch.take(&end)?.map(|end| end.value),
        roles: roles_in(&mut batch, person)?.0,
    })
}

/// A person's roles with the version to write over, which is absent as long as they hold none.
pub type ReadRoles = (Roles, Option<u64>);

fn roles_in(batch: &mut Batch, person: PersonId) -> Result<ReadRoles, Failure> {
    Ok(match batch.take(&roles_key(person))? {
        Some(Stored { value, version }) => (value, Some(version)),
        None => (Roles::none_of(person), None),
    })
}

/// Everything that a log-in is decided on.
pub struct Login {
    /// Who logs in by it, with the account.
    pub account: Option<Stored<Account>>,
    pub pending: Option<Stored<Account>>,
    pub second_factor: Option<Stored<SecondFactor>>,
    pub roles: Option<Roles>,
    /// What wrong passwords are counted under: the account, with the device where it is a known one.
    pub subject: String,
    pub attempts: Option<Stored<LoginAttempts>>,
    /// The device, where somebody has logged in to this account from it before.
    pub device: Option<DeviceId>,
}

/// `known_device` says which device of an account is calling, where one is.
pub async fn login(
    table: &Table,
    identifier: &Identifier,
    known_device: impl Fn(AccountId) -> Option<DeviceId>,
) -> Result<Login, Failure> {
    let claim = table.get(&claim_key(identifier)).await?.map(|claim| claim.value);
    let holder = claim.as_ref().and_then(Claim::holder);
    let pending = claim.and_then(|claim| claim.pending).map(account_key);
    let device = holder.and_then(|(account, _)| known_device(account));
    let subject = match (holder, device) {
        (Some((account, _)), Some(device)) => format!("{account}#{device}"),
        (Some((account, _)), None) => account.to_string(),
        (None, _) => subject_of_nobody(identifier),
    };
    let attempts = attempts_key(&subject);
    let mut keys = vec![(&attempts).into()];
    keys.extend(pending.iter().map(Into::into));
    if let Some((account, person)) = holder {
        keys.extend([
            (&account_key(account)).into(),
            (&second_factor_key(account)).into(),
            (&roles_key(person)).into(),
        ]);
    }
    let mut batch = table.get_batch(keys).await?;
    let mut login = Login {
        account: None,
        pending: None,
        second_factor: None,
        roles: None,
        subject,
        attempts: batch.take(&attempts)?,
        device,
    };
    if let Some(pending) = pending {
        login.pending = batch.take(&pending)?;
    }
    if let Some((account, person)) = holder {
        login.account = batch.take(&account_key(account))?;
        login.second_factor = batch.take(&second_factor_key(account))?;
        login.roles = Some(roles_in(&mut batch, person)?.0);
    }
    Ok(login)
}

/// People type passwords where the log-in belongs: what leads nowhere is kept as a digest only.
pub fn subject_of_nobody(identifier: &Identifier) -> String {
    let digest = digest::digest(&digest::SHA256, identifier.folded.as_bytes());
    format!("{:?}:{}", identifier.kind, URL_SAFE_NO_PAD.encode(digest))
}

pub async fn roles(table: &Table, person: PersonId) -> Result<ReadRoles, Failure> {
    Ok(match table.get(&roles_key(person)).await? {
        Some(Stored { value, version }) => (value, Some(version)),
        None => (Roles::none_of(person), None),
    })
}

/// A person with their roles, in one call.
pub async fn person_and_roles(
    table: &Table,
    id: PersonId,
) -> Result<(Option<Stored<Person>>, ReadRoles), Failure> {
    let (person, roles) = (person_key(id), roles_key(id));
    let mut batch = table.get_batch(vec![(&person).into(), (&roles).into()]).await?;
    Ok((batch.take(&person)?, roles_in(&mut batch, id)?))
}

/// A person with their roles and some claims, in one call. A claim that nobody made is nobody's.
pub async fn person_roles_and_claims(
    table: &Table,
    id: PersonId,
    identifiers: &[Identifier],
) -> Result<(Option<Stored<Person>>, ReadRoles, Vec<ReadClaim>), Failure> {
    let (person, roles) = (person_key(id), roles_key(id));
    let mut keys = vec![(&person).into(), (&roles).into()];
    keys.extend(identifiers.iter().map(|identifier| (&claim_key(identifier)).into()));
    let mut batch = table.get_batch(keys).await?;
    let claims = claims_in(&mut batch, identifiers)?;
    Ok((batch.take(&person)?, roles_in(&mut batch, id)?, claims))
}

/// A claim with the version to write over, which is absent as long as nobody has made it.
pub type ReadClaim = (Claim, Option<u64>);

pub async fn claims(table: &Table, identifiers: &[Identifier]) -> Result<Vec<ReadClaim>, Failure> {
    let keys: Vec<_> =
        identifiers.iter().map(|identifier| (&claim_key(identifier)).into()).collect();
    let mut batch = table.get_batch(keys).await?;
    claims_in(&mut batch, identifiers)
}

pub async fn claim(table: &Table, identifier: Identifier) -> Result<ReadClaim, Failure> {
    Ok(match table.get(&claim_key(&identifier)).await? {
        Some(Stored { value, version }) => (value, Some(version)),
        None => (Claim::of_nobody(identifier), None),
    })
}

fn claims_in(batch: &mut Batch, identifiers: &[Identifier]) -> Result<Vec<ReadClaim>, Failure> {
    let mut claims = Vec::new();
    for identifier in identifiers {
        claims.push(match batch.take(&claim_key(identifier))? {
            Some(Stored { value, version }) => (value, Some(version)),
            None => (Claim::of_nobody(identifier.clone()), None),
        });
    }
    Ok(claims)
}

/// What wrote a record and when, for its event.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// A write of a person with its event. Nobody is told of somebody without an e-mail address: there is no way
/// to reach them.
pub fn write_person(
    transaction: &mut Transaction<'_>,
    person: &Person,
    read_version: Option<u64>,
    cause: Cause<'_>,
) {
    transaction.put(person, read_version);
    let Person { id, name, locale, .. } = person.clone();
    let Some(email) = person.email.clone() else { return };
    let version = read_version.unwrap_or_default() + 1;
    if read_version.is_none() {
        let event = PersonRegistered { person: id, name, email, locale };
        transaction.event(event, version, cause.now, cause.correlation_id);
    } else {
        let event = PersonChanged { person: id, name, email, locale, profile_version: version };
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
}

/// A write of a person's roles, with an event for each of those that are new.
pub fn write_roles(
    transaction: &mut Transaction<'_>,
    (roles, read_version): &ReadRoles,
    new: &[RoleAssignment],
    cause: Cause<'_>,
) {
    transaction.put(roles, *read_version);
    for assignment in new {
        let event = RoleAssigned {
            assignment: assignment.id,
            person: roles.person,
            role: assignment.role.name().to_owned(),
            department: assignment.department.clone(),
            valid_from: assignment.validity.valid_from,
            valid_to: assignment.validity.valid_to,
            assigned_by: assignment.assigned_by,
        };
        transaction.event(event, 1, cause.now, cause.correlation_id);
    }
}

/// A new password: every session but perhaps one ends, and the person is told.
pub fn write_password(
    transaction: &mut Transaction<'_>,
    account: &Stored<Account>,
    person: PersonId,
    kept: Option<SessionId>,
    cause: Cause<'_>,
) {
    transaction.update(account);
    transaction.overwrite(&SessionsEnd { person, at: cause.now, kept });
    let event = PasswordChanged { account: account.value.id, person, changed_at: cause.now };
    transaction.event(event, account.version + 1, cause.now, cause.correlation_id);
}
