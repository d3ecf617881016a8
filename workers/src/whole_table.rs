//! Queries of an answering engine over every row of the file: run by the parser pool, in the sandbox, on the stored file.
//!
//! The engine speaks of columns by their places, the extraction of them by their names; this is where the two meet. The file is opened,
//! and its bytes are compared with its hash, only when the first query comes.

use std::{fs::File, sync::Arc};

use parking_lot::Mutex;
use quire_extract::{
    CancelFlag, Document, MediaType, ParseError, Table,
    query::{
        Aggregate, Cell, Comparison, Filter, Function, Literal, Op, OrderBy, Query, QueryResult,
    },
};
use quire_models::{
    ModelError, QueryTable, TableAnswer, TableQuery,
    table_query::{self, AnswerCell, AnswerRow, Condition, Relation},
};
use tokio::runtime::Handle;

use crate::{context::Context, pulse::Pulse};

/// The whole table behind a document that holds only some of its rows.
pub(crate) struct WholeTable {
    context: Arc<Context>,
    sha256: [u8; 32],
    media: MediaType,
    /// The profile, without the rows.
    table: Table,
    cancel: CancelFlag,
    pulse: Pulse,
    /// Opened by the first query.
    file: Mutex<Option<File>>,
}

impl std::fmt::Debug for WholeTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WholeTable")
            .field("rows", &self.table.rows)
            .finish_non_exhaustive()
    }
}

impl WholeTable {
    /// The table of `document`; `None` when all its rows are in the document, or when it has none.
    pub(crate) fn of(
        document: &Document,
        sha256: [u8; 32],
        context: &Arc<Context>,
        (cancel, pulse): (CancelFlag, Pulse),
    ) -> Option<Self> {
        let table = document
            .table
            .as_ref()
            .filter(|table| table.rows_left_out > 0)?;
        let profile = Table {
            sample: Vec::new(),
            drawn: Vec::new(),
            ..table.clone()
        };
        Some(Self {
            context: Arc::clone(context),
            sha256,
            media: document.media,
            table: profile,
            cancel,
            pulse,
            file: Mutex::new(None),
        })
    }

    /// The stored file, when it still is what was uploaded. Belongs on a thread that may block.
    fn open(&self) -> Result<File, ModelError> {
        let (cancel, pulse) = (self.cancel.clone(), self.pulse.clone());
        let stop = move || {
            pulse.beat();
            cancel.is_cancelled()
        };
        let opened = Handle::current().block_on(self.context.files.open_whole(&self.sha256, stop));
        opened.map_err(|error| {
            if self.cancel.is_cancelled() {
                ModelError::Cancelled
            } else {
                ModelError::Table(error.to_string())
            }
        })
    }
}

impl QueryTable for WholeTable {
    fn query(&self, query: &TableQuery) -> Result<TableAnswer, ModelError> {
        let mut file = self.file.lock();
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(self.open()?),
        };
        let names: Vec<&str> = self.table.columns.iter().map(|c| c.name.as_str()).collect();
        let query = to_query(query, &names)?;
        let result = self.context.parser.query(
            file,
            (self.media, &self.table),
            &query,
            &self.cancel,
            &mut |_| self.pulse.beat(),
        );
        match result {
            Ok(result) => Ok(to_answer(result)),
            Err(ParseError::Cancelled) => Err(ModelError::Cancelled),
            Err(error) => Err(ModelError::Table(error.to_string())),
        }
    }
}

fn to_query(query: &TableQuery, names: &[&str]) -> Result<Query, ModelError> {
    let name = |column: usize| -> Result<String, ModelError> {
        let name = names.get(column).map(|name| (*name).to_owned());
        name.ok_or_else(|| ModelError::Table(format!("there is no column {column}")))
    };
    // Names of our own making, so that the order can name what is computed.
    let computed = |at: usize| format!("computed {at}");
    let aggregates = query.compute.iter().enumerate().map(|(at, compute)| {
        Ok(Aggregate {
            function: to_function(compute.function),
            column: compute.column.map(name).transpose()?,
            name: Some(computed(at)),
        })
    });
    let order_by = query.order.iter().map(|order| {
        let by = match order.by {
            table_query::OrderBy::Column(column) => name(column)?,
            table_query::OrderBy::Computed(at) => computed(at),
        };
        Ok(OrderBy {
            by,
            descending: order.descending,
        })
    });
    let conditions = query.conditions.iter().map(|c| to_filter(c, &name));
    let conditions = conditions.collect::<Result<Vec<_>, ModelError>>()?;
    Ok(Query {
        filter: (!conditions.is_empty()).then_some(Filter::And(conditions)),
        group_by: query.group_by.map(name).transpose()?.into_iter().collect(),
        aggregates: aggregates.collect::<Result<_, ModelError>>()?,
        select: Vec::new(),
        order_by: order_by.collect::<Result<_, ModelError>>()?,
        limit: Some(query.limit.max(1)),
    })
}

fn to_filter(
    condition: &Condition,
    name: &dyn Fn(usize) -> Result<String, ModelError>,
) -> Result<Filter, ModelError> {
    let compare = |column: usize, op: Op, value: Literal| {
        Ok(Filter::Compare(Comparison {
            column: name(column)?,
            op,
            value,
        }))
    };
    match condition {
        Condition::Number {
            column,
            relation,
            value,
        } => compare(*column, to_op(*relation), Literal::Number(*value)),
        Condition::Date {
            column,
            relation,
            day,
        } => compare(*column, to_op(*relation), Literal::Text(day.clone())),
        Condition::Same { column, text } => compare(*column, Op::Same, Literal::Text(text.clone())),
        Condition::StartsWith { column, text } => {
            compare(*column, Op::StartsWith, Literal::Text(text.clone()))
        }
        Condition::Empty { column } => Ok(Filter::Null(name(*column)?)),
        Condition::Filled { column } => Ok(Filter::Not(Box::new(Filter::Null(name(*column)?)))),
        Condition::Row(number) => Ok(Filter::Rows {
            from: *number,
            to: *number,
        }),
        Condition::Any(conditions) => {
            let any = conditions.iter().map(|c| to_filter(c, name));
            Ok(Filter::Or(any.collect::<Result<_, _>>()?))
        }
    }
}

fn to_op(relation: Relation) -> Op {
    match relation {
        Relation::Equal => Op::Eq,
        Relation::Below => Op::Lt,
        Relation::AtMost => Op::Le,
        Relation::Above => Op::Gt,
        Relation::AtLeast => Op::Ge,
    }
}

fn to_function(function: table_query::Function) -> Function {
    match function {
        table_query::Function::Count => Function::Count,
        table_query::Function::Distinct => Function::CountDistinct,
        table_query::Function::Sum => Function::Sum,
        table_query::Function::Mean => Function::Mean,
        table_query::Function::Min => Function::Min,
        table_query::Function::Max => Function::Max,
        table_query::Function::Stddev => Function::Stddev,
        table_query::Function::Median => Function::Median,
    }
}

fn to_answer(result: QueryResult) -> TableAnswer {
    let cell = |cell| match cell {
        Cell::Null => AnswerCell::Null,
        Cell::Integer(number) => AnswerCell::Number(number as f64),
        Cell::Number(number) => AnswerCell::Number(number),
        Cell::Text(text) => AnswerCell::Text(text),
    };
    let rows = result.rows.into_iter().map(|row| AnswerRow {
        number: row.row,
        cells: row.cells.into_iter().map(cell).collect(),
    });
    TableAnswer {
        rows: rows.collect(),
        rows_read: result.rows_read,
        rows_matched: result.rows_matched,
        rows_left_out: result.rows_left_out,
    }
}

#[cfg(test)]
mod tests {
    use quire_models::table_query::{Compute, Order};

    use super::*;

    const NAMES: [&str; 3] = ["country", "population", "founded"];

    #[test]
    fn a_query_by_places_becomes_one_by_names() {
        let query = TableQuery {
            conditions: vec![
                Condition::Date {
                    column: 2,
                    relation: Relation::Above,
                    day: "1900-12-31 23:59:59".to_owned(),
                },
                Condition::Any(vec![Condition::Empty { column: 1 }, Condition::Row(7)]),
            ],
            group_by: Some(0),
            compute: vec![Compute {
                function: table_query::Function::Mean,
                column: Some(1),
            }],
            order: Some(Order {
                by: table_query::OrderBy::Computed(0),
                descending: true,
            }),
            limit: 3,
        };
        let json = serde_json::to_value(to_query(&query, &NAMES).unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "filter": {"and": [
                    {"compare": {"column": "founded", "op": "gt", "value": "1900-12-31 23:59:59"}},
                    {"or": [{"null": "population"}, {"rows": {"from": 7, "to": 7}}]},
                ]},
                "group_by": ["country"],
                "aggregates": [{"function": "mean", "column": "population", "as": "computed 0"}],
                "select": [],
                "order_by": [{"by": "computed 0", "descending": true}],
                "limit": 3,
            })
        );
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error() {
        let query = TableQuery {
            conditions: vec![Condition::Empty { column: 3 }],
            ..TableQuery::default()
        };
        assert!(matches!(
            to_query(&query, &NAMES),
            Err(ModelError::Table(_))
        ));
    }
}
