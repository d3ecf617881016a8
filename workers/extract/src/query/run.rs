//! One pass of a query over a table.

use super::aggregate::{Measure, Room};
use super::filter::RowView;
use super::group::Groups;
use super::order::{FirstRows, arrange, bytes_of, too_long};
use super::plan::Plan;
use super::{Cell, MAX_RESULT_BYTES, QueryResult, ResultRow, TypedQuery};
use crate::error::ParseError;
use crate::formats::csv::column::to_text;
use crate::formats::csv::hash::Hasher;
use crate::formats::csv::profile::{Opened, Reports, SAMPLE_CELL};
use crate::formats::csv::reader::Record;
use crate::formats::{Input, Output};

/// Bytes that groups and the values they keep may take: a third of a child's address space.
const ROOM: usize = 256 * 1024 * 1024;

/// Runs `typed` over the table in `input`.
pub(crate) fn run(
    input: &mut Input,
    typed: &TypedQuery,
    out: &mut dyn Output,
) -> Result<QueryResult, ParseError> {
    let mut opened = Opened::new(input)?;
    if opened.names.len() != typed.width {
        return Err(ParseError::Damaged(format!(
            "the table has {} columns, and {} when it was profiled",
            opened.names.len(),
            typed.width
        )));
    }
    let decimal_comma = opened.decimal_comma();
    let names: Vec<&str> = opened.names.iter().map(String::as_str).collect();
    let plan = Plan::new(typed, &names, decimal_comma)?;
    let mut pass = Pass::new(&plan);
    let mut reports = Reports::default();
    while let Some(record) = opened.reader.next()? {
        pass.row(&record)?;
        reports.after(pass.rows, &mut opened.reader, out)?;
    }
    pass.finish()
}

struct Pass<'p> {
    plan: &'p Plan,
    rows: u64,
    matched: u64,
    groups: Groups,
    first: FirstRows<'p>,
    room: Room,
    scratch: Vec<u8>,
}

impl<'p> Pass<'p> {
    fn new(plan: &'p Plan) -> Self {
        let groups = if plan.groups.is_empty() {
            Groups::of_all(&plan.measures)
        } else {
            Groups::default()
        };
        Self {
            plan,
            rows: 0,
            matched: 0,
            groups,
            first: FirstRows::new(&plan.order, plan.limit),
            room: Room {
                left: ROOM,
                hasher: Hasher::new(),
            },
            scratch: Vec::new(),
        }
    }

    fn row(&mut self, record: &Record<'_>) -> Result<(), ParseError> {
        self.rows += 1;
        let plan = self.plan;
        let row = RowView {
            record,
            number: self.rows,
        };
        if let Some(test) = &plan.test
            && test.holds(&row, &mut self.scratch) != Some(true)
        {
            return Ok(());
        }
        self.matched += 1;
        if plan.shows_rows {
            return self.first.offer(&row, &mut self.scratch, |scratch| {
                cells(record, &plan.select, scratch)
            });
        }
        self.groups.add(
            &row,
            &plan.groups,
            &plan.measures,
            &mut self.scratch,
            &mut self.room,
        )
    }

    fn finish(self) -> Result<QueryResult, ParseError> {
        let plan = self.plan;
        let (rows, all) = if plan.shows_rows {
            (self.first.finish()?, self.matched)
        } else {
            let groups = self.groups.finish(&plan.measures);
            let all = groups.len() as u64;
            (computed(groups, plan, &plan.measures)?, all)
        };
        Ok(QueryResult {
            columns: plan.names.clone(),
            rows_read: self.rows,
            rows_matched: self.matched,
            rows_left_out: all - rows.len() as u64,
            rows,
        })
    }
}

fn cells(record: &Record<'_>, select: &[usize], scratch: &mut Vec<u8>) -> Vec<Cell> {
    let mut cell = |&index: &usize| {
        if index >= record.len() {
            return Cell::Null;
        }
        let cell = record.cell(index, scratch);
        Cell::Text(to_text(&cell[..cell.len().min(SAMPLE_CELL)]))
    };
    select.iter().map(&mut cell).collect()
}

fn computed(
    groups: Vec<Vec<Cell>>,
    plan: &Plan,
    measures: &[Measure],
) -> Result<Vec<ResultRow>, ParseError> {
    let rows = arrange(groups, &plan.order, measures, plan.limit);
    if rows.iter().map(|cells| bytes_of(cells)).sum::<usize>() > MAX_RESULT_BYTES {
        return Err(too_long());
    }
    let rows = rows.into_iter();
    Ok(rows.map(|cells| ResultRow { row: None, cells }).collect())
}
