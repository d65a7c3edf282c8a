//! Holds that follow a student's balance.

use kernel::{Currency, PersonId};
use table::{Key, Record};

use crate::domain::BalanceHold;

impl Record for BalanceHold {
    const KIND: &'static str = "balance-hold";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        balance_hold_key(self.student, self.currency)
    }
}

pub fn balance_hold_key(student: PersonId, currency: Currency) -> Key<BalanceHold> {
    Key::new(format!("BALANCE_HOLDS#{student}"), currency.code())
}
