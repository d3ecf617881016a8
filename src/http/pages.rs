//! `GET /api/jobs/{id}/pages/{n}.png` and `GET /api/jobs/{id}/thumbnail`: the pages of the uploaded file as pictures.
//!
//! They need the file and nothing else, so they are there from the moment of the upload, whatever becomes of the job. A picture
//! never changes for its address: clients keep it, and one that asks again is told so without anything being drawn.

pub mod studio;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG},
};
use quire_extract::{MediaType, PICTURE_WIDTHS};
use quire_store::{Job, JobId, Owner};
use serde::Deserialize;
use utoipa::IntoParams;

use self::studio::Wanted;
use super::{conditional, jobs::JobPath, query::Parameters};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Width of a page when none is asked for: one that is read on a screen.
const PAGE_WIDTH: u32 = 1_200;

/// Width of a thumbnail when none is asked for.
const THUMBNAIL_WIDTH: u32 = 320;

/// Widest thumbnail; who wants more asks for the page.
const MAX_THUMBNAIL_WIDTH: u32 = 640;

/// Raised when the same page would look different: part of the tag.
const LOOK: u32 = 1;

/// The client may keep it for ever, and asks for it no more.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// Query of pictures.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PictureQuery {
    /// Width in pixels, brought within 16 to 2480 (640 for a thumbnail). A picture is not made larger than it is in its file.
    #[param(example = "800")]
    w: Option<String>,
}

/// Shows a page of the uploaded PDF, or the image, as a picture.
#[utoipa::path(get, path = "/api/jobs/{id}/pages/{page}", tag = "jobs",
    params(
        ("id" = String, Path),
        ("page" = String, Path, description = "number of the page, from 1, and `.png`", example = "1.png"),
        PictureQuery, ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, content_type = "image/png", body = Vec<u8>, headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "the client's copy is current"),
        (status = 404, body = ErrorBody, description = "`not_found`: no such job, or no such page"),
        (status = 409, body = ErrorBody, description = "`password_needed`: the file is encrypted"),
        (status = 415, body = ErrorBody, description = "`no_picture`: the type of the file has no pages to be drawn"),
        (status = 422, body = ErrorBody),
        (status = 424, body = ErrorBody, description = "`page_failed`: the page cannot be drawn"),
        (status = 503, body = ErrorBody, description = "`overloaded`: too many pictures are being drawn; try again after `Retry-After`"),
    ))]
pub async fn page(
    State(state): State<AppState>,
    Path((id, page)): Path<(String, String)>,
    Parameters(query): Parameters<PictureQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id: JobId = id.parse().map_err(|_| ApiError::NotFound("job"))?;
    let number = page_number(&page).ok_or(ApiError::NotFound("page"))?;
    let width = width(query.w.as_deref(), PAGE_WIDTH, *PICTURE_WIDTHS.end())?;
    picture(&state, id, (number, width), &headers).await
}

/// Shows the first page of the uploaded PDF, or the image, as a small picture.
#[utoipa::path(get, path = "/api/jobs/{id}/thumbnail", tag = "jobs",
    params(("id" = String, Path), PictureQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, content_type = "image/png", body = Vec<u8>, headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "the client's copy is current"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`password_needed`: the file is encrypted"),
        (status = 415, body = ErrorBody, description = "`no_picture`: the type of the file has no pages to be drawn"),
        (status = 422, body = ErrorBody),
        (status = 424, body = ErrorBody, description = "`page_failed`: the page cannot be drawn"),
        (status = 503, body = ErrorBody, description = "`overloaded`: too many pictures are being drawn; try again after `Retry-After`"),
    ))]
pub async fn thumbnail(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<PictureQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let width = width(query.w.as_deref(), THUMBNAIL_WIDTH, MAX_THUMBNAIL_WIDTH)?;
    picture(&state, id, (1, width), &headers).await
}

async fn picture(
    state: &AppState,
    id: JobId,
    (page, width): (u32, u32),
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let job = state.store.job(Owner::LOCAL, id).await?;
    let job = job.ok_or(ApiError::NotFound("job"))?;
    let wanted = wanted(&job, page, width)?;
    let tag = tag(&wanted);
    if conditional::knows(headers, &tag) {
        return with_headers(StatusCode::NOT_MODIFIED.into_response(), &tag);
    }
    let png = state.studio.png(&state.files, wanted).await?;
    let mut response = with_headers(png.into_response(), &tag)?;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("image/png"));
    Ok(response)
}

fn wanted(job: &Job, page: u32, width: u32) -> Result<Wanted, ApiError> {
    let media = MediaType::from_name(&job.media).ok_or(ApiError::NoPicture("unknown"))?;
    if !media.has_pictures() {
        return Err(ApiError::NoPicture(media.name()));
    }
    Ok(Wanted {
        sha256: job.sha256,
        media,
        page,
        width,
    })
}

fn tag(wanted: &Wanted) -> String {
    let content = hex::encode(&wanted.sha256[..conditional::TAG_BYTES]);
    format!("\"{content}-{}-{}-{LOOK}\"", wanted.page, wanted.width)
}

fn with_headers(mut response: Response, tag: &str) -> Result<Response, ApiError> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    headers.insert(
        ETAG,
        HeaderValue::from_str(tag).map_err(ApiError::internal)?,
    );
    Ok(response)
}

/// The number in `12.png`.
fn page_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".png")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|number| plain && *number > 0 && !digits.starts_with('0'))
}

/// The width that was asked for, brought within the limits.
fn width(given: Option<&str>, default: u32, most: u32) -> Result<u32, ApiError> {
    let Some(given) = given else {
        return Ok(default);
    };
    let width: u64 = given
        .parse()
        .map_err(|_| ApiError::field("w", "invalid", "is not a number of pixels"))?;
    let width = u32::try_from(width).unwrap_or(u32::MAX);
    Ok(width.clamp(*PICTURE_WIDTHS.start(), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_number_and_an_ending() {
        assert_eq!(page_number("1.png"), Some(1));
        assert_eq!(page_number("4294967295.png"), Some(u32::MAX));
        for name in [
            "",
            "1",
            ".png",
            "0.png",
            "01.png",
            "+1.png",
            "-1.png",
            "1.jpg",
            "1.PNG",
            "4294967296.png",
            "a.png",
        ] {
            assert_eq!(page_number(name), None, "{name:?}");
        }
    }

    #[test]
    fn widths_are_brought_within_the_limits() {
        assert_eq!(width(None, 320, 640).unwrap(), 320);
        assert_eq!(width(Some("100"), 320, 640).unwrap(), 100);
        assert_eq!(width(Some("0"), 320, 640).unwrap(), 16);
        assert_eq!(width(Some("99999999999"), 320, 640).unwrap(), 640);
        for text in ["", "-1", "1.5", "wide", "99999999999999999999999"] {
            assert!(
                matches!(width(Some(text), 320, 640), Err(ApiError::Validation(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn tags_differ_by_content_page_and_width() {
        let wanted = Wanted {
            sha256: [1; 32],
            media: MediaType::Pdf,
            page: 1,
            width: 11,
        };
        let tags = [
            tag(&wanted),
            tag(&Wanted {
                sha256: [2; 32],
                ..wanted
            }),
            tag(&Wanted { page: 11, ..wanted }),
            tag(&Wanted { width: 1, ..wanted }),
        ];
        let different: std::collections::HashSet<_> = tags.iter().collect();
        assert_eq!(different.len(), tags.len());
    }
}
