//! What a credit costs.

use kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// The name by which sections refer to a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PriceGroupCode(
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._\-]*$"))]
    pub  String,
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceGroup {
    pub code: PriceGroupCode,
    pub per_credit: Money,
}

impl PriceGroup {
    pub fn check(&self) -> Result<(), Refusal> {
        if self.per_credit.minor < 0 { Err(Refusal::PriceNegative) } else { Ok(()) }
    }

    /// The price of that many hundredths of a credit, rounded half up: a line of an invoice.
    pub fn price_of(&self, credits_hundredths: u32) -> Result<Money, Refusal> {
        Ok(self.per_credit.fraction(i64::from(credits_hundredths), 100)?)
    }
}
