//! One row of each file, field by field; what refers to other rows is checked by whoever knows them.

use jiff::civil::Time;
use kernel::{Date, Email, Meeting, Timestamp, Weekday};
use serde::Serialize;

use super::File;
use super::encoding::unaccented;
use super::report::Problem;
use super::rows::Row;
use crate::people_file;

const SOURCED_ID_MAX: usize = 255;
const TITLE_MAX: usize = 200;
const NAME_MAX: usize = 100;
const CODE_MAX: usize = 40;
const MEETINGS_MAX: usize = 20;

/// The columns that a file must have, and those of ours that it may have.
pub fn columns(file: File) -> (&'static [&'static str], &'static [&'static str]) {
    match file {
        File::Manifest => (&["propertyName", "value"], &[]),
        File::Orgs => (&["sourcedId", "name", "type"], &[]),
        File::AcademicSessions => (
            &["sourcedId", "title", "type", "startDate", "endDate"],
            &[
                "metadata.matricula.code",
                "metadata.matricula.registrationOpensAt",
                "metadata.matricula.registrationClosesAt",
            ],
        ),
        File::Courses => {
            (&["sourcedId", "title", "courseCode", "orgSourcedId"], &["metadata.matricula.credits"])
        }
        File::Users => (&["sourcedId", "givenName", "familyName"], &[]),
        File::Roles => (&["sourcedId", "userSourcedId", "role", "orgSourcedId"], &[]),
        File::Classes => (
            &["sourcedId", "courseSourcedId", "classCode", "termSourcedIds"],
            &[
                "metadata.matricula.capacity",
                "metadata.matricula.priceGroup",
                "metadata.matricula.approvalRequired",
                "metadata.matricula.meetings",
            ],
        ),
        File::Enrollments => (
            &["sourcedId", "classSourcedId", "userSourcedId", "role"],
            &[GRADE, GRADE_SCALE, PASSED, CREDITS_EARNED],
        ),
        File::PeopleCsv | File::PeopleXlsx => people_file::COLUMNS,
    }
}

pub struct Org<'a> {
    pub source: &'a str,
    /// The code of a department; other organisations have none.
    pub department: Option<String>,
}

pub fn org<'a>(row: &mut Row<'a>) -> Option<Org<'a>> {
    const TYPES: [&str; 6] = ["department", "school", "district", "local", "state", "national"];
    let source = source(row);
    let kind = row.one_of("type", &TYPES);
    let name = row.required("name", TITLE_MAX);
    let department = if kind == Some("department") {
        let identifier = row.optional("identifier", CODE_MAX);
        let column = if identifier.is_some() { "identifier" } else { "name" };
        identifier.or(name).and_then(|text| code(row, column, text))
    } else {
        None
    };
    row.is_ok().then_some(Org { source: source?, department })
}

pub struct Session<'a> {
    pub source: &'a str,
    /// A term or semester; school years and grading periods are no terms of ours.
    pub is_term: bool,
    pub kind: &'static str,
    pub title: &'a str,
    pub code: String,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

pub fn session<'a>(row: &mut Row<'a>) -> Option<Session<'a>> {
    const TYPES: [&str; 4] = ["term", "semester", "schoolYear", "gradingPeriod"];
    let source = source(row);
    let kind = row.one_of("type", &TYPES);
    let title = row.required("title", TITLE_MAX);
    let (first_day, last_day) = (row.date("startDate"), row.date("endDate"));
    let given = row.optional("metadata.matricula.code", CODE_MAX);
    let column = if given.is_some() { "metadata.matricula.code" } else { "title" };
    let code = given.or(title).and_then(|text| code(row, column, text));
    let opens = row.timestamp("metadata.matricula.registrationOpensAt");
    let closes = row.timestamp("metadata.matricula.registrationClosesAt");
    if !row.is_ok() {
        return None;
    }
    let (first_day, last_day) = (first_day?, last_day?);
    let registration_opens_at = opens.or_else(|| midnight(first_day, -30))?;
    let registration_closes_at = closes.or_else(|| midnight(first_day, 14))?;
    if last_day < first_day {
        row.error("endDate", Problem::DatesBackwards, "");
    }
    if registration_closes_at <= registration_opens_at {
        row.error("metadata.matricula.registrationClosesAt", Problem::DatesBackwards, "");
    }
    row.is_ok().then_some(Session {
        source: source?,
        is_term: matches!(kind?, "term" | "semester"),
        kind: kind?,
        title: title?,
        code: code?,
        first_day,
        last_day,
        registration_opens_at,
        registration_closes_at,
    })
}

/// The beginning of the day so many days after `day`, in UTC.
fn midnight(day: Date, days: i64) -> Option<Timestamp> {
    let day = day.checked_add(jiff::Span::new().days(days)).ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

pub struct Course<'a> {
    pub source: &'a str,
    pub code: String,
    pub title: &'a str,
    pub credits_hundredths: u32,
    pub org: Option<&'a str>,
}

pub fn course<'a>(row: &mut Row<'a>) -> Option<Course<'a>> {
    const CREDITS_DEFAULT: u32 = 600;
    let source = source(row);
    let title = row.required("title", TITLE_MAX);
    let text = row.required("courseCode", TITLE_MAX);
    let code = text.and_then(|text| code(row, "courseCode", text));
    let credits =
        row.parsed("metadata.matricula.credits", Problem::NumberWrong, "0.00 - 100.00", hundredths);
    let org = row.optional("orgSourcedId", SOURCED_ID_MAX);
    row.is_ok().then_some(Course {
        source: source?,
        code: code?,
        title: title?,
        credits_hundredths: credits.unwrap_or(CREDITS_DEFAULT),
        org,
    })
}

/// `4.5` as 450, at most 100 credits.
fn hundredths(text: &str) -> Option<u32> {
    const MAX: u32 = 10_000;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<2}").parse().ok()?;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(100)?
        .checked_add(decimals)
        .filter(|credits| *credits <= MAX)
}

pub struct User<'a> {
    pub source: &'a str,
    pub given_name: &'a str,
    pub family_name: &'a str,
    pub identifier: Option<&'a str>,
    pub email: Option<Email>,
}

pub fn user<'a>(row: &mut Row<'a>) -> Option<User<'a>> {
    let source = source(row);
    let given_name = row.required("givenName", NAME_MAX);
    let family_name = row.required("familyName", NAME_MAX);
    let identifier = row.optional("identifier", CODE_MAX);
    let email =
        row.parsed("email", Problem::EmailWrong, "name@example.edu", |text| text.parse().ok());
    row.is_ok().then_some(User {
        source: source?,
        given_name: given_name?,
        family_name: family_name?,
        identifier,
        email,
    })
}

pub struct Role<'a> {
    pub source: &'a str,
    pub user: &'a str,
    pub name: &'static str,
    pub org: Option<&'a str>,
}

pub fn role<'a>(row: &mut Row<'a>) -> Option<Role<'a>> {
    const ROLES: [&str; 12] = [
        "student",
        "teacher",
        "aide",
        "counselor",
        "districtAdministrator",
        "guardian",
        "parent",
        "principal",
        "proctor",
        "relative",
        "siteAdministrator",
        "systemAdministrator",
    ];
    let source = source(row);
    let user = row.required("userSourcedId", SOURCED_ID_MAX);
    let name = row.one_of("role", &ROLES);
    let org = row.optional("orgSourcedId", SOURCED_ID_MAX);
    row.is_ok().then_some(Role { source: source?, user: user?, name: name?, org })
}

pub struct Class<'a> {
    pub source: &'a str,
    pub code: String,
    pub course: &'a str,
    /// One or several, as the file gives them.
    pub terms: &'a str,
    pub capacity: u32,
    pub price_group: &'a str,
    pub approval_required: bool,
    pub meetings: Vec<WeeklyMeeting>,
}

pub fn class<'a>(row: &mut Row<'a>) -> Option<Class<'a>> {
    const CAPACITY_DEFAULT: u32 = 30;
    const CAPACITY_MAX: u32 = 100_000;
    const PRICE_GROUP_DEFAULT: &str = "standard";
    const TERMS_LENGTH_MAX: usize = 2_000;
    let source = source(row);
    let course = row.required("courseSourcedId", SOURCED_ID_MAX);
    let text = row.required("classCode", TITLE_MAX);
    let code = text.and_then(|text| code(row, "classCode", text));
    let terms = row.required("termSourcedIds", TERMS_LENGTH_MAX);
    let number = |text: &str| text.parse().ok().filter(|capacity| *capacity <= CAPACITY_MAX);
    let capacity =
        row.parsed("metadata.matricula.capacity", Problem::NumberWrong, "0 - 100000", number);
    let price_group = row.optional("metadata.matricula.priceGroup", CODE_MAX);
    let flag = |text: &str| text.parse().ok();
    let approval =
        row.parsed("metadata.matricula.approvalRequired", Problem::NotOneOf, "true, false", flag);
    let form = "MO WE 09:00-10:30;FR 08:00-09:00";
    let meetings =
        row.parsed("metadata.matricula.meetings", Problem::MeetingsWrong, form, meetings);
    row.is_ok().then_some(Class {
        source: source?,
        code: code?,
        course: course?,
        terms: terms?,
        capacity: capacity.unwrap_or(CAPACITY_DEFAULT),
        price_group: price_group.unwrap_or(PRICE_GROUP_DEFAULT),
        approval_required: approval.unwrap_or(false),
        meetings: meetings.unwrap_or_default(),
    })
}

pub struct Enrollment<'a> {
    pub source: &'a str,
    pub class: &'a str,
    pub user: &'a str,
    pub role: &'static str,
    pub grade: Option<FinalGrade<'a>>,
}

/// The last word on a student in a class that is over.
#[derive(Serialize)]
pub struct FinalGrade<'a> {
    pub grade: &'a str,
    /// The grades of its scheme from the worst to the best.
    pub scale: Vec<&'a str>,
    pub passed: bool,
    /// Those of the class, where it was passed and the file says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits_earned_hundredths: Option<u32>,
}

const GRADE: &str = "metadata.matricula.grade";
const GRADE_SCALE: &str = "metadata.matricula.gradeScale";
const PASSED: &str = "metadata.matricula.passed";
const CREDITS_EARNED: &str = "metadata.matricula.creditsEarned";

fn final_grade<'a>(row: &mut Row<'a>) -> Option<FinalGrade<'a>> {
    const GRADE_MAX: usize = 20;
    const SCALE_MAX: usize = 400;
    let others = [GRADE_SCALE, PASSED, CREDITS_EARNED];
    let Some(grade) = row.optional(GRADE, GRADE_MAX) else {
        if others.iter().any(|column| row.optional(column, SCALE_MAX).is_some()) {
            row.error(GRADE, Problem::ValueRequired, "");
        }
        return None;
    };
    let text = row.required(GRADE_SCALE, SCALE_MAX);
    let scale: Vec<&str> = text.into_iter().flat_map(str::split_whitespace).collect();
    if text.is_some() && !scale.contains(&grade) {
        row.error(GRADE, Problem::NotOneOf, &scale.join(", "));
    }
    let passed = row.one_of(PASSED, &["true", "false"]);
    let credits_earned_hundredths =
        row.parsed(CREDITS_EARNED, Problem::NumberWrong, "0.00 - 100.00", hundredths);
    Some(FinalGrade { grade, scale, passed: passed? == "true", credits_earned_hundredths })
}

pub fn enrollment<'a>(row: &mut Row<'a>) -> Option<Enrollment<'a>> {
    const ROLES: [&str; 4] = ["student", "teacher", "proctor", "administrator"];
    let source = source(row);
    let class = row.required("classSourcedId", SOURCED_ID_MAX);
    let user = row.required("userSourcedId", SOURCED_ID_MAX);
    let role = row.one_of("role", &ROLES);
    let grade = final_grade(row);
    row.is_ok().then_some(Enrollment {
        source: source?,
        class: class?,
        user: user?,
        role: role?,
        grade,
    })
}

/// The row's own id. In a bulk file nothing is to be deleted.
fn source<'a>(row: &mut Row<'a>) -> Option<&'a str> {
    row.parsed("status", Problem::NotOneOf, "active", |text| (text == "active").then_some(()));
    row.required("sourcedId", SOURCED_ID_MAX)
}

/// The code as the catalog writes them: upper case letters, digits, dots and dashes. Accents and blanks are mended;
/// what is neither is wrong.
pub fn code(row: &mut Row<'_>, column: &str, text: &str) -> Option<String> {
    let code: String = text
        .to_uppercase()
        .chars()
        .map(|character| if character.is_whitespace() { '-' } else { unaccented(character) })
        .collect();
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let is_code = code.len() <= CODE_MAX
        && code.chars().all(allowed)
        && code.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if !is_code {
        row.error(column, Problem::CodeWrong, "A-Z 0-9 . -");
    }
    is_code.then_some(code)
}

/// When a class meets every week; the days that it lasts are its term's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyMeeting {
    weekdays: Vec<Weekday>,
    starts_at: Time,
    ends_at: Time,
}

impl WeeklyMeeting {
    pub fn during(&self, first_day: Date, last_day: Date) -> Meeting {
        let Self { weekdays, starts_at, ends_at } = self.clone();
        Meeting::weekly(weekdays, (starts_at, ends_at), (first_day, last_day))
    }
}

/// `MO WE 09:00-10:30;FR 08:00-09:00`: each ends after it begins, and none clashes with another.
fn meetings(text: &str) -> Option<Vec<WeeklyMeeting>> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let meetings = parts.map(meeting).collect::<Option<Vec<_>>>()?;
    // A week has every weekday.
    let week = (jiff::civil::date(2027, 1, 1), jiff::civil::date(2027, 1, 7));
    let dated: Vec<Meeting> = meetings.iter().map(|each| each.during(week.0, week.1)).collect();
    let clash = dated
        .iter()
        .enumerate()
        .any(|(at, each)| dated[..at].iter().any(|earlier| earlier.clashes_with(each)));
    (meetings.len() <= MEETINGS_MAX && !clash).then_some(meetings)
}

fn meeting(text: &str) -> Option<WeeklyMeeting> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let (starts_at, ends_at) = words.pop()?.split_once('-')?;
    let time = |text: &str| (text.len() == 5).then(|| text.parse::<Time>().ok()).flatten();
    let (starts_at, ends_at) = (time(starts_at)?, time(ends_at)?);
    let mut weekdays = words.into_iter().map(weekday).collect::<Option<Vec<_>>>()?;
    weekdays.sort();
    weekdays.dedup();
    (!weekdays.is_empty() && starts_at < ends_at).then_some(WeeklyMeeting {
        weekdays,
        starts_at,
        ends_at,
    })
}

/// As iCalendar writes them (RFC 5545).
fn weekday(text: &str) -> Option<Weekday> {
    match text {
        "MO" => Some(Weekday::Monday),
        "TU" => Some(Weekday::Tuesday),
        "WE" => Some(Weekday::Wednesday),
        "TH" => Some(Weekday::Thursday),
        "FR" => Some(Weekday::Friday),
        "SA" => Some(Weekday::Saturday),
        "SU" => Some(Weekday::Sunday),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_are_read_to_the_hundredth() {
        for (text, credits) in
            [("6", 600), ("6.00", 600), ("4.5", 450), ("0.05", 5), ("100", 10_000)]
        {
            assert_eq!(hundredths(text), Some(credits), "{text}");
        }
        for wrong in ["", ".5", "5.", "-1", "1e3", "6.001", "100.01", "99999999999", "six", "1,5"] {
            assert_eq!(hundredths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn meetings_are_read_as_weeks() {
        let read = meetings("MO WE 09:00-10:30; FR 08:00-09:00").expect("two meetings");
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].weekdays, [Weekday::Monday, Weekday::Wednesday]);
        for wrong in [
            "09:00-10:00",
            "MO",
            "MO 10:00-09:00",
            "XX 09:00-10:00",
            "MO 9:00-10:00",
            "MO 09:00-10:30;MO 10:00-11:00",
        ] {
            assert_eq!(meetings(wrong), None, "{wrong}");
        }
    }
}
