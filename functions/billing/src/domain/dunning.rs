//! What is done about what is overdue, step by step: a reminder, a late fee, a hold. Each step is taken once for what
//! was due on one day, and one of them a day. A fee is billed once about a line, on whichever days it was due.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Currency, Date, InvoiceId, Money, PaymentPlanId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BillingPolicy, ChargeCode, Claim, Refusal, StudentAccount};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DunningAction {
    /// The student is told.
    Reminder,
    /// So much is billed for being late, and the student is told.
    LateFee { amount: Money },
    /// The student is held until what was due on that day is paid, and told.
    Hold,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DunningStep {
    /// Its name: under it, it is taken once.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))]
    pub code: String,
    /// When so many days have passed since the due date.
    #[schemars(range(min = 1, max = 365))]
    pub after_days: u16,
    /// Where so much or more of that day is overdue; the steps of a currency are those that name it here.
    pub from: Money,
    pub action: DunningAction,
}

impl DunningStep {
    /// Refuses steps out of order, with one name, or with a fee of another currency.
    pub(super) fn check(steps: &[Self]) -> Result<(), Refusal> {
        let currencies: BTreeSet<Currency> = steps.iter().map(|step| step.from.currency).collect();
        for currency in currencies {
            let of: Vec<&Self> =
                steps.iter().filter(|step| step.from.currency == currency).collect();
            let codes: BTreeSet<&str> = of.iter().map(|step| step.code.as_str()).collect();
            let in_order = of.windows(2).all(|pair| pair[0].after_days < pair[1].after_days);
            if codes.len() < of.len() || !in_order {
                return Err(Refusal::PolicyContradictory);
            }
        }
        for step in steps {
            let fee = match step.action {
                DunningAction::LateFee { amount } => amount,
                DunningAction::Reminder | DunningAction::Hold => step.from,
            };
            if fee.currency != step.from.currency {
                return Err(Refusal::CurrenciesDiffer);
            }
            if step.from.minor <= 0 || fee.minor <= 0 {
                return Err(Refusal::AmountNotPositive);
            }
        }
        Ok(())
    }

    pub fn fee(&self) -> Option<Money> {
        match self.action {
            DunningAction::LateFee { amount } => Some(amount),
            DunningAction::Reminder | DunningAction::Hold => None,
        }
    }
}

/// The steps that were taken about what was due on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dunned {
    steps: Vec<String>,
    last: Date,
    holds: bool,
}

/// That a step has billed a late fee about a line. However its due date is moved, it bills it no more: only of one plan
/// every instalment is late for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledLate {
    line: (InvoiceId, u32),
    plan: Option<PaymentPlanId>,
    step: String,
    on: Date,
}

impl Claim {
    fn is_dunned(&self) -> bool {
        self.code != Some(ChargeCode::late_fee())
    }
}

/// A step whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueStep {
    /// The day on which that was due which is overdue.
    pub due: Date,
    pub overdue: Money,
    pub term_code: String,
    pub step: DunningStep,
}

impl StudentAccount {
    /// Steps of one account and day: each may bill a fee, and a transaction holds 100 items.
    const STEPS_MAX: usize = 3;
    /// After so many days what was paid is forgotten: no chargeback comes as late.
    const DUNNED_DAYS: i32 = 800;

    /// The steps that are to be taken today, for what has been due longest first. What is owed for being late is itself
    /// dunned no more.
    pub fn due_steps(&self, policy: &BillingPolicy, today: Date) -> Vec<DueStep> {
        let mut overdue: BTreeMap<Date, Vec<Claim>> = BTreeMap::new();
        for claim in self.claims().into_iter().filter(Claim::is_dunned) {
            if claim.due < today {
                overdue.entry(claim.due).or_default().push(claim);
            }
        }
        let due_step =
            |(due, claims): (Date, Vec<Claim>)| self.due_step(policy, due, &claims, today);
        overdue.into_iter().filter_map(due_step).take(Self::STEPS_MAX).collect()
    }

    /// The step that is to be taken today about what was due on one day. One that bills is about what it has not
    /// billed.
    fn due_step(
        &self,
        policy: &BillingPolicy,
        due: Date,
        claims: &[Claim],
        today: Date,
    ) -> Option<DueStep> {
        let taken = self.dunned.get(&due);
        if taken.is_some_and(|taken| taken.last >= today) {
            return None;
        }
        let applies = |step: &&DunningStep| {
            let counts = |claim: &&Claim| step.fee().is_none() || !self.was_billed(claim, step);
            let open: i64 = claims.iter().filter(counts).map(|claim| claim.open).sum();
            step.from.currency == self.currency && open >= step.from.minor
        };
        let is_taken =
            |step: &DunningStep| taken.is_some_and(|taken| taken.steps.contains(&step.code));
        let mut steps = policy.dunning.iter().filter(applies);
        let step = steps.find(|step| !is_taken(step))?;
        let overdue = claims.iter().map(|claim| claim.open).sum();
        let days = (today - due).get_days();
        (days >= i32::from(step.after_days)).then(|| DueStep {
            due,
            overdue: Money::new(overdue, self.currency),
            term_code: claims[0].term_code.clone(),
            step: step.clone(),
        })
    }

    /// Whether the step has billed a fee about all of a claim, when it was due on another day or under another plan.
    fn was_billed(&self, claim: &Claim, step: &DunningStep) -> bool {
        claim.lines.iter().all(|line| {
            self.billed_late.iter().any(|billed| {
                let is_other = claim.plan.is_none() || billed.plan != claim.plan;
                billed.line == *line && billed.step == step.code && is_other
            })
        })
    }

    pub fn take_step(&mut self, taken: &DueStep, today: Date) {
        let claims = self.claims();
        let open: BTreeSet<Date> = claims.iter().map(|claim| claim.due).collect();
        let is_young = |day: Date| (today - day).get_days() < Self::DUNNED_DAYS;
        self.dunned.retain(|due, _| open.contains(due) || is_young(*due));
        let none = Dunned { steps: Vec::new(), last: today, holds: false };
        let dunned = self.dunned.entry(taken.due).or_insert(none);
        dunned.last = today;
        dunned.steps.push(taken.step.code.clone());
        dunned.holds |= taken.step.action == DunningAction::Hold;
        if taken.step.fee().is_none() {
            return;
        }
        let open: BTreeSet<(InvoiceId, u32)> =
            claims.iter().flat_map(|claim| claim.lines.iter().copied()).collect();
        self.billed_late.retain(|billed| open.contains(&billed.line) || is_young(billed.on));
        for claim in claims.iter().filter(|claim| claim.due == taken.due && claim.is_dunned()) {
            self.billed_late.extend(claim.lines.iter().map(|line| BilledLate {
                line: *line,
                plan: claim.plan,
                step: taken.step.code.clone(),
                on: today,
            }));
        }
    }

    /// Whether a step holds the student, and what it is about is still open.
    pub fn is_held_by_dunning(&self) -> bool {
        let holds = |due: &Date| self.dunned.get(due).is_some_and(|dunned| dunned.holds);
        self.claims().iter().any(|claim| holds(&claim.due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(code: &str, after_days: u16, currency: &str, action: DunningAction) -> DunningStep {
        let from = Money::new(1, currency.parse().expect("a currency"));
        DunningStep { code: code.into(), after_days, from, action }
    }

    #[test]
    fn steps_that_contradict_one_another_are_refused() {
        let reminder = DunningAction::Reminder;
        let check = |steps: &[DunningStep]| DunningStep::check(steps);
        let euros = Money::new(5, "EUR".parse().expect("a currency"));
        assert_eq!(check(&[step("a", 1, "XAF", reminder), step("b", 5, "XAF", reminder)]), Ok(()));
        assert_eq!(
            check(&[step("a", 1, "XAF", reminder), step("a", 1, "EUR", reminder)]),
            Ok(()),
            "each currency for itself"
        );
        let contradictory = Err(Refusal::PolicyContradictory);
        let twice = [step("a", 1, "XAF", reminder), step("a", 5, "XAF", reminder)];
        assert_eq!(check(&twice), contradictory);
        let at_once = [step("a", 5, "XAF", reminder), step("b", 5, "XAF", reminder)];
        assert_eq!(check(&at_once), contradictory);
        let fee = DunningAction::LateFee { amount: euros };
        assert_eq!(check(&[step("a", 5, "XAF", fee)]), Err(Refusal::CurrenciesDiffer));
        let nothing = DunningAction::LateFee { amount: Money::zero(euros.currency) };
        assert_eq!(check(&[step("a", 5, "EUR", nothing)]), Err(Refusal::AmountNotPositive));
    }
}
