//! What the parent demands of a result before it believes it: a child may have been taken over by the file it read.

use super::{Cell, MAX_RESULT_BYTES, MAX_RESULT_ROWS, QueryResult, TypedQuery};
use crate::document::clean_text;

/// The result, when it can be one of `typed` over a table of `rows` data rows; else what is wrong with it.
pub(crate) fn check(
    mut result: QueryResult,
    typed: &TypedQuery,
    rows: u64,
) -> Result<QueryResult, &'static str> {
    let query = &typed.query;
    let limit = query.limit.unwrap_or(MAX_RESULT_ROWS);
    let columns = match (query.shows_rows(), query.select.len()) {
        (true, 0) => typed.width,
        (true, selected) => selected,
        (false, _) => query.group_by.len() + query.aggregates.len(),
    };
    if result.columns.len() != columns || result.rows.len() > limit as usize {
        return Err("a result of another shape than was asked for");
    }
    if result.rows_read != rows || result.rows_matched > rows {
        return Err("a result over other rows than the table's");
    }
    let mut bytes = 0;
    for row in &mut result.rows {
        let is_right = match row.row {
            Some(number) => query.shows_rows() && (1..=rows).contains(&number),
            None => !query.shows_rows(),
        };
        if !is_right || row.cells.len() != columns {
            return Err("an impossible row of a result");
        }
        for cell in &mut row.cells {
            match cell {
                Cell::Number(number) if !number.is_finite() => {
                    return Err("a number that is none in a result");
                }
                Cell::Text(text) => {
                    bytes += text.len();
                    *text = clean_text(text).into_owned();
                }
                _ => {}
            }
        }
    }
    for name in &mut result.columns {
        bytes += name.len();
        *name = clean_text(name).into_owned();
    }
    if bytes > 2 * MAX_RESULT_BYTES {
        return Err("a result that is too long");
    }
    Ok(result)
}
