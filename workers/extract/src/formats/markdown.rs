//! Markdown (`CommonMark` with tables) as the text that a reader would see.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::flow::{CELL, Flow};
use super::text;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

/// Largest file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Reads Markdown.
#[derive(Debug)]
pub(super) struct Markdown;

impl Format for Markdown {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Markdown]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let source = text::read(input, MAX_BYTES)?;
        let mut flow = Flow::new(out);
        let mut block = Block::default();
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_TASKLISTS;
        for event in Parser::new_ext(&source, options) {
            let Some(text) = block.take(&event) else {
                continue;
            };
            match event {
                Event::End(TagEnd::Heading(level)) => flow.heading(level as u8, &text)?,
                _ => flow.block(&text)?,
            }
        }
        flow.paragraph(&block.text)?;
        flow.finish()
    }
}

/// The block that is being read: a paragraph, a heading, a list, a table or a piece of code.
#[derive(Default)]
struct Block {
    text: String,
    /// Lists around the present place.
    lists: usize,
    /// Whether the cell is not the first of its row.
    in_row: bool,
}

impl Block {
    /// Adds what the event says; gives the text of a block that has ended.
    fn take(&mut self, event: &Event<'_>) -> Option<String> {
        match event {
            Event::Text(text) | Event::Code(text) => self.text.push_str(text),
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::TaskListMarker(done) => self.text.push_str(if *done { "[x] " } else { "[ ] " }),
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => return self.end(*tag),
            _ => {}
        }
        None
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::List(_) => self.lists += 1,
            Tag::Item => {
                self.line();
                self.text.push_str("- ");
            }
            Tag::TableHead | Tag::TableRow => {
                self.line();
                self.in_row = false;
            }
            Tag::TableCell if std::mem::replace(&mut self.in_row, true) => {
                self.text.push(CELL);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) -> Option<String> {
        match tag {
            TagEnd::List(_) => self.lists = self.lists.saturating_sub(1),
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Table | TagEnd::CodeBlock => {}
            _ => return None,
        }
        // Within a list, blocks are lines of the list.
        (self.lists == 0).then(|| std::mem::take(&mut self.text))
    }

    /// Begins a new line, unless at the beginning of one.
    fn line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    #[test]
    fn marks_go_and_words_stay() {
        let source = "# Tolls\n\nShips pay **four** [crowns](http://x).\n\n- small: *two*\n- large\n  - very large\n\n\
                      | ship | toll |\n|---|---|\n| cog | 4 |\n\n```\nlet x = 1;\n```\n";
        let out = Collected::of(MediaType::Markdown, source.as_bytes());
        assert_eq!(
            out.texts(),
            [
                "Tolls\n\nShips pay four crowns.\n\n- small: two\n- large\n- very large\n\nship | toll\ncog | 4\n\nlet x = 1;"
            ]
        );
    }
}
