//! A final grade is posted: it becomes part of the student's past, its registration is completed, and whatever was let
//! in because the course was under way is judged again. What does not hold any more is told, and has its day where the
//! institution's policy sets one.

use std::collections::BTreeMap;

use events::GradePosted;
use kernel::{RegistrationId, SectionId, Verdict};
use shell::{Delivery, Failure};
use table::{Batch, Stored, Transaction};

use super::cause_of;
use crate::Ctx;
use crate::domain::{
    BrokenPrerequisite, ItemCode, OnBrokenPrerequisite, Registration, SectionSeats, prove_again,
};
use crate::store::{self, AcademicStanding};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: GradePosted = delivery.event()?;
    let graded = event.registration;
    let mut standing = store::academic_standing(&ctx.table, event.student, delivery.now).await?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    if !standing.history.learn(event) {
        return Ok(transaction.commit().await?);
    }
    let mut touched = touched(ctx, &standing, graded).await?;
    transaction.put(&standing.history, standing.history_version);
    let before = standing.terms.clone();
    for term in &mut standing.terms {
        term.value.settle(graded);
    }
    if let Some(mut registration) = touched.registrations.remove(&graded)
        && registration.value.complete(delivery.now)
    {
        transaction.update(&registration);
    }
    judge_again(ctx, &mut transaction, &mut standing, touched, delivery);
    for (term, before) in standing.terms.iter().zip(&before) {
        if term != before {
            transaction.update(term);
        }
    }
    Ok(transaction.commit().await?)
}

/// The registration that is graded, and those that rest on what was under way.
struct Touched {
    registrations: BTreeMap<RegistrationId, Stored<Registration>>,
    seats: BTreeMap<SectionId, SectionSeats>,
    broken: BTreeMap<RegistrationId, Stored<BrokenPrerequisite>>,
    policy: OnBrokenPrerequisite,
}

/// Provisional registrations that are judged at once: more than one term holds.
const JUDGED_MAX: usize = 30;

async fn touched(
    ctx: &Ctx,
    standing: &AcademicStanding,
    graded: RegistrationId,
) -> Result<Touched, Failure> {
    let entries = standing.terms.iter().flat_map(|term| &term.value.entries);
    let provisional = entries.filter(|entry| entry.provisional && entry.registration != graded);
    let (registrations, sections): (Vec<_>, Vec<_>) =
        provisional.take(JUDGED_MAX).map(|entry| (entry.registration, entry.section)).unzip();
    let policy_key = store::registration_policy_key();
    let keys: Vec<_> = registrations.iter().chain([&graded]).copied().collect();
    let registration_keys: Vec<_> =
        keys.iter().map(|registration| store::registration_key(*registration)).collect();
    let broken_keys: Vec<_> =
        registrations.iter().map(|it| store::broken_prerequisite_key(*it)).collect();
    let seats_keys: BTreeMap<SectionId, _> =
        sections.iter().map(|section| (*section, store::seats_key(*section))).collect();
    let mut wanted: Vec<(String, String)> = registration_keys.iter().map(Into::into).collect();
    wanted.extend(broken_keys.iter().map(Into::into));
    wanted.extend(seats_keys.values().map(Into::into));
    wanted.push((&policy_key).into());
    let mut batch: Batch = ctx.table.get_batch(wanted).await?;
    let mut touched = Touched {
        registrations: BTreeMap::new(),
        seats: BTreeMap::new(),
        broken: BTreeMap::new(),
        policy: batch
            .take(&policy_key)?
            .map(|stored| stored.value.on_broken_prerequisite)
            .unwrap_or_default(),
    };
    for key in &registration_keys {
        touched.registrations.extend(batch.take(key)?.map(|stored| (stored.value.id, stored)));
    }
    for key in &broken_keys {
        touched.broken.extend(batch.take(key)?.map(|stored| (stored.value.registration, stored)));
    }
    for (section, key) in &seats_keys {
        touched.seats.extend(batch.take(key)?.map(|stored| (*section, stored.value)));
    }
    Ok(touched)
}

fn judge_again(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    standing: &mut AcademicStanding,
    mut touched: Touched,
    delivery: &Delivery,
) {
    let drop_on = touched.policy.drop_on(ctx.date(delivery.now));
    let cause = cause_of(delivery);
    let mut settled = Vec::new();
    for term in &standing.terms {
        let background = standing.background(&term.value);
        for entry in term.value.entries.iter().filter(|entry| entry.provisional) {
            let id = entry.registration;
            let Some(seats) = touched.seats.get(&entry.section) else { continue };
            let Some(registration) = touched.registrations.get_mut(&id) else { continue };
            let broken = touched.broken.remove(&id);
            let proof = prove_again(seats, id, &term.value, &background);
            let is_lifted = background.lifting(entry.section, ItemCode::PrereqNotMet).is_some();
            let verdict = proof.as_ref().map_or(Verdict::Met, |proof| proof.verdict);
            match (verdict, broken) {
                (Verdict::NotMet, None) if !is_lifted => {
                    let missing = proof.iter().flat_map(|proof| proof.missing());
                    let missing = missing.map(|it| it.requirement.to_string()).collect();
                    let broken = BrokenPrerequisite { registration: id, missing, drop_on };
                    transaction.create(&broken);
                    let version = registration.version;
                    let told = broken.broken(&registration.value);
                    transaction.event(told, version, cause.now, cause.correlation_id);
                }
                (Verdict::NotMet, Some(_)) if !is_lifted => {}
                (Verdict::Provisional, None) => {}
                (Verdict::Provisional, Some(broken)) => {
                    transaction.delete(&broken);
                    // Written anew, so that what may come of it is told anew.
                    transaction.update(registration);
                }
                (Verdict::Met | Verdict::NotMet, broken) => {
                    if let Some(broken) = broken {
                        transaction.delete(&broken);
                    }
                    registration.value.provisional = false;
                    transaction.update(registration);
                    settled.push(id);
                }
            }
        }
    }
    for term in &mut standing.terms {
        for registration in &settled {
            term.value.settle(*registration);
        }
    }
}
