//! What the lines of a document are for: running heads and feet, headings, text.
//!
//! A single page does not tell. A line is a running head or foot when it stands near the edge of a page, and a page close by has the
//! same line in the same place, whatever its numbers say. A heading is set in larger type than most of the document. So this looks
//! at the finished document, in the parent, at places and characters only. It takes no text away: whoever wants the text without its
//! running heads leaves their lines out.

use std::collections::{BTreeSet, HashMap};

use crate::document::{Document, Line, LineRole, Page, TextEngine};

/// Share of the height of a page that holds what runs along its edge.
const EDGE_SHARE: f32 = 0.15;

/// Most lines that run along one edge.
const EDGE_LINES: usize = 4;

/// Pages further apart than this say nothing about each other: left and right pages have their own heads, and chapters begin.
const NEAR_PAGES: usize = 2;

/// Distance of the same line on two pages, as a share of the height of the page.
const SAME_PLACE: f32 = 0.012;

/// Longer lines are text.
const LONGEST_CHARS: u32 = 200;

/// Sets the roles of all lines.
pub(crate) fn mark(document: &mut Document) {
    mark_edges(&mut document.pages);
    mark_headings(&mut document.pages);
}

/// A line near an edge of its page.
struct EdgeLine {
    line: usize,
    role: LineRole,
    /// Its middle, as a share of the height of the page.
    place: f32,
    /// Its characters, numbers made equal.
    key: String,
}

fn mark_edges(pages: &mut [Page]) {
    let edges: Vec<Vec<EdgeLine>> = pages.iter().map(edge_lines).collect();
    for (index, page) in pages.iter_mut().enumerate() {
        let first = index.saturating_sub(NEAR_PAGES);
        let last = (index + NEAR_PAGES).min(edges.len() - 1);
        let mut repeating = Vec::new();
        for edge in &edges[index] {
            let is_same = |other: &EdgeLine| {
                other.role == edge.role
                    && (other.place - edge.place).abs() < SAME_PLACE
                    && other.key == edge.key
            };
            if (first..=last).any(|near| near != index && edges[near].iter().any(is_same)) {
                repeating.push(edge.line);
            }
        }
        for (role, is_top) in [(LineRole::Header, true), (LineRole::Footer, false)] {
            for line in running(page, &edges[index], &repeating, (role, is_top)) {
                page.lines[line].role = role;
            }
        }
    }
}

/// The lines along one edge that repeat, as far as white space sets them apart from the text: rows of a table that goes on from page
/// to page repeat too.
fn running(
    page: &Page,
    edges: &[EdgeLine],
    repeating: &[usize],
    (role, is_top): (LineRole, bool),
) -> Vec<usize> {
    /// White space, in heights of a line.
    const APART: f32 = 0.6;
    let along: Vec<usize> = edges
        .iter()
        .filter(|edge| edge.role == role)
        .map(|edge| edge.line)
        .collect();
    let count = along
        .iter()
        .take_while(|line| repeating.contains(line))
        .count();
    let is_apart = |count: &usize| {
        let kept = &along[..*count];
        let place = |line: usize| page.lines[line].bbox;
        let inner = kept.iter().map(|&line| place(line));
        let height = inner
            .clone()
            .map(|[_, y0, _, y1]| y1 - y0)
            .fold(0.0, f32::max);
        let nearest = page
            .lines
            .iter()
            .enumerate()
            .filter(|(line, _)| !kept.contains(line));
        let gap = if is_top {
            let end = inner
                .map(|[_, _, _, y1]| y1)
                .fold(f32::NEG_INFINITY, f32::max);
            nearest
                .map(|(_, line)| line.bbox[1] - end)
                .fold(f32::INFINITY, f32::min)
        } else {
            let start = inner.map(|[_, y0, _, _]| y0).fold(f32::INFINITY, f32::min);
            nearest
                .map(|(_, line)| start - line.bbox[3])
                .fold(f32::INFINITY, f32::min)
        };
        if gap.is_infinite() {
            kept.len() == 1
        } else {
            gap >= APART * height
        }
    };
    let count = (1..=count).rev().find(is_apart).unwrap_or(0);
    along[..count].to_vec()
}

fn edge_lines(page: &Page) -> Vec<EdgeLine> {
    if page.height <= 0.0 {
        return Vec::new();
    }
    let mut by_place: Vec<(f32, usize)> = page
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.end - line.start <= LONGEST_CHARS)
        .map(|(index, line)| {
            (
                f32::midpoint(line.bbox[1], line.bbox[3]) / page.height,
                index,
            )
        })
        .collect();
    by_place.sort_by(|a, b| a.0.total_cmp(&b.0));
    let top = by_place
        .iter()
        .take(EDGE_LINES)
        .filter(|(place, _)| *place < EDGE_SHARE);
    let bottom = by_place
        .iter()
        .rev()
        .take(EDGE_LINES)
        .filter(|(place, _)| *place > 1.0 - EDGE_SHARE);
    let found = top
        .map(|at| (at, LineRole::Header))
        .chain(bottom.map(|at| (at, LineRole::Footer)));
    let characters: Vec<char> = page.text.chars().collect();
    found
        .map(|(&(place, line), role)| EdgeLine {
            line,
            role,
            place,
            key: key(&characters, &page.lines[line]),
        })
        .filter(|edge| !edge.key.is_empty())
        .collect()
}

/// The characters of a line without white space, every number made `#`.
fn key(characters: &[char], line: &Line) -> String {
    let text = characters
        .get(line.start as usize..line.end as usize)
        .unwrap_or_default();
    let plain: String = text.iter().filter(|c| !c.is_whitespace()).collect();
    let core = plain.trim_matches(|c: char| !c.is_alphanumeric());
    if !core.is_empty() && core.chars().all(|c| "ivxlcIVXLC".contains(c)) {
        return "#".to_owned();
    }
    let mut key = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            _ if !c.is_numeric() => key.extend(c.to_lowercase()),
            _ if key.ends_with('#') => {}
            _ => key.push('#'),
        }
    }
    key
}

/// Least size of a heading, in sizes of the text.
const HEADING_SIZE: f32 = 1.14;

/// Sizes closer than this share are one.
const SAME_SIZE: f32 = 0.04;

/// Where more of the document than this is set large, size says nothing.
const MOST_HEADINGS: f32 = 0.35;

fn mark_headings(pages: &mut [Page]) {
    let sizes = || {
        pages
            .iter()
            .filter(|page| has_font_sizes(page))
            .flat_map(|page| page.lines.iter().filter_map(size))
    };
    let Some(body) = common_size(sizes()) else {
        return;
    };
    let is_large = |size: f32| size >= HEADING_SIZE * body;
    let (mut large, mut all) = (0, 0);
    let mut steps = BTreeSet::new();
    for (size, characters) in sizes() {
        all += characters;
        if is_large(size) {
            large += characters;
            steps.insert(step(size));
        }
    }
    if large as f32 > MOST_HEADINGS * all as f32 {
        return;
    }
    let levels = levels(&steps);
    for page in pages.iter_mut().filter(|page| has_font_sizes(page)) {
        let characters: Vec<char> = page.text.chars().collect();
        for line in &mut page.lines {
            let text = characters
                .get(line.start as usize..line.end as usize)
                .unwrap_or_default();
            let letters = text.iter().filter(|c| c.is_alphabetic()).count();
            let large = size(line).filter(|(size, _)| is_large(*size));
            if let Some((size, count)) = large
                && line.role == LineRole::Body
                && letters >= 2
                && count <= LONGEST_CHARS
            {
                line.role = levels
                    .get(&step(size))
                    .copied()
                    .unwrap_or(LineRole::Heading3);
            }
        }
    }
}

/// Recognised lines are as high as the letters in them, which says little about the type.
fn has_font_sizes(page: &Page) -> bool {
    matches!(page.engine, TextEngine::Hayro | TextEngine::PdfExtract)
}

/// Height of a line that runs across the page, and its characters.
fn size(line: &Line) -> Option<(f32, u32)> {
    let [x0, y0, x1, y1] = line.bbox;
    let characters = line.end.saturating_sub(line.start);
    let is_across = x1 - x0 > 0.8 * (y1 - y0) && y1 > y0;
    (is_across && characters > 0).then_some((y1 - y0, characters))
}

/// The size of most characters.
fn common_size(sizes: impl Iterator<Item = (f32, u32)>) -> Option<f32> {
    let mut counts: HashMap<i32, (u64, f32)> = HashMap::new();
    for (size, characters) in sizes {
        let entry = counts.entry(step(size)).or_insert((0, size));
        entry.0 += u64::from(characters);
    }
    let most = counts
        .into_iter()
        .max_by_key(|(step, (count, _))| (*count, *step));
    most.map(|(_, (_, size))| size)
}

/// Sizes on a scale whose steps are [`SAME_SIZE`] apart.
fn step(size: f32) -> i32 {
    (size.ln() / SAME_SIZE).round() as i32
}

/// The level of each large size, neighbouring steps being one.
fn levels(steps: &BTreeSet<i32>) -> HashMap<i32, LineRole> {
    const LEVELS: [LineRole; 3] = [LineRole::Heading1, LineRole::Heading2, LineRole::Heading3];
    let mut levels = HashMap::new();
    let (mut level, mut last) = (0, None);
    for &step in steps.iter().rev() {
        if last.is_some_and(|last| last - step > 1) {
            level = (level + 1).min(LEVELS.len() - 1);
        }
        last = Some(step);
        levels.insert(step, LEVELS[level]);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaType;

    /// A page of lines, each with the y of its upper edge and its height.
    fn page(number: u32, lines: &[(&str, f32, f32)]) -> Page {
        let mut page = Page {
            engine: TextEngine::Hayro,
            ..Page::empty(number, (600.0, 800.0))
        };
        for (text, y, height) in lines {
            let start = page.text.chars().count() as u32;
            page.text.push_str(text);
            let end = page.text.chars().count() as u32;
            page.text.push('\n');
            page.lines
                .push(Line::new(start, end, [50.0, *y, 500.0, y + height]));
        }
        page
    }

    fn roles(pages: Vec<Page>) -> Vec<Vec<LineRole>> {
        let mut document = Document::empty(MediaType::Pdf);
        document.pages = pages;
        mark(&mut document);
        let roles = |page: &Page| page.lines.iter().map(|line| line.role).collect();
        document.pages.iter().map(roles).collect()
    }

    #[test]
    fn heads_and_page_numbers_that_run_over_pages_are_marked() {
        use LineRole::{Body, Footer, Header};
        let pages = ["first", "second", "third", "last"]
            .into_iter()
            .zip(1..)
            .map(|(text, n)| {
                let number = format!("- {n} -");
                page(
                    n,
                    &[
                        ("Annual report", 30.0, 10.0),
                        (text, 90.0, 10.0),
                        (&number, 770.0, 10.0),
                    ],
                )
            });
        assert_eq!(roles(pages.collect()), vec![vec![Header, Body, Footer]; 4]);
    }

    #[test]
    fn rows_of_a_table_that_goes_on_are_text() {
        let rows = [
            ("1 of 7", 30.0, 10.0),
            ("2 of 7", 42.0, 10.0),
            ("3 of 7", 54.0, 10.0),
        ];
        let pages = (1..=3).map(|n| page(n, &rows)).collect();
        assert!(
            roles(pages)
                .iter()
                .flatten()
                .all(|role| *role == LineRole::Body)
        );
    }

    #[test]
    fn left_and_right_pages_have_heads_of_their_own() {
        let pages = (1..=4)
            .map(|n| {
                let head = ["The harbour", "Chapter two"][n as usize % 2];
                page(n, &[(head, 30.0, 10.0), ("text", 400.0, 10.0)])
            })
            .collect();
        assert!(
            roles(pages)
                .iter()
                .all(|roles| roles[0] == LineRole::Header)
        );
    }

    #[test]
    fn text_that_happens_to_repeat_elsewhere_is_text() {
        let pages = vec![
            page(1, &[("Summary", 60.0, 10.0), ("text", 400.0, 10.0)]),
            page(2, &[("Summary", 85.0, 10.0), ("text", 400.0, 10.0)]),
        ];
        assert!(
            roles(pages)
                .iter()
                .flatten()
                .all(|role| *role == LineRole::Body)
        );
    }

    #[test]
    fn larger_type_is_a_heading_and_its_size_the_level() {
        use LineRole::{Body, Heading1, Heading2};
        let text = "a line of the text that is as long as such lines are";
        let lines = [
            ("Report", 60.0, 24.0),
            ("Method", 120.0, 14.0),
            (text, 150.0, 10.0),
            (text, 165.0, 10.2),
        ];
        assert_eq!(
            roles(vec![page(1, &lines)]),
            [[Heading1, Heading2, Body, Body]]
        );
    }

    #[test]
    fn a_poster_has_no_headings() {
        let lines = [
            ("ALL OF IT", 60.0, 60.0),
            ("IS LARGE", 160.0, 40.0),
            ("small print", 300.0, 10.0),
        ];
        assert!(
            roles(vec![page(1, &lines)])[0]
                .iter()
                .all(|role| *role == LineRole::Body)
        );
    }

    #[test]
    fn roman_page_numbers_are_numbers() {
        let line = Line::new(0, 3, [0.0; 4]);
        assert_eq!(key(&['x', 'i', 'v'], &line), "#");
        assert_eq!(key(&['p', '.', '9'], &line), "p.#");
    }
}
