//! Looks for a text in every row of every table: for tests of what must not be kept.

use sqlx::AssertSqlSafe;

use crate::{error::StoreError, store::Store};

impl Store {
    /// Passwords that are kept now.
    pub async fn kept_passwords(&self) -> Result<i64, StoreError> {
        let kept = sqlx::query_scalar!(r#"select count(*) as "kept!" from quire.passwords"#)
            .fetch_one(&self.pool)
            .await?;
        Ok(kept)
    }

    /// The tables of the queue and of quire that have a row with `text` in it.
    pub async fn rows_with_text(&self, text: &str) -> Result<Vec<String>, StoreError> {
        let tables = sqlx::query_scalar!(
            r#"select format('%I.%I', table_schema, table_name) as "name!"
               from information_schema.tables
               where table_schema in ('quire', 'apalis') and table_type = 'BASE TABLE'
               order by 1"#
        )
        .fetch_all(&self.pool)
        .await?;
        let mut found = Vec::new();
        for table in tables {
            let look =
                format!("select exists (select from {table} t where position($1 in t::text) > 0)");
            // The name comes from the catalog, quoted by the database.
            let has: bool = sqlx::query_scalar(AssertSqlSafe(look))
                .bind(text)
                .fetch_one(&self.pool)
                .await?;
            if has {
                found.push(table);
            }
        }
        Ok(found)
    }
}
