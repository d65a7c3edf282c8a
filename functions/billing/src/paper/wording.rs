//! What documents say, in each language; and how they write amounts, quantities and dates there.

use kernel::{Date, Locale, Money};
use shell::Sentences;

static WORDS: Sentences = Sentences {
    en: include_str!("en.ftl"),
    fr: include_str!("fr.ftl"),
    es: include_str!("es.ftl"),
};

#[derive(Debug, Clone, Copy)]
pub struct Wording {
    locale: Locale,
}

impl Wording {
    pub fn of(locale: Locale) -> Self {
        Self { locale }
    }

    pub fn locale(self) -> Locale {
        self.locale
    }

    pub fn say(self, word: &str) -> String {
        self.say_with(word, &[])
    }

    pub fn say_with(self, word: &str, arguments: &[(&'static str, String)]) -> String {
        shell::sentence(&WORDS, self.locale, word, arguments)
    }

    /// `1500` euro cents as `15.00`, by the currency's own digits; less than nothing with a minus.
    pub fn digits(self, money: Money) -> String {
        let exponent = money.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let sign = if money.minor < 0 { "-" } else { "" };
        let minor = money.minor.unsigned_abs();
        let whole = self.grouped(minor / unit);
        if exponent == 0 {
            return format!("{sign}{whole}");
        }
        let width = exponent as usize;
        format!("{sign}{whole}{}{:0width$}", self.point(), minor % unit)
    }

    /// The same with the currency behind it.
    pub fn amount(self, money: Money) -> String {
        format!("{}\u{a0}{}", self.digits(money), money.currency)
    }

    /// Hundredths of a unit, without digits that say nothing.
    pub fn quantity(self, hundredths: u32) -> String {
        let whole = self.grouped(u64::from(hundredths / 100));
        match hundredths % 100 {
            0 => whole,
            part => {
                let part = format!("{part:02}");
                format!("{whole}{}{}", self.point(), part.trim_end_matches('0'))
            }
        }
    }

    pub fn date(self, date: Date) -> String {
        match self.locale {
            Locale::En => date.to_string(),
            Locale::Fr | Locale::Es => {
                format!("{:02}/{:02}/{:04}", date.day(), date.month(), date.year())
            }
        }
    }

    fn point(self) -> char {
        if self.locale == Locale::En { '.' } else { ',' }
    }

    fn grouped(self, number: u64) -> String {
        let separator = match self.locale {
            Locale::En => ',',
            Locale::Fr => '\u{202f}',
            Locale::Es => '.',
        };
        let digits = number.to_string();
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        grouped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency_and_the_marks_of_the_language() {
        let written = |minor, currency: &str| {
            let money = Money::new(minor, currency.parse().expect("a currency"));
            Locale::ALL.map(|locale| Wording::of(locale).amount(money).replace('\u{a0}', " "))
        };
        assert_eq!(
            written(1_234_567, "XAF"),
            ["1,234,567 XAF", "1\u{202f}234\u{202f}567 XAF", "1.234.567 XAF"]
        );
        assert_eq!(
            written(1_234_567, "EUR"),
            ["12,345.67 EUR", "12\u{202f}345,67 EUR", "12.345,67 EUR"]
        );
        assert_eq!(
            written(-1_234_567, "TND"),
            ["-1,234.567 TND", "-1\u{202f}234,567 TND", "-1.234,567 TND"]
        );
        assert_eq!(written(-5, "USD"), ["-0.05 USD", "-0,05 USD", "-0,05 USD"]);
        assert_eq!(
            written(i64::MIN, "XAF")[0],
            "-9,223,372,036,854,775,808 XAF",
            "the smallest there is"
        );
    }

    #[test]
    fn quantities_and_dates_are_written_as_the_language_writes_them() {
        let english = Wording::of(Locale::En);
        let french = Wording::of(Locale::Fr);
        assert_eq!(
            [100, 450, 405].map(|hundredths| english.quantity(hundredths)),
            ["1", "4.5", "4.05"]
        );
        assert_eq!(french.quantity(450), "4,5");
        let date = "2027-01-05".parse().expect("a date");
        assert_eq!(
            (english.date(date), french.date(date)),
            ("2027-01-05".into(), "05/01/2027".into())
        );
    }

    #[test]
    fn every_language_has_every_word() {
        let english = WORDS.codes(Locale::En);
        assert!(english.len() > 30, "{english:?}");
        assert_eq!(english, WORDS.codes(Locale::Fr));
        assert_eq!(english, WORDS.codes(Locale::Es));
        for word in english {
            let spoken = Wording::of(Locale::Fr).say(&word.to_uppercase().replace('-', "_"));
            assert_ne!(spoken, word.to_uppercase().replace('-', "_"));
        }
    }
}
