//! The words of every message: `templates/<kind>.<locale>.txt`, whose first line is the subject, and the same
//! as `.html`.

use std::sync::OnceLock;

use kernel::Locale;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use shell::Fault;

use crate::domain::{Content, Kind};

/// A message as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What only the sender knows.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    pub portal_url: &'a str,
    /// Computed for this sending and kept nowhere; empty where the message carries none.
    pub code: &'a str,
    /// Where the message leads to: a page of the portal, with what opens it; just the portal where it opens nothing.
    pub link: &'a str,
}

macro_rules! sources {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../templates/", $name)))),*]
    };
}

/// What messages share, and pages in HTML.
const WHOLE: &[(&str, &str)] = sources! {
    "frame.html" "items.html" "items.txt"
    "verify_email.en.html" "verify_email.fr.html" "verify_email.es.html"
    "registered.en.html" "registered.fr.html" "registered.es.html"
    "released.en.html" "released.fr.html" "released.es.html"
    "dropped.en.html" "dropped.fr.html" "dropped.es.html"
    "waitlist.en.html" "waitlist.fr.html" "waitlist.es.html"
    "withdrawn.en.html" "withdrawn.fr.html" "withdrawn.es.html"
    "prerequisite_broken.en.html" "prerequisite_broken.fr.html" "prerequisite_broken.es.html"
    "session_revoked.en.html" "session_revoked.fr.html" "session_revoked.es.html"
    "new_device.en.html" "new_device.fr.html" "new_device.es.html"
    "password_changed.en.html" "password_changed.fr.html" "password_changed.es.html"
    "second_factor_confirmed.en.html" "second_factor_confirmed.fr.html" "second_factor_confirmed.es.html"
    "second_factor_removed.en.html" "second_factor_removed.fr.html" "second_factor_removed.es.html"
    "second_factor_reset.en.html" "second_factor_reset.fr.html" "second_factor_reset.es.html"
    "role_given.en.html" "role_given.fr.html" "role_given.es.html"
    "reset_password.en.html" "reset_password.fr.html" "reset_password.es.html"
    "invitation.en.html" "invitation.fr.html" "invitation.es.html"
    "payment_overdue.en.html" "payment_overdue.fr.html" "payment_overdue.es.html"
    "invoice.en.html" "invoice.fr.html" "invoice.es.html"
};

/// Subject and text.
const WITH_SUBJECT: &[(&str, &str)] = sources! {
    "verify_email.en.txt" "verify_email.fr.txt" "verify_email.es.txt"
    "registered.en.txt" "registered.fr.txt" "registered.es.txt"
    "released.en.txt" "released.fr.txt" "released.es.txt"
    "dropped.en.txt" "dropped.fr.txt" "dropped.es.txt"
    "waitlist.en.txt" "waitlist.fr.txt" "waitlist.es.txt"
    "withdrawn.en.txt" "withdrawn.fr.txt" "withdrawn.es.txt"
    "prerequisite_broken.en.txt" "prerequisite_broken.fr.txt" "prerequisite_broken.es.txt"
    "session_revoked.en.txt" "session_revoked.fr.txt" "session_revoked.es.txt"
    "new_device.en.txt" "new_device.fr.txt" "new_device.es.txt"
    "password_changed.en.txt" "password_changed.fr.txt" "password_changed.es.txt"
    "second_factor_confirmed.en.txt" "second_factor_confirmed.fr.txt" "second_factor_confirmed.es.txt"
    "second_factor_removed.en.txt" "second_factor_removed.fr.txt" "second_factor_removed.es.txt"
    "second_factor_reset.en.txt" "second_factor_reset.fr.txt" "second_factor_reset.es.txt"
    "role_given.en.txt" "role_given.fr.txt" "role_given.es.txt"
    "reset_password.en.txt" "reset_password.fr.txt" "reset_password.es.txt"
    "invitation.en.txt" "invitation.fr.txt" "invitation.es.txt"
    "payment_overdue.en.txt" "payment_overdue.fr.txt" "payment_overdue.es.txt"
    "invoice.en.txt" "invoice.fr.txt" "invoice.es.txt"
};

/// The message in its language.
pub fn render(content: &Content, locale: Locale, sending: Sending<'_>) -> Result<Rendered, Fault> {
    let subject = subject(content, locale)?;
    let values = context! {
        subject => &subject,
        locale => locale.code(),
        portal_url => sending.portal_url,
        code => sending.code,
        link => sending.link,
        ..Value::from(Serde(content))
    };
    let text = fill(content.kind(), locale, "txt", &values)?;
    let html = fill(content.kind(), locale, "html", &values)?;
    Ok(Rendered { subject, text, html })
}

/// The subject alone, in one line whatever the values hold.
pub fn subject(content: &Content, locale: Locale) -> Result<String, Fault> {
    let subject = fill(content.kind(), locale, "subject", &Value::from(Serde(content)))?;
    Ok(subject.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn fill(kind: Kind, locale: Locale, form: &str, values: &Value) -> Result<String, Fault> {
    let name = format!("{}.{}.{form}", kind.name(), locale.code());
    environment()
        .get_template(&name)
        .and_then(|template| template.render(values))
        .map_err(|error| Fault::defect(format!("{name} cannot be rendered: {error}")))
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // An error must not carry the values, which are somebody's name and courses, into the log.
        environment.set_debug(false);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the syntax is Jinja's own"));
        let mut add = |name: String, source: &'static str| {
            environment.add_template_owned(name, source).expect("our templates are well formed");
        };
        for (name, source) in WHOLE {
            add((*name).to_owned(), source);
        }
        for (name, source) in WITH_SUBJECT {
            let (subject, text) = source.split_once('\n').expect("a subject stands above the text");
            add(name.replace(".txt", ".subject"), subject);
            add((*name).to_owned(), text.trim_start());
        }
        environment
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use events::{DropReason, DunningMeasure, ReleaseReason, WaitlistState};
    use shell::Role;

    use super::*;
    use crate::domain::tests::content;

    const SENDING: Sending<'static> = Sending {
        portal_url: "https://portal.matricula.example",
        code: "01234567",
        link: "https://portal.matricula.example/page#token=0f",
    };

    fn rendered(content: &Content, locale: Locale) -> Rendered {
        render(content, locale, SENDING).expect("it renders")
    }

    fn every_message() -> impl Iterator<Item = (Kind, Locale, Rendered)> {
        Kind::ALL.into_iter().flat_map(|kind| {
            Locale::ALL.map(|locale| (kind, locale, rendered(&content(kind), locale)))
        })
    }

    #[test]
    fn every_kind_speaks_every_language_and_leaves_nothing_open() {
        for (kind, locale, mail) in every_message() {
            let Rendered { subject, text, html } = &mail;
            let name = format!("{}.{}", kind.name(), locale.code());
            for part in [subject, text, html] {
                assert!(!part.trim().is_empty(), "{name}");
                for left in ["{{", "}}", "{%", "%}", "undefined"] {
                    assert!(!part.contains(left), "{name} still says {left}");
                }
            }
            assert!(!text.contains("\n\n\n"), "{name} has a hole:\n{text}");
            assert!(text.contains("https://portal.matricula.example"), "{name} has no link");
            assert!(html.contains("href=\"https:&#x2f;&#x2f;portal.matricula.example"), "{name}");
            assert!(html.starts_with("<!doctype html>"), "{name}");
            assert!(html.contains(&format!("<html lang=\"{}\">", locale.code())), "{name}");
            assert!(html.trim_end().ends_with("</html>"), "{name}");
            assert!(!text.contains(subject.as_str()), "{name} repeats its subject");
        }
    }

    #[test]
    fn the_languages_have_the_same_kinds_and_no_two_sound_alike() {
        for form in ["txt", "html"] {
            for locale in Locale::ALL {
                let suffix = format!(".{}.{form}", locale.code());
                let sources = WHOLE.iter().chain(WITH_SUBJECT);
                let kinds: BTreeSet<&str> =
                    sources.filter_map(|(name, _)| name.strip_suffix(suffix.as_str())).collect();
                assert_eq!(kinds, Kind::ALL.map(Kind::name).into(), "{suffix}");
            }
        }
        let mails: Vec<Rendered> = every_message().map(|(_, _, mail)| mail).collect();
        for part in [|mail: &Rendered| mail.subject.clone(), |mail: &Rendered| mail.text.clone()] {
            let different: BTreeSet<String> = mails.iter().map(part).collect();
            assert_eq!(different.len(), mails.len());
        }
    }

    #[test]
    fn a_notice_names_every_section_and_its_course() {
        let notices = [
            Kind::Registered,
            Kind::Released,
            Kind::Dropped,
            Kind::Withdrawn,
            Kind::Waitlist,
            Kind::PrerequisiteBroken,
        ];
        for (kind, locale, mail) in every_message().filter(|(kind, ..)| notices.contains(kind)) {
            assert!(mail.text.contains("Ada <b>"), "{kind:?} {locale:?}");
            assert!(mail.text.contains("- MATH101-A  Calculus I\n- HIST200-B  Peace & War\n"));
            assert!(mail.html.contains("HIST200-B") && mail.html.contains("Peace &amp; War"));
            assert!(mail.subject.contains("2027S"), "{kind:?} {locale:?}");
            assert!(!mail.subject.contains("MATH101"), "the subject says too much");
        }
    }

    #[test]
    fn what_people_typed_is_no_markup_and_no_second_line_of_a_subject() {
        let Content::Registered { given_name, items, .. } = content(Kind::Registered) else {
            panic!("a registered message")
        };
        let term_code = "2027S\r\nBcc: eve@example.com".to_owned();
        let mail = rendered(&Content::Registered { given_name, term_code, items }, Locale::En);
        assert!(!mail.subject.contains(['\r', '\n']));
        assert!(mail.html.contains("Ada &lt;b&gt;") && !mail.html.contains("<b>,"));
    }

    #[test]
    fn the_code_stands_in_the_body_and_never_in_the_subject() {
        for locale in Locale::ALL {
            let mail = rendered(&content(Kind::VerifyEmail), locale);
            assert!(mail.text.contains("01234567") && mail.html.contains("01234567"));
            assert!(!mail.subject.contains("01234567"));
        }
    }

    #[test]
    fn an_alert_says_when_it_happened() {
        let alerts = [
            Kind::SessionRevoked,
            Kind::NewDevice,
            Kind::PasswordChanged,
            Kind::SecondFactorConfirmed,
            Kind::SecondFactorRemoved,
            Kind::SecondFactorReset,
            Kind::RoleGiven,
        ];
        for (_, _, mail) in every_message().filter(|(kind, ..)| alerts.contains(kind)) {
            for part in [&mail.text, &mail.html] {
                assert!(part.contains("2027-01-15 08:30 UTC"), "{part}");
            }
        }
    }

    #[test]
    fn every_role_of_the_staff_has_a_name_in_every_language() {
        for locale in Locale::ALL {
            let mut names = BTreeSet::new();
            for role in Role::ALL.into_iter().filter(|role| *role != Role::Student) {
                let role = role.name();
                let (department, happened_at) = (None, testkit::now());
                let given = Content::RoleGiven { role: role.into(), department, happened_at };
                let mail = rendered(&given, locale);
                assert!(!mail.text.contains('_'), "{role} in {locale:?}: {}", mail.text);
                assert!(!mail.text.contains("None") && !mail.html.contains("None"));
                names.insert(mail.text);
            }
            assert_eq!(names.len(), Role::ALL.len() - 1, "{locale:?}");
            let mail = rendered(&content(Kind::RoleGiven), locale);
            assert!(mail.text.contains("MATH") && mail.html.contains("MATH"));
        }
    }

    #[test]
    fn a_link_stands_in_the_body_and_never_in_the_subject() {
        let links = [Kind::ResetPassword, Kind::Invitation];
        for (kind, _, mail) in every_message().filter(|(kind, ..)| links.contains(kind)) {
            assert!(mail.text.contains(SENDING.link), "{kind:?}");
            assert!(mail.html.contains("matricula.example&#x2f;page#token=0f\""), "{}", mail.html);
            assert!(!mail.subject.contains("token"));
        }
    }

    #[test]
    fn every_reason_of_a_release_has_a_sentence_of_its_own() {
        let reasons = [
            ReleaseReason::ApprovalRejected,
            ReleaseReason::ApprovalTimedOut,
            ReleaseReason::ChargeRefused,
            ReleaseReason::PaymentTimedOut,
            ReleaseReason::StudentCancelled,
            ReleaseReason::SectionCancelled,
            ReleaseReason::SagaFailed,
        ];
        for locale in Locale::ALL {
            let mut said = BTreeSet::new();
            for reason in reasons.map(Some).into_iter().chain([None]) {
                let Content::Released { given_name, term_code, items, .. } =
                    content(Kind::Released)
                else {
                    panic!("a released message")
                };
                let released = Content::Released { given_name, term_code, items, reason };
                let mail = rendered(&released, locale);
                assert!(said.insert(mail.text), "{reason:?} {locale:?}");
                assert!(said.insert(mail.html), "{reason:?} {locale:?}");
            }
        }
    }

    #[test]
    fn whoever_stood_in_line_is_told_what_became_of_it_and_until_when() {
        let states = [
            WaitlistState::Offered,
            WaitlistState::Registered,
            WaitlistState::OfferExpired,
            WaitlistState::Closed,
        ];
        for locale in Locale::ALL {
            let mut said = BTreeSet::new();
            for state in states {
                let Content::Waitlist { given_name, term_code, items, .. } =
                    content(Kind::Waitlist)
                else {
                    panic!("a message about a waitlist")
                };
                let is_offered = state == WaitlistState::Offered;
                let offered_until = is_offered.then(testkit::now);
                let waitlist =
                    Content::Waitlist { given_name, term_code, items, state, offered_until };
                let mail = rendered(&waitlist, locale);
                assert_eq!(mail.text.contains("2027-01-15 08:30 UTC"), is_offered);
                for part in [mail.subject, mail.text, mail.html] {
                    assert!(said.insert(part), "{state:?} {locale:?}");
                }
            }
        }
    }

    #[test]
    fn the_day_of_a_broken_prerequisite_is_named_where_there_is_one() {
        for locale in Locale::ALL {
            for drop_on in [None, Some("2027-01-30".parse().expect("a date"))] {
                let Content::PrerequisiteBroken { given_name, term_code, items, missing, .. } =
                    content(Kind::PrerequisiteBroken)
                else {
                    panic!("a message about a prerequisite")
                };
                let broken =
                    Content::PrerequisiteBroken { given_name, term_code, items, missing, drop_on };
                let mail = rendered(&broken, locale);
                assert_eq!(mail.text.contains("2027-01-30"), drop_on.is_some());
                assert!(mail.text.contains("course(MATH100, C)"));
                assert!(!mail.text.contains("\n\n\n"), "{}", mail.text);
            }
        }
    }

    #[test]
    fn who_loses_a_section_because_it_is_cancelled_is_not_told_that_they_dropped_it() {
        for locale in Locale::ALL {
            let reasons = [
                DropReason::StudentDropped,
                DropReason::SectionCancelled,
                DropReason::PrerequisiteBroken,
            ];
            let mails = reasons.map(|reason| {
                let Content::Dropped { given_name, term_code, items, .. } = content(Kind::Dropped)
                else {
                    panic!("a dropped message")
                };
                rendered(&Content::Dropped { given_name, term_code, items, reason }, locale)
            });
            assert_ne!(mails[0].subject, mails[1].subject, "{locale:?}");
            assert!(mails[1].subject.contains("2027S") && !mails[1].subject.contains('{'));
            assert_ne!(mails[0].text, mails[1].text, "{locale:?}");
            assert_ne!(mails[0].html, mails[1].html, "{locale:?}");
            assert_ne!(mails[1].subject, mails[2].subject, "{locale:?}");
            assert_ne!(mails[1].text, mails[2].text, "{locale:?}");
            assert_ne!(mails[1].html, mails[2].html, "{locale:?}");
        }
    }

    #[test]
    fn who_is_overdue_reads_what_is_done_about_it_and_nothing_of_it_in_the_subject() {
        for locale in Locale::ALL {
            let mut said = BTreeSet::new();
            for measure in [DunningMeasure::Reminder, DunningMeasure::LateFee, DunningMeasure::Hold]
            {
                let Content::PaymentOverdue { given_name, term_code, due, overdue, fee, .. } =
                    content(Kind::PaymentOverdue)
                else {
                    panic!("a message of what is overdue")
                };
                let fee = fee.filter(|_| measure == DunningMeasure::LateFee);
                let content =
                    Content::PaymentOverdue { given_name, term_code, measure, due, overdue, fee };
                let mail = rendered(&content, locale);
                for part in [&mail.text, &mail.html] {
                    assert!(part.contains("150000 XAF") && part.contains("2027-01-22"), "{part}");
                    assert_eq!(part.contains("5000 XAF."), measure == DunningMeasure::LateFee);
                }
                assert!(!mail.subject.contains("XAF"), "a balance in a subject");
                assert!(said.insert(mail.text), "{measure:?} {locale:?}");
            }
        }
    }

    #[test]
    fn a_message_in_plain_text_reads_like_this() {
        let expected = "\
Hello Ada <b>,

You are registered for the term 2027S:

- MATH101-A  Calculus I
- HIST200-B  Peace & War

You find your registrations and your invoice in the portal:
https://portal.matricula.example

Matricula writes to this address because it is the one in your profile.
";
        assert_eq!(
            format!("{}\n", rendered(&content(Kind::Registered), Locale::En).text),
            expected
        );
    }
}
