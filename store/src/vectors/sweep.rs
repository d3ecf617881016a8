//! What the vectors of all documents may take together.

use sqlx::PgConnection;

use crate::error::StoreError;

/// Vectors kept in all: 300 MB at 384 dimensions.
const KEPT: i64 = 200_000;
/// Days after which nobody is expected to ask about a document again.
const UNUSED_DAYS: i32 = 30;
/// Sets deleted at once, each of some thousand rows at the most: well under a second.
const SETS_AT_ONCE: i64 = 100;

/// Deletes the sets that were not used for longest, until the others are few enough.
pub(crate) async fn surplus(conn: &mut PgConnection) -> Result<(), StoreError> {
    keep_only(conn, KEPT, UNUSED_DAYS).await
}

async fn keep_only(conn: &mut PgConnection, kept: i64, days: i32) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from quire.vector_sets
         where id in (
             select id
             from (select id, used_at, sum(texts) over (order by used_at desc, id desc) as so_far
                   from quire.vector_sets) s
             where so_far > $1 or used_at < now() - make_interval(days => $2)
             order by used_at, id
             limit $3
         )",
        kept,
        days,
        SETS_AT_ONCE,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;
    use crate::testing::TestDb;

    async fn left(conn: &mut PgConnection) -> Vec<String> {
        sqlx::query_scalar("select model from quire.vector_sets order by model")
            .fetch_all(conn)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_sets_that_were_used_last_stay() {
        let db = TestDb::new().await;
        let mut conn = PgConnection::connect(db.url()).await.unwrap();
        sqlx::raw_sql(
            "insert into quire.documents (owner, sha256, version, content)
             select gen_random_uuid(), sha256('x'), 1, '{}';
             insert into quire.vector_sets (sha256, version, owner, model, splitting, texts, used_at)
             select sha256, version, owner, m, 1, 40, now() - make_interval(days => d)
             from quire.documents, (values ('a', 0), ('b', 3), ('c', 6), ('d', 31)) as used (m, d)",
        )
        .execute(&mut conn)
        .await
        .unwrap();
        keep_only(&mut conn, 1000, 30).await.unwrap();
        assert_eq!(left(&mut conn).await, ["a", "b", "c"]);
        keep_only(&mut conn, 100, 30).await.unwrap();
        assert_eq!(left(&mut conn).await, ["a", "b"]);
        surplus(&mut conn).await.unwrap();
        assert_eq!(left(&mut conn).await, ["a", "b"]);
    }
}
