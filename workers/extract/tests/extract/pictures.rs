//! Pages drawn for people, through the real child.

use std::fs::File;

use quire_extract::{
    CancelFlag, MediaType, ParseError, ParserPool, Picture, PictureRequest, PoolConfig,
};

use crate::support::{file, fixture, mock_parser, pool};

fn draw(pool: &ParserPool, path: &str, page: u32, width: u32) -> Result<Picture, ParseError> {
    let media = match path.rsplit_once('.').unwrap().1 {
        "pdf" => MediaType::Pdf,
        "png" => MediaType::Png,
        _ => MediaType::Csv,
    };
    let request = PictureRequest {
        media,
        password: None,
        page,
        width,
    };
    let file = File::open(fixture(path)).unwrap();
    pool.draw(&file, &request, &CancelFlag::default())
}

#[test]
fn pages_and_images_are_drawn_as_wide_as_asked() {
    let pool = pool();
    let page = draw(&pool, "pdf/three-pages/input.pdf", 3, 300).unwrap();
    assert_eq!((page.width, page.height), (300, 424));
    let inked = page.data.iter().filter(|value| **value < 128).count();
    assert!(inked > 500, "there is text on the page");
    let image = draw(&pool, "image/notice/input.png", 1, 200).unwrap();
    assert_eq!(image.width, 200);
    assert_eq!(
        draw(&pool, "pdf/three-pages/input.pdf", 3, 300).unwrap(),
        page,
        "the same page looks the same"
    );
}

#[test]
fn what_cannot_be_drawn_is_a_typed_error_and_the_pool_goes_on() {
    let pool = pool();
    for (path, page, code) in [
        ("pdf/three-pages/input.pdf", 4, "page_missing"),
        ("image/notice/input.png", 2, "page_missing"),
        ("csv/river-gauges/input.csv", 1, "not_supported"),
    ] {
        assert_eq!(
            draw(&pool, path, page, 100).unwrap_err().code(),
            code,
            "{path}"
        );
    }
    assert!(draw(&pool, "pdf/three-pages/input.pdf", 1, 100).is_ok());
}

#[test]
fn a_cancelled_drawing_ends() {
    let pool = pool();
    let cancel = CancelFlag::default();
    cancel.cancel();
    let request = PictureRequest {
        media: MediaType::Pdf,
        password: None,
        page: 1,
        width: 2_000,
    };
    let pdf = File::open(fixture("pdf/three-pages/input.pdf")).unwrap();
    let outcome = pool.draw(&pdf, &request, &cancel);
    assert!(matches!(outcome, Err(ParseError::Cancelled)), "{outcome:?}");
}

#[test]
fn a_child_that_lies_about_its_picture_is_replaced() {
    let pool = ParserPool::start(PoolConfig::with_program(mock_parser(), 1)).unwrap();
    let draw = |order: &[u8]| {
        let request = PictureRequest {
            media: MediaType::Csv,
            password: None,
            page: 1,
            width: 100,
        };
        pool.draw(&file(order), &request, &CancelFlag::default())
    };
    let outcome = draw(b"picture that is too wide");
    assert!(
        matches!(outcome, Err(ParseError::Crashed(_))),
        "{outcome:?}"
    );
    let outcome = draw(b"panic");
    assert!(
        matches!(outcome, Err(ParseError::Crashed(_))),
        "{outcome:?}"
    );
    assert_eq!(draw(b"picture").unwrap().width, 2);
}
