//! Vectors of the texts of documents, kept from one job to the next.
//!
//! A cache and no more: what is not here, or is damaged, is computed again. A set of vectors belongs to one owner's document as one
//! version of the extractor read it, one model and one way of splitting; it is deleted with the document.

pub(crate) mod sweep;

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::{error::StoreError, ids::Owner, store::Store};

/// Vectors kept of one document by one model: about as many as 16 different questions about a long one need, 6 MB at 384 dimensions.
const KEPT_OF_ONE: i32 = 4_096;
/// How far the length of a vector may be from 1. What is farther was not written by us.
const UNIT: std::ops::RangeInclusive<f32> = 0.999..=1.001;

/// Names a set of vectors.
#[derive(Clone, Copy, Debug)]
pub struct VectorSet<'a> {
    /// Whose document it is.
    pub owner: Owner,
    /// The content of its file.
    pub sha256: &'a [u8; 32],
    /// Version of the extractor that read it.
    pub version: i32,
    /// Id of the model that computed them.
    pub model: &'a str,
    /// Version of how the document falls into texts.
    pub splitting: i32,
}

/// First half of a text's SHA-256.
type TextKey = [u8; 16];

impl Store {
    /// For each text its vector of this many dimensions, if it is known. The set counts as used.
    pub async fn known_vectors(
        &self,
        set: &VectorSet<'_>,
        dimensions: usize,
        texts: &[&str],
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        let keys: Vec<TextKey> = texts.iter().map(|text| key(text)).collect();
        let mut conn = self.pool.acquire().await?;
        touch(&mut conn, set).await?;
        let found = find(&mut conn, set, &keys).await?;
        let vector = |key: &TextKey| decode(found.get(&key[..])?, dimensions);
        Ok(keys.iter().map(vector).collect())
    }

    /// Keeps the vectors of texts, as long as the document is there and the set is not full.
    pub async fn keep_vectors(
        &self,
        set: &VectorSet<'_>,
        texts: &[&str],
        vectors: &[Vec<f32>],
    ) -> Result<(), StoreError> {
        let keys: Vec<Vec<u8>> = texts.iter().map(|text| key(text).to_vec()).collect();
        let vectors: Vec<Vec<u8>> = vectors.iter().map(|vector| encode(vector)).collect();
        let mut tx = self.begin().await?;
        // Locks the set: two jobs on one document fill it one after the other.
        let Some((id, kept)) = open(&mut tx, set).await? else {
            return Ok(());
        };
        let room = i64::from(KEPT_OF_ONE - kept).max(0);
        insert(&mut tx, id, (&keys, &vectors), room).await?;
        count(&mut tx, id).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn key(text: &str) -> TextKey {
    let hash = Sha256::digest(text);
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    key
}

fn encode(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// None when the bytes are no unit vector of this many dimensions.
fn decode(bytes: &[u8], dimensions: usize) -> Option<Vec<f32>> {
    let (floats, rest) = bytes.as_chunks::<4>();
    if floats.len() != dimensions || !rest.is_empty() {
        return None;
    }
    let vector: Vec<f32> = floats
        .iter()
        .map(|float| f32::from_le_bytes(*float))
        .collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    UNIT.contains(&length).then_some(vector)
}

/// Notes that a set is in use; once an hour is enough for the sweep.
async fn touch(conn: &mut PgConnection, set: &VectorSet<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "update quire.vector_sets
         set used_at = now()
         where sha256 = $1 and version = $2 and owner = $3 and model = $4 and splitting = $5
           and used_at < now() - interval '1 hour'",
        &set.sha256[..],
        set.version,
        set.owner.0,
        set.model,
        set.splitting,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn find(
    conn: &mut PgConnection,
    set: &VectorSet<'_>,
    keys: &[TextKey],
) -> Result<HashMap<Vec<u8>, Vec<u8>>, StoreError> {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
    let found = sqlx::query!(
        "select v.text, v.vector
         from quire.vector_sets s
         join quire.vectors v on v.set_id = s.id
         where s.sha256 = $1 and s.version = $2 and s.owner = $3 and s.model = $4 and s.splitting = $5
           and v.text = any ($6)",
        &set.sha256[..],
        set.version,
        set.owner.0,
        set.model,
        set.splitting,
        &keys,
    )
    .fetch_all(conn)
    .await?;
    Ok(found
        .into_iter()
        .map(|row| (row.text, row.vector))
        .collect())
}

/// The set and how many vectors it has, locked; none when its document is gone.
async fn open(
    conn: &mut PgConnection,
    set: &VectorSet<'_>,
) -> Result<Option<(i64, i32)>, StoreError> {
    let opened = sqlx::query!(
        "insert into quire.vector_sets (sha256, version, owner, model, splitting)
         select sha256, version, owner, $4, $5
         from quire.documents
         where sha256 = $1 and version = $2 and owner = $3
         on conflict (sha256, version, owner, model, splitting) do update set used_at = now()
         returning id, texts",
        &set.sha256[..],
        set.version,
        set.owner.0,
        set.model,
        set.splitting,
    )
    .fetch_optional(conn)
    .await?;
    Ok(opened.map(|set| (set.id, set.texts)))
}

/// A vector that is there already is written again: it was damaged, or nobody would have computed it.
async fn insert(
    conn: &mut PgConnection,
    set: i64,
    (keys, vectors): (&[Vec<u8>], &[Vec<u8>]),
    room: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into quire.vectors (set_id, text, vector)
         select distinct on (text) $1::bigint, text, vector
         from unnest($2::bytea[], $3::bytea[]) as new (text, vector)
         limit $4
         on conflict (set_id, text) do update set vector = excluded.vector",
        set,
        keys,
        vectors,
        room,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn count(conn: &mut PgConnection, set: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update quire.vector_sets
         set texts = (select count(*) from quire.vectors where set_id = $1)
         where id = $1",
        set,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unit_vectors_of_the_right_length_are_read() {
        let bytes = encode(&[0.6, 0.0, -0.8]);
        assert_eq!(decode(&bytes, 3), Some(vec![0.6, 0.0, -0.8]));
        assert_eq!(decode(&bytes, 4), None);
        assert_eq!(decode(&bytes[..11], 3), None);
        assert_eq!(decode(&[], 3), None);
        assert_eq!(decode(&encode(&[0.6, 0.0, f32::NAN]), 3), None);
        assert_eq!(decode(&encode(&[0.6, 0.1, 0.2]), 3), None);
    }
}
