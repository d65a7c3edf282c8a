//! Processor time of other processes, as the kernel counts it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::failure::{Explain, Failure};

/// What the times in `/proc` are counted in, on every Linux that Rust runs on.
const TICKS_PER_S: u64 = 100;

/// User and system time of a process, so far.
pub fn of_process(id: u32) -> Result<Duration, Failure> {
    let told = std::fs::read_to_string(format!("/proc/{id}/stat")).ok();
    let stat = told.as_deref().and_then(Stat::read);
    Ok(stat.explain("a process does not tell its time")?.own)
}

/// Of a process and all that it has started, whether they still run or not.
pub fn of_tree(id: u32) -> Result<Duration, Failure> {
    let mut children: HashMap<u32, Vec<Stat>> = HashMap::new();
    let mut root = None;
    for entry in std::fs::read_dir("/proc").explain("/proc cannot be read")? {
        let path = entry.explain("/proc cannot be read")?.path().join("stat");
        // What ended meanwhile is counted by its parent.
        let told = std::fs::read_to_string(path).ok();
        let Some(stat) = told.as_deref().and_then(Stat::read) else { continue };
        if stat.id == id {
            root = Some(stat);
        } else {
            children.entry(stat.parent).or_default().push(stat);
        }
    }
    let mut time = Duration::ZERO;
    let mut waiting = vec![root.explain("a process does not tell its time")?];
    let mut seen = HashSet::new();
    while let Some(stat) = waiting.pop() {
        if seen.insert(stat.id) {
            time += stat.own + stat.of_ended_children;
            waiting.extend(children.remove(&stat.id).unwrap_or_default());
        }
    }
    Ok(time)
}

struct Stat {
    id: u32,
    parent: u32,
    own: Duration,
    of_ended_children: Duration,
}

impl Stat {
    /// As proc(5) has it. The name in parentheses may hold anything.
    fn read(line: &str) -> Option<Self> {
        let (id, _) = line.split_once(' ')?;
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let time =
            |at| Some(Duration::from_millis((ticks(at)? + ticks(at + 1)?) * 1_000 / TICKS_PER_S));
        let parent = fields.get(1)?.parse().ok()?;
        Some(Self { id: id.parse().ok()?, parent, own: time(11)?, of_ended_children: time(13)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_the_name_whatever_it_is() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 1 0 0 0 150 50 30 20 20 0 4 0 100 0 0";
        let stat = Stat::read(line).expect("it is one");
        assert_eq!((stat.id, stat.parent), (42, 7));
        assert_eq!(stat.own, Duration::from_secs(2));
        assert_eq!(stat.of_ended_children, Duration::from_millis(500));
    }

    #[test]
    fn a_tree_counts_at_least_its_root() {
        let id = std::process::id();
        assert!(of_tree(id).expect("it is there") >= of_process(id).expect("it is there"));
    }
}
