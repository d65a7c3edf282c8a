//! The audit trail as operations see it: who acts in a call or a step, what of it is asked for, and the proof that a
//! context's chains are whole.

use std::time::Duration;

use jiff::SignedDuration;
use kernel::{Date, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use table::{
    Act, Actor, AuditBreak, AuditEntry, AuditRound, Deed, FieldChange, Key, Noted, Page, Record,
    Table, Trail, audit_chain, audit_of_actor, deadline,
};

use crate::request::FieldError;
use crate::{Call, Failure, Fault, Listing, RequestRefusal, Step, Tick};

impl<C> Call<C> {
    /// Who acts by `operation`: the caller, be it a person or a service client, or the system where anybody may call.
    pub fn deed<'a>(&'a self, operation: &'a str) -> Deed<'a> {
        let actor = match (&self.caller, &self.client) {
            (Some(caller), _) => Actor::named(caller.person),
            (None, Some(client)) => Actor::named(client.id),
            (None, None) => Actor::system(),
        };
        Deed { actor, operation, at: self.now, correlation_id: &self.correlation_id }
    }
}

impl<C> Step<C> {
    /// The system acts by `operation`.
    pub fn deed<'a>(&'a self, operation: &'a str) -> Deed<'a> {
        let correlation_id = &self.correlation_id;
        Deed { actor: Actor::system(), operation, at: self.now, correlation_id }
    }
}

/// An entry of the trail, as those read it who may.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrailEntry {
    /// Whom or what it concerns.
    pub chain: String,
    /// 1 for the first entry of the chain.
    pub sequence: u64,
    pub at: Timestamp,
    /// A person or a service client by its id, or `system`.
    pub actor: String,
    pub operation: String,
    pub act: TrailAct,
    pub record: String,
    pub changes: Vec<TrailChange>,
    pub reason: Option<String>,
    pub correlation_id: String,
    /// The hash of the entry before.
    pub previous: String,
    pub hash: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrailAct {
    Changed,
    Read,
}

/// A field with its value before and after.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrailChange {
    pub field: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Neither values nor reasons reach a log.
impl std::fmt::Debug for TrailEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TrailEntry({} {}, …)", self.chain, self.sequence)
    }
}

impl From<AuditEntry> for TrailEntry {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { chain, sequence, at, operation, record, reason, previous, hash, .. } =
            entry;
        let change = |FieldChange { field, old, new }| TrailChange { field, old, new };
        let act = match entry.act {
            Act::Changed => TrailAct::Changed,
            Act::Read => TrailAct::Read,
        };
        Self {
            chain,
            sequence,
            at,
            actor: entry.actor.as_str().to_owned(),
            operation,
            act,
            record,
            changes: entry.changes.into_iter().map(change).collect(),
            reason,
            correlation_id: entry.correlation_id,
            previous,
            hash,
        }
    }
}

impl From<Page<AuditEntry>> for Listing<TrailEntry> {
    fn from(page: Page<AuditEntry>) -> Self {
        let items = page.records.into_iter().map(|entry| entry.value.into()).collect();
        Self { items, next_cursor: page.next }
    }
}

/// Which entries of a context's trail are asked for: all that concern a subject, or what an actor did on a day, to
/// whomever or to a subject alone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrailQuestion {
    /// Whom or what they concern: a person or a service client by its id, `provider:<code>`, or `site:<code>`.
    #[schemars(regex(
        pattern = r"^([a-z]{3}_[0-9a-f]{32}|(provider|site):[a-z][a-z0-9-]{0,19})$"
    ))]
    pub subject: Option<String>,
    /// A person or a service client by its id, or `system`.
    #[schemars(regex(pattern = r"^(system|[a-z]{3}_[0-9a-f]{32})$"))]
    pub actor: Option<String>,
    /// A day of UTC. What was done within the last moments may be missing.
    pub day: Option<Date>,
}

/// Answers it. That it is asked is noted first, in the chain of whom or what it is asked of.
pub async fn answer_trail_question(
    table: &Table,
    call: &Call<TrailQuestion>,
    operation: &str,
) -> Result<Listing<TrailEntry>, Failure> {
    let TrailQuestion { subject, actor, day } = &call.command;
    match (subject, actor, day) {
        (Some(subject), None, None) => {
            read_trail(table, call, table.trail(subject).await?, operation).await
        }
        (subject, Some(actor), Some(day)) => {
            let noted = Noted::read(format!("audit-trail/{day}"));
            note_read(table, call, table.trail(actor).await?, operation, noted).await?;
            let deeds = audit_of_actor(&Actor::named(actor), day);
            let mut page = table.query(&deeds, &call.page).await?;
            let is_asked_for = |chain: &str| subject.as_ref().is_none_or(|asked| asked == chain);
            page.records.retain(|entry| is_asked_for(&entry.value.chain));
            Ok(page.into())
        }
        (_, Some(_), None) => Err(required("/day").into()),
        (_, None, Some(_)) => Err(required("/actor").into()),
        (None, None, None) => Err(required("/subject").into()),
    }
}

fn required(field: &str) -> RequestRefusal {
    let field = field.to_owned();
    RequestRefusal::InvalidInput(vec![FieldError {
        field,
        code: "REQUIRED",
        arguments: Vec::new(),
    }])
}

/// The entries of one chain, the newest first; that they are read is one of them.
pub async fn read_trail<C>(
    table: &Table,
    call: &Call<C>,
    trail: Trail,
    operation: &str,
) -> Result<Listing<TrailEntry>, Failure> {
    let chain = audit_chain(trail.chain());
    note_read(table, call, trail, operation, Noted::read("audit-trail")).await?;
    Ok(table.query(&chain.newest_first(), &call.page).await?.into())
}

/// Notes that something is read, which is to be done before it is shown.
pub async fn note_read<C>(
    table: &Table,
    call: &Call<C>,
    trail: Trail,
    operation: &str,
    noted: Noted,
) -> Result<(), Failure> {
    let mut transaction = table.transaction();
    trail.append(&mut transaction, &call.deed(operation), noted);
    Ok(transaction.commit().await?)
}

/// What an operator has proved.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProveTrail {
    /// A chain by its name, such as the id of a person, or `all`.
    #[schemars(length(min = 1, max = 200))]
    pub chain: String,
    /// What the reply before has said, where it had not come to an end.
    #[schemars(length(max = 20_000))]
    pub resume: Option<String>,
}

/// How far a proof has come, and what it has found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrailProof {
    pub chains: u64,
    pub entries: u64,
    pub broken_count: u64,
    /// The first of those that are broken.
    pub broken: Vec<AuditBreak>,
    /// To be passed on in the next call; absent where everything is proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}

/// Pages of one run; the next run goes on.
const PAGES_MAX: u32 = 5_000;
/// Left for a page that has begun, and for writing down how far the proof has come.
const PAGE_MAX: Duration = Duration::from_secs(6);

/// Proves one chain or all, as far as the time allows.
pub async fn prove_trail(table: &Table, command: &ProveTrail) -> Result<TrailProof, Failure> {
    let mut round = match &command.resume {
        Some(resume) => serde_json::from_str(resume).map_err(|_| RequestRefusal::CursorInvalid)?,
        None if command.chain == "all" => AuditRound::default(),
        None => AuditRound::of_chain(&command.chain),
    };
    go_on(table, &mut round).await?;
    let resume = (!round.is_done).then(|| serde_json::to_string(&round).expect("a round is JSON"));
    let AuditRound { chains, entries, broken_count, broken, .. } = round;
    Ok(TrailProof { chains, entries, broken_count, broken, resume })
}

async fn go_on(table: &Table, round: &mut AuditRound) -> Result<(), Failure> {
    for _ in 0..PAGES_MAX {
        if round.is_done || deadline::left() < PAGE_MAX {
            break;
        }
        table.advance_audit_round(round).await?;
    }
    Ok(())
}

/// The standing proof of a context's chains, which the schedule carries on.
#[derive(Debug, Serialize, Deserialize)]
struct StandingProof {
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    round: AuditRound,
    /// Chains of the round before. A chain never goes.
    chains_before: u64,
}

impl StandingProof {
    /// How long a round that is done stands, before the next one begins.
    const GOOD: SignedDuration = SignedDuration::from_hours(20);

    fn key_of() -> Key<Self> {
        Key::new("AUDIT#PROOF", "PROOF")
    }

    fn begin(chains_before: u64, now: Timestamp) -> Self {
        let round = AuditRound::default();
        Self { started_at: now, finished_at: None, round, chains_before }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.finished_at.is_some_and(|at| now >= at + Self::GOOD)
    }
}

impl Record for StandingProof {
    const KIND: &'static str = "audit-proof";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Self::key_of()
    }
}

/// What the standing proof has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrailWatch {
    pub finished: bool,
    pub chains: u64,
    pub entries: u64,
    pub broken_count: u64,
}

/// Carries the standing proof on, and begins it anew when it is old. Where something is broken it fails, which somebody
/// hears of, run by run until the next round finds everything whole.
pub async fn watch_trail(table: &Table, tick: &Tick) -> Result<TrailWatch, Failure> {
    let stored = table.get(&StandingProof::key_of()).await?;
    let version = stored.as_ref().map(|stored| stored.version);
    let mut proof = match stored.map(|stored| stored.value) {
        Some(proof) if proof.is_over(tick.now) => {
            StandingProof::begin(proof.chains_before.max(proof.round.chains), tick.now)
        }
        Some(proof) => proof,
        None => StandingProof::begin(0, tick.now),
    };
    if proof.finished_at.is_none() {
        go_on(table, &mut proof.round).await?;
        proof.finished_at = proof.round.is_done.then_some(tick.now);
        let mut transaction = table.transaction();
        transaction.put(&proof, version);
        transaction.commit().await?;
    }
    let AuditRound { chains, entries, broken_count, is_done, ref broken, .. } = proof.round;
    if let Some(first) = broken.first() {
        let AuditBreak { chain, sequence, flaw } = first;
        return Err(Fault::defect(format!(
            "the audit trail is broken in {broken_count} chains, such as {chain} at {sequence}: {flaw:?}"
        ))
        .into());
    }
    if is_done && chains < proof.chains_before {
        let gone = proof.chains_before - chains;
        return Err(Fault::defect(format!("{gone} chains of the audit trail are gone")).into());
    }
    Ok(TrailWatch { finished: is_done, chains, entries, broken_count })
}
