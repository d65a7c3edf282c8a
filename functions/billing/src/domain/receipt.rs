//! What students hand in to show that they paid: the reference of a bank transfer or of a cash receipt. It stands in a
//! queue until the bursar has found the money, or has not.

use kernel::{Date, InvoiceId, Money, PaymentId, PersonId, ReceiptId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Channel, Decided, Refusal};

/// The ways by which money comes without the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CounterChannel {
    Cash,
    BankTransfer,
}

impl CounterChannel {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::BankTransfer => "bank",
        }
    }

    /// A reference as it is compared, with who gave it: however both were typed, it is the same one.
    pub fn reference(self, bank: &str, reference: &str) -> String {
        let typed = |text: &str| -> String {
            text.to_uppercase().chars().filter(|letter| letter.is_alphanumeric()).collect()
        };
        format!("{}:{} {}", self.name(), typed(bank), typed(reference))
    }
}

impl From<CounterChannel> for Channel {
    fn from(channel: CounterChannel) -> Self {
        match channel {
            CounterChannel::Cash => Self::Cash,
            CounterChannel::BankTransfer => Self::BankTransfer,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Nobody has looked for the money yet.
    Waiting,
    Matched {
        payment: PaymentId,
    },
    Rejected,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    pub id: ReceiptId,
    pub student: PersonId,
    pub channel: CounterChannel,
    /// The bank, or the counter, that gave it.
    pub bank: String,
    pub reference: String,
    pub amount: Money,
    pub paid_on: Date,
    /// What it was paid for, where the student says so.
    pub invoice: Option<InvoiceId>,
    pub status: ReceiptState,
    pub submitted_at: Timestamp,
    pub decided: Option<Decided>,
}

impl Receipt {
    /// Answers whether it is news; another word than the first is refused.
    pub fn decide(&mut self, status: ReceiptState, decided: Decided) -> Result<bool, Refusal> {
        if self.status == ReceiptState::Waiting {
            self.status = status;
            self.decided = Some(decided);
            return Ok(true);
        }
        if self.status == status { Ok(false) } else { Err(Refusal::ReceiptDecided) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_same_however_it_is_typed_and_another_by_another_way() {
        let bank = CounterChannel::BankTransfer;
        assert_eq!(bank.reference("Afriland ", " tx-77 "), bank.reference("AFRILAND", "TX 77"));
        assert_ne!(bank.reference("A", "77"), bank.reference("B", "77"));
        assert_ne!(bank.reference("A", "77"), bank.reference("A7", "7"));
        assert_ne!(bank.reference("A", "77"), CounterChannel::Cash.reference("A", "77"));
    }
}
