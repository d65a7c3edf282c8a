//! For tests: what stands on the pages of a document, read by other hands than wrote it, through the table that says
//! which letters its glyphs are.

use std::collections::HashMap;

use hayro_syntax::Pdf;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Dict, Stream};
use hayro_syntax::page::Page;

/// Each page, with a line for every text that is set on it.
pub fn pages_of(file: &[u8]) -> Vec<String> {
    let pdf = Pdf::new(file.to_vec()).expect("a PDF");
    pdf.pages().iter().map(texts_of).collect()
}

fn texts_of(page: &Page<'_>) -> String {
    let mut letters = HashMap::new();
    let mut shown = String::new();
    let mut operations = page.typed_operations();
    while let Some(operation) = operations.next() {
        match operation {
            TypedInstruction::TextFont(font) => letters = letters_of(page, font.0),
            TypedInstruction::ShowText(text) => {
                for glyph in text.0.as_bytes().chunks_exact(2) {
                    let code = u16::from_be_bytes([glyph[0], glyph[1]]);
                    shown.push(letters.get(&code).copied().expect("every glyph is a letter"));
                }
                shown.push('\n');
            }
            _ => {}
        }
    }
    shown
}

/// What the font's `/ToUnicode` says: lines of `<code> <letter>` in hexadecimal digits.
fn letters_of(page: &Page<'_>, font: &[u8]) -> HashMap<u16, char> {
    let font: Dict<'_> = page.resources().fonts.get(font).expect("the page has the font");
    let table: Stream<'_> = font.get(b"ToUnicode".as_slice()).expect("it says its letters");
    let table = table.decoded().expect("it can be read");
    let table = String::from_utf8_lossy(&table).into_owned();
    let pair = |line: &str| {
        let (code, letter) = line.strip_prefix('<')?.strip_suffix('>')?.split_once("> <")?;
        let letter = u32::from_str_radix(letter, 16).ok()?;
        Some((u16::from_str_radix(code, 16).ok()?, char::from_u32(letter)?))
    };
    table.lines().filter_map(pair).collect()
}
