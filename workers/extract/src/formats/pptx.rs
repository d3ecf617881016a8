//! Presentations (PPTX): one page for each slide, in the order of the show, with the speaker's notes behind its text.

use super::flow::{CELL, Flow};
use super::ooxml::{self, Mark, attribute, relationships};
use super::parts::Parts;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

const PRESENTATION: &str = "ppt/presentation.xml";

/// Reads PPTX.
#[derive(Debug)]
pub(super) struct Pptx;

impl Format for Pptx {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Pptx]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let mut parts = Parts::open(input)?;
        ooxml::metadata(&mut parts, out)?;
        let slides = slides(&mut parts)?;
        let mut flow = Flow::new(out);
        for slide in slides {
            if let Some(xml) = parts.read(&slide)? {
                write(&xml, &mut flow)?;
            }
            let notes = relationships(&mut parts, &slide)?
                .into_values()
                .find(|target| target.contains("notesSlide"));
            if let Some(notes) = notes
                && let Some(xml) = parts.read(&notes)?
            {
                write(&xml, &mut flow)?;
            }
            flow.end_page()?;
        }
        flow.finish()
    }
}

/// The parts of the slides in the order of the show.
fn slides(parts: &mut Parts<'_>) -> Result<Vec<String>, ParseError> {
    let presentation = parts
        .read(PRESENTATION)?
        .ok_or_else(|| ParseError::Damaged(format!("{PRESENTATION} is missing")))?;
    let targets = relationships(parts, PRESENTATION)?;
    let mut slides = Vec::new();
    ooxml::read(&presentation, |mark| {
        if let Mark::Open("sldId", element) = mark {
            // The attributes are `id` and `r:id`; only the latter names a relationship.
            let mut ids = element.attributes();
            let ids = ids.with_checks(false).flatten();
            slides.extend(ids.filter_map(|id| targets.get(&*id.value).cloned()));
        }
        Ok(())
    })?;
    Ok(slides)
}

/// Writes the paragraphs of a slide; the rows of a table are lines.
fn write(xml: &[u8], flow: &mut Flow<'_>) -> Result<(), ParseError> {
    let mut block = String::new();
    let (mut in_text, mut in_table, mut in_row, mut is_field) = (false, false, false, false);
    ooxml::read(xml, |mark| {
        match mark {
            Mark::Open("t", _) => in_text = true,
            Mark::Close("t") => in_text = false,
            // Slide numbers and dates are no content.
            Mark::Open("fld", element) => is_field = attribute(element, "type").is_some(),
            Mark::Close("fld") => is_field = false,
            Mark::Open("br", _) => block.push(if in_table { ' ' } else { '\n' }),
            Mark::Open("tbl", _) => in_table = true,
            Mark::Open("tr", _) => {
                in_row = false;
                if !block.is_empty() {
                    block.push('\n');
                }
            }
            Mark::Open("tc", _) if std::mem::replace(&mut in_row, true) => block.push(CELL),
            Mark::Close("p") if !in_table => flow.paragraph(&std::mem::take(&mut block))?,
            Mark::Close("tbl") => {
                in_table = false;
                flow.block(&std::mem::take(&mut block))?;
            }
            Mark::Text(text) if in_text && !is_field => block.push_str(text),
            _ => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use crate::formats::parts::container;
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    fn slide(text: &str) -> String {
        format!(
            "<p:sld><a:p><a:r><a:t>{text}</a:t></a:r></a:p><a:p><a:fld type=\"slidenum\"><a:t>7</a:t></a:fld></a:p></p:sld>"
        )
    }

    #[test]
    fn slides_are_pages_in_the_order_of_the_show() {
        let (first, second) = (slide("Second file, first slide"), slide("Tolls"));
        let bytes = container(&[
            ("ppt/presentation.xml", b"<p:presentation><p:sldIdLst><p:sldId id=\"256\" r:id=\"rId9\"/><p:sldId id=\"257\" r:id=\"rId2\"/></p:sldIdLst></p:presentation>"),
            ("ppt/_rels/presentation.xml.rels", b"<Relationships><Relationship Id=\"rId2\" Target=\"slides/slide1.xml\"/><Relationship Id=\"rId9\" Target=\"slides/slide2.xml\"/></Relationships>"),
            ("ppt/slides/slide1.xml", second.as_bytes()),
            ("ppt/slides/slide2.xml", first.as_bytes()),
            ("ppt/slides/_rels/slide1.xml.rels", b"<Relationships><Relationship Id=\"rId1\" Target=\"../notesSlides/notesSlide1.xml\"/></Relationships>"),
            ("ppt/notesSlides/notesSlide1.xml", b"<p:notes><a:p><a:r><a:t>Say four.</a:t></a:r></a:p></p:notes>"),
        ]);
        assert_eq!(
            Collected::of(MediaType::Pptx, &bytes).texts(),
            ["Second file, first slide", "Tolls\n\nSay four."]
        );
    }
}
