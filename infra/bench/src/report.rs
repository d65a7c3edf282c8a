//! What a bench says in the end: a table for people, or one JSON object.

use serde_json::Value;

/// Prints the JSON object where it was asked for, and the table otherwise.
#[expect(clippy::print_stdout, reason = "the result is what standard output is for")]
pub fn print(json: bool, result: &Value, table: impl FnOnce() -> Vec<Vec<String>>) {
    if json {
        println!("{result}");
        return;
    }
    for line in aligned(&table()) {
        println!("{line}");
    }
}

/// The first column to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell: &String| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A row of the table.
pub fn row<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_numbers_right() {
        let rows = [row([&"name", &"ms"]), row([&"a", &1.5]), row([&"longer", &12.25])];
        assert_eq!(aligned(&rows), ["name       ms", "a         1.5", "longer  12.25"]);
    }
}
