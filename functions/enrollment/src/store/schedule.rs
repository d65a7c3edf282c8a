//! What a student's schedule is made of, and where the secret address of their calendar lies.

use std::collections::BTreeMap;

use kernel::{Calendar, PersonId, SectionId};
use shell::Failure;
use table::{Key, PageRequest, Record, Stored, Table, Transaction};

use super::{TheCalendar, calendar_key, registrations, seats_key};
use crate::domain::{FeedAddress, Registration, ScheduleFeed, Scheduled, SectionSeats};

impl Record for ScheduleFeed {
    const KIND: &'static str = "schedule-feed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        schedule_feed_key(self.student)
    }
}

pub fn schedule_feed_key(student: PersonId) -> Key<ScheduleFeed> {
    Key::new(format!("SCHEDULE-FEED-OF#{student}"), "FEED")
}

impl Record for FeedAddress {
    const KIND: &'static str = "feed-address";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        feed_address_key(&self.digest)
    }
}

pub fn feed_address_key(digest: &str) -> Key<FeedAddress> {
    Key::new(format!("FEED-ADDRESS#{digest}"), "ADDRESS")
}

/// From now on nobody reads the calendar at this address.
pub fn revoke_address(transaction: &mut Transaction<'_>, feed: &ScheduleFeed) {
    let (digest, student) = (feed.digest.clone(), feed.student);
    transaction.delete(&Stored { value: FeedAddress { digest, student }, version: 1 });
}

/// Pages of 100 registrations of one student that are read.
const PAGES_MAX: u32 = 10;
/// Sections that are read in one call.
const SECTIONS_AT_ONCE: usize = 100;

/// Those of a student's registrations that are wanted, with their sections, and the calendar that they meet by.
pub async fn schedule(
    table: &Table,
    student: PersonId,
    is_wanted: impl Fn(&Registration) -> bool,
) -> Result<(Vec<Scheduled>, TheCalendar), Failure> {
    let calendar_key = calendar_key();
    let (calendar, wanted) =
        tokio::join!(table.get(&calendar_key), wanted(table, student, is_wanted));
    let calendar = calendar?.map(|stored| stored.value);
    let wanted = wanted?;
    let keys: BTreeMap<SectionId, _> =
        wanted.iter().map(|it| (it.value.section, seats_key(it.value.section))).collect();
    let mut seats: BTreeMap<SectionId, SectionSeats> = BTreeMap::new();
    let all: Vec<_> = keys.values().collect();
    for some in all.chunks(SECTIONS_AT_ONCE) {
        let mut batch = table.get_batch(some.iter().map(|key| (*key).into()).collect()).await?;
        for key in some {
            seats.extend(batch.take(*key)?.map(|stored| (stored.value.section, stored.value)));
        }
    }
    let scheduled = |Stored { value, version }: Stored<Registration>| {
        let seats = seats.get(&value.section)?.clone();
        Some(Scheduled { registration: value, registration_version: version, seats })
    };
    let none = || TheCalendar { calendar_version: 0, calendar: Calendar::default() };
    Ok((wanted.into_iter().filter_map(scheduled).collect(), calendar.unwrap_or_else(none)))
}

async fn wanted(
    table: &Table,
    student: PersonId,
    is_wanted: impl Fn(&Registration) -> bool,
) -> Result<Vec<Stored<Registration>>, Failure> {
    let mut wanted = Vec::new();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = table.query(&registrations(student), &page).await?;
        wanted.extend(found.records.into_iter().filter(|stored| is_wanted(&stored.value)));
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(wanted)
}
