//! Everything that the moodle context says no to.

use shell::{Refuse, Sentences};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    SiteUnknown,
    SiteAddressWrong,
    SiteAddressFixed,
    SiteSecretForeign,
    TemplateFieldUnknown { field: String },
    PersonUnknown,
    SectionUnknown,
    ReplayNotNamed,
    TokenUnavailable,
    WebhookSecretWrong,
    WebhookTooOften,
    DriftReportMissing,
    DriftReportOutdated,
    DriftNeedsApproval { missing: u64, expected: u64 },
}

/// Also those of troubles and findings, which are told and not refused.
pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::SiteUnknown => ("SITE_UNKNOWN", 404),
            Self::SiteAddressWrong => ("SITE_ADDRESS_WRONG", 422),
            Self::SiteAddressFixed => ("SITE_ADDRESS_FIXED", 409),
            Self::SiteSecretForeign => ("SITE_SECRET_FOREIGN", 422),
            Self::TemplateFieldUnknown { .. } => ("TEMPLATE_FIELD_UNKNOWN", 422),
            Self::PersonUnknown => ("PERSON_UNKNOWN", 404),
            Self::SectionUnknown => ("SECTION_UNKNOWN", 404),
            Self::ReplayNotNamed => ("REPLAY_NOT_NAMED", 422),
            Self::TokenUnavailable => ("TOKEN_UNAVAILABLE", 409),
            Self::WebhookSecretWrong => ("WEBHOOK_SECRET_WRONG", 401),
            Self::WebhookTooOften => ("WEBHOOK_TOO_OFTEN", 429),
            Self::DriftReportMissing => ("DRIFT_REPORT_MISSING", 404),
            Self::DriftReportOutdated => ("DRIFT_REPORT_OUTDATED", 409),
            Self::DriftNeedsApproval { .. } => ("DRIFT_NEEDS_APPROVAL", 409),
        }
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::TemplateFieldUnknown { field } => vec![("field", field.clone())],
            Self::DriftNeedsApproval { missing, expected } => {
                vec![("missing", missing.to_string()), ("expected", expected.to_string())]
            }
            _ => Vec::new(),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}

#[cfg(test)]
mod tests {
    use kernel::Locale;

    use super::*;

    #[test]
    fn every_language_has_the_same_sentences() {
        let english = SENTENCES.codes(Locale::En);
        assert!(english.len() > 30);
        assert_eq!(english, SENTENCES.codes(Locale::Fr));
        assert_eq!(english, SENTENCES.codes(Locale::Es));
    }
}
