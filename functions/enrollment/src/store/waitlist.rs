//! Who stands in line: an entry for the student, a place in the order of the line as long as it is open, and the days
//! on which a line is looked at again without anybody having done anything.

use std::collections::BTreeMap;

use events::WaitlistState;
use kernel::{Date, PersonId, SectionId, WaitlistEntryId};
use serde::{Deserialize, Serialize};
use shell::{Failure, Fault};
use table::{Change, Field, Key, PageRequest, Partition, Record, Stored, Table, Transaction};

use super::{
    Cause, change_line, move_seat, seats_key, section_pk, shared_seats, student_term_key,
    tell_free_seat,
};
use crate::domain::{Background, Place, SectionSeats, StudentTerm, WaitlistEntry};

impl Record for WaitlistEntry {
    const KIND: &'static str = "waitlist-entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        waitlist_entry_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("WAITLIST-OF#{}", self.student), self.id.to_string()))
    }
}

pub fn waitlist_entry_key(id: WaitlistEntryId) -> Key<WaitlistEntry> {
    Key::new(format!("WAITLIST-ENTRY#{id}"), "ENTRY")
}

/// A student's entries, the newest first.
pub fn entries_of(student: PersonId) -> Partition<WaitlistEntry> {
    Partition::in_index(format!("WAITLIST-OF#{student}"), "").newest_first()
}

impl Record for Place {
    const KIND: &'static str = "waitlist-place";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("WAITLIST#{}", self.section), format!("{:010}", self.position))
    }

    fn index_key(&self) -> Option<(String, String)> {
        let until = self.offered_until?;
        Some(("WAITLIST-OFFERS".to_owned(), format!("{until:.9}#{}", self.entry)))
    }
}

/// The places of a section, in the order of the line.
pub fn places(section: SectionId) -> Partition<Place> {
    Partition::new(format!("WAITLIST#{section}"), "")
}

/// Open offers, the first to expire first.
pub fn expired_offers() -> Partition<Place> {
    Partition::in_index("WAITLIST-OFFERS", "")
}

/// When a section's line is looked at although nobody gave a seat back: the list ends, or kept seats become
/// everybody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookAgain {
    pub section: SectionId,
    pub due_on: Date,
}

impl Record for LookAgain {
    const KIND: &'static str = "look-again";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        look_again_key(self.section)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("WAITLIST-LOOKS".to_owned(), format!("{}#{}", self.due_on, self.section)))
    }
}

pub fn look_again_key(section: SectionId) -> Key<LookAgain> {
    Key::new(section_pk(section), "LOOK-AGAIN")
}

/// Lines to be looked at again, the first due first.
pub fn due_looks() -> Partition<LookAgain> {
    Partition::in_index("WAITLIST-LOOKS", "")
}

/// Pages of 100 places of one section that are read at once.
const PAGES_MAX: u32 = 20;

/// Everybody in the line for these sections together, in its order: one section, or those of a cross-list.
pub async fn line_of(
    table: &Table,
    sections: impl IntoIterator<Item = SectionId>,
) -> Result<Vec<Place>, Failure> {
    let mut line = Vec::new();
    for section in sections {
        let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
        for _ in 0..PAGES_MAX {
            let found = table.query(&places(section), &page).await?;
            line.extend(found.records.into_iter().map(|stored| stored.value));
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
    }
    line.sort_by_key(|place| (place.position, place.entry));
    Ok(line)
}

/// Takes somebody out of the count of those in line.
pub fn leave_line(
    transaction: &mut Transaction<'_>,
    entry: &WaitlistEntry,
    seats: &SectionSeats,
    background: &Background,
) {
    let waiting = || Field::of_map("line", "waiting");
    change_line(transaction, seats, background, |change, _| change.add(waiting(), -1));
    let counted = entry.populations.iter().filter(|it| seats.waiting_in_pools.contains_key(*it));
    for population in counted {
        let waiting = Field::of_map("waiting_in_pools", population);
        transaction.change(Change::of(&seats_key(seats.section)).add(waiting, -1));
    }
}

/// Writes an entry as it now is, with its place, and tells of it. `was` is the state that it was read in.
pub fn write_entry(
    transaction: &mut Transaction<'_>,
    stored: &Stored<WaitlistEntry>,
    was: WaitlistState,
    cause: Cause<'_>,
) {
    transaction.update(stored);
    let place = stored.value.place();
    // A place is changed once: by the offer.
    let version = if was == WaitlistState::Offered { 2 } else { 1 };
    if stored.value.state.is_open() {
        transaction.put(&place, Some(version));
    } else {
        transaction.delete(&Stored { value: place, version });
    }
    let event = stored.value.changed();
    transaction.event(event, stored.version + 1, cause.now, cause.correlation_id);
}

/// An entry with what its end touches.
pub struct InLine {
    pub entry: Stored<WaitlistEntry>,
    pub student_term: Stored<StudentTerm>,
    pub seats: SectionSeats,
    /// With the shared seats alone.
    pub background: Background,
}

pub async fn in_line(table: &Table, entry: Stored<WaitlistEntry>) -> Result<InLine, Failure> {
    let WaitlistEntry { id, student, term, section, .. } = entry.value;
    let (term_key, seats_key) = (student_term_key(student, term), seats_key(section));
    let mut batch = table.get_batch(vec![(&term_key).into(), (&seats_key).into()]).await?;
    let missing = |what: &str| Fault::defect(format!("{id} has no {what}"));
    let student_term = batch.take(&term_key)?.ok_or_else(|| missing("student term"))?;
    let seats: SectionSeats = batch.take(&seats_key)?.ok_or_else(|| missing("section"))?.value;
    let of_it = BTreeMap::from([(section, seats.clone())]);
    let shared_seats = shared_seats(table, &of_it).await?;
    let background = Background { shared_seats, ..Background::default() };
    Ok(InLine { entry, student_term, seats, background })
}

/// Somebody stands in line no longer, without a seat: one that was held for them is free.
pub fn write_end(
    transaction: &mut Transaction<'_>,
    mut in_line: InLine,
    to: WaitlistState,
    by: &str,
    cause: Cause<'_>,
) -> WaitlistEntry {
    let InLine { entry, student_term, seats, background } = &mut in_line;
    let was = entry.value.state;
    if let Some(offer) = &entry.value.offer {
        move_seat(transaction, seats, offer.pool.as_deref(), -1);
        transaction.change(Change::of(&seats_key(seats.section)).add("offered", -1));
        let told = (entry.version + 1, cause);
        tell_free_seat(transaction, seats, entry.value.id.to_string(), told);
    } else {
        leave_line(transaction, &entry.value, seats, background);
    }
    entry.value.become_state(to, cause.now, by);
    write_entry(transaction, entry, was, cause);
    student_term.value.waits_no_more(entry.value.id);
    transaction.update(student_term);
    in_line.entry.value
}
