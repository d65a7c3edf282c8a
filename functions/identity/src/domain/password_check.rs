//! Passwords that an attacker tries first: the common ones, however they are spelt and decorated, and what everybody
//! knows of their owner.

use std::collections::BTreeSet;

use kernel::{Email, PersonName};

use super::{Password, Refusal, folded};

/// The most common passwords of those that are long enough, in lower case.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

/// Whoever chooses a password, as others know them.
#[derive(Clone, Copy)]
pub struct Chooser<'a> {
    pub email: &'a Email,
    pub name: &'a PersonName,
    pub student_number: Option<&'a str>,
}

/// Refuses what is easily guessed.
pub fn check_password(password: &Password, chooser: Chooser<'_>) -> Result<(), Refusal> {
    let lower = password.0.to_lowercase();
    let address = chooser.email.folded();
    if lower == address || address.split('@').next() == Some(lower.as_str()) {
        return Err(Refusal::PasswordIsEmail);
    }
    if is_common(&lower) {
        return Err(Refusal::PasswordTooCommon);
    }
    if is_of_own_words(&lower, chooser) { Err(Refusal::PasswordOfOwnWords) } else { Ok(()) }
}

fn common() -> impl Iterator<Item = &'static str> {
    COMMON_PASSWORDS.lines().filter(|line| !line.starts_with('#'))
}

fn is_common(lower: &str) -> bool {
    const DIFFERENT_CHARS_MIN: usize = 5;
    let different: BTreeSet<char> = lower.chars().collect();
    let cores = cores(lower);
    different.len() < DIFFERENT_CHARS_MIN
        || common().any(|common| {
            common == lower || self::cores(common).iter().any(|core| cores.contains(core))
        })
}

/// What is left without decoration: no digits and signs around it or at its end, no substitutions, and once where it is
/// repeated.
fn cores(lower: &str) -> Vec<String> {
    let is_decoration = |character: char| !character.is_alphabetic();
    let undecorated = [lower.trim_end_matches(is_decoration), lower.trim_matches(is_decoration)];
    let letters =
        |text: &str| spelt_out(text).chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let cores = undecorated.map(|text| once(&letters(text)));
    cores.into_iter().filter(|core| !core.is_empty()).collect()
}

/// The shortest text of which this one is made by repetition.
fn once(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_period = |length: &usize| {
        chars.len().is_multiple_of(*length)
            && chars.chunks(*length).all(|part| part == &chars[..*length])
    };
    let length = (1..=chars.len()).find(is_period).unwrap_or_default();
    chars[..length].iter().collect()
}

/// Letters and digits, with the usual substitutions taken back; what looks alike is one letter.
fn spelt_out(text: &str) -> String {
    let spelt = |character: char| match character {
        '0' => 'o',
        '1' | '!' | '|' | 'l' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        other => other,
    };
    text.chars().map(spelt).filter(|character| character.is_alphanumeric()).collect()
}

/// Whether it is long enough only by what everybody knows of its owner, or by the name of the university or of
/// Matricula.
fn is_of_own_words(lower: &str, Chooser { email, name, student_number }: Chooser<'_>) -> bool {
    const WORD_CHARS_MIN: usize = 4;
    const REST_CHARS_MIN: usize = 12;
    let address = email.folded();
    let (local, domain) = address.split_once('@').unwrap_or_default();
    let university = domain.rsplit_once('.').map_or(domain, |(labels, _)| labels);
    let number = student_number.unwrap_or_default();
    let texts = [name.given.as_str(), &name.family, local, university, "matricula"].map(folded);
    let mut words: Vec<String> = texts
        .iter()
        .flat_map(|text| text.split(' '))
        .chain([number])
        .map(str::to_lowercase)
        .collect();
    words = words.iter().map(|word| spelt_out(word)).collect();
    words.retain(|word| word.chars().count() >= WORD_CHARS_MIN);
    // The longest first: one may be a part of another.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let whole = spelt_out(&folded_letters(lower));
    let rest = words.iter().fold(whole.clone(), |rest, word| rest.replace(word.as_str(), ""));
    rest != whole && rest.chars().count() < REST_CHARS_MIN
}

/// Without accents, and with the signs that may stand for letters.
fn folded_letters(lower: &str) -> String {
    lower
        .chars()
        .map(|c| if c.is_alphabetic() { folded(&c.to_string()) } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(password: &str) -> Option<Refusal> {
        let email = "augusta.king@uni-berlin.example".parse().expect("an address");
        let name = PersonName { given: "Ada".into(), family: "Lovelacé".into() };
        let chooser = Chooser { email: &email, name: &name, student_number: Some("S-18151852") };
        check_password(&Password(password.into()), chooser).err()
    }

    #[test]
    fn what_an_attacker_tries_first_is_refused() {
        for common in ["Password1234", "123456789012", "trustno11234"] {
            assert_eq!(refusal(common), Some(Refusal::PasswordTooCommon), "{common}");
        }
        for own in ["augusta.king@uni-BERLIN.example", "Augusta.KING"] {
            assert_eq!(refusal(own), Some(Refusal::PasswordIsEmail), "{own}");
        }
        for good in ["correct horse battery", "a password that is a sentence", "r4nd0m-W0rds-7391"]
        {
            assert_eq!(refusal(good), None, "{good}");
        }
    }

    #[test]
    fn a_common_password_is_common_however_it_is_spelt_and_decorated() {
        for decorated in [
            "Passw0rd!!!!2031",
            "P@$$word-1999-2000",
            "2031!!password",
            "$unsh1ne_______",
            "Pa55word.Pa55word.Pa55word",
            "WELCOME????9999",
            "nnnnnnnnnnnnnnnn",
            "abababababab!!",
        ] {
            assert_eq!(refusal(decorated), Some(Refusal::PasswordTooCommon), "{decorated}");
        }
    }

    #[test]
    fn what_everybody_knows_of_somebody_makes_no_password() {
        for own in [
            "Lovelace-1815-x",
            "l0ve1ace!1815ab",
            "my-augusta-2031",
            "uni-berlin-2031",
            "Berlin.Berlin.99",
            "M4tricula!!2031x",
            "xx-S-18151852-yy",
        ] {
            assert_eq!(refusal(own), Some(Refusal::PasswordOfOwnWords), "{own}");
        }
        assert_eq!(refusal("seventeen lovelace chairs"), None, "long enough without the name");
        assert_eq!(refusal("adamantly-2031"), None, "three letters are in every second word");
    }

    #[test]
    fn the_list_holds_only_what_the_length_alone_would_let_through() {
        let common: Vec<_> = common().collect();
        assert!(common.len() > 50);
        for password in common {
            assert!(password.chars().count() >= 12, "{password}");
            assert_eq!(password, password.to_lowercase());
        }
    }
}
