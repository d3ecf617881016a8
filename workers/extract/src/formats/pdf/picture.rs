//! One page drawn for people.
//!
//! The page is interpreted once without drawing first: a page that would draw for minutes is refused after milliseconds.

use hayro_interpret::InterpreterCache;

use super::cmaps;
use super::limits::{MAX_FILE_BYTES, RASTER_MAX_DRAW_CALLS, RASTER_MAX_SOURCE_PIXELS};
use super::open::open;
use super::raster::draw_in_colour;
use super::text_layer::{Outcome, interpret};
use crate::error::ParseError;
use crate::formats::Input;
use crate::picture::{Picture, PictureRequest};

/// Draws the page that `request` names.
pub(super) fn draw(input: &mut Input, request: &PictureRequest) -> Result<Picture, ParseError> {
    let bytes = input.read_all(MAX_FILE_BYTES)?;
    let opened = open(bytes, request.password.as_deref())?;
    let index = request.page.checked_sub(1);
    let page = index
        .and_then(|index| opened.pdf.pages().get(index as usize))
        .ok_or(ParseError::PageMissing(request.page))?;
    let settings = cmaps::settings();
    let (content, outcome) = interpret(page, &InterpreterCache::new(), &settings);
    if outcome == Outcome::OverBudget
        || content.draw_calls > RASTER_MAX_DRAW_CALLS
        || content.source_pixels > RASTER_MAX_SOURCE_PIXELS
    {
        return Err(ParseError::LimitExceeded(
            "the page draws too much".to_owned(),
        ));
    }
    draw_in_colour(page, &settings, request.width)
        .ok_or_else(|| ParseError::Damaged("the page cannot be drawn".to_owned()))
}
