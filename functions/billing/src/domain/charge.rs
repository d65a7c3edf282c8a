//! The charge of a bundle: posted with its invoice, secured while what is left may be paid later, settled when nothing
//! is left to pay, taken back with credit notes.

use kernel::{BundleId, ChargeId, Date, Id, InvoiceId, Money, PersonId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{StudentAccount, Turn};
use super::ledger::{Account, Booking, Line, Source, SourceKind};
use super::{CreditNote, Invoice, InvoiceDocument, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    Posted,
    /// What is open of it may be paid later, as a plan that is kept or a moved due date says.
    Secured,
    Settled,
    Reversed,
}

impl ChargeState {
    /// Something of it is open.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Posted | Self::Secured)
    }

    /// Whoever waits for its payment need wait no longer.
    pub fn lets_go_on(self) -> bool {
        matches!(self, Self::Secured | Self::Settled)
    }
}

/// What was posted for a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    pub student: PersonId,
    pub term: TermId,
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
    /// Invoices of later calculations that carry the price of what was posted, or a part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repriced: Vec<InvoiceId>,
    /// Who waits for the settlement.
    pub waiting: Option<WaitingSaga>,
}

impl Charge {
    pub fn id_of(bundle: BundleId) -> ChargeId {
        ChargeId::derived_from(&bundle.to_string())
    }

    pub fn posted(bundle: BundleId, posted: Posted) -> Self {
        Self {
            id: Self::id_of(bundle),
            bundle,
            state: ChargeState::Posted,
            posted: Some(posted),
            repriced: Vec::new(),
            waiting: None,
        }
    }

    /// The mark that a bundle which was never charged must not be charged any more.
    pub fn never_posted(bundle: BundleId) -> Self {
        Self {
            id: Self::id_of(bundle),
            bundle,
            state: ChargeState::Reversed,
            posted: None,
            repriced: Vec::new(),
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

    /// Becomes what the account says is open of its invoices, and when that is to be paid. That an invoice is credited
    /// does not reverse the charge: what a new calculation took back, it has billed elsewhere. What is reversed stays
    /// so.
    pub fn follow(&mut self, account: &StudentAccount, today: Date) {
        if self.state == ChargeState::Reversed {
            return;
        }
        let secured = account.secured_lines(today);
        let of_it = account.open_lines().iter().filter(|line| self.is_billed_by(line.invoice));
        let mut states = of_it.map(|line| {
            let is_secured = secured.contains(&(line.invoice, line.line));
            if is_secured { ChargeState::Secured } else { ChargeState::Posted }
        });
        self.state = match states.next() {
            None => ChargeState::Settled,
            Some(first) if states.all(|state| state == first) => first,
            Some(_) => ChargeState::Posted,
        };
    }

    /// Nobody is registered for any of it, now or ever: nobody waits any longer.
    pub fn reverse(&mut self) {
        self.state = ChargeState::Reversed;
        self.waiting = None;
    }

    fn is_billed_by(&self, invoice: InvoiceId) -> bool {
        self.posted.is_some_and(|posted| posted.invoice == invoice)
            || self.repriced.contains(&invoice)
    }
}

/// Posts an invoice; what the student has to their credit is applied at once.
pub fn post(
    document: InvoiceDocument,
    source: Source,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<(Invoice, Turn), Refusal> {
    account.begin_turn();
    let invoice = Invoice::issue(document);
    account.follow(&invoice);
    let applied = account.apply(Some(&invoice), &[], booking.booked_at);
    let document = invoice.document();
    let mut lines = vec![Line::new(Account::Receivable, document.total)];
    for line in &document.lines {
        let earned = line.amount.negated()?;
        lines.push(Line::earned(line.code.clone(), line.term_code.clone(), earned));
    }
    let turn = account.end_turn(booking, source, lines, Vec::new(), applied)?;
    Ok((invoice, turn))
}

/// Takes back so much of the lines of an invoice, with a credit note of this number. What was paid of it is freed, and
/// applied to what else the student owes.
pub fn take_back(
    invoice: &mut Invoice,
    account: &mut StudentAccount,
    lines: &[(u32, Money)],
    number: &str,
    booking: Booking,
) -> Result<(CreditNote, Turn), Refusal> {
    account.begin_turn();
    let now = booking.booked_at;
    let (note, freed) = invoice.credit(lines, number, now)?;
    let freed = account.free(freed, note.invoice, now)?;
    for row in &freed {
        invoice.take_over(row);
    }
    invoice.take_note(&note);
    account.follow(invoice);
    let applied = account.apply(None, &freed, now);
    let mut entry_lines = vec![Line::new(Account::Receivable, note.total.negated()?)];
    for credit in &note.lines {
        let line = &invoice.document().lines[credit.line as usize];
        entry_lines.push(Line::earned(line.code.clone(), line.term_code.clone(), credit.amount));
    }
    let source = Source { kind: SourceKind::CreditNote, id: note.number.clone() };
    let turn = account.end_turn(booking, source, entry_lines, freed, applied)?;
    Ok((note, turn))
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
