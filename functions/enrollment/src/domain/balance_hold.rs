//! What billing last said of a student's overdue balance, and the hold that stands for it.

use kernel::{Currency, HoldId, Id, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Hold, HoldKind};

/// In one currency: each has a balance of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceHold {
    pub student: PersonId,
    pub currency: Currency,
    /// Of billing's word that counts: an earlier one that comes later changes nothing.
    pub word: u64,
    /// The hold that stands, or stood last.
    pub hold: Option<HoldId>,
}

/// Who places and lifts: nobody by hand, the balance does.
pub fn balance() -> PersonId {
    PersonId::derived_from("billing")
}

impl BalanceHold {
    pub fn new(student: PersonId, currency: Currency) -> Self {
        Self { student, currency, word: 0, hold: None }
    }

    /// Takes billing's word; `false` where a later one was heard before.
    pub fn hear(&mut self, word: u64) -> bool {
        let is_news = word > self.word;
        self.word = self.word.max(word);
        is_news
    }

    /// The hold that an overdue balance asks for.
    pub fn place(&mut self, reason: String, now: Timestamp) -> Hold {
        let id = HoldId::derived_from(&format!("{}#{}#{}", self.student, self.currency, self.word));
        self.hold = Some(id);
        Hold {
            id,
            student: self.student,
            kind: HoldKind::Financial,
            reason,
            placed_by: balance(),
            placed_at: now,
            ends_at: None,
            lifted: None,
        }
    }
}
