//! What the provider's report of a day says, compared with what is booked here.

use std::collections::BTreeMap;

use kernel::{Currency, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    Payment,
    Refund,
    Dispute,
}

/// One movement of money, as one side knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub kind: MovementKind,
    /// The provider's id of the payment, refund or dispute.
    pub reference: String,
    /// More than nothing, whichever way it went.
    pub amount: Money,
    /// Whether the money moved, or is said not to have.
    pub has_moved: bool,
    /// Whether it moved the other way: what was refunded did not arrive, what was disputed was won.
    pub has_come_back: bool,
    /// Whether the other side ought to know of it on the day that is compared.
    pub is_of_day: bool,
}

impl Known {
    /// Whether the other side tells of nothing that is not so here. A report tells of one day, and not of what was
    /// before.
    fn bears_out(&self, there: &Self) -> bool {
        (self.has_moved || !there.has_moved) && (self.has_come_back || !there.has_come_back)
    }

    /// What went and came back on one day comes to nothing.
    fn is_nothing(&self) -> bool {
        self.has_moved && self.has_come_back
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The provider reports it, and nothing here knows of it.
    MissingHere,
    /// It is booked here, and the provider does not report it.
    MissingThere,
    OtherAmount,
    /// The money moved on one side only.
    OtherState,
}

/// What does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unreconciled {
    pub difference: DifferenceKind,
    pub kind: MovementKind,
    pub reference: String,
    pub here: Option<Money>,
    pub there: Option<Money>,
}

/// Compares both sides, in the order of kind and reference.
pub fn reconcile(here: &[Known], there: &[Known]) -> Vec<Unreconciled> {
    let key = |known: &Known| (known.kind, known.reference.clone());
    let mut sides: BTreeMap<_, (Option<&Known>, Option<&Known>)> = BTreeMap::new();
    for known in here {
        sides.entry(key(known)).or_default().0 = Some(known);
    }
    for known in there {
        sides.entry(key(known)).or_default().1 = Some(known);
    }
    let compared = sides.into_iter().filter_map(|((kind, reference), (here, there))| {
        let difference = match (here, there) {
            (None, Some(_)) => DifferenceKind::MissingHere,
            (Some(here), None) if here.has_moved && here.is_of_day => DifferenceKind::MissingThere,
            (Some(here), Some(there)) if !here.bears_out(there) => DifferenceKind::OtherState,
            (Some(here), Some(there)) if here.amount != there.amount && !there.is_nothing() => {
                DifferenceKind::OtherAmount
            }
            _ => return None,
        };
        let (here, there) = (here.map(|one| one.amount), there.map(|one| one.amount));
        Some(Unreconciled { difference, kind, reference, here, there })
    });
    compared.collect()
}

/// An amount as reports write it, `-1500.50`, in minor units; none where it has more digits than the currency.
pub fn amount_of(text: &str, currency: Currency) -> Option<i64> {
    let (sign, digits) = match text.trim().strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.trim()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent = usize::try_from(currency.exponent()).ok()?;
    let (kept, beyond) = fraction.split_at_checked(exponent).unwrap_or((fraction, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exact = beyond.bytes().all(|byte| byte == b'0');
    if whole.is_empty() || !is_number(whole) || !is_number(kept) || !is_exact {
        return None;
    }
    let minor: i64 = format!("{whole}{kept:0<exponent$}").parse().ok()?;
    Some(sign * minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(reference: &str, minor: i64, has_moved: bool) -> Known {
        let amount = Money::new(minor, "XAF".parse().expect("a currency"));
        let reference = reference.to_owned();
        let kind = MovementKind::Payment;
        Known { kind, reference, amount, has_moved, has_come_back: false, is_of_day: true }
    }

    #[test]
    fn differences_are_told_by_kind_and_what_agrees_is_not_told() {
        let here = [
            known("agrees", 5, true),
            known("failed here", 5, false),
            known("failed on both sides", 5, false),
            known("only here", 5, true),
            known("other amount", 5, true),
        ];
        let there = [
            known("agrees", 5, true),
            known("failed here", 5, true),
            known("failed on both sides", 5, false),
            known("only there", 5, true),
            known("other amount", 6, true),
        ];
        let told = reconcile(&here, &there);
        let told: Vec<_> =
            told.iter().map(|one| (one.reference.as_str(), one.difference)).collect();
        assert_eq!(
            told,
            [
                ("failed here", DifferenceKind::OtherState),
                ("only here", DifferenceKind::MissingThere),
                ("only there", DifferenceKind::MissingHere),
                ("other amount", DifferenceKind::OtherAmount),
            ]
        );
        let won = Known { has_come_back: true, ..known("won later", 5, true) };
        let told = |has_moved, has_come_back| Known { has_moved, has_come_back, ..won.clone() };
        let both = Known { amount: Money::zero(won.amount.currency), ..told(true, true) };
        for of_day in [told(true, false), told(false, true), both] {
            assert_eq!(reconcile(std::slice::from_ref(&won), &[of_day]), []);
        }
        let lost = told(true, false);
        let kind = |told: &[Unreconciled]| told[0].difference;
        assert_eq!(kind(&reconcile(&[lost], &[told(false, true)])), DifferenceKind::OtherState);
        let silent = [known("never came", 5, false)];
        assert_eq!(reconcile(&silent, &[]), [], "what failed is in no report");
    }

    #[test]
    fn amounts_are_read_by_the_currency_s_digits_and_never_rounded() {
        let read = |text, currency: &str| amount_of(text, currency.parse().expect("a currency"));
        assert_eq!(read("1500", "XAF"), Some(1_500));
        assert_eq!(read("1500.00", "XAF"), Some(1_500));
        assert_eq!(read("-15.5", "EUR"), Some(-1_550));
        assert_eq!(read("15", "EUR"), Some(1_500));
        assert_eq!(read("1.234", "TND"), Some(1_234));
        for wrong in ["1.5", "", ".5", "1,500", "1e3", "+-5", "99999999999999999999"] {
            assert_eq!(read(wrong, "XAF"), None, "{wrong}");
        }
        assert_eq!(read("1.005", "EUR"), None, "a fraction of a cent is not rounded");
    }
}
