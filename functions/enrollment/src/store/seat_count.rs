//! Seats counted one by one: whoever is on the roster, and whoever has an offer.

use kernel::{SectionId, TermId};
use serde::{Deserialize, Serialize};
use shell::{Failure, Fault};
use table::{Key, PageRequest, Partition, Position, Record, Stored, Table};

use super::{
    places, registration_key, roster, seats_key, section_pk, shared_seats_key, waitlist_entry_key,
};
use crate::domain::{SeatCount, SeatDifference, SectionSeats, SharedCount, SharedSeats};

impl Record for SeatDifference {
    const KIND: &'static str = "seat-difference";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        seat_difference_key(self.section)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("SEAT-DIFFERENCES".to_owned(), self.section.to_string()))
    }
}

pub fn seat_difference_key(section: SectionId) -> Key<SeatDifference> {
    Key::new(section_pk(section), "DIFFERENCE")
}

pub fn seat_differences() -> Partition<SeatDifference> {
    Partition::in_index("SEAT-DIFFERENCES", "")
}

/// Where the last run had to stop, for want of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatReconciler {
    pub term: Option<TermId>,
    pub after: Option<Position>,
}

impl Record for SeatReconciler {
    const KIND: &'static str = "seat-reconciler";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        seat_reconciler_key()
    }
}

pub fn seat_reconciler_key() -> Key<SeatReconciler> {
    Key::new("RECONCILER", "SEATS")
}

/// Pages of a roster, or of a line, that are counted.
const PAGES_MAX: u32 = 200;

/// A section with what was counted in it, and the seats that it shares with others.
pub struct CountedSection {
    pub seats: Stored<SectionSeats>,
    pub shared: Option<Stored<SharedSeats>>,
    pub counted: SeatCount,
}

impl CountedSection {
    pub fn counters(&self) -> SeatCount {
        SeatCount::of_counters(&self.seats.value, self.shared.as_ref().map(|shared| &shared.value))
    }
}

/// What was counted, where nothing changed meanwhile; none where it did, or there is no such section. Of a cross-list
/// every section is counted: whatever changes in one of them changes what they share.
pub async fn counted_seats(
    table: &Table,
    section: SectionId,
) -> Result<Option<CountedSection>, Failure> {
    let Some(seats) = table.get(&seats_key(section)).await? else { return Ok(None) };
    let shared = shared_with(table, &seats.value).await?;
    let mut counted = count(table, section).await?;
    if let Some(shared) = &shared {
        let mut together = SharedCount::default();
        together.add(&counted);
        for other in shared.value.sections.iter().filter(|other| **other != section) {
            together.add(&count(table, *other).await?);
        }
        counted.shared = Some(together);
    }
    let after = table.get(&seats_key(section)).await?;
    let shared_after = shared_with(table, &seats.value).await?;
    let is_still = after.is_some_and(|after| after.version == seats.version)
        && shared_after.map(|after| after.version) == shared.as_ref().map(|shared| shared.version);
    Ok(is_still.then_some(CountedSection { seats, shared, counted }))
}

async fn shared_with(
    table: &Table,
    seats: &SectionSeats,
) -> Result<Option<Stored<SharedSeats>>, Failure> {
    match seats.cross_listing {
        Some(listing) => Ok(table.get(&shared_seats_key(listing.cross_list)).await?),
        None => Ok(None),
    }
}

async fn count(table: &Table, section: SectionId) -> Result<SeatCount, Failure> {
    let mut counted = SeatCount::default();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = table.query(&roster(section), &page).await?;
        let keys: Vec<_> =
            found.records.iter().map(|entry| registration_key(entry.value.registration)).collect();
        let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
        for key in &keys {
            let missing = || Fault::defect(format!("{section} has a roster entry alone"));
            let registration = batch.take(key)?.ok_or_else(missing)?.value;
            counted.add(registration.pool.as_deref());
        }
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    count_line(table, section, &mut counted).await?;
    Ok(counted)
}

async fn count_line(
    table: &Table,
    section: SectionId,
    counted: &mut SeatCount,
) -> Result<(), Failure> {
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = table.query(&places(section), &page).await?;
        for place in &found.records {
            if place.value.offered_until.is_none() {
                counted.waiting += 1;
                continue;
            }
            let entry = table.get(&waitlist_entry_key(place.value.entry)).await?;
            let offer = entry.and_then(|entry| entry.value.offer);
            counted.offered += 1;
            counted.add(offer.and_then(|offer| offer.pool).as_deref());
        }
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(())
}
