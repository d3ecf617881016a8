//! What a child may say and what it may not.

use super::*;
use crate::document::{Line, TextEngine};

fn page(number: u32, text: &str) -> Page {
    Page {
        text: text.to_owned(),
        engine: TextEngine::Hayro,
        score: 1.0,
        ..Page::empty(number, (10.0, 10.0))
    }
}

fn table(rows: u64, sample: &[u64]) -> Table {
    Table {
        encoding: "UTF-8".into(),
        delimiter: ',',
        quote: None,
        has_header: true,
        rows,
        ragged_rows: 0,
        columns: vec![],
        sample: sample
            .iter()
            .map(|&number| Row {
                number,
                cells: vec!["a\0".into()],
            })
            .collect(),
        rows_left_out: rows.saturating_sub(sample.len() as u64),
        sheet: None,
        drawn: vec![],
        parts: vec![],
    }
}

fn assembly() -> Assembly {
    Assembly::new(MediaType::Pdf, 10_000)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the outcome is made on the spot"
)]
fn is_lie<T>(outcome: Result<T, ParseError>) -> bool {
    matches!(outcome, Err(ParseError::Crashed(_)))
}

#[test]
fn pages_must_go_up() {
    let mut assembly = assembly();
    assembly.page_number(3).unwrap();
    assert!(is_lie(assembly.page_number(3)));
    assert!(is_lie(assembly.page_number(0)));
    assert!(is_lie(assembly.page_number(MAX_PAGES + 1)));
}

#[test]
fn lies_about_a_page_end_the_job() {
    let line = |start, end| Line::new(start, end, [0.0; 4]);
    assert!(
        assembly()
            .page(Page {
                lines: vec![line(0, 2)],
                ..page(1, "éa")
            })
            .is_ok()
    );
    assert!(is_lie(assembly().page(Page {
        lines: vec![line(0, 3)],
        ..page(1, "éa")
    })));
    assert!(is_lie(assembly().page(Page {
        lines: vec![line(2, 1)],
        ..page(1, "éa")
    })));
    assert!(is_lie(assembly().page(Page {
        score: 1.5,
        ..page(1, "")
    })));
    assert!(is_lie(assembly().page(Page {
        width: f32::NAN,
        ..page(1, "")
    })));
}

#[test]
fn lies_about_a_picture_end_the_job() {
    let head = PageImageHead {
        number: 1,
        width: 2,
        height: 3,
        dpi: 0.0,
        page_width: 2.0,
        page_height: 3.0,
    };
    assert_eq!(assembly().page_image(&head).unwrap(), 6);
    assert!(is_lie(
        assembly().page_image(&PageImageHead { width: 0, ..head })
    ));
    assert!(is_lie(assembly().page_image(&PageImageHead {
        width: u32::MAX,
        height: u32::MAX,
        ..head
    })));
    assert!(is_lie(assembly().page_image(&PageImageHead {
        page_width: f32::INFINITY,
        ..head
    })));
}

#[test]
fn a_part_belongs_to_the_last_page() {
    let head = |number| PageImageHead {
        number,
        width: 2,
        height: 3,
        dpi: 0.0,
        page_width: 2.0,
        page_height: 3.0,
    };
    let mut assembly = assembly();
    assert!(is_lie(assembly.page_part(&head(1), &[0.0; 4])));
    assembly.page(page(1, "text")).unwrap();
    assert_eq!(assembly.page_part(&head(1), &[0.0; 4]).unwrap(), 6);
    assert!(is_lie(assembly.page_part(&head(2), &[0.0; 4])));
    assert!(is_lie(assembly.page_part(&head(1), &[f32::NAN; 4])));
}

#[test]
fn lies_about_a_table_end_the_job() {
    assert!(assembly().table(table(3, &[1, 2])).is_ok());
    assert!(is_lie(assembly().table(table(1, &[1, 2]))));
    assert!(is_lie(assembly().table(table(3, &[2, 1]))));
    assert!(is_lie(assembly().table(Table {
        rows_left_out: 7,
        ..table(3, &[1])
    })));
    assert!(is_lie(assembly().table(Table {
        ragged_rows: 4,
        ..table(3, &[1, 2])
    })));
    let mut twice = assembly();
    twice.table(table(0, &[])).unwrap();
    assert!(is_lie(twice.table(table(0, &[]))));
}

#[test]
fn lies_about_the_structure_end_the_job() {
    let item = |level, page| {
        let title = "a".to_owned();
        Structure::Outline(OutlineItem { title, level, page })
    };
    assert!(assembly().structure(item(1, Some(4))).is_ok());
    assert!(is_lie(assembly().structure(item(0, None))));
    assert!(is_lie(assembly().structure(item(1, Some(0)))));
    let link = |edge| {
        let (page, bbox) = (1, [0.0, 0.0, 1.0, edge]);
        let uri = "https://example.org".to_owned();
        Structure::Link(Link { page, bbox, uri })
    };
    assert!(assembly().structure(link(2.0)).is_ok());
    assert!(is_lie(assembly().structure(link(f32::NAN))));
    let mut full = Assembly::new(MediaType::Pdf, u64::MAX);
    for _ in 0..MAX_OUTLINE {
        full.structure(item(1, None)).unwrap();
    }
    assert!(is_lie(full.structure(item(1, None))));
}

#[test]
fn nul_never_gets_through() {
    let mut assembly = assembly();
    assembly.page(page(1, "a\0b")).unwrap();
    assembly.table(table(1, &[1])).unwrap();
    assembly.metadata("k", "\0").unwrap();
    assert!(!format!("{:?}", assembly.finish()).contains("\\0"));
}

#[test]
fn the_budget_is_a_limit_and_not_a_crash() {
    let mut assembly = Assembly::new(MediaType::Pdf, 100);
    assembly.page(page(1, "short")).unwrap();
    assert!(matches!(
        assembly.page(page(2, "short")),
        Err(ParseError::LimitExceeded(_))
    ));
}
