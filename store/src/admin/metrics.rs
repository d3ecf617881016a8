//! The numbers behind `/metrics` that belong to the database and not to a process.

use sqlx::PgConnection;

use super::{snapshot::snapshot_in, types::QueueSnapshot};
use crate::{error::StoreError, job::Stage};

/// The queue now, and what has happened in it since the database was made.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueMetrics {
    /// The present state.
    pub now: QueueSnapshot,
    /// How often each thing has happened; what never has is not listed.
    pub moves: Vec<MoveCount>,
    /// Waits of completed jobs.
    pub wait: Times,
    /// Runs of completed jobs.
    pub run: Times,
}

/// How often something has happened in a queue. Never falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveCount {
    /// A state in which jobs have ended, or `attempt`, `retry`, `rescue`, `crash`.
    pub what: String,
    /// In which queue.
    pub stage: Stage,
    /// How often.
    pub total: i64,
}

/// A histogram of times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// The buckets in rising order; the last one has no bound.
    pub buckets: Vec<Bucket>,
    /// All times together, in seconds.
    pub sum: f64,
}

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Times up to here, in seconds; `None`: any time.
    pub bound: Option<f64>,
    /// How many times lie between the bucket before and this bound.
    pub count: i64,
}

/// The numbers as the transaction of `conn` sees them.
pub(super) async fn metrics_in(conn: &mut PgConnection) -> Result<QueueMetrics, StoreError> {
    let now = snapshot_in(conn).await?;
    let moves = moves(conn).await?;
    let moves: Result<Vec<_>, _> = moves.into_iter().map(MoveCount::try_from).collect();
    let classes = classes(conn).await?;
    Ok(QueueMetrics {
        now,
        moves: moves?,
        wait: Times {
            buckets: buckets(&classes, |class| class.waits),
            sum: classes.iter().map(|class| class.waited).sum(),
        },
        run: Times {
            buckets: buckets(&classes, |class| class.runs),
            sum: classes.iter().map(|class| class.ran).sum(),
        },
    })
}

struct Moves {
    what: String,
    stage: String,
    total: i64,
}

impl TryFrom<Moves> for MoveCount {
    type Error = StoreError;

    fn try_from(row: Moves) -> Result<Self, StoreError> {
        Ok(Self {
            what: row.what,
            stage: row
                .stage
                .parse()
                .map_err(|error| StoreError::damaged("stage", &error))?,
            total: row.total,
        })
    }
}

async fn moves(conn: &mut PgConnection) -> Result<Vec<Moves>, StoreError> {
    let moves = sqlx::query_as!(
        Moves,
        r#"select what, stage, sum(total)::bigint as "total!"
           from quire.tallies
           group by what, stage
           order by what, stage"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(moves)
}

/// One bucket of both histograms. The sums are of the times that are in its class as waits or as runs.
struct Class {
    bound: Option<f64>,
    waits: i64,
    runs: i64,
    waited: f64,
    ran: f64,
}

fn buckets(classes: &[Class], count: impl Fn(&Class) -> i64) -> Vec<Bucket> {
    let bucket = |class: &Class| Bucket {
        bound: class.bound,
        count: count(class),
    };
    classes.iter().map(bucket).collect()
}

/// Every class, also those without a job.
async fn classes(conn: &mut PgConnection) -> Result<Vec<Class>, StoreError> {
    let classes = sqlx::query_as!(
        Class,
        r#"with completed as (
               select wait_class, run_class, sum(total) as jobs, sum(waited) as waited, sum(ran) as ran
               from quire.tallies
               where what = 'completed'
               group by wait_class, run_class
           )
           select bound,
                  coalesce(sum(c.jobs) filter (where c.wait_class = class - 1), 0)::bigint as "waits!",
                  coalesce(sum(c.jobs) filter (where c.run_class = class - 1), 0)::bigint as "runs!",
                  coalesce(sum(c.waited) filter (where c.wait_class = class - 1), 0) as "waited!",
                  coalesce(sum(c.ran) filter (where c.run_class = class - 1), 0) as "ran!"
           from unnest(quire.time_bounds() || null::double precision) with ordinality as b (bound, class)
           left join completed c on true
           group by bound, class
           order by class"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(classes)
}
