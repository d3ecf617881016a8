//! How a job is to be answered: most jobs say nothing about it, and then nothing is written or stored.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::types::{AnswerOptions, NewUpload};
use crate::{error::StoreError, text::clean_json};

/// Keeps the options of new jobs. Ids of uploads that became no job match nothing.
pub(super) async fn keep(
    conn: &mut PgConnection,
    ids: &[Uuid],
    new: &[NewUpload],
) -> Result<(), StoreError> {
    let (mut jobs, mut models, mut schemas) = (Vec::new(), Vec::new(), Vec::new());
    let special = ids
        .iter()
        .zip(new)
        .filter(|(_, new)| new.options != AnswerOptions::default());
    for (id, new) in special {
        jobs.push(*id);
        models.push(new.options.model.clone());
        schemas.push(
            new.options
                .schema
                .as_ref()
                .map(|schema| clean_json(schema).into_owned()),
        );
    }
    if jobs.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update quire.jobs j
         set model = n.model, schema = n.schema
         from unnest($1::uuid[], $2::text[], $3::jsonb[]) as n (id, model, schema)
         where j.id = n.id",
        &jobs,
        &models as &[Option<String>],
        &schemas as &[Option<Value>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
