//! Names in the form that they are searched and compared by: without case, accents and punctuation.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Of a folded text; longer ones are cut, so that they fit into a key.
const CHARS_MAX: usize = 200;

/// Words of letters and digits with one blank between them; empty where there are none.
pub fn folded(text: &str) -> String {
    let mut folded = String::new();
    // Decomposed twice: some letters show their case only then, and a small one may bring a mark of its own.
    let text = text.nfkd().collect::<String>().to_lowercase();
    for character in text.nfkd().filter(|character| !is_combining_mark(*character)) {
        match character {
            // O'Brien is found as OBrien too.
            '\'' | '’' | '‘' | 'ʼ' | 'ʻ' => {}
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            'đ' | 'ð' => folded.push('d'),
            letter if letter.is_alphanumeric() => folded.push(letter),
            _ if folded.is_empty() || folded.ends_with(' ') => {}
            _ => folded.push(' '),
        }
    }
    folded.chars().take(CHARS_MAX).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_accents_and_punctuation_make_no_difference() {
        for (text, expected) in [
            ("Núñez", "nunez"),
            ("  O’Brien-Smith ", "obrien smith"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("Łukasz Øre", "lukasz ore"),
            ("İnci", "inci"),
            ("Ngo\u{302}no", "ngono"),
            ("李 明", "李 明"),
            ("ΟΔΟΣ ᴬda 𝒩", "οδοσ ada n"),
            ("—", ""),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_so_and_fits_into_a_key(text in "\\PC{0,120}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once.clone());
            prop_assert!(once.chars().count() <= CHARS_MAX);
            prop_assert!(!once.contains('#'));
        }
    }
}
