//! Accounts in a site: found by id number, made after a look for who else has the address, changed, suspended.

use kernel::PersonId;
use table::Stored;

use super::bisect::{bisected, go_on};
use super::{Halt, Session};
use crate::client::{CallFailure, NewUser, Remedy, User, UserChange, UserField};
use crate::domain::{
    Charges, HeldRoles, Holds, Kind, Mapping, Profile, Registrations, Standings, Trouble,
    WantedUser, Work, fingerprint, wanted_user,
};
use crate::store::{self, Looked, Outcome};

const LOOKED_UP_AT_ONCE_MAX: usize = 100;
const CREATED_AT_ONCE_MAX: usize = 50;
const CHANGED_AT_ONCE_MAX: usize = 50;

/// A person who was looked at, and the account that they should have.
#[derive(Clone)]
pub(super) struct Account {
    pub work: Stored<Work>,
    pub mapping: Option<Stored<Mapping>>,
    pub wanted: WantedUser,
    /// In Moodle, where it stands there.
    pub id: Option<i64>,
    /// Sections that the person is or was registered for.
    pub sections: Vec<String>,
}

impl Account {
    pub fn looked(self, outcome: Outcome) -> Looked {
        Looked { work: self.work, mapping: self.mapping, outcome }
    }

    fn new_user(&self, auth: &str) -> NewUser {
        NewUser {
            username: self.wanted.username.clone(),
            firstname: self.wanted.first_name.clone(),
            lastname: self.wanted.last_name.clone(),
            email: self.wanted.email.clone(),
            idnumber: self.wanted.id_number.clone(),
            department: self.wanted.department.clone(),
            auth: auth.to_owned(),
            // Where Moodle keeps passwords it makes one, and mails it.
            createpassword: (auth == "manual").then_some(true),
        }
    }

    fn change(&self) -> UserChange {
        user_change(self.id.unwrap_or_default(), &self.wanted)
    }

    fn was_gone(&self) -> bool {
        self.work.value.trouble.as_ref().is_some_and(|trouble| trouble.code == "GONE_THERE")
    }
}

pub(super) fn user_change(id: i64, wanted: &WantedUser) -> UserChange {
    UserChange {
        id,
        firstname: wanted.first_name.clone(),
        lastname: wanted.last_name.clone(),
        email: wanted.email.clone(),
        idnumber: wanted.id_number.clone(),
        department: wanted.department.clone(),
        suspended: wanted.is_suspended,
    }
}

impl Session<'_> {
    pub(super) async fn users(&mut self) -> Result<usize, Halt> {
        let due = self.due(Kind::User).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let (in_step, accounts) = self.wanted_users(due).await?;
        let mut looked = self.record(&in_step).await?;
        let (mut to_change, unknown): (Vec<_>, Vec<_>) =
            accounts.into_iter().partition(|account| account.id.is_some());
        let (mut to_create, mut refused) = (Vec::new(), Vec::new());
        for some in unknown.chunks(LOOKED_UP_AT_ONCE_MAX) {
            let found = self.found_users(UserField::IdNumber, some).await?;
            for account in some {
                let wanted = &account.wanted.id_number;
                let ids: Vec<i64> = found
                    .iter()
                    .filter(|user| user.idnumber == *wanted)
                    .map(|user| user.id)
                    .collect();
                match ids[..] {
                    [] => to_create.push(account.clone()),
                    [id] => to_change.push(Account { id: Some(id), ..account.clone() }),
                    _ => {
                        let trouble = Trouble::new("ID_NUMBER_TWICE");
                        refused.push(account.clone().looked(Outcome::Stuck(trouble)));
                    }
                }
            }
        }
        let to_create = self.without_taken(to_create, &mut refused).await?;
        looked += self.record(&refused).await?;
        looked += self.create_users(to_create).await?;
        looked += self.change_users(to_change).await?;
        Ok(looked)
    }

    /// Those of these accounts that are others in Moodle than they should be; the rest is in step.
    async fn differing_accounts(
        &self,
        accounts: Vec<Account>,
        in_step: &mut Vec<Looked>,
    ) -> Result<Vec<Account>, CallFailure> {
        let mut differing = Vec::new();
        for some in accounts.chunks(LOOKED_UP_AT_ONCE_MAX) {
            let found = self.found_users(UserField::IdNumber, some).await?;
            for account in some {
                let there = found.iter().find(|user| Some(user.id) == account.id);
                let wanted = user_change(account.id.unwrap_or_default(), &account.wanted).folded();
                let is_gone = there.is_none() && account.wanted.is_suspended;
                if is_gone || there.is_some_and(|user| user.as_sent() == wanted) {
                    in_step.push(account.clone().looked(Outcome::InStep));
                } else {
                    differing.push(account.clone());
                }
            }
        }
        Ok(differing)
    }

    async fn wanted_users(
        &self,
        due: Vec<Stored<Work>>,
    ) -> Result<(Vec<Looked>, Vec<Account>), Halt> {
        let keys = due
            .iter()
            .map(|work| (&store::mapping_key(&self.site, Kind::User, &work.value.entity)).into());
        let mut mappings = store::batch(&self.ctx.table, keys.collect()).await?;
        let (mut in_step, mut accounts) = (Vec::new(), Vec::new());
        let mut to_look_at = Vec::new();
        for work in due {
            let key = store::mapping_key(&self.site, Kind::User, &work.value.entity);
            let mapping = store::take(&mut mappings, &key)?;
            let (wanted, sections) = match work.value.entity.parse::<PersonId>() {
                Ok(person) => self.wanted_user(person, mapping.is_some()).await?,
                Err(_) => (None, Vec::new()),
            };
            match wanted {
                Some(wanted)
                    if work.value.sends_anyway
                        || mapping
                            .as_ref()
                            .is_none_or(|m| m.value.fingerprint != fingerprint(&wanted)) =>
                {
                    let id = mapping.as_ref().map(|mapping| mapping.value.moodle_id);
                    accounts.push(Account { work, mapping, wanted, id, sections });
                }
                Some(wanted) if work.value.looks_there => {
                    let id = mapping.as_ref().map(|mapping| mapping.value.moodle_id);
                    to_look_at.push(Account { work, mapping, wanted, id, sections });
                }
                _ => in_step.push(Looked { work, mapping, outcome: Outcome::InStep }),
            }
        }
        accounts.extend(self.differing_accounts(to_look_at, &mut in_step).await?);
        Ok((in_step, accounts))
    }

    /// All that is known of a person lies together.
    pub(super) async fn wanted_user(
        &self,
        person: PersonId,
        has_account: bool,
    ) -> Result<(Option<WantedUser>, Vec<String>), Halt> {
        let table = &self.ctx.table;
        let mut known = table.get_collection(&store::person_collection(person)).await?;
        let profile: Option<Stored<Profile>> = known.take(&store::profile_key(person))?;
        let roles: Option<Stored<HeldRoles>> = known.take(&store::held_roles_key(person))?;
        let charges: Option<Stored<Charges>> = known.take(&store::charges_key(person))?;
        let holds: Option<Stored<Holds>> = known.take(&store::holds_key(person))?;
        let registrations: Vec<Stored<Registrations>> = known.take_all(store::REGISTRATIONS)?;
        let mut is_in_course = false;
        let is_enrolled = |one: &&Stored<Registrations>| self.settings.is_enrolled(&one.value);
        for registration in registrations.iter().filter(is_enrolled) {
            if is_in_course {
                break;
            }
            let section = table.get(&store::section_key(registration.value.section)).await?;
            is_in_course = section
                .is_some_and(|known| self.settings.courses.includes(&known.value.department));
        }
        let sections = registrations.iter().map(|one| one.value.section.to_string()).collect();
        // Without a name there is nobody to be made: the profile marks the person again.
        let wanted = profile.and_then(|profile| {
            let known = Standings {
                roles: roles.as_ref().map(|roles| &roles.value),
                charges: charges.as_ref().map(|charges| &charges.value),
                holds: holds.as_ref().map(|holds| &holds.value),
                is_in_course,
                has_account,
            };
            wanted_user(&self.settings, &profile.value, known, self.now())
        });
        Ok((wanted, sections))
    }

    async fn found_users(
        &self,
        field: UserField,
        accounts: &[Account],
    ) -> Result<Vec<User>, CallFailure> {
        let value = |account: &Account| match field {
            UserField::Email => account.wanted.email.clone(),
            UserField::Username => account.wanted.username.clone(),
            _ => account.wanted.id_number.clone(),
        };
        let values: Vec<String> = accounts.iter().map(value).collect();
        if values.is_empty() { Ok(Vec::new()) } else { self.client.users_by(field, &values).await }
    }

    /// Those who are found, and those whom Moodle refuses to look for: one such value spoils the whole call, and halves
    /// find it.
    async fn looked_up(
        &self,
        field: UserField,
        accounts: &[Account],
    ) -> Result<(Vec<User>, Vec<String>), Halt> {
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        let mut waiting = vec![accounts.to_vec()];
        while let Some(some) = waiting.pop() {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            match self.found_users(field, &some).await {
                Ok(users) => found.extend(users),
                Err(failure) if failure.is_of_site() || failure.remedy == Remedy::Retry => {
                    return Err(failure.into());
                }
                Err(_) if some.len() == 1 => refused.push(some[0].wanted.id_number.clone()),
                Err(_) => waiting.extend(some.chunks(some.len().div_ceil(2)).map(<[_]>::to_vec)),
            }
        }
        Ok((found, refused))
    }

    /// Moodle does not say why it refuses a user: who has the address or the name already is looked up before.
    async fn without_taken(
        &self,
        accounts: Vec<Account>,
        refused: &mut Vec<Looked>,
    ) -> Result<Vec<Account>, Halt> {
        let mut free = Vec::new();
        for some in accounts.chunks(LOOKED_UP_AT_ONCE_MAX) {
            let (by_email, mut unfindable) = self.looked_up(UserField::Email, some).await?;
            let (by_name, unfindable_too) = self.looked_up(UserField::Username, some).await?;
            unfindable.extend(unfindable_too);
            for account in some {
                let wanted = &account.wanted;
                let email_taken = by_email
                    .iter()
                    .any(|user| user.email.to_lowercase() == wanted.email.to_lowercase());
                let name_taken = by_name.iter().any(|user| user.username == wanted.username);
                let code = match (email_taken, name_taken) {
                    (true, _) => "EMAIL_TAKEN",
                    (_, true) => "USERNAME_TAKEN",
                    _ if unfindable.contains(&wanted.id_number) => "USER_REFUSED",
                    _ => {
                        free.push(account.clone());
                        continue;
                    }
                };
                refused.push(account.clone().looked(Outcome::Stuck(Trouble::new(code))));
            }
        }
        Ok(free)
    }

    async fn create_users(&mut self, accounts: Vec<Account>) -> Result<usize, Halt> {
        let (client, session, auth) = (&self.client, &*self, self.settings.auth.as_str());
        let created = bisected(
            accounts,
            CREATED_AT_ONCE_MAX,
            || session.may_send(),
            async |accounts: &[Account]| {
                let new: Vec<NewUser> = accounts.iter().map(|one| one.new_user(auth)).collect();
                let created = client.create_users(&new).await?;
                Ok(created.into_iter().map(|one| one.id).collect())
            },
            async |accounts: &[Account]| {
                let found = session.found_users(UserField::IdNumber, accounts).await?;
                let id_of = |account: &Account| {
                    let ours = |user: &&User| user.idnumber == account.wanted.id_number;
                    found.iter().find(ours).map(|user| user.id)
                };
                Ok(accounts.iter().map(id_of).collect())
            },
        )
        .await;
        let (mut made, mut outcomes) = (Vec::new(), Vec::new());
        for (account, result) in created.tried {
            match result {
                Ok(id) => made.push(Account { id: Some(id), ..account }),
                Err(failure) => outcomes.push(account.looked(refused_user(&failure))),
            }
        }
        for account in made.iter().filter(|account| account.was_gone()) {
            self.mark_registrations_of(account).await?;
        }
        let looked = self.record(&outcomes).await? + self.in_cohorts(made).await?;
        go_on(&created.left, created.halted)?;
        Ok(looked)
    }

    /// An account that was made anew is enrolled nowhere.
    async fn mark_registrations_of(&self, account: &Account) -> Result<(), Halt> {
        let person = &account.work.value.entity;
        let entity = |section: &String| format!("{section}/{person}");
        let ids: Vec<_> = account
            .sections
            .iter()
            .map(|section| self.id(Kind::Enrolment, &entity(section)))
            .collect();
        self.mark(&ids).await
    }

    async fn change_users(&mut self, accounts: Vec<Account>) -> Result<usize, Halt> {
        let session = &*self;
        let result = bisected(
            accounts,
            CHANGED_AT_ONCE_MAX,
            || session.may_send(),
            async |accounts: &[Account]| {
                let changes: Vec<UserChange> = accounts.iter().map(Account::change).collect();
                let told = session.client.update_users(&changes).await?;
                Ok(changes.iter().map(|change| told.of(change.id)).collect())
            },
            async |accounts: &[Account]| session.is_there(accounts).await,
        )
        .await;
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for (account, result) in result.tried {
            match result {
                Ok(None) => changed.push(account),
                Ok(Some(warning)) => failed.push(account.looked(warned_of(&warning))),
                Err(failure) => failed.push(account.looked(refused_user(&failure))),
            }
        }
        let looked = self.record(&failed).await? + self.in_cohorts(changed).await?;
        go_on(&result.left, result.halted)?;
        Ok(looked)
    }

    pub(super) fn sent_user(&self, account: &Account) -> Outcome {
        let work = self.id(Kind::User, &account.work.value.entity);
        let wanted = &account.wanted;
        let id = account.id.unwrap_or_default();
        let mapping = Mapping::new(&work, id, fingerprint(wanted), self.now());
        let mut cohorts = wanted.cohorts.clone();
        if let Some(known) = account.mapping.as_ref().filter(|_| wanted.is_suspended) {
            cohorts.extend(known.value.cohorts.iter().cloned());
        }
        Outcome::Sent(Mapping { cohorts, is_suspended: wanted.is_suspended, ..mapping })
    }
}

/// What a change did not do to one account.
fn warned_of(code: &str) -> Outcome {
    let trouble =
        |known: &str| Trouble { moodle_code: Some(code.to_owned()), ..Trouble::new(known) };
    match code {
        // It was deleted there.
        "invaliduserid" | "usernotupdateddeleted" => Outcome::Gone,
        "useremailduplicate" => Outcome::Stuck(trouble("EMAIL_TAKEN")),
        "dmlwriteexception" => Outcome::PutOff(trouble("MOODLE_BUSY")),
        _ => Outcome::Stuck(trouble("USER_REFUSED")),
    }
}

fn refused_user(failure: &CallFailure) -> Outcome {
    let trouble =
        |code: &str| Trouble { code: code.to_owned(), moodle_code: Some(failure.code.clone()) };
    if failure.remedy == Remedy::Retry || failure.maybe_done {
        Outcome::PutOff(trouble("MOODLE_BUSY"))
    } else {
        Outcome::Stuck(trouble("USER_REFUSED"))
    }
}
