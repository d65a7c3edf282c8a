//! What identity notes in the audit trail. Each person has a chain, each service client and each sign-in provider too;
//! what lies in it is told with its values in full.

use std::collections::BTreeSet;

use kernel::{AccountId, PersonId, PersonName};
use table::Noted;

use crate::domain::{
    Client, ClientSecret, ExternalId, Person, Provider, ProviderCode, RoleAssignment, SecondFactor,
    Session, SessionsEnd, Validity,
};

/// A profile that has come to be, or has changed.
pub fn profile(old: Option<&Person>, new: &Person) -> Noted {
    let noted = names(Noted::change("profile"), old, new);
    let email = |person: &Person| person.email.as_ref().map(|email| email.as_str().to_owned());
    let other_emails =
        |person: &Person| listed(person.other_emails.iter().map(|email| email.as_str().to_owned()));
    let language = |person: &Person| format!("{:?}", person.locale).to_lowercase();
    let pronouns = |person: &Person| person.pronouns.clone();
    let student_number = |person: &Person| person.student_number.clone();
    let staff_number = |person: &Person| person.staff_number.clone();
    let external_ids = |person: &Person| {
        let shown = |id: &ExternalId| format!("{}:{} ({})", id.system, id.value, id.kind);
        listed(person.external_ids.iter().map(shown))
    };
    noted
        .field("birth_date", old.and_then(|old| old.birth_date), new.birth_date)
        .field("pronouns", old.and_then(pronouns), pronouns(new))
        .field("email", old.and_then(email), email(new))
        .field("other_emails", old.and_then(other_emails), other_emails(new))
        .field("locale", old.map(language), Some(language(new)))
        .field("student_number", old.and_then(student_number), student_number(new))
        .field("staff_number", old.and_then(staff_number), staff_number(new))
        .field("external_ids", old.and_then(external_ids), external_ids(new))
        .field("account", old.and_then(|old| old.account), new.account)
        .field(
            "directory_opt_out",
            old.and_then(|old| old.directory_opt_out),
            new.directory_opt_out,
        )
}

/// The legal name that holds, all of them where it has ever changed, and the preferred one.
fn names(noted: Noted, old: Option<&Person>, new: &Person) -> Noted {
    let given = |person: &Person| person.name.given.clone();
    let family = |person: &Person| person.name.family.clone();
    let legal_names = |person: &Person| {
        listed(person.legal_names.iter().map(|one| match one.valid_from {
            Some(from) => format!("{} from {from}", one.name.full()),
            None => one.name.full(),
        }))
    };
    let preferred_name = |person: &Person| person.preferred_name.as_ref().map(PersonName::full);
    noted
        .field("given_name", old.map(given), Some(given(new)))
        .field("family_name", old.map(family), Some(family(new)))
        .field("legal_names", old.and_then(legal_names), legal_names(new))
        .field("preferred_name", old.and_then(preferred_name), preferred_name(new))
}

/// One text of several; none of none.
fn listed(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<_> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// A role that a person holds from now on.
pub fn assigned(role: &RoleAssignment) -> Noted {
    let Validity { valid_from, valid_to } = role.validity;
    Noted::change(format!("role/{}", role.id))
        .field("role", None, Some(role.role.name()))
        .field("department", None, role.department.as_deref())
        .field("valid_from", None, valid_from)
        .field("valid_to", None, valid_to)
}

/// A role that a person holds for another time from now on.
pub fn redated(before: &RoleAssignment, now: &RoleAssignment) -> Noted {
    let (old, new) = (before.validity, now.validity);
    Noted::change(format!("role/{}", now.id))
        .field("valid_from", old.valid_from, new.valid_from)
        .field("valid_to", old.valid_to, new.valid_to)
}

/// A role that has begun by its date.
pub fn begun(role: &RoleAssignment) -> Noted {
    let Validity { valid_from, .. } = role.validity;
    Noted::change(format!("role/{}", role.id)).field("begun_at", None, valid_from)
}

/// A role that a person holds no longer.
pub fn ended(role: &RoleAssignment) -> Noted {
    Noted::change(format!("role/{}", role.id))
        .field("role", Some(role.role.name()), None)
        .field("department", role.department.as_deref(), None)
        .field("valid_to", None, role.validity.valid_to)
}

/// Roles that came with something else, such as an import.
pub fn with_roles<'a>(noted: Noted, roles: impl IntoIterator<Item = &'a RoleAssignment>) -> Noted {
    roles.into_iter().fold(noted, |noted, role| {
        let department = role.department.as_ref().map(|department| format!(" in {department}"));
        let text = format!("{}{}", role.role.name(), department.unwrap_or_default());
        noted.field("role", None, Some(text))
    })
}

/// A service client that has come to be, or has changed. Of its secrets the trail has the ids.
pub fn client(old: Option<&Client>, new: &Client) -> Noted {
    let name = |client: &Client| client.settings.name.clone();
    let scopes =
        |client: &Client| listed(client.settings.scopes.iter().map(|scope| scope.name().into()));
    let secrets = |client: &Client| {
        let secret = |ClientSecret { id, ends_at, .. }: &ClientSecret| match ends_at {
            Some(at) => format!("{id} until {at}"),
            None => id.to_string(),
        };
        listed(client.secrets.iter().map(secret))
    };
    Noted::change("service-client")
        .field("name", old.map(name), Some(name(new)))
        .field("scopes", old.and_then(scopes), scopes(new))
        .field("expires_at", old.map(|old| old.settings.expires_at), Some(new.settings.expires_at))
        .field("secrets", old.and_then(secrets), secrets(new))
        .field("ended_at", old.and_then(|old| old.ended_at), new.ended_at)
}

/// The chain of a sign-in provider.
pub fn chain_of_provider(code: &ProviderCode) -> String {
    format!("provider:{}", code.0)
}

/// A sign-in provider that is agreed upon, or described anew.
pub fn provider(old: Option<&Provider>, new: &Provider) -> Noted {
    let before = old.map(|old| &old.settings);
    Noted::change("sign-in-provider").fields_of(before, &new.settings)
}

/// A password that somebody has chosen in the place of another one. Of the passwords themselves nothing is noted.
pub fn password(account: AccountId) -> Noted {
    Noted::change(format!("password/{account}"))
}

/// A second factor that counts from now on, or no more.
pub fn second_factor(old: &SecondFactor, new: Option<&SecondFactor>) -> Noted {
    Noted::change(format!("second-factor/{}", old.account))
        .field("enrolled_at", Some(old.enrolled_at), new.map(|new| new.enrolled_at))
        .field("confirmed_at", old.confirmed_at, new.and_then(|new| new.confirmed_at))
}

/// People whom somebody sees in a list.
pub fn listed_people(people: &BTreeSet<PersonId>) -> Noted {
    Noted::read("people").field("listed", None, listed(people.iter().map(PersonId::to_string)))
}

/// A session that is ended by itself.
pub fn ended_session(session: &Session) -> Noted {
    Noted::change(format!("session/{}", session.id)).field("ended_at", None, session.ended_at)
}

/// The end of every session of a person, perhaps but one.
pub fn ended_sessions(end: &SessionsEnd) -> Noted {
    Noted::change("sessions").field("ended_at", None, Some(end.at)).field("kept", None, end.kept)
}
