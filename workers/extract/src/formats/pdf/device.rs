//! The text device: what hayro-interpret calls while it runs through a page.
//!
//! It collects glyphs in page coordinates and takes note of what else is drawn, which tells a blank page from a scanned one. The
//! interpreter cannot be asked to stop, so a page over its budget is left by unwinding ([`OverBudget`]); what was collected until
//! then stays in the device. No glyph is judged here: invisible text is text (that is how scanners store what they recognised).

use std::panic::resume_unwind;

use hayro_interpret::font::{Glyph as DrawnGlyph, GlyphRun, PositionedGlyph};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::object::{Dict, String as PdfString};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect, Shape, Vec2};
use hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, Paint, SoftMask,
};

use super::codes::name_unknown;
use super::geometry::Angle;
use super::glyph::{Glyph, GlyphText};
use super::limits::{MAX_CLIPS, MAX_DRAW_CALLS, MAX_GLYPHS, MAX_PICTURES};
use super::rulings::Rulings;
use super::score::is_junk;
use super::strings::decode_text_string;

/// Thrown (by unwinding) out of the interpreter when a page asks for more than its budget.
pub(super) struct OverBudget;

/// Everything a page draws, as far as text is concerned.
#[derive(Default)]
pub(super) struct PageContent {
    /// The glyphs in the order in which they are drawn.
    pub(super) glyphs: Vec<Glyph>,
    /// Straight lines along and across the page.
    pub(super) rulings: Rulings,
    /// Drawing calls that are not glyphs.
    pub(super) draw_calls: u32,
    /// Lines, areas and pictures that leave a mark on white paper.
    pub(super) marks: u32,
    /// Pixels of all pictures at their full size.
    pub(super) source_pixels: u64,
    /// Where the first pictures stand.
    pub(super) pictures: Vec<Rect>,
    /// Largest share of the page that one picture covers, 0 to 1.
    pub(super) picture_share: f32,
    /// Whether the page was left before its end.
    pub(super) cut_short: bool,
}

impl PageContent {
    /// Whether the fonts of the page do not say what most of its glyphs mean.
    pub(super) fn is_mostly_unknown(&self) -> bool {
        let unknown = self
            .glyphs
            .iter()
            .filter(|glyph| glyph.text == GlyphText::UNKNOWN)
            .count();
        unknown * 2 > self.glyphs.len()
    }
}

/// The device itself.
pub(super) struct TextDevice {
    page: Rect,
    content: PageContent,
    replacements: Vec<Replacement>,
    /// Clip paths so far: at least one for each form that is drawn.
    clips: u32,
}

/// A marked-content sequence; with `/ActualText` it says what the glyphs in it mean.
enum Replacement {
    None,
    Pending(GlyphText),
    Used,
}

impl TextDevice {
    /// A device for a page of `width` by `height` points.
    pub(super) fn new(width: f32, height: f32) -> Self {
        let page = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        Self {
            page,
            content: PageContent::default(),
            replacements: Vec::new(),
            clips: 0,
        }
    }

    /// What was drawn.
    pub(super) fn into_content(mut self) -> PageContent {
        name_unknown(&mut self.content.glyphs);
        self.content
    }

    fn count_call(&mut self) {
        self.content.draw_calls += 1;
        if self.content.draw_calls > MAX_DRAW_CALLS {
            self.leave_page();
        }
    }

    fn leave_page(&mut self) -> ! {
        self.content.cut_short = true;
        // Unlike a panic, this does not call the panic hook: nothing went wrong in our code.
        resume_unwind(Box::new(OverBudget))
    }

    fn mark(&mut self, paint: &Paint<'_>, bounds: Rect) {
        if is_visible(paint) && bounds.overlaps(self.page) {
            self.content.marks += 1;
        }
    }

    fn add(&mut self, glyph: &PositionedGlyph<'_>, run: RunMetrics, vertical: bool) {
        let placed = run.transform * glyph.transform();
        let Some(glyph) = run.place(glyph, placed, vertical) else {
            return;
        };
        let centre = Point::new(f64::from(glyph.x), f64::from(glyph.y));
        // Text beside the page is never seen; a generous border keeps glyphs that only start outside.
        if !self
            .page
            .inflate(f64::from(glyph.size), f64::from(glyph.size))
            .contains(centre)
        {
            return;
        }
        if self.content.glyphs.len() >= MAX_GLYPHS as usize {
            self.leave_page();
        }
        let glyph = Glyph {
            text: self.text_in_context(glyph.text),
            ..glyph
        };
        self.content.glyphs.push(glyph);
    }

    /// The text of a glyph inside the current marked-content sequences.
    fn text_in_context(&mut self, text: GlyphText) -> GlyphText {
        for replacement in self.replacements.iter_mut().rev() {
            match replacement {
                Replacement::None => {}
                Replacement::Used => return GlyphText::plain(""),
                Replacement::Pending(_) => {
                    return match std::mem::replace(replacement, Replacement::Used) {
                        Replacement::Pending(actual) => actual,
                        Replacement::None | Replacement::Used => text,
                    };
                }
            }
        }
        text
    }
}

/// What all glyphs of a run share.
#[derive(Clone, Copy)]
struct RunMetrics {
    transform: Affine,
    /// Set when the glyphs of the run are stretched, each by its own factor, to make up for a font that is not embedded.
    stretched: bool,
    /// Least font size that fits the advances of the run: type 3 fonts may be drawn at size 1 with huge glyphs.
    least_size: f32,
}

impl RunMetrics {
    fn of(run: &GlyphRun<'_, '_>, transform: Affine) -> Self {
        let mut metrics = Self {
            transform,
            stretched: false,
            least_size: 0.0,
        };
        let mut scale = None;
        let (mut type3_width, mut type3_count) = (0.0, 0);
        for glyph in run.glyphs() {
            let along = axis_lengths(glyph.transform()).0;
            let first = *scale.get_or_insert(along);
            metrics.stretched |= (along - first).abs() > 0.01 * first;
            if let DrawnGlyph::Type3(_) = &**glyph {
                type3_width += axis_lengths(transform * glyph.transform()).0 * advance_units(glyph);
                type3_count += 1;
            }
        }
        if type3_count > 0 {
            // A letter is about half as wide as its font is high.
            metrics.least_size = (type3_width / f64::from(type3_count)) as f32 * 1.6;
        }
        metrics
    }

    fn place(self, glyph: &PositionedGlyph<'_>, placed: Affine, vertical: bool) -> Option<Glyph> {
        let (along, across) = axis_lengths(placed);
        let size = (across * UNITS_PER_EM) as f32;
        let natural = if size < self.least_size * 0.5 {
            self.least_size
        } else {
            size
        };
        let mut glyph = if vertical {
            place_vertical(glyph, placed, natural)
        } else {
            self.place_horizontal(glyph, placed, along)
        };
        glyph.size = natural;
        let finite = [glyph.x, glyph.y, glyph.advance, glyph.size]
            .iter()
            .all(|value| value.is_finite());
        (finite && glyph.size > 0.0).then_some(glyph)
    }

    fn place_horizontal(self, glyph: &PositionedGlyph<'_>, placed: Affine, along: f64) -> Glyph {
        let scale = if self.stretched {
            axis_lengths(placed).1
        } else {
            along
        };
        let origin = placed * Point::ORIGIN;
        let direction = linear(placed) * Vec2::new(1.0, 0.0).to_point();
        Glyph {
            text: unicode(glyph),
            code: glyph.char_code(),
            x: origin.x as f32,
            y: origin.y as f32,
            advance: (advance_units(glyph) * scale) as f32,
            size: 0.0,
            angle: Angle::of(direction.x as f32, direction.y as f32),
        }
    }
}

/// Thousandths of the font size: the unit of glyph space.
const UNITS_PER_EM: f64 = 1000.0;

/// A glyph of vertical writing: the column runs down the page through the middle of the glyph.
fn place_vertical(glyph: &PositionedGlyph<'_>, placed: Affine, size: f32) -> Glyph {
    /// Where the baseline of turned text would be, from the left edge of an upright square glyph.
    const BASELINE: f64 = 250.0;
    const TOP: f64 = 880.0;
    let origin = placed * Point::new(BASELINE, TOP);
    let down = linear(placed) * Point::new(0.0, -1.0);
    Glyph {
        text: unicode(glyph),
        code: glyph.char_code(),
        x: origin.x as f32,
        y: origin.y as f32,
        advance: size,
        size,
        angle: Angle::of(down.x as f32, down.y as f32),
    }
}

/// How long a step of one unit along and across the baseline is.
fn axis_lengths(transform: Affine) -> (f64, f64) {
    let [a, b, c, d, _, _] = transform.as_coeffs();
    (a.hypot(b), c.hypot(d))
}

fn linear(transform: Affine) -> Affine {
    transform.with_translation(Vec2::ZERO)
}

/// Stands in for a width that the font does not give.
const AVERAGE_WIDTH: f32 = 500.0;

fn advance_units(glyph: &PositionedGlyph<'_>) -> f64 {
    let units = match &**glyph {
        DrawnGlyph::Outline(glyph) => glyph.advance_width(),
        DrawnGlyph::Type3(glyph) => glyph.advance_width(),
    };
    f64::from(units.unwrap_or(AVERAGE_WIDTH))
}

fn unicode(glyph: &PositionedGlyph<'_>) -> GlyphText {
    match glyph.as_unicode() {
        Some(BfString::Char(c)) if c.is_ascii_graphic() || c == ' ' => GlyphText::One(c),
        Some(BfString::Char(c)) => GlyphText::clean(c.encode_utf8(&mut [0; 4])),
        Some(BfString::String(text)) => GlyphText::clean(&text),
        None => GlyphText::UNKNOWN,
    }
}

/// Whether a paint leaves a mark on white paper.
fn is_visible(paint: &Paint<'_>) -> bool {
    /// Darkest channel value that still counts as white.
    const WHITE: u8 = 250;
    match paint {
        Paint::Color(color) => {
            let [red, green, blue, alpha] = color.to_rgba().to_rgba8();
            alpha > 0 && red.min(green).min(blue) < WHITE
        }
        Paint::Pattern(_) => true,
    }
}

impl<'a> Device<'a> for TextDevice {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, _: &DrawMode) {
        self.count_call();
        if is_visible(&props.paint) {
            self.content.rulings.add(path, props.transform);
        }
        if self.content.marks == 0 {
            let bounds = props.transform.transform_rect_bbox(path.bounding_box());
            // A line has no area.
            self.mark(&props.paint, bounds.inflate(0.5, 0.5));
        }
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.count_call();
        self.clips += 1;
        if self.clips > MAX_CLIPS {
            self.leave_page();
        }
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {
        self.count_call();
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        self.count_call();
        let metrics = RunMetrics::of(run, props.transform);
        let vertical = run.writing_mode() == WritingMode::Vertical;
        for glyph in run.glyphs() {
            self.add(glyph, metrics, vertical);
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.count_call();
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        self.content.source_pixels += u64::from(image.width()) * u64::from(image.height());
        let place = props
            .transform
            .transform_rect_bbox(Rect::new(0.0, 0.0, width, height))
            .intersect(self.page);
        if place.area() > 0.0 {
            self.content.marks += 1;
            if self.content.pictures.len() < MAX_PICTURES {
                self.content.pictures.push(place);
            }
            let share = (place.area() / self.page.area()) as f32;
            self.content.picture_share = self.content.picture_share.max(share);
        }
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}

    fn begin_marked_content(&mut self, _: &[u8], properties: Option<&Dict<'_>>) {
        let actual =
            properties.and_then(|properties| properties.get::<PdfString<'_>>(b"ActualText"));
        let text = actual.map(|actual| decode_text_string(actual.as_bytes()));
        // Some writers state control characters for the dots of a leader; the glyphs say more then.
        let told = text.filter(|text| text.is_empty() || !text.chars().all(is_junk));
        self.replacements.push(match told {
            Some(text) => Replacement::Pending(GlyphText::clean(&text)),
            None => Replacement::None,
        });
    }

    fn end_marked_content(&mut self) {
        self.replacements.pop();
    }
}
