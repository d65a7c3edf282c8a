//! Sheets of A4 as marks on them, and the file that they become. Lengths are in tenths of a point, down from the top.
//! The same marks give the same bytes.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use kernel::{Locale, Timestamp};
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use unicode_normalization::UnicodeNormalization;

use super::typeface::Typeface;

pub const WIDTH: i32 = 5_953;
pub const HEIGHT: i32 = 8_419;
/// A tenth of a point is the unit of everything drawn.
const UNIT: [f32; 6] = [0.1, 0.0, 0.0, 0.1, 0.0, 0.0];
const REGULAR: Name<'static> = Name(b"R");
const BOLD: Name<'static> = Name(b"B");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub size: i32,
    pub is_bold: bool,
    /// Of less weight than the rest.
    pub is_grey: bool,
}

#[derive(Debug, Clone)]
pub enum Mark {
    /// With its left end and its base line.
    Text { x: i32, y: i32, text: String, style: Style },
    /// Across, so thick.
    Rule { from: i32, to: i32, y: i32, thickness: i32 },
}

pub struct Faces {
    regular: Typeface,
    bold: Typeface,
}

impl Faces {
    pub fn new() -> Self {
        Self { regular: Typeface::regular(), bold: Typeface::bold() }
    }

    fn face(&mut self, style: Style) -> &mut Typeface {
        if style.is_bold { &mut self.bold } else { &mut self.regular }
    }

    pub fn width(&self, text: &str, style: Style) -> i32 {
        let face = if style.is_bold { &self.bold } else { &self.regular };
        face.width(text, style.size)
    }

    /// The text in lines of at most this width: broken between words, and within one that is wider by itself. Letters
    /// and their accents are one, since the font knows them so.
    pub fn wrap(&self, text: &str, style: Style, width: i32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        let text: String = text.nfc().collect();
        // Not at the spaces within an amount.
        let words = text.split(|letter: char| letter == ' ' || letter.is_control());
        for word in words.filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, style) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if self.width(&line, style) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        lines.push(line);
        lines
    }
}

/// What the file says of itself.
pub struct About<'a> {
    pub title: &'a str,
    pub locale: Locale,
    pub dated: Timestamp,
}

pub fn file(pages: &[Vec<Mark>], mut faces: Faces, about: &About<'_>) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let mut next = Ref::new(1);
    let (catalog, tree, info) = (next.bump(), next.bump(), next.bump());
    let (regular, bold) = (next.bump(), next.bump());
    pdf.catalog(catalog).pages(tree).lang(TextStr(about.locale.code()));
    pdf.document_info(info)
        .title(TextStr(about.title))
        .producer(TextStr("Matricula"))
        .creation_date(date(about.dated));
    let mut kids = Vec::new();
    for marks in pages {
        let (id, contents) = (next.bump(), next.bump());
        kids.push(id);
        let mut page = pdf.page(id);
        page.parent(tree).contents(contents).media_box(Rect::new(0.0, 0.0, 595.3, 841.9));
        page.resources().fonts().pair(REGULAR, regular).pair(BOLD, bold);
        page.finish();
        let drawn = compressed(&drawn(marks, &mut faces));
        pdf.stream(contents, &drawn).filter(Filter::FlateDecode);
    }
    let count = i32::try_from(kids.len()).expect("pages are few");
    pdf.pages(tree).kids(kids).count(count);
    faces.regular.embed(&mut pdf, regular, &mut next);
    faces.bold.embed(&mut pdf, bold, &mut next);
    pdf.finish()
}

fn drawn(marks: &[Mark], faces: &mut Faces) -> Vec<u8> {
    let mut content = Content::new();
    content.transform(UNIT);
    for mark in marks {
        match mark {
            Mark::Text { x, y, text, style } => {
                let font = if style.is_bold { BOLD } else { REGULAR };
                content.set_fill_gray(if style.is_grey { 0.35 } else { 0.0 });
                content.begin_text();
                content.set_font(font, small(style.size));
                content.next_line(small(*x), small(HEIGHT - y));
                content.show(Str(&faces.face(*style).set(text)));
                content.end_text();
            }
            Mark::Rule { from, to, y, thickness } => {
                content.set_stroke_gray(0.35);
                content.set_line_width(small(*thickness));
                content.move_to(small(*from), small(HEIGHT - y));
                content.line_to(small(*to), small(HEIGHT - y));
                content.stroke();
            }
        }
    }
    content.finish().to_vec()
}

/// What stands on a page is small.
pub(super) fn small(length: i32) -> f32 {
    i16::try_from(length).expect("a length within a page").into()
}

pub(super) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes what is written")
}

fn date(at: Timestamp) -> Date {
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    let part = |part: i8| part.unsigned_abs();
    Date::new(at.year().unsigned_abs())
        .month(part(at.month()))
        .day(part(at.day()))
        .hour(part(at.hour()))
        .minute(part(at.minute()))
        .second(part(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}
