//! Who and what is where in a year: rooms, teachers and groups of students with the sections that need them.

use kernel::{Calendar, Date, Meeting, PersonId, Room, SectionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Code, Refusal, Section};

/// What cannot be in two places at once.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Resource {
    Room(Room),
    Teacher(PersonId),
    StudentGroup(Code),
}

impl Resource {
    pub fn kind(&self) -> ClashKind {
        match self {
            Self::Room(_) => ClashKind::Room,
            Self::Teacher(_) => ClashKind::Teacher,
            Self::StudentGroup(_) => ClashKind::StudentGroup,
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(room) => room.fmt(f),
            Self::Teacher(person) => person.fmt(f),
            Self::StudentGroup(code) => code.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClashKind {
    Room,
    Teacher,
    StudentGroup,
}

impl ClashKind {
    /// Whether a clash is refused between sections that are past planning; else it is only listed. A group's students
    /// may still choose.
    fn is_refused(self) -> bool {
        matches!(self, Self::Room | Self::Teacher)
    }
}

/// A section in a timetable, with the meetings that need the resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Booking {
    pub section: SectionId,
    pub code: Code,
    /// Past planning: neither draft nor cancelled.
    pub firm: bool,
    /// Sections of one cross-list are one class: they share room and teacher.
    pub cross_list: Option<kernel::CrossListId>,
    pub meetings: Vec<Meeting>,
}

/// Everything that needs one resource in one calendar year. One item, so that two sections planned at once cannot
/// both get the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timetable {
    pub year: i16,
    pub resource: Resource,
    pub bookings: Vec<Booking>,
}

/// Two sections need the same at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clash {
    pub kind: ClashKind,
    /// The room, the teacher or the group.
    pub resource: String,
    pub with: SectionId,
    pub with_code: Code,
    /// The first day on which they clash.
    pub on: Date,
    /// Refused once both sections are past planning.
    pub refused: bool,
}

impl Section {
    /// What it needs, by calendar year.
    pub fn bookings(&self) -> Vec<((i16, Resource), Booking)> {
        let mut bookings: Vec<((i16, Resource), Booking)> = Vec::new();
        if self.state == super::SectionState::Cancelled {
            return bookings;
        }
        for meeting in &self.meetings {
            for resource in self.resources(meeting) {
                for year in meeting.first_day.year()..=meeting.last_day.year() {
                    let key = (year, resource.clone());
                    match bookings.iter_mut().find(|(other, _)| *other == key) {
                        Some((_, booking)) => booking.meetings.push(meeting.clone()),
                        None => bookings.push((key, self.booking(meeting))),
                    }
                }
            }
        }
        bookings
    }

    fn resources(&self, meeting: &Meeting) -> Vec<Resource> {
        let room = meeting.room.iter().cloned().map(Resource::Room);
        let teachers = self.teachers.iter().copied().map(Resource::Teacher);
        let groups = self.student_groups.iter().cloned().map(Resource::StudentGroup);
        room.chain(teachers).chain(groups).collect()
    }

    fn booking(&self, meeting: &Meeting) -> Booking {
        Booking {
            section: self.id,
            code: self.code.clone(),
            firm: self.is_firm(),
            cross_list: self.cross_listing.map(|listing| listing.cross_list),
            meetings: vec![meeting.clone()],
        }
    }
}

impl Timetable {
    pub fn empty(year: i16, resource: Resource) -> Self {
        Self { year, resource, bookings: Vec::new() }
    }

    /// Puts the section's needs in place of those that stand. Whether anything changed.
    pub fn book(&mut self, section: SectionId, booking: Option<Booking>) -> bool {
        let before = self.bookings.iter().find(|standing| standing.section == section);
        if before == booking.as_ref() {
            return false;
        }
        self.bookings.retain(|standing| standing.section != section);
        self.bookings.extend(booking);
        true
    }

    /// What the booking clashes with here.
    pub fn clashes(&self, booking: &Booking, calendar: &Calendar) -> Vec<Clash> {
        let others = self.bookings.iter().filter(|other| {
            let one_class = other.cross_list.is_some() && other.cross_list == booking.cross_list;
            other.section != booking.section && !one_class
        });
        let clashing = others.filter_map(|other| {
            let on = calendar.first_clash(&booking.meetings, &other.meetings)?;
            let kind = self.resource.kind();
            Some(Clash {
                kind,
                resource: self.resource.to_string(),
                with: other.section,
                with_code: other.code.clone(),
                on,
                refused: kind.is_refused() && booking.firm && other.firm,
            })
        });
        clashing.collect()
    }
}

/// Holidays begin before they end and last a year at most; a way leads from one building to another, once.
pub fn check_calendar(calendar: &Calendar) -> Result<(), Refusal> {
    let is_long = |first: Date, last: Date| (last - first).get_days() > 366;
    for holiday in &calendar.holidays {
        let (first, last) = (holiday.first_day, holiday.last_day);
        if last < first || is_long(first, last) {
            return Err(Refusal::HolidayEndsBeforeItBegins);
        }
    }
    for (at, way) in calendar.ways.iter().enumerate() {
        let same = |other: &&kernel::Way| {
            (other.from == way.from && other.to == way.to)
                || (other.from == way.to && other.to == way.from)
        };
        if way.from == way.to || calendar.ways[..at].iter().any(|other| same(&other)) {
            return Err(Refusal::WayTwice);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::{CrossListId, Id};

    use super::super::SectionState;
    use super::super::section::tests::{monday, section};
    use super::*;

    fn room() -> Room {
        Room { building: "North".into(), name: "12".into() }
    }

    fn in_room(name: &str, state: SectionState, from: &str, to: &str) -> Section {
        let meeting = Meeting { room: Some(room()), ..monday(from, to) };
        Section { id: SectionId::derived_from(name), state, meetings: vec![meeting], ..section() }
    }

    fn booking(section: &Section) -> Booking {
        let bookings = section.bookings();
        assert_eq!(bookings.len(), 1);
        bookings[0].1.clone()
    }

    fn clashes(standing: &Section, new: &Section) -> Vec<Clash> {
        let mut timetable = Timetable::empty(2027, Resource::Room(room()));
        timetable.book(standing.id, Some(booking(standing)));
        timetable.clashes(&booking(new), &Calendar::default())
    }

    #[test]
    fn firm_sections_are_refused_a_room_that_is_taken_and_drafts_are_told() {
        let standing = in_room("a", SectionState::Offered, "09:00", "11:00");
        let refused = |state| {
            let found = clashes(&standing, &in_room("b", state, "10:00", "12:00"));
            assert_eq!(found.len(), 1);
            found[0].refused
        };
        assert!(refused(SectionState::Offered));
        assert!(refused(SectionState::Suspended));
        assert!(!refused(SectionState::Draft));
        assert_eq!(clashes(&standing, &in_room("b", SectionState::Offered, "11:00", "12:00")), []);
        assert_eq!(clashes(&standing, &standing), [], "not with itself");
    }

    #[test]
    fn sections_of_one_cross_list_share_their_room() {
        let listed = |name| Section {
            cross_listing: Some(events::CrossListing {
                cross_list: CrossListId::derived_from("x"),
                capacity: 30,
            }),
            ..in_room(name, SectionState::Offered, "09:00", "11:00")
        };
        assert_eq!(clashes(&listed("a"), &listed("b")), []);
        let other = in_room("c", SectionState::Offered, "09:00", "11:00");
        assert_eq!(clashes(&listed("a"), &other).len(), 1);
    }

    #[test]
    fn a_group_s_clash_is_only_listed() {
        let group = |name| Section {
            student_groups: vec![Code("G1".into())],
            meetings: vec![monday("09:00", "10:00")],
            ..in_room(name, SectionState::Offered, "09:00", "10:00")
        };
        let resource = Resource::StudentGroup(Code("G1".into()));
        let mut timetable = Timetable::empty(2027, resource);
        timetable.book(group("a").id, Some(booking(&group("a"))));
        let found = timetable.clashes(&booking(&group("b")), &Calendar::default());
        assert_eq!(found.iter().map(|clash| clash.refused).collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn a_cancelled_section_needs_nothing_and_one_over_new_year_stands_in_both_years() {
        let cancelled = in_room("a", SectionState::Cancelled, "09:00", "10:00");
        assert_eq!(cancelled.bookings(), []);
        let mut winter = in_room("a", SectionState::Draft, "09:00", "10:00");
        winter.meetings[0].last_day = "2028-01-31".parse().expect("a date");
        let years: Vec<i16> = winter.bookings().iter().map(|((year, _), _)| *year).collect();
        assert_eq!(years, [2027, 2028]);
    }

    #[test]
    fn booking_the_same_again_changes_nothing() {
        let mut timetable = Timetable::empty(2027, Resource::Room(room()));
        let section = in_room("a", SectionState::Draft, "09:00", "10:00");
        assert!(timetable.book(section.id, Some(booking(&section))));
        assert!(!timetable.book(section.id, Some(booking(&section))));
        assert!(timetable.book(section.id, None));
        assert!(!timetable.book(section.id, None));
    }
}
