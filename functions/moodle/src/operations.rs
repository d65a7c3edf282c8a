//! The operations of the moodle context, one file each.

pub mod check_site;
pub mod list_audit_entries;
pub mod list_drift;
pub mod list_results;
pub mod list_sites;
pub mod list_stuck_work;
pub mod on_charge_changed;
pub mod on_hold_changed;
pub mod on_person_changed;
pub mod on_registration_changed;
pub mod on_registration_group_changed;
pub mod on_role_changed;
pub mod on_section_closed;
pub mod on_section_offered;
pub mod on_work_marked;
pub mod prove_audit_trail;
pub mod read_accounts;
pub mod read_drift_report;
pub mod read_site;
pub mod receive_webhook;
pub mod repair_drift;
pub mod replay_site;
pub mod set_site;
pub mod start_drift_check;
pub mod start_nightly_checks;
pub mod start_reading;
pub mod sweep_sites;
pub mod watch_audit_trail;

use std::collections::BTreeSet;

use kernel::{PersonId, SectionId};
use shell::{Access, Allow, Delivery, Failure, Role, Scope};
use table::{Record, Stored, Transaction};

use crate::Ctx;
use crate::domain::{CohortRule, CourseRule, GroupRule, Kind, Site, WorkId};
use crate::store::{self, Cause};

/// Whoever answers for the sites.
const ADMINISTRATORS: Access =
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]);

/// And those whom people ask why they cannot get in.
const STAFF: Access = Access::Roles(&[
    Allow { role: Role::Administrator, scope: Scope::All },
    Allow { role: Role::Registrar, scope: Scope::All },
]);

/// The sites whose settings say yes.
fn chosen(sites: &[Stored<Site>], of: impl Fn(&Site) -> bool) -> Vec<&Site> {
    sites.iter().map(|site| &site.value).filter(|site| of(site)).collect()
}

fn has_courses(site: &Site) -> bool {
    site.settings.courses != CourseRule::None
}

fn follows_balance(site: &Site) -> bool {
    site.settings.cohorts.contains(&CohortRule::Balance)
}

fn follows_holds(site: &Site) -> bool {
    site.settings.cohorts.contains(&CohortRule::Hold)
}

fn has_groups(site: &Site) -> bool {
    has_courses(site) && site.settings.groups != GroupRule::None
}

/// Takes news in: the record as it now is, and everything that depends on it marked, in one transaction.
async fn take_in<R: Record>(
    ctx: &Ctx,
    delivery: &Delivery,
    record: &R,
    read_version: Option<u64>,
    ids: &[WorkId],
) -> Result<(), Failure> {
    let mut transaction = ctx.table.transaction();
    transaction.put(record, read_version);
    delivery.mark_seen(&mut transaction);
    mark(ctx, &mut transaction, delivery, ids).await?;
    Ok(transaction.commit().await?)
}

async fn mark(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    delivery: &Delivery,
    ids: &[WorkId],
) -> Result<(), Failure> {
    let cause = Cause { now: delivery.now, correlation_id: &delivery.envelope.correlation_id };
    store::mark(&ctx.table, transaction, ids, cause).await
}

fn user_in(sites: &[&Site], person: PersonId) -> Vec<WorkId> {
    let id = |site: &&Site| WorkId {
        site: site.code.clone(),
        kind: Kind::User,
        entity: person.to_string(),
    };
    sites.iter().map(id).collect()
}

fn course_in(sites: &[&Site], section: SectionId) -> Vec<WorkId> {
    let id = |site: &&Site| WorkId {
        site: site.code.clone(),
        kind: Kind::Course,
        entity: section.to_string(),
    };
    sites.iter().map(id).collect()
}

fn groups_in(sites: &[&Site], sections: &BTreeSet<SectionId>) -> Vec<WorkId> {
    let id = |site: &Site, section: &SectionId| WorkId {
        site: site.code.clone(),
        kind: Kind::Groups,
        entity: section.to_string(),
    };
    sites.iter().flat_map(|site| sections.iter().map(|one| id(site, one))).collect()
}
