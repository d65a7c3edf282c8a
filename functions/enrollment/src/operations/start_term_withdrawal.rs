//! A student withdraws from a whole term: what they have in it ends item by item, as of this moment, and billing
//! computes once what it gives back. Asked again, it goes on where it stopped; of whoever was taken back into the term
//! since, what they have come to is withdrawn from anew. After the last day only the registrar's office lets a student
//! go, on their petition.

use events::TermWithdrawalAdvanced;
use kernel::{Date, PersonId, TermId, TermWithdrawalId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Fault, Route};
use table::Stored;

use super::STUDENT_OR_REGISTRAR;
use crate::Ctx;
use crate::domain::{
    Entry, Refusal, Registration, StudentTerm, TermFacts, TermWithdrawal, TermWithdrawalState,
    WithdrawalItem,
};
use crate::store;

pub const ROUTE: Route = Route::create(
    "start-term-withdrawal",
    "/term-withdrawals",
    STUDENT_OR_REGISTRAR,
    "Withdraw from a whole term",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// Who withdraws; the caller where it is not given.
    pub student: Option<PersonId>,
    /// The last day on which the student was there, by the institution's date.
    pub last_attended_on: Option<Date>,
    #[schemars(length(min = 1, max = 500))]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub id: TermWithdrawalId,
    pub version: u64,
    pub student: PersonId,
    pub term: TermId,
    pub state: TermWithdrawalState,
    pub requested_at: Timestamp,
    pub done_at: Option<Timestamp>,
    pub reason: Option<String>,
    pub last_attended_on: Option<Date>,
    pub items: Vec<WithdrawalItem>,
}

impl Reply {
    pub fn of(withdrawal: &TermWithdrawal, version: u64) -> Self {
        let withdrawal = withdrawal.clone();
        Self {
            id: withdrawal.id,
            version,
            student: withdrawal.student,
            term: withdrawal.term,
            state: withdrawal.state,
            requested_at: withdrawal.requested_at,
            done_at: withdrawal.done_at,
            reason: withdrawal.reason,
            last_attended_on: withdrawal.last_attended_on,
            items: withdrawal.items,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, last_attended_on, .. } = call.command;
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    if last_attended_on.is_some_and(|day| day > ctx.date(call.now)) {
        return Err(Refusal::LastAttendedInFuture.into());
    }
    let (term_key, facts_key) =
        (store::student_term_key(student, term), store::term_facts_key(term));
    let mut batch = ctx.table.get_batch(vec![(&term_key).into(), (&facts_key).into()]).await?;
    let student_term = batch.take(&term_key)?.ok_or(Refusal::NothingToWithdraw)?;
    let mut entries: Vec<&Entry> = student_term.value.entries.iter().collect();
    if let Some(id) = student_term.value.withdrawal {
        let standing = known(ctx, id).await?;
        entries.retain(|entry| !standing.value.is_about(entry.registration));
        if standing.value.state == TermWithdrawalState::UnderWay || entries.is_empty() {
            return go_on(ctx, call, standing).await;
        }
    }
    if entries.is_empty() {
        return Err(Refusal::NothingToWithdraw.into());
    }
    let facts = batch.take(&facts_key)?.map(|stored| stored.value);
    let registrations = registrations(ctx, &entries).await?;
    let withdrawal = withdrawal(ctx, call, &registrations, facts.as_ref())?;
    begin(ctx, call, student_term, withdrawal).await
}

async fn registrations(ctx: &Ctx, entries: &[&Entry]) -> Result<Vec<Registration>, Failure> {
    let keys: Vec<_> =
        entries.iter().map(|entry| store::registration_key(entry.registration)).collect();
    let mut batch = ctx.table.get_batch(keys.iter().map(Into::into).collect()).await?;
    let missing = || Fault::defect("a student's term has an entry without its registration");
    let take = |key| Ok(batch.take(key)?.ok_or_else(missing)?.value);
    keys.iter().map(take).collect()
}

async fn known(ctx: &Ctx, id: TermWithdrawalId) -> Result<Stored<TermWithdrawal>, Failure> {
    let stored = ctx.table.get(&store::term_withdrawal_key(id)).await?;
    Ok(stored.ok_or_else(|| Fault::defect(format!("{id} is in the student's term only")))?)
}

fn withdrawal(
    ctx: &Ctx,
    call: &Call<Command>,
    registrations: &[Registration],
    facts: Option<&TermFacts>,
) -> Result<TermWithdrawal, Failure> {
    let first = registrations.first().ok_or(Refusal::NothingToWithdraw)?;
    let petitions = first.student != call.person();
    let item = |registration: &Registration| {
        let deadlines = registration.deadlines(facts, ctx.time_zone());
        WithdrawalItem::of(registration, deadlines, (call.now, petitions))
    };
    Ok(TermWithdrawal {
        id: call.new_id(),
        student: first.student,
        term: first.term,
        term_code: first.term_code.clone(),
        requested_by: call.person(),
        requested_at: call.now,
        reason: call.command.reason.clone(),
        last_attended_on: call.command.last_attended_on,
        items: registrations.iter().map(item).collect::<Result<_, _>>()?,
        step: 0,
        state: TermWithdrawalState::UnderWay,
        done_at: None,
    })
}

async fn begin(
    ctx: &Ctx,
    call: &Call<Command>,
    mut student_term: Stored<StudentTerm>,
    withdrawal: TermWithdrawal,
) -> Result<Reply, Failure> {
    student_term.value.withdrawal = Some(withdrawal.id);
    let reply = Reply::of(&withdrawal, 1);
    let mut transaction = ctx.table.transaction();
    transaction.create(&withdrawal);
    transaction.update(&student_term);
    let event = TermWithdrawalAdvanced { withdrawal: withdrawal.id, step: withdrawal.step };
    transaction.event(event, 1, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// What was asked for before is carried on, should its event have been lost.
async fn go_on(
    ctx: &Ctx,
    call: &Call<Command>,
    mut stored: Stored<TermWithdrawal>,
) -> Result<Reply, Failure> {
    if stored.value.state == TermWithdrawalState::Done {
        return Ok(Reply::of(&stored.value, stored.version));
    }
    stored.value.step += 1;
    let reply = Reply::of(&stored.value, stored.version + 1);
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    let event = TermWithdrawalAdvanced { withdrawal: reply.id, step: stored.value.step };
    transaction.event(event, 1, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}
