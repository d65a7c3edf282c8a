//! What the bursar's office has set: from which amounts on a second person decides, and what is done about what is
//! overdue.

use std::collections::BTreeSet;

use kernel::{Currency, Date, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DunningStep, Refusal, StudentAccount};

/// When what is overdue holds a student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    /// So much that is overdue holds; in this currency.
    pub from: Money,
    /// What has been due for no more days than this does not count yet.
    #[schemars(range(max = 365))]
    pub after_days: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BillingPolicy {
    /// Adjustments of more than this are decided by a second person, one amount in each currency; in a currency that is
    /// not named, all are.
    #[schemars(length(max = 20))]
    pub second_person_above: Vec<Money>,
    /// One rule in each currency; in a currency that is not named, nothing holds.
    #[schemars(length(max = 20))]
    pub holds: Vec<HoldRule>,
    /// What is done about what is overdue, in the order in which it is done; in a currency that is not named, nothing.
    #[schemars(length(max = 20))]
    pub dunning: Vec<DunningStep>,
}

impl BillingPolicy {
    /// Refuses limits below nothing, and two rules for one currency.
    pub fn check(&self) -> Result<(), Refusal> {
        let limits = self.second_person_above.iter();
        if limits.clone().any(|limit| limit.minor < 0) {
            return Err(Refusal::AmountNotPositive);
        }
        if self.holds.iter().any(|rule| rule.from.minor <= 0) {
            return Err(Refusal::AmountNotPositive);
        }
        let limits: BTreeSet<Currency> = limits.map(|limit| limit.currency).collect();
        let rules: BTreeSet<Currency> = self.holds.iter().map(|rule| rule.from.currency).collect();
        if limits.len() < self.second_person_above.len() || rules.len() < self.holds.len() {
            return Err(Refusal::PolicyContradictory);
        }
        DunningStep::check(&self.dunning)
    }

    pub fn asks_a_second_person(&self, amount: Money) -> bool {
        let limit = self.second_person_above.iter().find(|one| one.currency == amount.currency);
        limit.is_none_or(|limit| amount.minor > limit.minor)
    }

    /// Whether what is overdue holds this student today, and how much that is.
    pub fn holds(&self, account: &StudentAccount, today: Date) -> (bool, Money) {
        let rule = self.holds.iter().find(|rule| rule.from.currency == account.currency);
        let days = rule.map_or(0, |rule| i64::from(rule.after_days));
        let counts_before = today.saturating_sub(jiff::Span::new().days(days));
        let overdue = account.overdue(counts_before);
        let is_too_much = rule.is_some_and(|rule| overdue.minor >= rule.from.minor);
        (is_too_much || account.is_held_by_dunning(), overdue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money::new(minor, currency.parse().expect("a currency"))
    }

    #[test]
    fn a_second_person_decides_above_the_limit_of_the_currency_and_always_where_there_is_none() {
        let policy = BillingPolicy {
            second_person_above: vec![money(100, "XAF")],
            ..BillingPolicy::default()
        };
        assert!(!policy.asks_a_second_person(money(100, "XAF")));
        assert!(policy.asks_a_second_person(money(101, "XAF")));
        assert!(policy.asks_a_second_person(money(1, "EUR")));
        assert!(BillingPolicy::default().asks_a_second_person(money(1, "XAF")));
    }

    #[test]
    fn a_policy_that_contradicts_itself_is_refused() {
        let limits = |limits: &[(i64, &str)]| BillingPolicy {
            second_person_above: limits.iter().map(|(minor, code)| money(*minor, code)).collect(),
            ..BillingPolicy::default()
        };
        assert_eq!(limits(&[(1, "XAF"), (2, "EUR")]).check(), Ok(()));
        assert_eq!(limits(&[(1, "XAF"), (2, "XAF")]).check(), Err(Refusal::PolicyContradictory));
        assert_eq!(limits(&[(-1, "XAF")]).check(), Err(Refusal::AmountNotPositive));
        let rule = HoldRule { from: money(0, "XAF"), after_days: 0 };
        let holds = BillingPolicy { holds: vec![rule], ..BillingPolicy::default() };
        assert_eq!(holds.check(), Err(Refusal::AmountNotPositive), "everybody would be held");
    }
}
