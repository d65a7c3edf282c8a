//! Where a student's withdrawal from a term lies.

use kernel::TermWithdrawalId;
use table::{Key, Record};

use crate::domain::TermWithdrawal;

impl Record for TermWithdrawal {
    const KIND: &'static str = "term-withdrawal";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        term_withdrawal_key(self.id)
    }
}

pub fn term_withdrawal_key(id: TermWithdrawalId) -> Key<TermWithdrawal> {
    Key::new(format!("TERM-WITHDRAWAL#{id}"), "TERM-WITHDRAWAL")
}
