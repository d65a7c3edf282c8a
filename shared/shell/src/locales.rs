//! Sentences for people, by code and language, from Fluent files.

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};
use kernel::Locale;

/// A context's Fluent files, one per language.
#[derive(Debug)]
pub struct Sentences {
    pub en: &'static str,
    pub fr: &'static str,
    pub es: &'static str,
}

/// The [`Sentences`] of the package that writes this: its `locales/en.ftl`, `fr.ftl` and `es.ftl`.
#[macro_export]
macro_rules! sentences {
    () => {
        $crate::Sentences {
            en: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/locales/en.ftl")),
            fr: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/locales/fr.ftl")),
            es: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/locales/es.ftl")),
        }
    };
}

impl Sentences {
    fn source(&self, locale: Locale) -> &'static str {
        match locale {
            Locale::En => self.en,
            Locale::Fr => self.fr,
            Locale::Es => self.es,
        }
    }

    /// Message ids of one language.
    pub fn codes(&self, locale: Locale) -> Vec<String> {
        self.source(locale)
            .lines()
            .filter_map(|line| line.split_once(" =").map(|(id, _)| id.trim().to_owned()))
            .filter(|id| !id.is_empty() && !id.starts_with(['#', '.', '*', '[']))
            .collect()
    }
}

/// The sentence for `code` (`SECTION_FULL` is the message `section-full`); the code itself where nobody wrote one.
pub fn sentence(
    sentences: &Sentences,
    locale: Locale,
    code: &str,
    arguments: &[(&'static str, String)],
) -> String {
    let id = code.to_ascii_lowercase().replace('_', "-");
    // A refusal is rare and a file is short: parsing it on demand costs less than keeping it.
    let resource = match FluentResource::try_new(sentences.source(locale).to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    };
    let language = locale.code().parse().expect("our languages have valid tags");
    let mut bundle = FluentBundle::new(vec![language]);
    bundle.set_use_isolating(false);
    if bundle.add_resource(resource).is_err() {
        return code.to_owned();
    }
    let Some(pattern) = bundle.get_message(&id).and_then(|message| message.value()) else {
        return code.to_owned();
    };
    let arguments: FluentArgs =
        arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut errors = Vec::new();
    bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SENTENCES;

    #[test]
    fn a_sentence_comes_in_the_language_asked_for() {
        let say = |locale| sentence(&SENTENCES, locale, "MALFORMED_JSON", &[]);
        assert_eq!(say(Locale::En), "The request body is not valid JSON.");
        assert_ne!(say(Locale::En), say(Locale::Fr));
        assert_ne!(say(Locale::Fr), say(Locale::Es));
    }
}
