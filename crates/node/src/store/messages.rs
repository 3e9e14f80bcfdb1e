//! The journal of protocol messages: each one said or heard, with its outcome, for operators who look for a fault.
//!
//! Never evidence and never consulted by a decision: it is written on the side, may miss a line when the node dies,
//! and is swept. A peer that floods a negotiation fills [`MOST`] lines of it and no more.

use sqlx::{AnyConnection, Row as _};

use tidm_space::engine::commit::About;
use tidm_space::limits::REASON_CHARS;
use tidm_space::time::Time;

use super::save::subject;
use super::{Store, StoreError};

/// Lines of one negotiation or transfer: [`tidm_space::limits::OFFER_ROUNDS`] rounds, each tried some times.
const MOST: i64 = 500;
/// Lines are kept this long.
pub(super) const KEEP_MS: i64 = 30 * 24 * 3600 * 1000;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Time,
    /// We said it; else the peer did.
    pub out: bool,
    /// The last part of the address that it was posted to: request, offers, agreement, start…
    pub path: String,
    /// HTTP status of the answer; none where there was no answer.
    pub status: Option<u16>,
    pub took_ms: u64,
    /// Counted from 1; more than 1 is a repetition of ours.
    pub attempt: u32,
    /// Why it was refused or not answered.
    pub reason: String,
}

/// Adds a line, unless there are too many about this subject.
pub async fn save(conn: &mut AnyConnection, about: &About, it: &Line) -> Result<(), StoreError> {
    let reason: String = it.reason.chars().take(REASON_CHARS).collect();
    sqlx::query(
        "INSERT INTO messages (about, at, direction, path, status, took, attempt, reason)
         SELECT $1,$2,$3,$4,$5,$6,$7,$8 WHERE (SELECT COUNT(*) FROM messages WHERE about = $1) < $9",
    )
    .bind(subject(about))
    .bind(it.at.ms())
    .bind(if it.out { "out" } else { "in" })
    .bind(it.path.clone())
    .bind(i64::from(it.status.unwrap_or(0)))
    .bind(i64::try_from(it.took_ms).unwrap_or(i64::MAX))
    .bind(i64::from(it.attempt))
    .bind(reason)
    .bind(MOST)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Messages about this subject that wait for another try are tried at once; how many there are.
pub async fn hurry(conn: &mut AnyConnection, about: &About, now: Time) -> Result<u64, StoreError> {
    let done = sqlx::query("UPDATE outbox SET next = $2 WHERE about = $1 AND next > $2")
        .bind(subject(about))
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected())
}

impl Store {
    /// The newest lines about a subject, oldest first.
    pub async fn messages(&self, about: &About, most: i64) -> Result<Vec<Line>, StoreError> {
        let sql = "SELECT at, direction, path, status, took, attempt, reason FROM messages WHERE about = $1 ORDER BY seq DESC LIMIT $2";
        let rows = sqlx::query(sql).bind(subject(about)).bind(most).fetch_all(self.pool()).await?;
        let line = |row: &sqlx::any::AnyRow| Line {
            at: Time::from_ms(row.get(0)),
            out: row.get::<String, _>(1) == "out",
            path: row.get(2),
            status: u16::try_from(row.get::<i64, _>(3)).ok().filter(|it| *it > 0),
            took_ms: u64::try_from(row.get::<i64, _>(4)).unwrap_or(0),
            attempt: u32::try_from(row.get::<i64, _>(5)).unwrap_or(u32::MAX),
            reason: row.get(6),
        };
        Ok(rows.iter().rev().map(line).collect())
    }

    /// Whether something about this subject waits to be delivered.
    pub async fn waits(&self, about: &About) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) FROM outbox WHERE about = $1";
        let found: i64 =
            sqlx::query_scalar(sql).bind(subject(about)).fetch_one(self.pool()).await?;
        Ok(found > 0)
    }
}
