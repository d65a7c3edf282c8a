//! What a student's schedule is made of, and where the secret address of their calendar lies.

use std::collections::BTreeMap;
use std::iter;

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
/// What is read in one call.
const KEYS_AT_ONCE: usize = 100;

/// Those of a student's registrations that are wanted, with their sections, and the calendar that they meet by.
pub async fn schedule(
    table: &Table,
    student: PersonId,
    is_wanted: impl Fn(&Registration) -> bool,
) -> Result<(Vec<Scheduled>, TheCalendar), Failure> {
    let wanted = wanted(table, student, is_wanted).await?;
    let keys: BTreeMap<SectionId, _> =
        wanted.iter().map(|it| (it.value.section, seats_key(it.value.section))).collect();
    let calendar_key = calendar_key();
    let all: Vec<(String, String)> =
        iter::once((&calendar_key).into()).chain(keys.values().map(Into::into)).collect();
    let (mut calendar, mut seats) = (None, BTreeMap::new());
    for some in all.chunks(KEYS_AT_ONCE) {
        let mut batch = table.get_batch(some.to_vec()).await?;
        calendar = calendar.or(batch.take(&calendar_key)?);
        for (section, key) in &keys {
            seats.extend(batch.take(key)?.map(|stored| (*section, stored.value)));
        }
    }
    let scheduled = |Stored { value, version }: Stored<Registration>| {
        let seats: SectionSeats = seats.get(&value.section)?.clone();
        Some(Scheduled { registration: value, registration_version: version, seats })
    };
    let none = || TheCalendar { calendar_version: 0, calendar: Calendar::default() };
    let calendar = calendar.map_or_else(none, |stored| stored.value);
    Ok((wanted.into_iter().filter_map(scheduled).collect(), calendar))
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
