//! Sections: what they hang on, the timetables that they stand in, and the one write that carries all of it.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    CourseVersion, OfferedCourse, OfferedTerm, SectionCancelled, SectionCapacityChanged,
    SectionOffered, SectionSuspended,
};
use kernel::{Calendar, CourseId, SectionId, TermId};
use shell::Failure;
use table::{Place, Stored, Table, Transaction};

use super::writes::claim;
use super::{Cause, calendar_key, course_key, section_key, term_key, timetable_key};
use crate::domain::{
    Booking, Clash, Course, Refusal, Resource, Section, SectionState, Term, Timetable,
};

/// Rooms, teachers and groups, by calendar year, that one section may stand with.
const TIMETABLES_MAX: usize = 30;

/// What sections of one term hang on, and the timetables that they stand in or are to stand in.
#[derive(Debug)]
pub struct SectionContext {
    pub term: Stored<Term>,
    pub calendar: Calendar,
    courses: BTreeMap<CourseId, Course>,
    timetables: BTreeMap<(i16, Resource), Standing>,
}

#[derive(Debug)]
struct Standing {
    timetable: Timetable,
    read_version: Option<u64>,
    changed: bool,
}

/// Everything in one call. `sections` are the sections of the term as they are and as they are to be.
pub async fn section_context(
    table: &Table,
    term: TermId,
    sections: &[&Section],
) -> Result<SectionContext, Failure> {
    let bookings = sections.iter().flat_map(|section| section.bookings());
    let timetables: BTreeSet<(i16, Resource)> = bookings.map(|(key, _)| key).collect();
    // Before and after a change.
    if timetables.len() > 2 * TIMETABLES_MAX {
        return Err(Refusal::ResourcesTooMany.into());
    }
    let (term, calendar) = (term_key(term), calendar_key());
    let courses: BTreeSet<CourseId> = sections.iter().map(|section| section.course).collect();
    let course_keys: Vec<_> = courses.iter().map(|course| course_key(*course)).collect();
    let timetable_keys: Vec<_> =
        timetables.iter().map(|(year, resource)| timetable_key(*year, resource)).collect();
    let mut wanted: Vec<_> = timetable_keys.iter().map(Into::into).collect();
    wanted.extend(course_keys.iter().map(Into::into));
    wanted.extend([(&term).into(), (&calendar).into()]);
    let mut batch = table.get_batch(wanted).await?;
    let mut context = SectionContext {
        term: batch.take(&term)?.ok_or(Refusal::TermUnknown)?,
        calendar: batch.take(&calendar)?.map(|stored| stored.value.0).unwrap_or_default(),
        courses: BTreeMap::new(),
        timetables: BTreeMap::new(),
    };
    for key in &course_keys {
        let course = batch.take(key)?.ok_or(Refusal::CourseUnknown)?.value;
        context.courses.insert(course.id, course);
    }
    for ((year, resource), key) in timetables.into_iter().zip(&timetable_keys) {
        let stored = batch.take(key)?;
        let read_version = stored.as_ref().map(|stored| stored.version);
        let empty = || Timetable::empty(year, resource.clone());
        let timetable = stored.map_or_else(empty, |stored| stored.value);
        let standing = Standing { timetable, read_version, changed: false };
        context.timetables.insert((year, resource), standing);
    }
    Ok(context)
}

impl SectionContext {
    /// Puts the section into the timetables as it is to be, and lists what it clashes with. Refused where something
    /// that changes takes a room or a teacher from another.
    pub fn book(&mut self, section: &Section) -> Result<Vec<Clash>, Refusal> {
        let mut bookings: BTreeMap<(i16, Resource), Booking> =
            section.bookings().into_iter().collect();
        if bookings.len() > TIMETABLES_MAX {
            return Err(Refusal::ResourcesTooMany);
        }
        let (mut clashes, mut refused) = (Vec::<Clash>::new(), false);
        for (key, standing) in &mut self.timetables {
            let booking = bookings.remove(key);
            let found = booking
                .as_ref()
                .map(|booking| standing.timetable.clashes(booking, &self.calendar))
                .unwrap_or_default();
            standing.changed |= standing.timetable.book(section.id, booking);
            refused |= standing.changed && found.iter().any(|clash| clash.refused);
            // A year's end does not make two clashes of one.
            let new = found.into_iter().filter(|clash| !clashes.contains(clash));
            let new: Vec<Clash> = new.collect();
            clashes.extend(new);
        }
        if refused { Err(Refusal::TimetableClash(clashes)) } else { Ok(clashes) }
    }

    pub fn course(&self, id: CourseId) -> &Course {
        self.courses.get(&id).expect("the courses of all sections were read")
    }

    /// A course as it is when the term begins.
    pub fn course_version(&self, id: CourseId) -> &CourseVersion {
        self.course(id).on(self.term.value.first_day)
    }

    fn offered(&self, section: &Section, section_version: u64) -> SectionOffered {
        let (term, course) = (&self.term.value, self.course_version(section.course).clone());
        SectionOffered {
            section: section.id,
            section_version,
            code: section.code.to_string(),
            term: OfferedTerm {
                id: term.id,
                code: term.code.to_string(),
                state: term.state,
                registration_opens_at: term.registration_opens_at,
                registration_closes_at: term.registration_closes_at,
            },
            course: OfferedCourse {
                id: section.course,
                code: section.course_code.to_string(),
                title: course.title,
                corequisites: course.corequisites,
                prerequisites: course.prerequisites,
                equivalents: course.equivalents,
                cross_listed: course.cross_listed,
                attempts_max: course.attempts_max,
            },
            credits_hundredths: course.credits_hundredths,
            credits_max_hundredths: course.credits_max_hundredths,
            capacity: section.capacity,
            department: section.department.to_string(),
            price_group: section.price_group.clone(),
            approval_required: section.approval_required,
            permission_required: section.permission_required,
            meetings: section.meetings.clone(),
            teachers: section.teachers.clone(),
            cross_listing: section.cross_listing,
            pools: section.pools.clone(),
            restrictions: section.restrictions.clone(),
            waitlist: section.waitlist,
        }
    }
}

/// Writes sections with what they were read as, the timetables that changed with them, and what registration has to
/// know. Answers the place of the last new one's code.
pub fn write_sections(
    transaction: &mut Transaction<'_>,
    sections: &[(&Section, Option<&Stored<Section>>)],
    context: &SectionContext,
    cause: Cause<'_>,
) -> Option<Place> {
    let mut place = None;
    for (section, before) in sections {
        let read_version = before.map(|before| before.version);
        transaction.put(*section, read_version);
        let namespace = section.term.to_string();
        place = claim(transaction, read_version, &namespace, &section.code, &section.id).or(place);
        tell(transaction, section, *before, context, cause);
    }
    for standing in context.timetables.values().filter(|standing| standing.changed) {
        transaction.put(&standing.timetable, standing.read_version);
    }
    // Who may write what follows from the term's state: it must still be the one that was judged by.
    transaction.check(&term_key(context.term.value.id), Some(context.term.version));
    place
}

/// What happened to the section in the words of its new state; what registration never saw is not told.
fn tell(
    transaction: &mut Transaction<'_>,
    section: &Section,
    before: Option<&Stored<Section>>,
    context: &SectionContext,
    cause: Cause<'_>,
) {
    let section_version = before.map(|before| before.version).unwrap_or_default() + 1;
    let was = before.map(|before| before.value.state);
    let note = section.state_note.as_ref();
    let reason = note.and_then(|note| note.reason.clone()).unwrap_or_default();
    let (id, term, code) = (section.id, section.term, section.code.to_string());
    let (now, correlation_id) = (cause.now, cause.correlation_id);
    match section.state {
        SectionState::Offered => {
            let offered = context.offered(section, section_version);
            transaction.event(offered, section_version, now, correlation_id);
            let capacity = section.capacity;
            let capacity_before = before.map_or(capacity, |before| before.value.capacity);
            if was == Some(SectionState::Offered) && capacity_before != capacity {
                let changed = SectionCapacityChanged {
                    section: id,
                    section_version,
                    term,
                    capacity_before,
                    capacity,
                };
                transaction.event(changed, section_version, now, correlation_id);
            }
        }
        SectionState::Suspended if was != Some(SectionState::Suspended) => {
            let suspended = SectionSuspended { section: id, section_version, code, term, reason };
            transaction.event(suspended, section_version, now, correlation_id);
        }
        // What was never offered is cancelled without anybody to tell.
        SectionState::Cancelled
            if matches!(was, Some(SectionState::Offered | SectionState::Suspended)) =>
        {
            let cancelled = SectionCancelled {
                section: id,
                section_version,
                code,
                term,
                course: section.course,
                course_code: section.course_code.to_string(),
                reason,
                cancelled_by: note.map(|note| note.by),
            };
            transaction.event(cancelled, section_version, now, correlation_id);
        }
        SectionState::Draft
        | SectionState::Approved
        | SectionState::Suspended
        | SectionState::Cancelled => {}
    }
}

/// Sections by their ids, in that order; every one must be there.
pub async fn sections_by_id(
    table: &Table,
    ids: &[SectionId],
) -> Result<Vec<Stored<Section>>, Failure> {
    let keys: Vec<_> = ids.iter().map(|id| section_key(*id)).collect();
    let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
    keys.iter().map(|key| Ok(batch.take(key)?.ok_or(Refusal::SectionUnknown)?)).collect()
}

/// The courses of these sections.
pub async fn courses_by_id(
    table: &Table,
    sections: &[Section],
) -> Result<BTreeMap<CourseId, Course>, Failure> {
    const BATCH: usize = 100;
    let ids: BTreeSet<CourseId> = sections.iter().map(|section| section.course).collect();
    let keys: Vec<_> = ids.into_iter().map(course_key).collect();
    let mut courses = BTreeMap::new();
    for keys in keys.chunks(BATCH) {
        let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
        for key in keys {
            if let Some(stored) = batch.take(key)? {
                courses.insert(stored.value.id, stored.value);
            }
        }
    }
    Ok(courses)
}
