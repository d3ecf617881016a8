//! Temporary.
use std::{env, fs};
#[test]
#[ignore = "debugging"]
fn debug_rows() {
    let path = env::var("QUIRE_FILE").unwrap();
    let opened = super::super::open::open(
        fs::read(&path).unwrap(),
        env::var("QUIRE_PW").ok().as_deref(),
    )
    .ok()
    .unwrap();
    let page_no: usize = env::var("QUIRE_PAGE").map_or(0, |p| p.parse().unwrap());
    let cache = hayro_interpret::InterpreterCache::new();
    let page = &opened.pdf.pages()[page_no];
    let (content, outcome) =
        super::super::text_layer::interpret(page, &cache, &super::super::cmaps::settings());
    println!(
        "{outcome:?} glyphs {} calls {} marks {} share {}",
        content.glyphs.len(),
        content.draw_calls,
        content.marks,
        content.picture_share
    );
    let text = super::super::text_layer::text_of(&content.glyphs, page.render_dimensions());
    println!("TEXT {:?}", super::super::score::Score::of(&text.text));
    println!("{}", text.text);
    if let Ok(mut e) =
        super::super::named_engine::PdfExtract::open(&opened.bytes, "", opened.pdf.pages().len())
    {
        let t = e.page(page_no as u32 + 1).unwrap_or_default();
        println!("NAMED {:?}\n{}", super::super::score::Score::of(&t), t);
    }
    println!("GLYPHS");
    let mut last: Option<&super::super::glyph::Glyph> = None;
    for glyph in &content.glyphs {
        let gap = last.map_or(0.0, |l| glyph.x - l.x - l.advance) / glyph.size;
        println!(
            "{:?} code {} x {:.1} y {:.1} adv {:.2} size {:.1} {:?} gap {:.3}",
            glyph.text, glyph.code, glyph.x, glyph.y, glyph.advance, glyph.size, glyph.angle, gap
        );
        last = Some(glyph);
    }
}
