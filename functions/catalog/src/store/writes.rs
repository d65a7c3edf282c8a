//! Writes of terms, courses, programs and what ties sections together: each with its code claim and its events.

use events::{
    CalendarChanged, CourseChanged, CourseCreated, ProgramChanged, RegistrationGroupChanged,
    RolloverAdvanced, TermChanged, TermCreated,
};
use kernel::{Calendar, Timestamp};
use shell::Failure;
use table::{CommitFailure, Place, Transaction};

use super::{CodeClaim, TheCalendar};
use crate::domain::{Code, Course, CrossList, Program, Refusal, RegistrationGroup, Rollover, Term};

/// What wrote a record and when, for its event.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// `read_version` is absent for a new term, whose code is claimed too; the claim's place is answered.
pub fn write_term(
    transaction: &mut Transaction<'_>,
    term: &Term,
    read_version: Option<u64>,
    cause: Cause<'_>,
) -> Option<Place> {
    transaction.put(term, read_version);
    let claim = claim(transaction, read_version, "term", &term.code, &term.id);
    let version = read_version.unwrap_or_default() + 1;
    let Term { id, title, first_day, last_day, .. } = term.clone();
    let code = term.code.to_string();
    let (registration_opens_at, registration_closes_at) =
        (term.registration_opens_at, term.registration_closes_at);
    if read_version.is_none() {
        let created = TermCreated {
            term: id,
            code: code.clone(),
            title: title.clone(),
            first_day,
            last_day,
            registration_opens_at,
            registration_closes_at,
        };
        transaction.event(created, version, cause.now, cause.correlation_id);
    }
    let changed = TermChanged {
        term: id,
        term_version: version,
        code,
        title,
        parent: term.parent,
        state: term.state,
        first_day,
        last_day,
        registration_opens_at,
        registration_closes_at,
        windows: term.windows.clone(),
        dates: term.dates.clone(),
    };
    transaction.event(changed, version, cause.now, cause.correlation_id);
    claim
}

pub fn write_course(
    transaction: &mut Transaction<'_>,
    course: &Course,
    read_version: Option<u64>,
    cause: Cause<'_>,
) -> Option<Place> {
    transaction.put(course, read_version);
    let claim = claim(transaction, read_version, "course", &course.code, &course.id);
    let version = read_version.unwrap_or_default() + 1;
    let Course { id, retired_from, versions, .. } = course.clone();
    let code = course.code.to_string();
    if read_version.is_none() {
        let first = course.latest().clone();
        let created = CourseCreated {
            course: id,
            code: code.clone(),
            title: first.title,
            credits_hundredths: first.credits_hundredths,
            department: first.department,
            corequisites: first.corequisites,
        };
        transaction.event(created, version, cause.now, cause.correlation_id);
    }
    let changed =
        CourseChanged { course: id, course_version: version, code, retired_from, versions };
    transaction.event(changed, version, cause.now, cause.correlation_id);
    claim
}

pub fn write_program(
    transaction: &mut Transaction<'_>,
    program: &Program,
    read_version: Option<u64>,
    cause: Cause<'_>,
) -> Option<Place> {
    transaction.put(program, read_version);
    let claim = claim(transaction, read_version, "program", &program.code, &program.id);
    let version = read_version.unwrap_or_default() + 1;
    let Program { id, title, credits_required_hundredths, retired_from, .. } = program.clone();
    let changed = ProgramChanged {
        program: id,
        program_version: version,
        code: program.code.to_string(),
        title,
        department: program.department.to_string(),
        credits_required_hundredths,
        retired_from,
    };
    transaction.event(changed, version, cause.now, cause.correlation_id);
    claim
}

pub fn write_calendar(
    transaction: &mut Transaction<'_>,
    calendar: &Calendar,
    read_version: Option<u64>,
    cause: Cause<'_>,
) {
    transaction.put(&TheCalendar(calendar.clone()), read_version);
    let calendar_version = read_version.unwrap_or_default() + 1;
    let changed = CalendarChanged { calendar_version, calendar: calendar.clone() };
    transaction.event(changed, calendar_version, cause.now, cause.correlation_id);
}

pub fn write_group(
    transaction: &mut Transaction<'_>,
    group: &RegistrationGroup,
    read_version: Option<u64>,
    cause: Cause<'_>,
) -> Option<Place> {
    transaction.put(group, read_version);
    let namespace = format!("group#{}", group.term);
    let claim = claim(transaction, read_version, &namespace, &group.code, &group.id);
    let group_version = read_version.unwrap_or_default() + 1;
    let RegistrationGroup { id, term, course, sections, cancelled, .. } = group.clone();
    let code = group.code.to_string();
    let changed = RegistrationGroupChanged {
        group: id,
        group_version,
        code,
        term,
        course,
        sections,
        cancelled,
    };
    transaction.event(changed, group_version, cause.now, cause.correlation_id);
    claim
}

/// What a cross-list means for registration stands in the events of its sections.
pub fn write_cross_list(
    transaction: &mut Transaction<'_>,
    cross_list: &CrossList,
    read_version: Option<u64>,
) -> Option<Place> {
    transaction.put(cross_list, read_version);
    let namespace = format!("cross-list#{}", cross_list.term);
    claim(transaction, read_version, &namespace, &cross_list.code, &cross_list.id)
}

/// Writes how far it has come; where it goes on, the event is what brings it there.
pub fn write_rollover(
    transaction: &mut Transaction<'_>,
    rollover: &Rollover,
    read_version: Option<u64>,
    goes_on: bool,
    cause: Cause<'_>,
) {
    transaction.put(rollover, read_version);
    if goes_on {
        let event = RolloverAdvanced { rollover: rollover.id, step: rollover.step };
        let version = read_version.unwrap_or_default() + 1;
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
}

pub(super) fn claim(
    transaction: &mut Transaction<'_>,
    read_version: Option<u64>,
    namespace: &str,
    code: &Code,
    holder: &impl ToString,
) -> Option<Place> {
    read_version.is_none().then(|| {
        transaction.create(&CodeClaim {
            namespace: namespace.to_owned(),
            code: code.clone(),
            holder: holder.to_string(),
        })
    })
}

/// Commits the making of something new: where its code is claimed already, that is told.
pub async fn commit_new(
    transaction: Transaction<'_>,
    claim: Option<Place>,
    code_taken: Refusal,
) -> Result<(), Failure> {
    match transaction.commit().await {
        Err(CommitFailure::ConditionFailed(places))
            if claim.is_some_and(|claim| places.contains(&claim)) =>
        {
            Err(code_taken.into())
        }
        other => Ok(other?),
    }
}
