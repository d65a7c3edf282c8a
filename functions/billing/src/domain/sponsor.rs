//! Third parties that pay for students by contract: what of each line is theirs, up to caps. A sponsor's part lies on
//! the invoice as money would, and in the ledger the claim against the sponsor takes the place of that against the
//! student.

use kernel::{Currency, Date, Id, InvoiceId, Money, PaymentId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{Fund, FundKind, ROWS_MAX, StudentAccount, Turn};
use super::ledger::{Account, Booking, JournalEntry, Line, Source, SourceKind};
use super::tuition::Reduction;
use super::{Allocation, ChargeCode, Decided, Invoice, Refusal};

#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct SponsorContractCode(
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))] pub String,
);

/// What a sponsor pays of charges of some codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SponsorRule {
    /// Everything but late fees where there are none.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub codes: Vec<ChargeCode>,
    /// A share of each line, or an amount; the amount, and the cap of a share, are of a student's term.
    pub pays: Reduction,
}

impl SponsorRule {
    fn is_of(&self, code: &ChargeCode) -> bool {
        if self.codes.is_empty() {
            *code != ChargeCode::late_fee()
        } else {
            self.codes.contains(code)
        }
    }
}

/// What was agreed with a sponsor. A change counts for what is invoiced, or changed, after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SponsorTerms {
    #[schemars(length(min = 1, max = 100))]
    pub sponsor: String,
    pub currency: Currency,
    /// The days on which an invoice is issued that the sponsor pays for.
    pub first_day: Date,
    pub last_day: Date,
    /// The first that names a line's code counts; new ones are added behind those that there are.
    #[schemars(length(min = 1, max = 20))]
    pub rules: Vec<SponsorRule>,
    /// The most for one student in one term, for one student, and in all.
    pub per_term: Option<Money>,
    pub per_student: Option<Money>,
    pub in_all: Option<Money>,
    /// From an invoice's date to the day on which the sponsor has to pay.
    #[schemars(range(max = 365))]
    pub payment_terms_days: u16,
    /// What the sponsor has not paid so many days after that day is the student's to pay; absent, only where the bursar
    /// says so.
    #[schemars(range(max = 365))]
    pub falls_back_after_days: Option<u16>,
}

impl SponsorTerms {
    /// Refuses caps of nothing or of another currency, and a last day before the first.
    pub fn check(&self) -> Result<(), Refusal> {
        let caps = [self.per_term, self.per_student, self.in_all].into_iter().flatten();
        for amount in caps.chain(self.rules.iter().filter_map(|rule| rule.pays.most())) {
            if amount.currency != self.currency {
                return Err(Refusal::CurrenciesDiffer);
            }
            if amount.minor <= 0 {
                return Err(Refusal::AmountNotPositive);
            }
        }
        let in_order = self.first_day <= self.last_day && !self.rules.is_empty();
        if in_order { Ok(()) } else { Err(Refusal::SponsorContractContradictory) }
    }

    fn cover(&self, issued_on: Date) -> bool {
        (self.first_day..=self.last_day).contains(&issued_on)
    }

    /// When the sponsor has to pay for an invoice of this day.
    pub fn due(&self, issued_on: Date) -> Date {
        issued_on.saturating_add(jiff::Span::new().days(i64::from(self.payment_terms_days)))
    }

    /// Whether what was due on a day falls back to the student today.
    pub fn falls_back(&self, due: Date, today: Date) -> bool {
        self.falls_back_after_days.is_some_and(|days| (today - due).get_days() > i32::from(days))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SponsorContract {
    pub code: SponsorContractCode,
    pub terms: SponsorTerms,
    /// How often terms were agreed on. What is pledged and paid meanwhile does not count.
    pub agreed: u64,
    pub set_by: PersonId,
    /// What the sponsor is to pay or has paid, for all students, in minor units.
    pub pledged: i64,
    /// What the sponsor has paid, in minor units.
    pub received: i64,
    /// What of that pays for no invoice yet, in minor units.
    pub unallocated: i64,
}

/// That a student is under a contract: for what is invoiced on these days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sponsorship {
    pub contract: SponsorContractCode,
    pub from: Date,
    pub until: Option<Date>,
}

/// What of one line of an invoice a sponsor pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SponsoredLine {
    contract: SponsorContractCode,
    invoice: InvoiceId,
    line: u32,
    term_code: String,
    /// Its place among the contract's rules.
    rule: usize,
    /// Minor units, not negative.
    amount: i64,
    /// No more than this, since the rest fell back to the student.
    most: Option<i64>,
}

/// What a sponsor is to pay of one invoice: a row of the sponsor's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SponsoredInvoice {
    pub contract: SponsorContractCode,
    pub student: PersonId,
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub term_code: String,
    pub issued_at: Timestamp,
    /// When the sponsor has to pay.
    pub due: Date,
    /// What the sponsor pays of it as it stands.
    pub amount: Money,
    /// What is paid of that, in minor units.
    pub paid: i64,
    /// That the rest fell back to the student.
    pub returned: Option<Decided>,
}

impl SponsoredInvoice {
    pub fn of(contract: &SponsorContract, invoice: &Invoice, issued_on: Date) -> Self {
        let document = invoice.document();
        Self {
            contract: contract.code.clone(),
            student: document.student,
            invoice: document.id,
            invoice_number: document.number.clone(),
            term_code: document.term_code.clone(),
            issued_at: document.issued_at,
            due: contract.terms.due(issued_on),
            amount: Money::zero(contract.terms.currency),
            paid: 0,
            returned: None,
        }
    }

    /// What the sponsor has not paid of it, in minor units.
    pub fn open(&self) -> i64 {
        self.amount.minor - self.paid
    }

    /// Becomes what the sponsor is to pay now; what was paid beyond that pays for other invoices.
    pub fn follow(&mut self, amount: i64, contract: &mut SponsorContract) {
        self.amount.minor = amount;
        let beyond = (self.paid - amount).max(0);
        self.paid -= beyond;
        contract.unallocated += beyond;
    }

    /// Takes as much of the sponsor's money as it needs and there is.
    pub fn take(&mut self, contract: &mut SponsorContract) {
        let part = self.open().min(contract.unallocated).max(0);
        self.paid += part;
        contract.unallocated -= part;
    }
}

impl SponsorContract {
    pub fn new(code: SponsorContractCode, terms: SponsorTerms, set_by: PersonId) -> Self {
        Self { code, terms, agreed: 0, set_by, pledged: 0, received: 0, unallocated: 0 }
    }

    /// Takes other terms. The currency stays, since money of it may have come.
    pub fn agree(&mut self, terms: SponsorTerms, set_by: PersonId) -> Result<(), Refusal> {
        if terms.currency != self.terms.currency {
            return Err(Refusal::CurrenciesDiffer);
        }
        self.terms = terms;
        self.agreed += 1;
        self.set_by = set_by;
        Ok(())
    }

    /// Whose allocations are those of the sponsor for one student.
    fn fund(&self, student: PersonId, received_at: Timestamp) -> Fund {
        let payment = PaymentId::derived_from(&format!("sponsor#{}#{student}", self.code.0));
        let kind = FundKind::Sponsor { contract: self.code.clone() };
        Fund { payment, received_at, only: Vec::new(), kind }
    }

    /// What of the lines of an invoice is the sponsor's, as they stand.
    fn parts(
        &self,
        account: &StudentAccount,
        invoice: &Invoice,
        issued_on: Date,
    ) -> Result<Vec<SponsoredLine>, Refusal> {
        let id = invoice.document().id;
        let of_contract = account.sponsored.iter().filter(|one| one.contract == self.code);
        let (before, others): (Vec<_>, Vec<_>) = of_contract.partition(|one| one.invoice == id);
        let applies =
            self.terms.cover(issued_on) && account.is_under_contract(&self.code, issued_on);
        let elsewhere = self.pledged - before.iter().map(|one| one.amount).sum::<i64>();
        let mut parts: Vec<SponsoredLine> = Vec::new();
        for (at, line) in (0..).zip(&invoice.document().lines) {
            let known = before.iter().find(|one| one.line == at);
            let rule = self.terms.rules.iter().position(|rule| rule.is_of(&line.code));
            let Some(rule) = rule.or(known.map(|one| one.rule)) else { continue };
            if !applies && known.is_none() {
                continue;
            }
            let spent = |counts: &dyn Fn(&SponsoredLine) -> bool| -> i64 {
                let all = others.iter().copied().chain(&parts);
                all.filter(|one| counts(one)).map(|one| one.amount).sum()
            };
            let is_of_term = |one: &SponsoredLine| one.term_code == line.term_code;
            let is_of_rule = |one: &SponsoredLine| is_of_term(one) && one.rule == rule;
            let pays = self.terms.rules.get(rule).map(|rule| &rule.pays);
            let standing = Money::new(invoice.standing_of(at), self.terms.currency);
            let by_rule =
                pays.map_or(Ok(Money::zero(standing.currency)), |pays| pays.part_of(standing))?;
            let own: i64 = parts.iter().map(|one| one.amount).sum();
            let most = known.and_then(|one| one.most);
            let amount = by_rule
                .minor
                .min(room(pays.and_then(Reduction::most), spent(&is_of_rule)))
                .min(room(self.terms.per_term, spent(&is_of_term)))
                .min(room(self.terms.per_student, spent(&|_| true)))
                .min(room(self.terms.in_all, elsewhere + own))
                .min(most.unwrap_or(i64::MAX))
                .min(standing.minor - invoice.sponsored_by_others(at, &self.code))
                .max(0);
            parts.push(SponsoredLine {
                contract: self.code.clone(),
                invoice: id,
                line: at,
                term_code: line.term_code.clone(),
                rule,
                amount,
                most,
            });
        }
        Ok(parts)
    }

    /// Takes in money of the sponsor. It pays for invoices, what is due longest first, when somebody looks.
    pub fn receive(
        &mut self,
        payment: PaymentId,
        amount: Money,
        booking: Booking,
    ) -> Result<JournalEntry, Refusal> {
        if amount.minor <= 0 {
            return Err(Refusal::AmountNotPositive);
        }
        if amount.currency != self.terms.currency {
            return Err(Refusal::CurrenciesDiffer);
        }
        let received = self.received.checked_add(amount.minor).ok_or(Refusal::AmountTooLarge)?;
        self.received = received;
        self.unallocated += amount.minor;
        let lines = vec![
            Line::new(Account::Bank, amount),
            Line::new(Account::SponsorReceivable, amount.negated()?),
        ];
        let source = Source { kind: SourceKind::SponsorPayment, id: payment.to_string() };
        let entry = JournalEntry::new(None, booking, source, lines);
        Ok(entry.expect("both sides are the same amount"))
    }
}

fn room(most: Option<Money>, spent: i64) -> i64 {
    most.map_or(i64::MAX, |most| most.minor - spent)
}

impl StudentAccount {
    /// Contracts that pay for the student, or did, in the order in which they do.
    pub fn sponsors(&self) -> Vec<SponsorContractCode> {
        let now = self.sponsorships.iter().map(|one| &one.contract);
        let mut codes: Vec<SponsorContractCode> = Vec::new();
        for code in now.chain(self.sponsored.iter().map(|one| &one.contract)) {
            if !codes.contains(code) {
                codes.push(code.clone());
            }
        }
        codes
    }

    fn is_under_contract(&self, code: &SponsorContractCode, day: Date) -> bool {
        let mut of_code = self.sponsorships.iter().filter(|one| one.contract == *code);
        of_code.any(|one| one.from <= day && one.until.is_none_or(|until| day <= until))
    }

    /// Puts the student under a contract, in place of how they were under it before, which is answered.
    pub fn put_under_contract(&mut self, sponsorship: Sponsorship) -> Option<Sponsorship> {
        let known = self.sponsorships.iter_mut().find(|one| one.contract == sponsorship.contract);
        if let Some(known) = known {
            return Some(std::mem::replace(known, sponsorship));
        }
        self.sponsorships.push(sponsorship);
        None
    }

    /// What a sponsor is to pay of an invoice, in minor units.
    pub fn sponsored_of(&self, code: &SponsorContractCode, invoice: InvoiceId) -> i64 {
        let of_it = self.sponsored.iter().filter(|one| one.is_of(code, invoice));
        of_it.map(|one| one.amount).sum()
    }

    /// Lets a sponsor pay no more of an invoice than this, from now on: the rest is the student's.
    pub fn limit_sponsor(&mut self, code: &SponsorContractCode, invoice: InvoiceId, minor: i64) {
        let mut left = minor;
        for one in self.sponsored.iter_mut().filter(|one| one.is_of(code, invoice)) {
            let most = left.min(one.amount);
            left -= most;
            one.most = Some(most);
        }
    }
}

impl SponsoredLine {
    fn is_of(&self, code: &SponsorContractCode, invoice: InvoiceId) -> bool {
        self.contract == *code && self.invoice == invoice
    }
}

/// Lets a sponsor pay what the contract says of an invoice as it stands. What others paid makes room for it and is
/// applied elsewhere, and what is the sponsor's no longer is open again. None: nothing changes.
pub fn sponsor(
    account: &mut StudentAccount,
    invoice: &mut Invoice,
    contract: &mut SponsorContract,
    issued_on: Date,
    booking: Booking,
) -> Result<Option<Turn>, Refusal> {
    let (id, now) = (invoice.document().id, booking.booked_at);
    if contract.terms.currency != account.currency {
        return Ok(None);
    }
    let mut parts = contract.parts(account, invoice, issued_on)?;
    let before = account.sponsored_of(&contract.code, id);
    let fund = contract.fund(account.student, invoice.document().issued_at);
    let pays = |invoice: &Invoice, line: u32| -> i64 {
        let paid = invoice.paid_by(fund.payment).into_iter().filter(|(_, of, _)| *of == line);
        paid.map(|(_, _, minor)| minor).sum()
    };
    let is_same = parts.iter().all(|part| part.amount == pays(invoice, part.line));
    if is_same && before == parts.iter().map(|part| part.amount).sum::<i64>() {
        return Ok(None);
    }
    account.begin_turn();
    let (mut rows, mut moved) = (Vec::new(), 0);
    for part in &mut parts {
        let more = part.amount - pays(invoice, part.line);
        if more == 0 || rows.len() + 1 >= ROWS_MAX {
            part.amount -= more;
            continue;
        }
        let missing = more - invoice.open_of(part.line);
        for row in account.free(invoice.paid_by_students(part.line, missing), id, now)? {
            invoice.take_over(&row);
            rows.push(row);
        }
        let row = Allocation {
            student: account.student,
            turn: account.turn(),
            place: 0,
            fund: fund.clone(),
            invoice: id,
            line: part.line,
            amount: Money::new(more, account.currency),
            allocated_at: now,
        };
        invoice.take_over(&row);
        rows.push(row);
        moved += more;
    }
    contract.pledged += parts.iter().map(|part| part.amount).sum::<i64>() - before;
    account.sponsored.retain(|one| !one.is_of(&contract.code, id));
    account.sponsored.extend(parts.into_iter().filter(|one| one.amount > 0 || one.most.is_some()));
    account.follow(invoice);
    let applied = account.apply(None, &rows, now);
    let moved = Money::new(moved, account.currency);
    let lines = vec![
        Line::new(Account::SponsorReceivable, moved),
        Line::new(Account::UnappliedCash, moved.negated()?),
    ];
    let source = format!("{}#{id}#{}", contract.code.0, account.turn());
    let source = Source { kind: SourceKind::Sponsorship, id: source };
    account.end_turn(booking, source, lines, rows, applied).map(Some)
}
