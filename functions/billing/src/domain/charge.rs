//! The charge of a bundle: posted with its invoice, settled when nothing is left to pay, taken back with a
//! credit note.

use std::collections::BTreeMap;

use events::ChargeableRegistration;
use kernel::{BundleId, ChargeId, Id, InvoiceId, Money, PersonId, RegistrationId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Account, JournalEntry, Source, SourceKind, StudentAccount};
use super::{CreditNote, Invoice, InvoiceDocument, InvoiceLine, PriceGroup, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    Posted,
    Settled,
    Reversed,
}

/// What was posted for a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    pub student: PersonId,
    pub invoice: InvoiceId,
    pub amount: Money,
}

/// An execution of the enrollment saga that waits, and with what it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSaga {
    pub attempt: u32,
    pub task_token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub id: ChargeId,
    pub bundle: BundleId,
    pub state: ChargeState,
    /// Absent when the bundle was undone before it was ever charged.
    pub posted: Option<Posted>,
    /// Who waits for the settlement.
    pub waiting: Option<WaitingSaga>,
}

impl Charge {
    pub fn id_of(bundle: BundleId) -> ChargeId {
        ChargeId::derived_from(&bundle.to_string())
    }

    /// The mark that a bundle which was never charged must not be charged any more.
    pub fn never_posted(bundle: BundleId) -> Self {
        Self {
            id: Self::id_of(bundle),
            bundle,
            state: ChargeState::Reversed,
            posted: None,
            waiting: None,
        }
    }

    /// Lets an execution wait in place of the one before. `false` where it does so already; one that was superseded
    /// does not push the later one out.
    pub fn wait(&mut self, saga: WaitingSaga) -> Result<bool, Refusal> {
        match &self.waiting {
            Some(known) if known.attempt > saga.attempt => Err(Refusal::ExecutionSuperseded),
            Some(known) if *known == saga => Ok(false),
            _ => {
                self.waiting = Some(saga);
                Ok(true)
            }
        }
    }

    /// What was posted, unless the charge is reversed.
    pub fn standing(&self) -> Result<Posted, Refusal> {
        self.posted.filter(|_| self.state != ChargeState::Reversed).ok_or(Refusal::ChargeReversed)
    }

    /// Settles the charge when nothing of its invoice is open; answers whether it did just now.
    pub(super) fn settle_if_paid(&mut self, invoice: &Invoice) -> bool {
        let settles = self.state == ChargeState::Posted && invoice.open().minor == 0;
        if settles {
            self.state = ChargeState::Settled;
        }
        settles
    }
}

/// What a bundle is charged for.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub bundle: BundleId,
    pub student: PersonId,
    pub term_code: &'a str,
}

/// A posted charge with everything that is written with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Posting {
    pub charge: Charge,
    pub invoice: Invoice,
    pub entry: JournalEntry,
    pub settled: bool,
}

/// What the registrations cost, line by line.
pub fn price(
    registrations: &[ChargeableRegistration],
    prices: &BTreeMap<String, PriceGroup>,
) -> Result<(Vec<InvoiceLine>, Money), Refusal> {
    let mut lines = Vec::new();
    let mut total: Option<Money> = None;
    for registration in registrations {
        let group = prices.get(&registration.price_group).ok_or(Refusal::PriceGroupUnknown)?;
        let amount = group.price_of(registration.credits_hundredths)?;
        total = Some(match total {
            Some(total) => total.checked_add(amount)?,
            None => amount,
        });
        lines.push(InvoiceLine {
            registration: registration.registration,
            section_code: registration.section_code.clone(),
            course_title: registration.course_title.clone(),
            credits_hundredths: registration.credits_hundredths,
            per_credit: group.per_credit,
            amount,
        });
    }
    Ok((lines, total.expect("a bundle has at least one registration")))
}

/// Posts the charge of a bundle; what the student has to their credit is applied first.
pub fn post(
    order: &Order<'_>,
    (lines, total): (Vec<InvoiceLine>, Money),
    number: String,
    account: &mut StudentAccount,
    now: Timestamp,
) -> Result<Posting, Refusal> {
    let id = Charge::id_of(order.bundle);
    let mut invoice = Invoice::issue(InvoiceDocument {
        id: InvoiceId::derived_from(&id.to_string()),
        number,
        student: order.student,
        charge: id,
        bundle: order.bundle,
        term_code: order.term_code.to_owned(),
        issued_at: now,
        lines,
        total,
    });
    let applied = invoice.pay(account.unapplied_cash)?;
    account.withdraw(applied)?;
    let entry = JournalEntry::new(
        Some(order.student),
        now,
        Source { kind: SourceKind::Charge, id: id.to_string() },
        [
            (Account::Receivable, total.checked_sub(applied)?),
            (Account::UnappliedCash, applied),
            (Account::TuitionRevenue, total.negated()?),
        ],
    )
    .expect("what is owed and what is applied make up the total");
    let posted = Posted { student: order.student, invoice: invoice.document().id, amount: total };
    let mut charge = Charge {
        id,
        bundle: order.bundle,
        state: ChargeState::Posted,
        posted: Some(posted),
        waiting: None,
    };
    let settled = charge.settle_if_paid(&invoice);
    Ok(Posting { charge, invoice, entry, settled })
}

/// What of a charge is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeBack {
    Everything,
    Registration(RegistrationId),
}

impl TakeBack {
    /// The registrations whose lines still stand and are meant. None: there is nothing to take back.
    pub fn of(self, invoice: &Invoice) -> Vec<RegistrationId> {
        invoice
            .standing_lines()
            .map(|line| line.registration)
            .filter(|registration| match self {
                Self::Everything => true,
                Self::Registration(one) => *registration == one,
            })
            .collect()
    }
}

/// A credit note with everything that is written with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reversal {
    pub note: CreditNote,
    pub entry: JournalEntry,
    /// What is left of the charge is paid: it settles with this.
    pub settled: bool,
}

/// Takes lines of a charge back, 100 %. What was paid of them becomes the student's unapplied cash.
pub fn take_back(
    charge: &mut Charge,
    invoice: &mut Invoice,
    account: &mut StudentAccount,
    registrations: &[RegistrationId],
    number: &str,
    now: Timestamp,
) -> Result<Reversal, Refusal> {
    let (note, freed) = invoice.credit(registrations, number, now)?;
    account.deposit(freed)?;
    let entry = JournalEntry::new(
        Some(note.student),
        now,
        Source { kind: SourceKind::CreditNote, id: note.number.clone() },
        [
            (Account::TuitionRevenue, note.total),
            (Account::Receivable, freed.checked_sub(note.total)?),
            (Account::UnappliedCash, freed.negated()?),
        ],
    )
    .expect("what was open and what was paid make up the credit");
    let mut settled = false;
    if invoice.is_wholly_credited() {
        charge.state = ChargeState::Reversed;
        charge.waiting = None;
    } else {
        settled = charge.settle_if_paid(invoice);
    }
    Ok(Reversal { note, entry, settled })
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    #[test]
    fn a_superseded_execution_does_not_push_out_the_one_that_waits() {
        let saga = |attempt, token: &str| WaitingSaga { attempt, task_token: token.to_owned() };
        let mut charge = Charge::never_posted(BundleId::derived_from("one"));
        assert_eq!(charge.wait(saga(2, "second")), Ok(true));
        assert_eq!(charge.wait(saga(2, "second")), Ok(false));
        assert_eq!(charge.wait(saga(1, "first")), Err(Refusal::ExecutionSuperseded));
        assert_eq!(charge.wait(saga(2, "asked again")), Ok(true));
        assert_eq!(charge.wait(saga(3, "third")), Ok(true));
        assert_eq!(charge.waiting, Some(saga(3, "third")));
    }
}
