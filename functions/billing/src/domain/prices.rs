//! What a credit costs.

use std::collections::BTreeMap;

use events::ChargeableRegistration;
use kernel::{BundleId, Currency, Date, Money, SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Refusal, Registered};

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
}

/// The registrations of a bundle, each at its price of this moment, and the currency of them all.
pub fn registered(
    bundle: BundleId,
    registrations: &[ChargeableRegistration],
    prices: &BTreeMap<String, PriceGroup>,
    registered_on: Date,
) -> Result<(Vec<Registered>, Currency), Refusal> {
    let mut registered = Vec::new();
    for one in registrations {
        let group = prices.get(&one.price_group).ok_or(Refusal::PriceGroupUnknown)?;
        registered.push(Registered {
            registration: one.registration,
            bundle,
            section_code: one.section_code.clone(),
            course_title: one.course_title.clone(),
            credits_hundredths: one.credits_hundredths,
            price_group: group.code.clone(),
            per_credit: group.per_credit,
            registered_on,
            unwashed_hundredths: one.credits_hundredths,
        });
    }
    let currency = registered.first().expect("a bundle is of at least one").per_credit.currency;
    if registered.iter().any(|one| one.per_credit.currency != currency) {
        return Err(Refusal::CurrenciesDiffer);
    }
    Ok((registered, currency))
}

/// What billing knows of a section, for those who ask what it would cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionPrice {
    pub section: SectionId,
    pub section_version: u64,
    pub term: TermId,
    pub term_code: String,
    pub section_code: String,
    pub course_title: String,
    pub credits_hundredths: u32,
    pub price_group: String,
}
