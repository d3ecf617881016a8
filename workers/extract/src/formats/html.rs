//! HTML as the text that a browser shows: what is code, style or hidden stays out. Nothing that the page points at is fetched.

use ego_tree::iter::Edge;
use scraper::{Html as Tree, Node, node::Element};

use super::flow::{CELL, Flow};
use super::text;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

/// Largest file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Elements whose content is not shown.
const UNSHOWN: &str = "script style template noscript head iframe object svg math select datalist";

/// Elements that begin and end a block of text.
const BLOCKS: &str = "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure \
                      footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend main menu nav ol p pre section summary table ul";

/// Elements that begin a line within a block.
const LINES: &str = "br li option tr";

/// Reads HTML.
#[derive(Debug)]
pub(super) struct Html;

impl Format for Html {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Html]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let source = text::read(input, MAX_BYTES)?;
        let mut flow = Flow::new(out);
        write(&source, &mut flow)?;
        flow.finish()
    }
}

/// Writes the shown text of a page into `flow`, its title into the facts.
pub(super) fn write(source: &str, flow: &mut Flow<'_>) -> Result<(), ParseError> {
    let tree = Tree::parse_document(source);
    let mut walk = Walk::default();
    for edge in tree.tree.root().traverse() {
        let (node, opens) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        match node.value() {
            Node::Element(element) if opens => walk.open(element, flow)?,
            Node::Element(element) => walk.close(element, flow)?,
            Node::Text(text) if opens => walk.text(text),
            _ => {}
        }
    }
    walk.end_block(flow)
}

/// Where the walk over the tree is.
#[derive(Default)]
struct Walk {
    block: String,
    title: String,
    /// Elements around the present place whose content is not shown.
    unshown: usize,
    in_title: bool,
    preformatted: usize,
    /// Level of the heading that is being read.
    heading: Option<u8>,
    /// Whether the row has a cell already.
    in_row: bool,
}

impl Walk {
    fn open(&mut self, element: &Element, flow: &mut Flow<'_>) -> Result<(), ParseError> {
        let name = element.name();
        if is_unshown(element) {
            self.unshown += 1;
        }
        self.in_title = name == "title";
        if self.unshown > 0 {
            return Ok(());
        }
        if holds(BLOCKS, name) {
            self.end_block(flow)?;
            self.preformatted += usize::from(name == "pre");
            self.heading = heading_level(name);
        } else if self.in_row && holds(LINES, name) && name != "tr" {
            // A line in a cell is no row.
            self.block.push(' ');
        } else if holds(LINES, name) {
            self.line();
            self.in_row = false;
            if name == "li" {
                self.block.push_str("- ");
            }
        } else if matches!(name, "td" | "th") && std::mem::replace(&mut self.in_row, true) {
            self.block.push(CELL);
        }
        Ok(())
    }

    fn close(&mut self, element: &Element, flow: &mut Flow<'_>) -> Result<(), ParseError> {
        let name = element.name();
        if name == "title" && self.in_title {
            self.in_title = false;
            let title = std::mem::take(&mut self.title);
            flow.out().metadata("title", title.trim());
        }
        if is_unshown(element) {
            self.unshown -= 1;
        } else if self.unshown == 0 && holds(BLOCKS, name) {
            self.end_block(flow)?;
            self.preformatted -= usize::from(name == "pre");
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
        }
        if self.unshown > 0 {
            return;
        }
        if self.preformatted > 0 {
            self.block.push_str(text);
            return;
        }
        let ends_open = |block: &str| block.is_empty() || block.ends_with([' ', '\n']);
        if text.starts_with(char::is_whitespace) && !ends_open(&self.block) {
            self.block.push(' ');
        }
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                self.block.push(' ');
            }
            self.block.push_str(word);
        }
        if text.ends_with(char::is_whitespace) && !ends_open(&self.block) {
            self.block.push(' ');
        }
    }

    fn line(&mut self) {
        let end = self.block.trim_end_matches(' ').len();
        self.block.truncate(end);
        if !self.block.is_empty() && !self.block.ends_with('\n') {
            self.block.push('\n');
        }
    }

    fn end_block(&mut self, flow: &mut Flow<'_>) -> Result<(), ParseError> {
        self.in_row = false;
        let block = std::mem::take(&mut self.block);
        match self.heading.take() {
            Some(level) => flow.heading(level, &block),
            None => flow.block(&block),
        }
    }
}

fn is_unshown(element: &Element) -> bool {
    holds(UNSHOWN, element.name())
        || element.attr("hidden").is_some()
        || element.attr("style").is_some_and(hides)
}

/// 1 for `h1`.
fn heading_level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}

/// Whether a style makes its element vanish. Style sheets are not looked at.
fn hides(style: &str) -> bool {
    let style: String = style.to_ascii_lowercase().split_whitespace().collect();
    style
        .split(';')
        .any(|rule| matches!(rule, "display:none" | "visibility:hidden"))
}

fn holds(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|entry| entry == name)
}

#[cfg(test)]
mod tests {
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    #[test]
    fn what_is_shown_is_read() {
        let source = "<!doctype html><title>Tolls</title><style>p{}</style><body><h1>The  toll</h1><p>Ships pay <b>four</b>\n crowns.\
                      <script>alert(1)</script><div hidden>no</div><ul><li>cog<li>hulk</ul>\
                      <table><tr><th>ship<th>toll<tr><td>cog<td>4</table><pre>a\n  b</pre>&amp; more";
        let out = Collected::of(MediaType::Html, source.as_bytes());
        assert_eq!(
            out.texts(),
            [
                "The toll\n\nShips pay four crowns.\n\n- cog\n- hulk\n\nship | toll\ncog | 4\n\na\n  b\n\n& more"
            ]
        );
        assert_eq!(out.metadata["title"], "Tolls");
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = "<div>".repeat(20_000) + "deep";
        assert_eq!(
            Collected::of(MediaType::Html, deep.as_bytes()).texts(),
            ["deep"]
        );
    }
}
