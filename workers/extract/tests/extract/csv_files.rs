//! Tables through the pool.

use quire_extract::{ColumnKind, Document, MediaType, ParseError, Table};

use crate::support::{fixture, parse, pool};

fn table(content: &[u8]) -> Table {
    parse(&pool(), MediaType::Csv, content)
        .unwrap()
        .table
        .unwrap()
}

fn cells(table: &Table) -> Vec<Vec<&str>> {
    table
        .sample
        .iter()
        .map(|row| row.cells.iter().map(String::as_str).collect())
        .collect()
}

#[test]
fn a_small_table_is_profiled_exactly() {
    let table = table(b"city,people,share\nRome,2800000,0.5\nOslo,700000,0.25\nRome,,0.75\n");
    assert_eq!(
        (table.rows, table.ragged_rows, table.rows_left_out),
        (3, 0, 0)
    );
    assert_eq!(
        (table.delimiter, table.has_header, table.encoding.as_str()),
        (',', true, "UTF-8")
    );
    let [city, people, share] = &table.columns[..] else {
        panic!("{:?}", table.columns)
    };
    assert_eq!(
        (city.name.as_str(), city.kind, city.distinct),
        ("city", ColumnKind::Text, 2)
    );
    assert_eq!(city.top, [("Rome".to_owned(), 2), ("Oslo".to_owned(), 1)]);
    assert_eq!(
        (people.kind, people.nulls, people.sum),
        (ColumnKind::Integer, 1, Some(3_500_000.0))
    );
    assert_eq!((share.kind, share.mean), (ColumnKind::Float, Some(0.5)));
    assert_eq!(cells(&table)[1], ["Oslo", "700000", "0.25"]);
}

#[test]
fn ragged_rows_are_counted_and_kept_as_they_are() {
    let table = table(b"a,b,c\n1,2,3\n4,5\n6,7,8,9\n");
    assert_eq!((table.rows, table.ragged_rows), (3, 2));
    assert_eq!(
        cells(&table),
        [
            vec!["1", "2", "3"],
            vec!["4", "5"],
            vec!["6", "7", "8", "9"]
        ]
    );
    assert_eq!(table.columns[2].nulls, 1);
}

#[test]
fn a_large_table_keeps_its_first_rows_and_counts_all() {
    let rows: Vec<String> = (0..150_000)
        .map(|id| format!("{id},g{}\n", id % 7))
        .collect();
    let text = format!("id,group\n{}", rows.concat());
    let table = table(text.as_bytes());
    assert_eq!(
        (table.rows, table.sample.len() as u64 + table.rows_left_out),
        (150_000, 150_000)
    );
    assert_eq!(table.sample.len(), quire_extract::document::SAMPLE_ROWS);
    let [id, group] = &table.columns[..] else {
        panic!("{:?}", table.columns)
    };
    assert_eq!(
        (id.sum, id.max.as_deref(), id.distinct_exact),
        (Some(11_249_925_000.0), Some("149999"), false)
    );
    assert!((140_000..160_000).contains(&id.distinct));
    assert_eq!(
        (group.distinct, group.distinct_exact, group.top[0].1),
        (7, true, 21_429)
    );
}

#[test]
fn other_encodings_and_dialects_read_the_same() {
    let expected = vec![vec!["José", "1,5"], vec!["Åsa", "2,25"]];
    let text = "name;wert\nJosé;1,5\nÅsa;2,25\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (legacy, _, _) = encoding_rs::WINDOWS_1252.encode(text);
    for content in [text.as_bytes(), &utf16, &legacy] {
        let table = table(content);
        assert_eq!((cells(&table), table.delimiter), (expected.clone(), ';'));
        assert_eq!(
            (table.columns[1].kind, table.columns[1].sum),
            (ColumnKind::Float, Some(3.75))
        );
    }
}

#[test]
fn nul_and_open_quotes_and_preambles_end_in_a_document() {
    let document: Document =
        parse(&pool(), MediaType::Csv, b"a,b\n1,x\0y\n2,\"open\n3,z\n").unwrap();
    let table = document.table.unwrap();
    assert_eq!(
        cells(&table),
        [["1", "x\u{FFFD}y"], ["2", "\"open"], ["3", "z"]]
    );
    assert_eq!(document.warnings[0].code, "open_quote");
    let document = parse(
        &pool(),
        MediaType::Csv,
        b"Report for May\n\nname,age\nanna,31\nbert,45\n",
    )
    .unwrap();
    assert_eq!(document.warnings[0].code, "preamble_left_out");
    assert_eq!(document.table.unwrap().columns[1].name, "age");
}

#[test]
fn a_footnote_below_a_column_is_told_of() {
    let rows: Vec<String> = (1..=30).map(|day| format!("{day},{}\n", day * 2)).collect();
    let text = format!("day,amount\n{}note: provisional,\n", rows.concat());
    let document = parse(&pool(), MediaType::Csv, text.as_bytes()).unwrap();
    assert_eq!(document.warnings[0].code, "stray_cells");
    let day = &document.table.unwrap().columns[0];
    assert_eq!(
        (day.kind, day.sum, day.max.as_deref()),
        (ColumnKind::Integer, Some(465.0), Some("30"))
    );
}

#[test]
fn limits_are_typed_errors() {
    let pool = pool();
    let wide = ",".repeat(20_000) + "\n";
    assert!(matches!(
        parse(&pool, MediaType::Csv, wide.as_bytes()),
        Err(ParseError::LimitExceeded(_))
    ));
    let long = "a,b\n1,".to_owned() + &"x".repeat(3_000_000) + "\n";
    assert!(matches!(
        parse(&pool, MediaType::Csv, long.as_bytes()),
        Err(ParseError::LimitExceeded(_))
    ));
    assert!(matches!(
        parse(&pool, MediaType::Csv, b" \n \n"),
        Err(ParseError::Damaged(_))
    ));
}

#[test]
fn a_fixture_file_is_read() {
    let bytes = std::fs::read(fixture("csv/river-gauges/input.csv")).unwrap();
    assert_eq!(quire_extract::sniff(&bytes, "upload"), Some(MediaType::Csv));
    let table = table(&bytes);
    let text = String::from_utf8(bytes).unwrap();
    assert!(table.has_header && table.rows > 5, "{table:?}");
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        names.join(&table.delimiter.to_string()),
        text.lines().next().unwrap()
    );
}
