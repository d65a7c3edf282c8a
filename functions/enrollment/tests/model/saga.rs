//! The state machine, played step by step, and events on their way.

use enrollment::domain::{Bundle, BundleState, WaitlistEntry};
use enrollment::operations::{
    OfBundle, await_approval, begin_undo, close, confirm, decide_approval, on_clearance_advanced,
    on_seat_freed, record_charge, release_seats,
};
use events::{
    ClearanceAdvanced, Decision, Envelope, Event, ReleaseReason, SagaRequested, SeatFreed,
    WaitlistMode, WaitlistState,
};
use kernel::{Id, InvoiceId};
use shell::{Delivery, Failure};
use table::Key;

use crate::actions::refused_in_line;
use crate::laws;
use crate::world::{Saga, Stage, World};

/// One step of one of the sagas.
pub async fn step(world: &mut World) {
    let under_way: Vec<usize> =
        (0..world.sagas.len()).filter(|at| world.sagas[*at].stage != Stage::Over).collect();
    let Some(at) = world.rng.choice(under_way) else { return };
    let saga = world.sagas[at].clone();
    let before = world.view.clone();
    let stage = match saga.stage {
        Stage::Begun if saga.approval_required => ask(world, &saga).await,
        Stage::Asked => decide(world, &saga).await,
        Stage::Begun | Stage::Approved | Stage::Charged => go_on(world, &saga).await,
        Stage::Undoing => release(world, &saga).await,
        Stage::Confirmed | Stage::Released => end(world, &saga).await,
        Stage::Over => Stage::Over,
    };
    world.sagas[at].stage = stage;
    world.look().await;
    laws::hold(world, &before, Some(saga.student));
    laws::saga_is_seen(world, &saga, stage);
}

fn of_bundle(saga: &Saga) -> OfBundle {
    let Saga { submission, bundle, attempt, .. } = *saga;
    OfBundle { submission, bundle, attempt }
}

/// An execution that another one took the place of is refused, and ends.
fn superseded<R>(world: &mut World, result: Result<R, Failure>) -> Option<R> {
    match result {
        Ok(reply) => Some(reply),
        Err(Failure::Refused(refusal)) if refusal.code() == "EXECUTION_SUPERSEDED" => {
            world.tally.refuse("EXECUTION_SUPERSEDED");
            None
        }
        Err(failure) => panic!("a step of the saga fails: {failure:?}"),
    }
}

async fn bundle(world: &World, saga: &Saga) -> Bundle {
    let key = Key::<Bundle>::new(
        format!("SUBMISSION#{}", saga.submission),
        format!("BUNDLE#{}", saga.bundle),
    );
    world.table.get(&key).await.expect("a bundle can be read").expect("it is there").value
}

async fn ask(world: &mut World, saga: &Saga) -> Stage {
    let OfBundle { submission, bundle, attempt } = of_bundle(saga);
    let task_token = "token".to_owned();
    let command = await_approval::Command { submission, bundle, attempt, task_token };
    let asked = world.step(await_approval::handle, command).await;
    world.tally.count("saga: ask");
    superseded(world, asked).map_or(saga.stage, |_| Stage::Asked)
}

/// Somebody approves or rejects, or nobody does in time.
async fn decide(world: &mut World, saga: &Saga) -> Stage {
    if world.rng.u8(..6) == 0 {
        world.tally.count("saga: nobody approves in time");
        return undo(world, saga, ReleaseReason::ApprovalTimedOut).await;
    }
    let Some(approval) = bundle(world, saga).await.approvals.first().copied() else {
        panic!("an asked bundle has an approval")
    };
    let approves = world.rng.u8(..3) > 0;
    let decision = if approves { Decision::Approve } else { Decision::Reject };
    let call =
        world.call_of_registrar(decide_approval::Command { approval, decision, reason: None });
    match world.ask(decide_approval::handle, &call).await {
        Ok(_) if approves => {
            world.tally.count("saga: approve");
            Stage::Approved
        }
        Ok(_) => {
            world.tally.count("saga: reject");
            undo(world, saga, ReleaseReason::ApprovalRejected).await
        }
        // Its section was cancelled meanwhile.
        Err(Failure::Refused(refusal)) if refusal.code() == "APPROVAL_DECIDED" => {
            world.tally.refuse("APPROVAL_DECIDED");
            saga.stage
        }
        Err(failure) => panic!("an approval fails: {failure:?}"),
    }
}

/// A charge, then a payment, or none in time.
async fn go_on(world: &mut World, saga: &Saga) -> Stage {
    let is_undone = bundle(world, saga).await.state == BundleState::Undoing;
    if saga.stage != Stage::Charged && world.rng.bool() {
        let OfBundle { submission, bundle, attempt } = of_bundle(saga);
        let invoice = InvoiceId::derived_from(&bundle.to_string());
        let command = record_charge::Command { submission, bundle, attempt, invoice };
        world.tally.count("saga: charge");
        return match world.step(record_charge::handle, command).await {
            Err(Failure::Refused(refusal)) if is_undone && refusal.code() == "BUNDLE_UNDONE" => {
                Stage::Undoing
            }
            result => superseded(world, result).map_or(saga.stage, |_| Stage::Charged),
        };
    }
    if world.rng.u8(..4) == 0 {
        world.tally.count("saga: expire");
        return undo(world, saga, ReleaseReason::PaymentTimedOut).await;
    }
    world.tally.count("saga: pay");
    match world.step(confirm::handle, of_bundle(saga)).await {
        Err(Failure::Refused(refusal)) if refusal.code() == "BUNDLE_UNDONE" => {
            let cancelled =
                |at: &usize| world.sections[*at].status == crate::catalog::Status::Cancelled;
            assert!(is_undone || saga.sections.iter().any(cancelled), "nothing undid {saga:?}");
            world.tally.refuse("BUNDLE_UNDONE");
            Stage::Undoing
        }
        result => superseded(world, result).map_or(saga.stage, |_| Stage::Confirmed),
    }
}

async fn undo(world: &mut World, saga: &Saga, reason: ReleaseReason) -> Stage {
    let OfBundle { submission, bundle, attempt } = of_bundle(saga);
    let command = begin_undo::Command { submission, bundle, attempt, reason };
    let begun = world.step(begin_undo::handle, command).await;
    superseded(world, begun).map_or(saga.stage, |_| Stage::Undoing)
}

async fn release(world: &mut World, saga: &Saga) -> Stage {
    world.tally.count("saga: release");
    let released = world.step(release_seats::handle, of_bundle(saga)).await;
    superseded(world, released).map_or(saga.stage, |_| Stage::Released)
}

/// What comes too late changes nothing; then it is over.
async fn end(world: &mut World, saga: &Saga) -> Stage {
    if world.rng.bool() {
        world.tally.count("saga: too late");
        if saga.stage == Stage::Confirmed {
            undo(world, saga, ReleaseReason::PaymentTimedOut).await;
        }
        let again = world.step(release_seats::handle, of_bundle(saga)).await;
        superseded(world, again);
        return saga.stage;
    }
    world.tally.count("saga: close");
    let closed = world.step(close::handle, of_bundle(saga)).await;
    superseded(world, closed).map_or(saga.stage, |_| Stage::Over)
}

/// Some event that waits comes to its consumer: not the oldest, but any; and now and then one that came before.
pub async fn event(world: &mut World) {
    world.hear();
    let comes_again = world.rng.u8(..8) == 0 && !world.delivered.is_empty();
    let envelope = if comes_again {
        world.tally.count("event again");
        let at = world.rng.usize(..world.delivered.len());
        world.delivered[at].clone()
    } else {
        if world.pending.is_empty() {
            return;
        }
        let at = world.rng.usize(..world.pending.len());
        let envelope = world.pending.swap_remove(at);
        world.delivered.push(envelope.clone());
        envelope
    };
    take(world, envelope).await;
}

/// All that was told comes to whoever hears it, until nothing moves any more.
pub async fn settle(world: &mut World) {
    const EVENTS_MAX: usize = 10_000;
    for _ in 0..EVENTS_MAX {
        world.hear();
        if world.pending.is_empty() {
            laws::nobody_is_forgotten(world).await;
            return;
        }
        let envelope = world.pending.remove(0);
        world.delivered.push(envelope.clone());
        take(world, envelope).await;
    }
    panic!("events bring forth events without an end");
}

async fn take(world: &mut World, envelope: Envelope) {
    let delivery = |consumer: &str, now| Delivery {
        envelope: envelope.clone(),
        consumer: consumer.to_owned(),
        now,
    };
    let before = world.view.clone();
    match envelope.name.as_str() {
        SagaRequested::NAME => {
            begin(world, &serde_json::from_value(envelope.data.clone()).expect("reads"));
            return;
        }
        SeatFreed::NAME => {
            let freed: SeatFreed = serde_json::from_value(envelope.data.clone()).expect("reads");
            let section = world.at(freed.section);
            let waiting = world.open_entries().await;
            let delivery = delivery("on-seat-freed", world.now);
            world.tally.count("promotion");
            world.deliver(on_seat_freed::handle, &delivery).await;
            world.look().await;
            laws::hold(world, &before, None);
            served_in_order(world, section, &waiting).await;
            return;
        }
        ClearanceAdvanced::NAME => {
            let delivery = delivery("on-clearance-advanced", world.now);
            world.tally.count("clearance");
            world.deliver(on_clearance_advanced::handle, &delivery).await;
        }
        // What concerns others.
        _ => return,
    }
    world.look().await;
    laws::hold(world, &before, None);
}

/// An execution is started once for each attempt.
fn begin(world: &mut World, requested: &SagaRequested) {
    let stage = match requested.enter {
        events::Enter::Undo => Stage::Undoing,
        _ => Stage::Begun,
    };
    let sections = requested.registrations.iter().map(|member| world.at(member.section)).collect();
    let saga = Saga {
        submission: requested.submission,
        bundle: requested.bundle,
        student: world.student(requested.student),
        sections,
        attempt: requested.attempt,
        approval_required: requested.approval_required,
        stage,
    };
    match world.sagas.iter_mut().find(|known| known.bundle == saga.bundle) {
        Some(known) if known.attempt >= saga.attempt => {}
        Some(known) => *known = saga,
        None => world.sagas.push(saga),
    }
}

/// Who was served stood before all others who could have had the seat.
async fn served_in_order(world: &mut World, section: usize, waiting: &[WaitlistEntry]) {
    let lists = crate::oracle::lists_of(world, section);
    let mut passed_over: Vec<&WaitlistEntry> = Vec::new();
    for entry in waiting.iter().filter(|entry| entry.state == WaitlistState::Waiting) {
        let at = world.at(entry.section);
        if !lists.contains(&at) {
            continue;
        }
        let is = world.entry(entry.id).await.state;
        if is == WaitlistState::Waiting {
            passed_over.push(entry);
            continue;
        }
        assert!(
            matches!(is, WaitlistState::Registered | WaitlistState::Offered),
            "a freed seat made {entry:?} {is:?}"
        );
        world.tally.count(if is == WaitlistState::Offered { "seat offered" } else { "seat given" });
        for before in &passed_over {
            let same = world.at(before.section) == at;
            assert!(
                !same || !refused_in_line(world, before).is_empty(),
                "{before:?} was passed over for {entry:?}"
            );
        }
    }
    // What is everybody's is so only because nobody in line could take it.
    let is_automatic = world.sections[section].mode != WaitlistMode::Manual;
    if laws::line(world, section).passed > 0 && is_automatic {
        for entry in passed_over {
            let at = world.at(entry.section);
            let full = world.view.seats[at].taken >= world.sections[at].capacity;
            assert!(
                full || !refused_in_line(world, entry).is_empty(),
                "the seat was passed on although {entry:?} could have it"
            );
        }
    }
}
