//! Due rows of the outbox and the timers, claimed so that two replicas do not work on the same one.
//!
//! Never removes a row: the decision about its outcome does. A claim that is not honoured expires.

use tidm_space::engine::commit::{Send as Sending, Timer};
use tidm_space::time::Time;
use tidm_space::wire::record;

use super::load::read;
use super::save::CLAIM_MS;
use super::{Store, StoreError};

/// Rows taken at once.
const TAKE: i64 = 256;

impl Store {
    /// Takes undelivered messages that are due.
    pub async fn due_sends(&self, now: Time) -> Result<Vec<Sending>, StoreError> {
        let records = self.claim("outbox", "id", "next", now).await?;
        let mut sends = Vec::with_capacity(records.len());
        for record in records {
            sends.extend(readable(read("outbox", Some(&record), record::send::decode)));
        }
        Ok(sends)
    }

    /// Takes timers that are due.
    pub async fn due_timers(&self, now: Time) -> Result<Vec<Timer>, StoreError> {
        let records = self.claim("timers", "name", "at", now).await?;
        let mut timers = Vec::with_capacity(records.len());
        for record in records {
            timers.extend(readable(read("timers", Some(&record), record::timer::decode)));
        }
        Ok(timers)
    }

    /// Rows of `table` whose time has come, each for one replica.
    async fn claim(
        &self,
        table: &'static str,
        key: &'static str,
        due: &'static str,
        now: Time,
    ) -> Result<Vec<String>, StoreError> {
        let _turn = self.turn().await;
        let alone = self.dialect().skip_locked();
        let sql = format!(
            "WITH due AS (SELECT {key} AS which FROM {table} WHERE {due} <= $2 AND claimed <= $2 ORDER BY {due} LIMIT $3{alone})
             UPDATE {table} SET claimed = $1 FROM due WHERE {table}.{key} = due.which RETURNING record"
        );
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(now.ms() + CLAIM_MS)
            .bind(now.ms())
            .bind(TAKE)
            .fetch_all(self.pool())
            .await?)
    }

    /// When the next row becomes due, if any waits.
    pub async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT CAST(MIN(due) AS BIGINT) FROM (SELECT CASE WHEN next > claimed THEN next ELSE claimed END AS due FROM outbox
                   UNION ALL SELECT CASE WHEN at > claimed THEN at ELSE claimed END AS due FROM timers) AS queue";
        let due: Option<i64> = sqlx::query_scalar(sql).fetch_one(self.pool()).await?;
        Ok(due.map(Time::from_ms))
    }

    /// Forgets what is too old to matter.
    pub async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        let seen_ms = i64::try_from(tidm_space::limits::SEEN.as_millis()).unwrap_or(i64::MAX);
        let _turn = self.turn().await;
        sqlx::query("DELETE FROM tokens WHERE until < $1")
            .bind(now.ms())
            .execute(self.pool())
            .await?;
        sqlx::query("DELETE FROM seen WHERE at < $1")
            .bind(now.ms() - seen_ms)
            .execute(self.pool())
            .await?;
        sqlx::query("DELETE FROM messages WHERE at < $1")
            .bind(now.ms() - super::messages::KEEP_MS)
            .execute(self.pool())
            .await?;
        sqlx::query("DELETE FROM grants WHERE until < $1")
            .bind(now.ms())
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

/// A row that cannot be read stays where it is and is reported; it must not hold up the others.
fn readable<T>(read: Result<Option<T>, StoreError>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "a row of the queue is left aside");
        None
    })
}
