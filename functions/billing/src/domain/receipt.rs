//! What students hand in to show that they paid: the reference of a bank transfer or of a cash receipt. It stands in a
//! queue until the bursar has found the money, or has not.

use data_encoding::HEXLOWER;
use kernel::{Date, InvoiceId, Money, PaymentId, PersonId, ReceiptId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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

/// What a receipt may be scanned or photographed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FileKind {
    #[serde(rename = "application/pdf")]
    Pdf,
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/png")]
    Png,
}

impl FileKind {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    /// What every file of this kind begins with.
    fn beginning(self) -> &'static [u8] {
        match self {
            Self::Pdf => b"%PDF-",
            Self::Jpeg => b"\xff\xd8\xff",
            Self::Png => b"\x89PNG\r\n\x1a\n",
        }
    }
}

/// The file of a receipt, as whoever handed it in announced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptFile {
    pub kind: FileKind,
    #[schemars(range(min = 1, max = 5_242_880))]
    pub bytes: u32,
    /// In hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}

impl ReceiptFile {
    pub const BYTES_MAX: u32 = 5 * 1024 * 1024;

    /// Whether this is the file that was announced, and of the kind that it is said to be.
    pub fn is(&self, content: &[u8]) -> bool {
        content.starts_with(self.kind.beginning())
            && u32::try_from(content.len()).is_ok_and(|bytes| bytes == self.bytes)
            && HEXLOWER.encode(&Sha256::digest(content)) == self.sha256
    }
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
    /// What it looks like, where that was announced.
    #[serde(default)]
    pub file: Option<ReceiptFile>,
}

impl Receipt {
    /// Announces its file, in place of another one: what the bursar has decided by stays as it was.
    pub fn attach(&mut self, file: ReceiptFile) -> Result<(), Refusal> {
        if self.status != ReceiptState::Waiting {
            return Err(Refusal::ReceiptDecided);
        }
        self.file = Some(file);
        Ok(())
    }

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
    fn a_file_is_known_by_its_hash_its_length_and_how_it_begins() {
        let of = |kind, content: &[u8]| ReceiptFile {
            kind,
            bytes: u32::try_from(content.len()).expect("small"),
            sha256: HEXLOWER.encode(&Sha256::digest(content)),
        };
        let png = b"\x89PNG\r\n\x1a\n and so on";
        for (kind, content) in [
            (FileKind::Pdf, &b"%PDF-1.7 and so on"[..]),
            (FileKind::Jpeg, b"\xff\xd8\xff\xe0 and so on"),
            (FileKind::Png, png),
        ] {
            assert!(of(kind, content).is(content), "{kind:?}");
        }
        assert!(!of(FileKind::Pdf, b"<html>").is(b"<html>"), "it only says that it is one");
        assert!(!of(FileKind::Jpeg, png).is(png));
        assert!(!of(FileKind::Png, png).is(b"\x89PNG\r\n\x1a\n and no more"));
        let longer = ReceiptFile { bytes: 1, ..of(FileKind::Png, png) };
        assert!(!longer.is(png));
    }

    #[test]
    fn a_reference_is_the_same_however_it_is_typed_and_another_by_another_way() {
        let bank = CounterChannel::BankTransfer;
        assert_eq!(bank.reference("Afriland ", " tx-77 "), bank.reference("AFRILAND", "TX 77"));
        assert_ne!(bank.reference("A", "77"), bank.reference("B", "77"));
        assert_ne!(bank.reference("A", "77"), bank.reference("A7", "7"));
        assert_ne!(bank.reference("A", "77"), CounterChannel::Cash.reference("A", "77"));
    }
}
