//! Line breaking for the fixtures: how wide text is in Helvetica, and where a line ends.

/// Width of Helvetica's characters from space to tilde, in thousandths of the font size (Adobe's published font metrics).
const HELVETICA_WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// Width of `text` at `size` points.
pub(crate) fn text_width(text: &str, size: f32) -> f32 {
    let units: u32 = text.bytes().map(|byte| u32::from(glyph_units(byte))).sum();
    units as f32 * size / 1000.0
}

fn glyph_units(byte: u8) -> u16 {
    let index = usize::from(byte).wrapping_sub(32);
    HELVETICA_WIDTHS.get(index).copied().unwrap_or(556)
}

/// `text` broken into lines of at most `width` points.
pub(crate) fn wrap(text: &str, size: f32, width: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line)
                if text_width(line, size) + text_width(" ", size) + text_width(word, size)
                    <= width =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
