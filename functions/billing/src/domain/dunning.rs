//! What is done about what is overdue, step by step: a reminder, a late fee, a hold. Each step is taken once for what
//! was due on one day, and one of them a day.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Currency, Date, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BillingPolicy, ChargeCode, Refusal, StudentAccount};

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
        let mut overdue: BTreeMap<Date, (i64, String)> = BTreeMap::new();
        for claim in self.claims() {
            if claim.due < today && claim.code != Some(ChargeCode::late_fee()) {
                overdue.entry(claim.due).or_insert((0, claim.term_code)).0 += claim.open;
            }
        }
        let due_step = |(due, (minor, term_code)): (Date, (i64, String))| {
            let taken = self.dunned.get(&due);
            if taken.is_some_and(|taken| taken.last >= today) {
                return None;
            }
            let mut steps = policy
                .dunning
                .iter()
                .filter(|step| step.from.currency == self.currency && minor >= step.from.minor);
            let is_taken =
                |step: &DunningStep| taken.is_some_and(|taken| taken.steps.contains(&step.code));
            let step = steps.find(|step| !is_taken(step))?;
            let days = (today - due).get_days();
            (days >= i32::from(step.after_days)).then(|| DueStep {
                due,
                overdue: Money::new(minor, self.currency),
                term_code,
                step: step.clone(),
            })
        };
        overdue.into_iter().filter_map(due_step).take(Self::STEPS_MAX).collect()
    }

    pub fn take_step(&mut self, taken: &DueStep, today: Date) {
        let open: BTreeSet<Date> = self.claims().into_iter().map(|claim| claim.due).collect();
        self.dunned
            .retain(|due, _| open.contains(due) || (today - *due).get_days() < Self::DUNNED_DAYS);
        let none = Dunned { steps: Vec::new(), last: today, holds: false };
        let dunned = self.dunned.entry(taken.due).or_insert(none);
        dunned.last = today;
        dunned.steps.push(taken.step.code.clone());
        dunned.holds |= taken.step.action == DunningAction::Hold;
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
