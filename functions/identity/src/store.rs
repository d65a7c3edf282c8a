//! Identity's items: how they lie in the table, what is read together, and the writes that go with an event.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use events::{PasswordChanged, RoleAssigned, RoleEnded};
use kernel::{AccountId, DeviceId, PersonId, SessionId, Timestamp};
use shell::{Caller, Failure, RequestRefusal};
use table::{Batch, Key, Partition, Record, Stored, Table, Trail, Transaction};

use crate::domain::{
    Account, AccountState, Claim, ClaimKind, Identifier, LoginAttempts, MailRequests, Person,
    Refusal, RoleAssignment, RoleDate, Roles, SecondFactor, Session, SessionsEnd,
};
use crate::guesses::{Guesses, LoginGuesses};
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

impl Record for RoleDate {
    const KIND: &'static str = "role-date";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(ROLE_DATES_PK, format!("{:.9}#{}", self.at, self.person))
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

impl Record for MailRequests {
    const KIND: &'static str = "mail-requests";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        mail_requests_key(&self.subject)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        Some(self.since + Self::PERIOD)
    }
}

impl Record for SecondFactor {
    const KIND: &'static str = "second-factor";
    const SCHEMA: u32 = 2;
    // Written when the seed was sealed already. One from before that lacks it, and is refused.
    const ALSO_READS: &'static [u32] = &[1];

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
}

pub fn person_key(id: PersonId) -> Key<Person> {
    Key::new(format!("PERSON#{id}"), "PERSON")
}

pub fn roles_key(person: PersonId) -> Key<Roles> {
    Key::new(format!("PERSON#{person}"), "ROLES")
}

const ROLE_DATES_PK: &str = "ROLE-DATES";

/// Dates by which roles begin and end, of which nobody was told yet, the earliest first.
pub fn role_dates() -> Partition<RoleDate> {
    Partition::new(ROLE_DATES_PK, "")
}

pub fn account_key(id: AccountId) -> Key<Account> {
    Key::new(format!("ACCOUNT#{id}"), "ACCOUNT")
}

pub fn claim_key(identifier: &Identifier) -> Key<Claim> {
    let kind = match identifier.kind {
        ClaimKind::Email => "EMAIL",
        ClaimKind::StudentNumber => "STUDENT-NUMBER",
        ClaimKind::StaffNumber => "STAFF-NUMBER",
        ClaimKind::External => "EXTERNAL",
    };
    Key::new(format!("CLAIM#{kind}#{}", identifier.folded), "CLAIM")
}

pub fn attempts_key(subject: &str) -> Key<LoginAttempts> {
    Key::new(format!("ATTEMPTS#{subject}"), "ATTEMPTS")
}

pub fn session_key(id: SessionId) -> Key<Session> {
    Key::new(format!("SESSION#{id}"), "SESSION")
}

pub fn mail_requests_key(subject: &str) -> Key<MailRequests> {
    Key::new(format!("ATTEMPTS#{subject}"), "MAILS")
}

pub fn second_factor_key(account: AccountId) -> Key<SecondFactor> {
    Key::new(format!("ACCOUNT#{account}"), "SECOND-FACTOR")
}

/// A session that stands, whatever the authorizer remembers of it, and when all of its person's were last ended.
pub struct OwnSession {
    pub session: Stored<Session>,
    pub end: Option<Stored<SessionsEnd>>,
    /// Where what is done from it is noted.
    pub trail: Trail,
}

impl OwnSession {
    /// Ends every session of the person, or all but one.
    pub fn end_sessions(&self, transaction: &mut Transaction<'_>, next: &SessionsEnd) {
        transaction.put(next, self.end.as_ref().map(|end| end.version));
    }

    pub fn standing_end(&self) -> Option<&SessionsEnd> {
        self.end.as_ref().map(|end| &end.value)
    }

    /// Requires that nobody has ended the session meanwhile, by itself or with all others.
    pub fn check_standing(&self, transaction: &mut Transaction<'_>) {
        self.check_not_ended(transaction);
        self.check_end(transaction);
    }

    /// Requires that nobody has ended all sessions meanwhile.
    pub fn check_end(&self, transaction: &mut Transaction<'_>) {
        let end = sessions_end_key(self.session.value.person);
        transaction.check(&end, self.end.as_ref().map(|end| end.version));
    }

    /// Requires that nobody has ended the session by itself meanwhile.
    pub fn check_not_ended(&self, transaction: &mut Transaction<'_>) {
        transaction.check(&self.session.value.key(), Some(self.session.version));
    }
}

/// The caller's session, when all of theirs were last ended, and the end of their audit trail.
pub async fn session_end_and_trail(
    table: &Table,
    caller: &Caller,
) -> Result<(Option<Stored<Session>>, Option<Stored<SessionsEnd>>, Trail), Failure> {
    let (session, end) = (session_key(caller.session), sessions_end_key(caller.person));
    let keys = vec![(&session).into(), (&end).into(), Trail::key(caller.person)];
    let mut batch = table.get_batch(keys).await?;
    let trail = Trail::take(&mut batch, caller.person)?;
    Ok((batch.take(&session)?, batch.take(&end)?, trail))
}

/// The caller's session, which has to stand.
pub async fn own_session(
    table: &Table,
    caller: &Caller,
    now: Timestamp,
) -> Result<OwnSession, Failure> {
    let (session, end, trail) = session_end_and_trail(table, caller).await?;
    let standing_end = end.as_ref().map(|end| &end.value);
    let session = session.filter(|session| session.value.stands(standing_end, now));
    let session = session.ok_or(RequestRefusal::SessionEnded)?;
    Ok(OwnSession { session, end, trail })
}

/// Somebody's own account with what changes of it are decided on.
pub struct OwnAccount {
    pub own: OwnSession,
    pub account: Stored<Account>,
    pub person: Person,
    pub second_factor: Option<Stored<SecondFactor>>,
    /// Guesses from a stolen session count apart: they do not keep the owner from logging in.
    pub guesses: Guesses,
}

pub async fn own_account(
    table: &Table,
    caller: &Caller,
    now: Timestamp,
) -> Result<OwnAccount, Failure> {
    let own = own_session(table, caller, now).await?;
    let id = own.session.value.account;
    let subject = format!("{}#change", caller.person);
    let (account, factor, attempts) =
        (account_key(id), second_factor_key(id), attempts_key(&subject));
    let person = person_key(caller.person);
    let keys = vec![(&account).into(), (&person).into(), (&factor).into(), (&attempts).into()];
    let mut batch = table.get_batch(keys).await?;
    Ok(OwnAccount {
        own,
        account: batch.take(&account)?.ok_or(Refusal::AccountUnknown)?,
        person: batch.take(&person)?.ok_or(Refusal::PersonUnknown)?.value,
        second_factor: batch.take(&factor)?,
        guesses: Guesses { subject, standing: batch.take(&attempts)? },
    })
}

/// What the staff decide on who end somebody's sessions.
pub struct ActedUpon {
    pub account: Option<AccountId>,
    pub roles: ReadRoles,
    pub end: Option<Stored<SessionsEnd>>,
    pub trail: Trail,
}

impl ActedUpon {
    /// Ends every session of theirs. Who becomes one of the staff meanwhile is judged again.
    pub fn end_sessions(&self, transaction: &mut Transaction<'_>, now: Timestamp) -> SessionsEnd {
        let (roles, version) = &self.roles;
        transaction.check(&roles.key(), *version);
        let end = self.end.as_ref();
        let next = SessionsEnd::of_all(end.map(|end| &end.value), roles.person, None, now);
        transaction.put(&next, end.map(|end| end.version));
        next
    }
}

pub async fn acted_upon(table: &Table, id: PersonId) -> Result<ActedUpon, Failure> {
    let (person, roles, end) = (person_key(id), roles_key(id), sessions_end_key(id));
    let keys = vec![(&person).into(), (&roles).into(), (&end).into(), Trail::key(id)];
    let mut batch = table.get_batch(keys).await?;
    let trail = Trail::take(&mut batch, id)?;
    let person = batch.take(&person)?.ok_or(Refusal::PersonUnknown)?;
    let (roles, end) = (roles_in(&mut batch, id)?, batch.take(&end)?);
    Ok(ActedUpon { account: person.value.account, roles, end, trail })
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
    /// When all sessions of the person were last ended.
    pub end: Option<SessionsEnd>,
    pub guesses: LoginGuesses,
    /// The device, where somebody has logged in to this account from it before, and has not ended all sessions since.
    pub device: Option<DeviceId>,
}

/// Whoever an account lets in.
pub struct Entrant {
    pub account: Stored<Account>,
    pub roles: Roles,
    /// When all their sessions were last ended.
    pub end: Option<SessionsEnd>,
    /// The one that they come from, where the account knows it.
    pub device: Option<DeviceId>,
}

impl Login {
    /// Absent where the log-in leads to no account.
    pub fn entrant(self) -> Option<Entrant> {
        let Self { account, roles, end, device, .. } = self;
        Some(Entrant { account: account?, roles: roles?, end, device })
    }
}

/// `presented_device` says which device of an account is calling, and how often all sessions of its person had been
/// ended when it became known.
pub async fn login(
    table: &Table,
    identifier: &Identifier,
    presented_device: impl Fn(AccountId) -> Option<(DeviceId, u64)>,
) -> Result<Login, Failure> {
    let claim = table.get(&claim_key(identifier)).await?.map(|claim| claim.value);
    let holder = claim.as_ref().and_then(Claim::holder);
    let pending = claim.and_then(|claim| claim.pending).map(account_key);
    let presented = holder.and_then(|(account, _)| presented_device(account));
    let typed = subject_of_typed(identifier);
    let of_account =
        holder.map_or_else(|| format!("{typed}#nobody"), |(account, _)| account.to_string());
    let of_device = presented.map(|(device, _)| format!("{of_account}#{device}"));
    let mut keys = vec![(&attempts_key(&typed)).into(), (&attempts_key(&of_account)).into()];
    keys.extend(of_device.iter().map(|of_device| (&attempts_key(of_device)).into()));
    keys.extend(pending.iter().map(Into::into));
    if let Some((account, person)) = holder {
        keys.extend([
            (&account_key(account)).into(),
            (&second_factor_key(account)).into(),
            (&roles_key(person)).into(),
            (&sessions_end_key(person)).into(),
        ]);
    }
    let mut batch = table.get_batch(keys).await?;
    let (mut account, mut second_factor, mut roles, mut end) = (None, None, None, None);
    if let Some((id, person)) = holder {
        account = batch.take(&account_key(id))?;
        second_factor = batch.take(&second_factor_key(id))?;
        roles = Some(roles_in(&mut batch, person)?.0);
        end = batch.take(&sessions_end_key(person))?.map(|end: Stored<SessionsEnd>| end.value);
    }
    let pending = pending.map(|pending| batch.take(&pending)).transpose()?.flatten();
    let ends = SessionsEnd::count(end.as_ref());
    let device = presented.filter(|(_, known_at)| *known_at == ends).map(|(device, _)| device);
    let mut guesses = |subject: String| {
        let standing = batch.take(&attempts_key(&subject))?;
        Ok::<_, Failure>(Guesses { subject, standing })
    };
    let guesses = match of_device.filter(|_| device.is_some()) {
        Some(of_device) => LoginGuesses { told: guesses(of_device)?, of_account: None },
        None => LoginGuesses { told: guesses(typed)?, of_account: Some(guesses(of_account)?) },
    };
    Ok(Login { account, pending, second_factor, roles, end, guesses, device })
}

/// People type passwords where the log-in belongs: what was typed is kept as a digest only.
pub fn subject_of_typed(identifier: &Identifier) -> String {
    let digest = digest::digest(&digest::SHA256, identifier.folded.as_bytes());
    format!("{:?}:{}", identifier.kind, URL_SAFE_NO_PAD.encode(digest))
}

#[cfg(test)]
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

/// A person with their roles and the end of their audit trail, in one call.
pub async fn person_roles_and_trail(
    table: &Table,
    id: PersonId,
) -> Result<(Option<Stored<Person>>, ReadRoles, Trail), Failure> {
    let (person, roles) = (person_key(id), roles_key(id));
    let keys = vec![(&person).into(), (&roles).into(), Trail::key(id)];
    let mut batch = table.get_batch(keys).await?;
    let trail = Trail::take(&mut batch, id)?;
    Ok((batch.take(&person)?, roles_in(&mut batch, id)?, trail))
}

/// A claim with the version to write over, which is absent as long as nobody has made it.
pub type ReadClaim = (Claim, Option<u64>);

/// Some claims in one call. One that nobody made is nobody's.
pub async fn claims(table: &Table, identifiers: &[Identifier]) -> Result<Vec<ReadClaim>, Failure> {
    let keys = identifiers.iter().map(|identifier| (&claim_key(identifier)).into()).collect();
    let mut batch = table.get_batch(keys).await?;
    let mut claims = Vec::new();
    for identifier in identifiers {
        claims.push(match batch.take(&claim_key(identifier))? {
            Some(Stored { value, version }) => (value, Some(version)),
            None => (Claim::of_nobody(identifier.clone()), None),
        });
    }
    Ok(claims)
}

pub async fn claim(table: &Table, identifier: Identifier) -> Result<ReadClaim, Failure> {
    Ok(match table.get(&claim_key(&identifier)).await? {
        Some(Stored { value, version }) => (value, Some(version)),
        None => (Claim::of_nobody(identifier), None),
    })
}

/// What wrote a record and when, for its event.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// A write of a person's roles, with the next of their dates on the schedule.
pub fn put_roles(transaction: &mut Transaction<'_>, (roles, read_version): &ReadRoles) {
    let next_date = roles.date_to_come();
    if roles.next_date != next_date {
        let of = |at| RoleDate { at, person: roles.person };
        if let Some(standing) = roles.next_date {
            transaction.delete(&Stored { value: of(standing), version: 1 });
        }
        if let Some(at) = next_date {
            transaction.overwrite(&of(at));
        }
    }
    transaction.put(&Roles { next_date, ..roles.clone() }, *read_version);
}

/// A write of a person's roles, with an event for each of those that are new, or have begun or got other dates.
pub fn write_roles(
    transaction: &mut Transaction<'_>,
    roles: &ReadRoles,
    new: &[RoleAssignment],
    cause: Cause<'_>,
) {
    put_roles(transaction, roles);
    for assignment in new {
        let event = RoleAssigned {
            assignment: assignment.id,
            person: roles.0.person,
            role: assignment.role.name().to_owned(),
            department: assignment.department.clone(),
            valid_from: assignment.validity.valid_from,
            valid_to: assignment.validity.valid_to,
            assigned_by: assignment.assigned_by,
            assignment_version: assignment.told,
        };
        transaction.event(event, assignment.told, cause.now, cause.correlation_id);
    }
}

/// The end of a role, by somebody or by its date.
pub fn tell_end(
    transaction: &mut Transaction<'_>,
    person: PersonId,
    ended: &RoleAssignment,
    ended_by: Option<PersonId>,
    cause: Cause<'_>,
) {
    let event = RoleEnded {
        assignment: ended.id,
        person,
        role: ended.role.name().to_owned(),
        department: ended.department.clone(),
        ended_at: ended.validity.valid_to.unwrap_or(cause.now),
        ended_by,
    };
    transaction.event(event, 1, cause.now, cause.correlation_id);
}

/// A new password; the person is told.
pub fn write_password(
    transaction: &mut Transaction<'_>,
    account: &Stored<Account>,
    person: PersonId,
    cause: Cause<'_>,
) {
    transaction.update(account);
    let event = PasswordChanged { account: account.value.id, person, changed_at: cause.now };
    transaction.event(event, account.version + 1, cause.now, cause.correlation_id);
}
