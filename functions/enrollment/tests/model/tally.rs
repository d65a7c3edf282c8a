//! How often each action happened, and each refusal.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Default)]
pub struct Tally {
    pub steps: u64,
    pub actions: BTreeMap<String, u64>,
    pub refusals: BTreeMap<String, u64>,
}

impl Tally {
    pub fn count(&mut self, action: &str) {
        *self.actions.entry(action.to_owned()).or_default() += 1;
    }

    pub fn refuse(&mut self, code: &str) {
        *self.refusals.entry(code.to_owned()).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        self.steps += other.steps;
        for (action, times) in other.actions {
            *self.actions.entry(action).or_default() += times;
        }
        for (code, times) in other.refusals {
            *self.refusals.entry(code).or_default() += times;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} steps", self.steps)?;
        for (title, counts) in [("actions", &self.actions), ("refusals", &self.refusals)] {
            writeln!(f, "{title}:")?;
            for (name, times) in counts {
                writeln!(f, "  {times:>7}  {name}")?;
            }
        }
        Ok(())
    }
}
