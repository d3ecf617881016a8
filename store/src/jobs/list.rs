//! Lists of jobs, newest first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    cursor::JobCursor,
    row::job_query,
    types::{JobFilter, JobPage},
};
use crate::{error::StoreError, ids::Owner, job::Job, store::Store};

/// Longest page.
const MAX_PAGE: u32 = 200;
/// Matches are counted up to here: beyond it the number is of no use to a reader, and costs.
const COUNTED: i64 = 10_000;

impl Store {
    /// One page of the owner's jobs (1 to 200), newest first. Jobs that arrive or change meanwhile neither hide nor repeat others.
    pub async fn list_jobs(
        &self,
        owner: Owner,
        filter: &JobFilter,
        cursor: Option<JobCursor>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let terms = Terms::of(filter);
        let mut jobs = self
            .page(owner, &terms, cursor, i64::from(limit) + 1)
            .await?;
        let more = jobs.len() > limit as usize;
        jobs.truncate(limit as usize);
        let next = jobs.last().filter(|_| more).map(|job| JobCursor {
            at: job.created_at,
            id: job.id,
        });
        let total_estimate = self.count(owner, &terms).await?;
        Ok(JobPage {
            jobs,
            next,
            total_estimate,
        })
    }

    async fn page(
        &self,
        owner: Owner,
        terms: &Terms,
        cursor: Option<JobCursor>,
        limit: i64,
    ) -> Result<Vec<Job>, StoreError> {
        let rows = job_query!(
            "where j.owner = $1
               and (j.created_at, j.id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, $8::uuid))
               and (cardinality($4::text[]) = 0 or j.state = any ($4))
               and ($5::text is null or f.name ilike $5 or j.prompt ilike $5)
               and ($6::timestamptz is null or j.created_at > $6)
               and ($9::uuid is null or j.id in (select i.job_id from quire.batch_items i where i.batch_id = $9))
             order by j.created_at desc, j.id desc
             limit $7",
            owner.0,
            cursor.map(|cursor| cursor.at),
            cursor.map(|cursor| cursor.id.0),
            &terms.states,
            terms.pattern.as_deref(),
            terms.created_after,
            limit,
            Uuid::max(),
            terms.batch,
        )
        .fetch_all(&self.inner.pool)
        .await?;
        rows.into_iter().map(Job::try_from).collect()
    }

    async fn count(&self, owner: Owner, terms: &Terms) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!"
               from (
                   select
                   from quire.jobs j
                   join quire.files f on f.id = j.file_id
                   where j.owner = $1
                     and (cardinality($2::text[]) = 0 or j.state = any ($2))
                     and ($3::text is null or f.name ilike $3 or j.prompt ilike $3)
                     and ($4::timestamptz is null or j.created_at > $4)
                     and ($6::uuid is null or j.id in (select i.job_id from quire.batch_items i where i.batch_id = $6))
                   limit $5
               ) as matching"#,
            owner.0,
            &terms.states,
            terms.pattern.as_deref(),
            terms.created_after,
            COUNTED,
            terms.batch,
        )
        .fetch_one(&self.inner.pool)
        .await?;
        Ok(count)
    }
}

/// A filter in the form that the statements take.
struct Terms {
    states: Vec<String>,
    pattern: Option<String>,
    created_after: Option<DateTime<Utc>>,
    batch: Option<Uuid>,
}

impl Terms {
    fn of(filter: &JobFilter) -> Self {
        Self {
            states: filter
                .states
                .iter()
                .map(|state| state.as_str().to_owned())
                .collect(),
            pattern: filter.q.as_deref().filter(|q| !q.is_empty()).map(contains),
            created_after: filter.created_after,
            batch: filter.batch.map(|batch| batch.0),
        }
    }
}

/// A pattern for `ilike` that matches text containing `q` literally.
fn contains(q: &str) -> String {
    let mut pattern = String::with_capacity(q.len() + 2);
    pattern.push('%');
    for c in q.chars().filter(|c| *c != '\0') {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_letters() {
        assert_eq!(contains(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
