//! What was let in by a course under way, judged again: when its grade is told, and when it is given up. What does not
//! hold any more is told, and has its day where the institution's policy sets one.

use std::collections::BTreeMap;

use events::GradePosted;
use kernel::{PersonId, RegistrationId, SectionId, Verdict};
use shell::Failure;
use table::{Batch, Stored, Transaction};

use crate::Ctx;
use crate::domain::{
    BrokenPrerequisite, ItemCode, OnBrokenPrerequisite, Registration, SectionSeats, StudentTerm,
    prove_again,
};
use crate::store::{self, AcademicStanding, Cause};

/// The registrations of a student that rest on what was under way.
struct Provisional {
    registrations: BTreeMap<RegistrationId, Stored<Registration>>,
    seats: BTreeMap<SectionId, SectionSeats>,
    broken: BTreeMap<RegistrationId, Stored<BrokenPrerequisite>>,
    policy: OnBrokenPrerequisite,
}

/// Provisional registrations that are judged at once: more than one term holds.
const JUDGED_MAX: usize = 30;

/// A grade becomes part of the student's past: it completes its registration, and whatever was let in because the course
/// was under way is judged again. `false` where a later word of it came before.
pub async fn take_grade(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    event: GradePosted,
    cause: Cause<'_>,
) -> Result<bool, Failure> {
    let graded = event.registration;
    let mut standing = store::academic_standing(&ctx.table, event.student, cause.now).await?;
    if !standing.history.learn(event) {
        return Ok(false);
    }
    let mut provisional = Provisional::beside(ctx, &standing, Some(graded)).await?;
    transaction.put(&standing.history, standing.history_version);
    let before = standing.terms.clone();
    for term in &mut standing.terms {
        term.value.settle(graded);
    }
    if let Some(mut registration) = provisional.registrations.remove(&graded)
        && registration.value.complete(cause.now)
    {
        transaction.update(&registration);
    }
    provisional.judge_again(ctx, transaction, &mut standing, cause);
    write_terms(transaction, &standing, &before);
    Ok(true)
}

/// A registration of the student is given up: whatever rests on its course is judged again.
pub async fn judge_without(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    student: PersonId,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut standing = store::academic_standing(&ctx.table, student, cause.now).await?;
    let provisional = Provisional::beside(ctx, &standing, None).await?;
    // Whoever is let in at this moment by what is given up writes it too: one of the two is judged by the other.
    transaction.put(&standing.history, standing.history_version);
    let before = standing.terms.clone();
    provisional.judge_again(ctx, transaction, &mut standing, cause);
    write_terms(transaction, &standing, &before);
    Ok(())
}

fn write_terms(
    transaction: &mut Transaction<'_>,
    standing: &AcademicStanding,
    before: &[Stored<StudentTerm>],
) {
    for (term, before) in standing.terms.iter().zip(before) {
        if term != before {
            transaction.update(term);
        }
    }
}

impl Provisional {
    /// With the one that has been graded, where one was: it is judged no more.
    async fn beside(
        ctx: &Ctx,
        standing: &AcademicStanding,
        graded: Option<RegistrationId>,
    ) -> Result<Self, Failure> {
        let entries = standing.terms.iter().flat_map(|term| &term.value.entries);
        let provisional =
            entries.filter(|entry| entry.provisional && Some(entry.registration) != graded);
        let (registrations, sections): (Vec<_>, Vec<_>) =
            provisional.take(JUDGED_MAX).map(|entry| (entry.registration, entry.section)).unzip();
        let policy_key = store::registration_policy_key();
        let registration_keys: Vec<_> = registrations
            .iter()
            .chain(&graded)
            .map(|registration| store::registration_key(*registration))
            .collect();
        let broken_keys: Vec<_> =
            registrations.iter().map(|it| store::broken_prerequisite_key(*it)).collect();
        let seats_keys: BTreeMap<SectionId, _> =
            sections.iter().map(|section| (*section, store::seats_key(*section))).collect();
        let mut wanted: Vec<(String, String)> = registration_keys.iter().map(Into::into).collect();
        wanted.extend(broken_keys.iter().map(Into::into));
        wanted.extend(seats_keys.values().map(Into::into));
        wanted.push((&policy_key).into());
        let mut batch: Batch = ctx.table.get_batch(wanted).await?;
        let policy = batch.take(&policy_key)?.map(|stored| stored.value.on_broken_prerequisite);
        let mut found = Self {
            registrations: BTreeMap::new(),
            seats: BTreeMap::new(),
            broken: BTreeMap::new(),
            policy: policy.unwrap_or_default(),
        };
        for key in &registration_keys {
            found.registrations.extend(batch.take(key)?.map(|stored| (stored.value.id, stored)));
        }
        for key in &broken_keys {
            found.broken.extend(batch.take(key)?.map(|stored| (stored.value.registration, stored)));
        }
        for (section, key) in &seats_keys {
            found.seats.extend(batch.take(key)?.map(|stored| (*section, stored.value)));
        }
        Ok(found)
    }

    /// Writes what has become of each, but for the student's terms, which its caller writes.
    fn judge_again(
        mut self,
        ctx: &Ctx,
        transaction: &mut Transaction<'_>,
        standing: &mut AcademicStanding,
        cause: Cause<'_>,
    ) {
        let drop_on = self.policy.drop_on(ctx.date(cause.now));
        let mut settled = Vec::new();
        for term in &standing.terms {
            let background = standing.background(&term.value);
            for entry in term.value.entries.iter().filter(|entry| entry.provisional) {
                let id = entry.registration;
                let Some(seats) = self.seats.get(&entry.section) else { continue };
                let Some(registration) = self.registrations.get_mut(&id) else { continue };
                let broken = self.broken.remove(&id);
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
}
