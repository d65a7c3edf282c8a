//! Documents on paper: what is on them, laid out on as many sheets as it takes. Rows are never cut, the heads of a table
//! are repeated on every sheet, and what it sums up to never stands there without a row.

#[cfg(test)]
mod reading;
mod sheets;
mod typeface;
mod wording;

#[cfg(test)]
pub use reading::pages_of;
pub use wording::Wording;

use kernel::{Locale, Timestamp};
use sheets::{About, Faces, HEIGHT, Mark, Style, WIDTH};

const LEFT: i32 = 500;
const RIGHT: i32 = WIDTH - 500;
const TOP: i32 = 560;
/// Below it there is only the number of the page.
const BOTTOM: i32 = HEIGHT - 700;
/// From one line of a text to the next.
const LEADING: i32 = 125;
/// Between rows.
const GAP: i32 = 55;
/// Between the cells of a row.
const GUTTER: i32 = 80;

const BODY: Style = Style { size: 90, is_bold: false, is_grey: false };
const STRONG: Style = Style { is_bold: true, ..BODY };
const GREY: Style = Style { size: 80, is_grey: true, ..BODY };
const ISSUER: Style = Style { size: 110, is_bold: true, is_grey: true };
const TITLE: Style = Style { size: 180, is_bold: true, is_grey: false };

/// A document before it is laid out.
#[derive(Debug, Clone)]
pub struct Paper {
    pub locale: Locale,
    pub issuer: String,
    pub title: String,
    /// The moment that it bears.
    pub dated: Timestamp,
    /// To whom it is, line by line.
    pub addressee: Vec<String>,
    /// What stands beside the address: each with its name.
    pub facts: Vec<(String, String)>,
    pub tables: Vec<Table>,
}

#[derive(Debug, Clone, Default)]
pub struct Table {
    pub heading: Option<String>,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    pub sums: Vec<Sum>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub head: String,
    /// Of the whole, in thousandths.
    pub share: i32,
    /// Amounts stand flush right.
    pub is_amount: bool,
}

impl Column {
    pub fn text(head: String, share: i32) -> Self {
        Self { head, share, is_amount: false }
    }

    pub fn amount(head: String, share: i32) -> Self {
        Self { head, share, is_amount: true }
    }
}

#[derive(Debug, Clone)]
pub struct Sum {
    pub name: String,
    pub amount: String,
    /// The one that the others lead to.
    pub is_last: bool,
}

impl Paper {
    /// The file: the same bytes for the same document.
    pub fn pdf(&self) -> Vec<u8> {
        let mut layout = Layout { paper: self, faces: Faces::new(), pages: Vec::new(), y: 0 };
        layout.first_page();
        for table in &self.tables {
            layout.table(table);
        }
        layout.number_pages();
        let about = About { title: &self.title, locale: self.locale, dated: self.dated };
        sheets::file(&layout.pages, layout.faces, &about)
    }
}

struct Layout<'a> {
    paper: &'a Paper,
    faces: Faces,
    pages: Vec<Vec<Mark>>,
    /// How far down the page is filled.
    y: i32,
}

impl Layout<'_> {
    fn mark(&mut self, mark: Mark) {
        self.pages.last_mut().expect("a page was begun").push(mark);
    }

    fn text(&mut self, x: i32, y: i32, text: &str, style: Style) {
        self.mark(Mark::Text { x, y, text: text.to_owned(), style });
    }

    fn flush_right(&mut self, right: i32, y: i32, text: &str, style: Style) {
        let x = right - self.faces.width(text, style);
        self.text(x, y, text, style);
    }

    fn rule(&mut self, from: i32, to: i32, thickness: i32) {
        self.mark(Mark::Rule { from, to, y: self.y, thickness });
    }

    fn first_page(&mut self) {
        let paper = self.paper;
        self.pages.push(Vec::new());
        self.y = TOP;
        self.text(LEFT, self.y, &paper.issuer, ISSUER);
        self.y += 330;
        for line in self.faces.wrap(&paper.title, TITLE, RIGHT - LEFT) {
            self.text(LEFT, self.y, &line, TITLE);
            self.y += 230;
        }
        self.y += 120;
        let (mut left_y, mut right_y) = (self.y, self.y);
        let middle = WIDTH / 2 + 200;
        for (at, line) in paper.addressee.iter().enumerate() {
            let style = if at == 0 { STRONG } else { GREY };
            for line in self.faces.wrap(line, style, middle - LEFT - GUTTER) {
                self.text(LEFT, left_y, &line, style);
                left_y += LEADING + 15;
            }
        }
        for (name, value) in &paper.facts {
            self.text(middle, right_y, name, GREY);
            self.flush_right(RIGHT, right_y, value, BODY);
            right_y += LEADING + 15;
        }
        self.y = left_y.max(right_y) + 160;
    }

    /// The sheets that follow say at their top whose they are.
    fn next_page(&mut self) {
        let paper = self.paper;
        self.pages.push(Vec::new());
        self.y = TOP;
        let whose = paper.addressee.first().cloned().unwrap_or_default();
        self.text(LEFT, self.y, &format!("{} · {}", paper.issuer, paper.title), GREY);
        self.flush_right(RIGHT, self.y, &whose, GREY);
        self.y += 60;
        self.rule(LEFT, RIGHT, 5);
        self.y += 220;
    }

    fn table(&mut self, table: &Table) {
        let rows: Vec<Vec<Vec<String>>> =
            table.rows.iter().map(|row| self.cells(table, row)).collect();
        let sums = i32::try_from(table.sums.len()).expect("sums are few") * (LEADING + GAP) + GAP;
        let heading = if table.heading.is_some() { 240 } else { 0 };
        let first = rows.first().map_or(0, |row| height(row));
        let alone = if rows.len() < 2 { sums } else { 0 };
        if self.y + heading + 220 + first + alone > BOTTOM {
            self.next_page();
        }
        if let Some(text) = &table.heading {
            self.text(LEFT, self.y, text, Style { size: 110, ..STRONG });
            self.y += heading;
        }
        self.heads(table);
        for (at, row) in rows.iter().enumerate() {
            let with_it = if at + 1 == rows.len() { sums } else { 0 };
            if self.y + height(row) + with_it > BOTTOM {
                self.next_page();
                self.heads(table);
            }
            self.row(table, row);
        }
        self.rule(LEFT, RIGHT, 8);
        self.y += GAP;
        self.sums(&table.sums);
        self.y += 260;
    }

    fn cells(&self, table: &Table, row: &[String]) -> Vec<Vec<String>> {
        let cells = table.columns.iter().zip(row);
        cells.map(|(column, text)| self.faces.wrap(text, BODY, width(column))).collect()
    }

    fn heads(&mut self, table: &Table) {
        let heads: Vec<_> = table
            .columns
            .iter()
            .map(|column| self.faces.wrap(&column.head, GREY, width(column)))
            .collect();
        self.y += LEADING;
        self.columns(table, &heads, GREY);
        self.y += height(&heads) - LEADING;
        self.rule(LEFT, RIGHT, 8);
        self.y += GAP;
    }

    fn row(&mut self, table: &Table, cells: &[Vec<String>]) {
        self.y += LEADING - 25;
        self.columns(table, cells, BODY);
        self.y += height(cells) - LEADING + 25;
    }

    /// Lines of cells side by side, from the base line of the first on.
    fn columns(&mut self, table: &Table, cells: &[Vec<String>], style: Style) {
        let mut x = LEFT;
        for (column, lines) in table.columns.iter().zip(cells) {
            let mut y = self.y;
            for line in lines {
                if column.is_amount {
                    self.flush_right(x + width(column), y, line, style);
                } else {
                    self.text(x, y, line, style);
                }
                y += LEADING;
            }
            x += width(column) + GUTTER;
        }
    }

    fn sums(&mut self, sums: &[Sum]) {
        for Sum { name, amount, is_last } in sums {
            let style = if *is_last { STRONG } else { BODY };
            self.y += LEADING;
            self.text(WIDTH / 2 + 200, self.y, name, style);
            self.flush_right(RIGHT, self.y, amount, style);
            self.y += GAP;
        }
    }

    fn number_pages(&mut self) {
        let words = Wording::of(self.paper.locale);
        let pages = self.pages.len();
        for page in 1..=pages {
            let arguments = [("page", page.to_string()), ("pages", pages.to_string())];
            let text = words.say_with("PAGE", &arguments);
            let x = RIGHT - self.faces.width(&text, GREY);
            let mark = Mark::Text { x, y: HEIGHT - 420, text, style: GREY };
            self.pages[page - 1].push(mark);
        }
    }
}

fn width(column: &Column) -> i32 {
    (RIGHT - LEFT + GUTTER) * column.share / 1_000 - GUTTER
}

fn height(cells: &[Vec<String>]) -> i32 {
    let lines = cells.iter().map(Vec::len).max().unwrap_or_default();
    i32::try_from(lines).expect("a cell has few lines") * LEADING + GAP
}
