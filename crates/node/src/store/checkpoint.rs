//! The evidence log's checkpoint row and the fenced duty of its one sequencer (house D8, D15).
//!
//! Never signs: the row is compared and set, durably, before anybody signs.

use futures::future::BoxFuture;
use sqlx::{Executor as _, Row as _};

use tidm_ledger::tree::{Hash, leaf_hash};
use tidm_space::time::Time;

use super::load::bad;
use super::{Store, StoreError};
use crate::evidence::row::{CheckpointRow, Row, RowError};

impl Store {
    /// Facts that are durable but not in the log yet, oldest first: (row, entry).
    pub async fn unlogged(&self, most: i64) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let sql = "SELECT seq, entry FROM facts WHERE log_index IS NULL ORDER BY seq LIMIT $1";
        let rows = sqlx::query(sql).bind(most).fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Takes or keeps a duty (`sequencer`) until `until`. The fence grows whenever the holder changes.
    pub async fn take_duty(
        &self,
        duty: &str,
        holder: &str,
        now: Time,
        until: Time,
    ) -> Result<Option<i64>, StoreError> {
        let sql = "INSERT INTO duties (name, holder, fence, until) VALUES ($1,$2,1,$4)
                   ON CONFLICT (name) DO UPDATE SET until = excluded.until,
                   fence = duties.fence + CASE WHEN duties.holder = excluded.holder THEN 0 ELSE 1 END, holder = excluded.holder
                   WHERE duties.holder = excluded.holder OR duties.until < $3 RETURNING fence";
        Ok(sqlx::query_scalar(sql)
            .bind(duty.to_owned())
            .bind(holder.to_owned())
            .bind(now.ms())
            .bind(until.ms())
            .fetch_optional(self.pool())
            .await?)
    }
}

/// The checkpoint row as the sequencer wants it: moved together with the facts it covers.
pub struct SqlRow {
    store: Store,
    log: String,
}

impl SqlRow {
    pub fn new(store: &Store, log: &str) -> Self {
        Self { store: store.clone(), log: log.to_owned() }
    }

    async fn read(&self) -> Result<Option<Row>, StoreError> {
        let row = sqlx::query("SELECT size, root, fence FROM checkpoint WHERE log = $1")
            .bind(self.log.clone())
            .fetch_optional(self.store.pool())
            .await?;
        row.map(|row| {
            let number =
                |it: i64| u64::try_from(it).map_err(|_| bad("checkpoint", "a negative number"));
            let root = Hash::from_base64(&row.get::<String, _>(1))
                .ok_or_else(|| bad("checkpoint", "not a hash"))?;
            Ok(Row { size: number(row.get(0))?, root, fence: number(row.get(2))? })
        })
        .transpose()
    }

    async fn set(
        &self,
        expected: Option<Row>,
        next: Row,
        leaves: &[Hash],
    ) -> Result<bool, StoreError> {
        let mut conn = self.store.connect().await?;
        conn.execute(self.store.dialect().begin()).await?;
        match set_in(&mut conn, &self.log, expected, next, leaves).await {
            Ok(true) => {
                conn.execute("COMMIT").await?;
                Ok(true)
            }
            Ok(false) => {
                conn.execute("ROLLBACK").await?;
                Ok(false)
            }
            Err(error) => {
                if let Err(second) = conn.execute("ROLLBACK").await {
                    tracing::debug!(%second, "rollback after a failure");
                }
                Err(error)
            }
        }
    }
}

impl CheckpointRow for SqlRow {
    fn load(&self) -> BoxFuture<'_, Result<Option<Row>, RowError>> {
        Box::pin(async move { self.read().await.map_err(|why| RowError(why.to_string())) })
    }

    fn compare_and_set<'a>(
        &'a self,
        expected: Option<Row>,
        next: Row,
        leaves: &'a [Hash],
    ) -> BoxFuture<'a, Result<bool, RowError>> {
        Box::pin(async move {
            self.set(expected, next, leaves).await.map_err(|why| RowError(why.to_string()))
        })
    }
}

async fn set_in(
    conn: &mut sqlx::AnyConnection,
    log: &str,
    expected: Option<Row>,
    next: Row,
    leaves: &[Hash],
) -> Result<bool, StoreError> {
    let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let insert = "INSERT INTO checkpoint (log, size, root, fence) VALUES ($1,$2,$3,$4) ON CONFLICT (log) DO NOTHING";
    let update = "UPDATE checkpoint SET size = $2, root = $3, fence = $4 WHERE log = $1 AND size = $5 AND root = $6 AND fence = $7";
    let mut query = sqlx::query(if expected.is_some() { update } else { insert })
        .bind(log.to_owned())
        .bind(number(next.size))
        .bind(next.root.to_base64())
        .bind(number(next.fence));
    if let Some(expected) = expected {
        query = query
            .bind(number(expected.size))
            .bind(expected.root.to_base64())
            .bind(number(expected.fence));
    }
    if query.execute(&mut *conn).await?.rows_affected() != 1 {
        return Ok(false);
    }
    // The facts get their places in the log in the very transaction that makes those places official.
    let waiting =
        sqlx::query("SELECT seq, entry FROM facts WHERE log_index IS NULL ORDER BY seq LIMIT $1")
            .bind(i64::try_from(leaves.len()).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn)
            .await?;
    let first = number(expected.map_or(0, |it| it.size));
    for (index, leaf) in (first..).zip(leaves) {
        let place = usize::try_from(index - first).unwrap_or(usize::MAX);
        let Some(row) = waiting.get(place) else {
            return Err(bad("facts", "the log was given more than the facts that wait"));
        };
        if leaf_hash(&row.get::<Vec<u8>, _>(1)) != *leaf {
            return Err(bad("facts", "the log was given another entry than the fact that waits"));
        }
        sqlx::query("UPDATE facts SET log_index = $1 WHERE seq = $2")
            .bind(index)
            .bind(row.get::<i64, _>(0))
            .execute(&mut *conn)
            .await?;
    }
    Ok(true)
}
