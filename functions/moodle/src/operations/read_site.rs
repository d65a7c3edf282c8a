//! How one site does: settings, what waits and since when, when it last answered, and what is wrong with it.

use futures_util::future::{try_join, try_join_all};
use kernel::{Locale, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route, sentence};
use table::{PageRequest, Stored};

use super::STAFF;
use crate::Ctx;
use crate::domain::{Breaker, Health, Kind, SENTENCES, Site, SiteCode, SiteSettings};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-site", "/moodle/sites/{site}", STAFF, "Read a Moodle site and how it does");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub site: SiteCode,
    pub version: u64,
    pub settings: SiteSettings,
    pub breaker: Breaker,
    pub last_success_at: Option<Timestamp>,
    pub last_error: Option<SiteError>,
    /// Of courses, users, enrolments, groups and readings.
    pub backlog: Vec<Backlog>,
    /// How long the oldest of what waits has waited, in seconds; 0 where nothing waits.
    pub lag_s: i64,
    /// Entities that wait for a change or for somebody; `list-stuck-work` lists them.
    pub stuck: Counted,
    /// Entities marked so far by a replay that is under way.
    pub replayed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SiteError {
    pub at: Timestamp,
    pub code: String,
    /// Moodle's own word for it.
    pub moodle_code: String,
    /// The web service function that failed; absent where none was called.
    pub function: Option<String>,
    /// For the site's administrator.
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Backlog {
    pub kind: Kind,
    pub waiting: Counted,
    /// Since when the oldest of those counted waits.
    pub oldest_at: Option<Timestamp>,
}

/// Counted as far as it is worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Counted {
    pub count: usize,
    /// Whether there are more.
    pub and_more: bool,
}

/// A page holds a hundred.
const PAGES_MAX: usize = 10;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let site = store::site(&ctx.table, &call.command.site).await?;
    Reply::of(ctx, &site, call.now, call.locale).await
}

impl Reply {
    pub(super) async fn of(
        ctx: &Ctx,
        site: &Stored<Site>,
        now: Timestamp,
        locale: Locale,
    ) -> Result<Self, Failure> {
        let code = &site.value.code;
        let (health, replay) = (store::health_key(code), store::replay_key(code));
        let mut known = ctx.table.get_batch(vec![(&health).into(), (&replay).into()]).await?;
        let health = known.take(&health)?.map(|known| known.value);
        let health = health.unwrap_or_else(|| Health::unknown(code.clone()));
        let replay = known.take(&replay)?;
        let of_kind = Kind::MARKED.map(async |kind| {
            let (waiting, oldest_at) = counted(ctx, &store::due(code, kind)).await?;
            Ok::<_, Failure>(Backlog { kind, waiting, oldest_at })
        });
        let stuck = store::stuck(code);
        let (backlog, (stuck, _)) = try_join(try_join_all(of_kind), counted(ctx, &stuck)).await?;
        let oldest = backlog.iter().filter_map(|one| one.oldest_at).min();
        let last_error = health.last_error.map(|error| SiteError {
            at: error.at,
            sentence: sentence(&SENTENCES, locale, &error.code, &[]),
            code: error.code,
            moodle_code: error.moodle_code,
            function: error.function,
        });
        Ok(Self {
            site: code.clone(),
            version: site.version,
            settings: site.value.settings.clone(),
            breaker: health.breaker,
            last_success_at: health.last_success_at,
            last_error,
            backlog,
            lag_s: oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0)),
            stuck,
            replayed: replay.map(|replay| replay.value.marked),
        })
    }
}

async fn counted(
    ctx: &Ctx,
    partition: &table::Partition<crate::domain::Work>,
) -> Result<(Counted, Option<Timestamp>), Failure> {
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let (mut counted, mut oldest) = (Counted::default(), None::<Timestamp>);
    for _ in 0..PAGES_MAX {
        let found = ctx.table.query(partition, &page).await?;
        counted.count += found.records.len();
        for work in &found.records {
            let marked_at = work.value.marked_at;
            oldest = Some(oldest.map_or(marked_at, |oldest| oldest.min(marked_at)));
        }
        counted.and_more = found.next.is_some();
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    Ok((counted, oldest))
}

#[cfg(test)]
mod tests {
    use testkit::MoodleFault;

    use super::*;
    use crate::fixtures::{World, code};

    async fn read(world: &World) -> Reply {
        let command = Command { site: SiteCode("academics".into()) };
        handle(&world.ctx, &testkit::call(command)).await.expect("reads")
    }

    #[tokio::test]
    async fn a_site_tells_what_waits_and_why() {
        let world = World::start().await;
        let calm = read(&world).await;
        assert_eq!((calm.lag_s, calm.breaker, calm.last_error), (0, Breaker::Closed, None));
        world.site.break_after(0, MoodleFault::Maintenance, u64::MAX);
        world.enrol("a", "ada").await;
        world.run().await;
        let down = read(&world).await;
        assert!(matches!(down.breaker, Breaker::Open { .. }));
        let error = down.last_error.expect("an error");
        assert_eq!(
            (error.code.as_str(), error.moodle_code.as_str()),
            ("SITE_IN_MAINTENANCE", "sitemaintenance")
        );
        assert!(error.sentence.len() > 30, "{}", error.sentence);
        assert_eq!(error.function.as_deref(), Some("core_course_get_courses_by_field"));
        let waiting: Vec<usize> = down.backlog.iter().map(|one| one.waiting.count).collect();
        assert_eq!(waiting, [1, 1, 1, 0, 0]);
        world.site.mend();
        world.run_after(60).await;
        let up = read(&world).await;
        assert_eq!((up.lag_s, up.breaker), (0, Breaker::Closed));
        assert!(up.last_success_at.is_some());
    }

    #[tokio::test]
    async fn a_site_that_nobody_added_is_unknown() {
        let world = World::without_site().await;
        let call = testkit::call(Command { site: SiteCode("library".into()) });
        assert_eq!(code(handle(&world.ctx, &call).await), "SITE_UNKNOWN");
    }
}
