//! What a student is registered for in a term, what was billed for it, and what is kept of what was dropped: from
//! it follows what has to be billed or credited still.

use kernel::{BundleId, Currency, Date, InvoiceId, Money, PersonId, RegistrationId, TermId};
use serde::{Deserialize, Serialize};

use super::tuition::{Assessed, BandPolicy, Population, TuitionRules, Wash};
use super::{ChargeCode, Invoice, InvoiceLine, PriceGroupCode, Refusal};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub registration: RegistrationId,
    pub bundle: BundleId,
    pub section_code: String,
    pub course_title: String,
    pub credits_hundredths: u32,
    pub price_group: PriceGroupCode,
    /// As the price group was when it was charged: what was charged keeps its price.
    pub per_credit: Money,
    pub registered_on: Date,
    /// Credits that may still cancel out with a drop.
    pub unwashed_hundredths: u32,
}

impl Registered {
    pub fn description(&self) -> String {
        format!("{} {}", self.section_code, self.course_title)
    }
}

/// What stands of one line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billed {
    pub code: ChargeCode,
    pub registration: Option<RegistrationId>,
    pub invoice: InvoiceId,
    pub line: u32,
    /// Minor units; what credit notes took back is off.
    pub standing: i64,
}

/// What is kept of something that is not due any more, because a calendar says so. No later drop rates it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub code: ChargeCode,
    pub registration: Option<RegistrationId>,
    /// Minor units, not negative.
    pub amount: i64,
    pub dropped_on: Date,
    /// Credits of the drop that may still cancel out with an addition.
    pub unwashed_hundredths: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermBill {
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub currency: Currency,
    pub registered: Vec<Registered>,
    pub billed: Vec<Billed>,
    pub kept: Vec<Kept>,
}

/// What a bill is adjusted by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// To be billed: more is due than was billed.
    pub lines: Vec<InvoiceLine>,
    /// To be credited, by invoice and line.
    pub credits: Vec<(InvoiceId, u32, Money)>,
}

impl Adjustment {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.credits.is_empty()
    }
}

/// One thing that is billed: a code, for a registration or for the term.
type Item<'a> = (&'a ChargeCode, Option<RegistrationId>);

impl TermBill {
    pub fn new(student: PersonId, term: TermId, term_code: &str, currency: Currency) -> Self {
        Self {
            student,
            term,
            term_code: term_code.to_owned(),
            currency,
            registered: Vec::new(),
            billed: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Adds registrations. Where they cancel out with a drop, less is kept of that.
    pub fn add(&mut self, added: Vec<Registered>, wash: Wash) -> Result<(), Refusal> {
        for mut one in added {
            for kept in &mut self.kept {
                if !washes(wash, kept.dropped_on, one.registered_on) {
                    continue;
                }
                let washed = kept.unwashed_hundredths.min(one.unwashed_hundredths);
                if washed == 0 {
                    continue;
                }
                let released = Money::new(kept.amount, self.currency)
                    .fraction(i64::from(washed), i64::from(kept.unwashed_hundredths))?;
                kept.amount -= released.minor;
                kept.unwashed_hundredths -= washed;
                one.unwashed_hundredths -= washed;
            }
            self.registered.push(one);
        }
        Ok(())
    }

    /// What is due more, or less, than was billed.
    pub fn adjustment(
        &self,
        rules: &TuitionRules,
        population: &Population,
    ) -> Result<Adjustment, Refusal> {
        let due = rules.assess(population, &self.registered, None, self.currency)?;
        let mut adjustment = Adjustment::default();
        for one in &due {
            let item = (&one.code, one.registration);
            let missing = one.amount.minor + self.kept_of(item) - self.billed_of(item);
            let is_new = !self.billed.iter().any(|billed| item == item_of(billed));
            if missing > 0 || (missing == 0 && is_new && one.registration.is_some()) {
                adjustment.lines.push(self.line_of(one, missing));
            } else {
                self.credit(item, -missing, &mut adjustment)?;
            }
        }
        let mut seen: Vec<Item<'_>> = due.iter().map(|one| (&one.code, one.registration)).collect();
        for billed in &self.billed {
            let item = item_of(billed);
            if !seen.contains(&item) {
                seen.push(item);
                let surplus = self.billed_of(item) - self.kept_of(item);
                self.credit(item, surplus, &mut adjustment)?;
            }
        }
        Ok(adjustment)
    }

    /// Takes a registration out, and credits what the calendar gives back of what that saves. None: it is not there.
    pub fn drop(
        &mut self,
        registration: RegistrationId,
        dropped_on: Date,
        rules: &TuitionRules,
        population: &Population,
    ) -> Result<Option<Adjustment>, Refusal> {
        let found = self.registered.iter().position(|one| one.registration == registration);
        let Some(at) = found else { return Ok(None) };
        let before = rules.assess(population, &self.registered, None, self.currency)?;
        let credits_before: u32 = self.registered.iter().map(|one| one.credits_hundredths).sum();
        let dropped = self.registered.remove(at);
        let band = (rules.band_policy == BandPolicy::SameBand).then_some(credits_before);
        let rated = rules.assess(population, &self.registered, band, self.currency)?;
        let after = rules.assess(population, &self.registered, None, self.currency)?;
        let washed = self.wash(&dropped, dropped_on, rules.wash);
        let row = rules.calendar.as_ref().and_then(|calendar| calendar.row(dropped_on));
        let fee = row.and_then(|row| row.administrative_fee);
        if fee.is_some_and(|fee| fee.currency != self.currency) {
            return Err(Refusal::CurrenciesDiffer);
        }
        let mut fee_left = fee.map_or(0, |fee| fee.minor);
        let mut adjustment = Adjustment::default();
        for one in &before {
            let item = (&one.code, one.registration);
            let billed = self.billed_of(item);
            let cost = one.amount.minor - amount_of(&rated, item);
            let saved = one.amount.minor - amount_of(&after, item);
            let refund = if cost > 0 {
                let points = row.map_or(10_000, |row| i64::from(row.refund_basis_points));
                let refund = refund_of(cost, washed, dropped.credits_hundredths, points)?;
                let fee = fee_left.min(refund);
                fee_left -= fee;
                refund - fee
            } else {
                0
            };
            self.credit(item, refund.min(billed), &mut adjustment)?;
            let kept = saved - refund;
            if kept > 0 {
                let unwashed_hundredths = dropped.credits_hundredths - washed;
                let (code, registration) = (one.code.clone(), one.registration);
                let amount = kept;
                self.kept.push(Kept {
                    code,
                    registration,
                    amount,
                    dropped_on,
                    unwashed_hundredths,
                });
            }
        }
        Ok(Some(adjustment))
    }

    /// Takes a bundle out that never came to be: its invoice is credited wholly, and nothing is kept.
    pub fn undo(&mut self, bundle: BundleId) {
        self.registered.retain(|one| one.bundle != bundle);
    }

    /// Follows what an invoice says stands of its lines.
    pub fn follow(&mut self, invoice: &Invoice) {
        let document = invoice.document();
        self.billed.retain(|billed| billed.invoice != document.id);
        let lines = invoice.standing_lines().map(|(at, line)| Billed {
            code: line.code.clone(),
            registration: line.registration,
            invoice: document.id,
            line: at,
            standing: invoice.standing_of(at),
        });
        self.billed.extend(lines);
    }

    /// Credits of the drop that cancel out with what was added.
    fn wash(&mut self, dropped: &Registered, dropped_on: Date, wash: Wash) -> u32 {
        let mut left = dropped.credits_hundredths;
        for one in &mut self.registered {
            // What was there before, or came with what is dropped, was not taken in its place.
            let is_exchange = one.registered_on > dropped.registered_on
                || (one.registered_on == dropped_on && one.bundle != dropped.bundle);
            if is_exchange && washes(wash, dropped_on, one.registered_on) {
                let washed = left.min(one.unwashed_hundredths);
                one.unwashed_hundredths -= washed;
                left -= washed;
            }
        }
        dropped.credits_hundredths - left
    }

    fn billed_of(&self, item: Item<'_>) -> i64 {
        let billed = self.billed.iter().filter(|billed| item_of(billed) == item);
        billed.map(|billed| billed.standing).sum()
    }

    fn kept_of(&self, item: Item<'_>) -> i64 {
        let kept = self.kept.iter().filter(|kept| (&kept.code, kept.registration) == item);
        kept.map(|kept| kept.amount).sum()
    }

    /// Credits so much of what was billed for an item, the latest lines first.
    fn credit(
        &self,
        item: Item<'_>,
        minor: i64,
        adjustment: &mut Adjustment,
    ) -> Result<(), Refusal> {
        let mut left = minor;
        for billed in self.billed.iter().rev().filter(|billed| item_of(billed) == item) {
            let part = left.min(billed.standing);
            if part > 0 {
                let amount = Money::new(part, self.currency);
                adjustment.credits.push((billed.invoice, billed.line, amount));
                left = left.checked_sub(part).ok_or(Refusal::AmountTooLarge)?;
            }
        }
        Ok(())
    }

    fn line_of(&self, one: &Assessed, missing: i64) -> InvoiceLine {
        let amount = Money::new(missing, self.currency);
        let is_whole = missing == one.amount.minor;
        InvoiceLine {
            code: one.code.clone(),
            description: one.description.clone(),
            registration: one.registration,
            term_code: self.term_code.clone(),
            // A part of it is one thing at its own price.
            quantity_hundredths: if is_whole { one.quantity_hundredths } else { 100 },
            unit_price: if is_whole { one.unit_price } else { amount },
            amount,
        }
    }
}

fn item_of(billed: &Billed) -> Item<'_> {
    (&billed.code, billed.registration)
}

fn amount_of(assessed: &[Assessed], item: Item<'_>) -> i64 {
    let found = assessed.iter().filter(|one| (&one.code, one.registration) == item);
    found.map(|one| one.amount.minor).sum()
}

fn washes(wash: Wash, dropped_on: Date, added_on: Date) -> bool {
    match wash {
        Wash::None => false,
        Wash::SameDay => dropped_on == added_on,
        Wash::WholeTerm => true,
    }
}

/// What cancels out is given back wholly, the rest by the calendar; each is rounded half up.
fn refund_of(
    cost: i64,
    washed_hundredths: u32,
    credits_hundredths: u32,
    basis_points: i64,
) -> Result<i64, Refusal> {
    let part = |of: i64, numerator: i64, denominator: i64| -> Result<i64, Refusal> {
        let product = i128::from(of) * i128::from(numerator);
        let denominator = i128::from(denominator);
        let rounded = (2 * product + denominator) / (2 * denominator);
        i64::try_from(rounded).map_err(|_| Refusal::AmountTooLarge)
    };
    let washed = match credits_hundredths {
        0 => 0,
        all => part(cost, i64::from(washed_hundredths), i64::from(all))?,
    };
    Ok(washed + part(cost - washed, basis_points, 10_000)?)
}
