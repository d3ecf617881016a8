//! A job's place in the queue and when it will probably be served, from what the table says now.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::forecast::{InFront, Load, Times};
use crate::{
    clock,
    error::StoreError,
    ids::{JobId, Owner},
    job::{Job, Stage},
    jobs::{self, Ahead, Place},
    store::Store,
};

/// Jobs that the run times are taken from: the last ones.
const SAMPLES: i64 = 200;
/// A worker that has been silent for longer is not counted on.
const SILENT_AFTER_SECS: f64 = 5.0;
/// From this many jobs on the times are worth something, and worth more.
const SOME_SAMPLES: i64 = 5;
const MANY_SAMPLES: i64 = 30;
/// Run times are alike when nine of ten jobs take no longer than so many times the median.
const ALIKE: f64 = 3.0;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Its place among those that wait for the same stage, 1 is next; `None` when it does not wait in the queue.
    pub position: Option<i64>,
    /// When it starts next; in the past for one that runs or has ended. `None`: nobody can know.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it ends, likewise.
    pub ends_at: Option<DateTime<Utc>>,
    /// What the times are worth.
    pub confidence: Confidence,
}

/// What an estimate is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// No times are given.
    None,
    /// From hardly any jobs.
    Low,
    /// From some jobs, or from many that differ much.
    Medium,
    /// From many jobs of similar length; or it is no estimate, but has happened.
    High,
}

impl Confidence {
    /// The word shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn of(times: &Times) -> Self {
        match times.samples {
            MANY_SAMPLES.. if times.p90 <= times.p50 * ALIKE => Self::High,
            SOME_SAMPLES.. => Self::Medium,
            _ => Self::Low,
        }
    }
}

impl Store {
    /// The job's place and times. `None`: this owner has no such job.
    pub async fn estimate(&self, owner: Owner, id: JobId) -> Result<Option<Estimate>, StoreError> {
        let Some(job) = self.job(owner, id).await? else {
            return Ok(None);
        };
        if job.state.is_terminal() {
            return Ok(Some(Estimate {
                position: None,
                starts_at: job.started_at,
                ends_at: job.finished_at,
                confidence: Confidence::High,
            }));
        }
        let stages = Stages {
            extract: load(&self.pool, Stage::Extract).await?,
            answer: load(&self.pool, Stage::Answer).await?,
        };
        if let Some(place) = jobs::place(&self.pool, id).await? {
            return self.waiting(&place, &stages).await.map(Some);
        }
        Ok(Some(if job.state.is_owned() {
            running(&job, self.elapsed(id).await?, &stages)
        } else {
            scheduled(due_at(&self.pool, id).await?, &stages)
        }))
    }

    async fn waiting(&self, place: &Place, stages: &Stages) -> Result<Estimate, StoreError> {
        let ahead = jobs::ahead(&self.pool, place).await?;
        let position = Some(ahead.all + 1);
        let start = stages.of(place.stage).wait(in_front(ahead));
        let end = match (place.stage, start) {
            (_, None) => None,
            (Stage::Answer, Some(start)) => stages.answer.times.map(|times| start + times.p50),
            (Stage::Extract, Some(start)) => {
                let ahead_later = jobs::ahead(&self.pool, &place.in_later(Stage::Answer)).await?;
                let front = InFront {
                    all: whole(ahead.all + ahead_later.all) + stages.extract.running.len(),
                    own: whole(ahead.own + ahead_later.own),
                };
                stages.answered(start + stages.extract.p50(), front)
            }
        };
        Ok(stages.estimate(place.stage, position, start, end))
    }

    /// Seconds since the running attempt began.
    async fn elapsed(&self, id: JobId) -> Result<f64, StoreError> {
        let elapsed = sqlx::query_scalar!(
            r#"select extract(epoch from now() - claimed_at)::float8 as "elapsed!"
               from quire.jobs
               where id = $1 and claimed_at is not null"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(elapsed.unwrap_or_default())
    }
}

fn running(job: &Job, elapsed: f64, stages: &Stages) -> Estimate {
    let left = stages.of(job.stage).times.map(|times| times.left(elapsed));
    let end = match job.stage {
        Stage::Answer => left,
        // What waits for an answer now is in front, and so may be what is extracted beside it.
        Stage::Extract => left.and_then(|left| {
            let all = stages.extract.running.len().saturating_sub(1);
            stages.answered(left, InFront { all, own: 0 })
        }),
    };
    Estimate {
        starts_at: job.started_at,
        ..stages.estimate(job.stage, None, None, end)
    }
}

fn scheduled(due_at: Option<DateTime<Utc>>, stages: &Stages) -> Estimate {
    let ends_in = stages.extract.p50() + stages.answer.p50();
    Estimate {
        position: None,
        starts_at: due_at,
        ends_at: due_at
            .filter(|_| ends_in > 0.0)
            .map(|at| after(at, ends_in)),
        // Nobody knows what will wait in front of it then.
        confidence: due_at.map_or(Confidence::None, |_| Confidence::Low),
    }
}

/// Both stages at one moment.
struct Stages {
    extract: Load,
    answer: Load,
}

impl Stages {
    const fn of(&self, stage: Stage) -> &Load {
        match stage {
            Stage::Extract => &self.extract,
            Stage::Answer => &self.answer,
        }
    }

    /// Seconds until a job is answered that is extracted `extracted` seconds from now.
    fn answered(&self, extracted: f64, front: InFront) -> Option<f64> {
        Some(self.answer.wait(front)?.max(extracted) + self.answer.p50())
    }

    fn estimate(
        &self,
        stage: Stage,
        position: Option<i64>,
        start: Option<f64>,
        end: Option<f64>,
    ) -> Estimate {
        let now = clock::now();
        let worth = self.of(stage).times.as_ref().map(Confidence::of);
        Estimate {
            position,
            starts_at: start.map(|seconds| after(now, seconds)),
            ends_at: end.map(|seconds| after(now, seconds)),
            confidence: worth
                .filter(|_| start.or(end).is_some())
                .unwrap_or(Confidence::None),
        }
    }
}

impl Load {
    fn p50(&self) -> f64 {
        self.times.map_or(0.0, |times| times.p50)
    }
}

fn in_front(ahead: Ahead) -> InFront {
    InFront {
        all: whole(ahead.all),
        own: whole(ahead.own),
    }
}

fn whole(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}

fn after(at: DateTime<Utc>, seconds: f64) -> DateTime<Utc> {
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| at.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

async fn load(pool: &PgPool, stage: Stage) -> Result<Load, StoreError> {
    let row = sqlx::query!(
        r#"with recent as (
               select extract(epoch from case $1 when 'extract' then extract_took else answer_took end)::float8 as took
               from quire.jobs
               where state = 'completed'
               order by finished_at desc
               limit $3
           )
           select (select coalesce(sum(case $1 when 'extract' then extract_slots else answer_slots end), 0)
                   from quire.workers
                   where seen_at > now() - make_interval(secs => $4)) as "slots!",
                  array(select extract(epoch from now() - claimed_at)::float8
                        from quire.jobs
                        where worker is not null and stage = $1) as "running!",
                  coalesce(q.paused_at is not null, false) as "is_paused!",
                  coalesce(q.owner_slots, 0) as "owner_slots!",
                  (select count(took) from recent) as "samples!",
                  (select avg(took) from recent) as mean,
                  (select percentile_cont(array[0.5, 0.9]) within group (order by took) from recent) as percentiles
           from (select) as one
           left join quire.queues q on q.name = $2"#,
        stage.as_str(),
        stage.queue(),
        SAMPLES,
        SILENT_AFTER_SECS,
    )
    .fetch_one(pool)
    .await?;
    let times = match (row.mean, row.percentiles.as_deref()) {
        (Some(mean), Some(&[p50, p90])) => Some(Times {
            mean,
            p50,
            p90,
            samples: row.samples,
        }),
        _ => None,
    };
    Ok(Load {
        slots: whole(row.slots),
        running: row.running,
        is_paused: row.is_paused,
        owner_slots: usize::try_from(row.owner_slots).unwrap_or_default(),
        times,
    })
}

async fn due_at(pool: &PgPool, id: JobId) -> Result<Option<DateTime<Utc>>, StoreError> {
    let due_at = sqlx::query_scalar!("select due_at from quire.jobs where id = $1", id.0)
        .fetch_optional(pool)
        .await?;
    Ok(due_at.flatten())
}
