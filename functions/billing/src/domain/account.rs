//! A student's account in one currency: the balance of every ledger account, the lines that are open, the money that is
//! not applied yet, and how one is applied to the other.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{ChargeId, Currency, Date, InvoiceId, Money, PaymentId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Account, Booking, JournalEntry, Line, Source};
use super::{
    BilledLate, ChargeCode, Deferral, Dunned, Invoice, PaymentPlan, PlanState, Refusal,
    SponsorContractCode, SponsoredLine, Sponsorship,
};

/// A line of an invoice of which something is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLine {
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub charge: Option<ChargeId>,
    pub line: u32,
    pub code: ChargeCode,
    pub term_code: String,
    pub due: Date,
    /// Minor units, more than none.
    pub open: i64,
}

/// Where money came from, and what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fund {
    pub payment: PaymentId,
    pub received_at: Timestamp,
    /// Pays for charges of these codes only; for all where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<ChargeCode>,
    #[serde(default, skip_serializing_if = "FundKind::is_payment")]
    pub kind: FundKind,
}

/// What pays: money that came in, or what the bursar's office has put in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FundKind {
    #[default]
    Payment,
    /// Waits for charges, as money would, and is never paid out.
    Credit,
    /// Stands for what is given up of one invoice, and for nothing else.
    WriteOff { invoice: InvoiceId },
    /// Stands for what a sponsor pays by contract, where the contract says so, and for nothing else.
    Sponsor { contract: SponsorContractCode },
}

impl FundKind {
    fn is_payment(&self) -> bool {
        *self == Self::Payment
    }
}

impl Fund {
    fn may_pay(&self, line: &OpenLine) -> bool {
        let is_meant = match self.kind {
            FundKind::WriteOff { invoice } => line.invoice == invoice,
            FundKind::Sponsor { .. } => false,
            FundKind::Payment | FundKind::Credit => true,
        };
        is_meant && (self.only.is_empty() || self.only.contains(&line.code))
    }
}

/// What paid for lines of one invoice and does so no longer: whose money, which line, how much in minor units.
pub(super) type Freed = Vec<(Fund, u32, i64)>;

/// Money that is not applied to anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unapplied {
    pub fund: Fund,
    /// Minor units. Less than none where more of the money is gone than was not applied: what it pays for is opened
    /// again, so much in each turn.
    pub left: i64,
}

/// That money of a payment pays for a line, or, where it is negative, that it does so no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    pub student: PersonId,
    /// The account's turn in which it was made, and its place there.
    pub turn: u64,
    pub place: u32,
    pub fund: Fund,
    pub invoice: InvoiceId,
    pub line: u32,
    pub amount: Money,
    pub allocated_at: Timestamp,
}

/// What one happening changed of a student's money.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub entry: JournalEntry,
    /// Allocations that were undone; their invoices know it.
    pub freed: Vec<Allocation>,
    /// Allocations that were made; their invoices have to take them over.
    pub applied: Vec<Allocation>,
}

/// Allocations of one turn: each may write itself, an invoice, a charge and the event that it is settled, and a
/// transaction holds 100 items.
pub const ROWS_MAX: usize = 20;

/// The fold of a student's journal entries, kept so that nobody has to fold them again; a replay proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudentAccount {
    pub student: PersonId,
    pub currency: Currency,
    /// How many entries are folded into the balances.
    entries: u64,
    balances: BTreeMap<Account, i64>,
    /// Raised with every change, whether it was booked or only applied otherwise.
    turn: u64,
    pub(super) open_lines: Vec<OpenLine>,
    unapplied: Vec<Unapplied>,
    /// Whether what is overdue holds the student.
    #[serde(default)]
    held: bool,
    #[serde(default)]
    pub(super) plans: Vec<PaymentPlan>,
    /// Invoices that are due later than they say.
    #[serde(default)]
    pub(super) deferrals: BTreeMap<InvoiceId, Deferral>,
    /// What was done about what was overdue, by the day on which it was due.
    #[serde(default)]
    pub(super) dunned: BTreeMap<Date, Dunned>,
    /// Lines about which late fees were billed, however their due dates are moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) billed_late: Vec<BilledLate>,
    /// The contracts that the student is under, those that pay first in front.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sponsorships: Vec<Sponsorship>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sponsored: Vec<SponsoredLine>,
    /// Invoices whose charges do not follow yet what may be paid later.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    unfollowed: BTreeSet<InvoiceId>,
}

impl StudentAccount {
    pub fn empty(student: PersonId, currency: Currency) -> Self {
        Self {
            student,
            currency,
            entries: 0,
            balances: BTreeMap::new(),
            turn: 0,
            open_lines: Vec::new(),
            unapplied: Vec::new(),
            held: false,
            plans: Vec::new(),
            deferrals: BTreeMap::new(),
            dunned: BTreeMap::new(),
            billed_late: Vec::new(),
            sponsorships: Vec::new(),
            sponsored: Vec::new(),
            unfollowed: BTreeSet::new(),
        }
    }

    /// Notes invoices whose charges are to follow the account, now or with another transaction.
    pub fn let_follow(&mut self, invoices: impl IntoIterator<Item = InvoiceId>) {
        self.unfollowed.extend(invoices);
    }

    /// Takes one of the invoices that were noted.
    pub fn take_unfollowed(&mut self) -> Option<InvoiceId> {
        self.unfollowed.pop_first()
    }

    pub fn has_unfollowed(&self) -> bool {
        !self.unfollowed.is_empty()
    }

    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Answers whether that is news.
    pub fn hold(&mut self, holds: bool) -> bool {
        std::mem::replace(&mut self.held, holds) != holds
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    pub fn balances(&self) -> &BTreeMap<Account, i64> {
        &self.balances
    }

    pub fn balance(&self, account: Account) -> Money {
        Money::new(self.balances.get(&account).copied().unwrap_or_default(), self.currency)
    }

    pub fn open_lines(&self) -> &[OpenLine] {
        &self.open_lines
    }

    pub fn unapplied(&self) -> &[Unapplied] {
        &self.unapplied
    }

    /// What the student paid and does not owe.
    pub fn unapplied_cash(&self) -> Money {
        let minor = self.unapplied.iter().map(|unapplied| unapplied.left).sum();
        Money::new(minor, self.currency)
    }

    pub(super) fn begin_turn(&mut self) {
        self.turn += 1;
    }

    /// Books what happened, together with what the allocations moved between what is owed and what is not applied.
    pub(super) fn end_turn(
        &mut self,
        booking: Booking,
        source: Source,
        mut lines: Vec<Line>,
        mut freed: Vec<Allocation>,
        mut applied: Vec<Allocation>,
    ) -> Result<Turn, Refusal> {
        let mut moved = Money::zero(self.currency);
        for (place, row) in (0..).zip(freed.iter_mut().chain(&mut applied)) {
            row.place = place;
            moved = moved.checked_add(row.amount)?;
        }
        lines.push(Line::new(Account::UnappliedCash, moved));
        lines.push(Line::new(Account::Receivable, moved.negated()?));
        let owed = self.take_what_nobody_owes();
        lines.push(Line::new(Account::UnappliedCash, owed));
        lines.push(Line::new(Account::WriteOffs, owed.negated()?));
        let sponsored = self.take_what_sponsors_owe_no_longer();
        lines.push(Line::new(Account::UnappliedCash, sponsored));
        lines.push(Line::new(Account::SponsorReceivable, sponsored.negated()?));
        let entry = JournalEntry::new(Some(self.student), booking, source, lines)
            .expect("what happened is booked on both sides");
        self.book(&entry)?;
        Ok(Turn { entry, freed, applied })
    }

    /// What was given up of a claim that does not stand any more is nobody's money. Where the claim stands, it waits
    /// for the next turn.
    fn take_what_nobody_owes(&mut self) -> Money {
        let Self { open_lines, unapplied, .. } = self;
        let is_nobodys = |unapplied: &mut Unapplied| {
            unapplied.left > 0
                && matches!(unapplied.fund.kind, FundKind::WriteOff { .. })
                && !open_lines.iter().any(|line| unapplied.fund.may_pay(line))
        };
        let taken = unapplied.extract_if(.., is_nobodys);
        Money::new(taken.map(|unapplied| unapplied.left).sum(), self.currency)
    }

    /// A sponsor's part that was freed, as by a credit note, is nobody's money.
    fn take_what_sponsors_owe_no_longer(&mut self) -> Money {
        let is_sponsors =
            |unapplied: &mut Unapplied| matches!(unapplied.fund.kind, FundKind::Sponsor { .. });
        let taken = self.unapplied.extract_if(.., is_sponsors);
        Money::new(taken.map(|unapplied| unapplied.left).sum(), self.currency)
    }

    /// What of all that is open was due before this day.
    pub fn overdue(&self, today: Date) -> Money {
        let claims = self.claims();
        let overdue = claims.iter().filter(|claim| claim.due < today);
        Money::new(overdue.map(|claim| claim.open).sum(), self.currency)
    }

    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// Folds an entry in.
    pub(super) fn book(&mut self, entry: &JournalEntry) -> Result<(), Refusal> {
        if entry.lines().is_empty() {
            return Ok(());
        }
        self.entries += 1;
        for line in entry.lines() {
            Money::zero(self.currency).checked_add(line.amount)?;
            let balance = self.balances.entry(line.account).or_default();
            *balance = balance.checked_add(line.amount.minor).ok_or(Refusal::AmountTooLarge)?;
        }
        self.balances.retain(|_, balance| *balance != 0);
        Ok(())
    }

    /// The same account with its balances folded anew from these entries.
    pub fn replayed<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e JournalEntry>,
    ) -> Result<Self, Refusal> {
        let mut replayed = Self { entries: 0, balances: BTreeMap::new(), ..self.clone() };
        for entry in entries {
            replayed.book(entry)?;
        }
        Ok(replayed)
    }

    /// Takes in what an invoice says is open of its lines, in place of what was open of them before.
    pub(super) fn follow(&mut self, invoice: &Invoice) {
        let document = invoice.document();
        let due = self.deferral_of(document.id).map_or(document.due, |deferral| deferral.until);
        self.open_lines.retain(|line| line.invoice != document.id);
        let open = (0..).zip(&document.lines).map(|(at, line)| OpenLine {
            invoice: document.id,
            invoice_number: document.number.clone(),
            charge: document.charge,
            line: at,
            code: line.code.clone(),
            term_code: line.term_code.clone(),
            due,
            open: invoice.open_of(at),
        });
        self.open_lines.extend(open.filter(|line| line.open > 0));
    }

    pub(super) fn deposit(&mut self, fund: &Fund, amount: Money) -> Result<(), Refusal> {
        self.unapplied_cash().checked_add(amount)?;
        if let Some(known) = self.unapplied.iter_mut().find(|u| u.fund.payment == fund.payment) {
            known.left += amount.minor;
        } else {
            self.unapplied.push(Unapplied { fund: fund.clone(), left: amount.minor });
            self.unapplied.sort_by_key(|u| (u.fund.received_at, u.fund.payment));
        }
        self.unapplied.retain(|unapplied| unapplied.left != 0);
        Ok(())
    }

    /// What of this payment is not applied.
    pub fn left_of(&self, payment: PaymentId) -> Money {
        let found = self.unapplied.iter().find(|u| u.fund.payment == payment);
        Money::new(found.map_or(0, |unapplied| unapplied.left), self.currency)
    }

    pub(super) fn withdraw(&mut self, payment: PaymentId, amount: Money) -> Result<(), Refusal> {
        if self.left_of(payment).checked_sub(amount)?.minor < 0 {
            return Err(Refusal::NotUnapplied);
        }
        for unapplied in self.unapplied.iter_mut().filter(|u| u.fund.payment == payment) {
            unapplied.left -= amount.minor;
        }
        self.unapplied.retain(|unapplied| unapplied.left != 0);
        Ok(())
    }

    /// The payments of which more is gone than was not applied.
    pub fn overdrawn(&self) -> impl Iterator<Item = PaymentId> {
        let overdrawn = self.unapplied.iter().filter(|unapplied| unapplied.left < 0);
        overdrawn.map(|unapplied| unapplied.fund.payment)
    }

    /// Whether a turn left something over: money that is gone and still pays for lines, money that could pay for lines
    /// which are open, or charges that do not follow yet.
    pub fn is_unfinished(&self) -> bool {
        let may_pay = |unapplied: &Unapplied| {
            self.open_lines.iter().any(|line| line.open > 0 && unapplied.fund.may_pay(line))
        };
        self.has_unfollowed()
            || self.unapplied.iter().any(|unapplied| unapplied.left < 0 || may_pay(unapplied))
    }

    /// Applies whatever may be applied, the oldest money first, to what it is meant for first: the invoice that is
    /// named, then its term and its codes, then what is due longest, by invoice number and line; of a plan no more
    /// than its next instalment at a time. Answers the rows to be kept; the invoices have to take them over. What is
    /// too much for one transaction, beside what the same turn has freed, waits for the next turn.
    pub(super) fn apply(
        &mut self,
        named: Option<&Invoice>,
        freed: &[Allocation],
        now: Timestamp,
    ) -> Vec<Allocation> {
        let rows_max = ROWS_MAX.saturating_sub(freed.len());
        let mut rows: Vec<Allocation> = Vec::new();
        let mut unapplied = std::mem::take(&mut self.unapplied);
        for Unapplied { fund, left } in &mut unapplied {
            while *left > 0 {
                let Some((at, most)) = self.next_payable(fund, named) else { break };
                let minor = most.min(*left);
                let line = &mut self.open_lines[at];
                let known = rows.iter().position(|row| {
                    (row.fund.payment, row.invoice, row.line)
                        == (fund.payment, line.invoice, line.line)
                });
                if known.is_none() && rows.len() == rows_max {
                    break;
                }
                match known {
                    Some(at) => rows[at].amount.minor += minor,
                    None => rows.push(Allocation {
                        student: self.student,
                        turn: self.turn,
                        place: 0,
                        fund: fund.clone(),
                        invoice: line.invoice,
                        line: line.line,
                        amount: Money::new(minor, self.currency),
                        allocated_at: now,
                    }),
                }
                *left -= minor;
                line.open -= minor;
            }
        }
        unapplied.retain(|unapplied| unapplied.left != 0);
        self.unapplied = unapplied;
        self.open_lines.retain(|line| line.open > 0);
        rows
    }

    /// The line that this money pays next, by its place, and how much of it before another may come first.
    fn next_payable(&self, fund: &Fund, named: Option<&Invoice>) -> Option<(usize, i64)> {
        let nexts = self.next_under_plans();
        let next_of = |line: &OpenLine| nexts.get(&(line.invoice, line.line));
        let payable = self.open_lines.iter().enumerate();
        let payable = payable.filter(|(_, line)| line.open > 0 && fund.may_pay(line));
        let (at, line) = payable.min_by_key(|(_, line)| {
            let due = next_of(line).map_or(line.due, |next| next.due);
            order_of(line, due, named)
        })?;
        Some((at, next_of(line).map_or(line.open, |next| next.amount.min(line.open))))
    }

    /// Frees all that this payment pays for, but for what is under a plan.
    pub(super) fn free_all(
        &mut self,
        payment: PaymentId,
        paid: &mut [&mut Invoice],
        now: Timestamp,
    ) -> Result<Vec<Allocation>, Refusal> {
        let active =
            self.plans_in_force().filter(|plan| self.plan_state(plan) == PlanState::Active);
        let under_plans: BTreeSet<(InvoiceId, u32)> =
            active.flat_map(|plan| plan.lines.iter().copied()).collect();
        self.free_up_to((i64::MAX, usize::MAX), payment, (paid, &under_plans), now)
    }

    /// Frees as much as is missing of this payment, or as one turn can, the last lines first.
    pub(super) fn free_missing(
        &mut self,
        payment: PaymentId,
        paid: &mut [&mut Invoice],
        now: Timestamp,
    ) -> Result<Vec<Allocation>, Refusal> {
        let missing = self.left_of(payment).negated()?.minor;
        self.free_up_to((missing, ROWS_MAX), payment, (paid, &BTreeSet::new()), now)
    }

    /// Frees so much of what this payment pays for, in minor units and in lines, what is due last first, and lets some
    /// lines be.
    fn free_up_to(
        &mut self,
        (minor, lines): (i64, usize),
        payment: PaymentId,
        (paid, kept): (&mut [&mut Invoice], &BTreeSet<(InvoiceId, u32)>),
        now: Timestamp,
    ) -> Result<Vec<Allocation>, Refusal> {
        let mut left = minor;
        let mut rows = Vec::new();
        paid.sort_by_cached_key(|invoice| {
            let document = invoice.document();
            (document.due, document.number.clone())
        });
        for invoice in paid.iter_mut().rev() {
            let mut parts = invoice.paid_by(payment);
            parts.retain(|(_, line, _)| !kept.contains(&(invoice.document().id, *line)));
            parts.reverse();
            parts.truncate(lines - rows.len());
            for (_, _, part) in &mut parts {
                *part = left.max(0).min(*part);
                left -= *part;
            }
            parts.retain(|(_, _, part)| *part > 0);
            let freed = self.free(parts, invoice.document().id, now)?;
            for row in &freed {
                invoice.take_over(row);
            }
            self.follow(invoice);
            rows.extend(freed);
        }
        Ok(rows)
    }

    /// Money that paid for a line and does so no longer goes back to where it came from.
    pub(super) fn free(
        &mut self,
        freed: Freed,
        invoice: InvoiceId,
        now: Timestamp,
    ) -> Result<Vec<Allocation>, Refusal> {
        let mut rows = Vec::new();
        for (fund, line, minor) in freed {
            self.deposit(&fund, Money::new(minor, self.currency))?;
            rows.push(Allocation {
                student: self.student,
                turn: self.turn,
                place: 0,
                fund,
                invoice,
                line,
                amount: Money::new(-minor, self.currency),
                allocated_at: now,
            });
        }
        Ok(rows)
    }
}

/// The named invoice, its term and codes, the due date, the invoice's number, the line.
fn order_of(
    line: &OpenLine,
    due: Date,
    named: Option<&Invoice>,
) -> (bool, bool, Date, String, u32) {
    let is_named = named.is_some_and(|named| named.document().id == line.invoice);
    let is_like_named = named.is_some_and(|named| {
        let mut lines = named.document().lines.iter();
        lines.any(|other| other.term_code == line.term_code && other.code == line.code)
    });
    (!is_named, !is_like_named, due, line.invoice_number.clone(), line.line)
}
