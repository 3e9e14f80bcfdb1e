//! Who is told of changes in others' offers, and how far each has come.
//!
//! Never an event twice in order, and never one lost in silence: `sent` is the last change that was taken.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_space::time::Time;

use super::{Store, StoreError};

/// Somebody's address, and how telling it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub id: String,
    /// Whose it is.
    pub account: String,
    pub url: String,
    /// What is wanted, as the query of a search.
    pub filter: String,
    pub created: Time,
    /// The last change that was taken, or that did not concern it.
    pub sent: i64,
    pub next: Time,
    pub failures: u32,
    pub failing_since: Option<Time>,
    pub ok: Option<Time>,
    pub error: Option<String>,
}

const COLUMNS: &str =
    "id, account, url, filter, created, sent, next, failures, failing_since, ok, error";

fn subscription(row: &AnyRow) -> Subscription {
    Subscription {
        id: row.get(0),
        account: row.get(1),
        url: row.get(2),
        filter: row.get(3),
        created: Time::from_ms(row.get(4)),
        sent: row.get(5),
        next: Time::from_ms(row.get(6)),
        failures: u32::try_from(row.get::<i64, _>(7)).unwrap_or(0),
        failing_since: row.get::<Option<i64>, _>(8).map(Time::from_ms),
        ok: row.get::<Option<i64>, _>(9).map(Time::from_ms),
        error: row.get(10),
    }
}

impl Store {
    /// All; there are few.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM catalog_subscriptions ORDER BY id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.pool()).await?;
        Ok(rows.iter().map(subscription).collect())
    }

    /// Those to be told now, if there is anything after what they have.
    pub async fn subscriptions_due(
        &self,
        now: Time,
        head: i64,
    ) -> Result<Vec<Subscription>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM catalog_subscriptions WHERE next <= $1 AND sent < $2 ORDER BY next, id"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.ms()).bind(head);
        Ok(query.fetch_all(self.pool()).await?.iter().map(subscription).collect())
    }
}

pub async fn save_subscription(
    conn: &mut AnyConnection,
    it: &Subscription,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO catalog_subscriptions (id, account, url, filter, created, sent, next, failures, failing_since, ok, error)
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
    )
    .bind(it.id.clone())
    .bind(it.account.clone())
    .bind(it.url.clone())
    .bind(it.filter.clone())
    .bind(it.created.ms())
    .bind(it.sent)
    .bind(it.next.ms())
    .bind(i64::from(it.failures))
    .bind(it.failing_since.map(Time::ms))
    .bind(it.ok.map(Time::ms))
    .bind(it.error.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// How telling it went. A row that was deleted meanwhile stays deleted.
pub async fn told(conn: &mut AnyConnection, it: &Subscription) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE catalog_subscriptions SET sent = $2, next = $3, failures = $4, failing_since = $5, ok = $6, error = $7
         WHERE id = $1 AND sent <= $2",
    )
    .bind(it.id.clone())
    .bind(it.sent)
    .bind(it.next.ms())
    .bind(i64::from(it.failures))
    .bind(it.failing_since.map(Time::ms))
    .bind(it.ok.map(Time::ms))
    .bind(it.error.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn delete_subscription(conn: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM catalog_subscriptions WHERE id = $1";
    sqlx::query(sql).bind(id.to_owned()).execute(&mut *conn).await?;
    Ok(())
}
