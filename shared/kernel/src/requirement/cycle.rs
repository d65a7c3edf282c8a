//! Courses that require each other in a circle can never be taken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What each course requires, and whether it must come before (`false`: together is enough).
pub type Graph = BTreeMap<String, BTreeMap<String, bool>>;

/// The shortest way from `course` back to itself with at least one course that must come before another. Courses
/// that are only to be taken together may name each other.
pub fn cycle_through(graph: &Graph, course: &str) -> Option<Vec<String>> {
    /// A course, and whether the way to it has had a "before".
    type Step<'a> = (&'a str, bool);
    let (course, _) = graph.get_key_value(course)?;
    let start: Step<'_> = (course, false);
    let mut came_from: BTreeMap<Step<'_>, Step<'_>> = BTreeMap::new();
    let mut seen = BTreeSet::from([start]);
    let mut queue = VecDeque::from([start]);
    while let Some(step) = queue.pop_front() {
        for (next, before) in graph.get(step.0).into_iter().flatten() {
            let next: Step<'_> = (next, step.1 || *before);
            if next == (course.as_str(), true) {
                let mut way = vec![course.clone(), step.0.to_owned()];
                let mut back = step;
                while let Some(earlier) = came_from.get(&back) {
                    way.push(earlier.0.to_owned());
                    back = *earlier;
                }
                way.reverse();
                return Some(way);
            }
            if seen.insert(next) {
                came_from.insert(next, step);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Requirement;

    fn graph(courses: &[(&str, &str)]) -> Graph {
        let requires = |text: &str| {
            let requirement: Requirement = text.parse().expect("a requirement");
            let courses = requirement.courses().into_iter();
            courses.map(|(code, before)| (code.to_owned(), before)).collect()
        };
        courses.iter().map(|(code, text)| ((*code).to_owned(), requires(text))).collect()
    }

    #[test]
    fn the_way_round_is_shown() {
        let circle =
            graph(&[("A", "course(B)"), ("B", "permission OR course(C)"), ("C", "course(A)")]);
        assert_eq!(
            cycle_through(&circle, "A"),
            Some(["A", "B", "C", "A"].map(str::to_owned).into())
        );
        assert_eq!(
            cycle_through(&graph(&[("A", "course(A)")]), "A"),
            Some(vec!["A".into(), "A".into()])
        );
        let line = graph(&[("A", "course(B) AND course(C)"), ("B", "course(C)")]);
        assert_eq!(cycle_through(&line, "A"), None);
        let elsewhere = graph(&[("A", "course(B)"), ("B", "course(C)"), ("C", "course(B)")]);
        assert_eq!(cycle_through(&elsewhere, "A"), None, "A is not on the circle");
    }

    #[test]
    fn courses_that_are_taken_together_may_name_each_other() {
        let pair = graph(&[("LEC", "course(LAB, concurrent)"), ("LAB", "course(LEC, concurrent)")]);
        assert_eq!(cycle_through(&pair, "LEC"), None);
        let crooked = graph(&[("LEC", "course(LAB, concurrent)"), ("LAB", "course(LEC)")]);
        assert!(
            cycle_through(&crooked, "LEC").is_some(),
            "the lab after the lecture, which needs it"
        );
    }

    proptest! {
        #[test]
        fn what_only_requires_earlier_courses_has_no_cycle(
            edges in proptest::collection::vec((0_u8..20, 0_u8..20), 0..60),
            closing in (0_u8..20, 0_u8..20),
        ) {
            let mut graph = Graph::new();
            for (a, b) in &edges {
                if a > b {
                    graph.entry(a.to_string()).or_default().insert(b.to_string(), true);
                }
            }
            for course in 0..20_u8 {
                prop_assert_eq!(cycle_through(&graph, &course.to_string()), None);
            }
            let (from, to) = (closing.0.to_string(), closing.1.to_string());
            graph.entry(from.clone()).or_default().insert(to, true);
            if let Some(way) = cycle_through(&graph, &from) {
                prop_assert_eq!(way.first(), way.last());
                for pair in way.windows(2) {
                    prop_assert!(graph[&pair[0]].contains_key(&pair[1]));
                }
            }
        }
    }
}
