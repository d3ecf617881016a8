//! Images: properties, EXIF, and an upright grey picture for character recognition.
//!
//! Only the first frame is decoded, through `ImageReader` with limits on sides, pixels and memory; the animation interfaces of the image
//! crate pass those limits by (0.5 MB of GIF filled 6 GiB, research/reliability.md 0) and are never called. Positions from EXIF are
//! not kept: who asks about a photograph does not ask where its owner lives.

mod exif;
mod frames;
mod grey;
mod hash;
mod icc;
mod icon;
mod small;

use std::io::{BufRead, BufReader, Cursor, Seek};

use image::error::ImageError;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::document::ImageInfo;
use crate::error::{ParseError, short_message};
use crate::formats::{Format, Input, Output, PageImage};
use crate::media::MediaType;
use crate::picture::{Picture, PictureRequest};
use crate::request::ParseRequest;

/// Longest side, in pixels.
const MAX_SIDE: u32 = 16_384;

/// Most pixels: a camera of the largest format has 100 million.
const MAX_PIXELS: u64 = 100_000_000;

/// Most bytes of the decoded picture: a third of a child's address space, as its grey copy lives beside it.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Why AVIF is refused: its decoders are C programs, or slow.
const AVIF: &str = "AVIF images; save the picture as PNG, JPEG or WebP and upload that";

/// Reads images.
#[derive(Debug)]
pub struct Image;

impl Format for Image {
    fn media(&self) -> &[MediaType] {
        &[
            MediaType::Png,
            MediaType::Jpeg,
            MediaType::Webp,
            MediaType::Gif,
            MediaType::Tiff,
            MediaType::Bmp,
            MediaType::Ico,
            MediaType::Tga,
            MediaType::Pnm,
            MediaType::Avif,
        ]
    }

    fn parse(
        &self,
        input: &mut Input,
        request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        if request.media == MediaType::Avif {
            return Err(ParseError::NotSupported(AVIF.to_owned()));
        }
        let frames = frames::count(&mut *input, request.media);
        input.rewind()?;
        let decoded = decode(input, request.media)?;
        let picture = grey::upright(decoded.picture, decoded.orientation);
        out.image(ImageInfo {
            width: picture.original_width,
            height: picture.original_height,
            format: request.media.name().to_owned(),
            color: color_name(decoded.color).to_owned(),
            orientation: decoded.orientation.to_exif(),
            frames,
            exif: decoded.exif,
            color_profile: decoded.profile,
            difference_hash: Some(hash::difference_hash(&picture)),
            caption: None,
        })?;
        out.progress(0, Some(1))?;
        let image = PageImage {
            width: picture.width,
            height: picture.height,
            dpi: 0.0,
            page_width: picture.original_width as f32,
            page_height: picture.original_height as f32,
            data: picture.data,
        };
        out.page_image(1, image)
    }

    fn draw(&self, input: &mut Input, request: &PictureRequest) -> Result<Picture, ParseError> {
        if request.page != 1 {
            return Err(ParseError::PageMissing(request.page));
        }
        let decoded = decode(input, request.media)?;
        Ok(small::upright(
            &decoded.picture,
            decoded.orientation,
            request.width,
        ))
    }
}

struct Decoded {
    picture: DynamicImage,
    color: ColorType,
    orientation: image::metadata::Orientation,
    exif: std::collections::BTreeMap<String, String>,
    /// Name of the colour profile.
    profile: Option<String>,
}

fn decode(input: &mut Input, media: MediaType) -> Result<Decoded, ParseError> {
    let decoded = decode_as(BufReader::new(&mut *input), format_of(media)?);
    if media != MediaType::Ico || !matches!(decoded, Err(ParseError::Damaged(_))) {
        return decoded;
    }
    match icon::largest(input) {
        Some((format, bytes)) => decode_as(Cursor::new(bytes), format),
        None => decoded,
    }
}

fn decode_as(input: impl BufRead + Seek, format: ImageFormat) -> Result<Decoded, ParseError> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(input, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(ParseError::Damaged("the image has no pixels".to_owned()));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_BYTES {
        return Err(ParseError::LimitExceeded(format!(
            "the image has {width} x {height} pixels"
        )));
    }
    let exif = decoder
        .exif_metadata()
        .ok()
        .flatten()
        .map(exif::describe)
        .unwrap_or_default();
    let profile = decoder.icc_profile().ok().flatten();
    // An orientation that cannot be read is none.
    let orientation = decoder
        .orientation()
        .unwrap_or(image::metadata::Orientation::NoTransforms);
    let color = decoder.color_type();
    let picture = DynamicImage::from_decoder(decoder).map_err(explain)?;
    Ok(Decoded {
        picture,
        color,
        orientation,
        exif,
        profile: profile.as_deref().and_then(icc::name),
    })
}

fn format_of(media: MediaType) -> Result<ImageFormat, ParseError> {
    match media {
        MediaType::Png => Ok(ImageFormat::Png),
        MediaType::Jpeg => Ok(ImageFormat::Jpeg),
        MediaType::Webp => Ok(ImageFormat::WebP),
        MediaType::Gif => Ok(ImageFormat::Gif),
        MediaType::Tiff => Ok(ImageFormat::Tiff),
        MediaType::Bmp => Ok(ImageFormat::Bmp),
        MediaType::Ico => Ok(ImageFormat::Ico),
        MediaType::Tga => Ok(ImageFormat::Tga),
        MediaType::Pnm => Ok(ImageFormat::Pnm),
        other => Err(ParseError::NotSupported(format!(
            "{} as an image",
            other.name()
        ))),
    }
}

fn explain(error: ImageError) -> ParseError {
    match error {
        ImageError::Limits(limit) => ParseError::LimitExceeded(short_message(&limit.to_string())),
        ImageError::Unsupported(what) => ParseError::NotSupported(short_message(&what.to_string())),
        other => ParseError::Damaged(short_message(&other.to_string())),
    }
}

fn color_name(color: ColorType) -> &'static str {
    match color {
        ColorType::L8 => "grey8",
        ColorType::La8 => "grey8 with alpha",
        ColorType::Rgb8 => "rgb8",
        ColorType::Rgba8 => "rgb8 with alpha",
        ColorType::L16 => "grey16",
        ColorType::La16 => "grey16 with alpha",
        ColorType::Rgb16 => "rgb16",
        ColorType::Rgba16 => "rgb16 with alpha",
        ColorType::Rgb32F => "rgb32f",
        ColorType::Rgba32F => "rgb32f with alpha",
        _ => "other",
    }
}
