//! Brings a site into step: takes what is marked, compares what should stand there with what was last sent, and sends
//! the difference. One run at a time works at a site; whatever it did not record is found there by its id number.

mod bisect;
mod cohorts;
mod courses;
mod drift;
mod enrolments;
mod groups;
mod readings;
mod users;

pub use enrolments::entity_of;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use kernel::{SectionId, Timestamp};
use shell::{Failure, Fault, Refuse};
use table::{PageRequest, Stored, deadline};
use tokio::time::Instant;

use crate::Ctx;
use crate::client::{CallFailure, Client, REPLY_TIMEOUT, Remedy};
use crate::domain::{
    GroupRule, Health, Kind, LastError, Lease, Refusal, Registrations, Replay, Site, SiteCode,
    SiteSettings, Trouble, Work, WorkId,
};
use crate::store::{self, Cause, Looked};

/// Read once, and then counted on: a run lasts for minutes.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Timestamp,
    at: Instant,
}

impl Clock {
    pub fn started(now: Timestamp) -> Self {
        Self { began: now, at: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        self.began.checked_add(self.at.elapsed()).unwrap_or(self.began)
    }
}

/// Whether anything of a site waits to be looked at now.
pub async fn is_anything_due(ctx: &Ctx, site: &SiteCode, now: Timestamp) -> Result<bool, Failure> {
    for kind in Kind::MARKED {
        let first = PageRequest { after: None, limit: 1 };
        let page = ctx.table.query(&store::due(site, kind), &first).await?;
        if page.records.iter().any(|work| work.value.due_at <= now) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Since when what a site has not got waits; of much of it, of that which is due first.
pub async fn oldest_mark(ctx: &Ctx, site: &SiteCode) -> Result<Option<Timestamp>, Failure> {
    let first = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let mut oldest = None;
    for kind in Kind::MARKED {
        let page = ctx.table.query(&store::due(site, kind), &first).await?;
        let works = page.records.into_iter().map(|work| work.value);
        let marked = works.filter(|work| !work.waits_for_another()).map(|work| work.marked_at);
        oldest = oldest.into_iter().chain(marked).min();
    }
    Ok(oldest)
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// Entities that were looked at.
    pub looked: usize,
    /// Requests to the site.
    pub requests: u64,
    /// Whether time ran out before the work did.
    pub more: bool,
}

/// Why a run ends early.
pub(crate) enum Halt {
    /// The site failed as a whole.
    Site(CallFailure),
    Ours(Failure),
    OutOfTime,
}

impl From<CallFailure> for Halt {
    fn from(failure: CallFailure) -> Self {
        Self::Site(failure)
    }
}

impl<F: Into<Failure>> From<F> for Halt {
    fn from(failure: F) -> Self {
        Self::Ours(failure.into())
    }
}

/// One run at one site.
pub(crate) struct Session<'a> {
    ctx: &'a Ctx,
    settings: SiteSettings,
    site: SiteCode,
    client: Client,
    lease: Stored<Lease>,
    clock: Clock,
    correlation_id: &'a str,
    /// Ids of categories and cohorts, by kind and id number.
    known_ids: HashMap<(Kind, String), i64>,
    /// Who is in which cohort there, by id number: read when a check first asks, until a run changes it.
    cohort_members: Option<BTreeMap<String, BTreeSet<i64>>>,
}

/// Looks at what is marked in a site, until nothing is due, the site fails, or time runs out. A site that is not to be
/// asked, or that somebody else works at, is left alone.
pub async fn run(
    ctx: &Ctx,
    code: &SiteCode,
    now: Timestamp,
    correlation_id: &str,
) -> Result<Run, Failure> {
    let clock = Clock::started(now);
    let Some(site) = ctx.table.get(&store::site_key(code)).await? else {
        return Ok(Run::default());
    };
    let (health, health_version) = store::health(&ctx.table, code).await?;
    if !site.value.settings.is_active || !health.may_be_asked(now) {
        return Ok(Run::default());
    }
    let Some(lease) = acquire(ctx, code, now, correlation_id).await? else {
        return Ok(Run::default());
    };
    let mut run = Run::default();
    let (after, result) = match client_of(ctx, &site.value).await {
        Ok(client) => {
            let mut session = Session {
                ctx,
                settings: site.value.settings.clone(),
                site: code.clone(),
                client,
                lease,
                clock,
                correlation_id,
                known_ids: HashMap::new(),
                cohort_members: None,
            };
            let result = session.work(&mut run).await;
            run.requests = session.client.requests();
            let settings = &session.settings;
            let after =
                health_after(ctx, &health, settings, result.as_ref().err(), &run, &clock).await;
            release(ctx, &session.lease).await?;
            (after, result)
        }
        Err(refusal) => {
            release(ctx, &lease).await?;
            let (at, code) = (clock.now(), refusal.code_and_status().0.to_owned());
            let error = LastError { at, code, moodle_code: String::new(), function: None };
            (Some(health.failed(error, None)), Ok(()))
        }
    };
    if let Some(after) = after {
        let mut transaction = ctx.table.transaction();
        transaction.put(&after, health_version);
        transaction.commit().await?;
    }
    match result {
        Err(Halt::Ours(failure)) => Err(failure),
        Err(Halt::OutOfTime) => Ok(Run { more: true, ..run }),
        Ok(()) | Err(Halt::Site(_)) => Ok(run),
    }
}

/// The client of a site, with its token.
pub(crate) async fn client_of(ctx: &Ctx, site: &Site) -> Result<Client, Refusal> {
    let Site { code, settings, .. } = site;
    settings.check_place(code, ctx.reachable())?;
    let token = ctx.tokens.read(&settings.token_secret).await.map_err(|fault| {
        tracing::error!(site = %code, error = fault.chain(), "a site's token cannot be read");
        Refusal::TokenUnavailable
    })?;
    Ok(Client::new(ctx.http(), &settings.url, token, settings.requests_per_second))
}

async fn health_after(
    ctx: &Ctx,
    before: &Health,
    settings: &SiteSettings,
    halt: Option<&Halt>,
    run: &Run,
    clock: &Clock,
) -> Option<Health> {
    match halt {
        Some(Halt::Site(failure)) => {
            if failure.remedy == Remedy::Credentials {
                ctx.tokens.forget(&settings.token_secret).await;
            }
            let code = sentence_code(failure).to_owned();
            tracing::warn!(site = %before.site, code, moodle_code = failure.code, "a site is left alone");
            let (moodle_code, function) = (failure.code.clone(), Some(failure.function.clone()));
            let error = LastError { at: clock.now(), code, moodle_code, function };
            Some(before.failed(error, failure.retry_after_s))
        }
        _ => (run.requests > 0).then(|| before.succeeded(clock.now())),
    }
}

/// The sentence about a site that failed as a whole.
pub(crate) fn sentence_code(failure: &CallFailure) -> &'static str {
    match failure.code.as_str() {
        "sitemaintenance" => "SITE_IN_MAINTENANCE",
        "upgraderunning" => "SITE_UPGRADING",
        "dbconnectionfailed" => "SITE_DATABASE_DOWN",
        "UNREACHABLE" => "SITE_UNREACHABLE",
        "UNANSWERED" => "SITE_SILENT",
        "ANSWERED_WITH_PAGE" => "SITE_ANSWERS_WITH_PAGE",
        "WRONG_ADDRESS" => "SITE_ADDRESS_NOT_MOODLE",
        "WEB_SERVICES_OFF" => "WEB_SERVICES_OFF",
        "invalidtoken" => "TOKEN_INVALID",
        "accessexception" => "ACCESS_REFUSED",
        "nopermissions" => "CAPABILITY_LACKING",
        "LIST_MOVED" => "LIST_MOVED",
        "forcepasswordchangenotice" => "PASSWORD_CHANGE_FORCED",
        "sitepolicynotagreed" => "SITE_POLICY_NOT_AGREED",
        code if code.starts_with("wsaccess") => "INTEGRATION_USER_BLOCKED",
        _ => "SITE_DOWN",
    }
}

async fn acquire(
    ctx: &Ctx,
    site: &SiteCode,
    now: Timestamp,
    holder: &str,
) -> Result<Option<Stored<Lease>>, Failure> {
    let standing = ctx.table.get(&store::lease_key(site)).await?;
    if standing.as_ref().is_some_and(|lease| !lease.value.is_free(now)) {
        return Ok(None);
    }
    let value =
        Lease { site: site.clone(), holder: holder.to_owned(), held_until: now + Lease::HELD };
    let read_version = standing.map(|lease| lease.version);
    let mut transaction = ctx.table.transaction();
    transaction.put(&value, read_version);
    transaction.commit().await?;
    Ok(Some(Stored { value, version: read_version.unwrap_or_default() + 1 }))
}

/// Free at once. Where somebody has taken it over meanwhile, it is theirs.
async fn release(ctx: &Ctx, lease: &Stored<Lease>) -> Result<(), Failure> {
    let mut transaction = ctx.table.transaction();
    let value = Lease { held_until: Timestamp::UNIX_EPOCH, ..lease.value.clone() };
    transaction.put(&value, Some(lease.version));
    match transaction.commit().await {
        Err(table::CommitFailure::ConditionFailed(_)) => Ok(()),
        other => Ok(other?),
    }
}

/// Entities that one round takes of a kind.
const ROUND_MAX: usize = 200;
/// Entities that one page of a replay marks: each is two items, and as many for its groups.
const REPLAY_PAGE: u32 = 20;
/// What a round needs to end well: a request, a look behind it, and the recording.
const ROUND_MIN: Duration = Duration::from_secs(2 * REPLY_TIMEOUT.as_secs() + 5);

impl Session<'_> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn work(&mut self, run: &mut Run) -> Result<(), Halt> {
        loop {
            self.renew().await?;
            let replayed = self.replay_page().await?;
            let mut looked = 0;
            for kind in Kind::MARKED {
                looked += self.all_due(kind).await?;
            }
            run.looked += looked;
            // What is marked goes before what is looked for.
            let is_done = looked == 0
                && !replayed
                && !self.repair_page().await?
                && !self.drift_page().await?;
            if is_done {
                return Ok(());
            }
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
        }
    }

    /// Rounds of one kind until one is not full: whom the next kind needs is there then, and its requests are full.
    async fn all_due(&mut self, kind: Kind) -> Result<usize, Halt> {
        let mut looked = 0;
        loop {
            let round = match kind {
                Kind::Course => self.courses().await?,
                Kind::User => self.users().await?,
                Kind::Groups => self.groups().await?,
                Kind::Reading => self.readings().await?,
                _ => self.enrolments().await?,
            };
            looked += round;
            if round < ROUND_MAX {
                return Ok(looked);
            }
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            self.renew().await?;
        }
    }

    /// Whether there is time for one more request, of the invocation and of the lease.
    fn may_send(&self) -> bool {
        let lease_left = self.lease.value.held_until.duration_since(self.now());
        let needed = i64::try_from(ROUND_MIN.as_secs()).unwrap_or(i64::MAX);
        lease_left.as_secs() > needed && deadline::left() > ROUND_MIN
    }

    /// Holds the lease on. Its version is what fences off whoever held it before.
    async fn renew(&mut self) -> Result<(), Halt> {
        let value = Lease { held_until: self.now() + Lease::HELD, ..self.lease.value.clone() };
        let mut transaction = self.ctx.table.transaction();
        transaction.put(&value, Some(self.lease.version));
        match transaction.commit().await {
            Ok(()) => {
                self.lease = Stored { value, version: self.lease.version + 1 };
                Ok(())
            }
            Err(table::CommitFailure::ConditionFailed(_)) => Err(Halt::OutOfTime),
            Err(failure) => Err(failure.into()),
        }
    }

    /// What is due of one kind, the longest due first.
    async fn due(&self, kind: Kind) -> Result<Vec<Stored<Work>>, Halt> {
        let now = self.now();
        let mut due = Vec::new();
        let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
        while due.len() < ROUND_MAX {
            let found = self.ctx.table.query(&store::due(&self.site, kind), &page).await?;
            let count = found.records.len();
            due.extend(found.records.into_iter().filter(|work| work.value.due_at <= now));
            match found.next {
                Some(next) if count > 0 => page.after = Some(next),
                _ => break,
            }
        }
        due.truncate(ROUND_MAX);
        Ok(due)
    }

    /// The look behind a failure of what changes nothing when it is said again: only whether the site is there at all.
    async fn is_there<T, R>(&self, sent: &[T]) -> Result<Vec<Option<R>>, CallFailure> {
        self.client.site_info().await?;
        Ok(sent.iter().map(|_| None).collect())
    }

    async fn record(&self, looked: &[Looked]) -> Result<usize, Halt> {
        store::record(&self.ctx.table, &self.lease, looked, self.now()).await?;
        Ok(looked.len())
    }

    /// Everybody who is or was in a section.
    async fn registrations_of(&self, section: SectionId) -> Result<Vec<Registrations>, Halt> {
        let of_section = store::students_of(&section.to_string());
        let mut request = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
        let mut found = Vec::new();
        loop {
            let page = self.ctx.table.query(&of_section, &request).await?;
            found.extend(page.records.into_iter().map(|one| one.value));
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(found),
            }
        }
    }

    fn id(&self, kind: Kind, entity: &str) -> WorkId {
        WorkId { site: self.site.clone(), kind, entity: entity.to_owned() }
    }

    /// Marks entities of this site because of what was found there.
    async fn mark(&self, ids: &[WorkId]) -> Result<(), Halt> {
        for ids in ids.chunks(REPLAY_PAGE as usize) {
            let mut transaction = self.ctx.table.transaction();
            store::mark(&self.ctx.table, &mut transaction, ids, self.cause()).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// As [`mark`](Self::mark); what stands there is compared.
    async fn mark_to_look(&self, ids: &[WorkId]) -> Result<(), Halt> {
        for ids in ids.chunks(REPLAY_PAGE as usize) {
            let mut transaction = self.ctx.table.transaction();
            store::mark_to_look(&self.ctx.table, &mut transaction, ids, self.cause()).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    fn cause(&self) -> Cause<'_> {
        Cause { now: self.now(), correlation_id: self.correlation_id }
    }

    /// What stood there under our id is gone: it is forgotten, and made anew.
    async fn forget(&self, kind: Kind, entity: &str) -> Result<(), Halt> {
        let key = store::mapping_key(&self.site, kind, entity);
        let id = self.id(kind, entity);
        let mapping = self.ctx.table.get(&key).await?;
        let before = self.ctx.table.get(&store::work_key(&id)).await?;
        let marked = Work::marked(
            &id,
            before.as_ref().map(|before| &before.value),
            self.now(),
            self.correlation_id,
        );
        let marked = Work { trouble: Some(Trouble::new("GONE_THERE")), ..marked };
        let mut transaction = self.ctx.table.transaction();
        if let Some(mapping) = &mapping {
            store::forget(&self.ctx.table, &mut transaction, mapping).await?;
        }
        transaction.put(&marked, before.map(|before| before.version));
        transaction.commit().await?;
        Ok(())
    }

    /// Marks one more page of everything known, where somebody asked for that.
    async fn replay_page(&mut self) -> Result<bool, Halt> {
        let Some(replay) = self.ctx.table.get(&store::replay_key(&self.site)).await? else {
            return Ok(false);
        };
        let page = ReplayedPage::read(self, &replay.value).await?;
        let mut ids: Vec<WorkId> =
            page.entities.iter().map(|entity| self.id(replay.value.kind, entity)).collect();
        if replay.value.kind == Kind::Course && self.settings.groups != GroupRule::None {
            ids.extend(page.entities.iter().map(|section| self.id(Kind::Groups, section)));
        }
        let cause = Cause { now: self.now(), correlation_id: self.correlation_id };
        let (table, anyway) = (&self.ctx.table, replay.value.sends_anyway);
        let mut transaction = table.transaction();
        store::mark_to_send(table, &mut transaction, &ids, anyway, cause).await?;
        let marked = replay.value.marked + ids.len() as u64;
        match page.next {
            Some(next) => transaction.put(&Replay { marked, ..next }, Some(replay.version)),
            None => transaction.delete(&replay),
        };
        transaction.commit().await?;
        Ok(true)
    }
}

/// A page of everything known of one kind, and where to go on.
struct ReplayedPage {
    entities: Vec<String>,
    next: Option<Replay>,
}

impl ReplayedPage {
    async fn read(session: &Session<'_>, replay: &Replay) -> Result<Self, Halt> {
        let table = &session.ctx.table;
        let after = replay.after.as_deref().map(serde_json::from_str).transpose();
        let after = after.map_err(|_| Fault::defect("a replay stands nowhere"))?;
        let request = PageRequest { after, limit: REPLAY_PAGE };
        let (entities, position, then) = match replay.kind {
            Kind::Course => {
                let page = table.query(&store::sections(), &request).await?;
                let ids = page.records.iter().map(|one| one.value.section.to_string());
                (ids.collect::<Vec<_>>(), page.next, Kind::User)
            }
            Kind::User => {
                let page = table.query(&store::people(), &request).await?;
                let ids = page.records.iter().map(|one| one.value.person.to_string());
                (ids.collect(), page.next, Kind::Enrolment)
            }
            _ => return Self::of_enrolments(session, replay, &request).await,
        };
        let after = position.map(|next| serde_json::to_string(&next).expect("it is JSON"));
        let kind = if after.is_some() { replay.kind } else { then };
        Ok(Self { entities, next: Some(Replay { kind, after, ..replay.clone() }) })
    }

    /// Section by section, since enrolments lie with their sections.
    async fn of_enrolments(
        session: &Session<'_>,
        replay: &Replay,
        request: &PageRequest,
    ) -> Result<Self, Halt> {
        let table = &session.ctx.table;
        let Some(section) = &replay.section else {
            let section = next_section(table, None).await?;
            let next = section.map(|section| Replay { section: Some(section), ..replay.clone() });
            return Ok(Self { entities: Vec::new(), next });
        };
        let page = table.query(&store::students_of(section), request).await?;
        let entity = |one: &Stored<Registrations>| {
            enrolments::entity_of(one.value.section, one.value.student)
        };
        let entities = page.records.iter().map(entity).collect();
        let after = page.next.map(|next| serde_json::to_string(&next).expect("it is JSON"));
        let section = if after.is_some() {
            Some(section.clone())
        } else {
            next_section(table, Some(section)).await?
        };
        let next =
            section.map(|section| Replay { section: Some(section), after, ..replay.clone() });
        Ok(Self { entities, next })
    }
}

/// The section behind this one, in the order of their ids.
async fn next_section(
    table: &table::Table,
    after: Option<&str>,
) -> Result<Option<String>, Failure> {
    let mut request = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    loop {
        let page = table.query(&store::sections(), &request).await?;
        let ids = page.records.iter().map(|one| one.value.section.to_string());
        let behind = ids.into_iter().find(|id| after.is_none_or(|after| id.as_str() > after));
        match (behind, page.next) {
            (Some(section), _) => return Ok(Some(section)),
            (None, Some(next)) => request.after = Some(next),
            (None, None) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
