//! What the table says after a day, read past all operations: whether anybody was sold what is not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use kernel::{PersonId, SectionId};

use super::load::Seen;
use crate::engine_process::table_of;
use crate::failure::Failure;

/// Of one section.
#[derive(Debug, Default)]
struct Counted {
    capacity: i64,
    taken: i64,
    waiting: i64,
    last_position: i64,
    roster: BTreeSet<String>,
    seated: Vec<String>,
    /// Students by their position.
    line: BTreeMap<i64, Vec<String>>,
}

#[derive(Debug, Default)]
pub struct Truth {
    sections: HashMap<String, Counted>,
    /// How often a student has a seat in a section of a course.
    of_course: HashMap<(String, String), u64>,
    course_of_section: HashMap<String, String>,
}

impl Truth {
    pub async fn read(engine_url: &str, context: &str) -> Result<Self, Failure> {
        let credentials = Credentials::new("bench", "bench", None, None, "bench");
        let region = "eu-west-1".to_owned();
        let config = shell::aws::sdk_config_for(credentials, region, Some(engine_url.to_owned()));
        let mut items = DynamoDb::new(&config)
            .scan()
            .table_name(table_of(context))
            .consistent_read(true)
            .projection_expression(
                "kind, #data.#section, #data.student, #data.#state, #data.#capacity, #data.taken, \
                 #data.#line, #data.#position, #data.course.id",
            )
            .expression_attribute_names("#data", "data")
            .expression_attribute_names("#section", "section")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#capacity", "capacity")
            .expression_attribute_names("#line", "line")
            .expression_attribute_names("#position", "position")
            .into_paginator()
            .items()
            .send();
        let mut truth = Self::default();
        while let Some(item) = items.next().await {
            let item =
                item.map_err(|error| Failure(format!("the table cannot be read: {error:?}")))?;
            truth.take(&item);
        }
        truth.count_courses();
        Ok(truth)
    }

    fn take(&mut self, item: &HashMap<String, AttributeValue>) -> Option<()> {
        let kind = item.get("kind")?.as_s().ok()?;
        let data = item.get("data")?.as_m().ok()?;
        let text = |name: &str| Some(data.get(name)?.as_s().ok()?.clone());
        let section = text("section")?;
        let counted = self.sections.entry(section.clone()).or_default();
        match kind.as_str() {
            "section-seats" => {
                counted.capacity = number(data, "capacity")?;
                counted.taken = number(data, "taken")?;
                let line = data.get("line")?.as_m().ok()?;
                counted.waiting = number(line, "waiting")?;
                counted.last_position = number(line, "last_position")?;
                let course = data.get("course")?.as_m().ok()?.get("id")?.as_s().ok()?;
                self.course_of_section.insert(section, course.clone());
            }
            "roster-entry" => _ = counted.roster.insert(text("student")?),
            "registration" => {
                if matches!(text("state")?.as_str(), "seat_held" | "registered") {
                    counted.seated.push(text("student")?);
                }
            }
            "waitlist-place" => {
                let position = number(data, "position")?;
                counted.line.entry(position).or_default().push(text("student")?);
            }
            _ => {}
        }
        Some(())
    }

    fn count_courses(&mut self) {
        for (section, counted) in &self.sections {
            let course = self.course_of_section.get(section).unwrap_or(section);
            for student in &counted.seated {
                *self.of_course.entry((student.clone(), course.clone())).or_default() += 1;
            }
        }
    }

    /// Seats that were given and are not there.
    pub fn oversold(&self) -> i64 {
        let over = |counted: &Counted| {
            let seated = i64::try_from(counted.seated.len()).unwrap_or(i64::MAX);
            (seated.max(counted.taken) - counted.capacity).max(0)
        };
        self.sections.values().map(over).sum()
    }

    /// Seats of a student in a course that they have a seat in already.
    pub fn duplicates(&self) -> u64 {
        self.of_course.values().map(|times| times - 1).sum()
    }

    /// Everything that is not as it must be, in sentences.
    pub fn flaws(&self, seen: &Seen) -> Vec<String> {
        let mut flaws: Vec<String> = Vec::new();
        for (section, counted) in &self.sections {
            flaws.extend(counted.flaws().into_iter().map(|flaw| format!("{section}: {flaw}")));
        }
        let pairs = |of: &dyn Fn(&Counted) -> Vec<String>| -> BTreeSet<(PersonId, SectionId)> {
            let of_section = |(section, counted): (&String, &Counted)| {
                let students = of(counted);
                let pair = |student: String| Some((student.parse().ok()?, section.parse().ok()?));
                students.into_iter().filter_map(pair).collect::<Vec<_>>()
            };
            self.sections.iter().flat_map(of_section).collect()
        };
        if pairs(&|counted| counted.seated.clone()) != seen.held {
            flaws.push("who has a seat is not who was told so".to_owned());
        }
        if pairs(&|counted| counted.line.values().flatten().cloned().collect()) != seen.in_line {
            flaws.push("who stands in line is not who was told so".to_owned());
        }
        flaws.extend(seen.wrong.iter().map(|(what, times)| format!("{times} times: {what}")));
        if self.oversold() > 0 {
            flaws.push(format!("{} seats were oversold", self.oversold()));
        }
        if self.duplicates() > 0 {
            flaws.push(format!("{} registrations are there twice", self.duplicates()));
        }
        flaws
    }
}

impl Counted {
    fn flaws(&self) -> Vec<String> {
        let seated: BTreeSet<String> = self.seated.iter().cloned().collect();
        let mut flaws = Vec::new();
        let mut must = |holds: bool, flaw: String| {
            if !holds {
                flaws.push(flaw);
            }
        };
        let (seats, taken) = (self.seated.len(), self.taken);
        must(usize::try_from(taken) == Ok(seats), format!("{taken} taken, {seats} registrations"));
        must(seated.len() == seats, "a student is registered twice".to_owned());
        must(seated == self.roster, "the roster does not list who has a seat".to_owned());
        let positions: Vec<i64> = self.line.keys().copied().collect();
        let in_order: Vec<i64> = (1..=self.waiting).collect();
        must(positions == in_order, format!("positions {positions:?} of {} in line", self.waiting));
        must(self.last_position == self.waiting, "a position was given to nobody".to_owned());
        let apart = self.line.values().all(|students| students.len() == 1);
        must(apart, "two stand at one place".to_owned());
        let jumped = self.waiting > 0 && self.taken < self.capacity;
        must(!jumped, "somebody stands in line before a free seat".to_owned());
        flaws
    }
}

fn number(map: &HashMap<String, AttributeValue>, name: &str) -> Option<i64> {
    map.get(name)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(change: impl FnOnce(&mut Counted)) -> Vec<String> {
        let seated = vec!["ada".to_owned(), "bob".to_owned()];
        let mut counted = Counted {
            capacity: 2,
            taken: 2,
            waiting: 1,
            last_position: 1,
            roster: seated.iter().cloned().collect(),
            seated,
            line: [(1, vec!["cyd".to_owned()])].into(),
        };
        change(&mut counted);
        counted.flaws()
    }

    #[test]
    fn a_section_is_right_only_when_all_its_counts_agree() {
        assert_eq!(counted(|_| ()), Vec::<String>::new());
        assert!(!counted(|it| it.taken = 1).is_empty());
        assert!(!counted(|it| it.seated.push("ada".to_owned())).is_empty());
        assert!(!counted(|it| it.roster.clear()).is_empty());
        assert!(!counted(|it| it.waiting = 2).is_empty());
        assert!(!counted(|it| it.last_position = 2).is_empty());
        assert!(!counted(|it| it.capacity = 3).is_empty(), "the seat is for who waits");
        let mut truth = Truth::default();
        truth.of_course.insert(("ada".to_owned(), "c".to_owned()), 2);
        truth
            .sections
            .insert("s".to_owned(), Counted { taken: 3, capacity: 2, ..Counted::default() });
        assert_eq!((truth.duplicates(), truth.oversold()), (1, 1));
    }
}
