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
        (MediaType::Ico, ImageFormat::Ico),
        (MediaType::Pnm, ImageFormat::Pnm),
        (MediaType::Tga, ImageFormat::Tga),
    ];
    for (media, format) in cases {
        let bytes = encode(picture.clone(), format);
        assert_eq!(quire_extract::sniff(&bytes, "upload.tga"), Some(media));
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
fn copies_of_a_picture_have_nearly_the_same_fingerprint() {
    let pool = pool();
    let wave = |x: u32, y: u32| {
        let (x, y) = (x as f32 / 60.0, y as f32 / 45.0);
        (128.0 + 70.0 * (x * 1.7).sin() + 50.0 * (y * 2.3).cos()) as u8
    };
    let picture = |turned: bool| {
        RgbImage::from_fn(320, 240, |x, y| {
            let level = if turned { wave(y, x) } else { wave(x, y) };
            Rgb([level, level / 2, 255 - level])
        })
    };
    let hash = |media, format, turned| {
        let document = parse(&pool, media, &encode(picture(turned), format)).unwrap();
        u64::from_str_radix(&document.image.unwrap().difference_hash.unwrap(), 16).unwrap()
    };
    let png = hash(MediaType::Png, ImageFormat::Png, false);
    let jpeg = hash(MediaType::Jpeg, ImageFormat::Jpeg, false);
    let other = hash(MediaType::Png, ImageFormat::Png, true);
    assert!((png ^ jpeg).count_ones() <= 4, "{png:x} {jpeg:x}");
    assert!((png ^ other).count_ones() > 10, "{png:x} {other:x}");
}

#[test]
fn sixteen_bits_and_colour_profiles_are_told() {
    use image::ImageEncoder;
    use image::codecs::png::PngEncoder;

    let pool = pool();
    let deep = image::ImageBuffer::from_fn(8, 8, |x, _| Luma([x as u16 * 8_000]));
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    let mut profile = vec![0; 132];
    profile[16..20].copy_from_slice(b"GRAY");
    profile[36..40].copy_from_slice(b"acsp");
    encoder.set_icc_profile(profile).unwrap();
    let raw: Vec<u8> = deep
        .as_raw()
        .iter()
        .flat_map(|level: &u16| level.to_ne_bytes())
        .collect();
    encoder
        .write_image(&raw, 8, 8, image::ExtendedColorType::L16)
        .unwrap();
    let info = parse(&pool, MediaType::Png, &bytes).unwrap().image.unwrap();
    assert_eq!(
        (info.color.as_str(), info.color_profile.as_deref()),
        ("grey16", Some("GRAY"))
    );
}

#[test]
fn an_avif_is_refused_with_the_remedy() {
    let file = b"\0\0\0\x14ftypavif\0\0\0\0mif1 and so on";
    assert_eq!(
        quire_extract::sniff(file, "photo.jpg"),
        Some(MediaType::Avif)
    );
    let error = parse(&pool(), MediaType::Avif, file).unwrap_err();
    assert!(matches!(error, ParseError::NotSupported(_)), "{error}");
    assert!(
        error.to_string().contains("save the picture as PNG"),
        "{error}"
    );
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
