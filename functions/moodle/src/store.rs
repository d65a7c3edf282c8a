//! The moodle context's items: how they lie in the table, what is read together, and how work is marked and recorded.

use events::WorkMarked;
use kernel::{PersonId, RegistrationGroupId, SectionId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::Failure;
use table::{
    Batch, CommitFailure, Key, PageRequest, Partition, ReadFailure, Record, Stored, Table,
    Transaction,
};

use crate::domain::{
    Charges, Closure, CourseResult, DriftCheck, DriftReport, Finding, Health, HeldRoles, Holds,
    Kind, Lease, LinkedSections, Links, Mapping, Profile, Refusal, Registrations, Replay, Section,
    Site, SiteCode, Trouble, WebhookMinute, Work, WorkId,
};

impl Record for Site {
    const KIND: &'static str = "site";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        site_key(&self.code)
    }
}

impl Record for Health {
    const KIND: &'static str = "health";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        health_key(&self.site)
    }
}

impl Record for Lease {
    const KIND: &'static str = "lease";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        lease_key(&self.site)
    }
}

impl Record for Replay {
    const KIND: &'static str = "replay";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        replay_key(&self.site)
    }
}

impl Record for DriftCheck {
    const KIND: &'static str = "drift-check";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        drift_check_key(&self.site)
    }
}

impl Record for DriftReport {
    const KIND: &'static str = "drift-report";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        drift_report_key(&self.site)
    }
}

impl Record for Finding {
    const KIND: &'static str = "finding";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        let sk = format!("{}#{}#{}", self.difference.name(), self.kind.name(), self.entity);
        Key::new(findings_of(&self.site, self.check), sk)
    }

    /// Nobody looks at the findings of a check that old.
    fn collectable_at(&self) -> Option<Timestamp> {
        self.check.checked_add(jiff::SignedDuration::from_hours(30 * 24)).ok()
    }
}

impl Record for Work {
    const KIND: &'static str = "work";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        work_key(&self.id())
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(if self.is_stuck {
            (format!("STUCK#{}", self.site), format!("{}#{}", self.kind.name(), self.entity))
        } else {
            let sk = format!("{:.3}#{}", self.due_at, self.entity);
            (format!("DUE#{}#{}", self.site, self.kind.name()), sk)
        })
    }
}

impl Record for Mapping {
    const KIND: &'static str = "mapping";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        mapping_key(&self.site, self.kind, &self.entity)
    }
}

/// The way back from a Moodle id: one thing there stands for one thing here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MoodleId {
    pub site: SiteCode,
    pub kind: Kind,
    pub id: i64,
    pub entity: String,
}

impl Record for MoodleId {
    const KIND: &'static str = "moodle-id";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        moodle_id_key(&self.site, self.kind, self.id)
    }
}

impl Record for Profile {
    const KIND: &'static str = "profile";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        profile_key(self.person)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("PEOPLE".to_owned(), self.person.to_string()))
    }
}

impl Record for HeldRoles {
    const KIND: &'static str = "held-roles";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        held_roles_key(self.person)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let at = self.next_change()?;
        Some(("ROLES".to_owned(), format!("{at:.3}#{}", self.person)))
    }
}

impl Record for Registrations {
    const KIND: &'static str = "registrations";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        registrations_key(self.section, self.student)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("SECTION#{}", self.section), self.student.to_string()))
    }
}

impl Record for Charges {
    const KIND: &'static str = "charges";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        charges_key(self.student)
    }
}

impl Record for Holds {
    const KIND: &'static str = "holds";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        holds_key(self.student)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let ends_at = self.next_end()?;
        Some(("HOLDS".to_owned(), format!("{ends_at:.3}#{}", self.student)))
    }
}

impl Record for CourseResult {
    const KIND: &'static str = "result";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        result_key(self.section, &self.site, self.student)
    }
}

impl Record for WebhookMinute {
    const KIND: &'static str = "webhook-minute";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        webhook_minute_key(&self.site)
    }
}

impl Record for LinkedSections {
    const KIND: &'static str = "linked-sections";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        linked_sections_key(self.group)
    }
}

impl Record for Closure {
    const KIND: &'static str = "closure";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        closure_key(self.section)
    }
}

impl Record for Links {
    const KIND: &'static str = "links";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        links_key(self.section)
    }
}

impl Record for Section {
    const KIND: &'static str = "section";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        section_key(self.section)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("SECTIONS".to_owned(), self.section.to_string()))
    }
}

pub fn site_key(code: &SiteCode) -> Key<Site> {
    Key::new("SITES", code.0.clone())
}

pub fn health_key(site: &SiteCode) -> Key<Health> {
    Key::new(format!("SITE#{site}"), "HEALTH")
}

pub fn lease_key(site: &SiteCode) -> Key<Lease> {
    Key::new(format!("SITE#{site}"), "LEASE")
}

pub fn replay_key(site: &SiteCode) -> Key<Replay> {
    Key::new(format!("SITE#{site}"), "REPLAY")
}

pub fn drift_check_key(site: &SiteCode) -> Key<DriftCheck> {
    Key::new(format!("SITE#{site}"), "DRIFT-CHECK")
}

pub fn drift_report_key(site: &SiteCode) -> Key<DriftReport> {
    Key::new(format!("SITE#{site}"), "DRIFT-REPORT")
}

fn findings_of(site: &SiteCode, check: Timestamp) -> String {
    format!("DRIFT#{site}#{}", check.as_millisecond())
}

pub fn work_key(id: &WorkId) -> Key<Work> {
    Key::new(format!("WORK#{}#{}", id.site, id.kind.name()), id.entity.clone())
}

pub fn mapping_key(site: &SiteCode, kind: Kind, entity: &str) -> Key<Mapping> {
    Key::new(format!("MAPPING#{site}#{}#{entity}", kind.name()), "MAPPING")
}

fn moodle_id_key(site: &SiteCode, kind: Kind, id: i64) -> Key<MoodleId> {
    Key::new(format!("MOODLE#{site}#{}#{id}", kind.name()), "MOODLE")
}

pub fn person_collection(person: PersonId) -> String {
    format!("PERSON#{person}")
}

pub fn profile_key(person: PersonId) -> Key<Profile> {
    Key::new(person_collection(person), "PROFILE")
}

pub fn held_roles_key(person: PersonId) -> Key<HeldRoles> {
    Key::new(person_collection(person), "ROLES")
}

pub fn charges_key(person: PersonId) -> Key<Charges> {
    Key::new(person_collection(person), "CHARGES")
}

pub fn holds_key(person: PersonId) -> Key<Holds> {
    Key::new(person_collection(person), "HOLDS")
}

/// Students with a hold that ends by itself, the next to end first.
pub fn ending_holds() -> Partition<Holds> {
    Partition::in_index("HOLDS", "")
}

/// People with a role that begins or ends by itself, the next to do so first.
pub fn changing_roles() -> Partition<HeldRoles> {
    Partition::in_index("ROLES", "")
}

/// Sort keys of what a person is registered for begin with it.
pub const REGISTRATIONS: &str = "REGISTRATIONS#";

pub fn registrations_key(section: SectionId, student: PersonId) -> Key<Registrations> {
    Key::new(person_collection(student), format!("{REGISTRATIONS}{section}"))
}

/// Beside the section itself, which may come later.
pub fn closure_key(section: SectionId) -> Key<Closure> {
    Key::new(format!("SECTION#{section}"), "CLOSURE")
}

pub fn section_key(section: SectionId) -> Key<Section> {
    Key::new(format!("SECTION#{section}"), "SECTION")
}

pub fn linked_sections_key(group: RegistrationGroupId) -> Key<LinkedSections> {
    Key::new(format!("LINKED-SECTIONS#{group}"), "LINKED-SECTIONS")
}

/// Beside the section itself.
pub fn links_key(section: SectionId) -> Key<Links> {
    Key::new(format!("SECTION#{section}"), "LINKS")
}

pub fn sites() -> Partition<Site> {
    Partition::new("SITES", "")
}

/// What waits of one kind, in the order in which it is due.
pub fn due(site: &SiteCode, kind: Kind) -> Partition<Work> {
    Partition::in_index(format!("DUE#{site}#{}", kind.name()), "")
}

/// What waits for a change, or for somebody.
pub fn stuck(site: &SiteCode) -> Partition<Work> {
    Partition::in_index(format!("STUCK#{site}"), "")
}

pub fn result_key(section: SectionId, site: &SiteCode, student: PersonId) -> Key<CourseResult> {
    Key::new(format!("RESULTS#{section}"), format!("{site}#{student}"))
}

/// What was read of a section, site by site.
pub fn results(section: SectionId) -> Partition<CourseResult> {
    Partition::new(format!("RESULTS#{section}"), "")
}

pub fn webhook_minute_key(site: &SiteCode) -> Key<WebhookMinute> {
    Key::new(format!("SITE#{site}"), "WEBHOOK-MINUTE")
}

/// What a check found, by how it differs.
pub fn findings(site: &SiteCode, check: Timestamp) -> Partition<Finding> {
    Partition::new(findings_of(site, check), "")
}

pub fn people() -> Partition<Profile> {
    Partition::in_index("PEOPLE", "")
}

pub fn sections() -> Partition<Section> {
    Partition::in_index("SECTIONS", "")
}

pub fn students_of(section: &str) -> Partition<Registrations> {
    Partition::in_index(format!("SECTION#{section}"), "")
}

/// Every site: there are a handful.
pub async fn all_sites(table: &Table) -> Result<Vec<Stored<Site>>, Failure> {
    Ok(table.query(&sites(), &PageRequest { after: None, limit: 100 }).await?.records)
}

pub async fn site(table: &Table, code: &SiteCode) -> Result<Stored<Site>, Failure> {
    Ok(table.get(&site_key(code)).await?.ok_or(Refusal::SiteUnknown)?)
}

pub async fn health(table: &Table, site: &SiteCode) -> Result<(Health, Option<u64>), Failure> {
    Ok(match table.get(&health_key(site)).await? {
        Some(known) => (known.value, Some(known.version)),
        None => (Health::unknown(site.clone()), None),
    })
}

/// Whether somebody asked for something at a site that is not done: a replay, a check, a repair.
pub async fn is_anything_asked(table: &Table, site: &SiteCode) -> Result<bool, Failure> {
    let (replay, check) = (replay_key(site), drift_check_key(site));
    let report = drift_report_key(site);
    let keys = vec![(&replay).into(), (&check).into(), (&report).into()];
    let mut known = table.get_batch(keys).await?;
    let is_checked = known.take(&check)?.is_some_and(|check| check.value.is_under_way());
    let repair = known.take(&report)?.and_then(|report| report.value.repair);
    let is_repaired = repair.is_some_and(|repair| !repair.is_finished);
    Ok(known.take(&replay)?.is_some() || is_checked || is_repaired)
}

/// Records of any kind, however many.
pub async fn batch(table: &Table, keys: Vec<(String, String)>) -> Result<Vec<Batch>, Failure> {
    const KEYS_MAX: usize = 100;
    let mut batches = Vec::new();
    for keys in keys.chunks(KEYS_MAX) {
        batches.push(table.get_batch(keys.to_vec()).await?);
    }
    Ok(batches)
}

pub fn take<R: Record>(batches: &mut [Batch], key: &Key<R>) -> Result<Option<Stored<R>>, Failure> {
    for batch in batches {
        if let Some(found) = batch.take(key)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What of ours something in Moodle stands for.
pub async fn entity_behind(
    table: &Table,
    site: &SiteCode,
    kind: Kind,
    id: i64,
) -> Result<Option<String>, Failure> {
    let known = table.get(&moodle_id_key(site, kind, id)).await?;
    Ok(known.map(|known| known.value.entity))
}

/// What set an event off, for what is written because of it.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// Marks entities of sites to be looked at, and wakes whoever looks. Marked again, an entity is written again: whoever
/// is at it must not take it for done.
pub async fn mark(
    table: &Table,
    transaction: &mut Transaction<'_>,
    ids: &[WorkId],
    cause: Cause<'_>,
) -> Result<(), Failure> {
    mark_as(table, transaction, ids, cause, |work| work).await
}

/// As [`mark`]; what stands there is looked at, since somebody may have changed it.
pub async fn mark_to_look(
    table: &Table,
    transaction: &mut Transaction<'_>,
    ids: &[WorkId],
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let looking = |work| Work { looks_there: true, ..work };
    mark_as(table, transaction, ids, cause, looking).await
}

/// As [`mark`]; with `sends_anyway` even what does not differ from what was sent last is sent.
pub async fn mark_to_send(
    table: &Table,
    transaction: &mut Transaction<'_>,
    ids: &[WorkId],
    sends_anyway: bool,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let sending = |work: Work| Work { sends_anyway: work.sends_anyway || sends_anyway, ..work };
    mark_as(table, transaction, ids, cause, sending).await
}

async fn mark_as(
    table: &Table,
    transaction: &mut Transaction<'_>,
    ids: &[WorkId],
    cause: Cause<'_>,
    how: impl Fn(Work) -> Work,
) -> Result<(), Failure> {
    let mut standing = batch(table, ids.iter().map(|id| (&work_key(id)).into()).collect()).await?;
    for id in ids {
        let before = take(&mut standing, &work_key(id))?;
        let read_version = before.as_ref().map(|before| before.version);
        let before = before.as_ref().map(|before| &before.value);
        let work = how(Work::marked(id, before, cause.now, cause.correlation_id));
        transaction.put(&work, read_version);
        let event = WorkMarked {
            site: id.site.0.clone(),
            kind: id.kind.name().to_owned(),
            entity: id.entity.clone(),
        };
        let version = read_version.unwrap_or_default() + 1;
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
    Ok(())
}

/// Wakes whoever looks at a site as a whole. Wake-ups of one `occasion` are one.
pub async fn wake(
    table: &Table,
    site: &SiteCode,
    cause: Cause<'_>,
    occasion: &str,
) -> Result<(), Failure> {
    let mut transaction = table.transaction();
    wake_in(&mut transaction, site, cause, occasion);
    Ok(transaction.commit().await?)
}

/// As [`wake`], together with what it is about.
pub fn wake_in(
    transaction: &mut Transaction<'_>,
    site: &SiteCode,
    cause: Cause<'_>,
    occasion: &str,
) {
    let (kind, entity) = ("site".to_owned(), occasion.to_owned());
    let event = WorkMarked { site: site.0.clone(), kind, entity };
    let version = u64::try_from(cause.now.as_millisecond()).unwrap_or_default();
    transaction.event(event, version, cause.now, cause.correlation_id);
}

/// What came of looking at an entity.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing differs.
    InStep,
    /// It was sent, or found there: this stands there now.
    Sent(Mapping),
    /// What stood there is gone: it is made anew, and forgotten first.
    Gone,
    /// Later again; in the end it is stuck.
    PutOff(Trouble),
    /// Later again, for as long as something else is not there.
    Waits(Trouble),
    /// Not before something changes.
    Stuck(Trouble),
    /// The site or the time ended before its turn: it stays as due as it was.
    Untried,
}

/// An entity that was looked at, as it was read.
#[derive(Debug, Clone)]
pub struct Looked {
    pub work: Stored<Work>,
    pub mapping: Option<Stored<Mapping>>,
    pub outcome: Outcome,
}

/// Three items each, and the lease.
const RECORDED_AT_ONCE_MAX: usize = 30;

/// Records what came of looking at entities, as long as the lease is still ours.
pub async fn record(
    table: &Table,
    lease: &Stored<Lease>,
    looked: &[Looked],
    now: Timestamp,
) -> Result<(), Failure> {
    for some in looked.chunks(RECORDED_AT_ONCE_MAX) {
        match commit(table, lease, some, now, true).await? {
            Ok(()) => {}
            // One of them was marked again meanwhile: each by itself then.
            Err(CommitFailure::ConditionFailed(_)) => {
                for one in some {
                    record_one(table, lease, one, now).await?;
                }
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

async fn record_one(
    table: &Table,
    lease: &Stored<Lease>,
    one: &Looked,
    now: Timestamp,
) -> Result<(), Failure> {
    let one_alone = std::slice::from_ref(one);
    match commit(table, lease, one_alone, now, true).await? {
        Err(CommitFailure::ConditionFailed(_)) => {}
        other => return Ok(other?),
    }
    let key = lease_key(&lease.value.site);
    if table.get(&key).await?.map(|known| known.version) != Some(lease.version) {
        return Err(Failure::Conflict { with_twin: false });
    }
    let work = table.get(&work_key(&one.work.value.id())).await?;
    if work.map(|work| work.version) != Some(one.work.version) {
        // It stays marked, and what was sent is remembered all the same.
        return Ok(commit(table, lease, one_alone, now, false).await??);
    }
    let twice = Looked { outcome: Outcome::Stuck(Trouble::new("MAPPED_TWICE")), ..one.clone() };
    Ok(commit(table, lease, std::slice::from_ref(&twice), now, true).await??)
}

/// Deletes a mapping and the way back from its id.
pub async fn forget(
    table: &Table,
    transaction: &mut Transaction<'_>,
    mapping: &Stored<Mapping>,
) -> Result<(), ReadFailure> {
    transaction.delete(mapping);
    let Mapping { site, kind, moodle_id, .. } = &mapping.value;
    if let Some(way_back) = table.get(&moodle_id_key(site, *kind, *moodle_id)).await? {
        transaction.delete(&way_back);
    }
    Ok(())
}

async fn commit(
    table: &Table,
    lease: &Stored<Lease>,
    looked: &[Looked],
    now: Timestamp,
    with_work: bool,
) -> Result<Result<(), CommitFailure>, ReadFailure> {
    let mut transaction = table.transaction();
    transaction.check(&lease_key(&lease.value.site), Some(lease.version));
    for Looked { work, mapping, outcome } in looked {
        match outcome {
            Outcome::Sent(new) => {
                transaction.put(new, mapping.as_ref().map(|mapping| mapping.version));
                if mapping.is_none() && new.moodle_id != 0 {
                    transaction.create(&MoodleId {
                        site: new.site.clone(),
                        kind: new.kind,
                        id: new.moodle_id,
                        entity: new.entity.clone(),
                    });
                }
            }
            Outcome::Gone => {
                if let Some(mapping) = mapping {
                    forget(table, &mut transaction, mapping).await?;
                }
            }
            Outcome::InStep
            | Outcome::PutOff(_)
            | Outcome::Waits(_)
            | Outcome::Stuck(_)
            | Outcome::Untried => {}
        }
        if with_work {
            write_work(&mut transaction, work, outcome, now);
        }
    }
    Ok(transaction.commit().await)
}

fn write_work(
    transaction: &mut Transaction<'_>,
    work: &Stored<Work>,
    outcome: &Outcome,
    now: Timestamp,
) {
    let changed = match outcome {
        Outcome::InStep | Outcome::Sent(_) => {
            transaction.delete(work);
            return;
        }
        Outcome::Gone => {
            let again = work.value.put_off(Trouble::new("GONE_THERE"), now);
            Work { due_at: now, ..again }
        }
        Outcome::PutOff(trouble) => work.value.put_off(trouble.clone(), now),
        Outcome::Waits(trouble) => work.value.waiting(trouble.clone(), now),
        Outcome::Stuck(trouble) => work.value.stuck(trouble.clone()),
        Outcome::Untried => work.value.clone(),
    };
    transaction.put(&changed, Some(work.version));
}
