//! How registrations end that their student gives up, or that are undone on their way.

use std::collections::BTreeMap;

use events::{DropReason, ReleaseReason};
use kernel::{Date, RegistrationId, SectionId, TermWithdrawalId};
use shell::{Failure, Fault};
use table::{Stored, Table, Transaction};

use super::{Cause, give_seat_back, registration_key, seats_key, student_term_key, term_facts_key};
use crate::domain::{
    Approval, Bundle, Entry, Registration, SectionSeats, StudentTerm, TermFacts, Verdict,
};

/// Registrations that are left together, with all that their end touches.
pub struct Departure {
    pub registrations: Vec<Stored<Registration>>,
    pub student_term: Stored<StudentTerm>,
    pub seats: BTreeMap<SectionId, SectionSeats>,
    pub term: Option<TermFacts>,
}

/// The registration first, then those that it is linked with.
pub async fn departure(
    table: &Table,
    registration: Stored<Registration>,
) -> Result<Departure, Failure> {
    let Registration { id, student, term, section, .. } = registration.value;
    let seats_key_of_it = seats_key(section);
    let (term_key, facts_key) = (student_term_key(student, term), term_facts_key(term));
    let keys = vec![(&term_key).into(), (&facts_key).into(), (&seats_key_of_it).into()];
    let mut batch = table.get_batch(keys).await?;
    let missing = |what: &str| Fault::defect(format!("{id} has no {what}"));
    let term = batch.take(&facts_key)?.map(|stored| stored.value);
    let student_term: Stored<StudentTerm> =
        batch.take(&term_key)?.ok_or_else(|| missing("student term"))?;
    let of_it = batch.take(&seats_key_of_it)?.ok_or_else(|| missing("section"))?.value;
    let mut seats = BTreeMap::from([(section, of_it)]);
    let mut registrations = vec![registration];
    let together = student_term.value.left_together(id);
    let others: Vec<Entry> = student_term
        .value
        .entries
        .iter()
        .filter(|entry| entry.registration != id && together.contains(&entry.registration))
        .cloned()
        .collect();
    if !others.is_empty() {
        let keys: Vec<_> = others
            .iter()
            .map(|entry| (registration_key(entry.registration), seats_key(entry.section)))
            .collect();
        let wanted = keys.iter().flat_map(|(of_it, seats)| [of_it.into(), seats.into()]);
        let mut batch = table.get_batch(wanted.collect()).await?;
        for (registration, of_it) in &keys {
            registrations.push(batch.take(registration)?.ok_or_else(|| missing("companion"))?);
            let of_it = batch.take(of_it)?.ok_or_else(|| missing("companion's section"))?.value;
            seats.insert(of_it.section, of_it);
        }
    }
    Ok(Departure { registrations, student_term, seats, term })
}

impl Departure {
    pub fn ids(&self) -> Vec<RegistrationId> {
        self.registrations.iter().map(|registration| registration.value.id).collect()
    }

    /// What their end writes beside the student's term, which its caller writes: each is as it ended, its seat is free,
    /// and others are told.
    pub fn write(
        &mut self,
        transaction: &mut Transaction<'_>,
        reason: DropReason,
        cause: Cause<'_>,
    ) {
        for registration in &self.registrations {
            self.leave(transaction, registration, cause);
            let event = registration.value.dropped(cause.now, reason);
            transaction.event(event, registration.version + 1, cause.now, cause.correlation_id);
        }
        for registration in self.ids() {
            self.student_term.value.remove(registration);
        }
    }

    /// The same, where they are withdrawn: they stay on the student's record.
    pub fn write_withdrawal(
        &mut self,
        transaction: &mut Transaction<'_>,
        part_of: Option<TermWithdrawalId>,
        cause: Cause<'_>,
    ) {
        for registration in &self.registrations {
            self.leave(transaction, registration, cause);
            let event = registration.value.withdrawn(cause.now, part_of);
            transaction.event(event, registration.version + 1, cause.now, cause.correlation_id);
        }
        for registration in self.ids() {
            self.student_term.value.withdraw(registration);
        }
    }

    fn leave(
        &self,
        transaction: &mut Transaction<'_>,
        registration: &Stored<Registration>,
        cause: Cause<'_>,
    ) {
        transaction.update(registration);
        let seats = &self.seats[&registration.value.section];
        give_seat_back(transaction, &registration.value, seats, (registration.version + 1, cause));
    }

    /// Whether the student would be registered for nothing any more in a term that has begun, by the term's last word.
    pub fn leaves_nothing(&self, today: Date) -> bool {
        let mut student_term = self.student_term.value.clone();
        let first_day = self.term.as_ref().map(|term| term.first_day);
        student_term.first_day = first_day.or(student_term.first_day);
        student_term.would_be_empty(&self.ids(), today)
    }
}

/// A bundle that waits for an approval or a payment is undone by an execution that enters at the undo; the one that
/// waits finds itself superseded. `false` where there is nothing to undo any more.
pub fn undo_bundle(
    transaction: &mut Transaction<'_>,
    bundle: &mut Stored<Bundle>,
    approvals: Vec<Stored<Approval>>,
    reason: ReleaseReason,
    cause: Cause<'_>,
) -> bool {
    if !bundle.value.begin_undo(reason, Verdict::Waiting, cause.now) {
        return false;
    }
    bundle.value.restart(cause.now);
    transaction.update(bundle);
    for mut approval in approvals {
        if approval.value.cancel() {
            transaction.update(&approval);
        }
    }
    let request = bundle.value.saga_request();
    transaction.event(request, bundle.version + 1, cause.now, cause.correlation_id);
    true
}
