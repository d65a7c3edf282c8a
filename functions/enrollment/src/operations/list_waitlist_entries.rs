//! What a student stands in line for and stood, the newest first: the rank, an offer with its end, and why somebody
//! else was served.

use events::WaitlistState;
use kernel::{PersonId, RegistrationId, SectionId, SubmissionId, TermId, WaitlistEntryId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};
use table::PageRequest;

use super::STUDENT_OR_REGISTRAR;
use crate::Ctx;
use crate::domain::{Background, SeatOffer, Skipped, WaitlistEntry, WaitlistTransition};
use crate::line::serving::sections_of;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-waitlist-entries",
    "/waitlist-entries",
    STUDENT_OR_REGISTRAR,
    "List what a student stands in line for, the newest first",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose; the caller's own where it is not given.
    pub student: Option<PersonId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    pub id: WaitlistEntryId,
    pub version: u64,
    pub student: PersonId,
    pub term: TermId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub state: WaitlistState,
    /// Given once and never again; between two positions somebody may have left.
    pub position: i64,
    /// The place among those who wait now, from 1 on; absent of who waits no longer.
    pub rank: Option<i64>,
    /// What is dropped when a seat comes.
    pub swap: Option<RegistrationId>,
    /// Why the student was passed over when last a seat was free.
    pub skipped: Option<Skipped>,
    pub offer: Option<SeatOffer>,
    pub submission: Option<SubmissionId>,
    pub history: Vec<WaitlistTransition>,
}

impl Item {
    pub fn of(entry: &WaitlistEntry, version: u64, rank: Option<i64>) -> Self {
        let entry = entry.clone();
        Self {
            id: entry.id,
            version,
            student: entry.student,
            term: entry.term,
            section: entry.section,
            section_code: entry.section_code,
            course_title: entry.course_title,
            state: entry.state,
            position: entry.position,
            rank,
            swap: entry.swap,
            skipped: entry.skipped,
            offer: entry.offer,
            submission: entry.submission,
            history: entry.history,
        }
    }
}

/// Entries of one page: the line of each that waits is counted.
const ENTRIES_MAX: u32 = 20;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let student = call.command.student.unwrap_or_else(|| call.person());
    if !call.may_touch(student, &[]) {
        return Ok(Listing { items: Vec::new(), next_cursor: None });
    }
    let limit = if call.page.limit == 0 { ENTRIES_MAX } else { call.page.limit.min(ENTRIES_MAX) };
    let page = PageRequest { limit, ..call.page.clone() };
    let page = ctx.table.query(&store::entries_of(student), &page).await?;
    let mut items = Vec::new();
    for stored in &page.records {
        let rank = rank(ctx, &stored.value).await?;
        items.push(Item::of(&stored.value, stored.version, rank));
    }
    Ok(Listing { items, next_cursor: page.next })
}

/// Counted anew each time: who leaves leaves no gap in it.
pub async fn rank(ctx: &Ctx, entry: &WaitlistEntry) -> Result<Option<i64>, Failure> {
    if entry.state != WaitlistState::Waiting {
        return Ok(None);
    }
    let stored = ctx.table.get(&store::seats_key(entry.section)).await?;
    let Some(seats) = stored.map(|stored| stored.value) else { return Ok(None) };
    let of_it = [(entry.section, seats.clone())].into();
    let shared_seats = store::shared_seats(&ctx.table, &of_it).await?;
    let background = Background { shared_seats, ..Background::default() };
    let line = store::line_of(&ctx.table, sections_of(&seats, &background)).await?;
    let waiting = line.iter().filter(|place| place.offered_until.is_none());
    let before = waiting.take_while(|place| place.entry != entry.id).count();
    Ok(i64::try_from(before + 1).ok())
}

#[cfg(test)]
mod tests {
    use events::WaitlistMode;
    use testkit::TestTable;

    use super::super::join_waitlist::tests::{full, join, registered};
    use super::super::leave_waitlist;
    use super::*;
    use crate::fixtures::{by, offer};

    #[tokio::test]
    async fn the_rank_moves_up_and_the_position_stays() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Automatic, 1)).await;
        registered(&ctx, "eve", section).await;
        let bob = join(&ctx, "bob", section).await;
        join(&ctx, "ada", section).await;
        let listed = async || {
            let list = testkit::call(Command { student: None });
            let item = handle(&ctx, &list).await.expect("lists").items.remove(0);
            (item.position, item.rank)
        };
        assert_eq!(listed().await, (2, Some(2)));
        let leave = by("bob", testkit::call(leave_waitlist::Command { entry: bob }));
        leave_waitlist::handle(&ctx, &leave).await.expect("left");
        assert_eq!(listed().await, (2, Some(1)));
        let of_other = by("bob", testkit::call(Command { student: Some(testkit::person("ada")) }));
        assert_eq!(handle(&ctx, &of_other).await.expect("lists").items, []);
    }
}
