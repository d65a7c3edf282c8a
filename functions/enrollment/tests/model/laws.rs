//! What holds after every step, whatever it was; and, now and then, for every item that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use enrollment::domain::{EntryState, ItemCode, Line, StudentTerm};
use enrollment::operations::reconcile_seats;
use events::{WaitlistMode, WaitlistState};
use kernel::SectionId;
use shell::Tick;
use testkit::EngineItem;

use crate::catalog::{CROSS_A, CROSS_B, CROSS_LIST_CAPACITY, Hours};
use crate::oracle::Has;
use crate::world::{Saga, Stage, View, World};

/// The line that a section's students stand in.
pub fn line(world: &World, section: usize) -> &Line {
    let of_list = world.sections[section].is_cross_listed();
    if of_list { &world.view.shared.line } else { &world.view.seats[section].line }
}

pub fn free_seats(world: &World, section: usize) -> i64 {
    let of_section = world.sections[section].capacity - world.view.seats[section].taken;
    let of_list = CROSS_LIST_CAPACITY - world.view.shared.taken;
    let is_shared = world.sections[section].is_cross_listed();
    (if is_shared { of_section.min(of_list) } else { of_section }).max(0)
}

/// Seats that the line has passed on, where somebody stands in it: others get no more than those.
pub fn passed_on(world: &World, section: usize) -> usize {
    let line = line(world, section);
    if line.waiting > 0 { usize::try_from(line.passed).unwrap_or_default() } else { usize::MAX }
}

/// Nothing but somebody's own term may change where nobody else is concerned.
pub fn hold(world: &World, before: &View, actor: Option<usize>) {
    let View { seats, shared, terms } = &world.view;
    let mut seated = vec![0_i64; seats.len()];
    let mut in_line = vec![0_i64; seats.len()];
    for (student, term) in terms.iter().enumerate() {
        for entry in &term.entries {
            seated[world.at(entry.section)] += 1;
        }
        for waiting in &term.waiting {
            in_line[world.at(waiting.section)] += 1;
        }
        of_student(world, before, student);
        if actor.is_some_and(|actor| actor != student) {
            assert!(
                Rc::ptr_eq(term, &before.terms[student]) || *term == before.terms[student],
                "student {student} did nothing"
            );
        }
    }
    for (at, seats) in seats.iter().enumerate() {
        let name = world.sections[at].name;
        assert_eq!(seats.taken, seated[at] + seats.offered, "seats taken of {name}");
        let in_pools: i64 = seats.taken_in_pools.values().sum();
        assert_eq!(seats.taken, seats.taken_generally + in_pools, "kinds of seats of {name}");
        assert_eq!(seats.line.waiting + seats.offered, in_line[at], "who waits for {name}");
        let counts = [seats.taken, seats.offered, seats.line.waiting, seats.line.passed];
        assert!(counts.iter().all(|count| *count >= 0), "less than nothing of {name}: {seats:?}");
        let has_grown = seats.taken > before.seats[at].taken;
        let fits = seats.taken <= world.sections[at].capacity;
        assert!(!has_grown || fits || lets_beyond(world, at), "{name} is oversold: {seats:?}");
        let last = before.seats[at].line.last_position;
        assert!(seats.line.last_position >= last, "a position was given back in {name}");
    }
    let of_list = [CROSS_A, CROSS_B];
    let sum = |of: &[i64]| of_list.iter().map(|at| of[*at]).sum::<i64>();
    let taken: Vec<i64> = seats.iter().map(|seats| seats.taken).collect();
    let waiting: Vec<i64> = seats.iter().map(|seats| seats.line.waiting).collect();
    assert_eq!(shared.taken, sum(&taken), "seats taken of the cross-list");
    assert_eq!(shared.line.waiting, sum(&waiting), "who waits for the cross-list");
    let has_grown = shared.taken > before.shared.taken;
    let beyond = of_list.iter().any(|at| lets_beyond(world, *at));
    assert!(
        !has_grown || shared.taken <= CROSS_LIST_CAPACITY || beyond,
        "the cross-list is oversold"
    );
}

/// Whether an override may have let somebody in although no seat was free.
fn lets_beyond(world: &World, section: usize) -> bool {
    world.students.iter().any(|student| {
        student.overrides.iter().any(|it| it.section == section && it.code == ItemCode::Closed)
    })
}

/// What a student comes to have fits with what they had.
fn of_student(world: &World, before: &View, student: usize) {
    let (is, was) = (&world.view.terms[student], &before.terms[student]);
    if Rc::ptr_eq(is, was) || is.entries == was.entries {
        return;
    }
    let lifts = |section: usize, code: ItemCode| {
        let overrides = &world.students[student].overrides;
        overrides.iter().any(|it| it.section == section && it.code == code)
    };
    let mut sections = BTreeSet::new();
    for entry in &is.entries {
        let at = world.at(entry.section);
        assert!(sections.insert(at), "student {student} is in {at} twice");
        let is_new = !was.entries.iter().any(|other| other.registration == entry.registration);
        if !is_new {
            continue;
        }
        for other in &is.entries {
            let other = world.at(other.section);
            let hours = |at: usize| world.sections[at].hours;
            let overlap = hours(at).zip(hours(other)).is_some_and(|(a, b)| Hours::overlap(a, b));
            let allowed = other == at
                || lifts(at, ItemCode::TimeConflict)
                || lifts(other, ItemCode::TimeConflict);
            assert!(!overlap || allowed, "student {student} is in {at} and {other} at once");
        }
        let credits: u32 = is.entries.iter().map(|entry| entry.credits_hundredths).sum();
        let allowed = is.entries.iter().any(|it| lifts(world.at(it.section), ItemCode::MaxCredits));
        assert!(
            credits <= 4_500 || allowed,
            "student {student} has {credits} hundredths of credits"
        );
    }
}

/// The student has what they had, and holds these besides; nobody else is concerned.
pub async fn only_grew(world: &mut World, student: usize, had: &[Has], held: &[usize]) {
    let before = world.view.clone();
    world.look().await;
    hold(world, &before, Some(student));
    let has: BTreeMap<usize, bool> = world.view.terms[student]
        .entries
        .iter()
        .map(|entry| (world.at(entry.section), entry.state == EntryState::Registered))
        .collect();
    let mut expected: BTreeMap<usize, bool> =
        had.iter().map(|has| (has.section, has.is_registered)).collect();
    expected.extend(held.iter().map(|section| (*section, false)));
    assert_eq!(has, expected, "what student {student} has");
}

pub async fn only_left(world: &mut World, student: usize, had: &[Has], gone: &[usize]) {
    let stays: Vec<Has> = had.iter().filter(|has| !gone.contains(&has.section)).cloned().collect();
    only_grew(world, student, &stays, &[]).await;
}

/// Neither seats nor what students have.
pub async fn nothing_changed(world: &mut World) {
    let before = world.view.clone();
    world.look().await;
    hold(world, &before, None);
    assert_eq!(world.view.terms, before.terms);
    let taken = |view: &View| view.seats.iter().map(|it| (it.taken, it.line)).collect::<Vec<_>>();
    assert_eq!(taken(&world.view), taken(&before));
}

/// What the saga has come to shows in the student's term.
pub fn saga_is_seen(world: &World, saga: &Saga, stage: Stage) {
    let state = |section: usize| {
        let entries = &world.view.terms[saga.student].entries;
        entries.iter().find(|it| world.at(it.section) == section).map(|entry| entry.state)
    };
    for section in saga.sections.iter().copied() {
        match (saga.stage, stage) {
            (Stage::Begun | Stage::Approved | Stage::Charged, Stage::Confirmed) => {
                assert_eq!(state(section), Some(EntryState::Registered), "{saga:?}");
            }
            (Stage::Undoing, Stage::Released) => assert_eq!(state(section), None, "{saga:?}"),
            _ => {}
        }
    }
}

/// Where nothing moves any more, whoever stands before a free seat was asked and could not take it; then it is
/// everybody's, but where somebody picks.
pub async fn nobody_is_forgotten(world: &World) {
    for entry in world.open_entries().await {
        let section = world.at(entry.section);
        let is_picked = world.sections[section].mode == WaitlistMode::Manual;
        let waits = entry.state == WaitlistState::Waiting;
        if !waits || is_picked || free_seats(world, section) == 0 {
            continue;
        }
        assert!(entry.skipped.is_some(), "nobody asks {entry:?}");
        assert!(line(world, section).passed > 0, "a free seat of {section} is nobody's");
    }
}

/// The registrar's office counts the seats one by one, and finds what the counters say.
pub async fn nothing_is_miscounted(world: &World) {
    let tick = Tick { now: world.now, correlation_id: "model".to_owned() };
    let told = reconcile_seats::handle(&world.ctx, &tick).await.expect("seats are counted");
    let counted = world.sections.len();
    assert_eq!(told, reconcile_seats::Reply { counted, ..reconcile_seats::Reply::default() });
}

/// Every registration, roster entry and place, against what students' terms say: read past all operations.
pub fn hold_everywhere(world: &World) {
    let items = world.engine.all_items(&world.table);
    let of_kind = |kind: &'static str| items.iter().filter(move |item| item.text("kind") == kind);
    let pairs = |kind: &'static str, states: &[&str]| {
        let counts =
            |item: &&EngineItem| states.is_empty() || states.contains(&item.field("state"));
        let pair = |item: &EngineItem| {
            (item.field("student").to_owned(), item.field("section").to_owned())
        };
        let mut pairs: Vec<_> = of_kind(kind).filter(counts).map(pair).collect();
        pairs.sort();
        pairs
    };
    let terms = &world.view.terms;
    let listed = |of: fn(&StudentTerm) -> Vec<SectionId>| {
        let mut listed: Vec<(String, String)> = Vec::new();
        for term in terms {
            let student = term.student.to_string();
            let sections = of(term).into_iter();
            listed.extend(sections.map(|section| (student.clone(), section.to_string())));
        }
        listed.sort();
        listed
    };
    let entries = listed(|term| term.entries.iter().map(|entry| entry.section).collect());
    let seated = pairs("registration", &["seat_held", "registered"]);
    assert_eq!(seated, entries, "registrations and students' terms");
    assert_eq!(pairs("roster-entry", &[]), entries, "rosters and students' terms");
    let withdrawn = listed(|term| term.withdrawn.iter().map(|entry| entry.section).collect());
    assert_eq!(pairs("registration", &["withdrawn"]), withdrawn, "a W and students' terms");
    let waiting = listed(|term| term.waiting.iter().map(|it| it.section).collect());
    assert_eq!(pairs("waitlist-place", &[]), waiting, "places and students' terms");
    let open = pairs("waitlist-entry", &["waiting", "offered"]);
    assert_eq!(open, waiting, "entries and students' terms");
    let bundles: BTreeSet<&str> =
        of_kind("registration").map(|item| item.field("bundle")).collect();
    assert_eq!(bundles.len(), of_kind("bundle").count(), "each bundle has its registrations");
}
