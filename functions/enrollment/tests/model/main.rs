//! The rules of registration against a model: random interleavings of everything that students, staff, the catalog and
//! the state machine do, with crashes, repetitions and events out of order, from a seed; what must come of each step
//! is worked out apart, and the laws of seats are checked after every one.
//!
//! `MODEL_STEPS` sets how many steps (10,000), `MODEL_SEED` begins at another seed, or runs the one that failed.

mod actions;
mod catalog;
mod laws;
mod oracle;
mod saga;
mod tally;
mod world;

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;

use crate::tally::Tally;
use crate::world::World;

const STEPS: u64 = 10_000;
/// Steps from one seed, on tables of its own: what they hold is read whole now and then.
const STEPS_OF_SEED: u64 = 500;
const FIRST_SEED: u64 = 1;
/// All items are looked at after so many steps.
const LOOK_EVERYWHERE_AFTER: u64 = 100;
/// Nothing is under way any more after so many.
const SETTLE_AFTER: u64 = 125;

/// What a run of the usual length has reached.
const ACTIONS: [&str; 40] = [
    "register",
    "validate",
    "saga step",
    "event",
    "drop",
    "withdraw",
    "swap",
    "join waitlist",
    "leave waitlist",
    "accept offer",
    "pick from waitlist",
    "sweep waitlists",
    "time passes",
    "change capacity",
    "suspend",
    "offer again",
    "cancel",
    "change term",
    "place hold",
    "lift hold",
    "give override",
    "revoke override",
    "change student",
    "rush",
    "crash",
    "duplicate command",
    "duplicate step",
    "duplicate event",
    "reordered event",
    "event again",
    "promotion",
    "clearance",
    "seat given",
    "seat offered",
    "saga: approve",
    "saga: reject",
    "saga: pay",
    "saga: expire",
    "saga: release",
    "saga: too late",
];
const REFUSALS: [&str; 35] = [
    "TERM_CLOSED",
    "WINDOW_NOT_OPEN",
    "SECTION_NOT_OFFERED",
    "HOLD",
    "STATUS_INELIGIBLE",
    "DUPLICATE_SECTION",
    "DUPLICATE_COURSE",
    "RESTRICTION_LEVEL",
    "RESTRICTION_PROGRAMME",
    "RESTRICTION_ATTRIBUTE",
    "PREREQ_NOT_MET",
    "TEST_SCORE",
    "COREQ_REQUIRED",
    "LINK_REQUIRED",
    "INSTRUCTOR_PERMISSION",
    "TIME_CONFLICT",
    "MAX_CREDITS",
    "REPEAT_LIMIT",
    "WAITING_ALREADY",
    "RESERVED_CLOSED",
    "CLOSED",
    "WAITLIST_FULL",
    "WAITLIST_ONLY",
    "MAX_WAITLISTED_CREDITS",
    "NO_WAITLIST",
    "SEAT_IS_FREE",
    "SWAP_IMPOSSIBLE",
    "REGISTRATION_NOT_CONFIRMED",
    "DROP_BREAKS_COREQUISITE",
    "DROP_DEADLINE_PASSED",
    "DROP_INSTEAD",
    "CANNOT_DROP_LAST",
    "NOTHING_OFFERED",
    "OFFER_EXPIRED",
    "OFFERED_ALREADY",
];

/// Of both, what a run of [`STEPS`] reaches only as a rule; a longer one has to.
const SELDOM: [&str; 4] =
    ["seat offered", "MAX_WAITLISTED_CREDITS", "OFFER_EXPIRED", "OFFERED_ALREADY"];

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
#[expect(clippy::print_stdout, reason = "how often each action and each refusal occurred")]
fn nobody_is_oversold_and_every_rule_holds_after_every_step() {
    let steps = number_from("MODEL_STEPS").unwrap_or(STEPS);
    let first = number_from("MODEL_SEED").unwrap_or(FIRST_SEED);
    let (next, seeds) = (AtomicU64::new(first), steps.div_ceil(STEPS_OF_SEED));
    let whole = Mutex::new(Tally::default());
    // They wait too: for whoever wrote first, and after a crash.
    let threads = 2 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let broken = std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + seeds {
                    return None;
                }
                match episode(seed) {
                    Ok(tally) => whole.lock().expect("nobody panics with it").add(tally),
                    Err(step) => {
                        // The others need not go on.
                        next.store(first + seeds, Ordering::Relaxed);
                        return Some((seed, step));
                    }
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().find_map(|thread| thread.join().expect("an episode's panic is caught"))
    });
    let whole = whole.into_inner().expect("nobody panics with it");
    println!("{whole}");
    if let Some((seed, step)) = broken {
        panic!("seed {seed} broke at step {step}: MODEL_SEED={seed} MODEL_STEPS=1 runs it again");
    }
    if steps >= STEPS {
        let action = |name: &&&str| !whole.actions.contains_key(**name);
        let refusal = |code: &&&str| !whole.refusals.contains_key(**code);
        let unreached = ACTIONS.iter().filter(action).chain(REFUSALS.iter().filter(refusal));
        let may_miss = |name: &&&str| steps < 10 * STEPS && SELDOM.contains(*name);
        let unreached: Vec<_> = unreached.filter(|name| !may_miss(name)).collect();
        assert!(unreached.is_empty(), "never reached: {unreached:?}");
    }
}

/// One seed; where it breaks, the step at which it did. What broke is told on standard error.
fn episode(seed: u64) -> Result<Tally, u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("there is a runtime");
    runtime.block_on(async {
        let mut world = World::begin(seed).await;
        for step in 1..=STEPS_OF_SEED {
            let one = AssertUnwindSafe(one_step(&mut world, step)).catch_unwind().await;
            one.map_err(|_| step)?;
            world.tally.steps += 1;
        }
        Ok(world.tally)
    })
}

async fn one_step(world: &mut World, step: u64) {
    actions::step(world).await;
    if step.is_multiple_of(LOOK_EVERYWHERE_AFTER) {
        laws::hold_everywhere(world);
    }
    if step.is_multiple_of(SETTLE_AFTER) {
        saga::settle(world).await;
    }
    if step == STEPS_OF_SEED {
        actions::set_usual_term(world).await;
        laws::nothing_is_miscounted(world).await;
    }
}
