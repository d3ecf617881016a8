//! The bounds of PDF reading, in one place: what a hostile file could ask for, and where we stop.
//!
//! The sandbox has the last word on time and memory. These limits come first, because a job that ends at a limit of its own keeps
//! the pages it has and can say what was wrong.

/// Largest file that is read. It is held in memory once, beside what the engines make of it, in a child of 768 MiB.
pub(super) const MAX_FILE_BYTES: u64 = 256 << 20;

/// Most text that is taken from one document.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 20;

/// Most glyphs of one page. The densest real pages (timetables, genealogies) have about 40,000.
pub(super) const MAX_GLYPHS: u32 = 1_000_000;

/// Most drawing calls of one page that are not glyphs. Maps and technical drawings reach some 500,000.
pub(super) const MAX_DRAW_CALLS: u32 = 2_000_000;

/// Most clip paths of one page. Each form that is drawn sets one, and a form that draws the next one twice at each of 30 levels would
/// make 2^30.
pub(super) const MAX_CLIPS: u32 = 300_000;

/// Most pictures of one page that are looked at for text. Scanners write pages in some ten strips.
pub(super) const MAX_PICTURES: usize = 64;

/// Largest content stream, decoded: page descriptions above 64 MiB are not written by anything but compression bombs.
pub(super) const MAX_CONTENT_BYTES: u64 = 64 << 20;

/// Decoded content after which the document is opened anew: hayro keeps the content of every page it has read.
pub(super) const REOPEN_BYTES: usize = 96 << 20;

/// Largest file that pdf-extract is given: lopdf copies every object of the file.
pub(super) const NAMED_MAX_FILE_BYTES: usize = 48 << 20;

/// Most pages that pdf-extract is given: it looks through the whole page tree for each page.
pub(super) const NAMED_MAX_PAGES: usize = 1_000;

/// Largest decoded stream that pdf-extract is given: fonts with all of Chinese have some 15 MiB.
pub(super) const NAMED_MAX_STREAM_BYTES: u64 = 24 << 20;

/// Most bytes of content that pdf-extract interprets for one page, each form counted as often as it is drawn. Its list of operators
/// takes some 30 times the memory of the stream.
pub(super) const NAMED_MAX_PAGE_BYTES: u64 = 6 << 20;

/// Most text that is taken from pdf-extract for one page.
pub(super) const NAMED_MAX_TEXT_BYTES: usize = 4 << 20;

/// Deepest nesting of forms that pdf-extract is given: it recurses on the stack.
pub(super) const NAMED_MAX_FORM_DEPTH: usize = 16;

/// Resolution of page images for character recognition: what Tesseract was trained on is 200 to 300 dpi.
pub(super) const RASTER_DPI: f32 = 200.0;

/// Most drawing calls of a page that is rasterised. Drawing takes about 100 times as long as counting.
pub(super) const RASTER_MAX_DRAW_CALLS: u32 = 300_000;

/// Most pixels of the pictures on one page that is rasterised: they are decoded at full size, up to 4 bytes a pixel.
pub(super) const RASTER_MAX_SOURCE_PIXELS: u64 = 80_000_000;
