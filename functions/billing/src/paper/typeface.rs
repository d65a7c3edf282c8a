//! The typefaces of documents: how wide a text is set, and the part of the font that goes into a file. Glyphs stand one
//! behind the other by their own widths: Latin, Greek and Cyrillic letters need no more to be read.

use std::collections::BTreeMap;

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

use super::sheets::{compressed, small};

const REGULAR: &[u8] = include_bytes!("fonts/DejaVuSansCondensed.ttf");
const BOLD: &[u8] = include_bytes!("fonts/DejaVuSansCondensed-Bold.ttf");
const IDENTITY: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
/// Stands for a letter that the font does not have.
const REPLACEMENT: char = '\u{fffd}';

pub struct Typeface {
    file: &'static [u8],
    face: Face<'static>,
    /// Under which the part of it that a file holds is known there.
    name: &'static [u8],
    used: GlyphRemapper,
    letters: BTreeMap<u16, char>,
}

impl Typeface {
    pub fn regular() -> Self {
        Self::of(REGULAR, b"MATREG+DejaVuSansCondensed")
    }

    pub fn bold() -> Self {
        Self::of(BOLD, b"MATBLD+DejaVuSansCondensed-Bold")
    }

    fn of(file: &'static [u8], name: &'static [u8]) -> Self {
        let face = Face::parse(file, 0).expect("the bundled font is one");
        Self { file, face, name, used: GlyphRemapper::new(), letters: BTreeMap::new() }
    }

    fn glyph(&self, letter: char) -> GlyphId {
        let replacement = || self.face.glyph_index(REPLACEMENT);
        self.face.glyph_index(letter).or_else(replacement).unwrap_or_default()
    }

    fn em(&self) -> i32 {
        i32::from(self.face.units_per_em())
    }

    fn advance(&self, glyph: GlyphId) -> i32 {
        i32::from(self.face.glyph_hor_advance(glyph).unwrap_or_default())
    }

    /// In the unit of the size, rounded up.
    pub fn width(&self, text: &str, size: i32) -> i32 {
        let units: i32 = text.chars().map(|letter| self.advance(self.glyph(letter))).sum();
        (units * size).div_euclid(self.em()) + 1
    }

    /// The text by the numbers that its glyphs have in the part of the font that the file will hold.
    pub fn set(&mut self, text: &str) -> Vec<u8> {
        let mut codes = Vec::with_capacity(text.len() * 2);
        for letter in text.chars() {
            let code = self.used.remap(self.glyph(letter).0);
            self.letters.entry(code).or_insert(letter);
            codes.extend(code.to_be_bytes());
        }
        codes
    }

    /// In thousandths of the size, as PDF counts.
    fn thousandths(&self, units: i32) -> f32 {
        small(units * 1_000 / self.em())
    }

    /// Puts what was used of the font into the file.
    pub fn embed(&self, pdf: &mut Pdf, font: Ref, next: &mut Ref) {
        let (descendant, descriptor) = (next.bump(), next.bump());
        let (program, unicode) = (next.bump(), next.bump());
        let name = Name(self.name);
        pdf.type0_font(font)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(descendant)
            .to_unicode(unicode);
        let mut cid = pdf.cid_font(descendant);
        cid.subtype(CidFontType::Type2)
            .base_font(name)
            .system_info(IDENTITY)
            .font_descriptor(descriptor)
            .default_width(0.0)
            .cid_to_gid_map_predefined(Name(b"Identity"));
        let widths = self.used.remapped_gids().map(|glyph| {
            let advance = self.advance(GlyphId(glyph));
            self.thousandths(advance)
        });
        cid.widths().consecutive(0, widths);
        cid.finish();
        let bounds = self.face.global_bounding_box();
        let edge = |units: i16| self.thousandths(i32::from(units));
        pdf.font_descriptor(descriptor)
            .name(name)
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(
                edge(bounds.x_min),
                edge(bounds.y_min),
                edge(bounds.x_max),
                edge(bounds.y_max),
            ))
            .italic_angle(0.0)
            .ascent(edge(self.face.ascender()))
            .descent(edge(self.face.descender()))
            .cap_height(edge(self.face.capital_height().unwrap_or_default()))
            .stem_v(80.0)
            .font_file2(program);
        let part = subsetter::subset(self.file, 0, &self.used).expect("the bundled font is one");
        pdf.stream(program, &compressed(&part)).filter(Filter::FlateDecode);
        let mut letters = UnicodeCmap::new(Name(b"Letters"), IDENTITY);
        for (code, letter) in &self.letters {
            letters.pair(*code, *letter);
        }
        let letters = letters.finish();
        pdf.cmap(unicode, &compressed(&letters)).filter(Filter::FlateDecode);
    }
}
