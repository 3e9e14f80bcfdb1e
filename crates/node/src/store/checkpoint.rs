//! The evidence log's checkpoint row and the fenced duty of its one sequencer (house D8, D15).
//!
//! Never signs: the row is compared and set, durably, before anybody signs.

use futures::future::BoxFuture;
use sqlx::{AnyConnection, Executor as _, Row as _};
use tokio::sync::Mutex;

use tidm_ledger::tree::{Hash, leaf_hash};
use tidm_space::time::Time;

use super::load::bad;
use super::{Store, StoreError};
use crate::evidence::row::{CheckpointRow, Row, RowError};

/// PostgreSQL numbers rows before they commit: rows of transactions that were open when the batch was read may
/// lie between its rows. More than every writer of every replica can have open at once.
const LATE: i64 = 1024;

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
        let _turn = self.turn().await;
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
    /// Kept between moves; none after a failure, when nobody knows what it is in the middle of.
    conn: Mutex<Option<AnyConnection>>,
}

impl SqlRow {
    pub fn new(store: &Store, log: &str) -> Self {
        Self { store: store.clone(), log: log.to_owned(), conn: Mutex::default() }
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
        let mut kept = self.conn.lock().await;
        let mut conn = match kept.take() {
            Some(conn) => conn,
            None => self.store.connect().await?,
        };
        let _turn = self.store.turn().await;
        conn.execute(self.store.dialect().begin_locked()).await?;
        // After an error the connection is dropped, and what it did not commit with it.
        let moved = set_in(&mut conn, &self.log, expected, next, leaves).await?;
        conn.execute(if moved { "COMMIT" } else { "ROLLBACK" }).await?;
        *kept = Some(conn);
        Ok(moved)
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
    conn: &mut AnyConnection,
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
    if !leaves.is_empty() {
        place_facts(conn, number(expected.map_or(0, |it| it.size)), leaves).await?;
    }
    Ok(true)
}

/// The facts get their places in the log in the very transaction that makes those places official.
async fn place_facts(
    conn: &mut AnyConnection,
    first: i64,
    leaves: &[Hash],
) -> Result<(), StoreError> {
    let most = i64::try_from(leaves.len()).unwrap_or(i64::MAX).saturating_add(LATE);
    let rows =
        sqlx::query("SELECT seq, entry FROM facts WHERE log_index IS NULL ORDER BY seq LIMIT $1")
            .bind(most)
            .fetch_all(&mut *conn)
            .await?;
    let mut waiting =
        rows.iter().map(|row| (row.get::<i64, _>(0), leaf_hash(&row.get::<Vec<u8>, _>(1))));
    // Neighbours in both orders move with one statement: nearly always that is the whole batch.
    let mut runs: Vec<Run> = Vec::new();
    for (index, leaf) in (first..).zip(leaves) {
        let Some((seq, _)) = waiting.find(|(_, hash)| hash == leaf) else {
            return Err(bad("facts", "the log was given an entry that is no fact that waits"));
        };
        match runs.last_mut() {
            Some(run) if run.last + 1 == seq => run.last = seq,
            Some(_) | None => runs.push(Run { first: seq, last: seq, index }),
        }
    }
    for run in runs {
        sqlx::query("UPDATE facts SET log_index = seq + $1 WHERE seq >= $2 AND seq <= $3")
            .bind(run.index - run.first)
            .bind(run.first)
            .bind(run.last)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Facts `first..=last` lie in the log from `index` on.
struct Run {
    first: i64,
    last: i64,
    index: i64,
}
