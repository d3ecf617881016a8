//! A job that draws one page. There is one result, and it is all or nothing.

use std::fs::File;

use super::child_process::{ChildProcess, broken};
use super::watch::{Deadlines, Watch};
use crate::error::ParseError;
use crate::frame::{FromChild, ToChild};
use crate::picture::{MAX_PICTURE_PIXELS, PICTURE_WIDTHS, PIXEL_BYTES, Picture, PictureRequest};
use crate::request::CancelFlag;

/// How a drawing ended.
pub(super) struct Drawn {
    /// The picture, or why there is none.
    pub(super) outcome: Result<Picture, ParseError>,
    /// Whether the child may serve another job.
    pub(super) reusable: bool,
}

/// Draws a page on `child`.
pub(super) fn run(
    child: &mut ChildProcess,
    file: &File,
    request: &PictureRequest,
    deadlines: Deadlines,
    cancel: &CancelFlag,
) -> Drawn {
    let mut watch = Watch::new(cancel, deadlines);
    match drive(child, file, request, &mut watch) {
        Ok(outcome) => Drawn {
            reusable: !matches!(outcome, Err(ParseError::Crashed(_))),
            outcome,
        },
        Err(error) => Drawn {
            outcome: Err(error),
            reusable: false,
        },
    }
}

/// The outer error means that the child is lost.
fn drive(
    child: &mut ChildProcess,
    file: &File,
    request: &PictureRequest,
    watch: &mut Watch<'_>,
) -> Result<Result<Picture, ParseError>, ParseError> {
    child.send_job(file, &ToChild::Draw(request.clone()))?;
    let (width, height) = match child.receive(watch)? {
        FromChild::Picture { width, height } => (width, height),
        FromChild::Failed { code, detail } => {
            return Ok(Err(ParseError::from_wire(&code, &detail)));
        }
        _ => return Err(broken("a message out of order")),
    };
    let mut data = vec![0; bytes(width, height)?];
    child.receive_exact(&mut data, watch)?;
    let picture = Picture {
        width,
        height,
        data,
    };
    match child.receive(watch)? {
        FromChild::Done => Ok(Ok(picture)),
        _ => Err(broken("a message out of order")),
    }
}

/// Checks the size before memory is taken for it.
fn bytes(width: u32, height: u32) -> Result<usize, ParseError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PICTURE_PIXELS || width > *PICTURE_WIDTHS.end() {
        return Err(broken("an impossible picture"));
    }
    Ok(pixels as usize * PIXEL_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_believed_only_within_the_limits() {
        assert_eq!(bytes(2, 3).unwrap(), 18);
        for (width, height) in [(0, 1), (1, 0), (2_481, 1), (2_480, 20_000), (1, u32::MAX)] {
            assert!(
                matches!(bytes(width, height), Err(ParseError::Crashed(_))),
                "{width} x {height}"
            );
        }
    }
}
