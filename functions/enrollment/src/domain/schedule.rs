//! A student's schedule: when and where that meets for which they are registered.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::tz::TimeZone;
use kernel::{Calendar, Date, Meeting, PersonId, RegistrationId, Room, SectionId, Time, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Registration, RegistrationState, SectionSeats, SectionStatus};

/// How a section stands in a student's schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledState {
    /// A seat is held: it may still come to nothing.
    Held,
    Registered,
    /// It does not take place, or the institution has taken the student out of it.
    Cancelled,
}

/// A registration with its section as it now is.
#[derive(Debug, Clone)]
pub struct Scheduled {
    pub registration: Registration,
    pub registration_version: u64,
    pub seats: SectionSeats,
}

impl Scheduled {
    /// None where the student gave it up, or never came to it.
    pub fn state(&self) -> Option<ScheduledState> {
        let is_off = self.seats.status == SectionStatus::Cancelled;
        match self.registration.state {
            RegistrationState::SeatHeld if !is_off => Some(ScheduledState::Held),
            RegistrationState::Registered | RegistrationState::Completed if !is_off => {
                Some(ScheduledState::Registered)
            }
            RegistrationState::SeatHeld
            | RegistrationState::Registered
            | RegistrationState::Completed
            | RegistrationState::Cancelled => Some(ScheduledState::Cancelled),
            RegistrationState::Released
            | RegistrationState::Dropped
            | RegistrationState::Withdrawn => None,
        }
    }

    /// The last day on which it meets; none where it does not.
    pub fn last_day(&self) -> Option<Date> {
        let days = self
            .seats
            .all_meetings()
            .flat_map(|meeting| meeting.dates.iter().chain([&meeting.last_day]));
        days.copied().max()
    }

    fn on(&self, meeting: &Meeting, day: Date, zone: &TimeZone) -> Option<ScheduledMeeting> {
        let at = |time: Time| Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp());
        Some(ScheduledMeeting {
            registration: self.registration.id,
            section: self.seats.section,
            section_code: self.seats.code.clone(),
            course_title: self.seats.course.title.clone(),
            state: self.state()?,
            day,
            from: meeting.starts_at,
            to: meeting.ends_at,
            starts_at: at(meeting.starts_at)?,
            ends_at: at(meeting.ends_at)?,
            room: meeting.room.clone(),
            teachers: self.seats.teachers.clone(),
        })
    }
}

/// One meeting of a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledMeeting {
    pub registration: RegistrationId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub state: ScheduledState,
    pub day: Date,
    /// By the institution's clock.
    #[schemars(with = "String")]
    pub from: Time,
    #[schemars(with = "String")]
    pub to: Time,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// Where the catalog names one.
    pub room: Option<Room>,
    /// Where the catalog names some.
    pub teachers: Vec<PersonId>,
}

/// The days of the week, from Monday, in which a day lies.
pub fn week_of(day: Date) -> Vec<Date> {
    let since_monday = i64::from(day.weekday().to_monday_zero_offset());
    let monday = day.checked_sub(since_monday.days()).unwrap_or(day);
    monday.series(1.day()).take(7).collect()
}

/// What meets on these days, the first first. On holidays nothing does. What was cancelled is shown, unless the student
/// has come to the same section otherwise.
pub fn meetings_on(
    days: &[Date],
    scheduled: &[Scheduled],
    (calendar, zone): (&Calendar, &TimeZone),
) -> Vec<ScheduledMeeting> {
    let is_off = |of: &Scheduled| of.state() == Some(ScheduledState::Cancelled);
    let standing = scheduled.iter().filter(|of| of.state().is_some() && !is_off(of));
    let standing: BTreeSet<SectionId> = standing.map(|of| of.seats.section).collect();
    let mut meetings = Vec::new();
    for day in days.iter().filter(|day| !calendar.is_holiday(**day)) {
        for of in scheduled.iter().filter(|of| !is_off(of) || !standing.contains(&of.seats.section))
        {
            let on_it = of.seats.meetings.iter().filter(|meeting| meeting.meets_on(*day));
            meetings.extend(on_it.filter_map(|meeting| of.on(meeting, *day, zone)));
        }
    }
    meetings.sort_by_key(|meeting| (meeting.starts_at, meeting.ends_at, meeting.registration));
    meetings
}
