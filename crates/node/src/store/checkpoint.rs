//! The evidence log's checkpoint row and the fenced duty of its one sequencer (house D8, D15).
//!
//! Never signs: the row is compared and set, durably, before anybody signs.

use sqlx::{Executor as _, Row as _};

use tidm_space::time::Time;

use super::{Store, StoreError};

/// The log's head as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    /// Lower-case hex of the root hash.
    pub root: String,
}

impl Store {
    pub async fn head(&self, log: &str) -> Result<Option<Head>, StoreError> {
        let row =
            sqlx::query("SELECT size, root FROM checkpoint WHERE log = $1").bind(log.to_owned()).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| Head { size: u64::try_from(row.get::<i64, _>(0)).unwrap_or(0), root: row.get(1) }))
    }

    /// Facts that are durable but not in the log yet, oldest first: (row, entry).
    pub async fn unlogged(&self, most: i64) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let sql = "SELECT seq, entry FROM facts WHERE log_index IS NULL ORDER BY seq LIMIT $1";
        let rows = sqlx::query(sql).bind(most).fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Moves the head from `old` to `new` and gives the facts `rows` their places from `old.size` on, in one
    /// transaction. `false`: another sequencer was here, or our duty is over; nothing was changed.
    pub async fn advance(&self, log: &str, fence: i64, old: Option<&Head>, new: &Head, rows: &[i64]) -> Result<bool, StoreError> {
        let mut conn = self.connect().await?;
        conn.execute(self.dialect().begin()).await?;
        let done = advance_in(&mut conn, log, fence, old, new, rows).await;
        match done {
            Ok(true) => {
                conn.execute("COMMIT").await?;
                Ok(true)
            }
            Ok(false) => {
                conn.execute("ROLLBACK").await?;
                Ok(false)
            }
            Err(error) => {
                drop(conn.execute("ROLLBACK").await);
                Err(error)
            }
        }
    }

    /// Takes or keeps a duty (`sequencer`) until `until`. The fence grows whenever the holder changes.
    pub async fn take_duty(&self, duty: &str, holder: &str, now: Time, until: Time) -> Result<Option<i64>, StoreError> {
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

async fn advance_in(
    conn: &mut sqlx::AnyConnection,
    log: &str,
    fence: i64,
    old: Option<&Head>,
    new: &Head,
    rows: &[i64],
) -> Result<bool, StoreError> {
    let held: Option<i64> =
        sqlx::query_scalar("SELECT fence FROM duties WHERE name = $1").bind(format!("sequencer {log}")).fetch_optional(&mut *conn).await?;
    if held != Some(fence) {
        return Ok(false);
    }
    let to_i64 = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let changed = match old {
        None => sqlx::query("INSERT INTO checkpoint (log, size, root, fence) VALUES ($1,$2,$3,$4) ON CONFLICT (log) DO NOTHING")
            .bind(log.to_owned())
            .bind(to_i64(new.size))
            .bind(new.root.clone())
            .bind(fence)
            .execute(&mut *conn)
            .await?
            .rows_affected(),
        Some(old) => sqlx::query("UPDATE checkpoint SET size = $1, root = $2, fence = $3 WHERE log = $4 AND size = $5 AND root = $6 AND fence <= $3")
            .bind(to_i64(new.size))
            .bind(new.root.clone())
            .bind(fence)
            .bind(log.to_owned())
            .bind(to_i64(old.size))
            .bind(old.root.clone())
            .execute(&mut *conn)
            .await?
            .rows_affected(),
    };
    if changed != 1 {
        return Ok(false);
    }
    let first = to_i64(old.map_or(0, |it| it.size));
    for (index, row) in (first..).zip(rows) {
        let done = sqlx::query("UPDATE facts SET log_index = $1 WHERE seq = $2 AND log_index IS NULL")
            .bind(index)
            .bind(*row)
            .execute(&mut *conn)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
