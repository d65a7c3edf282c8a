//! One row of a table of people, field by field.

use std::borrow::Cow;

use kernel::{Date, Email};
use serde::Serialize;
use shell::Role;

use crate::oneroster::Problem;
use crate::oneroster::parse::code;
use crate::oneroster::rows::Row;

const ID_MAX: usize = 255;
const NAME_MAX: usize = 100;
const NUMBER_MAX: usize = 64;
const PRONOUNS_MAX: usize = 40;
const EXTERNAL_IDS_MAX: usize = 32;

/// The columns that a table must have, and those that it may have.
pub const COLUMNS: (&[&str], &[&str]) = (
    &["given_name", "family_name"],
    &[
        "source_id",
        "preferred_given_name",
        "preferred_family_name",
        "birth_date",
        "pronouns",
        "email",
        "student_number",
        "staff_number",
        "roles",
        "department",
        "external_ids",
    ],
);

/// A row in the words of whoever applies it.
#[derive(Serialize)]
pub struct PersonRow<'a> {
    row: u64,
    pub source: Cow<'a, str>,
    given_name: &'a str,
    family_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_name: Option<Name<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pronouns: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub student_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_number: Option<&'a str>,
    roles: Vec<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<String>,
    external_ids: Vec<&'a str>,
}

#[derive(Serialize)]
struct Name<'a> {
    given: &'a str,
    family: &'a str,
}

pub fn person<'a>(row: &mut Row<'a>) -> Option<PersonRow<'a>> {
    let given_name = row.required("given_name", NAME_MAX);
    let family_name = row.required("family_name", NAME_MAX);
    let preferred_name = preferred_name(row, given_name, family_name);
    let birth_date = row.optional_date("birth_date");
    let pronouns = row.optional("pronouns", PRONOUNS_MAX);
    let email =
        row.parsed("email", Problem::EmailWrong, "name@example.edu", |text| text.parse().ok());
    let student_number = row.optional("student_number", NUMBER_MAX);
    let staff_number = row.optional("staff_number", NUMBER_MAX);
    let source = source(row, student_number, staff_number);
    let roles = row.parsed("roles", Problem::NotOneOf, "student, teacher", roles);
    let department = row.optional("department", NAME_MAX);
    let department = department.and_then(|text| code(row, "department", text));
    let external_ids = external_ids(row);
    row.is_ok().then_some(PersonRow {
        row: row.number(),
        source: source?,
        given_name: given_name?,
        family_name: family_name?,
        preferred_name,
        birth_date,
        pronouns,
        email,
        student_number,
        staff_number,
        roles: roles.unwrap_or_default(),
        department,
        external_ids,
    })
}

/// The half of it that is left out is that of the legal name.
fn preferred_name<'a>(
    row: &mut Row<'a>,
    given_name: Option<&'a str>,
    family_name: Option<&'a str>,
) -> Option<Name<'a>> {
    let given = row.optional("preferred_given_name", NAME_MAX);
    let family = row.optional("preferred_family_name", NAME_MAX);
    given.or(family)?;
    Some(Name { given: given.or(given_name)?, family: family.or(family_name)? })
}

/// What the register calls them, from which our own id follows; where it has nothing but numbers, the number.
fn source<'a>(
    row: &mut Row<'a>,
    student_number: Option<&str>,
    staff_number: Option<&str>,
) -> Option<Cow<'a, str>> {
    if let Some(source) = row.optional("source_id", ID_MAX) {
        return Some(source.into());
    }
    let numbers = [("student-number", student_number), ("staff-number", staff_number)];
    let number = numbers.into_iter().find_map(|(kind, number)| Some((kind, number?)));
    let Some((kind, number)) = number else {
        row.error("source_id", Problem::ValueRequired, "");
        return None;
    };
    Some(format!("{kind}:{}", number.to_lowercase()).into())
}

fn roles(text: &str) -> Option<Vec<Role>> {
    let words = text.split([' ', ',', ';']).map(str::trim).filter(|word| !word.is_empty());
    let role = |word: &str| match word.to_lowercase().as_str() {
        "student" => Some(Role::Student),
        "teacher" => Some(Role::Teacher),
        _ => None,
    };
    words.map(role).collect()
}

/// `moodle:academics:17 other:library:u1`, with blanks between them.
fn external_ids<'a>(row: &mut Row<'a>) -> Vec<&'a str> {
    const CHARACTERS_MAX: usize = 4_000;
    let text = row.optional("external_ids", CHARACTERS_MAX).unwrap_or_default();
    let ids: Vec<&str> = text.split_whitespace().collect();
    let is_id = |id: &&str| !id.starts_with(':') && !id.ends_with(':') && id.contains(':');
    if !ids.iter().all(is_id) || ids.len() > EXTERNAL_IDS_MAX {
        row.error("external_ids", Problem::ExternalIdWrong, "moodle:academics:17");
    }
    ids
}
