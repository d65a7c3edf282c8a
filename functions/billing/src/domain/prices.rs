//! What a credit costs.

use std::collections::BTreeMap;

use events::ChargeableRegistration;
use kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChargeCode, InvoiceLine, Refusal};

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

/// What the registrations cost, line by line, and all together.
pub fn price(
    registrations: &[ChargeableRegistration],
    term_code: &str,
    prices: &BTreeMap<String, PriceGroup>,
) -> Result<(Vec<InvoiceLine>, Money), Refusal> {
    let mut lines = Vec::new();
    let mut total: Option<Money> = None;
    for registration in registrations {
        let group = prices.get(&registration.price_group).ok_or(Refusal::PriceGroupUnknown)?;
        let amount = group.price_of(registration.credits_hundredths)?;
        total = Some(match total {
            Some(total) => total.checked_add(amount)?,
            None => amount,
        });
        lines.push(InvoiceLine {
            code: ChargeCode::tuition(),
            description: format!("{} {}", registration.section_code, registration.course_title),
            registration: Some(registration.registration),
            term_code: term_code.to_owned(),
            quantity_hundredths: registration.credits_hundredths,
            unit_price: group.per_credit,
            amount,
        });
    }
    Ok((lines, total.expect("a bundle has at least one registration")))
}
