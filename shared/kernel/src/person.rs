//! Names, e-mail addresses and languages of people.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A person's name as the registrar writes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonName {
    #[schemars(length(min = 1, max = 100))]
    pub given: String,
    #[schemars(length(min = 1, max = 100))]
    pub family: String,
}

impl PersonName {
    /// Given name first, as all three languages of the product write it in a sentence.
    pub fn full(&self) -> String {
        format!("{} {}", self.given, self.family)
    }
}

/// Personal data does not reach a log.
impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(…)")
    }
}

/// An e-mail address, kept as typed and compared case-folded.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// Visible ASCII without the `@`. A letter beyond ASCII may fold to one within it, and then somebody else's mail would
/// come to a look-alike; no mail goes to such an address anyway (RFC 6532 is not SES's).
const EMAIL_PATTERN: &str = r"^[!-?A-~]{1,64}@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$";
const EMAIL_LENGTH_MAX: usize = 254;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address")]
pub struct WrongEmail;

impl Email {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that two addresses are compared by.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl FromStr for Email {
    type Err = WrongEmail;

    fn from_str(text: &str) -> Result<Self, WrongEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(WrongEmail)?;
        let domain_is_dotted =
            domain.split('.').count() > 1 && domain.split('.').all(|label| !label.is_empty());
        let clean = text.bytes().all(|byte| byte.is_ascii_graphic()) && !local.contains('@');
        if local.is_empty()
            || local.len() > 64
            || text.len() > EMAIL_LENGTH_MAX
            || !domain_is_dotted
            || !clean
        {
            return Err(WrongEmail);
        }
        Ok(Self(text.to_owned()))
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Email {}

/// Personal data does not reach a log.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Email {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Email".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "email", "pattern": EMAIL_PATTERN, "maxLength": EMAIL_LENGTH_MAX })
    }
}

/// A telephone number as E.164 writes it, with its country.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

const PHONE_NUMBER_PATTERN: &str = r"^\+[1-9][0-9]{6,14}$";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a telephone number")]
pub struct WrongPhoneNumber;

impl PhoneNumber {
    /// Without the plus.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// So much of it that whoever knows it knows it again.
    pub fn masked(&self) -> String {
        let digits = self.digits();
        let (first, last) = (digits.get(..3), digits.get(digits.len() - 2..));
        format!("+{}…{}", first.unwrap_or_default(), last.unwrap_or_default())
    }
}

impl FromStr for PhoneNumber {
    type Err = WrongPhoneNumber;

    fn from_str(text: &str) -> Result<Self, WrongPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(WrongPhoneNumber)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || digits.starts_with('0') || !(7..=15).contains(&digits.len()) {
            return Err(WrongPhoneNumber);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Personal data does not reach a log.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.masked())
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PhoneNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PhoneNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PHONE_NUMBER_PATTERN })
    }
}

/// The languages Matricula speaks.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    #[default]
    En,
    Fr,
    Es,
}

impl Locale {
    pub const ALL: [Self; 3] = [Self::En, Self::Fr, Self::Es];

    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::Es => "es",
        }
    }

    /// The best of our languages for an `Accept-Language` header (RFC 9110 §12.5.4); English when none fits.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (0, Self::En);
        for range in header.split(',').take(20) {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or("").trim().to_ascii_lowercase();
            let weight =
                parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1_000, thousandths);
            let primary = tag.split('-').next().unwrap_or("");
            if let Some(locale) = Self::ALL.into_iter().find(|locale| locale.code() == primary)
                && weight > best.0
            {
                best = (weight, locale);
            }
        }
        best.1
    }
}

/// `0.7` as 700; what is not a weight counts as 0.
fn thousandths(weight: &str) -> u32 {
    let (whole, decimals) = weight.trim().split_once('.').unwrap_or((weight.trim(), ""));
    let padded = format!("{decimals:0<3}");
    match (whole.parse::<u32>(), padded.get(..3).and_then(|digits| digits.parse::<u32>().ok())) {
        (Ok(whole @ 0..=1), Some(decimals)) => whole * 1_000 + decimals,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_case_folded() {
        assert_eq!("Ada@Example.EDU".parse::<Email>(), "ada@example.edu".parse::<Email>());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "ada",
            "ada@",
            "@example.edu",
            "a da@example.edu",
            "ada@example",
            "a@b@c.d",
            "a@.d",
        ] {
            assert_eq!(wrong.parse::<Email>(), Err(WrongEmail), "{wrong:?}");
        }
    }

    #[test]
    fn unicode_look_alikes_are_no_addresses() {
        let kelvin_for_k = "ada@\u{212a}ing.edu";
        assert_eq!(kelvin_for_k.to_lowercase(), "ada@king.edu", "it would be somebody else's");
        for wrong in
            [kelvin_for_k, "\u{430}da@example.edu", "ada@ex\u{430}mple.edu", "\u{131}@e.fr"]
        {
            assert_eq!(wrong.parse::<Email>(), Err(WrongEmail), "{wrong:?}");
        }
    }

    #[test]
    fn a_telephone_number_has_its_country_and_is_never_printed_whole() {
        let number: PhoneNumber = "+237670123489".parse().expect("a number");
        assert_eq!(number.digits(), "237670123489");
        assert_eq!(format!("{number:?}"), "PhoneNumber(+237…89)");
        for wrong in
            ["", "+", "237670123489", "+0237670123", "+23767", "+2376701234891234", "+23767a123489"]
        {
            assert_eq!(wrong.parse::<PhoneNumber>(), Err(WrongPhoneNumber), "{wrong:?}");
        }
    }

    #[test]
    fn the_preferred_language_wins_by_weight() {
        assert_eq!(Locale::from_accept_language("de, fr;q=0.5, es;q=0.8"), Locale::Es);
        assert_eq!(Locale::from_accept_language("fr-CM,fr;q=0.9,en;q=0.8"), Locale::Fr);
        assert_eq!(Locale::from_accept_language("de"), Locale::En);
        assert_eq!(Locale::from_accept_language(";;q=x,,\u{fffd}"), Locale::En);
    }

    #[test]
    fn personal_data_does_not_print() {
        let email: Email = "ada@example.edu".parse().expect("an address");
        assert_eq!(format!("{email:?}"), "Email(…)");
    }
}
