//! Images through the pool: properties, orientation, recognition, and hostile ones.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use quire_extract::{EmptyReason, MediaType, ParseError, TextEngine};

use crate::support::{fixture, parse, pool};

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn every_image_type_gives_its_properties() {
    let pool = pool();
    let picture = RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8 * 6, y as u8 * 8, 90]));
    let cases = [
        (MediaType::Png, ImageFormat::Png),
        (MediaType::Jpeg, ImageFormat::Jpeg),
        (MediaType::Webp, ImageFormat::WebP),
        (MediaType::Gif, ImageFormat::Gif),
        (MediaType::Tiff, ImageFormat::Tiff),
        (MediaType::Bmp, ImageFormat::Bmp),
    ];
    for (media, format) in cases {
        let bytes = encode(picture.clone(), format);
        assert_eq!(quire_extract::sniff(&bytes, "upload"), Some(media));
        let document = parse(&pool, media, &bytes).unwrap();
        let info = document.image.unwrap();
        assert_eq!(
            (info.width, info.height, info.orientation, info.frames),
            (40, 30, 1, 1),
            "{media:?}"
        );
        assert_eq!(info.format, media.name());
        assert_eq!(
            (document.pages.len(), document.pages[0].width),
            (1, 40.0),
            "{media:?}"
        );
    }
}

#[test]
fn printed_text_is_recognised() {
    let pool = pool();
    let document = parse(
        &pool,
        MediaType::Png,
        &std::fs::read(fixture("image/notice/input.png")).unwrap(),
    )
    .unwrap();
    let page = &document.pages[0];
    assert_eq!(
        page.engine,
        TextEngine::Tesseract,
        "{:?} {:?}",
        page.empty_reason,
        document.warnings
    );
    let truth = std::fs::read_to_string(fixture("image/notice/expected.txt")).unwrap();
    let words: Vec<&str> = truth
        .split_whitespace()
        .filter(|word| word.chars().all(char::is_alphabetic))
        .collect();
    let found = words
        .iter()
        .filter(|word| page.text.contains(**word))
        .count();
    assert!(
        found * 10 >= words.len() * 9,
        "{found} of {} words in {:?}",
        words.len(),
        page.text
    );
    assert!(page.confidence.unwrap() > 0.8);
    for line in &page.lines {
        let quoted: String = page
            .text
            .chars()
            .take(line.end as usize)
            .skip(line.start as usize)
            .collect();
        assert!(!quoted.is_empty() && !quoted.contains('\n'));
        assert!(line.bbox[2] <= page.width && line.bbox[3] <= page.height);
    }
}

#[test]
fn a_picture_without_text_is_blank_and_says_so() {
    let pool = pool();
    let document = parse(
        &pool,
        MediaType::Png,
        &encode(
            GrayImage::from_pixel(200, 200, Luma([250])),
            ImageFormat::Png,
        ),
    )
    .unwrap();
    assert_eq!(document.pages[0].empty_reason, Some(EmptyReason::Blank));
}

#[test]
fn hostile_images_are_typed_errors() {
    let pool = pool();
    let png = encode(GrayImage::new(16, 16), ImageFormat::Png);
    let mut giant = png.clone();
    // The width stands at byte 16; the check sum no longer fits either, but the size is looked at first or the file is damaged.
    giant[16..20].copy_from_slice(&1_000_000_u32.to_be_bytes());
    let outcomes = [
        parse(&pool, MediaType::Png, &giant),
        parse(&pool, MediaType::Png, &png[..png.len() / 2]),
        parse(&pool, MediaType::Jpeg, &png),
        parse(&pool, MediaType::Gif, b"GIF89a"),
        parse(&pool, MediaType::Bmp, b"BM\0\0"),
        parse(&pool, MediaType::Webp, b"RIFF\0\0\0\0WEBP"),
        parse(&pool, MediaType::Tiff, b"II*\0\x08\0\0\0\xff\xff"),
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let error = outcome.unwrap_err();
        assert!(
            matches!(
                error,
                ParseError::Damaged(_) | ParseError::LimitExceeded(_) | ParseError::NotSupported(_)
            ),
            "{index}: {error}"
        );
    }
    let wide = encode(GrayImage::new(16_400, 1), ImageFormat::Png);
    assert!(matches!(
        parse(&pool, MediaType::Png, &wide),
        Err(ParseError::LimitExceeded(_))
    ));
    assert!(parse(&pool, MediaType::Png, &png).is_ok());
}
