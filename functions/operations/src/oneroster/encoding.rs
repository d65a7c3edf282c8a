//! Text that went through the wrong encoding: found and reported, never stored.

/// UTF-8 that was read as Windows-1252 and encoded again, such as "Ã©" for "é" or "â€™" for "’".
pub fn is_double_encoded(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let bytes: Vec<Option<u8>> = text.chars().map(windows_1252).collect();
    let continues = |byte: &Option<u8>| matches!(byte, Some(0x80..=0xBF));
    bytes.windows(2).any(|pair| matches!(pair[0], Some(0xC2 | 0xC3)) && continues(&pair[1]))
        // Œ and œ, which French has.
        || bytes.windows(2).any(|pair| pair[0] == Some(0xC5) && matches!(pair[1], Some(0x92 | 0x93)))
        || bytes.windows(3).any(|three| {
            three[0] == Some(0xE2) && three[1] == Some(0x80) && continues(&three[2])
        })
}

/// The byte that Windows-1252 has for the character.
fn windows_1252(character: char) -> Option<u8> {
    const UPPER: [(char, u8); 27] = [
        ('€', 0x80),
        ('‚', 0x82),
        ('ƒ', 0x83),
        ('„', 0x84),
        ('…', 0x85),
        ('†', 0x86),
        ('‡', 0x87),
        ('ˆ', 0x88),
        ('‰', 0x89),
        ('Š', 0x8A),
        ('‹', 0x8B),
        ('Œ', 0x8C),
        ('Ž', 0x8E),
        ('‘', 0x91),
        ('’', 0x92),
        ('“', 0x93),
        ('”', 0x94),
        ('•', 0x95),
        ('–', 0x96),
        ('—', 0x97),
        ('˜', 0x98),
        ('™', 0x99),
        ('š', 0x9A),
        ('›', 0x9B),
        ('œ', 0x9C),
        ('ž', 0x9E),
        ('Ÿ', 0x9F),
    ];
    match u8::try_from(character) {
        // The five places that Windows-1252 leaves free pass as they are in most decoders.
        Ok(byte) => Some(byte),
        Err(_) => UPPER.iter().find(|(upper, _)| *upper == character).map(|(_, byte)| *byte),
    }
}

/// The letter without its accent, for codes that people type.
pub fn unaccented(character: char) -> char {
    match character {
        'À'..='Å' => 'A',
        'Ç' => 'C',
        'È'..='Ë' => 'E',
        'Ì'..='Ï' => 'I',
        'Ñ' => 'N',
        'Ò'..='Ö' | 'Ø' => 'O',
        'Ù'..='Ü' => 'U',
        'Ý' => 'Y',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded_again(text: &str) -> String {
        text.bytes()
            .map(|byte| {
                let upper = (0x80..=0x9F).contains(&byte).then(|| {
                    ('\u{80}'..='\u{2122}')
                        .find(|c| u32::from(*c) > 0xFF && windows_1252(*c) == Some(byte))
                });
                upper.flatten().unwrap_or(char::from(byte))
            })
            .collect()
    }

    #[test]
    fn text_of_our_languages_is_not_taken_for_broken() {
        for text in [
            "Núñez",
            "Élodie",
            "São Paulo",
            "CAFÉ\u{a0}: l’été",
            "Ångström",
            "Zoë",
            "œuvre",
            "ŒUVRE",
            "Noël « É »",
            "¿Qué?",
            "東京",
        ] {
            assert!(!is_double_encoded(text), "{text}");
        }
    }

    #[test]
    fn text_encoded_twice_is_found() {
        for text in
            ["Núñez", "Élodie", "São Paulo", "l’été", "à", "Œuvre", "cœur", "Señor", "¿Qué?"]
        {
            let broken = encoded_again(text);
            assert!(is_double_encoded(&broken), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn every_latin_letter_encoded_twice_is_found(before in "[a-z]{0,5}", letter in "[À-ÖØ-öø-ÿ]") {
            let broken = encoded_again(&format!("{before}{letter}"));
            prop_assert!(is_double_encoded(&broken));
        }
    }
}
