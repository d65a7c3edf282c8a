//! What may happen next, chosen by the seed, with what must come of it.

use std::collections::BTreeSet;

use enrollment::domain::{HoldKind, ItemCode, StudentStatus, WaitlistEntry};
use enrollment::operations::{
    accept_offer, drop_registration, give_override, join_waitlist, leave_waitlist, lift_hold,
    offer_seat, on_section_withdrawn, place_hold, revoke_override, submit, swap_registration,
    sweep_waitlists, validate_submission, withdraw_registration,
};
use events::{
    Event, GivenUp, SectionCancelled, SectionSuspended, TermState, WaitlistMode, WaitlistState,
};
use jiff::SignedDuration;
use kernel::{PersonId, RegistrationId};
use serde_json::Value;
use shell::{Failure, Tick};

use crate::catalog::{self, Held, Leave, Status, Term};
use crate::laws;
use crate::oracle::{Has, Oracle, Seats, Verdict};
use crate::saga;
use crate::world::World;

/// Names of the actions with how often each is chosen.
const ACTIONS: [(&str, u32); 24] = [
    ("register", 26),
    ("validate", 2),
    ("saga step", 20),
    ("event", 18),
    ("drop", 7),
    ("withdraw", 5),
    ("swap", 4),
    ("join waitlist", 10),
    ("leave waitlist", 2),
    ("accept offer", 4),
    ("pick from waitlist", 4),
    ("sweep waitlists", 1),
    ("time passes", 3),
    ("change capacity", 4),
    ("suspend", 1),
    ("offer again", 2),
    ("cancel", 1),
    ("change term", 3),
    ("place hold", 1),
    ("lift hold", 2),
    ("give override", 4),
    ("revoke override", 1),
    ("change student", 2),
    ("rush", 3),
];

/// One step.
pub async fn step(world: &mut World) {
    let sum: u32 = ACTIONS.iter().map(|(_, weight)| weight).sum();
    let mut at = world.rng.u32(..sum);
    let chosen = ACTIONS.iter().find(|(_, weight)| {
        let is_it = at < *weight;
        at = at.wrapping_sub(*weight);
        is_it
    });
    let (action, _) = *chosen.expect("one of them");
    match action {
        "register" => register(world).await,
        "validate" => validate(world).await,
        "saga step" => saga::step(world).await,
        "event" => saga::event(world).await,
        "drop" => leave_one(world, GivenUp::Dropped).await,
        "withdraw" => leave_one(world, GivenUp::Withdrawn).await,
        "swap" => swap(world).await,
        "join waitlist" => join(world).await,
        "leave waitlist" => leave(world).await,
        "accept offer" => accept(world).await,
        "pick from waitlist" => pick(world).await,
        "sweep waitlists" => sweep(world).await,
        "time passes" => pass_time(world),
        "change capacity" => change_capacity(world).await,
        "suspend" => withdraw_section(world, Status::Suspended).await,
        "offer again" => offer_again(world).await,
        "cancel" => withdraw_section(world, Status::Cancelled).await,
        "change term" => change_term(world).await,
        "place hold" => place(world).await,
        "lift hold" => lift(world).await,
        "give override" => give(world).await,
        "revoke override" => revoke(world).await,
        "change student" => change_student(world).await,
        _ => rush(world).await,
    }
    world.tally.count(action);
}

fn some_student(world: &mut World) -> usize {
    world.rng.usize(..catalog::STUDENTS)
}

fn some_section(world: &mut World) -> usize {
    world.rng.usize(..world.sections.len())
}

/// One with a line, more often than not: where nobody stands in line nothing comes of it.
fn some_lined_section(world: &mut World) -> usize {
    let is_lined = |at: &usize| world.sections[*at].mode != WaitlistMode::None;
    let lined: Vec<usize> = (0..world.sections.len()).filter(is_lined).collect();
    if world.rng.u8(..4) == 0 {
        return some_section(world);
    }
    world.rng.choice(lined).expect("some have a line")
}

/// One section, or several different ones, or what belongs together.
fn some_cart(world: &mut World) -> Vec<usize> {
    match world.rng.u8(..10) {
        0 => vec![catalog::LECTURE, catalog::LAB],
        1 => vec![catalog::COMPANION, catalog::BASE],
        2 | 3 => vec![some_section(world)],
        4 | 5 => vec![some_lined_section(world)],
        _ => {
            let wanted = world.rng.usize(2..=4);
            let mut cart = Vec::new();
            for _ in 0..wanted {
                let section = some_section(world);
                if !cart.contains(&section) {
                    cart.push(section);
                }
            }
            cart
        }
    }
}

fn has(world: &World, student: usize) -> Vec<Has> {
    Oracle { world, student }.has(&world.view.terms[student])
}

fn command(world: &World, cart: &[usize]) -> submit::Command {
    let sections = cart.iter().map(|at| world.sections[*at].id).collect();
    submit::Command { term: catalog::term(), sections }
}

async fn register(world: &mut World) {
    let (student, cart) = (some_student(world), some_cart(world));
    let standing = has(world, student);
    let expected = Oracle { world, student }.cart(&cart, &standing, Seats::AsForAll);
    let command = command(world, &cart);
    let call = world.call_of_student(student, command);
    let answer = world.ask(submit::handle, &call).await;
    told(world, &expected, &answer, &format!("student {student} asks for {cart:?}"));
    laws::only_grew(world, student, &standing, &expected.held).await;
}

/// What was answered is what had to be, with every code of every item.
fn told(world: &mut World, expected: &Verdict, answer: &Result<Value, Failure>, what: &str) {
    for code in expected.failed.values().flatten() {
        world.tally.refuse(code.code());
    }
    let failed: BTreeSet<(usize, &str)> = expected
        .failed
        .iter()
        .flat_map(|(at, codes)| codes.iter().map(|code| (*at, code.code())))
        .collect();
    let at = |item: &Value| {
        world.at(item["section"].as_str().and_then(|id| id.parse().ok()).expect("a section"))
    };
    match answer {
        Ok(reply) => {
            let bundles = list(&reply["bundles"]);
            let held: BTreeSet<usize> =
                bundles.flat_map(|bundle| list(&bundle["registrations"])).map(at).collect();
            assert_eq!(held, expected.held.iter().copied().collect(), "held: {what}");
            let told = list(&reply["failed"]).flat_map(|item| {
                let codes = list(&item["codes"]).filter_map(|code| code["code"].as_str());
                codes.map(move |code| (at(item), code))
            });
            assert_eq!(told.collect::<BTreeSet<_>>(), failed, "failed: {what}");
        }
        Err(failure) => {
            assert_eq!(expected.held, [0; 0], "{what}: refused with {}", failure.line());
            let errors = errors(failure);
            let told =
                errors.iter().map(|error| (at(error), error["code"].as_str().expect("a code")));
            assert_eq!(told.collect::<BTreeSet<_>>(), failed, "refused: {what}");
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// All that a refusal says against each item.
fn errors(failure: &Failure) -> Vec<Value> {
    let Failure::Refused(refusal) = failure else { panic!("no refusal: {failure:?}") };
    let said = refusal.extensions(kernel::Locale::En);
    said.get("errors").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The codes of a refusal of one thing.
pub fn codes(failure: &Failure) -> BTreeSet<String> {
    let errors = errors(failure);
    if errors.is_empty() {
        return [failure.line()].into();
    }
    errors.iter().filter_map(|error| error["code"].as_str()).map(str::to_owned).collect()
}

/// Either it succeeds, or it is refused with exactly these codes.
fn comes_to<T>(
    world: &mut World,
    expected: &BTreeSet<&'static str>,
    answer: Result<T, Failure>,
    what: &str,
) -> Option<T> {
    for code in expected {
        world.tally.refuse(code);
    }
    match answer {
        Ok(answer) => {
            assert!(expected.is_empty(), "{what}: not refused with {expected:?}");
            Some(answer)
        }
        Err(failure) => {
            let told = codes(&failure);
            let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(told, expected, "{what}: {failure:?}");
            None
        }
    }
}

async fn validate(world: &mut World) {
    let (student, cart) = (some_student(world), some_cart(world));
    let standing = has(world, student);
    let expected = Oracle { world, student }.cart(&cart, &standing, Seats::AsForAll);
    let command = command(world, &cart);
    let call = world.call_of_student(student, command);
    let reply = validate_submission::handle(&world.ctx, &call).await.expect("nothing is asked");
    let reply = serde_json::to_value(&reply).expect("a reply is JSON");
    let items = list(&reply["bundles"]).flat_map(|bundle| list(&bundle["items"]));
    assert_eq!(items.count(), expected.held.len(), "validated: {cart:?} of student {student}");
    laws::nothing_changed(world).await;
}

/// A registration of somebody, as it stands in their term: the student, its place there, and its id.
fn some_registration(world: &mut World) -> Option<(usize, usize, RegistrationId)> {
    let all: Vec<_> = world
        .view
        .terms
        .iter()
        .enumerate()
        .flat_map(|(student, term)| {
            let entries = term.entries.iter().enumerate();
            entries.map(move |(at, entry)| (student, at, entry.registration))
        })
        .collect();
    world.rng.choice(all)
}

/// Those that are left together with it.
fn together(world: &World, student: usize, at: usize) -> Vec<usize> {
    let entries = &world.view.terms[student].entries;
    let group = entries[at].group;
    let linked =
        |other: &usize| *other == at || (group.is_some() && entries[*other].group == group);
    (0..entries.len()).filter(linked).collect()
}

fn is_required(world: &World, student: usize, at: usize) -> bool {
    let entries = &world.view.terms[student].entries;
    entries.iter().any(|entry| entry.corequisites.contains(&entries[at].course))
}

/// Why a confirmed registration is not given up in this way, with what it is linked with.
fn refused_to_leave(
    world: &World,
    standing: &[Has],
    leaving: &[usize],
    ending: GivenUp,
) -> Option<&'static str> {
    if leaving.iter().any(|it| !standing[*it].is_registered) {
        return Some("REGISTRATION_NOT_CONFIRMED");
    }
    match (ending, world.term.drop_is_over) {
        (GivenUp::Dropped, true) => Some("DROP_DEADLINE_PASSED"),
        (GivenUp::Withdrawn, false) => Some("DROP_INSTEAD"),
        _ => None,
    }
}

/// Dropped without a trace, or withdrawn with a W.
async fn leave_one(world: &mut World, ending: GivenUp) {
    let Some((student, at, registration)) = some_registration(world) else { return };
    let standing = has(world, student);
    let leaving = together(world, student, at);
    let mut others = standing.iter().enumerate().filter(|(it, _)| !leaving.contains(it));
    let leaves_nothing = world.term.has_begun && !others.any(|(_, has)| has.is_registered);
    let mut refused = refused_to_leave(world, &standing, &leaving, ending);
    refused = refused.or(is_required(world, student, at).then_some("DROP_BREAKS_COREQUISITE"));
    refused = refused.or(leaves_nothing.then_some("CANNOT_DROP_LAST"));
    let expected = refused.into_iter().collect();
    let answer = match ending {
        GivenUp::Dropped => {
            let call = world.call_of_student(student, drop_registration::Command { registration });
            world.ask(drop_registration::handle, &call).await
        }
        GivenUp::Withdrawn => {
            let call = world.call_of_student(
                student,
                withdraw_registration::Command {
                    registration,
                    last_attended_on: None,
                    reason: None,
                },
            );
            world.ask(withdraw_registration::handle, &call).await
        }
    };
    let what = format!("student {student} leaves {}", standing[at].section);
    let gone = comes_to(world, &expected, answer, &what).map(|_| leaving).unwrap_or_default();
    let gone: Vec<usize> = gone.into_iter().map(|it| standing[it].section).collect();
    laws::only_left(world, student, &standing, &gone).await;
}

/// Of what is neither linked nor taken together with anything.
async fn swap(world: &mut World) {
    let Some((student, at, registration)) = some_registration(world) else { return };
    let standing = has(world, student);
    let old = standing[at].section;
    let new = some_section(world);
    let is_simple =
        |it: usize| !world.sections[it].is_linked() && world.sections[it].corequisite().is_none();
    if !is_simple(old) || !is_simple(new) {
        return;
    }
    let without: Vec<Has> = standing.iter().filter(|has| has.section != old).cloned().collect();
    let verdict = Oracle { world, student }.cart(&[new], &without, Seats::AsForAll);
    let stays = world.sections[new].course == world.sections[old].course;
    let refused = verdict.failed.get(&new);
    let expected: BTreeSet<&str> = if let Some(codes) = refused {
        codes.iter().map(|code| code.code()).collect()
    } else if new == old {
        ["SWAP_IMPOSSIBLE"].into()
    } else if !stays && is_required(world, student, at) {
        ["DROP_BREAKS_COREQUISITE"].into()
    } else {
        refused_to_leave(world, &standing, &[at], GivenUp::Dropped).into_iter().collect()
    };
    let sections = vec![world.sections[new].id];
    let command = swap_registration::Command { registration, sections, with_linked: false };
    let call = world.call_of_student(student, command);
    let answer = world.ask(swap_registration::handle, &call).await;
    let what = format!("student {student} swaps {old} for {new}");
    match comes_to(world, &expected, answer, &what) {
        Some(_) => laws::only_grew(world, student, &without, &[new]).await,
        None => laws::nothing_changed(world).await,
    }
}

async fn join(world: &mut World) {
    let student = some_student(world);
    let section = some_lined_section(world);
    let standing = has(world, student);
    let offers_swap = world.rng.u8(..4) == 0;
    let simple = |has: &&Has| has.is_registered && !world.sections[has.section].is_linked();
    let given_up = standing.iter().filter(simple).map(|has| has.section).next();
    let given_up = given_up.filter(|_| offers_swap);
    let place = given_up.and_then(|old| standing.iter().position(|has| has.section == old));
    let swap = place.map(|at| world.view.terms[student].entries[at].registration);
    let without: Vec<Has> =
        standing.iter().filter(|has| Some(has.section) != given_up).cloned().collect();
    let waits = world.view.terms[student].waiting.iter();
    let waits = waits.map(|it| it.section).any(|id| id == world.sections[section].id);
    let expected = if waits {
        ["WAITING_ALREADY"].into()
    } else if place.is_some_and(|at| is_required(world, student, at)) || given_up == Some(section) {
        ["SWAP_IMPOSSIBLE"].into()
    } else {
        Oracle { world, student }.joining(section, &without)
    };
    let id = world.sections[section].id;
    let command = join_waitlist::Command { term: catalog::term(), section: id, swap };
    let call = world.call_of_student(student, command);
    let answer = world.ask(join_waitlist::handle, &call).await;
    let what = format!("student {student} joins the line for {section}");
    let before = world.view.clone();
    let joined = comes_to(world, &expected, answer, &what).is_some();
    world.look().await;
    laws::hold(world, &before, Some(student));
    let places = |view: &crate::world::View| view.terms[student].waiting.len();
    let grown = places(&world.view) - places(&before);
    assert_eq!(grown, usize::from(joined), "{what}");
}

async fn some_entry(world: &mut World) -> Option<WaitlistEntry> {
    let waiting = world.view.terms.iter().flat_map(|term| &term.waiting);
    let all: Vec<_> = waiting.map(|waiting| waiting.entry).collect();
    let id = world.rng.choice(all)?;
    Some(world.entry(id).await)
}

async fn leave(world: &mut World) {
    let Some(entry) = some_entry(world).await else { return };
    let student = world.student(entry.student);
    let call = world.call_of_student(student, leave_waitlist::Command { entry: entry.id });
    world.ask(leave_waitlist::handle, &call).await.expect("one may always leave");
    let is = world.entry(entry.id).await.state;
    let was_offered = entry.state == WaitlistState::Offered;
    let left = if was_offered { WaitlistState::Declined } else { WaitlistState::Left };
    assert_eq!(is, left);
    let standing = has(world, student);
    laws::only_grew(world, student, &standing, &[]).await;
}

async fn accept(world: &mut World) {
    let entries = world.open_entries().await;
    let offered = entries.iter().filter(|entry| entry.state == WaitlistState::Offered);
    let offered: Vec<WaitlistEntry> = offered.cloned().collect();
    let Some(entry) = world.rng.choice(offered).or(some_entry(world).await) else { return };
    if let Some(offer) = &entry.offer
        && world.rng.u8(..3) == 0
    {
        world.now = world.now.max(offer.expires_at);
    }
    let student = world.student(entry.student);
    let section = world.at(entry.section);
    let standing = has(world, student);
    let expected: BTreeSet<&str> = match &entry.offer {
        None => ["NOTHING_OFFERED"].into(),
        Some(offer) if offer.expires_at <= world.now => ["OFFER_EXPIRED"].into(),
        Some(_) => refused_in_line(world, &entry),
    };
    let call = world.call_of_student(student, accept_offer::Command { entry: entry.id });
    let answer = world.ask(accept_offer::handle, &call).await;
    let what = format!("student {student} accepts the seat in {section}");
    match comes_to(world, &expected, answer, &what) {
        Some(_) => {
            let gives_up = gives_up(world, &entry);
            let stays = |has: &&Has| !gives_up.contains(&has.section);
            let without: Vec<Has> = standing.iter().filter(stays).cloned().collect();
            laws::only_grew(world, student, &without, &[section]).await;
        }
        None => laws::nothing_changed(world).await,
    }
}

/// What somebody in line would lose with the seat that comes.
pub fn gives_up(world: &World, entry: &WaitlistEntry) -> Vec<usize> {
    let student = world.student(entry.student);
    let entries = &world.view.terms[student].entries;
    let at = entries.iter().position(|it| Some(it.registration) == entry.swap);
    let together = at.map(|at| together(world, student, at)).unwrap_or_default();
    together.into_iter().map(|at| world.at(entries[at].section)).collect()
}

/// What speaks against somebody in line, seats and others apart.
pub fn refused_in_line(world: &World, entry: &WaitlistEntry) -> BTreeSet<&'static str> {
    let student = world.student(entry.student);
    let section = world.at(entry.section);
    let standing = has(world, student);
    let entries = &world.view.terms[student].entries;
    let swap = entries.iter().position(|it| Some(it.registration) == entry.swap);
    if swap.is_some_and(|at| is_required(world, student, at)) {
        return ["SWAP_IMPOSSIBLE"].into();
    }
    let gives_up = gives_up(world, entry);
    let stays = |has: &&Has| !gives_up.contains(&has.section);
    let without: Vec<Has> = standing.iter().filter(stays).cloned().collect();
    let verdict = Oracle { world, student }.cart(&[section], &without, Seats::LeftOut);
    let codes = verdict.failed.values().flatten().map(|code| code.code()).collect::<BTreeSet<_>>();
    match swap.filter(|_| codes.is_empty()) {
        Some(at) => {
            refused_to_leave(world, &standing, &[at], GivenUp::Dropped).into_iter().collect()
        }
        None => codes,
    }
}

async fn pick(world: &mut World) {
    let entries = world.open_entries().await;
    let is_picked = |entry: &&WaitlistEntry| {
        world.sections[world.at(entry.section)].mode == WaitlistMode::Manual
    };
    let picked: Vec<WaitlistEntry> = entries.iter().filter(is_picked).cloned().collect();
    let Some(entry) = world.rng.choice(picked) else { return };
    let section = world.at(entry.section);
    let mut expected = refused_in_line(world, &entry);
    let is_full = world.view.seats[section].taken >= world.sections[section].capacity;
    if is_full && !expected.contains("SWAP_IMPOSSIBLE") {
        // What would be given up is looked at only where there is a seat.
        let of_swap = ["DROP_DEADLINE_PASSED", "REGISTRATION_NOT_CONFIRMED"];
        expected.retain(|code| !of_swap.contains(code));
        expected.insert("CLOSED");
    }
    if entry.state == WaitlistState::Offered {
        expected = ["OFFERED_ALREADY"].into();
    }
    let call = world.call_of_registrar(offer_seat::Command { entry: entry.id });
    let answer = world.ask(offer_seat::handle, &call).await;
    let what = format!("student {} is picked for {section}", world.student(entry.student));
    if comes_to(world, &expected, answer, &what).is_some() {
        assert_eq!(world.entry(entry.id).await.state, WaitlistState::Offered, "{what}");
    }
    let student = world.student(entry.student);
    let standing = has(world, student);
    laws::only_grew(world, student, &standing, &[]).await;
}

/// Offers end when their time is over, and not before; the line of a cancelled section is closed.
async fn sweep(world: &mut World) {
    let entries = world.open_entries().await;
    let tick = Tick { now: world.now, correlation_id: "model".to_owned() };
    sweep_waitlists::handle(&world.ctx, &tick).await.expect("it is swept");
    let before = world.view.clone();
    world.look().await;
    laws::hold(world, &before, None);
    for entry in entries {
        let is = world.entry(entry.id).await.state;
        let is_over = entry.offer.as_ref().is_some_and(|offer| offer.expires_at <= world.now);
        let cancelled = world.sections[world.at(entry.section)].status == Status::Cancelled;
        let expected: &[WaitlistState] = match (is_over, cancelled) {
            (true, _) => &[WaitlistState::OfferExpired],
            // By the day, which may have been set again since.
            (false, true) => &[WaitlistState::Closed, entry.state],
            (false, false) => &[entry.state],
        };
        assert!(expected.contains(&is), "an entry is {is:?}, not {expected:?}: {entry:?}");
    }
}

fn pass_time(world: &mut World) {
    let hours = world.rng.i64(1..=14);
    world.now += SignedDuration::from_hours(hours);
}

/// Tells of the section anew, and now and then of what it was before, too late.
async fn change(world: &mut World, at: usize) {
    let before = world.view.clone();
    let old = world.sections[at].clone();
    world.sections[at].version += 1;
    if world.rng.u8(..4) == 0 {
        world.tell_section(at).await;
        world.tally.count("reordered event");
        let new = std::mem::replace(&mut world.sections[at], old);
        let is_told = new.version > 2;
        if is_told {
            let event = world.sections[at].offered();
            let mut late = world.delivery("on-section-offered", event, 0);
            late.envelope.id = format!("{} late#{}", late.envelope.id, new.version);
            world.deliver(enrollment::operations::on_section_offered::handle, &late).await;
        }
        world.sections[at] = new;
    } else {
        world.tell_section(at).await;
    }
    world.look().await;
    laws::hold(world, &before, None);
    assert_eq!(world.view.seats[at].section_version, world.sections[at].version);
    assert_eq!(world.view.seats[at].capacity, world.sections[at].capacity);
}

/// Nobody loses a seat, however few there are.
async fn change_capacity(world: &mut World) {
    let at = some_section(world);
    if world.sections[at].status != Status::Offered {
        return;
    }
    world.sections[at].capacity = world.rng.i64(0..=5);
    change(world, at).await;
}

async fn offer_again(world: &mut World) {
    let withdrawn: Vec<usize> = (0..world.sections.len())
        .filter(|at| world.sections[*at].status != Status::Offered)
        .collect();
    let Some(at) = world.rng.choice(withdrawn) else { return };
    world.sections[at].status = Status::Offered;
    world.sections[at].capacity = world.sections[at].capacity.max(2);
    change(world, at).await;
}

async fn withdraw_section(world: &mut World, status: Status) {
    let at = some_section(world);
    if world.sections[at].status != Status::Offered {
        return;
    }
    world.sections[at].version += 1;
    world.sections[at].status = status;
    let (section, section_version) = (world.sections[at].id, world.sections[at].version);
    let delivery = if status == Status::Cancelled {
        let event = SectionCancelled { section, section_version, ..SectionCancelled::example() };
        world.delivery("on-section-withdrawn", event, section_version)
    } else {
        let event = SectionSuspended { section, section_version, ..SectionSuspended::example() };
        world.delivery("on-section-withdrawn", event, section_version)
    };
    world.deliver(on_section_withdrawn::handle, &delivery).await;
    laws::nothing_changed(world).await;
}

async fn change_term(world: &mut World) {
    let later = world.now + SignedDuration::from_hours(6);
    let usual = Term { version: world.term.version + 1, ..Term::usual() };
    let is_open = world.term.state == TermState::Published && world.term.opens_at <= world.now;
    let choice = world.rng.u8(..16);
    world.term = match choice {
        // Else nobody could register half of the time.
        _ if !is_open => usual,
        0 => Term { state: TermState::Closed, ..usual },
        1 => Term { opens_at: later, ..usual },
        2 => Term { state: TermState::Locked, ..usual },
        3..=6 => Term { drop_is_over: true, ..usual },
        7 | 8 => Term { has_begun: true, ..usual },
        9 | 10 => Term { drop_is_over: true, has_begun: true, ..usual },
        _ => usual,
    };
    tell(world).await;
}

/// As it is most of the time.
pub async fn set_usual_term(world: &mut World) {
    world.term = Term { version: world.term.version + 1, ..Term::usual() };
    tell(world).await;
}

async fn tell(world: &mut World) {
    world.tell_term().await;
    laws::nothing_changed(world).await;
}

async fn place(world: &mut World) {
    let student = some_student(world);
    let person = world.students[student].person;
    let hours = world.rng.i64(1..=48);
    let ends_at = world.rng.bool().then(|| world.now + SignedDuration::from_hours(hours));
    let call = world.call_of_registrar(place_hold::Command {
        student: person,
        kind: HoldKind::Academic,
        reason: "The model says so.".to_owned(),
        ends_at,
    });
    let placed = world.ask(place_hold::handle, &call).await.expect("it is placed");
    let id = placed["id"].as_str().and_then(|id| id.parse().ok()).expect("a hold has an id");
    world.students[student].holds.push(Held { id, ends_at });
}

async fn lift(world: &mut World) {
    let held: Vec<usize> =
        (0..world.students.len()).filter(|at| !world.students[*at].holds.is_empty()).collect();
    let Some(student) = world.rng.choice(held) else { return };
    let hold = world.students[student].holds.pop().expect("there is one");
    let person = world.students[student].person;
    let reason = "The model says so.".to_owned();
    let call =
        world.call_of_registrar(lift_hold::Command { student: person, hold: hold.id, reason });
    world.ask(lift_hold::handle, &call).await.expect("it is lifted");
}

const LIFTED: [ItemCode; 14] = [
    ItemCode::InstructorPermission,
    ItemCode::PrereqNotMet,
    ItemCode::TestScore,
    ItemCode::RestrictionProgramme,
    ItemCode::RestrictionLevel,
    ItemCode::RestrictionAttribute,
    ItemCode::CoreqRequired,
    ItemCode::TimeConflict,
    ItemCode::MaxCredits,
    ItemCode::RepeatLimit,
    ItemCode::ReservedClosed,
    ItemCode::Closed,
    ItemCode::WaitlistOnly,
    ItemCode::WaitlistFull,
];

async fn give(world: &mut World) {
    let (student, mut section) = (some_student(world), some_section(world));
    let code = *world.rng.choice(&LIFTED).expect("there are some");
    if code == ItemCode::InstructorPermission {
        section = world.sections.iter().position(|it| it.permission).unwrap_or(section);
    }
    let hours = world.rng.i64(2..=72);
    let expires_at = world.now + SignedDuration::from_hours(hours);
    let (person, id) = (world.students[student].person, world.sections[section].id);
    let call = world.call_of_registrar(give_override::Command {
        student: person,
        section: id,
        code,
        reason: "The model says so.".to_owned(),
        expires_at,
    });
    let given = world.ask(give_override::handle, &call).await.expect("it is given");
    let id = given["id"].as_str().and_then(|id| id.parse().ok()).expect("an override has an id");
    world.students[student].overrides.push(Leave { id, section, code, expires_at });
}

async fn revoke(world: &mut World) {
    let given: Vec<usize> =
        (0..world.students.len()).filter(|at| !world.students[*at].overrides.is_empty()).collect();
    let Some(student) = world.rng.choice(given) else { return };
    let leave = world.students[student].overrides.pop().expect("there is one");
    let (person, reason) = (world.students[student].person, "The model says so.".to_owned());
    let command = revoke_override::Command { student: person, r#override: leave.id, reason };
    let call = world.call_of_registrar(command);
    world.ask(revoke_override::handle, &call).await.expect("it is taken back");
}

async fn change_student(world: &mut World) {
    let student = some_student(world);
    let choice = world.rng.u8(..6);
    let standing = world.rng.u32(1..=4);
    let record = &mut world.students[student].record;
    match choice {
        0 => record.status = StudentStatus::OnLeave,
        1 => record.standing = standing,
        2 => _ = record.programs.insert("CS".to_owned()),
        3 => record.programs.clear(),
        _ => record.status = StudentStatus::Active,
    }
    world.tell_student(student).await;
}

/// Many ask for one section at the same moment: exactly as many get a seat as there are.
async fn rush(world: &mut World) {
    const CONTENDERS: usize = 8;
    let section = some_section(world);
    let of_it = &world.sections[section];
    if of_it.pooled || of_it.is_linked() || of_it.corequisite().is_some() {
        return;
    }
    let students = world.rng.choose_multiple(0..catalog::STUDENTS, CONTENDERS);
    let mut fit = Vec::new();
    let mut beyond = Vec::new();
    for student in students.iter().copied() {
        let oracle = Oracle { world, student };
        let verdict = oracle.cart(&[section], &has(world, student), Seats::AsForAll);
        let codes = verdict.failed.get(&section).cloned().unwrap_or_default();
        let is_let_in_beyond = |code| {
            let leave =
                |it: &Leave| it.section == section && it.code == code && world.now < it.expires_at;
            world.students[student].overrides.iter().any(leave)
        };
        if is_let_in_beyond(ItemCode::Closed) || is_let_in_beyond(ItemCode::WaitlistOnly) {
            beyond.push(student);
        } else if codes.is_empty() {
            fit.push(student);
        }
    }
    // Whoever gets in beyond the capacity changes what is left for the others.
    let contenders: Vec<usize> =
        students.into_iter().filter(|student| !beyond.contains(student)).collect();
    let free = laws::free_seats(world, section);
    let passed = laws::passed_on(world, section);
    let expected = fit.len().min(usize::try_from(free).unwrap_or_default()).min(passed);
    let mut calls = Vec::new();
    for student in &contenders {
        let command = command(world, &[section]);
        calls.push(world.call_of_student(*student, command));
    }
    let asked = calls.iter().map(|call| world.insist(&submit::handle, call));
    let answers = futures_util::future::join_all(asked).await;
    let held: Vec<PersonId> = calls
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_ok())
        .map(|(call, _)| call.person())
        .collect();
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    for failure in refused {
        assert!(matches!(failure, Failure::Refused(_)), "not a refusal: {failure:?}");
    }
    assert_eq!(
        held.len(),
        expected,
        "{fit:?} rush for {free} seats of {section}: {held:?} got one"
    );
    let before = world.view.clone();
    world.look().await;
    laws::hold(world, &before, None);
}
