//! Writes of people, with everything by which they are found: claims, lists, likenesses, and the schedule of names.

use std::collections::BTreeSet;

use events::{PersonChanged, PersonRegistered};
use kernel::{AccountId, PersonId};
use shell::{Call, Failure};
use table::{Deed, Key, PageRequest, Partition, Record, Stored, Table, Trail, Transaction};

use crate::domain::{
    Alike, Claim, Entry, Identifier, List, NameBeginning, Person, Roles, entries, likenesses,
};
use crate::store::{self, Cause, ReadRoles};
use crate::{Ctx, audit};

impl Record for Entry {
    const KIND: &'static str = "entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(list_pk(&self.list), format!("{}#{}", self.text, self.person))
    }
}

impl Record for Alike {
    const KIND: &'static str = "alike";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        alike_key(&self.likeness)
    }

    /// Listed where there are two or more.
    fn index_key(&self) -> Option<(String, String)> {
        (self.people.len() > 1).then(|| (DUPLICATES_PK.to_owned(), self.likeness.clone()))
    }
}

impl Record for NameBeginning {
    const KIND: &'static str = "name-beginning";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(BEGINNINGS_PK, format!("{}#{}", self.begins_on, self.person))
    }
}

const DUPLICATES_PK: &str = "DUPLICATES";
const BEGINNINGS_PK: &str = "NAME-BEGINNINGS";

fn list_pk(list: &List) -> String {
    match list {
        List::Names(first) => format!("NAMES#{first}"),
        List::Role(role) => format!("HOLDERS#{role}"),
    }
}

pub fn alike_key(likeness: &str) -> Key<Alike> {
    Key::new(format!("ALIKE#{likeness}"), "ALIKE")
}

/// Those in a list whose text begins so, in the order of their texts.
pub fn listed(list: &List, beginning: &str) -> Partition<Entry> {
    Partition::new(list_pk(list), beginning)
}

/// Everything that more than one person has.
pub fn duplicates() -> Partition<Alike> {
    Partition::in_index(DUPLICATES_PK, "")
}

/// Names that are still to be told of, the earliest first.
pub fn name_beginnings() -> Partition<NameBeginning> {
    Partition::new(BEGINNINGS_PK, "")
}

/// What a write of a person is decided on.
pub struct Before<'a> {
    /// Absent where they are new.
    pub person: Option<&'a Stored<Person>>,
    pub roles: &'a ReadRoles,
    /// Where the write is noted.
    pub trail: Trail,
    /// The claim that the caller writes.
    pub claimed_by_caller: Option<&'a Identifier>,
    /// The account by which the caller invites them.
    pub invitation: Option<AccountId>,
}

impl<'a> Before<'a> {
    /// Of somebody whose claims the caller leaves alone.
    pub fn of(person: Option<&'a Stored<Person>>, roles: &'a ReadRoles, trail: Trail) -> Self {
        Self { person, roles, trail, claimed_by_caller: None, invitation: None }
    }
}

/// A write of a person with its event and its entry in the audit trail, brought up to date; roles that change are the
/// caller's to write. Nobody is told of somebody without an e-mail address: there is no way to reach them. Answers the
/// person as written.
pub async fn write(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    before: Before<'_>,
    mut person: Person,
    roles: &Roles,
    deed: &Deed<'_>,
) -> Result<Stored<Person>, Failure> {
    let cause = Cause { now: deed.at, correlation_id: deed.correlation_id };
    person.bring_up_to_date(ctx.today(cause.now));
    let standing = before.person.map(|stored| &stored.value);
    let (known_roles, roles_version) = before.roles;
    write_entries(transaction, standing.map(|known| (known, known_roles)), (&person, roles));
    if known_roles == roles {
        // What lists they stand in follows from both.
        transaction.check(&store::roles_key(person.id), *roles_version);
    }
    write_beginning(transaction, standing, &person);
    write_claims_and_likenesses(ctx, transaction, &before, &person).await?;
    let read_version = before.person.map(|stored| stored.version);
    transaction.put(&person, read_version);
    let is_known = |id| known_roles.assignments.iter().any(|known| known.id == id);
    let new_roles = roles.assignments.iter().filter(|one| !is_known(one.id));
    let noted = audit::with_roles(audit::profile(standing, &person), new_roles).field(
        "invitation",
        None,
        before.invitation,
    );
    before.trail.append(transaction, deed, noted);
    let stored = Stored { version: read_version.unwrap_or_default() + 1, value: person };
    tell(transaction, standing, &stored, cause);
    Ok(stored)
}

fn tell(
    transaction: &mut Transaction<'_>,
    before: Option<&Person>,
    stored: &Stored<Person>,
    cause: Cause<'_>,
) {
    let told = |person: &Person| {
        let email = person.email.as_ref().map(|email| email.as_str().to_owned());
        (person.told_name().clone(), email, person.locale)
    };
    let Stored { value: person, version } = stored;
    let Some(email) = person.email.clone() else { return };
    let (name, person_id, locale) = (person.told_name().clone(), person.id, person.locale);
    let Some(before) = before else {
        let event = PersonRegistered { person: person_id, name, email, locale };
        transaction.event(event, *version, cause.now, cause.correlation_id);
        return;
    };
    if told(before) != told(person) {
        let profile_version = *version;
        let event = PersonChanged { person: person_id, name, email, locale, profile_version };
        transaction.event(event, *version, cause.now, cause.correlation_id);
    }
}

/// The lists that somebody stands in after a change of theirs or of their roles.
pub fn write_entries(
    transaction: &mut Transaction<'_>,
    before: Option<(&Person, &Roles)>,
    (person, roles): (&Person, &Roles),
) {
    let standing = before.filter(|(known, _)| known.is_listed);
    let standing = standing.map(|(known, roles)| entries(known, roles)).unwrap_or_default();
    let wanted = entries(person, roles);
    for entry in standing.difference(&wanted) {
        // An entry never changes, so that it has its first version.
        transaction.delete(&Stored { value: entry.clone(), version: 1 });
    }
    for entry in wanted.difference(&standing) {
        transaction.overwrite(entry);
    }
}

fn write_beginning(transaction: &mut Transaction<'_>, before: Option<&Person>, person: &Person) {
    let standing = before.and_then(|before| before.next_name_on);
    if standing == person.next_name_on {
        return;
    }
    let of = |begins_on| NameBeginning { begins_on, person: person.id };
    if let Some(begins_on) = standing {
        transaction.delete(&Stored { value: of(begins_on), version: 1 });
    }
    if let Some(begins_on) = person.next_name_on {
        transaction.overwrite(&of(begins_on));
    }
}

/// Claims what is new and gives up what is no more, and so with the ways in which somebody may look like them.
async fn write_claims_and_likenesses(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    before: &Before<'_>,
    person: &Person,
) -> Result<(), Failure> {
    let standing = before.person.map(|stored| &stored.value);
    let (held, wanted) = (standing.map(Person::claimed).unwrap_or_default(), person.identifiers());
    let mut changed: Vec<Identifier> =
        held.iter().filter(|one| !wanted.contains(one)).cloned().collect();
    changed.extend(wanted.iter().filter(|one| !held.contains(one)).cloned());
    changed.retain(|one| before.claimed_by_caller != Some(one));
    let known = standing.filter(|known| known.is_listed);
    let (alike, now_alike) = (known.map(likenesses).unwrap_or_default(), likenesses(person));
    let likenesses: BTreeSet<&String> = alike.symmetric_difference(&now_alike).collect();
    let mut keys: Vec<_> = changed.iter().map(|one| (&store::claim_key(one)).into()).collect();
    keys.extend(likenesses.iter().map(|likeness| (&alike_key(likeness)).into()));
    if keys.is_empty() {
        return Ok(());
    }
    let mut batch = ctx.table.get_batch(keys).await?;
    for identifier in changed {
        let claim = batch.take(&store::claim_key(&identifier))?;
        if wanted.contains(&identifier) {
            let read_version = claim.as_ref().map(|claim| claim.version);
            let mut claim = claim.map_or_else(|| Claim::of_nobody(identifier), |claim| claim.value);
            claim.give_to(person.id, person.account)?;
            transaction.put(&claim, read_version);
        } else {
            give_up(transaction, claim, person.id);
        }
    }
    for likeness in likenesses {
        let standing = batch.take(&alike_key(likeness))?;
        write_likeness(transaction, standing, likeness, (person.id, now_alike.contains(likeness)));
    }
    Ok(())
}

/// What the person no longer has is free again.
fn give_up(transaction: &mut Transaction<'_>, claim: Option<Stored<Claim>>, person: PersonId) {
    let Some(mut claim) = claim.filter(|claim| claim.value.person == Some(person)) else { return };
    if claim.value.pending.is_some() {
        claim.value.give_up();
        transaction.update(&claim);
    } else {
        transaction.delete(&claim);
    }
}

fn write_likeness(
    transaction: &mut Transaction<'_>,
    standing: Option<Stored<Alike>>,
    likeness: &str,
    (person, is_alike): (PersonId, bool),
) {
    let read_version = standing.as_ref().map(|standing| standing.version);
    let nobody = || Alike::nobody(likeness.to_owned());
    let before = standing.map_or_else(nobody, |standing| standing.value);
    let mut alike = before.clone();
    if is_alike {
        alike.join(person);
    } else {
        alike.people.remove(&person);
    }
    match read_version {
        _ if alike == before => {}
        Some(version) if alike.people.is_empty() => {
            transaction.delete(&Stored { value: before, version });
        }
        _ => {
            transaction.put(&alike, read_version);
        }
    }
}

/// A person with their roles.
pub struct Known {
    pub person: Stored<Person>,
    pub roles: Roles,
}

/// Those of the people whom there are, with their roles, in the same order.
pub async fn known(table: &Table, people: &[PersonId]) -> Result<Vec<Known>, Failure> {
    /// Two keys each, of the hundred that a batch has.
    const AT_ONCE_MAX: usize = 50;
    let mut found = Vec::new();
    for people in people.chunks(AT_ONCE_MAX) {
        let keys = people.iter().flat_map(|person| {
            [(&store::person_key(*person)).into(), (&store::roles_key(*person)).into()]
        });
        let mut batch = table.get_batch(keys.collect()).await?;
        for id in people {
            let Some(person) = batch.take(&store::person_key(*id))? else { continue };
            let roles = batch.take(&store::roles_key(*id))?;
            let roles = roles.map_or_else(|| Roles::none_of(*id), |roles| roles.value);
            found.push(Known { person, roles });
        }
    }
    Ok(found)
}

/// People found in a list, page by page.
pub struct Search<'a> {
    pub list: &'a List,
    pub beginning: &'a str,
    pub page: &'a PageRequest,
}

/// Goes through a list until the page is full. A person stands in it once, under the first of the texts that they are
/// found by; an entry that is out of date is none.
pub async fn search<T>(
    table: &Table,
    Search { list, beginning, page }: Search<'_>,
    texts: impl Fn(&Known) -> BTreeSet<Entry>,
    show: impl Fn(&Known) -> Option<T>,
) -> Result<shell::Listing<T>, Failure> {
    /// Where few of a list are shown, a page may hold less than was asked for, and the next one goes on.
    const ROUNDS_MAX: u32 = 5;
    /// People whom one call reads with their roles.
    const AT_ONCE_MAX: u32 = 50;
    let partition = listed(list, beginning);
    let wanted = if page.limit == 0 { AT_ONCE_MAX } else { page.limit };
    let (mut items, mut after) = (Vec::new(), page.after.clone());
    for _ in 0..ROUNDS_MAX {
        let missing = wanted - u32::try_from(items.len()).unwrap_or(wanted);
        let limit = missing.min(AT_ONCE_MAX);
        let found = table.query(&partition, &PageRequest { after, limit }).await?;
        let entries: Vec<Entry> = found.records.into_iter().map(|entry| entry.value).collect();
        let mut ids: Vec<PersonId> = entries.iter().map(|entry| entry.person).collect();
        ids.sort();
        ids.dedup();
        let people = known(table, &ids).await?;
        for entry in entries {
            let id = entry.person;
            let Some(person) = people.iter().find(|known| known.person.value.id == id) else {
                continue;
            };
            let texts = texts(person);
            let mut found_by =
                texts.iter().filter(|text| text.list == *list && text.text.starts_with(beginning));
            if found_by.next() == Some(&entry) {
                items.extend(show(person));
            }
        }
        after = found.next;
        if after.is_none() || items.len() >= usize::try_from(wanted).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(shell::Listing { items, next_cursor: after })
}

/// Notes whom a page is about to show to the caller: one entry in the caller's own chain, however many they are.
pub async fn note_listed<C>(
    ctx: &Ctx,
    call: &Call<C>,
    operation: &str,
    listed: &BTreeSet<PersonId>,
) -> Result<(), Failure> {
    if listed.is_empty() {
        return Ok(());
    }
    let trail = ctx.table.trail(call.person()).await?;
    shell::note_read(&ctx.table, call, trail, operation, audit::listed_people(listed)).await
}

/// Whom an identifier leads to.
pub async fn holder(table: &Table, identifier: Identifier) -> Result<Option<PersonId>, Failure> {
    Ok(store::claim(table, identifier).await?.0.person)
}

/// The lists in which somebody stands by their roles, where these change and the person does not.
pub fn write_role_entries(
    transaction: &mut Transaction<'_>,
    person: &Stored<Person>,
    before: &Roles,
    roles: &Roles,
) {
    let Stored { value: person, version } = person;
    transaction.check(&store::person_key(person.id), Some(*version));
    write_entries(transaction, Some((person, before)), (person, roles));
}
