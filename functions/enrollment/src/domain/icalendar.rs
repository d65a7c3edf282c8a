//! Calendars as RFC 5545 writes them: content lines, folded, with escaped texts; and a time zone, as long as it is
//! needed. Written here, since the crates that write calendars bring another library of time with zones of its own, and
//! one of them stamps zones with the time of the day. Tests read what is written with a parser that is not ours.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use kernel::Timestamp;

/// The most octets of a line, without its end (section 3.1).
const LINE_MAX: usize = 75;

#[derive(Debug, Default)]
pub struct Lines(String);

impl Lines {
    /// A property whose value stands as it is.
    pub fn value(&mut self, name: &str, value: &str) {
        let mut length = 0;
        for letter in name.chars().chain([':']).chain(value.chars()) {
            if length + letter.len_utf8() > LINE_MAX {
                self.0.push_str("\r\n ");
                length = 1;
            }
            self.0.push(letter);
            length += letter.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// A property whose value is a text (section 3.3.11). Of what controls a device only the end of a line is kept.
    pub fn text(&mut self, name: &str, text: &str) {
        let mut escaped = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '\\' | ';' | ',' => escaped.extend(['\\', letter]),
                '\n' => escaped.push_str("\\n"),
                letter if letter.is_control() => {}
                letter => escaped.push(letter),
            }
        }
        self.value(name, &escaped);
    }

    pub fn component(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.value("BEGIN", name);
        write(self);
        self.value("END", name);
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

/// As the clock on the wall shows it.
pub fn local(at: DateTime) -> String {
    at.strftime("%Y%m%dT%H%M%S").to_string()
}

pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// From when on a zone has an offset.
struct Observance {
    begins: DateTime,
    before: Offset,
    offset: Offset,
    name: String,
    is_dst: bool,
}

/// Times of which zones are not written: they had offsets then that few programs read.
const ZONES_FROM: Timestamp = Timestamp::UNIX_EPOCH;
/// Changes of the clocks that are written: 25 years of them.
const CHANGES_MAX: usize = 50;

/// Every offset that the zone has in this time, under the zone's name.
pub fn write_zone(lines: &mut Lines, zone: &TimeZone, (from, until): (Timestamp, Timestamp)) {
    let mut observances = vec![first_observance(zone, from)];
    let following = zone.following(from).take(CHANGES_MAX);
    for change in following.take_while(|change| change.timestamp() <= until) {
        let before = observances[observances.len() - 1].offset;
        observances.push(Observance {
            begins: before.to_datetime(change.timestamp()),
            before,
            offset: change.offset(),
            name: change.abbreviation().to_owned(),
            is_dst: change.dst().is_dst(),
        });
    }
    lines.component("VTIMEZONE", |lines| {
        lines.text("TZID", zone_name(zone));
        for observance in &observances {
            let kind = if observance.is_dst { "DAYLIGHT" } else { "STANDARD" };
            lines.component(kind, |lines| {
                lines.value("DTSTART", &local(observance.begins));
                lines.value("TZOFFSETFROM", &offset(observance.before));
                lines.value("TZOFFSETTO", &offset(observance.offset));
                lines.text("TZNAME", &observance.name);
            });
        }
    });
}

/// The one that holds already.
fn first_observance(zone: &TimeZone, from: Timestamp) -> Observance {
    let now = zone.to_offset_info(from);
    let (offset, is_dst) = (now.offset(), now.dst().is_dst());
    let name = now.abbreviation().to_owned();
    let change = zone.preceding(from).next().map(|change| change.timestamp());
    let change = change.filter(|change| *change > ZONES_FROM);
    let second = SignedDuration::from_secs(1);
    let change = change.and_then(|change| Some((change, change.checked_sub(second).ok()?)));
    let (begins, before) = change.map_or_else(
        || (offset.to_datetime(ZONES_FROM), offset),
        |(change, before)| {
            let before = zone.to_offset(before);
            (before.to_datetime(change), before)
        },
    );
    Observance { begins, before, offset, name, is_dst }
}

/// By which a zone is known everywhere.
pub fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

fn offset(offset: Offset) -> String {
    let sign = if offset.seconds() < 0 { '-' } else { '+' };
    let seconds = offset.seconds().unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let seconds = if seconds == 0 { String::new() } else { format!("{seconds:02}") };
    format!("{sign}{hours:02}{minutes:02}{seconds}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Lines)) -> String {
        let mut lines = Lines::default();
        write(&mut lines);
        lines.into_text()
    }

    #[test]
    fn lines_are_folded_at_75_octets_between_letters() {
        let text = "Théorie des catégories et 圏論, ".repeat(12);
        let written = written(|lines| lines.text("SUMMARY", &text));
        let lines: Vec<&str> = written.trim_end().split("\r\n").collect();
        assert!(lines.len() > 3);
        for line in &lines {
            assert!(line.len() <= 75, "{} octets", line.len());
        }
        assert!(lines[0].len() > 70, "a line is filled");
        let unfolded = written.replace("\r\n ", "");
        assert_eq!(unfolded, format!("SUMMARY:{}\r\n", text.replace(',', "\\,")));
        let exact = "x".repeat(75 - "SUMMARY:".len());
        assert_eq!(written_text(&exact).matches("\r\n").count(), 1);
        assert_eq!(written_text(&format!("{exact}x")), format!("SUMMARY:{exact}\r\n x\r\n"));
    }

    fn written_text(text: &str) -> String {
        written(|lines| lines.text("SUMMARY", text))
    }

    #[test]
    fn what_has_a_meaning_of_its_own_is_escaped() {
        let written = written_text("a;b,c\\d\r\ne: \"f\"\u{7}\tg");
        assert_eq!(written, "SUMMARY:a\\;b\\,c\\\\d\\ne: \"f\"g\r\n");
    }

    fn zone(name: &str, from: &str, until: &str) -> String {
        let zone = TimeZone::get(name).expect("a time zone");
        let at = |text: &str| text.parse().expect("a timestamp");
        written(|lines| write_zone(lines, &zone, (at(from), at(until))))
    }

    #[test]
    fn a_zone_has_every_change_of_its_clocks_in_the_time_that_is_asked_for() {
        let zurich = zone("Europe/Zurich", "2027-02-01T08:00:00Z", "2027-06-30T08:00:00Z");
        let expected = "BEGIN:VTIMEZONE\r\nTZID:Europe/Zurich\r\n\
            BEGIN:STANDARD\r\nDTSTART:20261025T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n\
            TZNAME:CET\r\nEND:STANDARD\r\n\
            BEGIN:DAYLIGHT\r\nDTSTART:20270328T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n\
            TZNAME:CEST\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n";
        assert_eq!(zurich, expected);
        let summer = zone("America/New_York", "2027-07-01T00:00:00Z", "2027-07-02T00:00:00Z");
        assert!(summer.contains("TZOFFSETFROM:-0500\r\nTZOFFSETTO:-0400\r\n"), "{summer}");
        assert_eq!(summer.matches("DTSTART").count(), 1);
    }

    #[test]
    fn a_zone_whose_clocks_are_never_changed_has_one_offset() {
        for (name, offset) in
            [("UTC", "+0000"), ("Africa/Douala", "+0100"), ("Asia/Kolkata", "+0530")]
        {
            let zone = zone(name, "2027-02-01T08:00:00Z", "2031-06-30T08:00:00Z");
            let of = format!(
                "BEGIN:STANDARD\r\nDTSTART:19700101T{:0>4}00\r\nTZOFFSETFROM:{offset}\r\nTZOFFSETTO:{offset}\r\n",
                &offset[1..]
            );
            assert!(zone.contains(&of), "{zone}");
            assert_eq!(zone.matches("DTSTART").count(), 1);
        }
    }
}
