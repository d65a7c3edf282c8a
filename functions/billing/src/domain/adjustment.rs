//! What the bursar corrects on a student's account by hand: a charge, a credit, or a claim that is given up. Above a
//! limit a second person decides.

use kernel::{AdjustmentId, Id, InvoiceId, Money, PaymentId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{Fund, FundKind, StudentAccount, Turn};
use super::ledger::{Account, Booking, Line, Source, SourceKind};
use super::{ChargeCode, Decided, Invoice, InvoiceLine, Refusal};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdjustmentKind {
    /// Billed by an invoice of its own.
    Charge {
        code: ChargeCode,
        #[schemars(length(min = 1, max = 40))]
        term_code: String,
    },
    /// Pays for charges of this code, as money would, and is never paid out.
    Credit {
        code: ChargeCode,
        #[schemars(length(min = 1, max = 40))]
        term_code: String,
        /// What it pays for first.
        invoice: Option<InvoiceId>,
    },
    /// So much of what is open of an invoice is given up.
    WriteOff { invoice: InvoiceId },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentState {
    /// A second person has to decide.
    Pending,
    Booked,
    Rejected,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountAdjustment {
    pub id: AdjustmentId,
    pub student: PersonId,
    pub what: AdjustmentKind,
    pub amount: Money,
    pub reason: String,
    pub state: AdjustmentState,
    pub requested_by: PersonId,
    pub requested_at: Timestamp,
    /// The second person's word, where one was asked for.
    pub decided: Option<Decided>,
}

impl AccountAdjustment {
    /// Takes the second person's word. `false` where the same word was spoken before.
    pub fn decide(&mut self, approved: bool, decided: Decided) -> Result<bool, Refusal> {
        if decided.by == self.requested_by {
            return Err(Refusal::SecondPersonRequired);
        }
        let state = if approved { AdjustmentState::Booked } else { AdjustmentState::Rejected };
        match (&self.decided, self.state) {
            (None, AdjustmentState::Pending) => {
                self.state = state;
                self.decided = Some(decided);
                Ok(true)
            }
            (Some(before), stands) if before.by == decided.by && stands == state => Ok(false),
            _ => Err(Refusal::AdjustmentDecided),
        }
    }

    /// The invoice that it names.
    pub fn invoice(&self) -> Option<InvoiceId> {
        match &self.what {
            AdjustmentKind::Charge { .. } => None,
            AdjustmentKind::Credit { invoice, .. } => *invoice,
            AdjustmentKind::WriteOff { invoice } => Some(*invoice),
        }
    }

    /// The one line of the invoice of a charge.
    pub fn line(&self) -> Option<InvoiceLine> {
        let AdjustmentKind::Charge { code, term_code } = &self.what else { return None };
        Some(InvoiceLine {
            code: code.clone(),
            description: self.reason.clone(),
            registration: None,
            term_code: term_code.clone(),
            quantity_hundredths: 100,
            unit_price: self.amount,
            amount: self.amount,
        })
    }

    /// Whose allocations are those of a credit or of what was given up.
    fn fund(&self, kind: FundKind, only: Vec<ChargeCode>, now: Timestamp) -> Fund {
        let payment = PaymentId::derived_from(&self.id.to_string());
        Fund { payment, received_at: now, only, kind }
    }
}

/// Lets a credit pay for charges of its code.
pub fn give_credit(
    adjustment: &AccountAdjustment,
    (code, term_code): (&ChargeCode, &str),
    named: Option<&Invoice>,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    account.begin_turn();
    let amount = adjustment.amount;
    let fund = adjustment.fund(FundKind::Credit, vec![code.clone()], booking.booked_at);
    account.deposit(&fund, amount)?;
    let applied = account.apply(named, &[], booking.booked_at);
    let lines = vec![
        Line::earned(code.clone(), term_code.to_owned(), amount),
        Line::new(Account::UnappliedCash, amount.negated()?),
    ];
    let source = Source { kind: SourceKind::Adjustment, id: adjustment.id.to_string() };
    account.end_turn(booking, source, lines, Vec::new(), applied)
}

/// Gives up so much of what is open of an invoice.
pub fn write_off(
    adjustment: &AccountAdjustment,
    invoice: &Invoice,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    let amount = adjustment.amount;
    if invoice.open().checked_sub(amount)?.minor < 0 {
        return Err(Refusal::CreditTooLarge);
    }
    account.begin_turn();
    let kind = FundKind::WriteOff { invoice: invoice.document().id };
    let fund = adjustment.fund(kind, Vec::new(), booking.booked_at);
    account.deposit(&fund, amount)?;
    let applied = account.apply(Some(invoice), &[], booking.booked_at);
    let lines = vec![
        Line::new(Account::WriteOffs, amount),
        Line::new(Account::UnappliedCash, amount.negated()?),
    ];
    let source = Source { kind: SourceKind::WriteOff, id: adjustment.id.to_string() };
    account.end_turn(booking, source, lines, Vec::new(), applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_decides_on_their_own_request_and_the_first_word_stands() {
        let person = PersonId::derived_from;
        let decided = |name: &str| Decided {
            by: person(name),
            at: Timestamp::UNIX_EPOCH,
            reason: "seen".into(),
        };
        let mut adjustment = AccountAdjustment {
            id: AdjustmentId::derived_from("one"),
            student: person("ada"),
            what: AdjustmentKind::WriteOff { invoice: InvoiceId::derived_from("one") },
            amount: Money::new(5, "XAF".parse().expect("a currency")),
            reason: "gone abroad".into(),
            state: AdjustmentState::Pending,
            requested_by: person("bursar"),
            requested_at: Timestamp::UNIX_EPOCH,
            decided: None,
        };
        let own = adjustment.decide(true, decided("bursar"));
        assert_eq!(own, Err(Refusal::SecondPersonRequired));
        assert_eq!(adjustment.decide(true, decided("dean")), Ok(true));
        assert_eq!(adjustment.decide(true, decided("dean")), Ok(false), "a double click");
        assert_eq!(adjustment.decide(false, decided("dean")), Err(Refusal::AdjustmentDecided));
        assert_eq!(adjustment.decide(true, decided("rector")), Err(Refusal::AdjustmentDecided));
        assert_eq!(adjustment.state, AdjustmentState::Booked);
    }
}
