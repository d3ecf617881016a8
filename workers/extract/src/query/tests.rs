//! Queries over small tables, by hand and against an implementation that keeps everything and computes by definition.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::formats::Input;
use crate::formats::testing::Collected;
use crate::media::MediaType;

const SALES: &str = "country,city,amount,day,paid\n\
    France,Paris,10,31/01/2024,yes\n\
    Japan,Tokyo,2.5,15/02/2024,no\n\
    france,\"Lyon, old\",NULL,01/03/2024,yes\n\
    Japan,Osaka,4,,no\n\
    ,Oslo,\"1,000\",05/01/2023,yes\n\
    Japan,Kobe,4,02/02/2024,\n";

fn table(text: &str) -> Table {
    Collected::of(MediaType::Csv, text.as_bytes())
        .table
        .unwrap()
}

fn try_ask(text: &str, query: serde_json::Value) -> Result<QueryResult, ParseError> {
    let table = table(text);
    let query: Query = serde_json::from_value(query).unwrap();
    let typed = TypedQuery::new(&query, &table)?;
    let mut input = Input::from_bytes(text.as_bytes().to_vec());
    let result = run(&mut input, &typed, &mut Collected::default())?;
    Ok(check(result, &typed, table.rows).unwrap())
}

fn ask(text: &str, query: serde_json::Value) -> QueryResult {
    try_ask(text, query).unwrap()
}

fn cells(result: &QueryResult) -> serde_json::Value {
    let rows: Vec<&Vec<Cell>> = result.rows.iter().map(|row| &row.cells).collect();
    serde_json::to_value(rows).unwrap()
}

fn numbers(result: &QueryResult) -> Vec<u64> {
    result.rows.iter().filter_map(|row| row.row).collect()
}

fn matching(filter: &serde_json::Value) -> Vec<u64> {
    numbers(&ask(SALES, json!({ "filter": filter })))
}

#[test]
fn groups_are_computed_and_ordered() {
    let result = ask(
        SALES,
        json!({
            "group_by": ["country"],
            "aggregates": [
                {"function": "count"},
                {"function": "sum", "column": "amount", "as": "total"},
                {"function": "max", "column": "day"},
                {"function": "min", "column": "city"},
                {"function": "count_distinct", "column": "amount"},
            ],
            "order_by": [{"by": "total", "descending": true}],
        }),
    );
    assert_eq!(
        result.columns,
        [
            "country",
            "count",
            "total",
            "max_day",
            "min_city",
            "count_distinct_amount"
        ]
    );
    assert_eq!(
        cells(&result),
        json!([
            [null, 1, 1000.0, "05/01/2023", "Oslo", 1],
            ["Japan", 3, 10.5, "15/02/2024", "Kobe", 2],
            ["France", 1, 10.0, "31/01/2024", "Paris", 1],
            ["france", 1, null, "01/03/2024", "Lyon, old", 0],
        ])
    );
    assert_eq!(
        (result.rows_read, result.rows_matched, result.rows_left_out),
        (6, 6, 0)
    );
}

#[test]
fn everything_together_is_one_group_also_without_rows() {
    let aggregates = json!([
        {"function": "mean", "column": "amount"},
        {"function": "stddev", "column": "amount"},
        {"function": "median", "column": "amount"},
        {"function": "count", "column": "amount"},
    ]);
    let japan = json!({"compare": {"column": "country", "op": "eq", "value": "Japan"}});
    let result = ask(SALES, json!({"filter": japan, "aggregates": aggregates}));
    assert_eq!(cells(&result), json!([[3.5, 0.75_f64.sqrt(), 4.0, 3]]));
    let nowhere = json!({"compare": {"column": "country", "op": "eq", "value": "Atlantis"}});
    let result = ask(SALES, json!({"filter": nowhere, "aggregates": aggregates}));
    assert_eq!(cells(&result), json!([[null, null, null, 0]]));
}

#[test]
fn rows_are_shown_by_order_with_their_numbers() {
    let result = ask(
        SALES,
        json!({"select": ["city"], "order_by": [{"by": "amount", "descending": true}], "limit": 4}),
    );
    assert_eq!(
        cells(&result),
        json!([["Oslo"], ["Paris"], ["Osaka"], ["Kobe"]])
    );
    assert_eq!(
        (numbers(&result), result.rows_left_out),
        (vec![5, 1, 4, 6], 2)
    );
    let by_day = ask(SALES, json!({"order_by": [{"by": "day"}]}));
    assert_eq!(numbers(&by_day), [5, 1, 6, 2, 3, 4], "nulls come last");
    assert_eq!(
        cells(&by_day)[0],
        json!(["", "Oslo", "1,000", "05/01/2023", "yes"])
    );
}

#[test]
fn conditions_compare_as_the_columns_are() {
    let compare = |column: &str, op: &str, value: serde_json::Value| json!({"compare": {"column": column, "op": op, "value": value}});
    for (filter, rows) in [
        (compare("amount", "ge", json!(4)), vec![1, 4, 5, 6]),
        (compare("amount", "eq", json!("1,000")), vec![5]),
        (compare("day", "lt", json!("2024-02-01")), vec![1, 5]),
        (compare("day", "ge", json!("2024-02-15")), vec![2, 3]),
        (compare("country", "same", json!("FRANCE")), vec![1, 3]),
        (compare("city", "same", json!("lyon old")), vec![3]),
        (compare("city", "starts_with", json!("O")), vec![4, 5]),
        (compare("city", "contains", json!("o")), vec![2, 3, 5, 6]),
        (compare("paid", "eq", json!(false)), vec![2, 4]),
        (json!({"null": "amount"}), vec![3]),
        (json!({"rows": {"from": 2, "to": 3}}), vec![2, 3]),
        // A null is neither equal nor different.
        (
            json!({"not": compare("country", "eq", json!("Japan"))}),
            vec![1, 3],
        ),
        (compare("paid", "ne", json!(true)), vec![2, 4]),
        (
            json!({"or": [{"null": "country"}, {"and": [compare("country", "eq", json!("Japan")), compare("amount", "lt", json!(4))]}]}),
            vec![2, 5],
        ),
    ] {
        assert_eq!(matching(&filter), rows, "{filter}");
    }
}

#[test]
fn decimal_commas_are_numbers_where_the_profile_says_so() {
    let text = "name;price\na;1,5\nb;1.000,25\nc;2\n";
    let query = json!({"aggregates": [{"function": "sum", "column": "price"}]});
    assert_eq!(cells(&ask(text, query)), json!([[1003.75]]));
}

#[test]
fn what_does_not_fit_is_a_typed_error() {
    for (query, said) in [
        (json!({"group_by": ["planet"]}), "no column \"planet\""),
        (
            json!({"aggregates": [{"function": "sum", "column": "city"}]}),
            "needs numbers",
        ),
        (
            json!({"aggregates": [{"function": "sum"}]}),
            "needs a column",
        ),
        (
            json!({"group_by": ["city"], "order_by": [{"by": "amount"}]}),
            "the result has no column",
        ),
        (json!({"limit": 0}), "limit 0"),
        (json!({"limit": 10_001}), "limit 10001"),
        (
            json!({"group_by": ["city"], "select": ["city"]}),
            "drop `select`",
        ),
        (
            json!({"filter": {"compare": {"column": "day", "op": "lt", "value": "soon"}}}),
            "no date",
        ),
        (
            json!({"filter": {"compare": {"column": "city", "op": "lt", "value": true}}}),
            "does not go with",
        ),
    ] {
        let error = try_ask(SALES, query.clone()).unwrap_err();
        assert!(
            matches!(error, ParseError::InvalidQuery(_)),
            "{query}: {error}"
        );
        assert!(error.to_string().contains(said), "{query}: {error}");
    }
    assert!(serde_json::from_value::<Query>(json!({"having": 1})).is_err());
}

#[test]
fn results_and_groups_are_bounded() {
    let cell = "x".repeat(500);
    let rows: Vec<String> = (0..12_000).map(|n| format!("{n},{cell}")).collect();
    let text = format!("id,text\n{}\n", rows.join("\n"));
    let shown = ask(&text, json!({"select": ["id"]}));
    assert_eq!((shown.rows.len(), shown.rows_left_out), (10_000, 2_000));
    let error = try_ask(&text, json!({})).unwrap_err();
    assert!(matches!(error, ParseError::LimitExceeded(_)), "{error}");
    let mut room = aggregate::Room {
        left: 1_000,
        hasher: crate::formats::csv::hash::Hasher::new(),
    };
    assert!(room.take(1_001, "groups").is_err() && room.take(1_000, "groups").is_ok());
}

#[test]
fn lies_about_a_result_are_found() {
    let table = table(SALES);
    let query: Query = serde_json::from_value(json!({"select": ["city"], "limit": 1})).unwrap();
    let typed = TypedQuery::new(&query, &table).unwrap();
    let row = |number, cells: &[&str]| ResultRow {
        row: number,
        cells: cells
            .iter()
            .map(|cell| Cell::Text((*cell).to_owned()))
            .collect(),
    };
    let honest = QueryResult {
        columns: vec!["city".to_owned()],
        rows: vec![row(Some(6), &["a\0"])],
        rows_read: 6,
        rows_matched: 6,
        rows_left_out: 5,
    };
    let checked = check(honest.clone(), &typed, 6).unwrap();
    assert_eq!(checked.rows[0].cells, [Cell::Text("a\u{FFFD}".to_owned())]);
    let with = |change: &dyn Fn(&mut QueryResult)| {
        let mut result = honest.clone();
        change(&mut result);
        check(result, &typed, 6)
    };
    assert!(with(&|result| result.rows.push(row(Some(1), &["b"]))).is_err());
    assert!(with(&|result| result.rows[0].row = Some(7)).is_err());
    assert!(with(&|result| result.rows[0].row = None).is_err());
    assert!(with(&|result| result.rows[0] = row(Some(1), &["a", "b"])).is_err());
    assert!(with(&|result| result.rows[0].cells[0] = Cell::Number(f64::NAN)).is_err());
    assert!(with(&|result| result.rows_read = 5).is_err());
    assert!(with(&|result| result.rows_matched = 7).is_err());
    assert!(with(&|result| result.columns.clear()).is_err());
}

/// A row as the naive implementation sees it.
#[derive(Clone, Debug)]
struct Plain {
    group: Option<&'static str>,
    number: Option<f64>,
}

fn rows() -> impl Strategy<Value = Vec<Plain>> {
    let group = prop::sample::select(vec![
        None,
        Some("a"),
        Some("b, c"),
        Some("d\"e"),
        Some("f\ng"),
    ]);
    let number = prop::option::of((-400..400_i32).prop_map(|quarter| f64::from(quarter) / 4.0));
    let row = (group, number).prop_map(|(group, number)| Plain { group, number });
    prop::collection::vec(row, 1..60)
}

fn write(rows: &[Plain]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["key", "group", "number"]).unwrap();
    // Two rows make the kinds certain whatever else is drawn.
    writer.write_record(["k", "a", "0.25"]).unwrap();
    for row in rows {
        let number = row
            .number
            .map(|number| number.to_string())
            .unwrap_or_default();
        writer
            .write_record(["k", row.group.unwrap_or_default(), &number])
            .unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn naive(rows: &[Plain], least: f64) -> BTreeMap<Option<&'static str>, (u64, Vec<f64>)> {
    let mut groups: BTreeMap<_, (u64, Vec<f64>)> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| row.number.is_some_and(|number| number >= least))
    {
        let group = groups.entry(row.group).or_default();
        group.0 += 1;
        group.1.extend(row.number);
    }
    groups
}

proptest! {
    #[test]
    fn the_executor_agrees_with_the_definition(mut drawn in rows(), least in -100..100_i32) {
        let text = write(&drawn);
        drawn.insert(0, Plain { group: Some("a"), number: Some(0.25) });
        let result = ask(&text, json!({
            "filter": {"compare": {"column": "number", "op": "ge", "value": least}},
            "group_by": ["group"],
            "aggregates": [
                {"function": "count"}, {"function": "sum", "column": "number"}, {"function": "mean", "column": "number"},
                {"function": "min", "column": "number"}, {"function": "max", "column": "number"},
                {"function": "median", "column": "number"}, {"function": "count_distinct", "column": "number"},
                {"function": "stddev", "column": "number"},
            ],
            "order_by": [{"by": "count", "descending": true}, {"by": "group"}],
        }));
        let expected = naive(&drawn, f64::from(least));
        prop_assert_eq!(result.rows.len(), expected.len());
        let counts: Vec<i64> = result.rows.iter().map(|row| match row.cells[1] { Cell::Integer(count) => -count, _ => 0 }).collect();
        prop_assert!(counts.is_sorted());
        for row in &result.rows {
            let group = match &row.cells[0] { Cell::Text(text) => Some(text.as_str()), _ => None };
            let (count, mut values) = expected[&group].clone();
            values.sort_by(f64::total_cmp);
            let n = values.len() as f64;
            let sum: f64 = values.iter().sum();
            let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
            let squares: f64 = values.iter().map(|value| (value - sum / n).powi(2)).sum();
            let mut different = values.clone();
            different.dedup();
            let found: Vec<f64> = row.cells[2..].iter().map(|cell| match cell {
                Cell::Number(number) => *number,
                Cell::Integer(number) => *number as f64,
                _ => f64::NAN,
            }).collect();
            prop_assert_eq!(&row.cells[1], &Cell::Integer(count.cast_signed()));
            let exact = [sum, sum / n, values[0], values[values.len() - 1], middle, different.len() as f64];
            for (found, exact) in found.iter().zip(exact) {
                prop_assert!((found - exact).abs() < 1e-9, "{:?} {}", row, exact);
            }
            if values.len() > 1 {
                prop_assert!((found[6] - (squares / (n - 1.0)).sqrt()).abs() < 1e-9);
            } else {
                prop_assert_eq!(&row.cells[8], &Cell::Null);
            }
        }
    }

    #[test]
    fn the_first_rows_are_those_of_a_sorted_table(drawn in rows(), limit in 1..20_u32, descending: bool) {
        let text = write(&drawn);
        let result = ask(&text, json!({"order_by": [{"by": "number", "descending": descending}], "limit": limit}));
        let mut all: Vec<(u64, Option<f64>)> = (2..).zip(drawn.iter().map(|row| row.number)).collect();
        all.insert(0, (1, Some(0.25)));
        all.sort_by(|(_, a), (_, b)| match (a, b) {
            (Some(a), Some(b)) if descending => b.total_cmp(a),
            (Some(a), Some(b)) => a.total_cmp(b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        let expected: Vec<u64> = all.iter().map(|(number, _)| *number).take(limit as usize).collect();
        prop_assert_eq!(numbers(&result), expected);
    }
}
