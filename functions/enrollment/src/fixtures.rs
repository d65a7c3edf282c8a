//! For this context's tests: sections on offer, carts on their way, and the law that seats and registrations agree.

use events::{CourseUpdateAdvanced, Event, SectionOffered};
use kernel::{CourseId, Id, PersonId, SectionId, TermId, Timestamp};
use shell::{Call, Delivery, Failure, Step};
use table::Table;

use crate::Ctx;
use crate::domain::{Bundle, Registration, RegistrationState};
use crate::operations::{
    OfBundle, await_approval, on_course_update_advanced, on_section_offered, read_submission,
    submit,
};
use crate::store;

pub fn term() -> TermId {
    SectionOffered::example().term.id
}

pub fn section(name: &str) -> SectionId {
    SectionId::derived_from(name)
}

/// Offers a section that clashes with no other, changed as the test needs it.
pub async fn offer(
    table: &Table,
    name: &str,
    change: impl FnOnce(&mut SectionOffered),
) -> SectionId {
    let mut offered = None;
    offer_again(table, name, 1, |event| {
        change(event);
        offered = Some(event.section);
    })
    .await;
    offered.expect("it was offered")
}

/// The catalog offers the section as `offer` did, changed otherwise.
pub async fn offer_again(
    table: &Table,
    name: &str,
    section_version: u64,
    change: impl FnOnce(&mut SectionOffered),
) {
    let mut event = SectionOffered::example();
    (event.section, event.section_version) = (section(name), section_version);
    event.code = name.to_uppercase();
    event.course.id = CourseId::derived_from(name);
    event.meetings.clear();
    change(&mut event);
    let mut delivery = testkit::delivery("on-section-offered", event);
    delivery.envelope.id = format!("{name}-{section_version}");
    on_section_offered::handle(&Ctx::new(table.clone()), &delivery)
        .await
        .expect("the section is offered");
}

/// A cart of the student "ada".
pub fn cart(sections: &[SectionId]) -> Call<submit::Command> {
    testkit::call(submit::Command { term: term(), sections: sections.to_vec() })
}

/// The same call by somebody else.
pub fn by<C>(student: &str, mut call: Call<C>) -> Call<C> {
    if let Some(caller) = &mut call.caller {
        caller.person = testkit::person(student);
    }
    call
}

/// Ada holds a seat in one section; her bundle is the only one.
pub async fn held(
    table: &Table,
    change: impl FnOnce(&mut SectionOffered),
) -> read_submission::Reply {
    let section = offer(table, "a", change).await;
    submit::handle(&Ctx::new(table.clone()), &cart(&[section])).await.expect("a seat is held")
}

/// The heads of department are asked about the student's only bundle.
pub async fn ask(table: &Table, reply: &read_submission::Reply) {
    let OfBundle { submission, bundle, attempt } = of_bundle(reply).command;
    let command =
        await_approval::Command { submission, bundle, attempt, task_token: "token".to_owned() };
    await_approval::handle(&Ctx::new(table.clone()), &testkit::step(command))
        .await
        .expect("the heads are asked");
}

pub fn of_bundle(reply: &read_submission::Reply) -> Step<OfBundle> {
    testkit::step(OfBundle {
        submission: reply.id,
        bundle: reply.bundles[0].bundle,
        attempt: reply.bundles[0].attempt,
    })
}

pub async fn bundle(table: &Table, reply: &read_submission::Reply) -> Bundle {
    store::bundle(table, reply.id, reply.bundles[0].bundle)
        .await
        .expect("the bundle is there")
        .value
}

pub async fn taken(table: &Table, section: SectionId) -> i64 {
    table.get(&store::seats_key(section)).await.expect("reads").expect("is offered").value.taken
}

pub async fn registrations(table: &Table, student: PersonId) -> Vec<Registration> {
    let page = table
        .query(&store::registrations(student), &table::PageRequest::default())
        .await
        .expect("lists");
    page.records.into_iter().map(|stored| stored.value).collect()
}

/// Every event of a kind that was told, in no particular order.
pub async fn told<E: Event>(table: &Table) -> Vec<E> {
    let told = testkit::published(table).await.into_iter();
    let told = told.filter(|event| event.name == E::NAME);
    told.map(|event| serde_json::from_value(event.data).expect("reads")).collect()
}

/// Delivers every event of a kind that is told, as the bus would, until none is new; answers how many those were.
pub async fn deliver_all<E: Event>(
    table: &Table,
    (consumer, now): (&str, Timestamp),
    handle: impl AsyncFn(&Ctx, &Delivery) -> Result<(), Failure>,
) -> usize {
    const DELIVERIES_MAX: usize = 500;
    let mut delivered: Vec<String> = Vec::new();
    while delivered.len() < DELIVERIES_MAX {
        let told = testkit::published(table).await.into_iter();
        let next =
            told.filter(|event| event.name == E::NAME).find(|event| !delivered.contains(&event.id));
        let Some(envelope) = next else { return delivered.len() };
        delivered.push(envelope.id.clone());
        let delivery = Delivery { envelope, consumer: consumer.to_owned(), now };
        match handle(&Ctx::new(table.clone()), &delivery).await {
            Ok(()) | Err(Failure::DoneBefore) => {}
            other => panic!("{}: {other:?}", delivery.envelope.id),
        }
    }
    panic!("{} does not end", E::NAME);
}

/// Brings all sections up to their courses' last words.
pub async fn update_courses(table: &Table) -> usize {
    let consumer = ("on-course-update-advanced", testkit::now());
    deliver_all::<CourseUpdateAdvanced>(table, consumer, on_course_update_advanced::handle).await
}

/// The law of seats: as many are taken as registrations hold or have one, and the student's term counts the same.
pub async fn seats_agree(table: &Table, section: SectionId, students: &[PersonId]) {
    let page = table::PageRequest { after: None, limit: 100 };
    let roster = table.query(&store::roster(section), &page).await.expect("reads").records;
    let roster: Vec<_> = roster.into_iter().map(|stored| stored.value).collect();
    let mut seated = 0;
    for student in students {
        let holds = |registration: &&Registration| {
            matches!(
                registration.state,
                RegistrationState::SeatHeld
                    | RegistrationState::Registered
                    | RegistrationState::Completed
            )
        };
        let registrations = registrations(table, *student).await;
        let held = registrations
            .iter()
            .filter(holds)
            .filter(|registration| registration.section == section)
            .count();
        let entries = table.get(&store::student_term_key(*student, term())).await.expect("reads");
        let entries = entries.map(|stored| stored.value.entries).unwrap_or_default();
        assert_eq!(entries.iter().filter(|entry| entry.section == section).count(), held);
        let on_roster = roster.iter().filter(|entry| entry.student == *student).count();
        assert_eq!(on_roster, held, "the roster lists whoever has a seat");
        seated += i64::try_from(held).expect("few");
    }
    let seats = table.get(&store::seats_key(section)).await.expect("reads").expect("is offered");
    let in_pools: i64 = seats.value.taken_in_pools.values().sum();
    assert_eq!(seats.value.taken, seated);
    assert_eq!(seats.value.taken_generally + in_pools, seated, "each seat is of one kind");
}

pub fn code<R: std::fmt::Debug>(result: Result<R, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}
