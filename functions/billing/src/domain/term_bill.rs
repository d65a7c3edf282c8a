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
    pub description: String,
    /// Minor units, not negative.
    pub amount: i64,
}

/// That credits of a drop and of an addition cancel out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Washing {
    pub added: RegistrationId,
    pub credits_hundredths: u32,
    /// What is kept less because of it, for each thing that is kept of the drop; minor units.
    pub released: Vec<i64>,
}

/// A registration that is not there any more, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    pub registration: RegistrationId,
    pub bundle: BundleId,
    pub on: Date,
    /// Hundredths of a credit by registration before the drop, what was dropped among them: the rest stays in their
    /// band. None where the drop leaves it to the band of after.
    pub before: Vec<(RegistrationId, u32)>,
    pub kept: Vec<Kept>,
    /// Credits that may still cancel out with an addition.
    pub unwashed_hundredths: u32,
    pub washings: Vec<Washing>,
}

impl Dropped {
    /// Lets credits of the drop and of an addition cancel out: so much less is kept.
    fn wash(&mut self, added: &mut Registered, currency: Currency) -> Result<(), Refusal> {
        let credits_hundredths = self.unwashed_hundredths.min(added.unwashed_hundredths);
        if credits_hundredths == 0 || self.kept.is_empty() {
            return Ok(());
        }
        let mut released = Vec::new();
        for kept in &mut self.kept {
            let (part, whole) = (credits_hundredths.into(), self.unwashed_hundredths.into());
            let less = Money::new(kept.amount, currency).fraction(part, whole)?.minor;
            kept.amount -= less;
            released.push(less);
        }
        self.unwashed_hundredths -= credits_hundredths;
        added.unwashed_hundredths -= credits_hundredths;
        self.washings.push(Washing { added: added.registration, credits_hundredths, released });
        Ok(())
    }

    /// What was added in place of it never came to be: as much is kept as if it had not been there.
    fn unwash(&mut self, is_undone: impl Fn(RegistrationId) -> bool) {
        for washing in self.washings.extract_if(.., |washing| is_undone(washing.added)) {
            self.unwashed_hundredths += washing.credits_hundredths;
            for (kept, released) in self.kept.iter_mut().zip(washing.released) {
                kept.amount += released;
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermBill {
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub currency: Currency,
    pub registered: Vec<Registered>,
    pub billed: Vec<Billed>,
    pub dropped: Vec<Dropped>,
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
            dropped: Vec::new(),
        }
    }

    /// Adds registrations. Where they cancel out with a drop, less is kept of that.
    pub fn add(&mut self, added: Vec<Registered>, wash: Wash) -> Result<(), Refusal> {
        for mut one in added {
            for dropped in &mut self.dropped {
                if washes(wash, dropped.on, one.registered_on) {
                    dropped.wash(&mut one, self.currency)?;
                }
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
        let due = self.assess(rules, population)?;
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
        for kept in self.kept() {
            let item = (&kept.code, kept.registration);
            let missing = self.kept_of(item) - self.billed_of(item);
            if !seen.contains(&item) && missing > 0 {
                adjustment.lines.push(self.line_of_kept(kept, missing));
                seen.push(item);
            }
        }
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

    /// Takes registrations out that are given up together, and credits what the calendar gives back of what that saves,
    /// or bills what the rest costs more without them. None: none of them is there.
    pub fn drop(
        &mut self,
        registrations: &[RegistrationId],
        dropped_on: Date,
        rules: &TuitionRules,
        population: &Population,
    ) -> Result<Option<Adjustment>, Refusal> {
        let is_dropped = |one: &Registered| registrations.contains(&one.registration);
        if !self.registered.iter().any(is_dropped) {
            return Ok(None);
        }
        let due_before = self.assess(rules, population)?;
        let before: Vec<(RegistrationId, u32)> = match rules.band_policy {
            BandPolicy::SameBand => {
                let credits = |one: &Registered| (one.registration, one.credits_hundredths);
                self.registered.iter().map(credits).collect()
            }
            BandPolicy::Recompute => Vec::new(),
        };
        let first = self.dropped.len();
        let mut leaving = Vec::new();
        while let Some(at) = self.registered.iter().position(is_dropped) {
            leaving.push(self.take_out(at, dropped_on, before.clone()));
        }
        let due_after = self.assess(rules, population)?;
        let savings: Vec<(&Assessed, i64)> = due_before
            .iter()
            .map(|one| (one, one.amount.minor - amount_of(&due_after, one)))
            .filter(|(_, saved)| *saved > 0)
            .collect();
        for kept in self.kept_of_savings(&savings, dropped_on, rules)? {
            // What is kept for the term, or of what stays, is kept with the last of them.
            let of_it = leaving.iter().position(|one| Some(one.registration) == kept.registration);
            let at = of_it.unwrap_or(leaving.len() - 1);
            self.dropped[first + at].kept.push(kept);
        }
        self.wash_exchanges(first, &leaving, dropped_on, rules)?;
        let kept: Vec<Kept> =
            self.dropped[first..].iter().flat_map(|dropped| dropped.kept.clone()).collect();
        let mut adjustment = Adjustment::default();
        for (one, saved) in savings {
            let item = (&one.code, one.registration);
            let of_item = kept.iter().filter(|kept| (&kept.code, kept.registration) == item);
            let refund = saved - of_item.map(|kept| kept.amount).sum::<i64>();
            self.credit(item, refund.min(self.billed_of(item)), &mut adjustment)?;
        }
        // A lower band may be the dearer one.
        for one in &due_after {
            let item = (&one.code, one.registration);
            let missing = one.amount.minor + self.kept_of(item) - self.billed_of(item);
            if missing > 0 {
                adjustment.lines.push(self.line_of(one, missing));
            }
        }
        Ok(Some(adjustment))
    }

    /// Lets what was dropped just now, from the `first` on, cancel out with what was taken in its place.
    fn wash_exchanges(
        &mut self,
        first: usize,
        leaving: &[Registered],
        dropped_on: Date,
        rules: &TuitionRules,
    ) -> Result<(), Refusal> {
        for (dropped, left) in self.dropped[first..].iter_mut().zip(leaving) {
            for one in &mut self.registered {
                // What was there before, or came with what is dropped, was not taken in its place.
                let is_exchange = one.registered_on > left.registered_on
                    || (one.registered_on == dropped_on && one.bundle != left.bundle);
                if is_exchange && washes(rules.wash, dropped_on, one.registered_on) {
                    dropped.wash(one, self.currency)?;
                }
            }
        }
        Ok(())
    }

    /// Takes out what the institution has cancelled: it holds no band, nothing is kept of it, whatever the day, and the
    /// bill is brought to what is due without it. None: it is not there.
    pub fn cancel(
        &mut self,
        registration: RegistrationId,
        cancelled_on: Date,
        rules: &TuitionRules,
        population: &Population,
    ) -> Result<Option<Adjustment>, Refusal> {
        let found = self.registered.iter().position(|one| one.registration == registration);
        let Some(at) = found else { return Ok(None) };
        self.take_out(at, cancelled_on, Vec::new());
        for dropped in &mut self.dropped {
            dropped.before.retain(|(of, _)| *of != registration);
        }
        self.adjustment(rules, population).map(Some)
    }

    fn take_out(&mut self, at: usize, on: Date, before: Vec<(RegistrationId, u32)>) -> Registered {
        let registered = self.registered.remove(at);
        self.dropped.push(Dropped {
            registration: registered.registration,
            bundle: registered.bundle,
            on,
            before,
            kept: Vec::new(),
            unwashed_hundredths: registered.credits_hundredths,
            washings: Vec::new(),
        });
        registered
    }

    /// What the calendar keeps of what a drop saves. The administrative fee is kept back of the refund, as far as that
    /// goes.
    fn kept_of_savings(
        &self,
        savings: &[(&Assessed, i64)],
        dropped_on: Date,
        rules: &TuitionRules,
    ) -> Result<Vec<Kept>, Refusal> {
        let row = rules.calendar.as_ref().and_then(|calendar| calendar.row(dropped_on));
        let Some(row) = row else { return Ok(Vec::new()) };
        let fee = row.administrative_fee.unwrap_or(Money::zero(self.currency));
        if fee.currency != self.currency {
            return Err(Refusal::CurrenciesDiffer);
        }
        let mut fee_left = fee.minor;
        let mut kept = Vec::new();
        for (one, saved) in savings {
            let points = i64::from(row.refund_basis_points);
            let refund = Money::new(*saved, self.currency).fraction(points, 10_000)?.minor;
            let fee = fee_left.min(refund);
            fee_left -= fee;
            let amount = saved - (refund - fee);
            if amount > 0 {
                let (code, registration) = (one.code.clone(), one.registration);
                kept.push(Kept {
                    code,
                    registration,
                    description: one.description.clone(),
                    amount,
                });
            }
        }
        Ok(kept)
    }

    /// Takes a bundle out that never came to be, with all that was kept of its drops and all that cancelled out with
    /// it. Its invoice is credited wholly; the rest is brought to what is due.
    pub fn undo(
        &mut self,
        bundle: BundleId,
        invoice: InvoiceId,
        rules: &TuitionRules,
        population: &Population,
    ) -> Result<Adjustment, Refusal> {
        let undone: Vec<Registered> =
            self.registered.extract_if(.., |one| one.bundle == bundle).collect();
        let never_dropped: Vec<Dropped> =
            self.dropped.extract_if(.., |dropped| dropped.bundle == bundle).collect();
        let is_undone = |id| {
            undone.iter().any(|one| one.registration == id)
                || never_dropped.iter().any(|dropped| dropped.registration == id)
        };
        for washing in never_dropped.iter().flat_map(|dropped| &dropped.washings) {
            let added = |one: &&mut Registered| one.registration == washing.added;
            if let Some(one) = self.registered.iter_mut().find(added) {
                one.unwashed_hundredths += washing.credits_hundredths;
            }
        }
        for dropped in &mut self.dropped {
            dropped.unwash(is_undone);
            dropped.before.retain(|(of, _)| !is_undone(*of));
        }
        let own: Vec<Billed> =
            self.billed.extract_if(.., |billed| billed.invoice == invoice).collect();
        let mut adjustment = self.adjustment(rules, population)?;
        let credit = |one: Billed| (one.invoice, one.line, Money::new(one.standing, self.currency));
        adjustment.credits.extend(own.into_iter().map(credit));
        Ok(adjustment)
    }

    /// The bundles that a line of this registration is for; one for the term is for all.
    pub fn bundles_of(&self, registration: Option<RegistrationId>) -> Vec<BundleId> {
        let of = self
            .registered
            .iter()
            .filter(|one| registration.is_none_or(|registration| one.registration == registration));
        let mut bundles: Vec<BundleId> = of.map(|one| one.bundle).collect();
        bundles.sort_unstable();
        bundles.dedup();
        bundles
    }

    /// Whether the student is registered for anything of a bundle, or its invoice stands in part.
    pub fn has(&self, bundle: BundleId, invoice: InvoiceId) -> bool {
        self.registered.iter().any(|one| one.bundle == bundle)
            || self.billed.iter().any(|billed| billed.invoice == invoice)
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

    /// What is due for the registrations by the rules.
    fn assess(
        &self,
        rules: &TuitionRules,
        population: &Population,
    ) -> Result<Vec<Assessed>, Refusal> {
        // The lowest band holds for whoever has dropped everything, not for whoever was never registered.
        if self.registered.is_empty() && self.dropped.is_empty() {
            return Ok(Vec::new());
        }
        // Credits that were dropped keep the rest in their band, whether that is the cheaper or the dearer one.
        let held = match rules.band_policy {
            BandPolicy::Recompute => None,
            BandPolicy::SameBand => self
                .dropped
                .iter()
                .map(|dropped| dropped.before.iter().map(|(_, credits)| *credits).sum())
                .max(),
        };
        let credits: u32 = self.registered.iter().map(|one| one.credits_hundredths).sum();
        let banded_by = held.map(|held: u32| held.max(credits));
        rules.assess(population, &self.registered, banded_by, self.currency)
    }

    fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.dropped.iter().flat_map(|dropped| &dropped.kept)
    }

    fn billed_of(&self, item: Item<'_>) -> i64 {
        let billed = self.billed.iter().filter(|billed| item_of(billed) == item);
        billed.map(|billed| billed.standing).sum()
    }

    fn kept_of(&self, item: Item<'_>) -> i64 {
        let kept = self.kept().filter(|kept| (&kept.code, kept.registration) == item);
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

    fn line_of_kept(&self, kept: &Kept, missing: i64) -> InvoiceLine {
        let amount = Money::new(missing, self.currency);
        InvoiceLine {
            code: kept.code.clone(),
            description: kept.description.clone(),
            registration: kept.registration,
            term_code: self.term_code.clone(),
            quantity_hundredths: 100,
            unit_price: amount,
            amount,
        }
    }
}

fn item_of(billed: &Billed) -> Item<'_> {
    (&billed.code, billed.registration)
}

fn amount_of(assessed: &[Assessed], other: &Assessed) -> i64 {
    let is_same =
        |one: &&Assessed| (&one.code, one.registration) == (&other.code, other.registration);
    let found = assessed.iter().filter(is_same);
    found.map(|one| one.amount.minor).sum()
}

fn washes(wash: Wash, dropped_on: Date, added_on: Date) -> bool {
    match wash {
        Wash::None => false,
        Wash::SameDay => dropped_on == added_on,
        Wash::WholeTerm => true,
    }
}
