//! What the last complete check of a site found, how far one under way has come, and how far what is ours is repaired.

use kernel::{Locale, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route, sentence};

use super::STAFF;
use crate::Ctx;
use crate::domain::{DriftCheck, DriftReport, DriftStep, DriftTally, Repair, SENTENCES, SiteCode};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-drift-report",
    "/moodle/sites/{site}/drift-report",
    STAFF,
    "Read what differs in a Moodle site",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub site: SiteCode,
    /// Of the last check that has seen everything.
    pub report: Option<Report>,
    /// The check that is under way, or was stopped.
    pub check: Option<Check>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    pub asked_at: Timestamp,
    pub finished_at: Timestamp,
    pub tally: DriftTally,
    /// So much is missing that the site's answers are to be doubted: a repair has to approve it.
    pub needs_approval: bool,
    pub repair: Option<RepairSeen>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RepairSeen {
    pub asked_at: Timestamp,
    pub asked_by: PersonId,
    pub marked: u64,
    pub is_finished: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Check {
    pub asked_at: Timestamp,
    /// Absent where the night asked.
    pub asked_by: Option<PersonId>,
    pub step: DriftStep,
    /// So far.
    pub tally: DriftTally,
    pub stopped: Option<CheckStopped>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckStopped {
    pub at: Timestamp,
    pub code: String,
    pub moodle_code: String,
    /// For the site's administrator.
    pub sentence: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let site = store::site(&ctx.table, &call.command.site).await?.value.code;
    let (check, report) = (store::drift_check_key(&site), store::drift_report_key(&site));
    let mut known = ctx.table.get_batch(vec![(&check).into(), (&report).into()]).await?;
    let (check, report) = (known.take(&check)?, known.take(&report)?);
    Ok(Reply {
        site,
        report: report.map(|report| Report::of(report.value)),
        check: check.map(|check| Check::of(check.value, call.locale)),
    })
}

impl Report {
    fn of(report: DriftReport) -> Self {
        let seen = |Repair { asked_at, asked_by, marked, is_finished, .. }: Repair| RepairSeen {
            asked_at,
            asked_by,
            marked,
            is_finished,
        };
        Self {
            asked_at: report.asked_at,
            finished_at: report.finished_at,
            tally: report.tally,
            needs_approval: report.tally.is_shrunken(),
            repair: report.repair.map(seen),
        }
    }
}

impl Check {
    fn of(check: DriftCheck, locale: Locale) -> Self {
        let DriftCheck { asked_at, asked_by, step, tally, stopped, .. } = check;
        let stopped = stopped.map(|stopped| CheckStopped {
            at: stopped.at,
            sentence: sentence(&SENTENCES, locale, &stopped.code, &[]),
            code: stopped.code,
            moodle_code: stopped.moodle_code,
        });
        Self { asked_at, asked_by, step, tally, stopped }
    }
}
