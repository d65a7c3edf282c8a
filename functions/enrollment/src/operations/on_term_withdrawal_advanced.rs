//! The next page of what a student has in a term that they withdraw from: what is confirmed is dropped or withdrawn,
//! what is on its way is undone, and they stand in no line any more. Each by itself, with the note that it is done: a
//! page that broke off comes again and finds its own work. When nothing is left, billing is told of all of it at once.

use events::{DropReason, GivenUp, ReleaseReason, TermWithdrawalAdvanced, WaitlistState};
use kernel::{RegistrationId, TermWithdrawalId, WaitlistEntryId};
use shell::{Delivery, Failure, Fault, run_step};
use table::Stored;

use super::cause_of;
use crate::Ctx;
use crate::domain::{
    BundleState, Registration, RegistrationState, TermWithdrawal, TermWithdrawalState,
    WithdrawalProgress,
};
use crate::store::{self, Cause};

/// Items of one page: four calls each, well within the time of one invocation.
const PAGE: usize = 25;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: TermWithdrawalAdvanced = delivery.event()?;
    let cause = cause_of(delivery);
    let stored = withdrawal(ctx, event.withdrawal).await?;
    let is_current =
        stored.value.state == TermWithdrawalState::UnderWay && stored.value.step == event.step;
    if is_current {
        leave_lines(ctx, &stored.value, cause).await?;
        for item in stored.value.pending().take(PAGE) {
            let id = event.withdrawal;
            run_step(async || end(ctx, id, item.registration, cause).await).await?;
        }
    }
    let mut stored = withdrawal(ctx, event.withdrawal).await?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    if is_current && stored.value.step == event.step {
        if stored.value.pending().next().is_some() {
            stored.value.step += 1;
            let next = TermWithdrawalAdvanced { step: stored.value.step, ..event };
            transaction.event(next, 1, cause.now, cause.correlation_id);
        } else {
            let told = stored.value.finish(cause.now);
            transaction.event(told, 1, cause.now, cause.correlation_id);
        }
        transaction.update(&stored);
    }
    Ok(transaction.commit().await?)
}

async fn withdrawal(ctx: &Ctx, id: TermWithdrawalId) -> Result<Stored<TermWithdrawal>, Failure> {
    let stored = ctx.table.get(&store::term_withdrawal_key(id)).await?;
    Ok(stored.ok_or_else(|| Fault::defect(format!("{id} is told of only")))?)
}

async fn leave_lines(
    ctx: &Ctx,
    withdrawal: &TermWithdrawal,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let key = store::student_term_key(withdrawal.student, withdrawal.term);
    let student_term = ctx.table.get(&key).await?.map(|stored| stored.value);
    let waiting = student_term.into_iter().flat_map(|student_term| student_term.waiting);
    for waiting in waiting.take(PAGE) {
        run_step(async || leave_line(ctx, waiting.entry, withdrawal, cause).await).await?;
    }
    Ok(())
}

async fn leave_line(
    ctx: &Ctx,
    entry: WaitlistEntryId,
    withdrawal: &TermWithdrawal,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let stored = ctx.table.get(&store::waitlist_entry_key(entry)).await?;
    let open = stored.filter(|stored| stored.value.state.is_open());
    let Some(stored) = open else { return Ok(()) };
    let in_line = store::in_line(&ctx.table, stored).await?;
    let mut transaction = ctx.table.transaction();
    let by = withdrawal.requested_by.to_string();
    store::write_end(&mut transaction, in_line, WaitlistState::Left, &by, cause);
    Ok(transaction.commit().await?)
}

/// Ends one registration, whatever it has become, and notes it.
async fn end(
    ctx: &Ctx,
    id: TermWithdrawalId,
    registration: RegistrationId,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut stored = withdrawal(ctx, id).await?;
    let Some(ending) = stored.value.ending_of(registration) else { return Ok(()) };
    let found = ctx.table.get(&store::registration_key(registration)).await?;
    let missing = || Fault::defect(format!("{registration} is to be ended, and is not there"));
    let found = found.ok_or_else(missing)?;
    match found.value.state {
        RegistrationState::Registered => give_up(ctx, stored, found, ending, cause).await,
        RegistrationState::SeatHeld => undo(ctx, stored, &found.value, cause).await,
        RegistrationState::Released
        | RegistrationState::Dropped
        | RegistrationState::Withdrawn
        | RegistrationState::Completed
        | RegistrationState::Cancelled => {
            stored.value.note(registration, WithdrawalProgress::EndedBefore);
            let mut transaction = ctx.table.transaction();
            transaction.update(&stored);
            Ok(transaction.commit().await?)
        }
    }
}

async fn give_up(
    ctx: &Ctx,
    mut withdrawal: Stored<TermWithdrawal>,
    registration: Stored<Registration>,
    ending: GivenUp,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let id = registration.value.id;
    let mut departure = store::departure(&ctx.table, registration).await?;
    // What it is linked with is an item of its own.
    departure.registrations.truncate(1);
    let giving_up = withdrawal.value.giving_up();
    for registration in &mut departure.registrations {
        registration.value.give_up(ending, &giving_up);
    }
    let mut transaction = ctx.table.transaction();
    let as_of = Cause { now: giving_up.at, ..cause };
    let progress = match ending {
        GivenUp::Dropped => {
            departure.write(&mut transaction, DropReason::TermWithdrawn, as_of);
            WithdrawalProgress::Dropped
        }
        GivenUp::Withdrawn => {
            departure.write_withdrawal(&mut transaction, Some(withdrawal.value.id), as_of);
            WithdrawalProgress::Withdrawn
        }
    };
    transaction.update(&departure.student_term);
    withdrawal.value.note(id, progress);
    transaction.update(&withdrawal);
    Ok(transaction.commit().await?)
}

/// What only holds a seat is undone with its bundle, by the bundle's own saga.
async fn undo(
    ctx: &Ctx,
    mut withdrawal: Stored<TermWithdrawal>,
    registration: &Registration,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let Registration { id, submission, bundle, .. } = *registration;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    let approvals = store::approvals(&ctx.table, &bundle.value).await?;
    let mut transaction = ctx.table.transaction();
    let reason = ReleaseReason::StudentCancelled;
    // One that is being undone already is left to its saga.
    let is_begun = store::undo_bundle(&mut transaction, &mut bundle, approvals, reason, cause);
    if !is_begun && bundle.value.state == BundleState::Confirmed {
        // It was confirmed after the registration was read: it is given up as what it is now.
        return Err(Failure::Conflict { with_twin: false });
    }
    withdrawal.value.note(id, WithdrawalProgress::Undone);
    transaction.update(&withdrawal);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{
        RegistrationDropped, RegistrationWithdrawn, SagaRequested, TermWithdrawn, WaitlistMode,
    };
    use shell::Call;
    use table::Table;
    use testkit::{TestTable, person};

    use super::super::give_override::{self, tests::staff};
    use super::super::join_waitlist::tests::{entry, full, join, registered};
    use super::super::withdraw_registration::tests::term_is_known;
    use super::super::{read_term_withdrawal, release_seats, start_term_withdrawal, submit};
    use super::*;
    use crate::domain::ItemCode;
    use crate::fixtures::{
        bundle, by, cart, code, deliver_all, of_bundle, offer, seats_agree, section, taken, term,
        told,
    };

    const LATE: &str = "2027-03-15T10:00:00Z";

    fn start(student: &str, now: &str) -> Call<start_term_withdrawal::Command> {
        let command = start_term_withdrawal::Command {
            term: term(),
            student: None,
            last_attended_on: None,
            reason: None,
        };
        Call { now: now.parse().expect("a timestamp"), ..by(student, testkit::call(command)) }
    }

    async fn advance(table: &Table) -> usize {
        let consumer = ("on-term-withdrawal-advanced", testkit::now());
        deliver_all::<TermWithdrawalAdvanced>(table, consumer, handle).await
    }

    async fn read(ctx: &Ctx, id: TermWithdrawalId) -> start_term_withdrawal::Reply {
        let read = testkit::call(read_term_withdrawal::Command { withdrawal: id });
        read_term_withdrawal::handle(ctx, &read).await.expect("reads")
    }

    /// Ada is registered in two sections, has a seat held in a third, and stands in line for a fourth.
    async fn ada(ctx: &Ctx) -> (WaitlistEntryId, submit::Reply) {
        term_is_known(ctx).await;
        for name in ["a", "b"] {
            let section = offer(&ctx.table, name, |_| ()).await;
            registered(ctx, "ada", section).await;
        }
        let held = offer(&ctx.table, "held", |_| ()).await;
        let held = submit::handle(ctx, &cart(&[held])).await.expect("a seat is held");
        let waited_for = offer(&ctx.table, "full", full(WaitlistMode::Automatic, 0)).await;
        (join(ctx, "ada", waited_for).await, held)
    }

    /// Bob is registered in one section: what is walked with faults is kept small.
    async fn bob(ctx: &Ctx) {
        term_is_known(ctx).await;
        let section = offer(&ctx.table, "a", |_| ()).await;
        registered(ctx, "bob", section).await;
    }

    #[tokio::test]
    async fn what_a_student_has_in_a_term_ends_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                bob(&ctx).await;
                let reply = start_term_withdrawal::handle(&ctx, &start("bob", LATE)).await;
                let reply = reply.expect("begun");
                let event = TermWithdrawalAdvanced { withdrawal: reply.id, step: 0 };
                let delivery = testkit::delivery("on-term-withdrawal-advanced", event);
                (delivery, reply.id)
            },
            async |table, (delivery, _)| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, (_, id)| {
                let ctx = Ctx::new(table.clone());
                let done = store::term_withdrawal_key(*id);
                let done = ctx.table.get(&done).await.expect("reads").expect("is there").value;
                assert_eq!(done.state, TermWithdrawalState::Done);
                assert_eq!(done.items[0].progress, WithdrawalProgress::Withdrawn);
                assert_eq!(taken(table, section("a")).await, 0);
                seats_agree(table, section("a"), &[person("bob")]).await;
                assert_eq!(told::<RegistrationWithdrawn>(table).await.len(), 1);
                let told_of_term: Vec<TermWithdrawn> = told(table).await;
                assert_eq!(told_of_term.len(), 1, "billing computes once");
                assert_eq!(told_of_term[0].registrations.len(), 1);
                assert_eq!(told_of_term[0].withdrawn_at.to_string(), LATE);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn too_late_to_drop_everything_is_withdrawn_from_undone_and_left() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (waiting, held) = ada(&ctx).await;
        let reply = start_term_withdrawal::handle(&ctx, &start("ada", LATE)).await.expect("begun");
        advance(&test.table).await;
        let done = read(&ctx, reply.id).await;
        assert_eq!(done.state, TermWithdrawalState::Done);
        let progress: Vec<_> = done.items.iter().map(|item| item.progress).collect();
        let withdrawn = WithdrawalProgress::Withdrawn;
        assert_eq!(progress, [withdrawn, withdrawn, WithdrawalProgress::Undone]);
        assert_eq!(entry(&ctx, waiting).await.state, WaitlistState::Left);
        let reason = Some(ReleaseReason::StudentCancelled);
        let undone: Vec<SagaRequested> = told(&test.table).await;
        assert_eq!(undone.iter().filter(|it| it.reason == reason).count(), 1);
        assert_eq!(bundle(&test.table, &held).await.reason, reason);
    }

    #[tokio::test]
    async fn a_withdrawal_begins_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                bob(&Ctx::new(table.clone())).await;
                start("bob", LATE)
            },
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                shell::http::carry_out(&ctx, &start_term_withdrawal::handle, call).await.map(drop)
            },
            async |table, _| {
                let key = store::student_term_key(person("bob"), term());
                let student_term = table.get(&key).await.expect("reads").expect("is there").value;
                let id = student_term.withdrawal.expect("it has begun");
                let begun = table.get(&store::term_withdrawal_key(id)).await.expect("reads");
                assert_eq!(begun.expect("is there").value.items.len(), 1);
                advance(table).await;
                assert_eq!(told::<TermWithdrawn>(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn in_time_everything_is_dropped_and_nothing_new_is_taken() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (_, held) = ada(&ctx).await;
        let in_time = "2027-02-10T10:00:00Z";
        let reply = start_term_withdrawal::handle(&ctx, &start("ada", in_time)).await;
        let reply = reply.expect("begun");
        assert_eq!(reply.state, TermWithdrawalState::UnderWay);
        let other = offer(&test.table, "other", |_| ()).await;
        let refused = submit::handle(&ctx, &cart(&[other])).await;
        assert_eq!(code(refused), "TERM_WITHDRAWN");
        // Whoever asks again finds the same, and carries it on should its event have been lost.
        let again = start_term_withdrawal::handle(&ctx, &start("ada", LATE)).await.expect("it is");
        assert_eq!((again.id, again.requested_at), (reply.id, reply.requested_at));
        advance(&test.table).await;
        let done = read(&ctx, reply.id).await;
        assert_eq!(done.items[0].progress, WithdrawalProgress::Dropped);
        let dropped: Vec<RegistrationDropped> = told(&test.table).await;
        assert_eq!(dropped.len(), 2);
        assert!(dropped.iter().all(|event| event.reason == DropReason::TermWithdrawn));
        assert!(dropped.iter().all(|event| event.dropped_at == reply.requested_at));
        let mut step = of_bundle(&held);
        step.command.attempt = 2;
        release_seats::handle(&ctx, &step).await.expect("its saga ends");
        for name in ["a", "b", "held"] {
            assert_eq!(taken(&test.table, section(name)).await, 0);
        }
        let after = start_term_withdrawal::handle(&ctx, &start("ada", LATE)).await.expect("it is");
        assert_eq!(after.state, TermWithdrawalState::Done);
        assert_eq!(told::<TermWithdrawn>(&test.table).await.len(), 1);
    }

    #[tokio::test]
    async fn whoever_is_taken_back_into_the_term_may_withdraw_from_it_again() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        bob(&ctx).await;
        let in_time = start("bob", "2027-02-10T10:00:00Z");
        let first = start_term_withdrawal::handle(&ctx, &in_time).await.expect("begun");
        advance(&test.table).await;
        let other = offer(&test.table, "other", |_| ()).await;
        let back = give_override::Command {
            student: person("bob"),
            ..give_override::tests::lifting(ItemCode::TermWithdrawn, other)
        };
        let back = staff("registrar", shell::Role::Registrar, None, back);
        give_override::handle(&ctx, &back).await.expect("taken back");
        registered(&ctx, "bob", other).await;
        let second = start_term_withdrawal::handle(&ctx, &start("bob", LATE)).await.expect("begun");
        assert_ne!(second.id, first.id);
        let items: Vec<_> = second.items.iter().map(|item| item.section).collect();
        assert_eq!(items, [other], "what ended with the first is not ended twice");
        advance(&test.table).await;
        assert_eq!(taken(&test.table, other).await, 0);
        let told_of_terms: Vec<TermWithdrawn> = told(&test.table).await;
        let ended: Vec<_> = told_of_terms.iter().map(|event| event.registrations.len()).collect();
        assert_eq!(ended, [1, 1]);
        let after = start_term_withdrawal::handle(&ctx, &start("bob", LATE)).await.expect("it is");
        assert_eq!((after.id, after.state), (second.id, TermWithdrawalState::Done));
    }

    #[tokio::test]
    async fn after_the_last_day_the_office_alone_lets_a_student_go() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        ada(&ctx).await;
        let too_late = "2027-05-01T00:00:00Z";
        let late = start_term_withdrawal::handle(&ctx, &start("ada", too_late)).await;
        assert_eq!(code(late), "WITHDRAW_DEADLINE_PASSED");
        let nothing = start_term_withdrawal::handle(&ctx, &start("bob", LATE)).await;
        assert_eq!(code(nothing), "NOTHING_TO_WITHDRAW");
        let mut of_ada = start("bob", too_late);
        of_ada.command.student = Some(person("ada"));
        let strange = start_term_withdrawal::handle(&ctx, &of_ada).await;
        assert_eq!(code(strange), "STUDENT_UNKNOWN");
        let command = of_ada.command.clone();
        let petition = staff("registrar", shell::Role::Registrar, None, command);
        let petition = Call { now: of_ada.now, ..petition };
        let reply = start_term_withdrawal::handle(&ctx, &petition).await.expect("on petition");
        let strange = testkit::call(read_term_withdrawal::Command { withdrawal: reply.id });
        let strange = read_term_withdrawal::handle(&ctx, &by("bob", strange)).await;
        assert_eq!(code(strange), "TERM_WITHDRAWAL_UNKNOWN");
        advance(&test.table).await;
        assert_eq!(read(&ctx, reply.id).await.state, TermWithdrawalState::Done);
    }
}
