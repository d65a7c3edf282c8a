//! Money as integer minor units with its ISO 4217 currency; every sum is checked, no float comes near it.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 code that Matricula knows the exponent of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Currencies whose minor unit is not a hundredth (ISO 4217 list one). Every other accepted code has exponent 2.
const EXPONENTS: &[(&str, u32)] = &[
    ("XAF", 0),
    ("XOF", 0),
    ("JPY", 0),
    ("CLP", 0),
    ("RWF", 0),
    ("KRW", 0),
    ("VND", 0),
    ("TND", 3),
    ("KWD", 3),
    ("BHD", 3),
    ("JOD", 3),
    ("OMR", 3),
];
const WITH_HUNDREDTHS: &[&str] = &[
    "EUR", "USD", "GBP", "CHF", "CAD", "AUD", "NGN", "GHS", "KES", "ZAR", "MAD", "MXN", "COP",
    "PEN", "ARS", "BRL", "INR", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "TRY", "EGP",
];

impl Currency {
    /// Number of decimal digits of the minor unit.
    pub fn exponent(self) -> u32 {
        EXPONENTS.iter().find(|(code, _)| *code == self.code()).map_or(2, |(_, exponent)| *exponent)
    }

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is three ASCII letters")
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let known =
            WITH_HUNDREDTHS.contains(&text) || EXPONENTS.iter().any(|(code, _)| *code == text);
        match text.as_bytes().try_into() {
            Ok(code) if known => Ok(Self(code)),
            _ => Err(MoneyError::CurrencyUnknown),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = EXPONENTS
            .iter()
            .map(|(code, _)| *code)
            .chain(WITH_HUNDREDTHS.iter().copied())
            .collect();
        json_schema!({ "type": "string", "enum": codes, "description": "ISO 4217 code" })
    }
}

/// An amount in minor units (cents, or whole francs where there are no cents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: 10.50 EUR is 1050, 500 XAF is 500.
    pub minor: i64,
    pub currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("the currency is not known")]
    CurrencyUnknown,
    #[error("the currencies differ")]
    CurrenciesDiffer,
    #[error("the amount is too large")]
    Overflow,
}

impl Money {
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(other.negated()?)
    }

    pub fn negated(self) -> Result<Self, MoneyError> {
        Ok(Self::new(self.minor.checked_neg().ok_or(MoneyError::Overflow)?, self.currency))
    }

    pub fn times(self, quantity: i64) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// `numerator / denominator` of the amount, rounded half away from zero, as a bursar rounds a line.
    pub fn fraction(self, numerator: i64, denominator: i64) -> Result<Self, MoneyError> {
        let product = i128::from(self.minor) * i128::from(numerator);
        let denominator = i128::from(denominator);
        if denominator <= 0 {
            return Err(MoneyError::Overflow);
        }
        let rounded = (2 * product.abs() + denominator) / (2 * denominator) * product.signum();
        let minor = i64::try_from(rounded).map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// Splits into parts proportional to `weights` whose sum is the amount: largest remainder, ties to the
    /// first part.
    pub fn split(self, weights: &[u32]) -> Result<Vec<Self>, MoneyError> {
        let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        if total == 0 {
            return Err(MoneyError::Overflow);
        }
        let amount = i128::from(self.minor);
        let mut parts: Vec<i128> =
            weights.iter().map(|weight| (amount * i128::from(*weight)).div_euclid(total)).collect();
        let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
        by_remainder.sort_by_key(|part| {
            std::cmp::Reverse((amount * i128::from(weights[*part])).rem_euclid(total))
        });
        let left = usize::try_from(amount - parts.iter().sum::<i128>())
            .map_err(|_| MoneyError::Overflow)?;
        for part in by_remainder.into_iter().take(left) {
            parts[part] += 1;
        }
        parts
            .into_iter()
            .map(|part| {
                Ok(Self::new(i64::try_from(part).map_err(|_| MoneyError::Overflow)?, self.currency))
            })
            .collect()
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrenciesDiffer) }
    }
}

/// `1050 EUR` as `10.50 EUR`: digits by the currency's exponent, no grouping.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        if exponent == 0 {
            return write!(f, "{sign}{minor} {}", self.currency);
        }
        let width = exponent as usize;
        write!(f, "{sign}{}.{:0width$} {}", minor / unit, minor % unit, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money::new(minor, currency.parse().expect("a known currency"))
    }

    #[test]
    fn a_hundred_thousand_francs_in_three_leave_the_odd_franc_with_the_first() {
        let parts = money(100_000, "XAF").split(&[1, 1, 1]).expect("splits");
        assert_eq!(
            parts.iter().map(|part| part.minor).collect::<Vec<_>>(),
            [33_334, 33_333, 33_333]
        );
    }

    #[test]
    fn amounts_print_with_their_currency_s_own_digits() {
        assert_eq!(money(1_050, "EUR").to_string(), "10.50 EUR");
        assert_eq!(money(-5, "USD").to_string(), "-0.05 USD");
        assert_eq!(money(500, "XAF").to_string(), "500 XAF");
        assert_eq!(money(1_234, "TND").to_string(), "1.234 TND");
    }

    #[test]
    fn currencies_never_mix() {
        assert_eq!(money(1, "EUR").checked_add(money(1, "USD")), Err(MoneyError::CurrenciesDiffer));
        assert_eq!("eur".parse::<Currency>(), Err(MoneyError::CurrencyUnknown));
        assert_eq!(money(i64::MAX, "EUR").checked_add(money(1, "EUR")), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_fraction_rounds_half_away_from_zero() {
        assert_eq!(money(5, "EUR").fraction(1, 2), Ok(money(3, "EUR")));
        assert_eq!(money(-5, "EUR").fraction(1, 2), Ok(money(-3, "EUR")));
    }

    proptest! {
        #[test]
        fn the_parts_of_a_split_sum_to_the_whole(
            minor in -1_000_000_000_i64..1_000_000_000,
            weights in proptest::collection::vec(0_u32..1_000, 1..12),
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = money(minor, "EUR").split(&weights).expect("splits");
            prop_assert_eq!(parts.iter().map(|part| part.minor).sum::<i64>(), minor);
        }
    }
}
