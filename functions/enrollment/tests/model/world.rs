//! The world of one episode: the tables on an embedded engine, the clock, what was told, and what the tables showed
//! last.

use std::collections::BTreeSet;
use std::rc::Rc;

use enrollment::Ctx;
use enrollment::domain::{SectionSeats, SharedSeats, StudentTerm, WaitlistEntry};
use enrollment::operations::{
    on_registration_group_changed, on_section_offered, on_term_changed, set_student_record,
};
use events::{
    ClearanceAdvanced, Envelope, Event, RegistrationGroupChanged, SagaRequested, SeatFreed,
};
use fastrand::Rng;
use kernel::{BundleId, Id, PersonId, SectionId, SubmissionId, Timestamp, WaitlistEntryId};
use serde::Serialize;
use serde_json::Value;
use shell::{Call, Caller, Delivery, Failure, Grant, Role, Scope, Step};
use table::{IdempotencyKey, Key, Table};
use testkit::{Engine, Fault, Faults};

use crate::catalog::{self, Section, Student, Term};
use crate::tally::Tally;

/// How many calls of an operation may meet a fault, counted from its first.
const FAULTY_CALLS: u64 = 6;
const TRIES_MAX: u32 = 20;
/// What enrollment itself consumes; the rest concerns others.
const HEARD: [&str; 3] = [SagaRequested::NAME, SeatFreed::NAME, ClearanceAdvanced::NAME];

/// What the tables show of seats and students, read after every step.
#[derive(Debug, Clone)]
pub struct View {
    pub seats: Vec<Rc<SectionSeats>>,
    pub shared: Rc<SharedSeats>,
    pub terms: Vec<Rc<StudentTerm>>,
}

/// Where they lie.
struct Watched {
    seats: Vec<Key<SectionSeats>>,
    shared: Key<SharedSeats>,
    terms: Vec<Key<StudentTerm>>,
    all: Vec<(String, String)>,
}

impl Watched {
    fn of(sections: &[Section], students: &[Student]) -> Self {
        let seats = |section: &Section| Key::new(format!("SECTION#{}", section.id), "SEATS");
        let seats: Vec<Key<SectionSeats>> = sections.iter().map(seats).collect();
        let of_term = format!("TERM#{}", catalog::term());
        let term =
            |student: &Student| Key::new(format!("STUDENT#{}", student.person), of_term.clone());
        let terms: Vec<Key<StudentTerm>> = students.iter().map(term).collect();
        let shared = Key::new(format!("CROSS-LIST#{}", catalog::cross_list()), "SEATS");
        let mut all: Vec<(String, String)> = seats.iter().map(Into::into).collect();
        all.extend(terms.iter().map(Into::into));
        all.push((&shared).into());
        Self { seats, shared, terms, all }
    }
}

/// A bundle on its way, as the state machine would carry it.
#[derive(Debug, Clone)]
pub struct Saga {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub student: usize,
    pub sections: Vec<usize>,
    pub attempt: u32,
    pub approval_required: bool,
    pub stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Begun,
    Asked,
    Approved,
    Charged,
    Undoing,
    Confirmed,
    Released,
    Over,
}

/// How an operation is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Once,
    /// The same command once more under its key.
    Twice,
    /// It breaks off at one of its calls, and is asked again.
    Crash,
}

pub struct World {
    pub rng: Rng,
    pub engine: Engine,
    pub table: Table,
    pub ctx: Ctx,
    pub now: Timestamp,
    pub sections: Vec<Section>,
    pub students: Vec<Student>,
    pub term: Term,
    pub view: View,
    watched: Watched,
    pub sagas: Vec<Saga>,
    /// Events that were told and not delivered yet, and those that were.
    pub pending: Vec<Envelope>,
    pub delivered: Vec<Envelope>,
    pub known: BTreeSet<String>,
    pub tally: Tally,
    commands: u64,
}

impl World {
    pub async fn begin(seed: u64) -> Self {
        // Ids are made of chance too.
        fastrand::seed(seed);
        let engine = Engine::start().await;
        let table = engine.in_process(&engine.table("model").await);
        let (sections, students) = (catalog::sections(), catalog::students());
        let view = View {
            seats: sections
                .iter()
                .map(|section| Rc::new(SectionSeats::offered(section.offered(), None)))
                .collect(),
            shared: Rc::new(SharedSeats::empty(catalog::cross_list())),
            terms: students
                .iter()
                .map(|student| Rc::new(StudentTerm::empty(student.person, catalog::term())))
                .collect(),
        };
        let watched = Watched::of(&sections, &students);
        let mut world = Self {
            rng: Rng::with_seed(seed),
            ctx: Ctx::new(table.clone()),
            engine,
            table,
            now: testkit::now(),
            sections,
            students,
            term: Term::usual(),
            view,
            watched,
            sagas: Vec::new(),
            pending: Vec::new(),
            delivered: Vec::new(),
            known: BTreeSet::new(),
            tally: Tally::default(),
            commands: 0,
        };
        world.open().await;
        world
    }

    /// The catalog tells of everything, and the registrar's office of everybody.
    async fn open(&mut self) {
        self.tell_term().await;
        for at in 0..self.sections.len() {
            self.tell_section(at).await;
        }
        let group = RegistrationGroupChanged {
            group: catalog::group(),
            group_version: 1,
            term: catalog::term(),
            sections: vec![self.sections[catalog::LECTURE].id, self.sections[catalog::LAB].id],
            ..RegistrationGroupChanged::example()
        };
        let delivery = self.delivery("on-registration-group-changed", group, 1);
        self.deliver(on_registration_group_changed::handle, &delivery).await;
        for at in 0..self.students.len() {
            self.tell_student(at).await;
        }
        self.look().await;
    }

    pub async fn tell_term(&mut self) {
        let delivery = self.delivery("on-term-changed", self.term.changed(), self.term.version);
        self.deliver(on_term_changed::handle, &delivery).await;
    }

    pub async fn tell_section(&mut self, at: usize) {
        let event = self.sections[at].offered();
        let delivery = self.delivery("on-section-offered", event, self.sections[at].version);
        self.deliver(on_section_offered::handle, &delivery).await;
    }

    pub async fn tell_student(&mut self, at: usize) {
        let Student { person: student, record, .. } = self.students[at].clone();
        let call = self.call_of_registrar(set_student_record::Command { student, record });
        self.ask(set_student_record::handle, &call).await.expect("the registrar sets it");
    }

    pub fn delivery<E: Event>(&self, consumer: &str, event: E, version: u64) -> Delivery {
        let mut delivery = testkit::delivery(consumer, event);
        delivery.envelope.id = format!("{}#{version}", delivery.envelope.id);
        delivery.now = self.now;
        delivery
    }

    /// Where the section stands in our list.
    pub fn at(&self, section: SectionId) -> usize {
        let at = self.sections.iter().position(|known| known.id == section);
        at.expect("there are no others")
    }

    pub fn student(&self, person: PersonId) -> usize {
        let at = self.students.iter().position(|known| known.person == person);
        at.expect("there are no others")
    }

    pub fn call_of_student<C>(&mut self, student: usize, command: C) -> Call<C> {
        let person = self.students[student].person;
        self.call(command, person, Vec::new(), Scope::Own)
    }

    pub fn call_of_registrar<C>(&mut self, command: C) -> Call<C> {
        let grants = vec![Grant { role: Role::Registrar, department: None }];
        self.call(command, PersonId::derived_from("registrar"), grants, Scope::All)
    }

    fn call<C>(
        &mut self,
        command: C,
        person: PersonId,
        grants: Vec<Grant>,
        scope: Scope,
    ) -> Call<C> {
        self.commands += 1;
        let call = testkit::call(command);
        let caller = call.caller.clone().map(|caller| Caller { person, grants, ..caller });
        let key = IdempotencyKey {
            scope: format!("{person}#{}", self.commands),
            input_hash: "the same".to_owned(),
        };
        Call {
            caller,
            reach: vec![(scope, None)],
            now: self.now,
            idempotency_key: Some(key),
            ..call
        }
    }

    /// Where it is to break off, one of its calls meets a fault, for longer than the SDK tries by itself.
    fn manner(&mut self) -> Manner {
        let manner = match self.rng.u8(..100) {
            0..=7 => Manner::Twice,
            8..=12 => Manner::Crash,
            _ => Manner::Once,
        };
        if manner == Manner::Crash {
            let fault = *self.rng.choice(&Fault::ALL).expect("there are faults");
            self.engine.set_faults(Faults::lasting(self.rng.u64(..FAULTY_CALLS), fault));
            self.tally.count("crash");
        }
        manner
    }

    /// Asks for something, now and then twice, or through a crash: the answer is the same.
    pub async fn ask<C, R: Serialize>(
        &mut self,
        handler: impl AsyncFn(&Ctx, &Call<C>) -> Result<R, Failure>,
        call: &Call<C>,
    ) -> Result<Value, Failure> {
        let manner = self.manner();
        let first = self.insist(&handler, call).await;
        if manner == Manner::Twice {
            self.tally.count("duplicate command");
            let again = self.insist(&handler, call).await;
            match (&first, &again) {
                (Ok(first), Ok(again)) => {
                    assert_eq!(first, again, "a repeated command gets the first reply");
                }
                (Err(first), Err(again)) => assert_eq!(first.line(), again.line()),
                _ => panic!("a repeated command: {first:?}, then {again:?}"),
            }
        }
        first
    }

    /// As a client does: what could not be answered is asked again under the same key.
    pub async fn insist<C, R: Serialize>(
        &self,
        handler: &impl AsyncFn(&Ctx, &Call<C>) -> Result<R, Failure>,
        call: &Call<C>,
    ) -> Result<Value, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let result = shell::http::carry_out(&self.ctx, handler, call).await;
            self.engine.set_faults(Faults::none());
            match result {
                Err(failure) if tries < TRIES_MAX && is_worth_asking_again(&failure) => {}
                other => return other,
            }
        }
    }

    /// A step of the state machine, which tries again by itself, and may come twice.
    pub async fn step<C: Clone, R>(
        &mut self,
        handler: impl AsyncFn(&Ctx, &Step<C>) -> Result<R, Failure>,
        command: C,
    ) -> Result<R, Failure> {
        let step = Step { now: self.now, ..testkit::step(command) };
        let manner = self.manner();
        let mut tries = 0;
        let result = loop {
            tries += 1;
            let result = shell::run_step(async || handler(&self.ctx, &step).await).await;
            self.engine.set_faults(Faults::none());
            match result {
                Err(failure) if tries < TRIES_MAX && is_worth_asking_again(&failure) => {}
                other => break other,
            }
        };
        if manner == Manner::Twice && result.is_ok() {
            self.tally.count("duplicate step");
            let again = shell::run_step(async || handler(&self.ctx, &step).await).await;
            assert!(
                again.is_ok(),
                "a repeated step: {}",
                again.err().map(|it| it.line()).unwrap_or_default()
            );
        }
        result
    }

    /// An event comes to its consumer, perhaps twice, perhaps through a crash.
    pub async fn deliver(
        &mut self,
        handler: impl AsyncFn(&Ctx, &Delivery) -> Result<(), Failure>,
        delivery: &Delivery,
    ) {
        let manner = self.manner();
        let times = if manner == Manner::Twice { 2 } else { 1 };
        if manner == Manner::Twice {
            self.tally.count("duplicate event");
        }
        for _ in 0..times {
            let mut tries = 0;
            loop {
                tries += 1;
                let taken = shell::run_step(async || match handler(&self.ctx, delivery).await {
                    Err(Failure::DoneBefore) => Ok(()),
                    other => other,
                });
                let taken = taken.await;
                self.engine.set_faults(Faults::none());
                match taken {
                    Ok(()) => break,
                    Err(failure) if tries < TRIES_MAX && is_worth_asking_again(&failure) => {}
                    Err(failure) => panic!("{} is not taken: {failure:?}", delivery.envelope.id),
                }
            }
        }
    }

    /// Sees what seats and terms have become; what nobody wrote is not read again.
    pub async fn look(&mut self) {
        let written = self.engine.take_written();
        let is_written = |key: &&(String, String)| written.contains(*key);
        let changed: Vec<_> = self.watched.all.iter().filter(is_written).cloned().collect();
        let mut batch = self.table.get_batch(changed).await.expect("the tables can be read");
        for (view, key) in self.view.seats.iter_mut().zip(&self.watched.seats) {
            if let Some(stored) = batch.take(key).expect("seats can be read") {
                *view = Rc::new(stored.value);
            }
        }
        for (view, key) in self.view.terms.iter_mut().zip(&self.watched.terms) {
            if let Some(stored) = batch.take(key).expect("a term can be read") {
                *view = Rc::new(stored.value);
            }
        }
        if let Some(stored) = batch.take(&self.watched.shared).expect("seats can be read") {
            self.view.shared = Rc::new(stored.value);
        }
    }

    pub async fn entry(&self, id: WaitlistEntryId) -> WaitlistEntry {
        let stored = self.table.get(&entry_key(id)).await.expect("an entry can be read");
        stored.expect("who waits has an entry").value
    }

    /// Every entry that is open, in the order of the line.
    pub async fn open_entries(&self) -> Vec<WaitlistEntry> {
        let waiting = self.view.terms.iter().flat_map(|term| &term.waiting);
        let keys: Vec<_> = waiting.map(|waiting| entry_key(waiting.entry)).collect();
        let wanted = keys.iter().map(Into::into).collect();
        let mut batch = self.table.get_batch(wanted).await.expect("entries can be read");
        let mut take = |key| batch.take(key).expect("an entry can be read");
        let entries = keys.iter().map(|key| take(key).expect("who waits has an entry").value);
        let mut entries: Vec<WaitlistEntry> = entries.collect();
        entries.sort_by_key(|entry| (entry.position, entry.id));
        entries
    }

    /// Takes what was told out of the outbox, as the publisher would.
    pub fn hear(&mut self) {
        for envelope in self.engine.publish(&self.table) {
            let is_new = self.known.insert(envelope.id.clone());
            if is_new && HEARD.contains(&envelope.name.as_str()) {
                self.pending.push(envelope);
            }
        }
    }
}

fn entry_key(id: WaitlistEntryId) -> Key<WaitlistEntry> {
    Key::new(format!("WAITLIST-ENTRY#{id}"), "ENTRY")
}

fn is_worth_asking_again(failure: &Failure) -> bool {
    match failure {
        Failure::Conflict { .. } => true,
        Failure::Fault(fault) => fault.retryable,
        _ => false,
    }
}
